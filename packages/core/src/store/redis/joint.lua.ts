/**
 * Takes from several tables at one moment, from all or from none, or peeks. Follows `engines`: per algorithm, a
 * function that opens a table.
 *
 * KEYS: a prefix and its `:meta` for each table. ARGV: a request for each table, whose operations at one place belong
 * together; then 1 if the last table is a reserve, else 0; then the place of each table's function in `engines`. A
 * reserve pays if the others refuse only because they are used up.
 *
 * Returns a reply for each table, as the engine's; a take's result begins with a byte for each cost: 0 refused, 1 taken
 * from the limits, 2 taken from the reserve. If a table refuses the request itself, nothing is taken: that table's
 * reply says why, and the others are empty.
 */
export const jointLua = /* lua */ `
local count = #KEYS / 2
local tables, results = {}, {}
for t = 1, count do
  local open = engines[tonumber(ARGV[count + 1 + t])]
  local opened = open({KEYS[2 * t - 1], KEYS[2 * t]}, {ARGV[t]}, true)
  if type(opened) == 'string' then
    local replies = {}
    for other = 1, count do replies[other] = other == t and opened or '' end
    return replies
  end
  tables[t] = opened
  results[t] = {}
end
local limits = count - tonumber(ARGV[count + 1])

local function peek(i)
  for t = 1, count do results[t][i] = tables[t].carryout(tables[t].operations[i]) end
end

local function take(i)
  local costs = tables[1].operations[i]
  local used, blocked, total, largest = {}, {}, {}, {}
  for t = 1, count do
    used[t], blocked[t] = tables[t].stand(tables[t].operations[i][2])
    total[t], largest[t] = 0, 0
  end
  local paid = {}
  for c = 3, #costs do
    local cost = costs[c]
    local fits, full = true, true
    for t = 1, limits do
      if blocked[t] or cost > tables[t].limit then
        fits, full = false, false
      elseif used[t] + cost > tables[t].limit then
        fits = false
      end
    end
    local spare = not fits and full and limits < count
      and not blocked[count] and used[count] + cost <= tables[count].limit
    for t = 1, count do
      if t <= limits and fits or t > limits and spare then
        used[t] = used[t] + cost
        total[t] = total[t] + cost
      elseif cost <= tables[t].limit then
        largest[t] = math.max(largest[t], cost)
      end
    end
    paid[#paid + 1] = string.char(fits and 1 or spare and 2 or 0)
  end
  for t = 1, count do
    local need = math.max(0, used[t] + largest[t] - tables[t].limit)
    results[t][i] = table.concat(paid) .. tables[t].take(tables[t].operations[i][2], total[t], need)
  end
end

for i = 1, #tables[1].operations do
  if tables[1].operations[i][1] == 'take' then take(i) else peek(i) end
end

local replies = {}
for t = 1, count do replies[t] = tables[t].finish(results[t]) end
return replies
`
