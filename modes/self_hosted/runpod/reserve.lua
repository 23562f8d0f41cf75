-- Reserves a place among max_workers for a lease that a gateway is about to ask for.
-- KEYS: leases, seen (as in sync.lua).
-- ARGV: now or "", max_workers, id and JSON of the lease.
-- Answers 1 (the lease is entered) or 0 (as many workers as allowed).
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
redis.call('ZADD', KEYS[2], string.format('%.6f', now), ARGV[3])
return 1
