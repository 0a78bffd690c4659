--@ main
local time = require("time")
return function(count)
  local up, all = process.listen("up"), {}
  count = math.tointeger(count)
  for i = 1, count do all[i] = false end
  print("resident before")
  local start = time.now()
  for i = 1, count do
    all[i] = assert(process.spawn("bench:idle", "bench:core0", process.pid()))
  end
  for _ = 1, count do up:receive() end
  print("value " .. time.now():sub(start):nanoseconds() / count)
  for i = 1, count do process.send(all[i], "go", i) end
  for _ = 1, count do up:receive() end
  print("resident after")
  print("count " .. count)
end
--@ idle
return function(parent)
  local go = process.listen("go")
  process.send(parent, "up", 1)
  while true do
    process.send(parent, "up", (go:receive()))
  end
end
