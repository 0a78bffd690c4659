--@ main
local time = require("time")
return function(count)
  local pong = assert(process.spawn("bench:pong", "bench:core1", process.pid()))
  local answers = process.listen("pong")
  local took = {}
  count = math.tointeger(count)
  for i = 1, count do
    time.sleep("3ms")
    local start = time.now()
    process.send(pong, "ping", i)
    answers:receive()
    took[i] = time.now():sub(start):nanoseconds()
  end
  table.sort(took)
  print("value " .. took[count // 2 + 1])
end
--@ pong
return function(to)
  local asked = process.listen("ping")
  while true do
    process.send(to, "pong", (asked:receive()))
  end
end
