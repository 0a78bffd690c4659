local time = require("time")
return function()
  local events = process.events()
  local told = process.listen("told")
  local function start(name)
    local child = assert(process.spawn_monitored("app:" .. name, "system:processes", process.pid()))
    assert(told:receive() == "ready")
    return child
  end
  -- A duration: the event carries it, and who goes on is ended then.
  local before = time.now()
  local child = start("stubborn")
  assert(process.cancel(child, "50ms"))
  local event = told:receive()
  assert(event.kind == process.event.CANCEL and event.from == process.pid())
  assert(event.deadline > event.at and event.deadline - event.at < 1)
  event = events:receive()
  assert(event.from == child and event.result.error:find("terminated") or true)
  assert(event.result.error ~= nil)
  assert(time.now():sub(before):milliseconds() >= 50)
  -- Milliseconds.
  child = start("obeys")
  assert(process.cancel(child, 5000))
  assert(told:receive().kind == process.event.CANCEL)
  assert(events:receive().result.value == "stopped")
  -- No duration: 30 s that nobody enforces; a reason.
  child = start("obeys")
  assert(process.cancel(child))
  event = told:receive()
  assert(event.deadline - event.at > 29 and event.deadline - event.at < 31)
  assert(events:receive().result.value == "stopped")
  child = start("obeys")
  assert(process.cancel(child, "enough is enough"))
  assert(told:receive().reason == "enough is enough")
  assert(events:receive().result.value == "stopped")
  -- At or below zero: at once.
  child = start("stubborn")
  assert(process.cancel(child, 0))
  assert(events:receive().result.error ~= nil)
  local ok, err = process.cancel(child, "5s")
  assert(ok == nil and err:find("not found"))
  ok, err = process.cancel(process.pid(), {})
  assert(ok == nil and err:kind() == "Invalid")
end
--@ stubborn
return function(parent)
  local events = process.events()
  process.send(parent, "told", "ready")
  while true do process.send(parent, "told", (events:receive())) end
end
--@ obeys
return function(parent)
  local events = process.events()
  process.send(parent, "told", "ready")
  local event = events:receive()
  process.send(parent, "told", event)
  return "stopped"
end
