-- One session into every scope, or into none: penny/trust/limits.py in the words of Redis.
-- KEYS: for each scope its leases (ZSET session -> end), rate (string) and day (HASH).
-- ARGV: now or "", session, lease_s, day_s kept, then for each scope max_sessions,
--       sessions_per_minute, seconds_per_day, usd_per_day ("" is unlimited).
-- Answers {} or {number of the scope from 1, limit, retry after in ms}.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end
local session, lease_s = ARGV[2], tonumber(ARGV[3])
local day_s = 86400
local day = math.floor(now / day_s)
local tomorrow_s = (day + 1) * day_s - now
local scopes = #KEYS / 3

local function denial(scope, limit, after_s)
  return {scope, limit, math.ceil(after_s * 1000)}
end

local function next_free(rate_key, rate)
  local free_at = tonumber(redis.call('GET', rate_key) or '0')
  if free_at > now + 60.001 then free_at = now end -- of a clock that was set back since
  return math.max(now, free_at) + 60 / rate
end

for scope = 1, scopes do
  local leases, rate_key, day_key = KEYS[scope * 3 - 2], KEYS[scope * 3 - 1], KEYS[scope * 3]
  local at = 4 + (scope - 1) * 4
  local places, rate = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local seconds, usd = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local used = redis.call('HMGET', day_key, 'day', 'seconds', 'usd')
  local today = tonumber(used[1] or '0') >= day
  local used_usd = today and tonumber(used[3] or '0') or 0
  local used_seconds = today and tonumber(used[2] or '0') or 0
  if usd and used_usd >= usd then return denial(scope, 'usd_per_day', tomorrow_s) end
  if seconds and used_seconds >= seconds then
    return denial(scope, 'minutes_per_day', tomorrow_s)
  end
  redis.call('ZREMRANGEBYSCORE', leases, '-inf', now)
  if places and redis.call('ZCARD', leases) >= places then
    return denial(scope, 'max_sessions', 5)
  end
  if rate then
    local early_s = next_free(rate_key, rate) - now - 60
    if early_s > 1e-3 then return denial(scope, 'sessions_per_minute', early_s) end
  end
end

for scope = 1, scopes do
  local leases, rate_key = KEYS[scope * 3 - 2], KEYS[scope * 3 - 1]
  local rate = tonumber(ARGV[4 + (scope - 1) * 4 + 2])
  redis.call('ZADD', leases, string.format('%.6f', now + lease_s), session)
  redis.call('EXPIRE', leases, math.ceil(lease_s) + 60)
  if rate then
    redis.call('SET', rate_key, string.format('%.6f', next_free(rate_key, rate)), 'EX', 120)
  end
end
return {}
