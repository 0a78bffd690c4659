local capability = require("capability")
return function()
  local server = assert(process.spawn("other:server", "system:processes"))
  -- Spawner and child may send to each other.
  local reply = assert(request.call(server, "give"))
  local given = reply:capabilities()
  assert(#given == 2 and given[1].issuer:find("^local@.*:other:local$"))
  assert(given[1].params == '{"may":"read"}' and given[2].params == '"messaging"')
  -- What came with a message may be handed on, by its texts alone.
  assert(request.call(server, "read", { capabilities = given }):body() == "read")
  -- The JSON value counts, not its text; a PID is as good as an address.
  local mine = { { issuer = server, params = '{ "may" : "read" }' } }
  assert(request.call(server, "read", { capabilities = mine }):body() == "read")
  -- Nothing that was written down becomes one.
  local forged = { { issuer = server, params = { may = "write" } } }
  assert(request.call(server, "read", { capabilities = forged }):body() == "not allowed")
  assert(request.call(server, "read"):body() == "not allowed")
  -- Saved, it is held for good.
  assert(not capability.has(given[1]) and capability.save({ given[1] }))
  assert(capability.has(given[1]) and capability.has(server, { may = "read" }))
  local found = 0
  for _, one in ipairs(capability.list()) do
    if one.params == '{"may":"read"}' and one.issuer == given[1].issuer then found = found + 1 end
  end
  assert(found == 1)
  assert(capability.drop({ given[1] }) and not capability.has(given[1]))
  -- Its own: any value that has a JSON text; messaging by a word.
  local own = capability.new({ b = 1, a = { 2 } })
  assert(own.params == '{"a":[2],"b":1}' and own.issuer:find("^local@.*:app:local$"))
  assert(capability.new('"x"').params == '"x"' and capability.messaging(server).issuer == given[1].issuer)
  local none, err = capability.new("x")
  assert(none == nil and err:find("JSON"))
  -- A process that has none may not send to it; with one in hand it may.
  local stranger = assert(process.spawn("third:stranger", "system:processes", server))
  reply = assert(request.call(stranger, "try"))
  assert(reply:body() == "PermissionDenied not_permitted")
  assert(reply:metadata():find("request_capabilities") and reply:metadata():find("thole grant"))
  reply = assert(request.call(stranger, "try", { capabilities = { given[2] } }))
  assert(reply:body() == "hello", tostring(reply:body()))
  -- Nor may it end it, or give it a name.
  reply = assert(request.call(stranger, "end"))
  assert(reply:body():find('params "control"'), reply:body())
  -- What makes no sense is told.
  assert(not pcall(capability.save, "x"))
  assert(not pcall(capability.save, { { issuer = 1, params = "1" } }))
  assert(not pcall(capability.save, { { issuer = server } }))
  assert(not pcall(capability.new, print))
  assert(not pcall(request.send, server, 1, { capabilities = { 1 } }))
end
--@ other:server
local capability = require("capability")
return function()
  local requests = request.listen()
  while true do
    local asked = requests:receive()
    if asked:body() == "give" then
      asked:answer("take", { capabilities = {
        capability.new({ may = "read" }), capability.new('"messaging"') } })
    elseif asked:body() == "read" then
      asked:answer(asked:has_capability({ may = "read" }) and "read" or "not allowed")
    else
      asked:answer("hello")
    end
  end
end
--@ third:stranger
local capability = require("capability")
return function(server)
  local requests = request.listen()
  while true do
    local asked = requests:receive()
    if asked:body() == "end" then
      local _, err = process.terminate(server)
      asked:answer(tostring(err))
      local _, err2 = process.registry.register("srv", server)
      assert(err2:kind() == "PermissionDenied")
    else
      assert(capability.save(asked:capabilities()))
      local reply, err = request.call(server, "hi")
      if reply then
        asked:answer(reply:body())
      else
        asked:answer(err:kind() .. " " .. err:reason(), { metadata = tostring(err) })
        local no, refused = process.send(server, "topic", 1)
        assert(no == nil and refused:kind() == "PermissionDenied")
      end
    end
  end
end
