local time = require("time")
local function send_request(target, data)
  local inbox = process.inbox()
  assert(process.send(target, "request", { data = data, reply_to = process.pid() }))
  local timeout = time.after("5s")
  local result = channel.select({ inbox:case_receive(), timeout:case_receive() })
  if result.channel == timeout then return nil, "timeout" end
  return result.value:payload():data()
end
return function()
  local responder = assert(process.spawn("app:responder", "system:processes"))
  assert(send_request(responder, 20) == 40)
  assert(send_request(responder, "x") == nil)
  local deaf = assert(process.spawn("app:deaf", "system:processes"))
  local answer, err = send_request(deaf, 1)
  assert(answer == nil and err == "timeout")
end
--@ responder
local function handle_request(msg)
  local request = msg:payload():data()
  local result = type(request.data) == "number" and request.data * 2 or nil
  if request.reply_to then process.send(request.reply_to, "response", result) end
end
return function()
  local inbox = process.inbox()
  while true do handle_request((inbox:receive())) end
end
--@ deaf
return function() process.listen("nothing"):receive() end
