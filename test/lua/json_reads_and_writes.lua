return function()
  local json = require("json")
  local function writes(value, text)
    local got, err = json.encode(value)
    assert(got == text, tostring(got) .. tostring(err))
  end
  writes({ 1, 2, { a = true } }, '[1,2,{"a":true}]')
  writes({ [1] = "a", [2] = "b" }, '["a","b"]')
  writes({}, "[]")
  writes("é\"\n", '"é\\"\\n"')
  writes(nil, "null")
  writes({ x = 0 / 0, y = 1 / 0 }, '{"x":null,"y":null}')
  writes(10 / 2, "5")
  local function fails(value, text)
    local got, err = json.encode(value)
    assert(got == nil and err:kind() == "Internal" and err:find(text, 1, true), tostring(err))
  end
  fails({ 1, nil, 3 }, "hole")
  fails({ [1] = 1, [3] = 3 }, "hole")
  fails({ 1, a = 2 }, "both strings and numbers")
  fails({ [1.5] = 1 }, "neither")
  fails(print, "a function")
  fails("\xff", "UTF-8")
  local circle = {}
  circle[1] = circle
  fails(circle, "contains itself")
  local deep = {}
  for _ = 1, 129 do deep = { deep } end
  fails(deep, "too deep")

  local v = assert(json.decode('{"a":[1,2.5,"x",null,true],"b":{"c":false},"d":null}'))
  assert(v.a[1] == 1 and math.type(v.a[1]) == "integer" and v.a[2] == 2.5 and v.a[3] == "x")
  assert(v.a[4] == nil and v.a[5] == true and v.b.c == false and v.d == nil)
  assert(json.decode("null") == nil)
  assert(json.decode('"\\u0000é"') == "\0é")
  local none, err = json.decode("")
  assert(none == nil and err:kind() == "Invalid")
  none, err = json.decode('{"a":}')
  assert(none == nil and err:kind() == "Internal" and err:find("near byte", 1, true))
  none, err = json.decode(string.rep("[", 1000000))
  assert(none == nil and err:find("128", 1, true))
  assert(not pcall(json.decode) and not pcall(json.encode))
  -- Large ones come and go.
  local list = {}
  for i = 1, 20000 do list[i] = { id = i, name = "name " .. i } end
  local text = assert(json.encode(list))
  local again = assert(json.decode(text))
  assert(#again == 20000 and again[20000].name == "name 20000" and json.encode(again) == text)
end
