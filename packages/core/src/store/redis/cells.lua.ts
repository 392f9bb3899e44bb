/** The cells of a key: what each node has settled, one per slice. */
export const cellsLua = /* lua */ `
-- takes the node's cell for a slice out of the row's cells: admitted, refunded, granted, returned, demand
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

-- the node's cell for the current slice; a new one takes over the demand of the slice before
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
`
