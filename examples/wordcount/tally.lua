-- The counts of all chunks together.

local tally = { lines = 0 }
local counts = {}

function tally.add_word(word, n)
    counts[word] = (counts[word] or 0) + n
end

-- Add what a worker answered; gives the number of lines in its chunk.
function tally.add_answer(answer)
    local lines, at = answer:match("^(%d+)\n()")

    for n, word in answer:gmatch("(%d+) (%l+)\n", at) do
        tally.add_word(word, tonumber(n))
    end
    tally.lines = tally.lines + tonumber(lines)
    return tonumber(lines)
end

-- Strings compare by their bytes here, in no language's order.
local function comes_before(a, b)
    return a.count > b.count or a.count == b.count and a.word < b.word
end

-- The @most words that occur most often: a list of {count=, word=}, in order.
function tally.top(most)
    local best = {}

    for word, count in pairs(counts) do
        local one = { count = count, word = word }

        if #best < most or comes_before(one, best[#best]) then
            local at = #best < most and #best + 1 or #best

            while at > 1 and comes_before(one, best[at - 1]) do
                best[at] = best[at - 1]
                at = at - 1
            end
            best[at] = one
        end
    end
    return best
end

return tally
