-- What every policy's part sees beside common.lua: the call, the settings, the keys.
-- A part puts into `policies` a table of what it can do:
--   may(): nothing if the call may pass, else the seconds after which to come back
--   take(): takes what the call needs, once all policies let it pass
--   leave(): learns from the call's end
local call = cjson.decode(ARGV[1])
local settings = cjson.decode(ARGV[2])
local keys, policies = {}, {}
