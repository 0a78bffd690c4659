-- Equal in value, in type (integer or float), and in which tables are one.
local function same(a, b, seen)
  if type(a) ~= "table" then
    return a == b and math.type(a) == math.type(b) or a ~= a and b ~= b
  end
  if type(b) ~= "table" then return false end
  if seen[a] then return seen[a] == b end
  seen[a] = b
  local n = 0
  for k, v in next, a do
    n = n + 1
    if type(k) ~= "table" and not same(v, b[k], seen) then return false end
  end
  for _ in next, b do n = n - 1 end
  return n == 0
end

local function make(depth, made)
  local kind = math.random(depth > 0 and 12 or 8)
  if kind == 1 then return math.random(0) end
  if kind == 2 then return math.random(-200, 200) end
  if kind == 3 then return math.random() * 1e10 end
  if kind == 4 then return math.random(-5, 5) + 0.0 end
  if kind == 5 then return kind % 2 == math.random(0, 1) end
  if kind <= 8 then
    return string.rep(string.char(math.random(0, 255)), math.random(0, 300))
  end
  if kind == 9 and #made > 0 then return made[math.random(#made)] end
  local t = {}
  made[#made + 1] = t
  for i = 1, math.random(0, 8) do t[i] = make(depth - 1, made) end
  for _ = 1, math.random(0, 8) do
    local key = make(0, made)
    if key == key then t[key] = make(depth - 1, made) end
  end
  return t
end

return function()
  local got = process.listen("value")
  local me = process.pid()
  local function cross(value)
    assert(process.send(me, "value", value))
    local back, ok = got:receive()
    assert(ok)
    return back
  end
  for _ = 1, 300 do
    local value = make(5, {})
    assert(same(value, cross(value), {}))
  end
  -- Numbers at their ends, and both zeros.
  for _, n in ipairs { math.maxinteger, math.mininteger, 127, 128, -128, -129, 2^53, 2^63,
    math.huge, -math.huge, 1e-320 } do
    assert(same(n, cross(n), {}))
  end
  assert(1 / cross(-0.0) == -math.huge)
  local nan = cross { 0 / 0 }
  assert(nan[1] ~= nan[1])
  -- Holes stay holes, and keys of any type are kept.
  local t = cross { 1, nil, 3, [1.5] = "float", [true] = "yes", [-1] = "int", [""] = "empty" }
  assert(t[1] == 1 and t[2] == nil and t[3] == 3 and t[1.5] == "float" and t[true] == "yes"
    and t[-1] == "int" and t[""] == "empty")
  -- Tables as keys, circles, sharing.
  local key, circle = { "key" }, {}
  circle.me, circle.list = circle, { circle, key, key }
  circle[key] = key
  local back = cross(circle)
  assert(back.me == back and back.list[1] == back and back.list[2] == back.list[3])
  assert(back[back.list[2]] == back.list[2] and back.list[2][1] == "key")
  -- Without its metatable, and a metamethod is never asked.
  local strange = setmetatable({ 1 }, { __index = error, __len = error, __pairs = error })
  assert(getmetatable(cross(strange)) == nil)
  -- Deep without recursion, wide without end.
  local deep = {}
  for _ = 1, 50000 do deep = { deep } end
  back = cross(deep)
  for _ = 1, 50000 do back = back[1] end
  assert(next(back) == nil)
  local wide = {}
  for i = 1, 50000 do wide[i] = { i } end
  back = cross(wide)
  assert(#back == 50000 and back[50000][1] == 50000)
  -- Errors, times and durations.
  local time = require("time")
  local err = errors.new { message = "it broke", kind = "NotFound", details = { n = 1 } }
  local e = cross { err, time.now(), time.parse_duration and time.parse_duration("2s") }
  assert(tostring(e[1]) == "it broke" and e[1]:kind() == "NotFound" and e[1]:details().n == 1)
  assert(e[2]:unix() > -1)
  -- What cannot cross is named by the path to it.
  local function refused(value, text)
    local sent, why = process.send(me, "value", value)
    assert(sent == nil and why:kind() == "Invalid")
    assert(tostring(why):find(text, 1, true), tostring(why))
  end
  refused(print, "a function")
  refused({ list = { 1, { f = print } } }, "a function, at value.list[2].f")
  refused({ [print] = 1 }, "among its keys")
  refused({ a = { coroutine.create(print) } }, "a coroutine, at value.a[1]")
  refused({ process.inbox() }, "an object that belongs to its process, at value[1]")
  deep = {}
  for _ = 1, 100001 do deep = { deep } end
  refused(deep, "too deep")
end
