local life = require("life")
local capability = require("capability")
return function()
  local requests = request.listen()
  assert(life.on_exit() == "none" and life.set_on_exit("none"))
  -- Without a chosen name it could not come again.
  local no, err = life.set_on_exit("restart")
  assert(no == nil and err:reason() == "unsupported" and err:find("name"), tostring(err))
  assert(life.on_exit() == "none")
  -- Requests are sent when it has ended, with its source and capabilities.
  local child = assert(life.spawn{ entry = "app:child", name = "child", monitored = true,
    capabilities = { capability.new("[7]") }, args = { process.pid(), "requests", n = 2 } })
  local asked = requests:receive()
  assert(asked:body() == "I am gone" and asked:source() == child and not asked:expects())
  assert(asked:metadata() == "m" and asked:blob() == "b" and asked:mime() == "a/b")
  -- Those of others; what it issued itself ended with it.
  assert(asked:has_capability({ 7 }) and #asked:capabilities() == 1)
  asked = requests:receive()
  assert(asked:body() == '{"json":true}' and asked:metadata() == nil and not asked:has_blob())
  assert(process.events():receive().result.error == nil)
  -- By its spawn.
  child = assert(life.spawn{ entry = "app:child", name = "other", args = { process.pid(), "tell" },
    on_exit = { { target = process.pid(), body = "as spawned" } } })
  asked = requests:receive()
  assert(asked:body() == "table as spawned", asked:body())
  assert(requests:receive():body() == "as spawned")
  -- A name is taken, an address is that of the name.
  child = assert(life.spawn{ entry = "app:child", name = "third", args = { process.pid(), "wait" } })
  assert(requests:receive():body() == "local@third:app:local")
  no, err = life.spawn{ entry = "app:child", name = "third" }
  assert(no == nil and err:kind() == "AlreadyExists", tostring(err))
  no, err = life.spawn{ entry = "app:none" }
  assert(no == nil and err:kind() == "NotFound")
  no, err = life.spawn{ entry = "app:child", host = "none:none" }
  assert(no == nil and err:kind() == "NotFound")
  -- An on-exit that survives makes a name where none is chosen.
  child = assert(life.spawn{ entry = "app:child", on_exit = "restart", args = { process.pid(), "tell" } })
  assert(requests:receive():body() == "restart")
  -- What makes no sense is told.
  assert(not pcall(life.set_on_exit, "always"))
  assert(not pcall(life.set_on_exit, {}))
  assert(not pcall(life.set_on_exit, { { body = 1 } }))
  assert(not pcall(life.set_on_exit, { { target = 1 } }))
  assert(not pcall(life.spawn, {}))
  assert(not pcall(life.spawn, { entry = "app:child", bogus = 1 }))
  assert(not pcall(life.spawn, { entry = "app:child", args = 1 }))
end
--@ child
local life = require("life")
local capability = require("capability")
return function(main, what)
  if what == "requests" then
    assert(life.set_on_exit{
      { target = main, body = "I am gone", metadata = "m", blob = "b", mime = "a/b",
        capabilities = { capability.new("[1]"), { issuer = main, params = "[7]" },
          { issuer = main, params = "forged" } } },
      { target = "our@nobody:app:local", body = "dropped" },
      { target = main, body = { json = true } },
    })
    local now = life.on_exit()
    assert(#now == 3 and now[1].body == "I am gone" and now[1].mime == "a/b")
    assert(#now[1].capabilities == 2 and now[3].body == '{"json":true}')
    local no, err = life.set_on_exit{ { target = "not an address" } }
    assert(no == nil and err:kind() == "Invalid" and #life.on_exit() == 3)
  elseif what == "tell" then
    local now = life.on_exit()
    request.send(main, type(now) == "table" and "table " .. now[1].body or now)
  else
    request.send(main, life.address())
    process.inbox():receive()
  end
end
