--@ main
local time = require("time")
return function(senders, each)
  local items, go, up = process.listen("item"), {}, process.listen("up")
  senders, each = math.tointeger(senders), math.tointeger(each)
  for i = 1, senders do
    go[i] = assert(process.spawn("bench:sender", "system:processes", process.pid(), each))
  end
  for _ = 1, senders do up:receive() end
  local function play()
    for i = 1, senders do process.send(go[i], "go", true) end
    for _ = 1, senders * each do items:receive() end
  end
  play()
  local start = time.now()
  play()
  print("value " .. senders * each / time.now():sub(start):seconds() / 1e6)
end
--@ sender
return function(to, each)
  local go = process.listen("go")
  process.send(to, "up", true)
  while go:receive() do
    for i = 1, each do
      local ok, err = process.send(to, "item", i)
      if not ok then error(tostring(err)) end
    end
  end
end
