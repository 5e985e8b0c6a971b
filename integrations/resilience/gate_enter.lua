for _, name in ipairs(NAMES) do
  local wait = policies[name].may and policies[name].may()
  if wait then
    return {name, string.format('%.6f', wait), 0}
  end
end
for _, name in ipairs(NAMES) do
  if policies[name].take then policies[name].take() end
end
return {'', '0', policies.breaker and policies.breaker.generation or 0}
