return function()
  local store = assert(process.spawn("app:store", "system:processes"))
  local middle = assert(process.spawn("app:middle", "system:processes", store))
  -- With its type, there and back.
  local reply = assert(request.call(store, "echo", { blob = "<p>", mime = "text/html" }))
  assert(reply:has_blob() and reply:blob() == "<p>" and reply:mime() == "text/html")
  reply = assert(request.call(store, "echo", { blob = "" }))
  assert(reply:has_blob() and reply:blob() == "" and reply:mime() == nil)
  reply = assert(request.call(store, "echo"))
  assert(not reply:has_blob() and reply:blob() == nil and reply:mime() == nil)
  -- The one in the middle answers with what it was given by another: the reply's blob.
  reply = assert(request.call(middle, "fetch"))
  assert(reply:body() == "here" and reply:blob() == "from the store")
  assert(reply:mime() == "text/plain" and reply:source() == middle)
  -- Or with the blob of the question itself.
  reply = assert(request.call(middle, "back", { blob = "mine", mime = "a/b" }))
  assert(reply:blob() == "mine" and reply:mime() == "a/b")
  -- An explicit one wins over an inherited one.
  reply = assert(request.call(middle, "other", { blob = "mine" }))
  assert(reply:blob() == "other" and reply:mime() == nil)
  -- What makes no sense is told.
  assert(not pcall(request.call, store, "echo", { mime = "a/b" }))
  assert(not pcall(request.call, store, "echo", { blob = {} }))
  assert(not pcall(request.call, store, "echo", { inherit = "x" }))
end
--@ store
return function()
  local requests = request.listen()
  while true do
    local asked = requests:receive()
    if asked:body() == "echo" then
      asked:answer("echo", { inherit = true })
    else
      asked:answer("got", { blob = "from the store", mime = "text/plain" })
    end
  end
end
--@ middle
return function(store)
  local requests = request.listen()
  while true do
    local asked = requests:receive()
    if asked:body() == "fetch" then
      local reply = assert(request.call(store, "get"))
      asked:answer("here", { blob = reply })
    elseif asked:body() == "back" then
      asked:answer("back", { blob = asked })
    else
      asked:answer("other", { inherit = true, blob = "other" })
    end
  end
end
