return function()
  local last = assert(process.spawn("app:last", "system:processes"))
  local first = assert(process.spawn("app:first", "system:processes", last))
  local reply = assert(request.call(first, "question"))
  assert(reply:body() == "answer from last" and reply:source() == last)
end
--@ first
return function(last)
  local r = request.listen():receive()
  assert(request.send(last, r:body(), { inherit = r }))
  process.inbox():receive()
end
--@ last
return function()
  local r = request.listen():receive()
  assert(r:answer("answer from last"))
  process.inbox():receive()
end
