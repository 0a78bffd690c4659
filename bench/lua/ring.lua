--@ main
local time = require("time")
return function(size, rounds)
  local next_one = process.pid()
  for _ = 1, math.tointeger(size) - 1 do
    next_one = assert(process.spawn("bench:link", "bench:core0", next_one))
  end
  local token = process.listen("token")
  local function play(n)
    for i = 1, n do
      process.send(next_one, "token", i)
      token:receive()
    end
  end
  rounds = math.tointeger(rounds)
  play(rounds // 10 + 1)
  local start = time.now()
  play(rounds)
  print("value " .. time.now():sub(start):nanoseconds() / (rounds * math.tointeger(size)))
end
--@ link
return function(to)
  local token = process.listen("token")
  while true do
    process.send(to, "token", (token:receive()))
  end
end
