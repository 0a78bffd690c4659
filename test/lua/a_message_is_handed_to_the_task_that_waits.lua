-- Handed over, not yet read, and then the process ends: all is given back (the test's
-- harness counts). A process looks for mail every 64 turns, or when no task is ready.
return function()
  for turns = 1, 140 do
    local pid = process.spawn_monitored("app:ends", "system:processes", turns)
    for i = 1, 3 do
      process.send(pid, "work", { i })
      process.send(pid, "other", "text" .. i)
    end
  end
  local events, ended = process.events(), 0
  while ended < 140 do
    local event = events:receive()
    assert(event.kind == process.event.EXIT and event.result.value == "done")
    ended = ended + 1
  end

  -- To whom a text leads does not depend on what was sent before, and where.
  local pids = {}
  for i = 1, 6 do
    pids[i] = process.spawn("app:names", "system:processes", i)
  end
  local mine = process.listen("mine")
  local order = { 1, 1, 1, 2, 1, 2, 2, 3, 3, 4, 4, 4, 5, 1, 6, 6, 6, 2, 2 }
  for round = 1, 20 do
    for _, i in ipairs(order) do
      local text = pids[i]
      if round % 3 == 0 then -- the same text, another string or the same
        text = table.concat({ text:sub(1, 5), text:sub(6) })
        collectgarbage("step")
      end
      assert(process.send(text, "who", process.pid()))
      assert(mine:receive() == i)
    end
    collectgarbage()
  end
  assert(not pcall(process.send, {}, "who"))
  assert(not pcall(process.cancel, {}))
  assert(not process.terminate())
  for i = 1, 6 do
    process.send(pids[i], "who", false)
  end
end
--@ ends
return function(turns)
  local got = 0
  for _, topic in ipairs({ "work", "other" }) do
    coroutine.spawn(function()
      local channel = process.listen(topic)
      while true do
        local value = channel:receive()
        assert(topic == "work" and type(value) == "table" or value:find("text"))
        got = got + 1
      end
    end)
  end
  for _ = 1, turns do
    coroutine.yield()
  end
  return "done"
end
--@ names
return function(i)
  local who = process.listen("who")
  while true do
    local to = who:receive()
    if not to then
      return
    end
    process.send(to, "mine", i)
  end
end
