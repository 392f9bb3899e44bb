import type { LuaHalf } from '../lua-half.ts'

const roll = /* lua */ `
if now >= a then a, b, c, d = now - now % window + window, 0, 0, 0 end
`
const use = /* lua */ `
local used = b
`

const begins = /* lua */ `
local late = 0
`

const functions = /* lua */ `
local function roll(_, a, b, c, d, now)
  ${roll}
  return a, b, c, d
end

local function usage(_, a, b)
  ${use}
  return used
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

/** The Lua half of the fixed window. State: a = end, b = count. Parameters: limit, window. */
export const fixedWindowLua: LuaHalf = { begins, functions, take: { opens: '', late: 0, roll, use } }
