-- Such chunks run in each process itself, and behave alike.
return function()
  local events = process.events()
  local function value(name)
    assert(process.spawn_monitored("app:" .. name, "system:processes", 7))
    return events:receive().result
  end
  assert(value("prints").value == 7)
  assert(value("draws").value == 7)
  local pid = value("knows").value
  assert(type(pid) == "string" and pid:find("app:knows"))
  assert(value("keeps").value == "a b 3")
  assert(value("waits").error:find("cannot wait"))
  local a, b = value("rolls").value, value("rolls").value
  assert(a ~= b)
end
--@ prints
print("while loading")
return function(x) return x end
--@ draws
local n = math.random(100)
return function(x) assert(n >= 1) return x end
--@ knows
local pid = process.pid()
return function() assert(pid == process.pid()) return pid end
--@ keeps
local c = channel.new(4)
c:send("a")
c:send("b")
local t = setmetatable({}, { __index = function(_, k) return k end })
local co = coroutine.wrap(function() local x = 1 while true do x = x + 1 coroutine.yield(x) end end)
co()
return function() return c:receive() .. " " .. c:receive() .. " " .. co() end
--@ waits
print("slow way")
channel.new():receive()
return function() end
--@ rolls
return function() return math.random(1 << 60) end
