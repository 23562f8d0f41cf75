-- A gateway tells what it holds and learns what all do: modes/self_hosted/runpod/pool.py.
-- KEYS: leases (HASH id -> JSON), seen (ZSET id), reaper (string), cold, warm (LISTs of seconds).
-- ARGV: now or "", node, lease_s, then for each lease its id and JSON.
-- Answers {now, reaper, {ids that are another's}, {id, JSON, seen ...}, {cold}, {warm}}.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end
local stamp = string.format('%.6f', now)
local node, lease_s = ARGV[2], tonumber(ARGV[3])
if redis.call('GET', KEYS[3]) == node or redis.call('SET', KEYS[3], node, 'NX') then
  redis.call('PEXPIRE', KEYS[3], math.ceil(lease_s * 1000))
end
local lost = {}
for at = 4, #ARGV, 2 do
  local known, body = redis.call('HGET', KEYS[1], ARGV[at]), ARGV[at + 1]
  known = known and cjson.decode(known)
  if known and known.node ~= node then
    lost[#lost + 1] = ARGV[at]
  else
    local mine = cjson.decode(body)
    if known and known.token == '' and mine.token ~= '' then
      -- Written before the token was spent here.
      mine.token = ''
      body = cjson.encode(mine)
    end
    redis.call('HSET', KEYS[1], ARGV[at], body)
    redis.call('ZADD', KEYS[2], stamp, ARGV[at])
  end
end
local leases = {}
for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do
  leases[#leases + 1] = id
  leases[#leases + 1] = redis.call('HGET', KEYS[1], id)
  leases[#leases + 1] = redis.call('ZSCORE', KEYS[2], id) or '0'
end
return {
  stamp, redis.call('GET', KEYS[3]) == node and 1 or 0, lost, leases,
  redis.call('LRANGE', KEYS[4], 0, -1), redis.call('LRANGE', KEYS[5], 0, -1)
}
