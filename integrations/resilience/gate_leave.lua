for _, name in ipairs(NAMES) do
  if policies[name].leave then policies[name].leave() end
end
