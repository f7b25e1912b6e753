-- SPDX-License-Identifier: MIT
-- Carries one queue effect out, once: the job (or worker) is held against what the decision
-- believed, the outcome is appended to the stream, then the queue is changed, with the effect's id
-- as marker. Nothing that can fail stands behind the first write.
--
-- KEYS: control hash, stream, job hash, worker hash, jobs:pending, jobs:completed, jobs:failed
-- ARGV: kind, owner, epoch, effect, prefix of the queue's keys, job, worker, attempt, claim,
--       losses, failures, error, result
-- Returns {outcome, found}.
local ctl, stream, job_key, worker_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local pending_key, completed_key, failed_key = KEYS[5], KEYS[6], KEYS[7]
local kind, owner, epoch, effect, prefix, job, worker = unpack(ARGV, 1, 7)
local attempt, claim, losses, failures, error_text, result = unpack(ARGV, 8, 13)
local is_release = kind == 'release'
local COMPLETED_KEPT_S, FAILED_KEPT_S, FOUND_VALUE_MAX = 86400, 604800, 128
-- The largest text of an entry; digits of milliseconds and of a priority that a double still holds.
local FOUND_MAX, TIME_DIGITS_MAX, PRIORITY_SIZE_MAX = 1024, 15, 10

-- The stream and its fence come before anything is appended.
for key, wanted in pairs({[ctl] = 'hash', [stream] = 'stream'}) do
    local found = redis.call('TYPE', key).ok
    if found ~= wanted and found ~= 'none' then
        return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. wanted)
    end
end
local held = redis.call('HMGET', ctl, 'owner', 'epoch')
if not held[1] then
    return redis.error_reply('HISTORY the control hash is gone')
end
if held[1] ~= owner or held[2] ~= epoch then
    return redis.error_reply('FENCED by ' .. held[1] .. ', epoch ' .. (held[2] or '(none)'))
end
if redis.call('EXISTS', stream) == 0 then
    return redis.error_reply('HISTORY the stream is gone')
end

local function settle(outcome, found)
    found = string.sub(found, 1, FOUND_MAX)
    local entry = {'type', 'effect.settled', 'effect', effect, 'outcome', outcome, 'owner', owner,
        'epoch', epoch}
    if found ~= '' then
        entry[#entry + 1] = 'found'
        entry[#entry + 1] = found
    end
    redis.call('XADD', stream, '*', unpack(entry))
    return {outcome, found}
end

local function type_problem(wanted_types)
    for _, pair in ipairs(wanted_types) do
        local found = redis.call('TYPE', pair[1]).ok
        if found ~= pair[2] and found ~= 'none' then
            return 'key=' .. pair[1] .. '\ntype=' .. found
        end
    end
end

local problem = is_release and type_problem({{worker_key, 'hash'}}) or not is_release and
    type_problem({{job_key, 'hash'}, {worker_key, 'hash'}, {pending_key, 'zset'},
        {completed_key, 'hash'}, {failed_key, 'hash'}})
if problem then
    return settle('failed', problem)
end

local target_key = is_release and worker_key or job_key
if redis.call('EXISTS', target_key) == 0 then
    return settle('gone', '')
end
-- By name: a job's payload may be large.
local NAMES = {'status', 'worker_id', 'assigned_at', 'retry_count', 'max_retries', 'priority',
    'created_at', 'workflow_id', 'workflow_priority', 'workflow_datetime', 'current_step',
    'total_steps', 'cancelled_at', 'error', 'current_job_id', 'salvor_effect'}
local values = redis.call('HMGET', target_key, unpack(NAMES))
local hash = {}
for i, name in ipairs(NAMES) do
    hash[name] = values[i] or ''
end
local function field(name)
    return hash[name]
end
if field('salvor_effect') == effect then
    return {'applied', ''}
end

-- What every change of a job rests on: its holder's active hash, and numbers that are numbers.
local holder = field('worker_id')
local active_key = prefix .. 'jobs:active:' .. holder
local retry_count = field('retry_count') ~= '' and field('retry_count') or '0'
if not is_release then
    problem = holder ~= '' and type_problem({{active_key, 'hash'}})
    if not problem and (not string.match(retry_count, '^%d+$') or #retry_count > 9) then
        problem = 'key=' .. job_key .. '\nfield=retry_count'
    end
    if problem then
        return settle('failed', problem)
    end
end

-- Nor may a right that was taken away since the start fail behind the first write.
local needed = is_release and {{'HSET', worker_key, '', ''}} or {{'HSET', job_key, '', ''},
    {'HDEL', active_key, ''}, {'ZADD', pending_key, '0', ''}, {'ZREM', pending_key, ''},
    {'HSET', completed_key, '', ''}, {'EXPIRE', completed_key, '1'},
    {'HSET', failed_key, '', ''}, {'EXPIRE', failed_key, '1'},
    {'HGET', worker_key, ''}, {'HSET', worker_key, '', ''}, {'PUBLISH', 'complete_job', ''},
    {'PUBLISH', 'job_failed', ''}, {'PUBLISH', 'cancel_job', ''}}
for _, command in ipairs(needed) do
    if not redis.acl_check_cmd(unpack(command)) then
        return redis.error_reply('NOPERM ' .. command[1] .. ' ' .. command[2])
    end
end

local function found_lines(pairs_of)
    local lines = {}
    for _, pair in ipairs(pairs_of) do
        local value = string.gsub(string.sub(pair[2], 1, FOUND_VALUE_MAX), '%c', ' ')
        lines[#lines + 1] = pair[1] .. '=' .. value
    end
    return table.concat(lines, '\n')
end
local function found_job()
    local status = field('status')
    -- The founding system writes a cancelled job as failed, with this text.
    if status == 'failed' and (field('cancelled_at') ~= '' or
        field('error') == 'Job cancelled by user') then
        status = 'cancelled'
    end
    return found_lines({{'status', status},
        {'attempt', string.format('%d', tonumber(retry_count) + 1)}, {'worker', holder},
        {'claim', field('assigned_at')}}), status
end

local HOLDING = {assigned = true, accepted = true, in_progress = true}
local function is_token_held()
    return HOLDING[field('status')] and tonumber(retry_count) + 1 == tonumber(attempt) and
        (worker == '' or worker == holder) and (claim == '' or claim == field('assigned_at'))
end

local time = redis.call('TIME')
local now_ms = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))

-- Days and dates by arithmetic: Redis has no `os`. The year begins in March here, so that the leap
-- day is its last.
local function days_of_date(year, month, day)
    if month <= 2 then
        year = year - 1
    end
    local era = math.floor(year / 400)
    local year_of_era = year - era * 400
    local day_of_year = math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
    return era * 146097 + year_of_era * 365 + math.floor(year_of_era / 4) -
        math.floor(year_of_era / 100) + day_of_year - 719468
end
local function iso_of_time()
    local seconds = tonumber(time[1])
    local days = math.floor(seconds / 86400) + 719468
    local era = math.floor(days / 146097)
    local day_of_era = days - era * 146097
    local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460) +
        math.floor(day_of_era / 36524) - math.floor(day_of_era / 146096)) / 365)
    local day_of_year = day_of_era - (365 * year_of_era + math.floor(year_of_era / 4) -
        math.floor(year_of_era / 100))
    local month_index = math.floor((5 * day_of_year + 2) / 153)
    local day = day_of_year - math.floor((153 * month_index + 2) / 5) + 1
    local month = month_index < 10 and month_index + 3 or month_index - 9
    local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
    local rest = seconds % 86400
    return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
        math.floor(rest / 3600), math.floor(rest / 60) % 60, rest % 60,
        math.floor(time[2] / 1000))
end
local iso = iso_of_time()

local function seconds_of(text)
    if string.match(text, '^%d+$') then
        return #text <= TIME_DIGITS_MAX and math.floor(tonumber(text) / 1000) or nil
    end
    local year, month, day, hour, minute, second =
        string.match(text, '^(%d%d%d%d)-(%d%d)-(%d%d)T(%d%d):(%d%d):(%d%d)[.%d]*Z$')
    if not year then
        return nil
    end
    return days_of_date(tonumber(year), tonumber(month), tonumber(day)) * 86400 + hour * 3600 +
        minute * 60 + second
end
-- An empty text and a 0 count as absent, as the submitting code has it.
local function or_else(first, second)
    if first == '' or first == '0' then
        return second
    end
    return first
end
-- The order that a fresh submission has: priority first, then age. Printed with all its digits.
local function score()
    local priority = or_else(field('workflow_priority'), or_else(field('priority'), '50'))
    -- A job that tells no time of its own waits from now on.
    local seconds = seconds_of(or_else(field('workflow_datetime'), or_else(field('created_at'),
        now_ms)))
    if not string.match(priority, '^%-?%d+$') or #priority > PRIORITY_SIZE_MAX or not seconds then
        return nil
    end
    return string.format('%.17g', tonumber(priority) * 1e15 - seconds)
end

local function json(members)
    local parts = {}
    for _, member in ipairs(members) do
        parts[#parts + 1] = cjson.encode(member[1]) .. ':' .. member[2]
    end
    return '{' .. table.concat(parts, ',') .. '}'
end
local function text(value)
    return cjson.encode(value)
end
local function number_or_text(value)
    return string.match(value, '^[1-9]%d*$') and value or value == '0' and value or text(value)
end
local function message(members)
    for _, name in ipairs({'workflow_id', 'current_step', 'total_steps', 'workflow_priority',
        'workflow_datetime'}) do
        local value = field(name)
        if value ~= '' then
            members[#members + 1] = {name, name == 'workflow_id' and text(value) or
                number_or_text(value)}
        end
    end
    members[#members + 1] = {'timestamp', now_ms}
    return json(members)
end

local function leave_active()
    if holder ~= '' then
        redis.call('HDEL', active_key, job)
    end
end
local function keep_failure()
    redis.call('HSET', failed_key, job, json({{'error', text(error_text)}, {'failed_at', text(iso)},
        {'retry_count', number_or_text(retry_count)},
        {'max_retries', number_or_text(field('max_retries'))}}))
    redis.call('EXPIRE', failed_key, FAILED_KEPT_S)
end
local function publish_failure(status)
    redis.call('PUBLISH', 'job_failed', message({{'job_id', text(job)}, {'worker_id', text(holder)},
        {'status', text(status)}, {'error', text(error_text)}, {'failed_at', text(iso)},
        {'retry_count', number_or_text(retry_count)}, {'can_retry', 'false'}}))
end

local effects = {}

function effects.requeue()
    if not is_token_held() then
        return settle('stale', (found_job()))
    end
    local order = score()
    if not order then
        return settle('failed', 'key=' .. job_key .. '\nfield=priority or created_at')
    end
    local verdict = settle('applied', '')
    redis.call('HSET', job_key, 'status', 'pending', 'worker_id', '', 'assigned_at', '',
        'started_at', '', 'retry_count', attempt, 'last_failed_worker', holder, 'failed_at', iso,
        'salvor_losses', losses, 'salvor_failures', failures, 'salvor_effect', effect)
    leave_active()
    redis.call('ZADD', pending_key, order, job)
    return verdict
end

function effects.complete()
    local found, status = found_job()
    if status == 'completed' or status == 'cancelled' then
        return settle('stale', found)
    end
    local verdict = settle('applied', '')
    redis.call('HSET', job_key, 'status', 'completed', 'completed_at', iso, 'salvor_effect', effect)
    redis.call('ZREM', pending_key, job)
    leave_active()
    redis.call('HSET', completed_key, job, json({{'success', 'true'}, {'data', text(result)},
        {'completed_at', text(iso)}}))
    redis.call('EXPIRE', completed_key, COMPLETED_KEPT_S)
    redis.call('PUBLISH', 'complete_job', message({{'job_id', text(job)},
        {'worker_id', text(holder)}, {'progress', '100'}, {'status', text('completed')},
        {'result', text(result)}}))
    return verdict
end

-- The two ends without a result; a time-out also frees the worker and tells it.
local function end_as(status)
    local is_timeout = status == 'timeout'
    -- An operator may end a job that waits: nobody holds it, and no claim has come since.
    local is_waiting = not is_timeout and worker == '' and field('status') == 'pending' and
        tonumber(retry_count) == tonumber(attempt)
    if not is_waiting and not is_token_held() then
        return settle('stale', (found_job()))
    end
    local verdict = settle('applied', '')
    redis.call('HSET', job_key, 'status', status, 'failed_at', iso, 'error', error_text,
        'salvor_losses', losses, 'salvor_failures', failures, 'salvor_effect', effect)
    redis.call('ZREM', pending_key, job)
    leave_active()
    keep_failure()
    if is_timeout and worker ~= '' and redis.call('HGET', worker_key, 'current_job_id') == job then
        redis.call('HSET', worker_key, 'status', 'idle', 'current_job_id', '')
    end
    publish_failure(status)
    if is_timeout then
        redis.call('PUBLISH', 'cancel_job', json({{'job_id', text(job)},
            {'worker_id', text(holder)}, {'reason', text(error_text)}, {'timestamp', now_ms}}))
    end
    return verdict
end

function effects.fail()
    return end_as('failed')
end

function effects.time_out()
    return end_as('timeout')
end

function effects.release()
    local current = field('current_job_id')
    if current ~= '' and current ~= job then
        return settle('stale', found_lines({{'status', field('status')}, {'job', current}}))
    end
    local verdict = settle('applied', '')
    redis.call('HSET', worker_key, 'status', 'offline', 'current_job_id', '', 'salvor_effect',
        effect)
    return verdict
end

return effects[kind]()
