--@ main
local time = require("time")
return function(count)
  local echo = assert(process.spawn("bench:echo", "bench:core0"))
  local pinger = assert(process.spawn("bench:pinger", "bench:core0"))
  local address = "local@" .. echo:match("|([^|]+)}$") .. ":bench:local"
  local function play(n)
    assert(request.call(pinger, n .. " " .. address, { timeout = "300s" }))
  end
  count = math.tointeger(count)
  play(count // 10 + 1)
  local began = time.now()
  play(count)
  print("value " .. time.now():sub(began):nanoseconds() / count)
end
