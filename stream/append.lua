-- SPDX-License-Identifier: MIT
-- Appends one entry of the leader: once, in order, and only while it leads.
--
-- KEYS: control hash, stream
-- ARGV: owner, epoch, k, lease_ms ('' unless the entry is a tick), then the entry's fields
-- A tick gets `wall_ms` from here, is kept in the control hash, and renews the lease.
-- Returns {id, entries-added before, last-generated-id before}; the id is '' when entry k was
-- appended before.
local ctl, stream = KEYS[1], KEYS[2]
local owner, epoch, k, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

for key, wanted in pairs({[ctl] = 'hash', [stream] = 'stream'}) do
    local found = redis.call('TYPE', key).ok
    if found ~= wanted and found ~= 'none' then
        return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. wanted)
    end
end
local held = redis.call('HMGET', ctl, 'owner', 'epoch', 'k')
if not held[1] then
    return redis.error_reply('HISTORY the control hash is gone')
end
if held[1] ~= owner or held[2] ~= epoch then
    return redis.error_reply('FENCED by ' .. held[1] .. ', epoch ' .. (held[2] or '(none)'))
end
if redis.call('EXISTS', stream) == 0 then
    return redis.error_reply('HISTORY the stream is gone')
end
local info = {}
local list = redis.call('XINFO', 'STREAM', stream)
for i = 1, #list, 2 do
    info[list[i]] = list[i + 1]
end
local before = {'', string.format('%d', info['entries-added']), info['last-generated-id']}
local done = tonumber(held[3] or '0')
if k <= done then
    return before
end
if k ~= done + 1 then
    return redis.error_reply('HISTORY append ' .. ARGV[3] .. ' follows ' .. held[3])
end

-- What would fail behind the XADD must fail before it.
if not redis.acl_check_cmd('HSET', ctl, 'k', '') then
    return redis.error_reply('NOPERM HSET ' .. ctl)
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local entry = {unpack(ARGV, 5)}
if lease_ms ~= '' then
    entry[#entry + 1] = 'wall_ms'
    entry[#entry + 1] = string.format('%d', now)
end
before[1] = redis.call('XADD', stream, '*', unpack(entry))
redis.call('HSET', ctl, 'k', ARGV[3])
if lease_ms ~= '' then
    redis.call('HSET', ctl, 'tick', before[1], 'wall', string.format('%d', now), 'exp',
        string.format('%d', now + tonumber(lease_ms)))
end
return before
