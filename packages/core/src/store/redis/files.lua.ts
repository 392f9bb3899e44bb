import { CHANGES_KEPT, LIMIT_KEPT } from '../store.ts'
import { closeLua, FILE_KEPT, grownLua, noteLua, PLAIN_GIVEN } from './quick-take.lua.ts'

/** Rows per HSET: few enough that the memory of its arguments is still in the caches from the HSET before. */
const AT_ONCE = 64
/** Writes the first `size` members of a list of keys, each followed by its row. */
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

/** Looks for keys without a row in earlier slices' files: puts the row into `rows`, and the slice into `filedin`. */
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

/** The files that hold the rows. Comes after what the algorithm's takes need. */
export const rowsLua = /* lua */ `
local PLAIN, PLAINBYTES = '>dddd', 32
-- GIVEN ends the row of a bucket that was given anything back or has changed its rate: since when that is kept, how
-- much it is, and until when; when the rate changed last, and the fastest rate before that
local GIVEN, GIVENBYTES = '>ddddI4', 36
-- the same behind a row that is otherwise only a state
local PLAINGIVEN, PLAINGIVENBYTES = '>ddddddddI4', ${PLAIN_GIVEN}
-- a log's row is the log alone; if more is kept, the row begins with this number and the log's length, and ends with
-- the log
local MORE, MOREBYTE = -1, 191
local MOSTKEYS = 4000
local top = max(slice + late, tonumber(meta[5] or 0))
local FILES = prefix .. ':'

-- each key's row, or false; and the slice it is filed under, if that is not top
local function found(keys)
  local rows, filedin = redis.call('HMGET', FILES .. top, unpack(keys)), {}
${missingLua}
  return rows, filedin
end

-- returns what filed() needs: how many rows are new, for each slice with new rows or beyond top
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

/** What to do when a file or a table begins. Follows the algorithm's functions; ends the short way. */
export const filesLua = /* lua */ `
-- :meta outlives the keys it describes, and a limit set at runtime is kept long after the last use
local function keepmeta(ms)
  if meta[7] or setlimit then ms = max(ms, ${LIMIT_KEPT}) end
  if redis.call('PTTL', META) < ms + 60000 then redis.call('PEXPIRE', META, ms + 3600000) end
end

-- the last slice in which a state still matters
local function lastslice(a, b, c, d)
  return max(slice, floor((ends(a, b, c, d) - 1) / window))
end

-- runs after the first fields of a slice's file were written
local function begun(under)
  local lasts = (under + 1) * window - now + ${FILE_KEPT}
  redis.call('PEXPIRE', FILES .. under, lasts)
  redis.call('UNLINK', FILES .. (slice - 1))
  keepmeta(max(3 * window, lasts))
end
${closeLua}
-- runs after rows were written; news: how many are new, by slice
local function filed(news)
  for under, added in pairs(news or {}) do
    if added > 0 then
      local file = FILES .. under
${grownLua('begun(under)')}
    end
    if under > top then
      top = under
      redis.call('HSET', META, 'top', top)
      -- a row may now lie where quick takes do not look
      closequick()
    end
  end
end
${noteLua}
-- differs each time: the node that began the lost table may be the one that begins it again
local function newmarker()
  time = time or redis.call('TIME')
  closequick()
  return id .. string.format('%010d%010d', time[1], time[2])
end
-- changes each time that a server starts or becomes the primary, even if it was the primary before. If the user may not
-- ask, all servers count as one
local function serverid()
  local told = redis.pcall('INFO', 'replication')
  return type(told) == 'string' and string.match(told, 'master_replid:(%x+)') or ''
end
if not marker then
  marker = newmarker()
  redis.call('HSET', META, 'signature', signature, 'marker', marker, 'server', serverid())
  keepmeta(3 * window)
end
-- changes the marker if another server, or this one before a restart, kept the table: the last acknowledged writes may
-- be missing
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
-- the marker, once it is sure to stand for all that was acknowledged under it
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

-- the length of a list, then its numbers
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
