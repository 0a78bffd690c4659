--@ main
return function(count)
  count = math.tointeger(count)
  local each = math.min(count, 50000)
  local up = process.listen("up")
  local silent = assert(process.spawn("bench:silent", "bench:core0"))
  local askers = {}
  for i = 1, count // each do
    askers[i] = assert(process.spawn("bench:asker", "bench:core0", process.pid(), silent))
  end
  for _ = 1, #askers do up:receive() end
  print("resident before")
  for i = 1, #askers do process.send(askers[i], "go", each) end
  for _ = 1, #askers do up:receive() end
  print("resident after")
  print("count " .. each * #askers)
end
--@ asker
return function(parent, silent)
  local go = process.listen("go")
  process.send(parent, "up", 1)
  for _ = 1, go:receive() do
    assert(request.send(silent, "x", { timeout = "1h" }))
  end
  process.send(parent, "up", 2)
  go:receive()
end
--@ silent
return function()
  process.listen("never"):receive()
end
