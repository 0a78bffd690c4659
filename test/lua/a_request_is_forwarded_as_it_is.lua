return function()
  local last = assert(process.spawn("app:last", "system:processes"))
  local first = assert(process.spawn("app:first", "system:processes", last))
  local reply = assert(request.call(first, { n = 1 },
    { blob = "b", mime = "a/b", metadata = "about" }))
  assert(reply:body().n == 1 and reply:source() == last)
  assert(reply:blob() == "b" and reply:mime() == "a/b" and reply:metadata() == "about")
  -- With another body, blob and metadata.
  reply = assert(request.call(first, "other", { blob = "b", metadata = "about" }))
  assert(reply:body() == "changed" and reply:blob() == "B" and reply:metadata() == "M")
  -- The one in the middle may ask something of its own beforehand.
  reply = assert(request.call(first, "ask"))
  assert(reply:body() == "asked: answer" and reply:source() == first)
  -- Where it cannot go the requester gets the error, at once.
  local none, err = request.call(first, "nowhere", { timeout = "10s" })
  assert(none == nil and err:reason() == "not_found" and err:target() == first, tostring(err))
  none, err = request.call(first, "no name")
  assert(none == nil and err:reason() == "not_found")
  -- What nobody waits for is sent on all the same.
  local news = process.listen("news")
  assert(process.registry.register("main"))
  assert(request.send(first, "note"))
  assert(news:receive() == "note")
end
--@ first
return function(last)
  local requests = request.listen()
  local gone = assert(process.spawn_monitored("app:gone", "system:processes"))
  process.events():receive()
  while true do
    local asked = requests:receive()
    local body = asked:body()
    assert(asked:context() == nil)
    if body == "other" then
      assert(asked:forward(last, "changed", { blob = "B", metadata = "M" }))
    elseif body == "ask" then
      local reply = assert(request.call(last, "question", { inherit = asked }))
      assert(asked:answer("asked: " .. reply:body()))
    elseif body == "nowhere" then
      assert(asked:forward(gone) == true)
    elseif body == "no name" then
      local no, err = asked:forward("{what", "x")
      assert(no == nil and err:kind() == "Invalid" and err:original() == "x", tostring(err))
      assert(asked:forward("nobody"))
    else
      assert(asked:forward(last))
    end
    assert(not pcall(asked.forward, asked, last, nil, { timeout = "1s" }))
  end
end
--@ gone
return function() end
--@ last
return function()
  local requests = request.listen()
  while true do
    local asked = requests:receive()
    if asked:body() == "question" then
      asked:answer("answer")
    elseif asked:expects() then
      asked:answer(asked:body(), { inherit = true, metadata = asked:metadata() })
    else
      process.send(process.registry.lookup("main"), "news", asked:body())
    end
  end
end
