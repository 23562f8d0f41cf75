-- Whether a gateway whose callers wait may ask for another worker: one decides for all.
-- KEYS: leases, seen, nodes, node_seen (as in sync.lua).
-- ARGV: now or "", node, its JSON (with those who wait), lease_s, max_workers, id and JSON of the
--       lease it would ask for, then ids of leases that lend it nothing.
-- Answers "ask" (the lease is entered), "wait" or "full".
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end
local stamp = string.format('%.6f', now)
local me, lease_s, most = cjson.decode(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
redis.call('ZADD', KEYS[4], stamp, ARGV[2])
local useless = {}
for at = 8, #ARGV do useless[ARGV[at]] = true end

local waiting = 0
for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], now - 5, '+inf')) do
  waiting = waiting + cjson.decode(redis.call('HGET', KEYS[3], node)).waiting
end
local room, count = 0, 0
for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do
  local lease = cjson.decode(redis.call('HGET', KEYS[1], id))
  local seen = tonumber(redis.call('ZSCORE', KEYS[2], id) or '0')
  count = count + 1
  -- A slot can be lent only to an address of its own: the lender's would lead back to the lender.
  local reachable = lease.node == me.node or (lease.url ~= me.url and not useless[id])
  if seen > now - lease_s then
    if lease.state == 'asked' then
      room = room + lease.slots
    elseif lease.open and reachable then
      room = room + math.max(0, lease.slots - lease.live)
    end
  end
end
if waiting <= room then return 'wait' end
if count < most then
  redis.call('HSET', KEYS[1], ARGV[6], ARGV[7])
  redis.call('ZADD', KEYS[2], stamp, ARGV[6])
  return 'ask'
end
return room == 0 and 'full' or 'wait'
