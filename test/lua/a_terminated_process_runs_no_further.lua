return function()
  local events = process.events()
  local child = assert(process.spawn_monitored("app:ends_itself", "system:processes", process.pid()))
  local event = events:receive()
  assert(event.from == child and event.result.error:find("terminated"))
  assert(channel.select { process.listen("after"):case_receive(), default = true }.default)
end
--@ ends_itself
return function(parent)
  local t <close> = setmetatable({}, { __close = function() process.send(parent, "after", 1) end })
  setmetatable({}, { __gc = function() process.send(parent, "after", 2) end })
  pcall(function()
    process.terminate(process.pid())
    process.send(parent, "after", 3)
  end)
  process.send(parent, "after", 4)
end
