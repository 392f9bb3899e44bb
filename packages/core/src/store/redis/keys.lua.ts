import { CHANGES_KEPT, FURTHEST_SLICE, MOST_CHANGES } from '../store.ts'
import { settlementsLua } from './settlements.lua.ts'

/** Reads the rows of a command's keys and of changed keys, and brings them up to now. */
export const keysLua = /* lua */ `
-- rows: 1 to 4 state a, b, c, d; 5 generation; 6 slice of the last settlement; 7, 8 booked in it, and in the one
-- before; 9 demand; 10 a string with the cells of nodes; 11 the slice it is filed under; 12, 13 this node's cells of the
-- slice and of the one before, taken out of 10 when needed: false if there is none; 14 to 17 where each kind of cell
-- begins in 10; 18 where the last one ends; 19, 20 where 12 and 13 lay, or false; 21 how many bytes they took. A bucket
-- that was given anything back or has changed its rate also has since, given, lasts, rerated and fastest, as in GIVEN
local operations = request.o
if request.t then
  operations = {}
  for i = 1, #request.t do
    local costs = request.c and request.c[i] or 1
    local op = {'take', request.t[i]}
    if type(costs) == 'table' then
      for n = 1, #costs do op[n + 2] = costs[n] end
    else
      for n = 1, costs do op[n + 2] = 1 end
    end
    operations[i] = op
  end
end
local since = request.since or -1
-- the smallest limit by which a node decides in RAM: plans with several limits share a table
local smallest
local function smallestlimit()
  smallest = smallest or tonumber(redis.call('HGET', META, 'smallest') or math.huge)
  return smallest
end
if since >= 0 and limit < smallestlimit() then
  redis.call('HSET', META, 'smallest', limit)
  smallest = limit
end
local changed = {}
if since >= 0 and changedlast >= request.since then
  local from = max(since, now - ${CHANGES_KEPT})
  changed = redis.call('ZRANGEBYSCORE', prefix .. ':changes', from, '+inf')
end
local listed = {}
for i = 1, #changed do listed[changed[i]] = true end
${settlementsLua}
local answered, others, otherwise = nil, nil, {}
if request.w then
  otherwise, answered, others = raise(request.w), '', {}
end
if request.k then
  if (request.v or slice) == slice then
    answered, others = settleplain(request.k, request.n, request.m, request.e)
  else
    answered, others = '', {}
    for i = 1, #request.k do others[i] = i end
  end
  for i = 1, #others do operations[#operations + 1] = operationof(others[i]) end
end
-- splits a log's row into what else is kept and the log
local NOSTATE = string.rep('\\0', PLAINBYTES)
local function cutlog(row)
  if string.byte(row) ~= MOREBYTE then return NOSTATE, row end
  local _, length = unpack_row('>dd', row)
  return string.sub(row, 1, -length - 1), string.sub(row, -length)
end
-- where each kind of cell begins in a row
local function placesof(row)
  if #row % 2 == 0 then
    local first = ROWBYTES + 1
    return first, first, first, first
  end
  local slim, slimbefore, short = unpack_row('>I4I4I4', row, ROWBYTES + 1)
  local first = SHAREDBYTES + 1
  local before = first + slim * SLIMBYTES
  local shorts = before + slimbefore * SLIMBYTES
  return first, before, shorts, shorts + short * SHORTBYTES
end
local rows, names = {}, {}
local function want(key)
  if rows[key] == nil then
    rows[key] = false
    names[#names + 1] = key
  end
end
for i = 1, #operations do want(operations[i][2]) end
for i = 1, #changed do want(changed[i]) end
local missing = names
for under = top, slice, -1 do
  if #missing == 0 then break end
  local still = {}
  for first = 1, #missing, 1000 do
    local last = min(first + 999, #missing)
    local values = redis.call('HMGET', FILES .. under, unpack(missing, first, last))
    for i = 1, #values do
      local key, value = missing[first + i - 1], values[i]
      if value then
        if OFONE[#value] then
          rows[key] = unpacksingle(value, under)
        else
          local log
          if openlog then value, log = cutlog(value) end
          local first, before, shorts, fulls = placesof(value)
          local ends = #value + 1
          local from, given, till, rerated, fastest
          if drainsby and (#value == PLAINGIVENBYTES or (ends - fulls) % CELLBYTES == GIVENBYTES) then
            from, given, till, rerated, fastest = unpack_row(GIVEN, value, #value - GIVENBYTES + 1)
            ends = ends - GIVENBYTES
          end
          if #value <= PLAINGIVENBYTES then
            value, ends = string.sub(value, 1, PLAINBYTES) .. UNSETTLED, first
          end
          local a, b, c, d, generation, settled, booked, late, demand = unpack_row(ROW, value)
          if log then
            a, b, c, d = openlog(key, log, now)
            -- so that expired entries are skipped only once
            if d ~= log then dirty[key] = true end
          end
          local row = {
            a, b, c, d, generation, settled, booked, late, demand, value, under, nil, nil,
            first, before, shorts, fulls, ends, false, false, 0
          }
          rows[key] = row
          if till and till > now then
            row.since, row.given, row.lasts, row.rerated, row.fastest = from, given, till, rerated, fastest
          end
        end
      else
        still[#still + 1] = key
      end
    end
  end
  missing = still
end
for i = 1, #missing do
  rows[missing[i]] = {0, 0, 0, drainsby or 0, 0, 0, 0, 0, 0, '', -1, nil, nil, 1, 1, 1, 1, 1, false, false, 0}
end

local function bookedinall(row)
  return row[7] + row[8]
end

-- changes the row's rate in this state
local function rerate(row, a, b, c, before, d)
  row.since, row.given, row.lasts, row.rerated, row.fastest =
    rerated(row.since, row.given, row.lasts, row.rerated, row.fastest, a, b, c, bookedinall(row), before, d)
end

-- lets time pass up to a moment
local function pass(key, row, at)
  local before = row[4]
  row[1], row[2], row[3], row[4] = roll(key, row[1], row[2], row[3], row[4], at)
  if drainsby and row[4] ~= before then rerate(row, waya, wayb, wayc, before, row[4]) end
end

-- adds booked cost that counts as spent from a slice on
local function spend(key, row, cost, from)
  if cost == 0 then return end
  local at = from * window
  pass(key, row, at)
  row[1], row[2], row[3], row[4] = add(key, row[1], row[2], row[3], row[4], at, 2, cost)
end

-- what was booked in a slice counts as booked for one slice more, and then as spent
local function turn(key, row)
  if slice <= row[6] or not hascells(row) and row[7] + row[8] == 0 then return end
  local following = slice == row[6] + 1
  spend(key, row, row[8], row[6] + 1)
  row[8] = 0
  if not following then spend(key, row, row[7], row[6] + 2) end
  row[8] = following and row[7] or 0
  row[7] = 0
  row[6] = slice
  row[9] = turncells(row, following)
end

local blocks = {}
if blockslast > now and #names > 0 then
  for first = 1, #names, 1000 do
    local last = min(first + 999, #names)
    local values = redis.call('HMGET', prefix .. ':blocks', unpack(names, first, last))
    for i = 1, #values do
      local till = tonumber(values[i] or 0)
      if till > now then blocks[names[first + i - 1]] = till end
    end
  end
end

local function change(key)
  local CHANGES = prefix .. ':changes'
  redis.call('ZADD', CHANGES, now, key)
  redis.call('ZREMRANGEBYSCORE', CHANGES, '-inf', '(' .. string.format('%.0f', now - ${CHANGES_KEPT}))
  local over = redis.call('ZCARD', CHANGES) - ${MOST_CHANGES}
  if over > 0 then
    changesfrom = tonumber(redis.call('ZRANGE', CHANGES, over - 1, over - 1, 'WITHSCORES')[2]) + 1
    redis.call('ZREMRANGEBYRANK', CHANGES, 0, over - 1)
    redis.call('HSET', META, 'changesFrom', changesfrom)
    closequick()
  end
  redis.call('PEXPIRE', CHANGES, ${CHANGES_KEPT + 1000})
  redis.call('HSET', META, 'changed', now)
  keepmeta(${CHANGES_KEPT + 1000})
  if since >= 0 and since <= now and not listed[key] then
    listed[key] = true
    changed[#changed + 1] = key
  end
end

-- files a row under the last slice in which it matters, never under an earlier one than before
local function keep(key, row)
  local under = max(row[11], lastslice(row[1], row[2], row[3], row[4]))
  if row.given then
    -- a changed rate alone extends nothing: what is taken after it drains by a known rate
    if row.given > 0 then row.lasts = max(row.lasts, ends(row[1], row[2], row[3], row[4])) end
    under = max(under, floor((row.lasts - 1) / window))
  end
  if row[6] > 0 or row[5] > 0 or hascells(row) or row[12] or row[13] then
    local after = late
    if row[7] + row[8] > 0 then after = 2 * late end
    under = max(under, row[6] + after)
  end
  row[11] = min(under, slice + ${FURTHEST_SLICE})
  dirty[key] = true
end

for i = 1, #names do
  local key, row = names[i], rows[names[i]]
  local before = row[4]
  turn(key, row)
  pass(key, row, now)
  -- it changed to the set limit's rate, and may matter for longer
  if drainsby and row[4] ~= before then keep(key, row) end
end

-- makes a bucket go by this request's limit; returns whether that changes an existing row
local function goby(row)
  if not drainsby or row[4] == drainsby then return false end
  rerate(row, row[1], row[2], row[3], row[4], drainsby)
  row[4] = drainsby
  return row[11] >= 0
end
`
