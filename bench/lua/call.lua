--@ main
local time = require("time")
return function(count)
  local server = assert(process.spawn("bench:server", "bench:core0"))
  local context = { reason = "bench" }
  local function play(n)
    for i = 1, n do
      request.call(server, i, { timeout = 5000000000, context = context })
    end
  end
  count = math.tointeger(count)
  play(count // 10)
  local start = time.now()
  play(count)
  print("value " .. time.now():sub(start):nanoseconds() / count)
end
--@ server
return function()
  local asked = request.listen()
  while true do
    local question = asked:receive()
    question:answer(question:body())
  end
end
