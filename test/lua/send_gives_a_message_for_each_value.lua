return function()
  local me = process.pid()
  local t = process.listen("t")
  assert(process.send(me, "t", 1, "two", { three = 3 }))
  assert(t:receive() == 1)
  assert(t:receive() == "two")
  assert(t:receive().three == 3)
  -- None is one message with nil.
  assert(process.send(me, "t"))
  local value, ok = t:receive()
  assert(value == nil and ok == true)
  -- All or none: the second cannot be sent, so the first is not.
  local sent, err = process.send(me, "t", 1, print)
  assert(sent == nil and err:kind() == "Invalid", tostring(err))
  assert(process.send(me, "t", "only"))
  assert(t:receive() == "only")
  -- Channels, messages and coroutines never cross.
  for _, bad in ipairs { channel.new(), coroutine.create(print), { channel.new() } } do
    local sent, err = process.send(me, "t", bad)
    assert(sent == nil and err ~= nil)
  end
  -- Copied at the call.
  local table = { n = 1 }
  assert(process.send(me, "t", table))
  table.n = 2
  assert(t:receive().n == 1)
end
