-- Run with a memory limit of some megabytes.
return function()
  local events = process.events()
  local function ends(form)
    local child = assert(process.spawn_monitored("app:greedy", "system:processes", form))
    local event = events:receive()
    assert(event.from == child)
    return event.result
  end
  for _, form in ipairs { "tables", "rep", "doubling", "coroutines", "tasks", "channel", "mail" } do
    local result = ends(form)
    assert(result.error and result.error:find("memory limit of"), form .. ": " .. tostring(result.error))
  end
  -- Caught, it is an error like others; deep recursion too.
  assert(ends("caught").value == "caught")
  assert(ends("deep").value > 100000)
  assert(ends("nested_coroutines").value == "bounded")
end
--@ greedy
local forms = {}
function forms.tables() local t = {} while true do t[#t + 1] = { 1, 2, 3 } end end
function forms.rep() return #string.rep("x", 1 << 30) end
function forms.doubling() local s = "x" while true do s = s .. s end end
function forms.coroutines() local t = {} while true do t[#t + 1] = coroutine.create(print) end end
function forms.tasks() while true do coroutine.spawn(print) end end
function forms.channel()
  local c = channel.new(1 << 40)
  while true do c:send({}) end
end
function forms.mail()
  local t, me = {}, process.pid()
  local topic = process.listen("t")
  while true do
    process.send(me, "t", string.rep("x", 1000))
    t[#t + 1] = topic:receive()
  end
end
function forms.caught()
  for _ = 1, 10 do assert(not pcall(string.rep, "x", 1 << 30)) end
  return "caught"
end
function forms.deep()
  local function f(n) if n == 0 then return 0 end return 1 + f(n - 1) end
  return f(150000)
end
function forms.nested_coroutines()
  local function f() return coroutine.wrap(f)() end
  assert(not pcall(f))
  return "bounded"
end
return function(form) return forms[form]() end
