return function()
  -- Unbuffered: a send waits for a receive.
  local c, log = channel.new(), {}
  coroutine.spawn(function()
    for i = 1, 3 do c:send(i) log[#log + 1] = "sent " .. i end
    c:close()
  end)
  for i = 1, 3 do
    local v, ok = c:receive()
    assert(v == i and ok == true)
  end
  local v, ok = c:receive()
  assert(v == nil and ok == false)
  v, ok = c:receive()
  assert(v == nil and ok == false and #log == 3)
  -- Buffered: room for two; nil is a value; what is buffered outlives the close.
  c = channel.new(2)
  assert(c:send(nil) == true and c:send("b") == true)
  assert(channel.select { c:case_send(1), default = true }.default)
  c:close()
  v, ok = c:receive()
  assert(v == nil and ok == true)
  assert(c:receive() == "b")
  v, ok = c:receive()
  assert(v == nil and ok == false)
  -- Wrong uses raise.
  assert(not pcall(c.send, c, 1))
  assert(not pcall(c.close, c))
  assert(not pcall(channel.new, -1))
  assert(not pcall(c.receive, {}))
  -- A blocked sender's value moves up, in order.
  c = channel.new(1)
  for i = 1, 4 do coroutine.spawn(function() c:send(i) end) end
  coroutine.yield()
  for i = 1, 4 do assert(c:receive() == i) end
  -- Blocked receivers are served in order, and wake at a close.
  local got = {}
  c = channel.new()
  for i = 1, 3 do
    coroutine.spawn(function()
      local v, ok = c:receive()
      got[i] = ok and v or "closed"
    end)
  end
  coroutine.yield()
  c:send("x")
  c:send("y")
  c:close()
  coroutine.yield()
  assert(got[1] == "x" and got[2] == "y" and got[3] == "closed")
  -- A sender that waits when it closes is raised to.
  c = channel.new()
  local raised
  coroutine.spawn(function() raised = not pcall(c.send, c, 1) end)
  coroutine.yield()
  c:close()
  coroutine.yield()
  assert(raised == true)
  -- Values pass by reference.
  c = channel.new(1)
  local t = { print }
  c:send(t)
  assert(c:receive() == t)
end
