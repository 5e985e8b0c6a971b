-- Count a partner to the troubled no more, unless its breaker has opened again.
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'open' or state == 'forced' then return 0 end
return redis.call('SREM', KEYS[2], ARGV[1])
