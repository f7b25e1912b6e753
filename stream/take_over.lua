-- SPDX-License-Identifier: MIT
-- Takes the lead of a partition (mode `claim`), or gives the leader's next connection its group
-- (mode `mend`). Checks everything first: a refusal changes nothing, and neither does the XADD, the
-- first write of a claim, when the stream is poisoned or memory is short.
--
-- KEYS: control hash, stream, hash of what all partitions share
-- ARGV: mode, owner, group prefix, position, ordinal, max_gap_ms, lease_ms,
--       claim: stored epoch as read ('' when none), highest folded epoch, folded timeline, reducers,
--              partitions
--       mend:  epoch, connection
--       then the fields of the entry at the position as the caller read them (none: it is absent)
-- claim returns {epoch, timeline, gap_ms, uncut gap_ms, id of the epoch event}; mend returns OK.
local ctl, stream, meta = KEYS[1], KEYS[2], KEYS[3]
local mode, owner, prefix, position, ordinal = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local is_claim = mode == 'claim'
local first_anchor_field = is_claim and 13 or 10
local SCAN_ENTRIES_CHEAP, SCAN_ENTRIES_MAX = 1000, 1000000

for key, wanted in pairs({[ctl] = 'hash', [stream] = 'stream', [meta] = 'hash'}) do
    local found = redis.call('TYPE', key).ok
    if found ~= wanted and found ~= 'none' then
        return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. wanted)
    end
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', ctl, 'owner', 'epoch', 'exp', 'timeline', 'wall')
local stored_epoch = held[2] or ''

-- Numbers of 64 bits do not fit a Lua number: compared as digits.
local function number_less(a, b)
    if #a ~= #b then
        return #a < #b
    end
    return a < b
end
local function id_less(a, b)
    local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
    local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
    if a_ms ~= b_ms then
        return number_less(a_ms, b_ms)
    end
    return number_less(a_seq, b_seq)
end

local function history(text)
    return redis.error_reply('HISTORY ' .. text)
end

-- Who may do this?
if is_claim then
    if held[1] and held[1] ~= owner and tonumber(held[3] or '0') > now then
        return redis.error_reply('LEASED by ' .. held[1] .. ' for another ' ..
            string.format('%d', tonumber(held[3]) - now) .. ' ms')
    end
    if stored_epoch ~= ARGV[8] then
        return redis.error_reply('LEASED anew: the epoch is ' .. stored_epoch)
    end
    local partitions = redis.call('HGET', meta, 'partitions')
    if partitions and partitions ~= ARGV[12] then
        return redis.error_reply('PARTITIONS ' .. meta .. ' says ' .. partitions .. ', not ' ..
            ARGV[12])
    end
    -- What would fail behind the XADD must fail before it.
    for _, command in ipairs({{'HSET', ctl, '', ''}, {'HSETNX', meta, '', ''},
        {'XGROUP', 'DESTROY', stream, ''}, {'XGROUP', 'CREATE', stream, '', '0'}}) do
        if not redis.acl_check_cmd(unpack(command)) then
            return redis.error_reply('NOPERM ' .. table.concat(command, ' '))
        end
    end
elseif not held[1] then
    return history('the control hash is gone')
elseif held[1] ~= owner or stored_epoch ~= ARGV[8] then
    return redis.error_reply('FENCED by ' .. held[1] .. ', epoch ' .. stored_epoch)
end

-- Is this the stream that was folded?
local info = {['length'] = 0, ['entries-added'] = 0, ['last-generated-id'] = '0-0',
    ['max-deleted-entry-id'] = '0-0', ['recorded-first-entry-id'] = '0-0'}
if redis.call('EXISTS', stream) == 1 then
    local list = redis.call('XINFO', 'STREAM', stream)
    for i = 1, #list, 2 do
        info[list[i]] = list[i + 1]
    end
end
if not is_claim and info['last-generated-id'] == '0-0' then
    return history('the stream is gone')
end
local added, last = info['entries-added'], info['last-generated-id']
if id_less(last, position) then
    return history('the stream ends at ' .. last .. ', before the folded position ' .. position)
end
if added < ordinal then
    return history('the stream counted ' .. added .. ' entries, ' .. ordinal .. ' were folded')
end
local are_all_folded_gone = info['length'] == 0 or
    id_less(position, info['recorded-first-entry-id'])
local may_lack_unread = id_less(position, info['max-deleted-entry-id'])

if position ~= '0-0' then
    local entry = redis.call('XRANGE', stream, position, position)[1]
    local fields = entry and entry[2] or {}
    if #fields ~= #ARGV - first_anchor_field + 1 then
        return history('the entry at ' .. position .. ' changed while it was looked at')
    end
    for i, field in ipairs(fields) do
        if field ~= ARGV[first_anchor_field + i - 1] then
            return history('the entry at ' .. position .. ' changed while it was looked at')
        end
    end
    local may_be_deleted = are_all_folded_gone or
        not id_less(info['max-deleted-entry-id'], position)
    if not entry and not may_be_deleted then
        return history('the entry at the folded position ' .. position .. ' is not in the stream')
    end
    -- Without the entry's bytes, only the control hash can tell that no write was lost. With them,
    -- an epoch above the stored one is an entry that somebody made by hand.
    if not entry and is_claim and
        tonumber(stored_epoch ~= '' and stored_epoch or '0') < tonumber(ARGV[9]) then
        return history('the stored epoch ' .. (stored_epoch ~= '' and stored_epoch or '(none)') ..
            ' is older than the folded one, ' .. ARGV[9])
    end
end

-- How many entries wait behind the position? A long backlog is counted only where one of it may have
-- been deleted: trimming takes from the head.
local waiting = added - ordinal
if are_all_folded_gone then
    waiting = info['length']
elseif may_lack_unread or added - ordinal <= SCAN_ENTRIES_CHEAP then
    waiting = 0
    local from, part = position, nil
    repeat
        part = redis.call('XRANGE', stream, '(' .. from, '+', 'COUNT', 1000)
        waiting = waiting + #part
        from = #part > 0 and part[#part][1] or from
    until #part < 1000 or waiting >= SCAN_ENTRIES_MAX
    if waiting >= SCAN_ENTRIES_MAX then
        waiting = added - ordinal
    end
end
if added - ordinal ~= waiting then
    return history(string.format('%d', added - ordinal - waiting) .. ' entries behind ' ..
        position .. ' were trimmed or deleted before they were read')
end

local connection, epoch, result = ARGV[9], ARGV[8], redis.status_reply('OK')
if is_claim then
    connection = '1'
    epoch = string.format('%d', math.max(tonumber(stored_epoch ~= '' and stored_epoch or '0'),
        tonumber(ARGV[9])) + 1)
    local timeline = string.format('%d', math.max(1, tonumber(held[4] or '0'),
        tonumber(ARGV[10])))
    -- The caller has just come up: only Redis's clock saw the gap. A standby, which was there when
    -- the last tick was appended, will measure it itself: Redis's clock may have stepped since.
    local whole_gap = held[5] and now - tonumber(held[5]) or 0
    local gap = string.format('%d', math.min(math.max(whole_gap, 0), tonumber(ARGV[6])))
    local id = redis.call('XADD', stream, '*', 'type', 'epoch', 'epoch', epoch, 'owner', owner,
        'timeline', timeline, 'reducers', ARGV[11], 'ordinal', string.format('%d', added),
        'wall_ms', string.format('%d', now), 'gap_ms', gap)
    redis.call('HSET', ctl, 'owner', owner, 'epoch', epoch, 'exp',
        string.format('%d', now + tonumber(ARGV[7])), 'k', '0', 'timeline', timeline, 'tick', id,
        'wall', string.format('%d', now))
    redis.call('HSETNX', meta, 'partitions', ARGV[12])
    result = {epoch, timeline, gap, string.format('%d', whole_gap), id}
end

-- Every group of the kind goes, so that no earlier reader can take entries from this one.
for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local name = group[2]
    if string.sub(name, 1, #prefix + 1) == prefix .. '.' and
        string.match(string.sub(name, #prefix + 2), '^%d+%.%d+$') then
        redis.call('XGROUP', 'DESTROY', stream, name)
    end
end
redis.call('XGROUP', 'CREATE', stream, prefix .. '.' .. epoch .. '.' .. connection, position,
    'ENTRIESREAD', string.format('%d', ordinal))
return result
