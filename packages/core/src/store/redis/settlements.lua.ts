import { FURTHEST_SLICE } from '../store.ts'

/**
 * The short way for settlements: of keys of which nothing is kept but their state and what one node has admitted, as of
 * nearly all. Such a row is SINGLE: the state, the node's id and a byte that tells it from other rows by its length, the
 * slice in which it last settled, what it admitted in that and in the one before, and its demand.
 *
 * The request has them as lists: k keys, each once; n what was admitted in the slice v, below 0 where the node does not
 * know the key and only reads it; m what was in the slice before and e the node's demand, where any is not 0. A node that
 * has more to tell, or an older slice, sends operations; and of what is kept otherwise, these lists become operations
 * here (see `operations`), so that there is one way to settle all else.
 *
 * The answer is the row as it is now, packed. Not for logs, which have entries.
 */
export const settlementsLua = /* lua */ `
local SINGLE, PACKEDSINGLE, SINGLEBYTES = '>ddddc9dddd', '>ddddc0dddd', 73
local mine = node .. '\\0'

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

-- answers those keys whose rows allow it, and returns the places of the others
local function settleplain(keys, admitted, lately, demands)
  local rows, filedin = found(keys)
  local those, others = apart(keys), {}
  local files, out, size, current = {}, nil, 0, nil
  local fresh = slice + late
  local roll, add, pack, unpack_row, now, slice, mine, drainsby = roll, add, pack, unpack_row, now, slice, mine, drainsby
  for i = 1, #keys do
    local key, row = keys[i], rows[i]
    local a, b, c, d, owner, theirs, had, before, demand = 0, 0, 0, 0, mine, slice, 0, 0, 0
    local length = row and #row
    if length == SINGLEBYTES then
      a, b, c, d, owner, theirs, had, before, demand = unpack_row(SINGLE, row)
      if theirs < slice then
        if theirs < slice - late then
          owner, had, before, demand = mine, 0, 0, 0
        else
          had, before = 0, had
        end
        theirs = slice
      end
    elseif length == PLAINBYTES then
      a, b, c, d = unpack_row(PLAIN, row)
    elseif row then
      owner = nil
    end
    if owner ~= mine or theirs ~= slice or those[key] then
      others[#others + 1] = i
      rows[i] = ''
    else
      local rate, told = d, admitted[i]
      a, b, c, d = roll(key, a, b, c, d, now)
      -- a bucket gave way to the limit that was set
      local changes = d ~= rate
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
      row = pack(PACKEDSINGLE, a, b, c, d, mine, slice, had, before, demand)
      if changes then
        local under = length and max(filedin[i] or top, fresh) or fresh
        if drainsby then under = min(max(under, lastslice(a, b, c, d)), slice + ${FURTHEST_SLICE}) end
        if under ~= current then
          files[under] = files[under] or {}
          out, current = files[under], under
          size = #out
        end
        out[size + 1] = key
        out[size + 2] = row
        size = size + 2
      end
      rows[i] = row
    end
  end
  write(files)
  return table.concat(rows), others
end

-- those of the lists that are left to be carried out, as operations
local function operationof(i)
  local key, admitted = request.k[i], request.n[i]
  local ask = {request.e and request.e[i] or 0, 0, 0, 0}
  if admitted < 0 then return {'read', key, ask} end
  return {'settle', key, 0, request.v, {admitted, 0, 0, 0}, {request.m and request.m[i] or 0, 0, 0, 0}, ask}
end

-- a row in which nobody but this node, or one other, has settled
local function unpacksingle(value, under)
  local a, b, c, d, owner, theirs, had, before, demand = unpack_row(SINGLE, value)
  owner = string.sub(owner, 1, 8)
  local cells = pack(PACKEDCELL, owner, theirs, had, 0, 0, 0, demand)
  if before > 0 then cells = cells .. pack(PACKEDCELL, owner, theirs - 1, before, 0, 0, 0, 0) end
  return {a, b, c, d, 0, theirs, 0, 0, demand, cells, under, nil, nil}
end

-- as such a row, or nil: with its cells taken out, of which there are no others
local function packsingle(row, cell, before)
  if row[10] ~= '' or row[5] + row[7] + row[8] ~= 0 then return nil end
  if cell and cell[2] + cell[3] + cell[4] ~= 0 or before and before[2] + before[3] + before[4] ~= 0 then return nil end
  local theirs, had, lately = slice, 0, before and before[1] or 0
  if cell then
    had = cell[1]
  elseif before then
    theirs, had, lately = slice - 1, lately, 0
  else
    return nil
  end
  return pack(PACKEDSINGLE, row[1], row[2], row[3], row[4], mine, theirs, had, lately, row[9])
end
`
