-- A worker dials in: whose lease it is, from here on. The token opens one control socket of all.
-- KEYS: leases, seen (as in sync.lua).
-- ARGV: now or "", node, lease id, digest of what the worker showed, digest of the key it is
--       given in exchange for a token.
-- Answers {} (no such lease), {"refused"}, {"token"|"key", JSON as it was, seen}.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end
local known = redis.call('HGET', KEYS[1], ARGV[3])
if not known then return {} end
local lease = cjson.decode(known)
local how = nil
if lease.token ~= '' and lease.token == ARGV[4] then
  how = 'token'
  lease.token = ''
  lease.key = ARGV[5]
elseif lease.key == ARGV[4] then
  how = 'key'
end
if not how then return {'refused'} end
local seen = redis.call('ZSCORE', KEYS[2], ARGV[3]) or '0'
lease.node = ARGV[2]
redis.call('HSET', KEYS[1], ARGV[3], cjson.encode(lease))
redis.call('ZADD', KEYS[2], string.format('%.6f', now), ARGV[3])
return {how, known, seen, string.format('%.6f', now)}
