return function()
  local function refused(kind, ...)
    local child, err = process.spawn(...)
    assert(child == nil and err:kind() == kind, tostring(err))
  end
  refused("NotFound", "app:absent", "system:processes")
  refused("NotFound", "app:waits", "no:host")
  refused("Invalid", "app:waits")
  refused("Invalid", "app:waits", "system:processes", print)
  -- A bare host is looked up here, then in system; this one takes two.
  assert(process.spawn("waits", "processes"))
  assert(process.spawn("app:waits", "few"))
  assert(process.spawn("app:waits", "few"))
  refused("RateLimited", "app:waits", "few")
end
--@ waits
return function() process.inbox():receive() end
