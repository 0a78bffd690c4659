-- Count the words of files and print the 20 most frequent.
--
-- A word is a longest run of ASCII letters, in lower case. The text is read here, by
-- messages to the process `files`, and counted by Lua and Wasm workers alike. Half-way
-- one of them is killed on purpose, to show that nothing is lost and nothing is counted
-- twice.

local crew = require("crew")
local logger = require("logger")
local tally = require("tally")
local text = require("text")
local time = require("time")

local MOST = 20
local CHUNKS_AHEAD = 2 -- read while all workers are busy

local began = time.now()
local chunks = channel.new(CHUNKS_AHEAD) -- {chunk=} and {word=}, in order
local events = process.events()
local replies = request.replies()
local handed, handed_bytes, is_read, is_killed = 0, 0, false, false

local function seconds()
    return time.now():sub(began):seconds()
end

-- What the workers of each kind have done; seen on a terminal alone.
local function show_status()
    local parts = {}

    for i, kind in ipairs(crew.kinds) do
        parts[i] = ("%s %d lines"):format(kind.name, kind.lines)
    end
    logger:status(("%3.0f %% of %.1f MB, %s, %.0f lines/s, %.1f s"):format(
        text.bytes_total > 0 and 100 * text.bytes / text.bytes_total or 100,
        text.bytes_total / 1e6, table.concat(parts, ", "), tally.lines / seconds(), seconds()))
end

-- Kill @worker, who has just been given the middle of the text.
local function kill_on_purpose(worker, job)
    is_killed = true
    logger:info(("killing %s worker %s on purpose, half-way, with chunk %d"):format(
        worker.kind.name, worker.pid, job.number))
    crew.fire(worker)
end

local function hand(worker, job)
    crew.hand(worker, job)
    if not is_killed and handed_bytes * 2 >= text.bytes_total then
        kill_on_purpose(worker, job)
    end
end

-- What was read next goes to @worker, or is the end.
local function take_chunk(worker, got)
    if not got.ok then
        is_read = true
    elseif got.value.word then
        tally.add_word(got.value.word, 1)
    else
        handed = handed + 1
        handed_bytes = handed_bytes + #got.value.chunk
        hand(worker, { number = handed, chunk = got.value.chunk })
    end
end

local function take_reply(reply)
    local kind, answer = crew.answered(reply)

    if kind then
        kind.lines = kind.lines + tally.add_answer(answer)
    end
end

-- An answer that came before its worker ended counts, so those go first.
local function take_event(event)
    if event.kind == process.event.CANCEL then
        return nil, ("stopped after %d of %d bytes"):format(text.bytes, text.bytes_total)
    elseif event.kind ~= process.event.EXIT then
        return true
    end
    while true do
        local got = channel.select { replies:case_receive(), default = true }

        if got.default then
            return crew.ended(event.from, event.result.error or "it returned")
        end
        take_reply(got.value)
    end
end

-- One step: wait for whatever comes first, and deal with it.
local function step(tick)
    local worker = crew.free()
    local job = worker and crew.next_again()
    local cases = { events:case_receive(), replies:case_receive(), tick:case_receive() }
    local got

    if job then
        hand(worker, job)
        return true
    elseif worker and not is_read then
        cases[#cases + 1] = chunks:case_receive()
    end
    got = channel.select(cases)
    if got.channel == events then
        return take_event(got.value)
    elseif got.channel == replies then
        take_reply(got.value)
    elseif got.channel == chunks then
        take_chunk(worker, got)
    else
        show_status()
        return true, time.after("100ms")
    end
    return true
end

local function count()
    local tick = time.after("100ms")

    while not (is_read and crew.is_idle()) do
        local ok, next_tick = step(tick)

        if not ok then
            return nil, next_tick
        end
        tick = next_tick or tick
    end
    return true
end

local function report()
    logger:status("")
    logger:info(("%d files, %d bytes, %d lines in %d chunks: %.2f s; %d chunks redone"):format(
        text.files, text.bytes, tally.lines, handed, seconds(), crew.redone))
    for _, kind in ipairs(crew.kinds) do
        logger:info(("%s: %d workers, %d chunks, %d lines, %.0f lines/s each"):format(
            kind.name, kind.workers, kind.chunks, kind.lines,
            kind.busy > 0 and kind.lines / kind.busy or 0))
    end
    for _, word in ipairs(tally.top(MOST)) do
        print(word.count .. " " .. word.word)
    end
end

local function run(named)
    local ok, err = crew.hire("lua", "lua_worker", 2)

    if ok then
        ok, err = crew.hire("wasm", "wasm_worker", 2)
    end
    if not ok then
        return nil, err
    end
    coroutine.spawn(function()
        text.read(named, function(item) chunks:send(item) end)
        chunks:close()
    end)
    return count()
end

return function(...)
    local ok, err

    if select("#", ...) == 0 then
        return nil, "there is nothing to read; name files or folders: " ..
            "thole run examples/wordcount PATH..."
    end
    process.set_options { trap_links = true } -- workers may end; if we do, they do
    ok, err = run { ... }
    crew.dismiss()
    if not ok then
        return nil, err
    end
    report()
    if text.unread > 0 then
        return nil, ("%d of the files and folders could not be read; the words of the " ..
            "others were counted"):format(text.unread)
    end
end
