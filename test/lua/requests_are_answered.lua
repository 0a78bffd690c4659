local time = require("time")
return function()
  local server = assert(process.spawn("app:server", "system:processes"))
  -- A call waits for its answer.
  local reply = assert(request.call(server, { op = "add", a = 1, b = 2 }))
  assert(reply:body() == 3 and reply:source() == server)
  assert(request.call(server, "bytes"):body() == "you said bytes")
  -- Blob and metadata travel with it.
  reply = assert(request.call(server, { op = "blob" }, { blob = "\0raw", metadata = "m" }))
  assert(reply:blob() == "\0raw!" and reply:metadata() == "m")
  -- Errors: nobody there, no answer in time, the answerer ends.
  local none, err = request.call("nobody", 1)
  assert(none == nil and err:kind() == "NotFound")
  none, err = request.call(server, { op = "ignore" }, { timeout = "20ms" })
  assert(none == nil and err:kind() == "Timeout" and err:original().op == "ignore")
  assert(err:find("no answer came in time: " .. server, 1, true), tostring(err))
  -- Not awaited: the reply brings back its context, whatever that is.
  local context = { on = function() end }
  local replies = request.replies()
  local handle = assert(request.send(server, { op = "add", a = 3, b = 4 },
    { timeout = "1s", context = context }))
  reply = replies:receive()
  assert(reply:handle() == handle and reply:context() == context and reply:body() == 7)
  assert(reply:error() == nil)
  -- Without a timeout no answer is wanted.
  assert(request.send(server, { op = "note" }) == true)
  local calls = channel.new()
  for i = 1, 5 do
    coroutine.spawn(function()
      calls:send(request.call(server, { op = "add", a = i, b = 0 }):body() == i)
    end)
  end
  for _ = 1, 5 do assert(calls:receive()) end
  none, err = request.call(server, { op = "die" })
  assert(none == nil and err:kind() == "Unavailable", tostring(err))
  handle = request.send(server, 1, { timeout = "1s", context = "late" })
  assert(handle == nil or replies:receive():error() ~= nil)
  assert(not pcall(request.call, server, 1, { timeout = "no" }))
end
--@ server
return function()
  local requests = request.listen()
  local noted
  while true do
    local r = requests:receive()
    local body = r:body()
    if type(body) == "string" then
      assert(r:answer("you said " .. body))
      local again, err = r:answer("twice")
      assert(again == nil and err)
    elseif body.op == "add" then
      assert(r:expects() and r:deadline():seconds() > 0)
      assert(r:answer(body.a + body.b))
    elseif body.op == "blob" then
      assert(r:answer(nil, { blob = r:blob() .. "!", metadata = r:metadata() }))
    elseif body.op == "note" then
      assert(not r:expects() and r:deadline() == nil)
      local no, err = r:answer(1)
      assert(no == nil and err)
    elseif body.op == "die" then
      error("server dies")
    end
  end
end
