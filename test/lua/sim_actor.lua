-- An actor of the simulation of both kinds (src/svc/both_sim_test.c): does what its
-- messages say, and tells the test what it does and sees in lines that begin with @.
--
-- A message is "NUMBER COMMAND ...", a question "?NUMBER HOW ...". What may come true
-- before it can be told is told before, and then what came of it.
local time = require("time")
local me, late, numbers = process.pid(), {}, {}

local function tell(...)
  print("@" .. table.concat({ ... }, " "))
end

local function send(to, text)
  local n = numbers[to] or 0
  tell("sending", to)
  local ok = process.send(to, "t", n .. " " .. text)
  if ok then numbers[to] = n + 1 end
  tell("sent", to, ok and 1 or 0)
end

-- --- Questions ---------------------------------------------------------------------

local function pass_on(r, q, rest)
  local to, how = rest:match("^(%S+) (.*)$")
  request.send(to, "?" .. q .. " " .. how, { inherit = r })
end

local answers = {}
function answers.now(r, q) r:answer(q) end
function answers.blob(r, q) r:answer(q, { blob = string.rep("b", 20000) .. (r:blob() or "") }) end
function answers.late(r, q) late[#late + 1] = { r, q } end
function answers.never() end
function answers.fail() error("as told") end
function answers.pass(r, q, rest) pass_on(r, q, rest) end
function answers.both(r, q, rest) pass_on(r, q, rest) r:answer(q) end
function answers.help(r, q, rest)
  local to, other, ms, how = rest:match("^(%S+) (%S+) (%S+) (.*)$")
  if not request.send(to, "?" .. other .. " " .. how, { timeout = ms .. "ms", context = { r, q } }) then
    r:answer(q)
  end
end
function answers.twice(r, q)
  local first = r:answer(q)
  if first and r:answer(q) then tell("wrong", "a second answer was taken") end
end

local function hear_question(r)
  local q, how, rest = r:body():match("^%?(%S+) (%S+) ?(.*)$")
  if q and r:expects() then answers[how](r, q, rest) end
end

-- --- Requests ----------------------------------------------------------------------

local function options(q, ms)
  return { timeout = ms .. "ms", context = q, metadata = "m", blob = q % 3 == 0 and q or nil }
end

local function hear_reply(reply)
  local context = reply:context()
  if type(context) == "table" then
    context[1]:answer(context[2])
  elseif reply:error() then
    tell("reply", context, 0, 0)
  else
    tell("reply", context, 1, reply:body())
  end
end

local commands = {}

function commands.ask(to, q, ms, how)
  if not request.send(to, "?" .. q .. " " .. how, options(q, ms)) then tell("unask", q) end
end

function commands.call(to, q, ms, how)
  local reply, err = request.call(to, "?" .. q .. " " .. how, options(q, ms))
  if reply then
    if reply:context() ~= q then tell("wrong", "another context") end
    tell("reply", q, 1, reply:body())
  else
    tell("reply", q, 0, 0)
  end
end

function commands.settle()
  for _, one in ipairs(late) do one[1]:answer(one[2]) end
  late = {}
end

-- --- Messages ----------------------------------------------------------------------

function commands.note() end
function commands.relay(origin, m, to) send(to, "relayed " .. origin .. " " .. m) end
function commands.fill(to, k)
  for _ = 1, k do send(to, "note") end
end
function commands.blobs(to) request.send(to, "?0 never", { blob = string.rep("x", 30000) }) end

-- --- Others ------------------------------------------------------------------------

local spawns = { [""] = "spawn", m = "spawn_monitored", l = "spawn_linked",
  lm = "spawn_linked_monitored" }

function commands.spawn(entry, how)
  how = how or ""
  local pid = process[spawns[how]](entry, "system:processes", me, how)
  if pid then tell("born", pid, how) end
end

function commands.monitor(to)
  local ok, err = process.monitor(to)
  if ok then tell("monitor", to) end
end

function commands.unmonitor(to)
  tell("unmonitoring", to)
  process.unmonitor(to)
  tell("unmonitored", to)
end

function commands.link(to)
  tell("linking", to)
  if process.link(to) then tell("link", to) end
end

function commands.unlink(to)
  tell("unlinking", to)
  process.unlink(to)
end

function commands.kill(to) process.terminate(to) end
function commands.cancel(to, ms) process.cancel(to, ms .. "ms") end
function commands.register(name, to) process.registry.register(name) end
function commands.unregister(name) process.registry.unregister(name) end
function commands.lookup(name) print("lookup", process.registry.lookup(name)) end
function commands.traps(yes) process.set_options { trap_links = yes == "1", link_events = yes == "1" } end

-- --- Oneself -----------------------------------------------------------------------

function commands.spin(n)
  local x = 0
  for i = 1, n do x = x + i end
  local t = {}
  for i = 1, n // 10 do t[i] = math.random(1000) end
  table.sort(t)
  print("spun", x, t[1], string.rep("ab", n // 100):find("a-b-c"))
end

-- All that could differ between two runs of a seed.
function commands.show()
  local t = {}
  for i = 1, 6 do
    t[{}], t[function() end], t["k" .. math.random(1000)], t[i / 2] = i, i, i, i
  end
  local s = {}
  for _, v in pairs(t) do s[#s + 1] = v end
  print("show", table.concat(s), math.random(1 << 40), math.random(), tostring(t), string.format("%p", s), print,
    time.now():unix_nano(), collectgarbage("count"))
end

function commands.sleep(ms) time.sleep(ms .. "ms") end
function commands.garbage(n)
  for i = 1, n do
    setmetatable({ string.rep("g", i) }, { __gc = function() late = late end })
  end
end
function commands.error() error("as told") end
commands["return"] = function() return true end

local function hear_message(from, text)
  local number, command, rest = text:match("^(w?%d+) (%S+) ?(.*)$")
  tell("got", from, number)
  if command == "relayed" then
    tell("relayed", from, rest)
    return
  elseif command == "ask" or command == "call" then
    return commands[command](rest:match("^(%S+) (%S+) (%S+) (.*)$"))
  end
  local args = {}
  for word in rest:gmatch("%S+") do args[#args + 1] = word end
  return commands[command](table.unpack(args))
end

local function hear_event(event)
  if event.kind == process.event.EXIT then
    tell("exit", event.from, event.result.error and 1 or 0)
  elseif event.kind == process.event.LINK_DOWN then
    tell("down", event.from)
  elseif event.kind == process.event.CANCEL then
    return math.random(2) == 1
  end
end

return function(parent, how)
  if how and how:find("l") then tell("link", parent) end
  local inbox, events = process.inbox(), process.events()
  local questions, replies = request.listen(), request.replies()
  local is_over
  repeat
    local got = channel.select { inbox:case_receive(), events:case_receive(),
      questions:case_receive(), replies:case_receive() }
    local value = got.value
    if got.channel == inbox then
      is_over = hear_message(value:from(), value:payload():data())
    elseif got.channel == events then
      is_over = hear_event(value)
    elseif got.channel == replies then
      hear_reply(value)
    elseif value:expects() or value:body():sub(1, 1) == "?" then
      hear_question(value)
    else
      is_over = hear_message(value:source(), value:body())
    end
  until is_over
end
