import { FURTHEST_SLICE } from '../store.ts'
import { BARE, BRIEF, Kind, SINGLE } from './rows.ts'

/**
 * The short way to settle keys of which only the state and what one node has admitted is kept, as for nearly all. Their
 * rows have three forms, told from other rows by their lengths. SINGLE: a, b, the node's id and a 1, what it admitted
 * in the slice in which it last settled, its demand, what it admitted in the slice before, c, d and the slice. BRIEF
 * has a 0 instead of the 1 and ends with the demand: the next three are 0, and the slice is the one that a ends. BARE
 * has a 3 there and ends with it: the demand is 0 too, and the node admitted all of b.
 *
 * The request has them as lists: k keys, each once; n what was admitted in the slice v, below 0 if the node does not
 * know the key and only reads it; m what was admitted in the slice before and e the node's demand, if any is not 0. A
 * node that has more to tell, or an older slice, sends operations. For other rows, the entries become operations here
 * (see `operationof`), so that there is one way to settle all else. Only rows in which several nodes have settled
 * within one slice, and nothing is booked, have a way of their own (`settleshared`): those are the busiest keys.
 *
 * The answer is the row as it is now, packed. Not for logs, which have entries.
 *
 * A window's row is the same whenever in its slice it is written, so a node that is alone knows the row that is stored
 * and the one to store next. For w keys, ARGV[2] has each key with the numbers of these two rows in ARGV[3], see
 * `rows.ts`. If the stored row is the one the node has seen, the new one is written, and nothing is answered. If not,
 * the key is added to the lists.
 */
export const settlementsLua = /* lua */ `
local OFONE, raise, settleplain, operationof, unpacksingle, packsingle
do
local BRIEF, PACKEDBRIEF, BRIEFBYTES = '>ddc9dd', '>ddc0dd', ${BRIEF}
local SINGLE, PACKEDSINGLE, SINGLEBYTES = '>ddc9dddddd', '>ddc0dddddd', ${SINGLE}
local BARE, PACKEDBARE, BAREBYTES = '>ddc9', '>ddc0', ${BARE}
OFONE = {[BAREBYTES] = true, [BRIEFBYTES] = true, [SINGLEBYTES] = true}
local BARELY, BRIEFLY = node .. '\\${Kind.bare}', node .. '\\${Kind.brief}'
local SINGLY, SHAREDLY = node .. '\\${Kind.single}', node .. '\\${Kind.shared}'
local SHAREDBRIEFLY = node .. '\\${Kind.sharedBrief}'

-- keys that are blocked, or have changed, go the long way
local function apart(keys)
  local those = {}
  for i = 1, #changed do those[changed[i]] = true end
  if blockslast > now then
    local values = redis.call('HMGET', prefix .. ':blocks', unpack(keys))
    for i = 1, #values do
      if values[i] then those[keys[i]] = true end
    end
  end
  return those
end

-- settles a row in which several nodes have settled within the slice, and this one has slim cells or none. Others may
-- have other cells, as long as nothing is booked now. Returns the row, and the answer: what this node has admitted, and
-- the row's demand; nil for any other row
local function settleshared(key, row, told, lately, demand)
  if #row % 2 == 0 then return nil end
  local a, b, c, d, generation, settled, booked, bookedlate, sum, count, countbefore, short = unpack_row(SHARED, row)
  if settled ~= slice or generation + booked + bookedlate ~= 0 or drainsby and d ~= drainsby then return nil end
  local first = SHAREDBYTES + 1
  local before = first + count * SLIMBYTES
  local rest = before + countbefore * SLIMBYTES
  if #row >= rest then
    local isgiven = (#row + 1 - rest - short * SHORTBYTES) % CELLBYTES ~= 0
    if isgiven or string.find(row, node, rest, true) then return nil end
  end
  local place, had, its = findcell(row, SLIMBYTES, first, before), 0, 0
  if place then had, its = unpack_row(SLIM, row, place + 8) end
  local hadbefore, more = 0, 0
  local changes = told > had
  if countbefore > 0 or lately > 0 and late == 1 then
    local placebefore, itsbefore = findcell(row, SLIMBYTES, before, rest), 0
    if placebefore then hadbefore, itsbefore = unpack_row(SLIM, row, placebefore + 8) end
    if late == 1 then more = max(0, lately - hadbefore) end
    -- a node that begins a slice takes its demand over from the one before
    local takesover = placebefore and not place
    if more > 0 or takesover then
      if takesover then its, itsbefore = itsbefore, 0 end
      hadbefore, changes = hadbefore + more, true
      if not areslim(hadbefore, itsbefore) then return nil end
      local at = placebefore or rest
      row = string.sub(row, 1, at - 1) .. pack(PACKEDSLIM, node, hadbefore, itsbefore)
        .. string.sub(row, placebefore and at + SLIMBYTES or at)
      if not placebefore then countbefore = countbefore + 1 end
    end
  end
  -- a window that ends with this slice has nothing to roll
  if drainsby or a ~= (slice + 1) * window then a, b, c, d = roll(key, a, b, c, d, now) end
  if changes or demand ~= its then
    if not areslim(told, demand) then return nil end
    if more > 0 then a, b, c, d = add(key, a, b, c, d, now, 1, more) end
    if told > had then
      a, b, c, d = add(key, a, b, c, d, now, 0, told - had)
      had = told
    end
    sum = sum + demand - its
    if not place then count = count + 1 end
    row = pack(SHARED, a, b, c, d, 0, slice, 0, 0, sum, count, countbefore, short, 0)
      .. string.sub(row, SHAREDBYTES + 1, (place or before) - 1)
      .. pack(PACKEDSLIM, node, had, demand)
      .. string.sub(row, place and place + SLIMBYTES or before)
  end
  if hadbefore + c == 0 and not drainsby then return row, pack(PACKEDBRIEF, a, b, SHAREDBRIEFLY, had, sum) end
  return row, pack(PACKEDSINGLE, a, b, SHAREDLY, had, sum, hadbefore, c, d, slice)
end

-- a, b, the owner, what it admitted in its slice, its demand, what it admitted in the slice before, c, d and its slice
local function unpackofone(row)
  if #row == SINGLEBYTES then return unpack_row(SINGLE, row) end
  local a, b, owner, had, demand
  if #row == BRIEFBYTES then
    a, b, owner, had, demand = unpack_row(BRIEF, row)
  else
    a, b, owner = unpack_row(BARE, row)
    had, demand = b, 0
  end
  return a, b, owner, had, demand, 0, 0, 0, a / window - 1
end

-- adds a raised row to the lists
local function list(key, row)
  local _, _, _, had, demand, before = unpackofone(row)
  local place = #request.k + 1
  request.k[place], request.n[place], request.m[place], request.e[place] = key, had, before, demand
end

local function zeros(count)
  local list = {}
  for i = 1, count do list[i] = 0 end
  return list
end

-- writes the raised rows whose stored rows are as the node has seen them. Adds the others to the lists, and returns
-- their places. Equal rows are one Lua string, so that comparing them takes no time
function raise(count)
  local many, length = unpack_row('>HH', ARGV[3])
  local different = {unpack_row('>' .. string.rep(length > 0 and 'c' .. length or 'Hc0', many), ARGV[3], 5)}
  local form = '>' .. string.rep('HHHc0', count)
  -- for each key, the number of the row to write, the number of the row as it was seen, and the key
  local words = {unpack_row(form, ARGV[2])}
  local keys, otherwise = {}, {}
  for i = 1, count do keys[i] = words[3 * i] end
  local isnow, rows, filedin, those = request.v == slice, nil, nil, nil
  if isnow then
    rows, filedin = found(keys)
    those = apart(keys)
    if not next(filedin) and not next(those) then
      local areall = true
      for i = 1, count do
        if rows[i] ~= different[words[3 * i - 1]] then
          areall = false
          break
        end
        -- each key and its row overwrite words that are no longer needed
        words[2 * i - 1], words[2 * i] = keys[i], different[words[3 * i - 2]]
      end
      if areall then
        for first = 1, 2 * count, 2000 do
          redis.call('HSET', FILES .. top, unpack(words, first, min(first + 1999, 2 * count)))
        end
        return otherwise
      end
      words = {unpack_row(form, ARGV[2])}
    end
  end
  local files = {}
  for i = 1, count do
    local key, row = keys[i], different[words[3 * i - 2]]
    if isnow and rows[i] == different[words[3 * i - 1]] and not those[key] then
      file(files, max(filedin[i] or top, slice + late), key, row)
    else
      if #otherwise == 0 then
        request.k, request.n = request.k or {}, request.n or {}
        request.m, request.e = request.m or zeros(#request.k), request.e or zeros(#request.k)
      end
      otherwise[#otherwise + 1] = i
      list(key, row)
    end
  end
  filed(write(files))
  return otherwise
end

-- settles the keys whose rows allow it; returns their answers, and the places of the others
function settleplain(keys, admitted, lately, demands)
  local rows, filedin = found(keys)
  local those, others = apart(keys), {}
  local files, out, size, current = {}, nil, 0, nil
  local fresh, sliceend = slice + late, (slice + 1) * window
  local roll, add, pack, unpack_row, now, slice, drainsby = roll, add, pack, unpack_row, now, slice, drainsby
  for i = 1, #keys do
    local key, row = keys[i], rows[i]
    local a, b, c, d, had, before, demand = 0, 0, 0, drainsby or 0, 0, 0, 0
    local isplain, answer, moves = not those[key], nil, false
    if row and isplain then
      local length, owner, theirs = #row, nil, slice
      if length == BAREBYTES then
        a, b, owner = unpack_row(BARE, row)
        had = b
        if a ~= sliceend then theirs = a / window - 1 end
        isplain = owner == BARELY
      elseif length == BRIEFBYTES then
        a, b, owner, had, demand = unpack_row(BRIEF, row)
        if a ~= sliceend then theirs = a / window - 1 end
        isplain = owner == BRIEFLY
      elseif length == SINGLEBYTES then
        a, b, owner, had, demand, before, c, d, theirs = unpack_row(SINGLE, row)
        isplain = owner == SINGLY
      elseif length == PLAINBYTES then
        a, b, c, d = unpack_row(PLAIN, row)
      else
        local written
        written, answer = settleshared(key, row, admitted[i], lately and lately[i] or 0, demands and demands[i] or 0)
        isplain = answer ~= nil
        if answer and written ~= row then
          local under = max(filedin[i] or top, fresh)
          if drainsby then
            under = min(max(under, lastslice(unpack_row(PLAIN, written))), slice + ${FURTHEST_SLICE})
          end
          file(files, under, key, written)
          current = nil
        end
      end
      if theirs ~= slice then
        if theirs < slice - late then
          isplain, had, before, demand = true, 0, 0, 0
        elseif theirs < slice then
          had, before = 0, had
          -- a repeated demand is kept as long as a new one, so the row moves on to this slice
          moves = demand ~= 0
        else
          isplain = false
        end
      end
      -- a bucket whose rate may change needs more to be kept
      if drainsby and d ~= drainsby then isplain = false end
    end
    if not isplain then
      others[#others + 1] = i
      rows[i] = ''
    elseif answer then
      rows[i] = answer
    else
      local rate, told = d, admitted[i]
      -- a window that ends with this slice has nothing to roll
      if drainsby or a ~= sliceend then a, b, c, d = roll(key, a, b, c, d, now) end
      local changes = d ~= rate or moves
      if lately and lately[i] > before and late == 1 then
        a, b, c, d = add(key, a, b, c, d, now, 1, lately[i] - before)
        if drainsby then d = drainsby end
        before, changes = lately[i], true
      end
      if told > had then
        a, b, c, d = add(key, a, b, c, d, now, 0, told - had)
        if drainsby then d = drainsby end
        had, changes = told, true
      end
      told = demands and demands[i] or 0
      if told ~= demand then demand, changes = told, true end
      local packed
      if a ~= sliceend or before + c + d ~= 0 then
        packed = pack(PACKEDSINGLE, a, b, SINGLY, had, demand, before, c, d, slice)
      elseif had == b and demand == 0 then
        packed = pack(PACKEDBARE, a, b, BARELY)
      else
        packed = pack(PACKEDBRIEF, a, b, BRIEFLY, had, demand)
      end
      if changes then
        local under = row and max(filedin[i] or top, fresh) or fresh
        if drainsby then under = min(max(under, lastslice(a, b, c, d)), slice + ${FURTHEST_SLICE}) end
        if under ~= current then
          files[under] = files[under] or {}
          out, current = files[under], under
          size = #out
        end
        out[size + 1] = key
        out[size + 2] = packed
        size = size + 2
      end
      rows[i] = packed
    end
  end
  filed(write(files))
  return table.concat(rows), others
end

-- an entry of the lists as an operation
function operationof(i)
  local key, admitted = request.k[i], request.n[i]
  local ask = {request.e and request.e[i] or 0, 0, 0, 0}
  if admitted < 0 then return {'read', key, ask} end
  return {'settle', key, 0, request.v, {admitted, 0, 0, 0}, {request.m and request.m[i] or 0, 0, 0, 0}, ask}
end

-- unpacks a row in which only one node has settled, this one or another
function unpacksingle(value, under)
  local a, b, owner, had, demand, before, c, d, theirs = unpackofone(value)
  owner = string.sub(owner, 1, 8)
  local row = {a, b, c, d, 0, theirs, 0, 0, demand, '', under, nil, nil, 1, 1, 1, 1, 1, false, false, 0}
  cellsofone(row, owner, had, demand, before)
  return row
end

-- packs a row with this node's cells and no other's in that form; returns nil for any other row
function packsingle(row, cell, before)
  if hasothers(row) or row[5] + row[7] + row[8] ~= 0 or not (cell or before) then return nil end
  if cell and cell[2] + cell[3] + cell[4] ~= 0 or before and before[2] + before[3] + before[4] ~= 0 then return nil end
  local theirs, had, lately = slice, cell and cell[1], before and before[1] or 0
  if not cell then theirs, had, lately = slice - 1, lately, 0 end
  return pack(PACKEDSINGLE, row[1], row[2], SINGLY, had, row[9], lately, row[3], row[4], theirs)
end
end
`
