/** The Lua half of `arithmetic.ts`: the same numbers, digit by digit if a product passes 2^53. */
export const arithmeticLua = /* lua */ `
-- in: a < 2^53; b, c < 2^36 · out: floor(a * b / c), a * b mod c
local function muldiv(a, b, c)
  local product = a * b
  if product <= 9007199254740991 then
    local r = product % c
    return (product - r) / c, r
  end
  local q, r = 0, 0
  local unit = 281474976710656
  while unit >= 1 do
    local step = r * 65536 + (math.floor(a / unit) % 65536) * b
    r = step % c
    q = q * 65536 + (step - r) / c
    unit = unit / 65536
  end
  return q, r
end
`
