import { CHANGES_KEPT, LIMIT_KEPT } from '../store.ts'
import { closeLua, FILE_KEPT, grownLua, noteLua, PLAIN_GIVEN } from './quick-take.lua.ts'

/** Rows per HSET: few enough that what Redis makes of its arguments is still in the caches from the HSET before. */
const AT_ONCE = 64
/** Writes the first `size` of a list of keys and rows. */
export function writesLua(
  file: string,
  rowsof: string,
  size: string,
  told: (added: string) => string,
): string {
  return /* lua */ `
    for first = 1, ${size}, ${2 * AT_ONCE} do
      ${told(`redis.call('HSET', ${file}, unpack(${rowsof}, first, min(first + ${2 * AT_ONCE - 1}, ${size})))`)}
    end
`
}

/** For keys without a row in `rows`: puts the row filed under an earlier slice there, and that slice into `filedin`. */
export const missingLua = /* lua */ `
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
`

/** The files that rows lie in. Comes after what the algorithm's takes need. */
export const rowsLua = /* lua */ `
local PLAIN, PLAINBYTES = '>dddd', 32
-- of a bucket of which anything was given back or whose rate has changed, last in its row: since when that is
-- kept, how much it is, and until when; and when the rate changed last, and the fastest before that
local GIVEN, GIVENBYTES = '>ddddI4', 36
-- where nothing else is kept but the state
local PLAINGIVEN, PLAINGIVENBYTES = '>ddddddddI4', ${PLAIN_GIVEN}
-- a log's row is the log; where more is kept it ends with the log, and begins with this number and the log's length
local MORE, MOREBYTE = -1, 191
local MOSTKEYS = 4000
local top = max(slice + late, tonumber(meta[5] or 0))
local FILES = prefix .. ':'

-- what is kept of each key, or false, and the slice under which it lies, where that is not the top
local function found(keys)
  local rows, filedin = redis.call('HMGET', FILES .. top, unpack(keys)), {}
${missingLua}
  return rows, filedin
end

-- what is to be told to 'filed': by their slice, how many rows are new, where any are or they lie further than the top
local function write(files)
  local news
  for under, rowsof in pairs(files) do
    local added = 0
${writesLua('FILES .. under', 'rowsof', '#rowsof', (added) => `added = added + ${added}`)}
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

/** What to do when a file begins, and at the first command. Follows the algorithm's functions; ends the short way. */
export const filesLua = /* lua */ `
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
${grownLua('begun(under)')}
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
-- anew each time that a server starts, or takes over as the primary: also one that was it before. Of a user that may
-- not ask, all servers are one
local function serverid()
  local told = redis.pcall('INFO', 'replication')
  return type(told) == 'string' and string.match(told, 'master_replid:(%x+)') or ''
end
if not marker then
  marker = newmarker()
  redis.call('HSET', META, 'signature', signature, 'marker', marker, 'server', serverid())
  keepmeta(3 * window)
end
-- begun by another server, or before it restarted: what was acknowledged last may not have come with the rest
local isserverknown
local function keepserver()
  if isserverknown then return end
  isserverknown = true
  local server, before = serverid(), redis.call('HGET', META, 'server')
  if server ~= '' and server ~= before then
    if before and before ~= '' then marker = newmarker() end
    redis.call('HSET', META, 'server', server, 'marker', marker)
  end
end
-- once it stands for all that was acknowledged under it
local function markernow()
  keepserver()
  return marker
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
if isshort and isplain then answer, news = takes(request.t, request.c) end
if answer then
  filed(news)
  if guard then openquick() end
  return answer
end
`
