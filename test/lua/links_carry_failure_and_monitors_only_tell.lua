return function()
  local events, up = process.events(), process.listen("up")
  -- Who does not trap dies with the peer's error.
  local pair = assert(process.spawn_monitored("app:pair", "system:processes", process.pid()))
  local event = events:receive()
  assert(event.from == pair and event.result.error:find("^linked process failed"))
  assert(event.result.error:find("it is broken"))
  -- Who traps gets LINK_DOWN with the peer's error; EXIT comes before it.
  assert(process.set_options { trap_links = true })
  assert(process.get_options().trap_links == true)
  local child = assert(process.spawn_linked_monitored("app:fails", "system:processes"))
  event = events:receive()
  assert(event.kind == process.event.EXIT and event.from == child)
  event = events:receive()
  assert(event.kind == process.event.LINK_DOWN and event.from == child)
  assert(event.result.error:find("it is broken"))
  -- A normal end is no failure.
  child = assert(process.spawn_linked_monitored("app:ends", "system:processes"))
  event = events:receive()
  assert(event.kind == process.event.EXIT)
  assert(channel.select { events:case_receive(), default = true }.default)
  -- Existing processes: link again is fine, a second monitor is not.
  child = assert(process.spawn("app:waits", "system:processes"))
  assert(process.link(child) and process.link(child))
  assert(process.monitor(child))
  local again, err = process.monitor(child)
  assert(again == nil and err:kind() == "AlreadyExists")
  assert(process.unmonitor(child) and process.unmonitor(child))
  assert(process.unlink(child) and process.unlink(child))
  assert(process.monitor(child))
  assert(process.terminate(child))
  event = events:receive()
  assert(event.kind == process.event.EXIT and event.from == child)
  assert(channel.select { events:case_receive(), default = true }.default)
  -- The dead cannot be watched.
  local dead, why = process.monitor(child)
  assert(dead == nil and why:find("not found"))
  dead, why = process.link(child)
  assert(dead == nil and why:find("not found"))
  dead, why = process.terminate("nobody")
  assert(dead == nil and why:find("not found"))
end
--@ pair
return function(boss)
  assert(process.spawn_linked("app:fails", "system:processes"))
  process.inbox():receive()
end
--@ fails
return function() error("it is broken") end
--@ ends
return function() return 1 end
--@ waits
return function() process.inbox():receive() end
