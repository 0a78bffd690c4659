return function()
  local children, restarts = {}, 0
  local events = process.events()
  assert(process.set_options { trap_links = true })
  local function start_child(id)
    local pid = assert(process.spawn_monitored("app:worker", "system:processes", { id = id }))
    children[id] = pid
    return pid
  end
  for i = 1, 5 do start_child(i) end
  local database = assert(process.spawn("app:database", "system:processes"))
  local up = process.listen("up")
  assert(process.send(database, "who", process.pid()))
  assert(up:receive() == true)
  assert(process.registry.lookup("database") == database)
  assert(process.link(database))
  process.send(children[3], "task", "fail")
  process.send(children[5], "task", "fail")
  while restarts < 2 do
    local event = events:receive()
    assert(event.kind == process.event.EXIT and event.result.error:find("bad task"))
    for id, pid in pairs(children) do
      if pid == event.from then
        assert(id == 3 or id == 5)
        start_child(id)
        restarts = restarts + 1
        break
      end
    end
  end
  process.send(database, "crash", true)
  local event = events:receive()
  assert(event.kind == process.event.LINK_DOWN and event.from == database)
  assert(process.registry.lookup("database") == nil)
  for _, pid in ipairs(children) do assert(process.cancel(pid, "5s")) end
  for _ = 1, 5 do assert(events:receive().result.value.processed == 0) end
end
--@ worker run
local function run(args)
  local tasks, events = process.listen("task"), process.events()
  local processed = 0
  while true do
    local result = channel.select { tasks:case_receive(), events:case_receive() }
    if result.channel == events then return { processed = processed } end
    if result.value == "fail" then error("bad task of " .. args.id) end
    processed = processed + 1
  end
end
return { run = run }
--@ database
return function()
  assert(process.registry.register("database"))
  process.send(process.listen("who"):receive(), "up", true)
  process.listen("crash"):receive()
  error("disk on fire")
end
