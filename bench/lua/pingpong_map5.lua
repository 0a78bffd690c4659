--@ main
local time = require("time")
return function(count)
  local pong = assert(process.spawn("bench:pong", "bench:core0", process.pid()))
  local answers = process.listen("pong")
  local function play(n)
    for i = 1, n do
      process.send(pong, "ping", {
        id = i, name = "somebody", price = 12.5, open = true,
        items = { 1, 2, 3, 4, 5, 6, 7, 8, 9, i },
      })
      answers:receive()
    end
  end
  count = math.tointeger(count)
  play(count // 10)
  local start = time.now()
  play(count)
  print("value " .. time.now():sub(start):nanoseconds() / count)
end
--@ pong
return function(to)
  local asked = process.listen("ping")
  while true do
    process.send(to, "pong", (asked:receive()))
  end
end
