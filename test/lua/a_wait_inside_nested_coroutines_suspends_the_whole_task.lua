local time = require("time")
return function()
  local c = channel.new()
  -- A generator that waits inside, and yields too.
  local function generator()
    return coroutine.wrap(function(first)
      assert(first == "go")
      local v = c:receive()
      local more = coroutine.yield(v)
      assert(more == "again")
      local inner = coroutine.create(function(x)
        local w = c:receive()
        time.sleep("1ms")
        return x + w
      end)
      local ok, sum = coroutine.resume(inner, 100)
      assert(ok and coroutine.status(inner) == "dead")
      coroutine.yield(sum)
      return "end"
    end)
  end
  coroutine.spawn(function() c:send(1) c:send(2) end)
  local g = generator()
  assert(g("go") == 1)
  assert(g("again") == 102)
  assert(g() == "end")
  assert(not pcall(g))
  -- Plain coroutines are Lua's own.
  local co = coroutine.create(function(a)
    local b = coroutine.yield(a + 1)
    error("bad " .. b)
  end)
  assert(select(2, coroutine.resume(co, 1)) == 2)
  local ok, err = coroutine.resume(co, "x")
  assert(ok == false and err:find("bad x"))
  assert(coroutine.resume(co) == false)
  -- A waiting coroutine is nobody else's.
  local waiting
  coroutine.spawn(function()
    waiting = coroutine.create(function() return c:receive() end)
    local ok, v = coroutine.resume(waiting)
    assert(ok and v == "mine")
    c:send("done")
  end)
  coroutine.yield()
  assert(coroutine.status(waiting) == "normal")
  assert(coroutine.resume(waiting) == false)
  assert(not pcall(coroutine.close, waiting))
  c:send("mine")
  assert(c:receive() == "done")
  -- pcall and iterators may wait too; what C calls back may not.
  coroutine.spawn(function() c:send("in pcall") c:send("in loop") end)
  local ok, v = pcall(c.receive, c)
  assert(ok and v == "in pcall")
  for v in function() return (c:receive()) end do
    assert(v == "in loop")
    break
  end
  local ok, err = pcall(table.sort, { 1, 2, 3 }, function() c:receive() end)
  assert(not ok and err:find("cannot wait"))
  local ok, err = pcall(string.gsub, "x", "x", function()
    local co = coroutine.wrap(function() return c:receive() end)
    return co()
  end)
  assert(not ok and err:find("cannot wait"))
  -- Many tasks, in turn.
  local n, done = 0, channel.new()
  for i = 1, 200 do
    coroutine.spawn(function()
      time.sleep(i * time.MICROSECOND)
      n = n + 1
      if n == 200 then done:send(true) end
    end)
  end
  done:receive()
  assert(n == 200)
end
