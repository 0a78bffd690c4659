local time = require("time")
return function()
  -- Nobody is there: a send is refused at once, with all that it would have sent.
  local none, err = request.send("nobody", { a = 1 },
    { timeout = "1s", context = "mine", blob = "large" })
  assert(none == nil and err:kind() == "NotFound" and err:reason() == "not_found")
  assert(err:original().a == 1 and err:target() == "nobody")
  assert(err:context() == "mine" and err:blob() == "large")
  -- It behaves like its message all the same.
  assert(err:find("nobody") and #err == #tostring(err))
  -- A call that has no answer in time, and one whose answerer ends.
  local server = assert(process.spawn("app:server", "system:processes"))
  none, err = request.call(server, "silence", { timeout = "20ms", context = { 1 }, blob = "b" })
  assert(none == nil and err:reason() == "timeout" and err:target() == server)
  assert(err:original() == "silence" and err:context()[1] == 1 and err:blob() == "b")
  none, err = request.call(server, "die", { context = print })
  assert(none == nil and err:reason() == "died" and err:context() == print)
  -- A reply on the channel has it as well, and knows what kind of reply it is.
  local gone = server
  local handle = request.send(gone, "late", { timeout = "1s", context = "c" })
  if handle then
    local reply = request.replies():receive()
    assert(reply:kind() == "error" and reply:context() == "c" and reply:handle() == handle)
    assert(reply:error():original() == "late" and reply:error():context() == "c")
    assert(reply:body() == nil and not reply:has_blob() and #reply:capabilities() == 0)
  end
  -- Errors of other things have none of these.
  none, err = process.spawn("app:nothing", "system:processes")
  assert(none == nil and err:reason() == "not_found" and err:original() == nil)
  assert(errors.new("mine"):reason() == nil and errors.new("mine"):target() == nil)
  -- An answer that has no one to go to.
  assert(request.send(process.pid(), "note"))
  none, err = request.listen():receive():answer({ late = true })
  assert(none == nil and err:reason() == "not_found" and err:original().late)
end
--@ server
return function()
  local requests = request.listen()
  while true do
    if requests:receive():body() == "die" then error("gone") end
  end
end
