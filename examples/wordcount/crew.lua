-- The crew: workers of each kind, and which chunk is with whom.
--
-- A job is a chunk and what became of it. It is with one worker at a time. When a worker
-- ends, which its monitor tells, its jobs are to do again and another takes its place;
-- an answer counts only if the job is still with the one who gives it. So each chunk is
-- counted once, whoever dies when.

local logger = require("logger")
local time = require("time")

local JOBS_EACH = 2          -- one in work, and the next one waiting
local TRIES_MAX = 5          -- workers that may end with the same chunk
local PATIENCE = "60s"       -- with one chunk

local crew = {
    kinds = {},   -- in order: {name=, entry=, workers=, chunks=, lines=, busy=}
    redone = 0,   -- jobs
    lost = 0,     -- workers that ended
}

local workers = {} -- in order of their start
local again = {}   -- jobs to do again
local open = 0     -- jobs that are with a worker

local function start(kind)
    local pid, err = process.spawn_linked_monitored(kind.entry, "system:processes")

    if not pid then
        return nil, ("cannot start a %s worker: %s"):format(kind.name, err)
    end
    workers[#workers + 1] = { pid = pid, kind = kind, jobs = {}, jobs_count = 0 }
    return true
end

-- Start @n workers of the kind that is called @name; nil and why if that fails.
function crew.hire(name, entry, n)
    local kind = { name = name, entry = entry, workers = n, chunks = 0, lines = 0, busy = 0 }

    crew.kinds[#crew.kinds + 1] = kind
    for _ = 1, n do
        local ok, err = start(kind)

        if not ok then
            return nil, err
        end
    end
    return true
end

-- A worker with room for a job, the one with the fewest; or nil.
function crew.free()
    local best

    for _, worker in ipairs(workers) do
        if worker.jobs_count < JOBS_EACH and not worker.is_fired and
            (not best or worker.jobs_count < best.jobs_count) then
            best = worker
        end
    end
    return best
end

-- End @worker. It gets no more jobs, and what it has is done again: its answers, should
-- some be on their way, count no longer.
function crew.fire(worker)
    worker.is_fired = true
    process.terminate(worker.pid)
end

function crew.is_idle()
    return open == 0 and #again == 0
end

-- The next job to do again, or nil.
function crew.next_again()
    return table.remove(again, 1)
end

local function take_from(worker, job)
    worker.jobs[job] = nil
    worker.jobs_count = worker.jobs_count - 1
    open = open - 1
    if worker.jobs_count == 0 then
        worker.kind.busy = worker.kind.busy + time.now():sub(worker.since):seconds()
    end
end

-- Hand @job to @worker, who has room.
function crew.hand(worker, job)
    if worker.jobs_count == 0 then
        worker.since = time.now()
    end
    worker.jobs[job] = true
    worker.jobs_count = worker.jobs_count + 1
    open = open + 1
    job.worker = worker
    local ok, err = request.send(worker.pid, "count", {
        blob = job.chunk,
        timeout = PATIENCE,
        context = { job = job, worker = worker },
    })
    if not ok then
        logger:warn(("worker %s does not take chunk %d: %s"):format(worker.pid, job.number, err))
        crew.fire(worker) -- its end puts the job back
    end
end

-- An answer came: the kind of its worker and its text, or nil if it does not count.
function crew.answered(reply)
    local job, worker = reply:context().job, reply:context().worker
    local err = reply:error()

    if job.worker ~= worker or worker.is_fired then
        return nil -- it is with another one by now, or will be
    elseif not err then
        take_from(worker, job)
        job.worker = nil
        worker.kind.chunks = worker.kind.chunks + 1
        return worker.kind, reply:body()
    elseif err:kind() == "Timeout" then
        logger:warn(("worker %s has had chunk %d for %s; it is terminated"):format(
            worker.pid, job.number, PATIENCE))
        crew.fire(worker)
    end
    return nil -- the worker's end puts the job back
end

local function put_back(worker)
    local numbers = {}

    for job in pairs(worker.jobs) do
        job.worker = nil
        job.tries = (job.tries or 1) + 1
        if job.tries > TRIES_MAX then
            return nil, ("chunk %d was the end of %d workers"):format(job.number, TRIES_MAX)
        end
        again[#again + 1] = job
        numbers[#numbers + 1] = job.number
        take_from(worker, job)
    end
    table.sort(again, function(a, b) return a.number < b.number end)
    table.sort(numbers)
    crew.redone = crew.redone + #numbers
    return numbers
end

-- The process @pid has ended: put its jobs back and replace it. Nil and why: it cannot.
function crew.ended(pid, why)
    for i, worker in ipairs(workers) do
        if worker.pid == pid then
            local numbers, err = put_back(worker)

            if not numbers then
                return nil, err
            end
            table.remove(workers, i)
            crew.lost = crew.lost + 1
            logger:warn(("%s worker %s ended: %s; %s"):format(worker.kind.name, pid, why,
                #numbers == 0 and "it had no chunk" or
                "to be done again: " .. table.concat(numbers, ", ")))
            return start(worker.kind)
        end
    end
    return true
end

-- All go home.
function crew.dismiss()
    for _, worker in ipairs(workers) do
        process.unmonitor(worker.pid)
        process.unlink(worker.pid)
        process.terminate(worker.pid)
    end
    workers = {}
end

return crew
