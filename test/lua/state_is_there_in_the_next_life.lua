local life = require("life")
local state = require("state")
local time = require("time")
local function run(what)
  local child = assert(life.spawn{ entry = "app:keeper", name = "keeper", monitored = true,
    args = { what } })
  local event = process.events():receive()
  assert(event.kind == "pid.exit" and event.from == child, event.kind)
  assert(not event.result.error, tostring(event.result.error))
  return event.result.value
end
return function()
  assert(state.get() == nil)
  assert(run("get") == nil)
  -- Bytes, and values as they were.
  assert(run("bytes") == true and run("get") == "a\0b")
  assert(run("values") == true and run("check") == true)
  assert(run("clear") == true and run("get") == nil)
  -- Each process has its own.
  assert(run("bytes") == true and state.get() == nil)
  assert(state.set("mine") and run("get") == "a\0b" and state.get() == "mine")
  -- Others run on meanwhile, and each gets what it asked for.
  local done = channel.new(10)
  for i = 1, 5 do
    coroutine.spawn(function() done:send(state.set({ i })) end)
    coroutine.spawn(function() done:send(type(state.get()) ~= "number") end)
  end
  for _ = 1, 10 do assert(done:receive() == true) end
  assert(type(state.get()) == "table")
  -- A string that looks like our mark is a string.
  assert(state.set("\0thole term 1\0rubbish") and state.get() == "\0thole term 1\0rubbish")
  -- What cannot be kept is told.
  local no, err = state.set(print)
  assert(no == nil and err:kind() == "Invalid")
  no, err = state.set(("x"):rep(64 * 1024 * 1024 + 1))
  assert(no == nil and err:find("67108864"), tostring(err))
  assert(not pcall(state.set))
  local ok, why = pcall(table.sort, { 1, 2 }, function() return state.get() end)
  assert(not ok and why:find("cannot wait here"))
end
--@ keeper
local state = require("state")
return function(what)
  if what == "get" then return (state.get()) end
  if what == "bytes" then return state.set("a\0b") end
  if what == "clear" then return state.clear() end
  if what == "values" then
    local t = { 1, 2.5, nil, "x", deep = { [true] = 1 } }
    t.me = t
    return state.set(t)
  end
  local t = state.get()
  return t[1] == 1 and math.type(t[1]) == "integer" and t[2] == 2.5 and t.deep[true] == 1 and t.me == t
end
