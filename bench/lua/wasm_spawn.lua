--@ main
local time = require("time")
return function(count)
  local all = {}
  count = math.tointeger(count)
  for i = 1, count do all[i] = false end
  local function start() return assert(process.spawn("bench:echo", "bench:core0")) end
  local function ask(one) assert(request.call(one, "x", { timeout = "60s" })) end
  ask(start())
  print("resident before")
  local began = time.now()
  for i = 1, count do all[i] = start() end
  for i = 1, count do ask(all[i]) end
  print("value " .. time.now():sub(began):nanoseconds() / count)
  print("resident after")
  print("count " .. count)
end
