/** The Lua half of the fixed window. State: a = end, b = count. Parameters: limit, window. */
export const fixedWindowLua = /* lua */ `
local late = 0

local function roll(_, a, b, c, d, now)
  if now < a then return a, b, c, d end
  return now - now % window + window, 0, 0, 0
end

local function usage(_, a, b)
  return b
end

local function add(_, a, b, c, d, _, _, cost)
  return a, b + cost, c, d
end

local function remove(_, a, b, c, d, _, cost)
  return a, b - math.min(cost, b), c, d
end

local function ends(a)
  return a
end
`
