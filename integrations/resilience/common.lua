-- What every script knows: the time, and what more than one of them does. KEYS[1] is the clock.
local DAY = 86400
local told = redis.call('TIME')
local wall = told[1] + told[2] / 1000000  -- for people; it may go back by an hour
-- `now` goes on from the latest moment that a script saw, so that nobody waits for the clock to come
-- to where it was before. It is the wall's time again as soon as that has caught up.
local now = wall
do
  local found = redis.call('HMGET', KEYS[1], 'last', 'ahead')
  local last, ahead = tonumber(found[1] or 0), 0
  if wall < last then
    now = math.max(last, wall + tonumber(found[2] or 0))
    ahead = now - wall
  end
  redis.call('HSET', KEYS[1], 'last', now, 'ahead', ahead)
  redis.call('EXPIRE', KEYS[1], DAY)
end

-- Put a breaker into a state, in which it has counted nothing yet. A forced one stays until somebody
-- closes it.
local function change_breaker(key, state, generation, more)
  redis.call('DEL', key)
  redis.call('HSET', key, 'state', state, 'generation', generation + 1, 'since', wall, unpack(more))
  if state ~= 'forced' then redis.call('EXPIRE', key, DAY) end
end

-- The exponentially weighted mean of a value: what it was before, moved towards a new one by a part.
local function smoothed(before, value, part)
  before = tonumber(before or value)
  return before + part * (value - before)
end
