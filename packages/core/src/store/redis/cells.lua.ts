/**
 * The cells of a key: what each node has settled, one per slice. Redis's Lua takes a nanosecond and more for each byte
 * of each string that it makes, so cells are as short as their numbers allow. A row has four kinds of them, one after
 * the other. A slim cell counts nothing but admitted cost, and has a demand; there are those of the settled slice, and
 * those of the one before. A short one has all counters, and names its slice. The numbers of all these have 32 bits;
 * cells with others are full. Those of logs all are.
 */
export const cellsLua = /* lua */ `
local SLIM, SLIMBYTES, PACKEDSLIM = '>I4I4', 16, '>c8I4I4'
local SHORTBYTES, CELLBYTES = 32, 56
local areslim, findcell, packcells, cellsofone, hascells, hasothers, owncells, opencell, turncells, unspent
do
local SHORT, PACKEDSHORT = '>I4I4I4I4I4I4', '>c8I4I4I4I4I4I4'
local CELL, PACKEDCELL = '>dddddd', '>c8dddddd'
local SIZES = {SLIMBYTES, SLIMBYTES, SHORTBYTES, CELLBYTES}
local WORD = 4294967296

-- whether both numbers have 32 bits
function areslim(one, other)
  return one < WORD and other < WORD and one % 1 + other % 1 == 0
end

-- where this node's cell lies among those of one size that begin at from and end before till; false if there is none
function findcell(cells, size, from, till)
  local at = string.find(cells, node, from, true)
  while at and (at - from) % size ~= 0 do at = string.find(cells, node, at + 1, true) end
  return at and at < till and at
end

-- packs admitted, refunded, granted, returned and demand; also returns the kind
local function packcell(settled, owner, theirs, cell)
  local admitted, refunded, granted, returned, demand = cell[1], cell[2], cell[3], cell[4], cell[5]
  if areslim(admitted, demand) and not openlog then
    local behind = settled - theirs
    if refunded + granted + returned == 0 and (behind == 0 or behind == 1) then
      return pack(PACKEDSLIM, owner, admitted, demand), 1 + behind
    end
    if areslim(refunded, granted) and areslim(returned, 0) then
      return pack(PACKEDSHORT, owner, theirs % WORD, admitted, refunded, granted, returned, demand), 3
    end
  end
  return pack(PACKEDCELL, owner, theirs, admitted, refunded, granted, returned, demand), 4
end

-- the cell at a place of the row, and how many slices ago it was settled
local function unpackcell(row, kind, at)
  local cells = row[10]
  if kind <= 2 then
    local admitted, demand = unpack_row(SLIM, cells, at + 8)
    return {admitted, 0, 0, 0, demand}, slice - row[6] + kind - 1
  end
  local theirs, admitted, refunded, granted, returned, demand = unpack_row(kind == 3 and SHORT or CELL, cells, at + 8)
  local behind = slice - theirs
  if kind == 3 then behind = behind % WORD end
  return {admitted, refunded, granted, returned, demand}, behind
end

function hascells(row)
  return row[18] > row[14]
end

-- whether there are cells but those that owncells has taken out
function hasothers(row)
  return row[18] - row[14] > row[21]
end

-- this node's cells of the slice and of the one before. They are taken out: where they lie, they no longer count
function owncells(row)
  if row[12] == nil then
    row[12], row[13] = false, false
    local cells, from, till = row[10], row[14], row[18]
    local at = from < till and string.find(cells, node, from, true)
    while at and at < till do
      local kind = at < row[15] and 1 or at < row[16] and 2 or at < row[17] and 3 or 4
      local size = SIZES[kind]
      if (at - row[13 + kind]) % size == 0 then
        local cell, behind = unpackcell(row, kind, at)
        if behind == 0 or behind == 1 then
          row[12 + behind], row[19 + behind] = cell, at
          row[21] = row[21] + size
        end
      end
      at = string.find(cells, node, at + 1, true)
    end
  end
  return row[12], row[13]
end

-- all cells, as three strings; then how many there are of the first three kinds
function packcells(row)
  local cells, own, before, at, atbefore = row[10], row[12], row[13], row[19], row[20]
  local counts = {row[15] - row[14], row[16] - row[15], row[17] - row[16], 0}
  local head, mid, tail
  local packed, kind
  if own then packed, kind = packcell(row[6], node, slice, own) end
  if not (own or before) then
    head, mid, tail = string.sub(cells, row[14], row[18] - 1), '', ''
  elseif own and not before and (not at or at >= row[13 + kind] and at < row[14 + kind]) then
    -- as nearly always: it takes its own place, or is added
    if not at then counts[kind] = counts[kind] + #packed end
    local place = at or row[14 + kind]
    head, mid = string.sub(cells, row[14], place - 1), packed
    tail = string.sub(cells, at and at + #packed or place, row[18] - 1)
  else
    local added, parts = {'', '', '', ''}, {}
    if own then added[kind] = packed end
    if before then
      packed, kind = packcell(row[6], node, slice - 1, before)
      added[kind] = added[kind] .. packed
    end
    local one, other = at or atbefore, at and atbefore
    if one and other and one > other then one, other = other, one end
    for kind = 1, 4 do
      local from, till, size = row[13 + kind], row[14 + kind], SIZES[kind]
      counts[kind] = till - from + #added[kind]
      while one and one < till do
        parts[#parts + 1] = string.sub(cells, from, one - 1)
        from, counts[kind] = one + size, counts[kind] - size
        one, other = other, nil
      end
      parts[#parts + 1] = string.sub(cells, from, till - 1)
      parts[#parts + 1] = added[kind]
    end
    head, mid, tail = table.concat(parts), '', ''
  end
  return head, mid, tail, counts[1] / SLIMBYTES, counts[2] / SLIMBYTES, counts[3] / SHORTBYTES
end

local function putcells(row, slim, slimbefore, short, full)
  local before = 1 + #slim
  local shorts = before + #slimbefore
  local fulls = shorts + #short
  row[10] = slim .. slimbefore .. short .. full
  row[14], row[15], row[16], row[17], row[18] = 1, before, shorts, fulls, fulls + #full
end

-- the cells of a row in which only one node has settled
function cellsofone(row, owner, had, demand, before)
  local kinds = {'', '', '', ''}
  local packed, kind = packcell(row[6], owner, row[6], {had, 0, 0, 0, demand})
  kinds[kind] = packed
  if before > 0 then
    packed, kind = packcell(row[6], owner, row[6] - 1, {before, 0, 0, 0, 0})
    kinds[kind] = kinds[kind] .. packed
  end
  putcells(row, unpack(kinds))
end

-- keeps of the cells of slices that are over those that still matter; returns their demand
function turncells(row, following)
  local cells, demand = row[10], 0
  local kept = {'', '', ''}
  if following and late == 1 then
    kept[1] = string.sub(cells, row[14], row[15] - 1)
    for at = row[14], row[15] - 1, SLIMBYTES do
      local _, its = unpack_row(SLIM, cells, at + 8)
      demand = demand + its
    end
  end
  for kind = 3, 4 do
    local parts, size = {}, SIZES[kind]
    for at = row[13 + kind], row[14 + kind] - 1, size do
      local cell, behind = unpackcell(row, kind, at)
      if behind <= late then
        parts[#parts + 1] = string.sub(cells, at, at + size - 1)
        demand = demand + cell[5]
      end
    end
    kept[kind - 1] = table.concat(parts)
  end
  putcells(row, '', kept[1], kept[2], kept[3])
  return demand
end

-- the node's cell for the current slice; a new one takes over the demand of the slice before
function opencell(row)
  row[6] = max(row[6], slice)
  local cell, before = owncells(row)
  if cell then return cell end
  cell = {0, 0, 0, 0, 0}
  if before then cell[5], before[5] = before[5], 0 end
  row[12] = cell
  return cell
end

-- what is booked and not known to be spent
function unspent(cell)
  if not cell then return 0 end
  return max(0, cell[3] - cell[4] - cell[1])
end
end
`
