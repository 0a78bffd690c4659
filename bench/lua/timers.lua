--@ main
local time = require("time")
return function(count)
  count = math.tointeger(count)
  local function play(n)
    local set = {}
    for i = 1, n do set[i] = time.after("1ms") end
    for i = 1, n do set[i]:receive() end
  end
  local round = math.min(count, 50000)
  play(round // 10 + 1)
  local start = time.now()
  for _ = 1, count // round do play(round) end
  print("value " .. time.now():sub(start):nanoseconds() / (count // round * round))
end
