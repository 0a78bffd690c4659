--@ main
local time = require("time")
return function(kind, milliseconds, hogs)
  hogs = math.tointeger(hogs)
  local far = "bench:core" .. math.max(hogs - 1, 0)
  local pong = assert(process.spawn("bench:pong", far, process.pid()))
  local answers, ready = process.listen("pong"), process.listen("ready")
  for i = 0, hogs - 1 do
    if kind == "wasm" then -- it says nothing, ever
      assert(process.spawn("bench:spin", "bench:core" .. i))
    else
      assert(process.spawn("bench:" .. kind, "bench:core" .. i, process.pid()))
      ready:receive()
    end
  end
  local took, due = {}, time.now():add(milliseconds .. "ms")
  local now = time.now()
  while now:before(due) do
    process.send(pong, "ping", 1)
    answers:receive()
    local after = time.now()
    took[#took + 1] = after:sub(now):nanoseconds()
    now = after
  end
  table.sort(took)
  print("value " .. took[math.ceil(#took * 0.99)] / 1e6)
  print("count " .. #took)
end
--@ pong
return function(to)
  local asked = process.listen("ping")
  while true do
    process.send(to, "pong", (asked:receive()))
  end
end
--@ loop
return function(to)
  process.send(to, "ready", 1)
  while true do end
end
--@ sort
return function(to)
  local list = {}
  for i = 1, 200000 do list[i] = math.random(1 << 40) end
  process.send(to, "ready", 1)
  while true do
    local copy = table.move(list, 1, #list, 1, {})
    table.sort(copy)
  end
end
--@ rep
return function(to)
  process.send(to, "ready", 1)
  while true do
    local text = ("0123456789"):rep(3000000)
  end
end
--@ pattern
return function(to)
  local text = ("a"):rep(40)
  process.send(to, "ready", 1)
  text:find(("a?"):rep(40) .. ("a*"):rep(20) .. "b")
  while true do end
end
