--@ main
local time = require("time")
return function(count, host, kind)
  local pong = assert(process.spawn("bench:" .. (kind or "pong"), host or "bench:core0", process.pid()))
  local answers = process.listen("pong")
  local function play(n)
    for i = 1, n do
      process.send(pong, "ping", i)
      answers:receive()
    end
  end
  count = math.tointeger(count)
  play(count // 10)
  local start = time.now()
  play(count)
  print("value " .. time.now():sub(start):nanoseconds() / count)
end
--@ pong foreign_pong
return function(to)
  local asked = process.listen("ping")
  while true do
    process.send(to, "pong", (asked:receive()))
  end
end
