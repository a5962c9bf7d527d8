-- Charge buckets: one round trip for all of them. Each is charged or refused for itself.
--
-- KEYS    hashes, one for each bucket: number of a slice -> what was charged in it
-- ARGV    now in ms (0: the server's clock, the one that all processes share), slices of a window, then for each bucket:
--         amount, slice in ms, cost, lot, give back, slice that it is given back to
-- Answers five numbers for each bucket: granted (0: refused), remaining, ms until some of it is free again,
--         ms until the cost would be granted (-1: never), the slice that was charged
--
-- Invariant: a window of any beginning has charges from at most `slices` whole slices and a part of one before them. That one counts
-- whole, so no window ever has more than the amount; a charge is forgotten up to one slice later than it could be.
local now = tonumber(ARGV[1])
if now == 0 then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local slices = tonumber(ARGV[2])
local answer = {}
for number, key in ipairs(KEYS) do
    local at = 2 + (number - 1) * 6
    local amount, slice_ms, cost = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
    local lot, given, given_slice = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
    local slice = math.floor(now / slice_ms)
    local flat = redis.call('HGETALL', key)
    local found, total = {}, 0
    for i = 1, #flat, 2 do
        local one = {tonumber(flat[i]), tonumber(flat[i + 1])}
        if one[1] < slice - slices then
            redis.call('HDEL', key, flat[i])
        else
            if given > 0 and one[1] == given_slice then
                local back = math.min(given, one[2])
                redis.call('HINCRBY', key, flat[i], -back)
                one[2] = one[2] - back
            end
            total = total + one[2]
            found[#found + 1] = one
        end
    end
    table.sort(found, function(a, b) return a[1] < b[1] end)
    local available, granted, retry = amount - total, 0, 0
    if cost <= available then
        -- Near the limit lots get small: what one process holds, another can't give out.
        granted = math.max(cost, math.min(lot, math.floor(available / 4)))
        redis.call('HINCRBY', key, slice, granted)
        redis.call('PEXPIRE', key, (slices + 2) * slice_ms)
        available = available - granted
        if #found == 0 or found[#found][1] < slice then
            found[#found + 1] = {slice, granted}
        end
    elseif cost > amount then
        retry = -1
    else
        local missing = cost - available
        for _, one in ipairs(found) do
            missing = missing - one[2]
            if missing <= 0 then
                retry = (one[1] + slices + 1) * slice_ms - now
                break
            end
        end
    end
    local reset = slices * slice_ms
    for _, one in ipairs(found) do
        if one[2] > 0 then
            reset = (one[1] + slices + 1) * slice_ms - now
            break
        end
    end
    answer[#answer + 1] = {granted, math.max(available, 0), reset, retry, slice}
end
return answer
