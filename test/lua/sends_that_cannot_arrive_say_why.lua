return function()
  local function refused(kind, ...)
    local sent, err = process.send(...)
    assert(sent == nil, "it was sent")
    assert(err:kind() == kind, err:kind() .. ": " .. err)
    return err
  end
  assert(refused("NotFound", "nobody", "t", 1):find("not found"))
  refused("NotFound", "{local@system:processes|app:main|1-7f-9}", "t", 1)
  refused("Invalid", "{x", "t", 1)
  refused("Invalid", process.pid(), "", 1)
  refused("Invalid", process.pid(), "@reserved", 1)
  refused("Invalid", process.pid())
  -- A PID whose host or entry does not fit is nobody's.
  refused("NotFound", (process.pid():gsub("app:main", "app:other")), "t", 1)
  local events = process.events()
  local child = assert(process.spawn_monitored("app:brief", "system:processes"))
  assert(events:receive().from == child)
  assert(refused("NotFound", child, "t", 1):find("not found"))
  assert(not pcall(process.send, 1, {}, 1))
end
--@ brief
return function() end
