import { CHANGES_KEPT, FURTHEST_SLICE, MOST_CHANGES } from '../store.ts'

/**
 * What every script begins with: the request, the time, and the name of the counts.
 *
 * KEYS[1]: the limiter's prefix. ARGV[1]: the request as JSON, see `script.ts`:
 * p parameters (p[1] limit, p[2] window), s signature, m a marker to use if there is none, n the node's id as two
 * 32-bit numbers, q sequence, d deadline, since, presence, now (tests only), o operations (see `store.ts`).
 *
 * Keys: `:meta` hash (signature, marker, changed, changesFrom, top, blocks); `:<slice>` hash of packed rows, filed
 * under the last slice in which they are worth anything; `:l:<key>` a log's entries; `:blocks` hash; `:changes` and
 * `:nodes` sorted sets by time; `:q:<node>` the node's last sequence.
 */
export const openingLua = /* lua */ `
local prefix = KEYS[1]
local request = cjson.decode(ARGV[1])
local parameters = request.p
local limit, window = parameters[1], parameters[2]
local time = redis.call('TIME')
local exact = time[1] * 1000 + time[2] / 1000
if request.now then exact = request.now end
local now = math.floor(exact)
local dirty = {}
local function touched(key) dirty[key] = true end
-- only a log has these
local oldest, mergeentries
`

/**
 * What every script ends with: rows in, operations, rows out.
 *
 * Returns one binary string: a status byte (0 done, 1 late, 2 repeated, 3 mismatch and then the signature in use), the
 * exact time; then nodes, changesFrom, the marker (36 bytes), the number of changed keys; each changed key's
 * length, bytes and snapshot; then a result an operation. Numbers are big-endian doubles.
 */
export const engineLua = /* lua */ `
local pack, unpack_row = struct.pack, struct.unpack
local ROW = '>dddddd'
local ROWBYTES = 48
local CELL = '>ddd'
local CELLBYTES = 32

if request.d > 0 and now > request.d then return pack('>Bd', 1, exact) end
local node = pack('>I4I4', request.n[1], request.n[2])
if request.q > 0 then
  local last = prefix .. ':q:' .. request.id
  if tonumber(redis.call('GET', last) or 0) >= request.q then return pack('>Bd', 2, exact) end
  redis.call('SET', last, request.q, 'PX', 60000)
end

local META = prefix .. ':meta'
local meta = redis.call('HMGET', META, 'signature', 'marker', 'changed', 'changesFrom', 'top', 'blocks')
if meta[1] and meta[1] ~= request.s then return pack('>Bd', 3, exact) .. meta[1] end
local marker = meta[2]
-- what tells of the others outlives them
local function keepmeta(ms)
  if redis.call('PTTL', META) < ms + 60000 then redis.call('PEXPIRE', META, ms + 3600000) end
end
if not marker then
  marker = request.m
  redis.call('HSET', META, 'signature', request.s, 'marker', marker)
  keepmeta(3 * window)
end
local changedlast = tonumber(meta[3] or 0)
local changesfrom = tonumber(meta[4] or 0)
local slice = math.floor(now / window)
local top = math.max(slice + late, tonumber(meta[5] or 0))
local blockslast = tonumber(meta[6] or 0)

local nodes = 0
if request.presence > 0 then
  local NODES = prefix .. ':nodes'
  redis.call('ZADD', NODES, now + request.presence, request.id)
  redis.call('ZREMRANGEBYSCORE', NODES, '-inf', now)
  redis.call('PEXPIRE', NODES, request.presence + 60000)
  nodes = redis.call('ZCARD', NODES)
  keepmeta(math.max(3 * window, request.presence + 60000))
end

-- rows: state a, b, c, d, generation, slice of the last settlement, cells of nodes, the slice it is filed under
local operations = request.o
local changed = {}
if request.since >= 0 and changedlast >= request.since then
  local since = math.max(request.since, now - ${CHANGES_KEPT})
  changed = redis.call('ZRANGEBYSCORE', prefix .. ':changes', since, '+inf')
end
local listed = {}
for i = 1, #changed do listed[changed[i]] = true end
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
for filed = top, slice, -1 do
  if #missing == 0 then break end
  local still = {}
  for first = 1, #missing, 1000 do
    local last = math.min(first + 999, #missing)
    local values = redis.call('HMGET', prefix .. ':' .. string.format('%.0f', filed), unpack(missing, first, last))
    for i = 1, #values do
      local key, value = missing[first + i - 1], values[i]
      if value then
        local a, b, c, d, generation, settled = unpack_row(ROW, value)
        rows[key] = {a, b, c, d, generation, settled, string.sub(value, ROWBYTES + 1), filed}
      else
        still[#still + 1] = key
      end
    end
  end
  missing = still
end
for i = 1, #missing do rows[missing[i]] = {0, 0, 0, 0, 0, 0, '', -1} end
for i = 1, #names do
  local key, row = names[i], rows[names[i]]
  row[1], row[2], row[3], row[4] = roll(key, row[1], row[2], row[3], row[4], now)
end

local blocks = {}
if blockslast > now and #names > 0 then
  for first = 1, #names, 1000 do
    local last = math.min(first + 999, #names)
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
  end
  redis.call('PEXPIRE', CHANGES, ${CHANGES_KEPT + 1000})
  redis.call('HSET', META, 'changed', now)
  keepmeta(${CHANGES_KEPT + 1000})
  if request.since >= 0 and request.since <= now and not listed[key] then
    listed[key] = true
    changed[#changed + 1] = key
  end
end

-- a row goes under the last slice in which it is worth anything, never under an earlier one than before
local function file(key, row)
  local filed = math.max(row[8], slice, math.floor((ends(row[1], row[2], row[3]) - 1) / window))
  if row[6] > 0 or row[5] > 0 then filed = math.max(filed, row[6] + late) end
  row[8] = math.min(filed, slice + ${FURTHEST_SLICE})
  dirty[key] = true
end

-- a node's cell: its id, the slice, admitted, refunded; the place of its first byte, or nil
local function cellat(cells, id, settled)
  local from = 1
  while true do
    local at = string.find(cells, id, from, true)
    if at == nil then return nil end
    if at % CELLBYTES == 1 then
      local s = unpack_row(CELL, cells, at + 8)
      if s == settled then return at end
    end
    from = at + 1
  end
end

local function celloff(cells, id, settled)
  local at = cellat(cells, id, settled)
  if at == nil then return 0, 0 end
  local _, admitted, refunded = unpack_row(CELL, cells, at + 8)
  return admitted, refunded
end

-- raises the counters of a node's cell, and moves the total by the difference
local function merge(key, row, theirs, admitted, refunded, entries)
  local behind = slice - theirs
  if behind < 0 or behind > late or (admitted == 0 and refunded == 0) then return end
  local cells = row[7]
  local at = cellat(cells, node, theirs)
  local had, gave = 0, 0
  if at then
    local _
    _, had, gave = unpack_row(CELL, cells, at + 8)
  end
  if admitted <= had and refunded <= gave then return end
  if admitted > had then
    row[1], row[2], row[3], row[4] = add(key, row[1], row[2], row[3], row[4], now, behind, admitted - had, entries)
  end
  if refunded > gave then
    if usage(key, row[1], row[2], row[3], row[4], now) >= limit then change(key) end
    row[1], row[2], row[3], row[4] = remove(key, row[1], row[2], row[3], row[4], behind, refunded - gave)
  end
  local cell = node .. pack(CELL, theirs, math.max(admitted, had), math.max(refunded, gave))
  if at then
    row[7] = string.sub(cells, 1, at - 1) .. cell .. string.sub(cells, at + CELLBYTES)
  else
    row[7] = cells .. cell
  end
end

local function settle(key, row, op)
  if op[3] < row[5] then return end
  if slice > row[6] then
    row[6] = slice
    if row[7] ~= '' then
      local kept = {}
      for at = 1, #row[7], CELLBYTES do
        if unpack_row(CELL, row[7], at + 8) >= slice - late then
          kept[#kept + 1] = string.sub(row[7], at, at + CELLBYTES - 1)
        end
      end
      row[7] = table.concat(kept)
    end
  end
  merge(key, row, op[4] - 1, op[7], op[8], op[10])
  merge(key, row, op[4], op[5], op[6], op[9])
  file(key, row)
end

-- a take is answered by the state before it; the node replays the decisions from that
local function state(key, row, need)
  local text = pack('>ddddd', row[1], row[2], row[3], row[4], blocks[key] or 0)
  if oldest == nil then return text end
  local entries = oldest(key, row[1], need)
  if need == math.huge then entries = mergeentries(entries) end
  local parts = {text, pack('>d', #entries)}
  for i = 1, #entries do parts[#parts + 1] = pack('>d', entries[i]) end
  return table.concat(parts)
end

local function take(key, row, op)
  local need = 0
  local blocked = (blocks[key] or 0) > now
  local used = usage(key, row[1], row[2], row[3], row[4], now)
  local before = {row[1], row[2], row[3], row[4]}
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
  if refused then need = used + largest - limit end
  local answer = state(key, before, need)
  if total > 0 then
    row[1], row[2], row[3], row[4] = add(key, row[1], row[2], row[3], row[4], now, 0, total)
    file(key, row)
  end
  return answer
end

local function snapshot(key, row)
  local admitted, refunded = celloff(row[7], node, slice)
  local lateadmitted, laterefunded = celloff(row[7], node, slice - 1)
  return pack('>dddddd', row[5], slice, admitted, refunded, lateadmitted, laterefunded) .. state(key, row, math.huge)
end

local function carryout(op)
  local name, key = op[1], op[2]
  local row = rows[key]
  if name == 'take' then return take(key, row, op) end
  if name == 'peek' then
    local need = usage(key, row[1], row[2], row[3], row[4], now) + 1 - limit
    return state(key, row, math.max(0, need))
  end
  if name == 'settle' then
    settle(key, row, op)
  elseif name == 'refund' and row[8] >= 0 then
    if usage(key, row[1], row[2], row[3], row[4], now) >= limit then change(key) end
    row[1], row[2], row[3], row[4] = remove(key, row[1], row[2], row[3], row[4], 0, op[3])
    file(key, row)
  elseif name == 'block' then
    local BLOCKS = prefix .. ':blocks'
    blocks[key] = now + op[3]
    redis.call('HSET', BLOCKS, key, blocks[key])
    local some = redis.call('HRANDFIELD', BLOCKS, 10, 'WITHVALUES')
    for i = 1, #some, 2 do
      if tonumber(some[i + 1]) <= now then redis.call('HDEL', BLOCKS, some[i]) end
    end
    blockslast = math.max(blockslast, blocks[key])
    redis.call('HSET', META, 'blocks', blockslast)
    redis.call('PEXPIRE', BLOCKS, blockslast - now + 1000)
    keepmeta(blockslast - now + 1000)
    change(key)
  elseif name == 'reset' then
    if oldest then redis.call('UNLINK', prefix .. ':l:' .. key) end
    row[1], row[2], row[3], row[4] = roll(key, 0, 0, 0, 0, now)
    row[5] = math.max(now, row[5] + 1)
    row[6], row[7] = slice, ''
    if blocks[key] then
      redis.call('HDEL', prefix .. ':blocks', key)
      blocks[key] = nil
    end
    file(key, row)
    change(key)
  end
  return snapshot(key, row)
end

local results = {}
for i = 1, #operations do results[i] = carryout(operations[i]) end

local files = {}
for key in pairs(dirty) do
  local row = rows[key]
  local filed = row[8]
  local rowsof = files[filed]
  if rowsof == nil then
    rowsof = {}
    files[filed] = rowsof
  end
  rowsof[#rowsof + 1] = key
  rowsof[#rowsof + 1] = pack(ROW, row[1], row[2], row[3], row[4], row[5], row[6]) .. row[7]
end
for filed, rowsof in pairs(files) do
  local FILE = prefix .. ':' .. string.format('%.0f', filed)
  local added = 0
  for first = 1, #rowsof, 2000 do
    added = added + redis.call('HSET', FILE, unpack(rowsof, first, math.min(first + 1999, #rowsof)))
  end
  if added > 0 and redis.call('HLEN', FILE) == added then
    redis.call('PEXPIRE', FILE, (filed + 1) * window - now + 1000)
    redis.call('UNLINK', prefix .. ':' .. string.format('%.0f', slice - 1))
    keepmeta(math.max(3 * window, (filed + 1) * window - now + 1000))
  end
  if filed > top then
    top = filed
    redis.call('HSET', META, 'top', top)
  end
end

local parts = {
  pack('>Bddd', 0, exact, nodes, math.max(changesfrom, now - ${CHANGES_KEPT})), marker, pack('>d', #changed)
}
for i = 1, #changed do
  parts[#parts + 1] = pack('>d', #changed[i]) .. changed[i] .. snapshot(changed[i], rows[changed[i]])
end
return table.concat(parts) .. table.concat(results)
`
