import { cellsLua } from './cells.lua.ts'
import { keysLua } from './keys.lua.ts'
import { operationsLua } from './operations.lua.ts'

/**
 * The end of every script: reads rows, carries out operations, writes rows. A script that takes from several tables
 * (`joint`) gets functions for these steps instead, see `joint.lua.ts`.
 *
 * Returns one binary string: a status byte (0 done, 1 late, 2 repeated, 3 mismatch and then the signature in use, 6
 * settled) and the exact time; then nodes, changesFrom, the marker (36 bytes), the number of changed keys, how many
 * numbers the limit in force has, and these; each changed key's length, bytes and snapshot; one result per operation.
 * Numbers are big-endian doubles.
 */
export const engineLua = /* lua */ `
local ROW = '>ddddddddd'
local ROWBYTES = 72
local UNSETTLED = string.rep('\\0', ROWBYTES - PLAINBYTES)
-- a row that has not only full cells begins as ROW; then come how many cells it has of the three other kinds, and an odd
-- byte, by which its length is told from those of other rows
local SHARED, SHAREDBYTES = '>dddddddddI4I4I4B', 85
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
  keepserver()
end
${cellsLua}${keysLua}${operationsLua}-- writes the rows; returns the heading of every reply, then the results
local function finish(results)
  local files = {}
  for key in pairs(dirty) do
    local row = rows[key]
    local log = openlog and row[4]
    local single = not (log or row.given) and packsingle(row, row[12], row[13])
    local given = row.given and pack(GIVEN, row.since, row.given, row.lasts, row.rerated, row.fastest) or ''
    if single then
      file(files, row[11], key, single)
    elseif not (hascells(row) or row[12] or row[13])
      and row[5] == 0 and row[6] == 0 and row[7] == 0 and row[8] == 0 and row[9] == 0 then
      file(files, row[11], key, log or pack(PLAIN, row[1], row[2], row[3], row[4]) .. given)
    else
      local head, mid, tail, slim, slimbefore, short = packcells(row)
      local numbers
      if log then
        numbers = pack(ROW, MORE, #log, 0, 0, row[5], row[6], row[7], row[8], row[9])
      else
        local form = slim + slimbefore + short > 0 and SHARED or ROW
        numbers = pack(
          form, row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], slim, slimbefore, short, 0
        )
      end
      file(files, row[11], key, numbers .. head .. mid .. tail .. (log or given))
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
    carryout = carryout,
    finish = finish,
  }
end
local results = {}
for i = 1, #operations do results[i] = carryout(operations[i]) end
return finish(results)
`
