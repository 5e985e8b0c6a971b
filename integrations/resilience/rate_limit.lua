-- One account at one partner is a hash: arrival (the theoretical time of the next call), next (the
-- moment that was given last to one who waits), shut (until when a 429 forbids all calls).
local key = keys.rate_limit[1]
local set = settings.rate
local UNLIMITED = 50  -- callers a second that come back to a partner without a limit after a 429
-- The queue moves a little faster than tokens come: of those that come late some leave one unused,
-- and who finds none queues again.
local PACE = 0.9
local rate_limit = {}
policies.rate_limit = rate_limit

function rate_limit.may()
  local found = redis.call('HMGET', key, 'arrival', 'next', 'shut')
  local arrival, shut = math.max(now, tonumber(found[1] or 0)), tonumber(found[3] or 0)
  local step = 1 / (set.per_second or UNLIMITED)
  local allowed = set.per_second and arrival - (set.burst - 1) * step or now
  allowed = math.max(allowed, shut)
  if allowed <= now then
    rate_limit.arrival = set.per_second and arrival + step
    return
  end
  local given = math.max(allowed, tonumber(found[2] or 0) + step * PACE)
  redis.call('HSET', key, 'next', given)
  redis.call('EXPIRE', key, DAY)
  return given - now
end

function rate_limit.take()
  if rate_limit.arrival then
    redis.call('HSET', key, 'arrival', rate_limit.arrival)
    redis.call('EXPIRE', key, DAY)
  end
end

function rate_limit.leave()
  if call.outcome ~= 'limited' then return end
  local told = call.retry_after ~= cjson.null and call.retry_after or set.pause
  local shut = now + math.min(told, set.longest)
  if shut > tonumber(redis.call('HGET', key, 'shut') or 0) then
    redis.call('HSET', key, 'shut', shut)
    redis.call('EXPIRE', key, DAY)
  end
end
