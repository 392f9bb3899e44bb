import type { LuaHalf } from '../../algorithms/lua-half.ts'
import { FURTHEST_SLICE } from '../store.ts'
import { rowsLua } from './files.lua.ts'
import { PLAIN_GIVEN, PLAIN_TOLD } from './quick-take.lua.ts'

/** Bytes of a row of which nothing is kept but the state. */
const PLAIN = 32

/** How the takes of a command go, which differs by where rows lie and what is to be done beside. */
export interface Way {
  /** Where a row is more than the state: leaves the loop. */
  readonly leaves: string
  /** Lets time pass for a, b, c, d, and sets `used`; and `goesover` where the row is to be written whatever is taken. */
  readonly rolls: string
  /** Before a row is read: sets the slice that it lies `under`, and the `last` one in which it is worth anything. */
  readonly lies: string
  /** Of a bucket that is to be written: sets `last` again. */
  readonly lasts: string
  /** Sees to it that what is to be written goes behind the first `size` of the right `fields`. */
  readonly files: string
}

/** Of a window, what becomes of a row by a cost of 1 depends at one moment on the row alone, and many keys have the same. */
function areAlike({ take }: LuaHalf): boolean {
  return take !== undefined && take.ends === undefined
}

function isBucket({ take }: LuaHalf): boolean {
  return take?.ends !== undefined
}

/**
 * Of each of `keys`, whose rows were read into `rows`, tests and consumes each of its `costs` in turn. Then `rows` are what
 * is answered, and what is to be written is in `fields`.
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
 * The short way for takes alone, of keys of which nothing is kept but their state. It answers as the engine, but with the
 * status byte 4, and of each key the four numbers of its state as they lay there; as they are now of a bucket that went by
 * another limit, and of a log, which has two of them, and then how long its entries are and they. Where anything was given
 * back of one, with the status byte 7, and of each also since when that is kept, and how much it is. Where it does not do,
 * nothing was written yet.
 *
 * It comes before all functions that it does not need: Lua makes them anew for each call.
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

/** `fields` is of the slice that it is `listed` for. */
export const FILES_BY_SLICE = /* lua */ `
      if under ~= listed then
        if fields then files[listed] = fields end
        fields, listed = files[under] or {}, under
        size = #fields
      end
`

/** What became of the first row becomes of all that are alike. */
const becameLua = /* lua */ `
    rows[i] = row or NEVER
    if cost == 1 then packed = becomes[rows[i]] end
`

/** A row that is not the state alone is for the engine. */
function readsLua(leaves: string): string {
  return /* lua */ `
      if #row ~= ${PLAIN} then ${leaves} end
      a, b, c, d = unpack_row('>dddd', row)
`
}

/** As `readsLua`, with what was given back of it. */
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

/** All are as long. */
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
 * Lets time pass for a key's state, and sets `used`. Without a function where nothing goes over to another limit: of a batch's
 * time in Redis functions took a quarter.
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

/** What was admitted within the limit ends within a window: no later than in the next slice, in which the row may lie already. */
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
