return function()
  local registry, me = process.registry, process.pid()
  assert(registry.register("boss"))
  assert(registry.register("boss")) -- again is no error
  assert(registry.lookup("boss") == me)
  assert(process.send("boss", "t", "by name"))
  assert(process.listen("t"):receive() == "by name")
  local found, err = registry.lookup("nobody")
  assert(found == nil and err:kind() == "NotFound")
  local events = process.events()
  local child = assert(process.spawn_monitored("app:child", "system:processes", me))
  local ready = process.listen("ready")
  assert(ready:receive() == "AlreadyExists")
  -- The registrar and the owner may unregister, and a name goes with its process.
  assert(registry.register("helper", child))
  assert(registry.lookup("helper") == child)
  local taken, why = registry.register("helper", me)
  assert(taken == nil and why:kind() == "AlreadyExists")
  assert(registry.unregister("helper") == true)
  assert(registry.unregister("helper") == false)
  assert(registry.register("helper", child))
  assert(process.send("helper", "stop", true))
  assert(events:receive().from == child)
  assert(registry.register("helper") == true)
  -- What parses as an id is no name.
  for _, bad in ipairs { me, "a@b:c:d", "", "b:c:d" } do
    local no, err = registry.register(bad)
    assert(no == nil and err:kind() == "Invalid", bad .. " " .. tostring(err))
  end
  local no, err = registry.register("x", "{local@system:processes|app:main|1-ff-1}")
  assert(no == nil and err:kind() == "NotFound")
end
--@ child
return function(parent)
  local ok, err = process.registry.register("boss")
  process.send(parent, "ready", not ok and err:kind())
  process.listen("stop"):receive()
end
