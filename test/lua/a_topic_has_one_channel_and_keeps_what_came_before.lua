-- What is sent before its listen waits; a second listen is the same channel.
return function()
  local me = process.pid()
  assert(process.send(me, "early", 1))
  assert(process.send(me, "early", 2))
  assert(process.send(me, "other", "x"))
  local early = process.listen("early")
  assert(early == process.listen("early"))
  assert(early:receive() == 1)
  assert(early:receive() == 2)
  -- The inbox takes what nobody listens to, and listen may still claim it.
  local inbox = process.inbox()
  assert(inbox == process.inbox())
  assert(process.send(me, "late", "y"))
  assert(process.send(me, "late", "z"))
  local message, ok = inbox:receive()
  assert(ok and message:topic() == "other" and message:from() == me)
  assert(message:payload():data() == "x")
  local late = process.listen("late")
  assert(late:receive() == "y" and late:receive() == "z")
  local events = process.events()
  assert(events == process.events())
  for _, topic in ipairs { "", "@x" } do
    local channel, err = process.listen(topic)
    assert(channel == nil and err:kind() == "Invalid")
  end
end
