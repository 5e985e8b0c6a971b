-- One pool of one partner: a sorted set of the ids of calls under way by when their leases lapse,
-- and a hash of its virtual queue: latency (smoothed), next (the moment that was given last).
local places, queue = keys.bulkhead[1], keys.bulkhead[2]
local FIRST_GUESS = 0.2
local LONGEST = 60
local bulkhead = {}
policies.bulkhead = bulkhead

function bulkhead.limit()
  local fixed = settings.bulkhead[call.pool]
  return fixed and policies.adaptive and policies.adaptive.limit(fixed) or fixed
end

function bulkhead.may()
  local limit = bulkhead.limit()
  if not limit then return end
  redis.call('ZREMRANGEBYSCORE', places, '-inf', now)
  if redis.call('ZCARD', places) < limit then return end
  local found = redis.call('HMGET', queue, 'latency', 'next')
  local step = tonumber(found[1] or FIRST_GUESS) / limit
  local free = math.max(now, tonumber(found[2] or 0)) + step
  if free > now + LONGEST then free = now + LONGEST * (0.5 + call.luck / 2) end
  redis.call('HSET', queue, 'next', free)
  redis.call('EXPIRE', queue, DAY)
  return free - now
end

function bulkhead.take()
  if not bulkhead.limit() then return end
  redis.call('ZADD', places, now + call.lease, call.id)
  redis.call('EXPIRE', places, DAY)
end

function bulkhead.leave()
  if not settings.bulkhead[call.pool] then return end
  bulkhead.taken = redis.call('ZCARD', places)
  redis.call('ZREM', places, call.id)
  if call.outcome ~= 'none' then
    local latency = redis.call('HGET', queue, 'latency')
    redis.call('HSET', queue, 'latency', smoothed(latency, call.seconds, 0.1))
    redis.call('EXPIRE', queue, DAY)
  end
end
