-- A worker counts the words of one chunk for each request: the chunk is the blob, and
-- the answer "LINES\n" with a line "COUNT WORD\n" for each word. worker.c does the same.

local function count(chunk)
    local _, lines = chunk:gsub("\n", "")
    local counts, answer = {}, { lines .. "\n" }

    for word in chunk:lower():gmatch("%a+") do
        counts[word] = (counts[word] or 0) + 1
    end
    for word, n in pairs(counts) do
        answer[#answer + 1] = n .. " " .. word .. "\n"
    end
    return table.concat(answer)
end

return function()
    local requests = request.listen()

    while true do
        local asked = requests:receive()

        asked:answer(count(asked:blob() or ""))
    end
end
