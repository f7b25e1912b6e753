#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- Renews the lease, or ends it at once, when it is still the caller's; when memory is short too.
-- KEYS: control hash
-- ARGV: owner, epoch, lease_ms (0: it ends)
local found = redis.call('TYPE', KEYS[1]).ok
if found ~= 'hash' and found ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[1] .. ' is a ' .. found .. ', not a hash')
end
local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if not held[1] then
    return redis.error_reply('HISTORY the control hash is gone')
end
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
    return redis.error_reply('FENCED by ' .. held[1] .. ', epoch ' .. (held[2] or '(none)'))
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'exp',
    ARGV[3] == '0' and '0' or string.format('%d', now + tonumber(ARGV[3])))
return redis.status_reply('OK')
