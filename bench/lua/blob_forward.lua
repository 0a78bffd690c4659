--@ main
local time = require("time")
return function(bytes, count)
  local left = assert(process.spawn("bench:forwarder", "bench:core0"))
  local right = assert(process.spawn("bench:forwarder", "bench:core0"))
  local blob = ("x"):rep(math.tointeger(bytes))
  process.send(left, "other", right)
  process.send(right, "other", left)
  count = math.tointeger(count)
  local function play(n)
    local reply = assert(request.call(left, n, { timeout = "60s", blob = blob }))
    return reply:body()
  end
  play(count // 10)
  print("value " .. play(count) / count)
end
--@ forwarder
local time = require("time")
return function()
  local other = process.listen("other"):receive()
  local asked = request.listen()
  local start
  while true do
    local question = asked:receive()
    local left = question:body()
    if type(left) == "number" then -- the first: from here on it is timed
      left = { start = time.now(), left = left }
    end
    if left.left == 0 then
      question:answer(time.now():sub(left.start):nanoseconds())
    else
      left.left = left.left - 1
      request.send(other, left, { inherit = question })
    end
  end
end
