import type { LuaHalf } from '../../algorithms/lua-half.ts'
import { CHANGES_KEPT, FURTHEST_SLICE, LIMIT_KEPT, MOST_CHANGES, MOST_CHARGED } from '../store.ts'
import { closeLua, FILE_KEPT, noteLua, PLAIN_GIVEN, PLAIN_TOLD } from './quick-take.lua.ts'
import { settlementsLua } from './settlements.lua.ts'

/**
 * What every script begins with: the request, the time, the name of the counts, and whether anything is to be done.
 *
 * KEYS[1]: the limiter's prefix; KEYS[2]: its `:meta`. ARGV[1]: the request as JSON, see `script.ts`:
 * p parameters (p[1] limit, p[2] window), s signature, id the node's, q sequence, d deadline, since, presence, x extra
 * (0 where it is missing), l what is known of the limit in force, now (tests only); and o operations (see `store.ts`), or
 * takes alone: t their keys, c each one's costs: a list, or how many there are where all are 1; missing where it is
 * 1 for each key. One take alone comes word by word instead, see `quick-take.lua.ts`.
 *
 * Keys: `:meta` hash (signature, marker, server, changed, changesFrom, top, blocks, limit, limitset, smallest; by its id each node's last sequence, and when); `:<slice>` hash of packed rows, filed
 * under the last slice in which they are worth anything; `:l:<key>` list of a long log's middle; `:blocks` hash; `:changes` and
 * `:nodes` sorted sets by time.
 */
export const openingLua = /* lua */ `
local max, min, floor = math.max, math.min, math.floor
local request = cjson.decode(ARGV[1])
local id, signature, told, parameters = request.id, request.s, request.l, request.p
local prefix, META = KEYS[1], KEYS[2]
if guard then
  prefix = string.match(FILE, '^(.*):')
  META = prefix .. ':meta'
  request.t = {ARGV[4]}
  if ARGV[5] then request.c = {{tonumber(ARGV[5])}} end
  exact = tonumber(ARGV[6])
else
  sequence, deadline, exact = request.q, request.d, request.now
end
local time
if not exact then
  time = redis.call('TIME')
  exact = time[1] * 1000 + time[2] / 1000
end
local now = exact - exact % 1
if deadline > 0 and now > deadline then return pack('>Bd', 1, exact) end
local meta = redis.call(
  'HMGET', META, 'signature', 'marker', 'changed', 'changesFrom', 'top', 'blocks', 'limit', id
)
if meta[1] and meta[1] ~= signature then return pack('>Bd', 3, exact) .. meta[1] end
if guard then
  if seen and unpack_row('>d', seen) >= sequence then return pack('>Bd', 2, exact) end
elseif sequence > 0 then
  if meta[8] and unpack_row('>d', meta[8]) >= sequence then return pack('>Bd', 2, exact) end
  if redis.call('HSET', META, id, pack('>dd', sequence, now)) == 1 then
    -- one more node: those of which nothing was heard for a minute are forgotten
    local fields = redis.call('HGETALL', META)
    for i = 1, #fields, 2 do
      if #fields[i] == 16 then
        local _, heard = unpack_row('>dd', fields[i + 1])
        if heard < now - 60000 then redis.call('HDEL', META, fields[i]) end
      end
    end
  end
end
-- the limit set while limiters run: which one it is, and its parameters
local inforce, setlimit = nil, false
if told then
  inforce = meta[7] and cjson.decode(meta[7]) or {}
  local known, revision = inforce[1] or 0, told[1]
  if revision and (revision == 0 or revision > known) then
    if revision == 0 then told[1] = max(now, known + 1) end
    inforce, setlimit = told, true
  end
  if #inforce > 0 then parameters = {unpack(inforce, 2)} end
end
local limit, window = parameters[1], parameters[2]
local slice = floor(now / window)
local marker = meta[2]
local changesfrom, blockslast = tonumber(meta[4] or 0), tonumber(meta[6] or 0)
-- only a log has these
local openlog, oldest, entriesof, bookahead
-- only a bucket has this: its d, where it goes by the limit of this request
local drainsby
`

/** After what the algorithm's takes need: the files that rows lie in. */
const rowsLua = /* lua */ `
local PLAIN, PLAINBYTES = '>dddd', 32
-- of a bucket of which anything was given back or whose rate has changed, last in its row: since when that is
-- kept, how much it is, and until when; and when the rate changed last, and the fastest before that
local GIVEN, GIVENBYTES = '>ddddI4', 36
-- where nothing else is kept but the state
local PLAINGIVEN, PLAINGIVENBYTES = '>ddddddddI4', ${PLAIN_GIVEN}
-- a log's row is the log; where more is kept it ends with the log, and begins with this number and the log's length
local MORE, MOREBYTE = -1, 191
local MOSTKEYS = 4000
-- rows that are written at once: what Redis makes of them for that is then still in the caches from those before them
local ATONCE = 64
local top = max(slice + late, tonumber(meta[5] or 0))
local FILES = prefix .. ':'

-- what is kept of each key, or false, and the slice under which it lies, where that is not the top
local function found(keys)
  local rows, filedin = redis.call('HMGET', FILES .. top, unpack(keys)), {}
  for under = top - 1, slice, -1 do
    local missing, places, count = {}, {}, 0
    for i = 1, #keys do
      if not rows[i] then
        count = count + 1
        missing[count], places[count] = keys[i], i
      end
    end
    if count == 0 then break end
    local values = redis.call('HMGET', FILES .. under, unpack(missing))
    for i = 1, count do
      if values[i] then rows[places[i]], filedin[places[i]] = values[i], under end
    end
  end
  return rows, filedin
end

-- what is to be told to 'filed': by their slice, how many rows are new, where any are or they lie further than the top
local function write(files)
  local news
  for under, rowsof in pairs(files) do
    local added = 0
    for first = 1, #rowsof, 2 * ATONCE do
      added = added + redis.call('HSET', FILES .. under, unpack(rowsof, first, min(first + 2 * ATONCE - 1, #rowsof)))
    end
    if added > 0 or under > top then
      news = news or {}
      news[under] = added
    end
  end
  return news
end

local function heading(status, nodes, changes)
  local from = max(changesfrom, now - ${CHANGES_KEPT})
  local told = pack('>Bdddc0dd', status, exact, nodes, from, marker, changes, inforce and #inforce or 0)
  if inforce then
    for i = 1, #inforce do told = told .. pack('>d', inforce[i]) end
  end
  return told
end
`

/**
 * The short way for takes alone, of keys of which nothing is kept but their state. It answers as the engine, but with the
 * status byte 4, and of each key the four numbers of its state as they lay there; as they are now of a bucket that went by
 * another limit, and of a log, which has two of them, and then how long its entries are and they. Where anything was given
 * back of one, with the status byte 7, and of each also since when that is kept, and how much it is. Where it does not do,
 * nothing was written yet.
 *
 * It comes before all functions that it does not need: Lua makes them anew for each call.
 */
export function takesLua({ take, batch }: LuaHalf): string {
  // Of a window, what becomes of a row by a cost of 1 depends at one moment on the row alone, and many keys have the same.
  const alike = take !== undefined && take.ends === undefined
  const isBucket = take?.ends !== undefined
  return /* lua */ `${rowsLua}
local function takes(keys, costs)
  local now, slice, top, late, limit, drainsby = now, slice, top, late, limit, drainsby
  local pack, unpack_row = pack, unpack_row
  local rows, filedin = found(keys)
  ${batch?.begins ?? ''}
  local NEVER = string.rep('\\0', PLAINBYTES)
  local files, fields, listed, size, sliceend = {}, nil, nil, 0, (slice + 1) * window
  ${isBucket ? 'local isgiven = false' : ''}
  ${alike ? 'local becomes = {}' : ''}
  for i = 1, #keys do
    local key, row, cost, under = keys[i], rows[i], costs and costs[i] or 1, slice
    if row then under = filedin[i] or top end
    local packed, last = nil, slice + late
    ${alike ? becameLua : ''}
    if packed == nil then
      packed = false
      local a, b, c, d = 0, 0, 0, 0
      ${isBucket ? 'local from, given, lasts, changed, fastest' : ''}
      if row then
        ${isBucket ? readsGivenLua : (batch?.reads ?? readsLua)}
      else
        rows[i] = NEVER
      end
      ${take ? rolls(take) : 'local used = a'}
      local left = limit - used
      local total, largest = 0, 0
      if cost == 1 or type(cost) == 'number' then
        total = cost
        if cost > left then total, largest = left > 0 and left or 0, 1 end
      else
        for n = 1, #cost do
          if total + cost[n] <= left then
            total = total + cost[n]
          elseif cost[n] <= limit then
            largest = max(largest, cost[n])
          end
        end
      end
      ${take ? adds(take) : batch?.adds}
        packed = ${isBucket ? 'given and pack(PLAINGIVEN, a, b, c, d, from, given, lasts, changed, fastest) or ' : ''}${batch ? 'd' : 'pack(PLAIN, a, b, c, d)'}
      end
      ${alike ? 'if cost == 1 then becomes[rows[i]] = packed end' : ''}
    end
    if packed then
      if last > under then under = min(last, slice + ${FURTHEST_SLICE}) end
      if under ~= listed then
        if fields then files[listed] = fields end
        fields, listed = files[under] or {}, under
        size = #fields
      end
      fields[size + 1], fields[size + 2] = key, packed
      size = size + 2
      ${batch?.filed ?? ''}
    end
  end
  if fields then files[listed] = fields end
  ${batch?.ends ?? ''}
  local news = write(files)
  ${isBucket ? answersGivenLua : ''}
  return heading(4, 0, 0) .. table.concat(rows), news
end

local isshort = request.t and not (joint or request.since or request.presence) and blockslast <= now and #request.t < MOSTKEYS
local answer, news
if isshort and marker and not (guard or setlimit) then
  isshort = false
  answer, news = takes(request.t, request.c)
  if answer and not news then return answer end
end
`
}

/** What became of the first row becomes of all that are alike. */
const becameLua = /* lua */ `
    rows[i] = row or NEVER
    if cost == 1 then packed = becomes[rows[i]] end
`

/** After the algorithm's functions: what is to be done where files begin, and for the first command. Ends the short way. */
export const filesLua = /* lua */ `
-- as many rows in a hash are found as fast either way; this many bytes are a long value for Redis
local FEW, LONG = 32, '${' '.repeat(65)}'

-- what tells of the others outlives them, and a limit that was set all use of it
local function keepmeta(ms)
  if meta[7] or setlimit then ms = max(ms, ${LIMIT_KEPT}) end
  if redis.call('PTTL', META) < ms + 60000 then redis.call('PEXPIRE', META, ms + 3600000) end
end

-- the last slice in which a state is worth anything
local function lastslice(a, b, c, d)
  return max(slice, floor((ends(a, b, c, d) - 1) / window))
end

-- after the first fields were written under a slice
local function begun(under)
  local lasts = (under + 1) * window - now + ${FILE_KEPT}
  redis.call('PEXPIRE', FILES .. under, lasts)
  redis.call('UNLINK', FILES .. (slice - 1))
  keepmeta(max(3 * window, lasts))
end
${closeLua}
-- after rows were written: by their slice, how many are new
local function filed(news)
  for under, added in pairs(news or {}) do
    if added > 0 then
      local file = FILES .. under
      local rows = redis.call('HLEN', file)
      if rows == added then begun(under) end
      -- Redis keeps few short fields as a list, and looks for each from its front, but not in a hash that has once held a long
      -- value (decision 0023). No key has this name
      if rows > FEW and rows - added <= FEW then
        redis.call('HSET', file, '\\255', LONG)
        redis.call('HDEL', file, '\\255')
      end
    end
    if under > top then
      top = under
      redis.call('HSET', META, 'top', top)
      -- a row may lie where a quick take does not look
      closequick()
    end
  end
end
${noteLua}
-- another one each time: the node that began what is lost may be the one that begins it again
local function newmarker()
  time = time or redis.call('TIME')
  closequick()
  return id .. string.format('%010d%010d', time[1], time[2])
end
if not marker then
  marker = newmarker()
  redis.call('HSET', META, 'signature', signature, 'marker', marker)
  keepmeta(3 * window)
end
if setlimit then
  redis.call('HSET', META, 'limit', cjson.encode(inforce), 'limitset', now)
  closequick()
  keepmeta(3 * window)
end

local function file(files, under, key, packed)
  local rowsof = files[under]
  if rowsof == nil then
    files[under] = {key, packed}
  else
    rowsof[#rowsof + 1] = key
    rowsof[#rowsof + 1] = packed
  end
end

-- how many they are, and they
local function packlist(numbers)
  local parts = {pack('>d', #numbers)}
  for i = 1, #numbers do parts[#parts + 1] = pack('>d', numbers[i]) end
  return table.concat(parts)
end

if guard then notequick() end
if isshort then answer, news = takes(request.t, request.c) end
if answer then
  filed(news)
  if guard then openquick() end
  return answer
end
`

/** A row that is not the state alone is for the engine. */
const readsLua = /* lua */ `
      if #row ~= PLAINBYTES then return nil end
      a, b, c, d = unpack_row(PLAIN, row)
`

/** As `readsLua`, with what was given back of it. */
const readsGivenLua = /* lua */ `
      local length = #row
      if length == PLAINBYTES then
        a, b, c, d = unpack_row(PLAIN, row)
      elseif length == PLAINGIVENBYTES then
        a, b, c, d, from, given, lasts, changed, fastest = unpack_row(PLAINGIVEN, row)
        if lasts <= now then given = nil end
        isgiven = isgiven or given
        rows[i] = string.sub(row, 1, given and ${PLAIN_TOLD} or PLAINBYTES)
      else
        return nil
      end
`

/** All are as long. */
const answersGivenLua = /* lua */ `
  if isgiven then
    local none = pack('>dd', 0, 0)
    for i = 1, #rows do
      if #rows[i] == PLAINBYTES then rows[i] = rows[i] .. none end
    end
    return heading(7, 0, 0) .. table.concat(rows), news
  end
`

const reratedLua = /* lua */ `
      from, given, lasts, changed, fastest =
        rerated(from, given, lasts, changed, fastest, wasa, wasb, wasc, 0, was, d, drainsby)
      isgiven = isgiven or given
      if given then rows[i] = rows[i] .. pack('>dd', from, given) end
`

/**
 * Lets time pass for a key's state, and sets `used`. Without a function where nothing goes over to another limit: of a batch's
 * time in Redis functions took a quarter.
 */
function rolls(take: NonNullable<LuaHalf['take']>): string {
  return /* lua */ `
    local goesover = drainsby and row and d ~= drainsby
    if goesover then
      ${take.ends === undefined ? '' : 'local wasa, wasb, wasc, was = a, b, c, d'}
      a, b, c, d = roll(key, a, b, c, d, now)
      rows[i] = pack(PLAIN, a, b, c, d)
      ${take.ends === undefined ? '' : reratedLua}
    else
      ${take.roll}
    end
    ${take.use}
`
}

/**
 * Takes the cost; begins a block where there is something to be written, and sets the `last` slice in which it is worth
 * anything. What was admitted within the limit ends within a window: no later than in the next slice, in which the row may lie already.
 */
function adds(take: NonNullable<LuaHalf['take']>): string {
  const last =
    take.ends === undefined
      ? ''
      : `if given or under <= slice or total == 0 or a > now then
          ${take.ends}
          if given then
            if given > 0 then lasts = max(lasts, finish) end
            finish = max(lasts, finish)
          end
          last = finish > sliceend and floor((finish - 1) / window) or slice
        end`
  return /* lua */ `
      if total > 0 or goesover then
        b, d = b + total, drainsby or d
        ${last}
`
}

/**
 * What every script ends with: rows in, operations, rows out.
 *
 * In a script that takes of several tables (`joint`) it returns how that is done instead, see `joint.lua.ts`.
 *
 * Returns one binary string: a status byte (0 done, 1 late, 2 repeated, 3 mismatch and then the signature in use), the
 * exact time; then nodes, changesFrom, the marker (36 bytes), how many keys have changed, how many numbers tell of the
 * limit in force and they; each changed key's length, bytes and snapshot; then a result an operation. Numbers are big-endian doubles.
 */
export const engineLua = /* lua */ `
local ROW = '>ddddddddd'
local ROWBYTES = 72
local UNSETTLED = string.rep('\\0', ROWBYTES - PLAINBYTES)
local CELL = '>dddddd'
local CELLBYTES = 56
local PACKEDCELL = '>c8dddddd'
local node = pack('>I4I4', tonumber(string.sub(id, 1, 8), 16), tonumber(string.sub(id, 9), 16))
local changedlast = tonumber(meta[3] or 0)
-- the keys whose rows are to be written
local dirty = {}

local nodes = 0
if (request.presence or 0) > 0 then
  local NODES = prefix .. ':nodes'
  redis.call('ZADD', NODES, now + request.presence, id)
  redis.call('ZREMRANGEBYSCORE', NODES, '-inf', now)
  redis.call('PEXPIRE', NODES, request.presence + 60000)
  nodes = redis.call('ZCARD', NODES)
  keepmeta(max(3 * window, request.presence + 60000))
  -- begun by another server, or before it restarted: what was acknowledged last may not have come with the rest
  local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local before = redis.call('HGET', META, 'server')
  if server ~= before then
    if before then marker = newmarker() end
    redis.call('HSET', META, 'server', server, 'marker', marker)
  end
end

-- rows: 1 to 4 state a, b, c, d; 5 generation; 6 slice of the last settlement; 7, 8 booked in it, and in the one
-- before; 9 demand; 10 cells of nodes; 11 the slice it is filed under; 12, 13 this node's cells of the slice and of
-- the one before, taken out of 10 where they are needed: false if there is none. Of a bucket of which anything was given
-- back or whose rate has changed: since, given, lasts, rerated and fastest, as in GIVEN
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
-- by which a node decides in RAM: of plans, several go by one table
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
-- what else is kept in a log's row, and the log
local NOSTATE = string.rep('\\0', PLAINBYTES)
local function cutlog(row)
  if string.byte(row) ~= MOREBYTE then return NOSTATE, row end
  local _, length = unpack_row('>dd', row)
  return string.sub(row, 1, -length - 1), string.sub(row, -length)
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
          local from, given, till, rerated, fastest
          if drainsby and (#value == PLAINGIVENBYTES or (#value - ROWBYTES) % CELLBYTES == GIVENBYTES) then
            from, given, till, rerated, fastest = unpack_row(GIVEN, value, #value - GIVENBYTES + 1)
            value = string.sub(value, 1, -GIVENBYTES - 1)
          end
          if #value == PLAINBYTES then value = value .. UNSETTLED end
          local a, b, c, d, generation, settled, booked, late, demand = unpack_row(ROW, value)
          if log then
            a, b, c, d = openlog(key, log, now)
            -- so that what has expired is passed once
            if d ~= log then dirty[key] = true end
          end
          rows[key] = {a, b, c, d, generation, settled, booked, late, demand, string.sub(value, ROWBYTES + 1), under, nil, nil}
          if till and till > now then
            local row = rows[key]
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
for i = 1, #missing do rows[missing[i]] = {0, 0, 0, 0, 0, 0, 0, 0, 0, '', -1, nil, nil} end

-- cost that was booked, and counts as spent from the slice on
local function spend(key, row, cost, from)
  if cost == 0 then return end
  local at = from * window
  row[1], row[2], row[3], row[4] = roll(key, row[1], row[2], row[3], row[4], at)
  row[1], row[2], row[3], row[4] = add(key, row[1], row[2], row[3], row[4], at, 2, cost)
end

-- what was booked in a slice counts on as booked for one slice more, and then as spent
local function turn(key, row)
  if slice <= row[6] or (row[10] == '' and row[7] + row[8] == 0) then return end
  local following = slice == row[6] + 1
  spend(key, row, row[8], row[6] + 1)
  if not following then spend(key, row, row[7], row[6] + 2) end
  row[8] = following and row[7] or 0
  row[7] = 0
  row[6] = slice
  row[9] = 0
  local cells, kept = row[10], {}
  for at = 1, #cells, CELLBYTES do
    local theirs, _, _, _, _, demand = unpack_row(CELL, cells, at + 8)
    if theirs >= slice - late then
      kept[#kept + 1] = string.sub(cells, at, at + CELLBYTES - 1)
      row[9] = row[9] + demand
    end
  end
  row[10] = table.concat(kept)
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

-- a row goes under the last slice in which it is worth anything, never under an earlier one than before
local function keep(key, row)
  local under = max(row[11], lastslice(row[1], row[2], row[3], row[4]))
  if row.given then
    -- what is taken after the rate has changed knows by which it drains
    if row.given > 0 then row.lasts = max(row.lasts, ends(row[1], row[2], row[3], row[4])) end
    under = max(under, floor((row.lasts - 1) / window))
  end
  if row[6] > 0 or row[5] > 0 or row[10] ~= '' or row[12] or row[13] then
    local after = late
    if row[7] + row[8] > 0 then after = 2 * late end
    under = max(under, row[6] + after)
  end
  row[11] = min(under, slice + ${FURTHEST_SLICE})
  dirty[key] = true
end

local function bookedinall(row)
  return row[7] + row[8]
end

-- it goes over to another rate from such a state
local function rerate(row, a, b, c, booked, before, d)
  row.since, row.given, row.lasts, row.rerated, row.fastest =
    rerated(row.since, row.given, row.lasts, row.rerated, row.fastest, a, b, c, booked, before, d, d)
end

for i = 1, #names do
  local key, row = names[i], rows[names[i]]
  local a, b, c, before, booked = row[1], row[2], row[3], row[4], bookedinall(row)
  turn(key, row)
  row[1], row[2], row[3], row[4] = roll(key, row[1], row[2], row[3], row[4], now)
  -- it gave way to the limit that was set: it may be worth something for longer
  if drainsby and row[4] ~= before then
    rerate(row, a, b, c, booked, before, row[4])
    keep(key, row)
  end
end

-- from here on a bucket goes by the limit of this request; returns whether it did not before
local function goby(row)
  if not drainsby or row[4] == drainsby then return false end
  rerate(row, row[1], row[2], row[3], bookedinall(row), row[4], drainsby)
  row[4] = drainsby
  return row[11] >= 0
end

-- takes the node's cell of a slice out of the others: admitted, refunded, granted, returned, demand
local function takecell(row, theirs)
  local cells, from = row[10], 1
  while true do
    local at = string.find(cells, node, from, true)
    if at == nil then return false end
    if at % CELLBYTES == 1 then
      local its, admitted, refunded, granted, returned, demand = unpack_row(CELL, cells, at + 8)
      if its == theirs then
        row[10] = string.sub(cells, 1, at - 1) .. string.sub(cells, at + CELLBYTES)
        return {admitted, refunded, granted, returned, demand}
      end
    end
    from = at + 1
  end
end

local function owncells(row)
  if row[12] == nil then
    row[12] = row[10] ~= '' and takecell(row, slice)
    row[13] = row[10] ~= '' and takecell(row, slice - 1)
  end
  return row[12], row[13]
end

-- the node's cell of the slice, which takes the demand over from the one before
local function opencell(row)
  row[6] = max(row[6], slice)
  local cell, before = owncells(row)
  if cell then return cell end
  cell = {0, 0, 0, 0, 0}
  if before then cell[5], before[5] = before[5], 0 end
  row[12] = cell
  return cell
end

local function packcell(cell, theirs)
  if not cell then return '' end
  return pack(PACKEDCELL, node, theirs, cell[1], cell[2], cell[3], cell[4], cell[5])
end

-- what is booked and not known to be spent
local function unspent(cell)
  if not cell then return 0 end
  return max(0, cell[3] - cell[4] - cell[1])
end

-- a refund that more than doubles what is left must reach every node soon: those that deny the key do not ask
local function giveback(key, row, behind, cost, at, beside, atrate)
  local used = usage(key, row[1], row[2], row[3], row[4], now)
  if used + bookedinall(row) + min(cost, used) > min(limit, smallestlimit()) then change(key) end
  local till = drainsby and ends(row[1], row[2], row[3], row[4])
  local back
  row[1], row[2], row[3], row[4], back =
    remove(key, row[1], row[2], row[3], row[4], behind, cost, at, beside, atrate)
  -- what was in use then may be given back later, and can't be once that has drained
  if till and back > 0 then
    row.since, row.given, row.lasts = row.since or now, (row.given or 0) + back, max(row.lasts or 0, till)
    row.rerated, row.fastest = row.rerated or 0, row.fastest or 0
  end
end

-- what of what was in use is so still, or has drained, and did not go back, at least
local function keptof(row, others)
  return max(0, others[1] - (row.given or 0) + (others[3] == (row.since or 0) and others[4] or 0))
end

-- raises the counters of a node's cell, and moves the totals by the difference; of a log no further than its entries
-- tell
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
  local more, back = counters[1] - cell[1], counters[2] - cell[2]
  local before = unspent(cell)
  if entries then
    local told = 0
    for i = 2, #entries, 2 do told = told + entries[i] end
    more = min(more, told)
  end
  cell[1] = cell[1] + max(0, more)
  cell[2] = max(cell[2], counters[2])
  cell[3] = max(cell[3], counters[3])
  cell[4] = max(cell[4], counters[4])
  row[7 + behind] = row[7 + behind] + unspent(cell) - before
  if more > 0 then
    row[1], row[2], row[3], row[4] = add(key, row[1], row[2], row[3], row[4], now, behind, more, entries)
    goby(row)
  end
  if back > 0 then giveback(key, row, behind, back) end
end

-- notes the node's demand, and books for it what it asks for, as far as there is room; not where more has been
-- booked than it knows of. Of a log what expires soon may be booked too: it is taken out of it. Returns from when on what
-- was booked may be spent, of a log
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

-- a take is answered by the state before it; the node replays the decisions from that
local function state(key, a, b, c, d, booked, need)
  if openlog then return pack('>dddd', a, b, booked, blocks[key] or 0) .. entriesof(key, d, need) end
  local packed = pack('>dddddd', a, b, c, d, booked, blocks[key] or 0)
  if not drainsby then return packed end
  local row = rows[key]
  return packed .. pack('>dd', row.since or 0, row.given or 0)
end

-- how much is in use, and whether the key is blocked
local function stand(key, row)
  return usage(key, row[1], row[2], row[3], row[4], now) + bookedinall(row), (blocks[key] or 0) > now
end

-- takes what is allowed, and answers by the state before
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

local NONE = {0, 0, 0, 0, 0}
local NONEBOOKED = {}
-- of a log also from when on what was booked just now may be spent
local function snapshot(key, row, starts)
  local cell, before = owncells(row)
  local elsewhere = bookedinall(row) - unspent(cell) - unspent(before)
  cell, before = cell or NONE, before or NONE
  local ledger = pack(
    '>ddddddddddd', row[5], slice, cell[1], cell[2], cell[4], cell[3], before[1], before[2], before[4], before[3], row[9]
  )
  return ledger .. state(key, row[1], row[2], row[3], row[4], elsewhere, math.huge)
    .. (openlog and packlist(starts or NONEBOOKED) or '')
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
  elseif name == 'refund' and row[11] >= 0 and (not op[6] or op[6] == marker) then
    local at = op[4]
    local behind = at and slice - floor(at / window) or 0
    -- what was taken before a reset, or counts no more, is not there to be given back
    if behind <= late and not (at and row[5] > 0 and at <= row[5]) then
      local others = op[7] or NONE
      local atrate = others[5]
      if at and at < (row.rerated or 0) then atrate = max(atrate, row.fastest) end
      giveback(key, row, behind, op[3], at and at - others[2], (op[5] or 0) + keptof(row, others), atrate)
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
    -- what other nodes may yet spend stays booked; this one gave up what it knew to be granted
    local cell, before = owncells(row)
    if cell then
      local known = op[3] == slice and op[4] or 0
      row[7] = row[7] - max(0, unspent(cell) - max(0, cell[3] - known))
    end
    row[8] = row[8] - unspent(before)
    row[1], row[2], row[3], row[4] = roll(key, 0, 0, 0, row[4], now)
    row[5] = max(now, row[5] + 1)
    row[6], row[9], row[10], row[12], row[13] = slice, 0, '', false, false
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

-- writes the rows down, and puts the results behind what every reply begins with
local function finish(results)
  local files = {}
  for key in pairs(dirty) do
    local row = rows[key]
    local log = openlog and row[4]
    local single = not (log or row.given) and packsingle(row, row[12], row[13])
    local cells = single or row[10] .. packcell(row[12], slice) .. packcell(row[13], slice - 1)
    local given = row.given and pack(GIVEN, row.since, row.given, row.lasts, row.rerated, row.fastest) or ''
    if single then
      file(files, row[11], key, single)
    elseif cells == '' and row[5] == 0 and row[6] == 0 and row[7] == 0 and row[8] == 0 and row[9] == 0 then
      file(files, row[11], key, log or pack(PLAIN, row[1], row[2], row[3], row[4]) .. given)
    elseif log then
      local numbers = pack(ROW, MORE, #log, 0, 0, row[5], row[6], row[7], row[8], row[9])
      file(files, row[11], key, numbers .. cells .. log)
    else
      local numbers = pack(ROW, row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9])
      file(files, row[11], key, numbers .. cells .. given)
    end
  end
  filed(write(files))

  local parts = {heading(answered and 6 or 0, nodes, #changed)}
  for i = 1, #changed do
    parts[#parts + 1] = pack('>d', #changed[i]) .. changed[i] .. snapshot(changed[i], rows[changed[i]])
  end
  if answered then
    parts[#parts + 1] = packlist(otherwise) .. packlist(others) .. answered
  end
  return table.concat(parts) .. table.concat(results)
end

if joint then
  return {
    operations = operations,
    limit = limit,
    stand = function(key) return stand(key, rows[key]) end,
    take = function(key, total, need) return takeall(key, rows[key], total, need) end,
    finish = finish,
  }
end
local results = {}
for i = 1, #operations do results[i] = carryout(operations[i]) end
return finish(results)
`
