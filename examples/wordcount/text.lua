-- The text: all files in order, as one, cut into chunks between words.
--
-- It is what `cat` makes of the files: those named on the command line in that order,
-- those of a folder in the order of their paths' bytes. So a word may begin in one file
-- and end in the next. Links to files are read, links to folders are not followed.
--
-- A word of any length stays whole: one that fills a chunk and does not end there is
-- collected here, and goes on as a word instead of as text.

local json = require("json")
local logger = require("logger")

local CHUNKS = 32 -- about so many, between these bounds
local CHUNK_BYTES_MIN, CHUNK_BYTES_MAX = 4096, 1024 * 1024

local text = {
    files = 0,       -- read to their end
    bytes = 0,       -- read so far
    bytes_total = 0, -- as the files said before
    unread = 0,      -- files and folders that could not be read, or not wholly
    left_out = 0,    -- links to folders, devices and such
}

local paths = {} -- of the files

local function report(err)
    text.unread = text.unread + 1
    logger:warn("cannot read: " .. tostring(err))
end

-- One question to the process `files`: its answer and its blob, or nil and why.
local function ask(question)
    local body, err = json.encode(question)
    local reply, answer

    if not body then
        return nil, err
    end
    reply, err = request.call("files", body, { timeout = "60s" })
    if not reply then
        return nil, err
    end
    answer = json.decode(reply:body())
    if answer.error then
        return nil, answer.error.message
    end
    return answer, reply:blob()
end

-- --- Which files there are ---------------------------------------------------------

local add_folder

local function add(path, kind)
    if kind == "folder" then
        add_folder(path)
    elseif kind == "file" then
        local info, err = ask { info = path }

        if not info then
            return report(err)
        end
        paths[#paths + 1] = path
        text.bytes_total = text.bytes_total + info.bytes
    else
        text.left_out = text.left_out + 1
        logger:info(("left out: `%s` is %s"):format(path,
            kind == "link" and "a link to a folder" or "neither file nor folder"))
    end
end

-- What is in a folder comes behind the folder's name and a slash: that decides where.
function add_folder(path)
    local answer, err = ask { list = path }
    local top = path:gsub("/*$", "/")

    if not answer then
        return report(err)
    end
    for _, entry in ipairs(answer.entries) do
        entry.path = top .. entry.name
        entry.order = entry.kind == "folder" and entry.path .. "/" or entry.path
    end
    table.sort(answer.entries, function(a, b) return a.order < b.order end)
    for _, entry in ipairs(answer.entries) do
        add(entry.path, entry.kind)
    end
    if answer.more then
        report(("`%s` has more entries than are listed at once"):format(path))
    end
end

local function add_named(path)
    local info, err = ask { info = path }

    if info then
        add(path, info.kind)
    else
        report(err)
    end
end

-- --- Reading and cutting -----------------------------------------------------------

local chunk_bytes
local pieces, pieces_bytes = {}, 0 -- read and not yet given on
local long = {}                    -- the pieces of a word that fills a chunk

-- The word in `long` ends in @piece, or goes on; gives what is behind it.
local function end_long(piece, give)
    local letters = piece:match("^%a*")

    long[#long + 1] = letters
    if #letters == #piece then
        return ""
    end
    give { word = table.concat(long):lower() }
    long = {}
    return piece:sub(#letters + 1)
end

-- Give on all up to the last word, which may go on in what is read next.
local function cut(give)
    local piece = table.concat(pieces)
    local last

    if #long > 0 then
        piece = end_long(piece, give)
    end
    last = piece:match("^.*()%A")
    if last then
        give { chunk = piece:sub(1, last) }
        piece = piece:sub(last + 1)
    elseif piece ~= "" then
        long[1] = piece
        piece = ""
    end
    pieces, pieces_bytes = { piece }, #piece
end

local function cut_rest(give)
    local piece = table.concat(pieces)

    if #long > 0 then
        piece = end_long(piece .. "\0", give)
    end
    if piece ~= "" then
        give { chunk = piece }
    end
end

local function read(path, give)
    local offset = 0

    repeat
        local answer, content = ask {
            read = { path = path, offset = offset, bytes = chunk_bytes },
        }

        if not answer then
            return report(content)
        end
        offset = offset + #content
        text.bytes = text.bytes + #content
        pieces[#pieces + 1] = content
        pieces_bytes = pieces_bytes + #content
        if pieces_bytes >= chunk_bytes then
            cut(give)
        end
    until answer["end"]
    text.files = text.files + 1
end

-- Read all that @named names; @give is called with {chunk=} or {word=}, and may wait.
function text.read(named, give)
    for _, path in ipairs(named) do
        add_named(path)
    end
    chunk_bytes = math.max(CHUNK_BYTES_MIN,
        math.min(CHUNK_BYTES_MAX, text.bytes_total // CHUNKS))
    for _, path in ipairs(paths) do
        read(path, give)
    end
    cut_rest(give)
end

return text
