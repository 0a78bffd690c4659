local time = require("time")
return function()
  local a, b, full = channel.new(1), channel.new(1), channel.new()
  local r = channel.select { a:case_receive(), b:case_receive(), default = true }
  assert(r.default == true and r.ok == true and r.channel == nil)
  assert(channel.select({ a:case_receive() }, true).default)
  b:send("b")
  r = channel.select { a:case_receive(), b:case_receive(), default = true }
  assert(r.channel == b and r.value == "b" and r.ok == true and r.default == nil)
  r = channel.select { a:case_send("v"), full:case_receive() }
  assert(r.channel == a and r.ok == true and r.value == "v")
  assert(a:receive() == "v")
  -- Wait: who serves one withdraws the others.
  coroutine.spawn(function() full:send("late") end)
  r = channel.select { a:case_receive(), full:case_receive(), b:case_receive() }
  assert(r.channel == full and r.value == "late")
  assert(a:send("free") and b:send("free"))
  assert(a:receive() == "free" and b:receive() == "free")
  -- Wait to send.
  local got
  coroutine.spawn(function() got = full:receive() end)
  r = channel.select { full:case_send("given"), a:case_receive() }
  assert(r.channel == full and r.value == "given" and r.ok)
  coroutine.yield()
  assert(got == "given")
  -- Closed channels are ready, with an error; a send too.
  a:close()
  r = channel.select { a:case_receive() }
  assert(r.channel == a and r.ok == false and r.value == nil and r.error:find("closed"))
  r = channel.select { a:case_send(1) }
  assert(r.channel == a and r.ok == false and r.error:find("closed"))
  local closing = channel.new()
  coroutine.spawn(function() closing:close() end)
  r = channel.select { closing:case_send(1), full:case_receive() }
  assert(r.channel == closing and r.ok == false and r.error)
  -- Duplicates are fine, other things are not.
  coroutine.spawn(function() full:send("once") end)
  r = channel.select { full:case_receive(), full:case_receive() }
  assert(r.value == "once")
  assert(not pcall(channel.select, { full:case_receive(), 7 }))
  assert(not pcall(channel.select, { full }))
  assert(not pcall(channel.select, 7))
  -- No case starves: the start rotates.
  local x, y, counts = channel.new(1), channel.new(1), {}
  for _ = 1, 100 do
    if channel.select { x:case_send(1), default = true }.ok then end
    if channel.select { y:case_send(1), default = true }.ok then end
    local r = channel.select { x:case_receive(), y:case_receive() }
    counts[r.channel] = (counts[r.channel] or 0) + 1
  end
  assert(counts[x] > 30 and counts[y] > 30)
  -- A timeout is a channel like any other.
  local timeout = time.after("20ms")
  r = channel.select { full:case_receive(), process.inbox():case_receive(), timeout:case_receive() }
  assert(r.channel == timeout and r.ok and r.value:unix() >= 0)
  r = channel.select { full:case_receive(), timeout:case_receive() }
  assert(r.channel == timeout and r.ok == false)
end
