--@ main
local time = require("time")
return function(count)
  local events = process.events()
  local function play(n)
    for _ = 1, n do
      process.spawn_monitored("bench:child", "bench:core0")
      events:receive()
    end
  end
  count = math.tointeger(count)
  play(count // 10)
  local start = time.now()
  play(count)
  print("value " .. time.now():sub(start):nanoseconds() / count)
end
--@ child
return function() end
