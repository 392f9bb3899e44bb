import type { LuaHalf } from '../../algorithms/lua-half.ts'
import { FURTHEST_SLICE } from '../store.ts'
import { rowsLua } from './files.lua.ts'
import { PLAIN_GIVEN, PLAIN_TOLD } from './quick-take.lua.ts'

/** Bytes of a row that is only a state. */
const PLAIN = 32

/** The parts in which quick takes and others differ: where rows lie, and what else is to be done. */
export interface Way {
  /** Leaves the loop, if a row is more than the state. */
  readonly leaves: string
  /** Lets time pass for a, b, c, d; sets `used`, and `goesover` if the row is to be written whatever is taken. */
  readonly rolls: string
  /** Before a row is read: sets the slice that it lies `under`, and the `last` one in which it matters. */
  readonly lies: string
  /** For a bucket that is to be written: sets `last` again. */
  readonly lasts: string
  /** Chooses the `fields` to write to, and sets `size` to their number. */
  readonly files: string
}

/** Whether equal rows stay equal. At one moment, a cost of 1 changes equal rows of a window alike; many are equal. */
function areAlike({ take }: LuaHalf): boolean {
  return take !== undefined && take.ends === undefined
}

function isBucket({ take }: LuaHalf): boolean {
  return take?.ends !== undefined
}

/**
 * Tests and consumes, for each of `keys` with its row in `rows`, each of its `costs` in turn. Leaves the answers in
 * `rows`, and what is to be written in `fields`.
 */
export function takeEachLua(half: LuaHalf, { leaves, rolls, lies, lasts, files }: Way): string {
  const { batch } = half
  const alike = areAlike(half)
  const bucket = isBucket(half)
  return /* lua */ `
  local NEVER = '${'\\0'.repeat(PLAIN)}'
  ${bucket ? 'local isgiven = false' : ''}
  ${alike ? 'local becomes = {}' : ''}
  for i = 1, #keys do
    local key, row, cost, packed = keys[i], rows[i], costs and costs[i] or 1, nil
    ${lies}
    ${alike ? becameLua : ''}
    if packed == nil then
      packed = false
      local a, b, c, d = 0, 0, 0, 0
      ${bucket ? 'local from, given, lasts, changed, fastest' : ''}
      if row then
        ${bucket ? readsGivenLua(leaves) : (batch?.reads ?? readsLua(leaves))}
      else
        rows[i] = NEVER
      end
      ${rolls}
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
      ${batch?.adds ?? 'if total > 0 or goesover then b, d = b + total, drainsby or d'}
        ${bucket ? lasts : ''}
        packed = ${bucket ? "given and pack('>ddddddddI4', a, b, c, d, from, given, lasts, changed, fastest) or " : ''}${batch ? 'd' : "pack('>dddd', a, b, c, d)"}
      end
      ${alike ? 'if cost == 1 then becomes[rows[i]] = packed end' : ''}
    end
    if packed then
      ${files}
      fields[size + 1], fields[size + 2] = key, packed
      size = size + 2
      ${batch?.filed ?? ''}
    end
  end
`
}

/**
 * The short way for takes alone, of keys of which only the state is kept. It answers as the engine does, but with the
 * status byte 4, and for each key the four numbers of its state before the take. For a bucket that went by another
 * limit, it tells the state as it is now. So it does for a log: two numbers, the length of its entries, and the
 * entries. If anything was given back to a key, the status byte is 7, and each key also tells since when that is kept,
 * and how much it is. If the short way is not possible, nothing was written yet.
 *
 * It comes before all functions that it does not need: Lua would make them anew for each call.
 */
export function takesLua(half: LuaHalf): string {
  const { take, batch } = half
  const way = {
    leaves: 'return nil',
    rolls: take ? rollsLua(take) : 'local used = a',
    lies: 'local under, last = row and (filedin[i] or top) or slice, slice + late',
    lasts: take ? lastsLua(take) : '',
    files: /* lua */ `
      if last > under then under = min(last, slice + ${FURTHEST_SLICE}) end
      ${FILES_BY_SLICE}
`,
  }
  return /* lua */ `${rowsLua}
local function takes(keys, costs)
  local now, slice, top, late, limit, drainsby = now, slice, top, late, limit, drainsby
  local pack, unpack_row = pack, unpack_row
  local rows, filedin = found(keys)
  ${batch?.begins ?? ''}
  local files, fields, listed, size, sliceend = {}, nil, nil, 0, (slice + 1) * window
${takeEachLua(half, way)}
  if fields then files[listed] = fields end
  ${batch?.ends ?? ''}
  local news = write(files)
  ${isBucket(half) ? answersGivenLua('heading(7, 0, 0) .. table.concat(rows), news') : ''}
  return heading(4, 0, 0) .. table.concat(rows), news
end

local isshort = request.t and not (joint or request.since or request.presence) and blockslast <= now and #request.t < MOSTKEYS
local answer, news
if isshort and isplain and marker and not (guard or setlimit) then
  isshort = false
  answer, news = takes(request.t, request.c)
  if answer and not news then return answer end
end
`
}

/** Switches `fields` to the list for the slice `under`; `listed` is the slice of the current list. */
export const FILES_BY_SLICE = /* lua */ `
      if under ~= listed then
        if fields then files[listed] = fields end
        fields, listed = files[under] or {}, under
        size = #fields
      end
`

/** Equal rows become what the first of them became. */
const becameLua = /* lua */ `
    rows[i] = row or NEVER
    if cost == 1 then packed = becomes[rows[i]] end
`

/** A row that is more than the state is left to the engine. */
function readsLua(leaves: string): string {
  return /* lua */ `
      if #row ~= ${PLAIN} then ${leaves} end
      a, b, c, d = unpack_row('>dddd', row)
`
}

/** As `readsLua`, but also reads what was given back. */
function readsGivenLua(leaves: string): string {
  return /* lua */ `
      local length = #row
      if length == ${PLAIN} then
        a, b, c, d = unpack_row('>dddd', row)
      elseif length == ${PLAIN_GIVEN} then
        a, b, c, d, from, given, lasts, changed, fastest = unpack_row('>ddddddddI4', row)
        if lasts <= now then given = nil end
        isgiven = isgiven or given
        rows[i] = string.sub(row, 1, given and ${PLAIN_TOLD} or ${PLAIN})
      else
        ${leaves}
      end
`
}

/** Makes all answers equally long. */
export function answersGivenLua(answer: string): string {
  return /* lua */ `
  if isgiven then
    local none = pack('>dd', 0, 0)
    for i = 1, #rows do
      if #rows[i] == ${PLAIN} then rows[i] = rows[i] .. none end
    end
    return ${answer}
  end
`
}

const reratedLua = /* lua */ `
      if d ~= was then
        from, given, lasts, changed, fastest =
          rerated(from, given, lasts, changed, fastest, waya, wayb, wayc, 0, was, d)
      end
      from, given, lasts, changed, fastest = rerated(from, given, lasts, changed, fastest, a, b, c, 0, d, drainsby)
      isgiven = isgiven or given
      if given then rows[i] = rows[i] .. pack('>dd', from, given) end
`

/**
 * Lets time pass for a key's state, and sets `used`. Calls no function unless the key goes over to another limit:
 * function calls took a quarter of a batch's time in Redis.
 */
function rollsLua(take: NonNullable<LuaHalf['take']>): string {
  return /* lua */ `
    local goesover = drainsby and row and d ~= drainsby
    if goesover then
      ${take.ends === undefined ? '' : 'local was = d'}
      a, b, c, d = roll(key, a, b, c, d, now)
      rows[i] = pack('>dddd', a, b, c, d)
      ${take.ends === undefined ? '' : reratedLua}
    else
      ${take.roll}
    end
    ${take.use}
`
}

/** Cost admitted within the limit drains within a window: by the next slice, where the row may already lie. */
export function lastsLua({ ends }: NonNullable<LuaHalf['take']>): string {
  return /* lua */ `
        if given or under <= slice or total == 0 or a > now then
          ${ends}
          if given then
            if given > 0 then lasts = max(lasts, finish) end
            finish = max(lasts, finish)
          end
          last = finish > sliceend and floor((finish - 1) / window) or slice
        end
`
}
