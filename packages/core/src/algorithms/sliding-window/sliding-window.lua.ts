/** The Lua half of the sliding window. State: a = end, b = current, c = previous. Parameters: limit, window. */
export const slidingWindowLua = /* lua */ `
local late = 1

local function roll(_, a, b, c, d, now)
  if now < a then return a, b, c, d end
  local previous = 0
  if now < a + window then previous = b end
  return now - now % window + window, 0, previous, 0
end

local function usage(_, a, b, c, _, now)
  if c == 0 then return b end
  local q, r = muldiv(c, math.min(a - now, window), window)
  if r > 0 then q = q + 1 end
  return b + q
end

local function add(_, a, b, c, d, _, behind, cost)
  if behind == 0 then return a, b + cost, c, d end
  if behind == 1 then return a, b, c + cost, d end
  return a, b, c, d
end

local function remove(_, a, b, c, d, behind, cost)
  if behind == 0 then return a, b - math.min(cost, b), c, d end
  return a, b, c - math.min(cost, c), d
end

local function ends(a)
  return a + window
end
`
