-- Put a partner's breaker into a state by force, unless it has moved on from the generation named.
local key, troubled = KEYS[2], KEYS[3]
local state, partner, why, only = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local generation = tonumber(redis.call('HGET', key, 'generation') or 0)
if only ~= '' and tonumber(only) ~= generation then return 0 end
change_breaker(key, state, generation, {'why', why})
redis.call('SADD', troubled, partner)
return 1
