-- Adds seconds and dollars to the day of every scope. KEYS: each scope's day (HASH).
-- ARGV: now or "", then for each scope seconds, usd. Answers {seconds, usd} of the day for each scope, as strings.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end
local day = math.floor(now / 86400)
local uses = {}
for scope, key in ipairs(KEYS) do
  if tonumber(redis.call('HGET', key, 'day') or '0') < day then
    redis.call('DEL', key)
    redis.call('HSET', key, 'day', day)
  end
  local seconds = redis.call('HINCRBYFLOAT', key, 'seconds', ARGV[scope * 2])
  local usd = redis.call('HINCRBYFLOAT', key, 'usd', ARGV[scope * 2 + 1])
  redis.call('EXPIRE', key, 172800)
  uses[scope] = {seconds, usd}
end
return uses
