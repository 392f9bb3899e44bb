import { MOST_CHARGED } from '../store.ts'

/** Carries out operations on a key's row, and answers them: see `store.ts`. */
export const operationsLua = /* lua */ `
-- a refund that more than doubles what is left must reach every node soon, since nodes that deny the key do not ask
local function giveback(key, row, behind, cost, at, beside, atrate)
  local used = usage(key, row[1], row[2], row[3], row[4], now)
  if used + bookedinall(row) + min(cost, used) > min(limit, smallestlimit()) then change(key) end
  local till = drainsby and alldrained(row[1], row[2], row[3], bookedinall(row), math.abs(row[4]))
  local back
  row[1], row[2], row[3], row[4], back =
    remove(key, row[1], row[2], row[3], row[4], behind, cost, at, beside, atrate)
  -- kept until all that was in use before has drained: until then it may be given back too
  if till and back > 0 then
    row.since, row.given, row.lasts = row.since or now, (row.given or 0) + back, max(row.lasts or 0, till)
    row.rerated, row.fastest = row.rerated or 0, row.fastest or 0
  end
end

-- how much of what was in use beside a take was not given back, at least: it is still in use, or has drained
local function keptof(row, others)
  return max(0, others[1] - (row.given or 0) + (others[3] == (row.since or 0) and others[4] or 0))
end

-- raises the counters of a node's cell, and moves the totals by the difference. Of a log with entries missing, nothing
-- is merged, since a repeat of those that are there would pass for the missing ones. What has gone back again is left
-- out of a log, the oldest first: once an entry has expired, its refund would take from others
local function merge(key, row, theirs, counters, entries)
  local behind = slice - theirs
  if behind < 0 or behind > late then return end
  local place = 12 + behind
  owncells(row)
  local cell = row[place]
  if not cell then
    if counters[1] + counters[2] + counters[3] + counters[4] == 0 then return end
    cell = {0, 0, 0, 0, 0}
    row[place] = cell
  end
  local more, back = max(0, counters[1] - cell[1]), max(0, counters[2] - cell[2])
  local before = unspent(cell)
  if entries then
    local told = 0
    for i = 2, #entries, 2 do told = told + entries[i] end
    if told < more then more, back = 0, 0 end
  end
  cell[1] = cell[1] + more
  cell[2] = cell[2] + back
  cell[3] = max(cell[3], counters[3])
  cell[4] = max(cell[4], counters[4])
  row[7 + behind] = row[7 + behind] + unspent(cell) - before
  local gone = entries and min(more, back) or 0
  more, back = more - gone, back - gone
  if more > 0 then
    row[1], row[2], row[3], row[4] = add(key, row[1], row[2], row[3], row[4], now, behind, more, entries)
    goby(row)
  end
  if back > 0 then giveback(key, row, behind, back) end
end

-- notes the node's demand, and books what it asks for as far as there is room, but nothing if more is booked than it
-- knows of. Of a log, what expires soon may be booked too: it is taken out of the log. Returns from when on each part
-- may be spent, for a log
local function grant(key, row, ask, known)
  if (blocks[key] or 0) > now then return nil end
  local starts = {}
  local cell = opencell(row)
  row[9] = row[9] + ask[1] - cell[5]
  cell[5] = ask[1]
  if ask[3] + ask[4] > 0 then goby(row) end
  if ask[3] + ask[4] > 0 and cell[3] <= known then
    local used = usage(key, row[1], row[2], row[3], row[4], now)
    local room = limit - used - bookedinall(row)
    local has = unspent(cell)
    local share = floor(ask[2] * max(0, room + has))
    local ahead = ask[5] or 0
    local target = max(ask[4], ahead > 0 and share or min(ask[3], share))
    local more = max(0, min(target - has, room + (request.x or 0), limit - used - has))
    if more > 0 then starts = {now, more} end
    local left = ask[3] - has - more
    if bookahead and ahead > 0 and left > 0 and room >= 0 then
      local till, soon = min(now + ahead, (slice + 1) * window - 1)
      row[1], row[2], row[3], row[4], soon =
        bookahead(key, row[1], row[2], row[3], row[4], till, ahead / ask[3], left)
      for i = 1, #soon, 2 do
        starts[#starts + 1], starts[#starts + 2] = soon[i], soon[i + 1]
        more = more + soon[i + 1]
      end
    end
    if more > 0 then
      cell[3] = cell[4] + cell[1] + has + more
      row[7] = row[7] + more
    end
  end
  keep(key, row)
  return starts
end

local function settle(key, row, op)
  if op[3] < row[5] then return nil end
  local starts
  opencell(row)
  if op[6] then merge(key, row, op[4] - 1, op[6], op[9]) end
  merge(key, row, op[4], op[5], op[8])
  if type(op[7]) == 'table' then starts = grant(key, row, op[7], op[4] == slice and op[5][3] or 0) end
  keep(key, row)
  return starts
end

-- a take is answered with the state before it, from which the node replays the decisions
local function state(key, a, b, c, d, booked, need)
  if openlog then return pack('>dddd', a, b, booked, blocks[key] or 0) .. entriesof(key, d, need) end
  local packed = pack('>dddddd', a, b, c, d, booked, blocks[key] or 0)
  if not drainsby then return packed end
  local row = rows[key]
  return packed .. pack('>dd', row.since or 0, row.given or 0)
end

-- how much is in use, booked quota included, and whether the key is blocked
local function stand(key, row)
  return usage(key, row[1], row[2], row[3], row[4], now) + bookedinall(row), (blocks[key] or 0) > now
end

-- takes the total that is allowed, and answers with the state before
local function takeall(key, row, total, need)
  local goesover = goby(row)
  local answer = state(key, row[1], row[2], row[3], row[4], bookedinall(row), need)
  if total > 0 then row[1], row[2], row[3], row[4] = add(key, row[1], row[2], row[3], row[4], now, 0, total) end
  if goesover or total > 0 then keep(key, row) end
  return answer
end

local function take(key, row, op)
  local used, blocked = stand(key, row)
  local total, largest, refused = 0, 0, false
  for i = 3, #op do
    local cost = op[i]
    if not blocked and used + cost <= limit then
      used = used + cost
      total = total + cost
    else
      refused = true
      if cost <= limit and cost > largest then largest = cost end
    end
  end
  return takeall(key, row, total, refused and used + largest - limit or 0)
end

local NONE = {0, 0, 0, 0, 0, 0}
local NONEBOOKED = {}
-- for a log, also from when on the quota that was just booked may be spent
local function snapshot(key, row, starts)
  local cell, before = owncells(row)
  local elsewhere = bookedinall(row) - unspent(cell) - unspent(before)
  cell, before = cell or NONE, before or NONE
  if openlog or drainsby then
    local ledger = pack(
      '>ddddddddddd', row[5], slice, cell[1], cell[2], cell[4], cell[3], before[1], before[2], before[4], before[3], row[9]
    )
    return ledger .. state(key, row[1], row[2], row[3], row[4], elsewhere, math.huge)
      .. (openlog and packlist(starts or NONEBOOKED) or '')
  end
  -- the same of a window: one string takes less time than three
  return pack(
    '>ddddddddddddddddd', row[5], slice, cell[1], cell[2], cell[4], cell[3], before[1], before[2], before[4], before[3],
    row[9], row[1], row[2], row[3], row[4], elsewhere, blocks[key] or 0
  )
end

local function carryout(op)
  local name, key = op[1], op[2]
  local row, starts = rows[key]
  if name == 'take' then return take(key, row, op) end
  if name == 'peek' then
    local booked = bookedinall(row)
    local need = usage(key, row[1], row[2], row[3], row[4], now) + booked + 1 - limit
    return state(key, row[1], row[2], row[3], row[4], booked, max(0, need))
  end
  if name == 'restore' then
    settle(key, row, op)
    return ''
  end
  if name == 'settle' then
    starts = settle(key, row, op)
  elseif name == 'read' and op[3] then
    starts = grant(key, row, op[3], 0)
  elseif name == 'refund' and row[11] >= 0 and (not op[6] or op[6] == markernow()) then
    local at = op[4]
    local behind = at and slice - floor(at / window) or 0
    -- what was taken before a reset, or no longer counts, can't be given back
    if behind <= late and not (at and row[5] > 0 and at <= row[5]) then
      local others, cost = op[7] or NONE, op[3]
      -- in a log, some of it may be taken out as booked ahead: entries in its place came later
      if at and openlog and behind > 0 then cost = cost - row[7] end
      if cost <= 0 then return snapshot(key, row) end
      local kept, atrate, heard = keptof(row, others), others[5], others[6]
      if at and row.given and row.fastest > 0 and heard < row.rerated then
        atrate = max(atrate, row.fastest)
        if heard ~= at then kept = 0 end
      end
      -- the drained part of what was in use beside the take matters only while some of that is kept
      local from = at and kept > 0 and at - others[2] or at
      giveback(key, row, behind, cost, from, (op[5] or 0) + kept, atrate)
      keep(key, row)
    end
  elseif name == 'charge' then
    local used = usage(key, row[1], row[2], row[3], row[4], now)
    if used == 0 then goby(row) end
    local most = ${MOST_CHARGED} - used
    if most > 0 then
      row[1], row[2], row[3], row[4] = add(key, row[1], row[2], row[3], row[4], now, 0, min(op[3], most))
    end
    keep(key, row)
    change(key)
  elseif name == 'block' then
    local BLOCKS = prefix .. ':blocks'
    blocks[key] = now + op[3]
    redis.call('HSET', BLOCKS, key, blocks[key])
    local some = redis.call('HRANDFIELD', BLOCKS, 10, 'WITHVALUES')
    for i = 1, #some, 2 do
      if tonumber(some[i + 1]) <= now then redis.call('HDEL', BLOCKS, some[i]) end
    end
    blockslast = max(blockslast, blocks[key])
    redis.call('HSET', META, 'blocks', blockslast)
    closequick()
    redis.call('PEXPIRE', BLOCKS, blockslast - now + 1000)
    keepmeta(blockslast - now + 1000)
    change(key)
  elseif name == 'reset' then
    if openlog then redis.call('UNLINK', prefix .. ':l:' .. key) end
    -- quota that other nodes may still spend stays booked; this node gave up what it knew to be granted
    local cell, before = owncells(row)
    if cell then
      local known = op[3] == slice and op[4] or 0
      row[7] = row[7] - max(0, unspent(cell) - max(0, cell[3] - known))
    end
    row[8] = row[8] - unspent(before)
    row[1], row[2], row[3], row[4] = roll(key, 0, 0, 0, row[4], now)
    row[5] = max(now, row[5] + 1)
    row[6], row[9], row[10], row[12], row[13] = slice, 0, '', false, false
    row[14], row[15], row[16], row[17], row[18], row[19], row[20], row[21] = 1, 1, 1, 1, 1, false, false, 0
    row.since, row.given, row.lasts, row.rerated, row.fastest = nil, nil, nil, nil, nil
    if blocks[key] then
      redis.call('HDEL', prefix .. ':blocks', key)
      blocks[key] = nil
    end
    keep(key, row)
    change(key)
  end
  return snapshot(key, row, starts)
end
`
