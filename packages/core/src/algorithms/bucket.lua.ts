/** The Lua half of token and leaky bucket. State: a = at, b = used, c = drained. Parameters: capacity, window, rate, per. */
export const bucketLua = /* lua */ `
local late = 1
local rate, per = parameters[3], parameters[4]

local function roll(_, a, b, c, d, now)
  local elapsed = now - a
  if elapsed <= 0 then return a, b, c, d end
  if b == 0 then return now, 0, c, d end
  local whole, part = muldiv(elapsed, rate, per)
  part = part + c
  if part >= per then
    whole = whole + 1
    part = part - per
  end
  if b <= whole then return now, 0, 0, 0 end
  return now, b - whole, part, d
end

local function usage(_, a, b)
  return b
end

local function add(_, a, b, c, d, _, _, cost)
  return a, b + cost, c, d
end

local function remove(_, a, b, c, d, _, cost, at, beside)
  local part = 0
  if at and now > at then
    local whole, rest = muldiv(now - at, rate, per)
    whole = whole - beside
    if whole >= 0 then
      cost = cost - whole
      part = rest
    end
  end
  if cost <= 0 then return a, b, c, d end
  b = b - cost
  c = c - part
  if c < 0 then
    b = b + 1
    c = c + per
  end
  if b <= 0 then return a, 0, 0, d end
  return a, b, c, d
end

local function ends(a, b, c)
  if b == 0 then return a end
  local whole, rest = muldiv(b, per, rate)
  return a + whole + math.ceil((rest - c) / rate)
end
`
