-- One pool of one partner is a hash: limit, stretch (how much longer than at rest calls take,
-- smoothed), seconds (what they take, smoothed), cut_at, drained_at; and for each operation rest:x
-- (its time at rest), fresh:x (the shortest of this window), from:x (when the window began).
local key = keys.adaptive[1]
local set = settings.adaptive
local adaptive = {}
policies.adaptive = adaptive

function adaptive.limit(fixed)
  if not set.enabled then return fixed end
  local limit = tonumber(redis.call('HGET', key, 'limit') or fixed)
  return math.floor(math.max(set.least, math.min(limit, set.most)))
end

local function rest(operation)
  local found = redis.call('HMGET', key, 'rest:' .. operation, 'fresh:' .. operation,
    'from:' .. operation)
  local shortest, fresh = tonumber(found[1] or call.seconds), tonumber(found[2] or call.seconds)
  local from = tonumber(found[3] or now)
  if now - from > set.window then
    shortest, fresh, from = fresh, call.seconds, now
  end
  fresh = math.min(fresh, call.seconds)
  shortest = math.max(math.min(shortest, fresh), 0.0001)
  redis.call('HSET', key, 'rest:' .. operation, shortest, 'fresh:' .. operation, fresh,
    'from:' .. operation, from)
  return shortest
end

function adaptive.leave()
  local fixed = settings.bulkhead[call.pool]
  if not set.enabled or not fixed or call.outcome == 'none' then return end
  local found = redis.call('HMGET', key, 'limit', 'stretch', 'seconds', 'cut_at', 'drained_at')
  local limit = tonumber(found[1] or fixed)
  local seconds = smoothed(found[3], call.seconds, 0.2)
  local overloaded = call.outcome ~= 'ok'
  local stretch = tonumber(found[2] or 1)
  if not overloaded then
    stretch = smoothed(found[2], call.seconds / rest(call.operation), 0.2)
    overloaded = stretch > set.tolerance
  end
  local cut_at, drained_at = tonumber(found[4] or 0), tonumber(found[5] or now)
  if now - drained_at > set.window then
    limit, drained_at, cut_at = limit / 2, now, now
  elseif overloaded then
    if now - cut_at >= seconds then limit, cut_at = limit * set.backoff, now end
  elseif 2 * policies.bulkhead.taken >= limit then
    limit = limit + 1 / limit
  end
  limit = math.max(set.least, math.min(limit, set.most))
  redis.call('HSET', key, 'limit', limit, 'stretch', stretch, 'seconds', seconds, 'cut_at', cut_at,
    'drained_at', drained_at)
  redis.call('EXPIRE', key, DAY)
end
