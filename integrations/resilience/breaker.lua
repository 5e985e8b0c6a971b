-- One partner's breaker is a hash. Fields of its state: state (closed, open, or forced, which is open
-- until somebody closes it), generation, openings (in a row), since, until (when it may be probed),
-- probe and probe_until (the lease), why. Fields of its window, for each of the BUCKETS slots: number
-- (of the bucket that the slot now is), calls, failed, slow.
-- The set of troubled partners holds those whose breaker has opened.
local key, troubled = keys.breaker[1], keys.breaker[2]
local set = settings.breaker
local BUCKETS = 10
local width = set.window / BUCKETS
local breaker = {generation = 0}
policies.breaker = breaker

local function open(generation, openings, why)
  local seconds = math.min(set.cooldown * 2 ^ math.min(openings, 20), set.longest)
  seconds = seconds * (1 + call.luck / 5)
  change_breaker(key, 'open', generation, {'openings', openings + 1, 'until', now + seconds, 'why', why})
  redis.call('SADD', troubled, call.partner)
end

local function count(failed, slow)
  local number = math.floor(now / width)
  local slot = number % BUCKETS
  if tonumber(redis.call('HGET', key, slot .. ':number')) ~= number then
    redis.call('HSET', key, slot .. ':number', number, slot .. ':calls', 0, slot .. ':failed', 0,
      slot .. ':slow', 0)
    redis.call('EXPIRE', key, DAY)
  end
  redis.call('HINCRBY', key, slot .. ':calls', 1)
  if failed then redis.call('HINCRBY', key, slot .. ':failed', 1) end
  if slow then redis.call('HINCRBY', key, slot .. ':slow', 1) end
end

local function counted()
  local oldest = math.floor(now / width) - BUCKETS + 1
  local sum = {calls = 0, failed = 0, slow = 0}
  for slot = 0, BUCKETS - 1 do
    local found = redis.call('HMGET', key, slot .. ':number', slot .. ':calls', slot .. ':failed',
      slot .. ':slow')
    if found[1] and tonumber(found[1]) >= oldest then
      sum.calls = sum.calls + found[2]
      sum.failed = sum.failed + found[3]
      sum.slow = sum.slow + found[4]
    end
  end
  return sum
end

local function trip(generation)
  local sum = counted()
  if sum.calls < set.minimum then return end
  if sum.failed / sum.calls >= set.failure_rate then
    open(generation, 0, sum.failed .. ' of ' .. sum.calls .. ' calls failed')
  elseif sum.slow / sum.calls >= set.slow_rate then
    open(generation, 0, sum.slow .. ' of ' .. sum.calls .. ' calls were slow')
  end
end

function breaker.may()
  local found = redis.call('HMGET', key, 'state', 'generation', 'until', 'probe_until')
  breaker.generation = tonumber(found[2] or 0)
  if found[1] == 'forced' then return set.longest * (1 + call.luck) end
  if found[1] ~= 'open' then return end
  -- Those who wait come back one after the other: they will not all be let through at once.
  local opens, lapses = tonumber(found[3]), tonumber(found[4] or 0)
  if now < opens then return opens - now + call.luck * set.cooldown end
  if now < lapses then return math.min(lapses - now, set.cooldown) * (0.5 + call.luck) end
  breaker.probing = true
end

function breaker.take()
  if breaker.probing then
    redis.call('HSET', key, 'probe', call.id, 'probe_until', now + call.lease)
  end
end

local function probed(generation, openings, slow)
  if call.outcome == 'none' then
    redis.call('HDEL', key, 'probe', 'probe_until')
  elseif call.outcome == 'failed' then
    open(generation, openings, 'the probe failed')
  elseif slow then
    open(generation, openings, 'the probe was slow')
  else
    change_breaker(key, 'closed', generation, {})
  end
end

function breaker.leave()
  local found = redis.call('HMGET', key, 'state', 'generation', 'openings', 'probe')
  local generation = tonumber(found[2] or 0)
  if generation ~= call.generation then return end
  local failed, slow = call.outcome == 'failed', call.seconds > set.slow_seconds
  if found[1] == 'open' then
    if found[4] == call.id then probed(generation, tonumber(found[3]), slow) end
  elseif found[1] ~= 'forced' and call.outcome ~= 'none' then
    count(failed, slow)
    if failed or slow then trip(generation) end
  end
end
