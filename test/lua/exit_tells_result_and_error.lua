return function()
  local events = process.events()
  local function ends(name, ...)
    local child = assert(process.spawn_monitored("app:" .. name, "system:processes", ...))
    local event, ok = events:receive()
    assert(ok and event.kind == process.event.EXIT and event.from == child)
    assert(event.event.kind == event.kind and event.event.from == child)
    assert(type(event.at) == "number" and event.event.at == event.at)
    return event.result
  end
  local result = ends("adds", 2, 40)
  assert(result.value.sum == 42 and result.error == nil)
  assert(result.payload:data().sum == 42)
  result = ends("raises")
  assert(result.value == nil and result.error:find("it is broken"), tostring(result.error))
  result = ends("second")
  assert(result.value == nil and tostring(result.error) == "second result")
  assert(ends("object").error:find("no luck"))
  assert(ends("object").error:find("^no luck$"))
  assert(ends("third").value == 1)
  assert(ends("silent").value == nil)
  assert(ends("unsendable").value == nil)
  assert(ends("table_error").error:find("table"))
  assert(ends("in_a_coroutine").error:find("deep down"))
  assert(ends("leaves_workers").value == "done")
end
--@ adds
return { run = function(a, b) return { sum = a + b } end }
--@ raises
return function() error("it is broken") end
--@ second
return function() return nil, "second result" end
--@ object
return function() return nil, errors.new { message = "no luck", kind = "Internal" } end
--@ third
return function() return 1, { "ignored" } end
--@ silent
return function() end
--@ unsendable
return function() return print end
--@ table_error
return function() error(setmetatable({}, { __tostring = function() while true do end end })) end
--@ in_a_coroutine
return function()
  coroutine.spawn(function() error("deep down") end)
  channel.new():receive()
end
--@ leaves_workers
return function()
  for _ = 1, 10 do coroutine.spawn(function() channel.new():receive() end) end
  coroutine.spawn(function() while true do end end)
  return "done"
end
