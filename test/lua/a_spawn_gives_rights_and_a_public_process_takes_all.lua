local life = require("life")
local capability = require("capability")
return function()
  local secret = assert(life.spawn{ entry = "other:server", name = "secret" })
  local open = assert(life.spawn{ entry = "other:server", name = "open", public = true })
  local granted = assert(life.spawn{ entry = "other:server", name = "granted",
    grants = { process.pid(), { process = life.address(), params = { may = 1 } } } })
  assert(capability.has(granted, '"messaging"') and capability.has(granted, '{"may":1}'))
  -- One that is given nothing, and one that is given what this process holds.
  local function try(options)
    options.entry = "third:stranger"
    options.args = { secret, open }
    local stranger = assert(life.spawn(options))
    return request.call(stranger, "go"):body()
  end
  local result = try({})
  assert(result[1] == "PermissionDenied" and result[2] == "hello", tostring(result[1]))
  result = try({ capabilities = { capability.messaging(secret) } })
  assert(result[1] == "hello" and result[2] == "hello")
  -- Only what it may name: a forged one is left out.
  result = try({ capabilities = { { issuer = secret, params = '"forged"' } } })
  assert(result[1] == "PermissionDenied")
end
--@ other:server
return function()
  local requests = request.listen()
  while true do requests:receive():answer("hello") end
end
--@ third:stranger
return function(secret, open)
  local asked = request.listen():receive()
  local result = {}
  for i, to in ipairs({ secret, open }) do
    local reply, err = request.call(to, "x")
    result[i] = reply and reply:body() or err:kind()
  end
  asked:answer(result)
end
