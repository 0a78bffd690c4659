return function()
  local events = process.events()
  local function value(name)
    assert(process.spawn_monitored("app:" .. name, "system:processes"))
    return events:receive().result.value
  end
  assert(value("both") == "run")
  assert(value("only_main") == "main")
  assert(value("bare") == "bare")
  assert(value("named") == "other")
  local function refused(name, text)
    local child, err = process.spawn("app:" .. name, "system:processes")
    assert(child == nil and err:kind() == "Invalid", tostring(child))
    assert(err:find(text, 1, true), tostring(err))
  end
  refused("missing", "no method 'absent'")
  refused("missing", "exports")
  refused("missing", "there")
  refused("nothing", "returns nil")
  refused("fails", "broken at load")
end
--@ both
return { main = function() return "main" end, run = function() return "run" end }
--@ only_main
return { main = function() return "main" end }
--@ bare
return function() return "bare" end
--@ named other
return { run = function() return "run" end, other = function() return "other" end }
--@ missing absent
return { there = function() end }
--@ nothing
local x = 1
--@ fails
error("broken at load")
