local function run(args)
  local worker = assert(process.spawn_monitored("app:worker", "system:processes", { n = 3 }))
  for i = 1, 3 do assert(process.send(worker, "tasks", { id = i })) end
  assert(process.send(worker, "hello", "from the inbox"))
  assert(process.cancel(worker, "5s"))
  local event = process.events():receive()
  assert(event.from == worker and event.result.payload:data().processed == 3)
  assert(event.result.value.greeted == "from the inbox")
end
return { run = run }
--@ worker run
local function run(args)
  assert(args.n == 3)
  local tasks, inbox, events = process.listen("tasks"), process.inbox(), process.events()
  local state = { running = true, processed = 0 }
  while state.running do
    local result = channel.select({
      tasks:case_receive(),
      inbox:case_receive(),
      events:case_receive()
    })
    if result.channel == tasks then
      state.processed = state.processed + 1
    elseif result.channel == inbox then
      state.greeted = result.value:payload():data()
    elseif result.channel == events then
      if result.value.kind == process.event.CANCEL then
        state.running = state.processed < 3
      end
    end
  end
  return { processed = state.processed, greeted = state.greeted }
end
return { run = run }
