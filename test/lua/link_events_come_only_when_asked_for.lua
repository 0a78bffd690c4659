return function()
  local events = process.events()
  assert(process.set_options { link_events = true, trap_links = true })
  local child = assert(process.spawn("app:child", "system:processes", process.pid()))
  local event = events:receive()
  assert(event.kind == "pid.link.established" and event.from == child)
  assert(process.send(child, "go"))
  event = events:receive()
  assert(event.kind == "pid.link.removed" and event.from == child)
  local ok, err = process.set_options { bogus = 1 }
  assert(ok == false and err:find("bogus"))
  ok, err = process.set_options { trap_links = "yes" }
  assert(ok == false and err:find("boolean"))
  ok, err = process.set_options(7)
  assert(ok == false and err:find("table"))
end
--@ child
return function(parent)
  assert(process.link(parent))
  process.inbox():receive()
  assert(process.unlink(parent))
  process.inbox():receive()
end
