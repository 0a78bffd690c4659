return function()
  local requests = request.listen()
  coroutine.spawn(function()
    local asked = requests:receive()
    assert(asked:source() == process.pid() and asked:kind() == "request")
    assert(asked:answer(asked:body() + 1))
  end)
  assert(request.call(process.pid(), 1):body() == 2)
  -- Everything else keeps its order meanwhile.
  local news = process.listen("news")
  coroutine.spawn(function()
    local asked = requests:receive()
    for i = 1, 3 do process.send(process.pid(), "news", i) end
    asked:answer("done")
  end)
  assert(request.call(process.pid(), "go"):body() == "done")
  for i = 1, 3 do assert(news:receive() == i) end
end
