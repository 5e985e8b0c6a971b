-- Put a partner's breaker into a state by force, unless it has moved on from the generation named.
local key, troubled = KEYS[1], KEYS[2]
local state, partner, why, only = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local generation = tonumber(redis.call('HGET', key, 'generation') or 0)
if only ~= '' and tonumber(only) ~= generation then return 0 end
redis.call('DEL', key)
redis.call('HSET', key, 'state', state, 'generation', generation + 1, 'since', now, 'why', why)
if state ~= 'forced' then redis.call('EXPIRE', key, 86400) end
redis.call('SADD', troubled, partner)
return 1
