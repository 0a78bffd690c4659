local time = require("time")
return function()
  local me = process.pid()
  local own = { process.inbox(), process.events(), process.listen("t"), time.after("1s") }
  for _, c in ipairs(own) do
    assert(not pcall(c.close, c))
    assert(not pcall(c.send, c, 1))
    assert(not pcall(c.case_send, c, 1))
  end
  -- unlisten closes: what is queued stays, what comes goes to the inbox.
  local t = own[3]
  process.send(me, "t", 1)
  process.send(me, "t", 2)
  assert(t:receive() == 1)
  assert(process.unlisten(t) == true)
  process.send(me, "t", 3)
  assert(own[1]:receive():topic() == "t")
  local v, ok = t:receive()
  if ok then v, ok = t:receive() end
  assert(v == nil and ok == false)
  local no, err = process.unlisten(t)
  assert(no == false and err:find("not found"))
  assert(process.listen("t") ~= t)
  -- Who waits wakes.
  local woke = channel.new(1)
  local u = process.listen("u")
  coroutine.spawn(function() local _, ok = u:receive() woke:send(ok) end)
  coroutine.yield()
  process.unlisten(u)
  assert(woke:receive() == false)
  -- Message mode.
  local m = process.listen("m", { message = true })
  process.send(me, "m", { 7 })
  local message = m:receive()
  assert(message:topic() == "m" and message:payload():data()[1] == 7 and message:from() == me)
end
