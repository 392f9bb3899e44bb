import type { LuaHalf } from '../../algorithms/lua-half.ts'
import { FURTHEST_SLICE } from '../store.ts'
import { rowsLua } from './files.lua.ts'
import { PLAIN_TOLD } from './quick-take.lua.ts'

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
function rolls(take: NonNullable<LuaHalf['take']>): string {
  return /* lua */ `
    local goesover = drainsby and row and d ~= drainsby
    if goesover then
      ${take.ends === undefined ? '' : 'local was = d'}
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
