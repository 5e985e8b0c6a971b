-- What every policy's part sees: the call, the settings, the time, the keys.
-- A part puts into `policies` a table of what it can do:
--   may(): nothing if the call may pass, else the seconds after which to come back
--   take(): takes what the call needs, once all policies let it pass
--   leave(): learns from the call's end
local call = cjson.decode(ARGV[1])
local settings = cjson.decode(ARGV[2])
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local DAY = 86400
local keys, policies = {}, {}
