-- Each form would run for ever. Others go on meanwhile, and after a terminate none of
-- its code runs: whatever it still did would be a message on "alive".
local forms = { "loop", "in_pcall", "pcall_storm", "handler", "in_coroutine", "tasks", "gc",
  "close", "index", "tostring", "sort", "gsub", "pattern", "rep", "concat", "recursion",
  "send_storm", "select_storm", "spawn_storm", "yields", "waits_in_close" }
return function()
  local events, pong, alive = process.events(), process.listen("pong"), process.listen("alive")
  local echo = assert(process.spawn("app:echo", "system:processes"))
  for _, form in ipairs(forms) do
    local child = assert(process.spawn_monitored("app:hostile", "system:processes", form, process.pid()))
    for i = 1, 20 do
      assert(process.send(echo, "ping", { process.pid(), i }))
      assert(pong:receive() == i)
    end
    assert(process.terminate(child))
    local event = events:receive()
    assert(event.kind == "pid.exit" and event.from == child, form)
    assert(event.result.error:find("terminated"), form .. ": " .. event.result.error)
    repeat
      local left = channel.select { alive:case_receive(), default = true }
      assert(left.default or left.value == "storm", form)
    until left.default
  end
  for i = 1, 50 do
    assert(process.send(echo, "ping", { process.pid(), i }))
    assert(pong:receive() == i)
  end
  assert(channel.select { alive:case_receive(), default = true }.default)
end
--@ echo
return function()
  local ping = process.listen("ping")
  while true do
    local m = ping:receive()
    process.send(m[1], "pong", m[2])
  end
end
--@ idle
return function() process.inbox():receive() end
--@ hostile
local parent
local function forever() while true do end end
local function tell() process.send(parent, "alive", "code ran") end
local forms = {}
function forms.loop() forever() end
function forms.in_pcall() pcall(forever) tell() end
function forms.pcall_storm() while true do pcall(error, "x") end end
function forms.handler() xpcall(error, function() forever() end, "x") tell() end
function forms.in_coroutine() coroutine.wrap(function() coroutine.wrap(forever)() end)() tell() end
function forms.tasks()
  for _ = 1, 20 do coroutine.spawn(function() pcall(forever) tell() end) end
  channel.new():receive()
end
function forms.gc()
  setmetatable({}, { __gc = function() forever() tell() end })
  while true do local t = {} end
end
function forms.close()
  pcall(function()
    local guard <close> = setmetatable({}, { __close = function() forever() tell() end })
    error("x")
  end)
end
function forms.index() return setmetatable({}, { __index = function() forever() end }).x end
function forms.tostring() tostring(setmetatable({}, { __tostring = function() forever() end })) end
function forms.sort() table.sort({ 3, 2, 1, 4 }, function() forever() end) end
function forms.gsub() string.gsub("xx", "x", function() forever() end) end
function forms.pattern()
  while true do string.find(string.rep("a", 40), string.rep("a-", 30) .. "b") end
end
function forms.rep() while true do local s = string.rep("x", 1 << 16, ",") end end
function forms.concat()
  local t = {}
  for i = 1, 1000 do t[i] = "some text" end
  while true do local s = table.concat(t, ",") end
end
function forms.recursion()
  local function f(n) return 1 + f(n + 1) end
  while true do pcall(f, 1) end
end
function forms.send_storm() while true do process.send(parent, "alive", "storm") end end
function forms.select_storm()
  local c = channel.new(1)
  while true do
    channel.select { c:case_send(1), default = true }
    channel.select { c:case_receive(), default = true }
  end
end
function forms.spawn_storm()
  while true do
    local pid = process.spawn("app:idle", "system:processes")
    process.terminate(pid)
  end
end
function forms.yields() while true do coroutine.yield() end end
function forms.waits_in_close()
  local guard <close> = setmetatable({}, { __close = function() tell() end })
  local c <close> = setmetatable({}, { __close = function() forever() end })
  channel.new():receive()
end
return function(form, pid)
  parent = pid
  local guard <close> = setmetatable({}, { __close = tell })
  kept = setmetatable({}, { __gc = tell })
  forms[form]()
end
