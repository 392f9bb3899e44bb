import { arithmeticLua } from '../arithmetic.lua.ts'
import type { LuaHalf } from '../lua-half.ts'

const roll = /* lua */ `
if now >= a then
  local previous = 0
  if now < a + window then previous = b end
  a, b, c, d = now - now % window + window, 0, previous, 0
end
`
const use = /* lua */ `
local used = b
if c > 0 then
  local q, r = muldiv(c, math.min(a - now, window), window)
  used = b + q
  if r > 0 then used = used + 1 end
end
`

const begins = /* lua */ `
local late = 1
`

const functions = /* lua */ `
local function roll(_, a, b, c, d, now)
  ${roll}
  return a, b, c, d
end

local function usage(_, a, b, c, _, now)
  ${use}
  return used
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

/** The Lua half of the sliding window. State: a = end, b = current, c = previous. Parameters: limit, window. */
export const slidingWindowLua: LuaHalf = {
  begins,
  functions,
  take: { opens: arithmeticLua, late: 1, roll, use },
}
