import type { LuaHalf } from '../../algorithms/lua-half.ts'

/**
 * A quick take: a single take of a key of which only the state is kept, in a table where nothing else is to be done. It
 * needs three Redis calls, and hardly a Lua function.
 *
 * The file of a slice has two kinds of fields with names that no key can have. The empty name holds the number under
 * which the file is open for quick takes, negated while it is closed. Each node that takes quickly has a field with its
 * last sequence, the number under which it was introduced, and the limit it goes by. Whatever a quick take does not
 * look at closes the file: a block, another limit, a new marker, rows filed under a later slice. The long way
 * introduces a node, and reopens the file.
 *
 * The time is the file's known end less its remaining life (PTTL), which is faster to read than the clock; in whole
 * milliseconds. On a Cluster the clock is read: when a slot moves, its files' remaining life begins anew.
 *
 * A command sent as a quick take is checked by the sequence in its file, even if it takes the long way. The file is
 * that of the slice of its deadline, so that it outlives the command.
 */
const FIELDS = '>ddddddd'
const NOT_INTRODUCED = 6 * 8
/** Bytes of a row that ends with what was given back or a changed rate, and of the part of it that a node is told. */
export const PLAIN_GIVEN = 68
export const PLAIN_TOLD = 48
/** Milliseconds for which a file is kept after its slice. */
export const FILE_KEPT = 1000

/** Up to this many rows, searching the list is as fast as a hash table. */
const FEW = 32

/**
 * Runs after rows were written to a `file`, `added` of them new. Redis keeps few short fields as a list, which it
 * searches from the front, but not in a hash that has once held a long value (decision 0023): so this sets and deletes
 * one. No key has its name.
 *
 * @param begun what to do if they are the first
 */
export function grownLua(begun: string): string {
  return /* lua */ `
      local rows = redis.call('HLEN', file)
      if rows == added then ${begun} end
      if rows > ${FEW} and rows - added <= ${FEW} then
        redis.call('HSET', file, '\\255', '${' '.repeat(65)}')
        redis.call('HDEL', file, '\\255')
      end
`
}

/** Begins every script: declares what a quick take may set. `isplain`: it found no row that is more than a state. */
export const beginningLua = /* lua */ `
local pack, unpack_row = struct.pack, struct.unpack
local sequence, deadline, exact
local FILE, guard, seen, introduced
local several, isplain = nil, true
`

/**
 * KEYS[1]: the file for new rows of the slice; KEYS[2], on a Cluster: the prefix. ARGV: the common beginning of the
 * node's requests, as JSON; sequence; deadline; key; cost, if it is not 1; now (tests only). Several takes have no key,
 * and their keys and costs in place of the cost, see `quick-batch.lua.ts`.
 *
 * Returns the status byte 5, the time, and the row as it was; or 8 if anything was given back to it, with how much. If
 * a quick take is not possible, nothing was written, and the script goes on.
 *
 * @param batch what several takes run
 */
export function quickTakeLua(
  { opens, late, roll, use, ends }: NonNullable<LuaHalf['take']>,
  batch: string,
): string {
  return /* lua */ `${opens}
if ARGV[4] then
  sequence, deadline = ARGV[2] - 0, ARGV[3] - 0
  local key = ARGV[4]
  FILE, guard = KEYS[1], '\\255' .. ARGV[1]
  local found, opened
  if key ~= '' then
    found = redis.call('HMGET', FILE, '', guard, key)
    opened, seen = found[1], found[2]
  else
    several = cjson.decode(ARGV[5])
    local keys = several.t
    local n = #keys
    keys[n + 1], keys[n + 2] = '', guard
    found = redis.call('HMGET', FILE, unpack(keys))
    opened, seen = found[n + 1], found[n + 2]
    keys[n + 1], keys[n + 2], found[n + 1], found[n + 2] = nil, nil, nil, nil
  end
  if seen then
    local last, number, limit, window, drainsby, per, ends = unpack_row('${FIELDS}', seen)
    introduced = opened and opened - number == 0
    local time = KEYS[2] and not ARGV[6] and redis.call('TIME')
    local now = ARGV[6] and ARGV[6] - 0 or time and time[1] * 1000 + math.floor(time[2] / 1000) or ends - redis.call('PTTL', FILE)
    if introduced and last < sequence and now <= deadline then
      local noted = pack('${FIELDS}', sequence, number, limit, window, drainsby, per, ends)
      if several then
${batch}
      else
        local row = found[3]
${late === 0 ? '' : beforeLua}
        local a, b, c, d = 0, 0, 0, drainsby
        local length = row and #row or 0
        if length == 32 then a, b, c, d = unpack_row('>dddd', row) end
${ends === undefined ? '' : readsGivenLua}
        if length == 0 or ${ends === undefined ? 'length == 32' : bucketFitsLua} then
          ${roll}
          ${use}
          local cost = ARGV[5] and ARGV[5] - 0 or 1
${ends === undefined ? '' : answersGivenLua}
          if used + cost <= limit then
            b = b + cost
${ends === undefined ? "local packed = pack('>dddd', a, b, c, d)" : packsGivenLua(ends)}
${ends === undefined ? '' : endsBeforeLua(ends)}
            redis.call('HSET', FILE, guard, noted, key, packed)
          else
            redis.call('HSET', FILE, guard, noted)
          end
          return ${ends === undefined ? answerLua : 'answer'}
        end
        isplain = length == ${ends === undefined ? '32' : 'plain'}
      end
    end
  end
end
`
}

const answerLua = `pack('>Bd', 5, now) .. (row or '${'\\0'.repeat(32)}')`

/** A row may lie in the file of the slice before. */
const beforeLua = /* lua */ `
      local before, under
      if not row then
        before, under = string.match(FILE, '^(.*:)(%d+)$')
        before = before .. (under - 1)
        row = redis.call('HGET', before, key)
      end
`

/** Reads a row to which anything was given back. */
const readsGivenLua = /* lua */ `
      local plain, from, given, lasts, changed, fastest = 32, nil, nil, nil, nil, nil
      if length == ${PLAIN_GIVEN} then
        a, b, c, d, from, given, lasts, changed, fastest = unpack_row('>ddddddddI4', row)
        plain = ${PLAIN_GIVEN}
        if lasts <= now then given = nil end
      end
`

/** The rate is the same, and the clock has not gone back: if it had, the row might last beyond the next slice. */
const bucketFitsLua = 'length == plain and d == drainsby and a <= now'

/** Cuts the row to what a node is told. */
const answersGivenLua = /* lua */ `
          local answer
          if length == ${PLAIN_GIVEN} then
            answer = pack('>Bd', given and 8 or 5, now) .. string.sub(row, 1, given and ${PLAIN_TOLD} or 32)
          else
            answer = ${answerLua}
          end
`

/** Extends how long what was given back is kept: what is in use now may be given back too. */
function packsGivenLua(ends: string): string {
  return /* lua */ `
          local packed
          if given then
            ${ends}
            if given > 0 and finish > lasts then lasts = finish end
            packed = pack('>ddddddddI4', a, b, c, d, from, given, lasts, changed, fastest)
          else
            packed = pack('>dddd', a, b, c, d)
          end
`
}

/** A row that does not matter in the next slice stays in the file of the slice before. */
function endsBeforeLua(ends: string): string {
  return /* lua */ `
          if before then
            ${ends}
            if given and lasts > finish then finish = lasts end
            if finish <= under * window then
              redis.call('HSET', FILE, guard, noted)
              local file, added = before, redis.call('HSET', before, key, packed)
              if added > 0 then
                ${grownLua(`redis.call('PEXPIRE', file, under * window - now + ${FILE_KEPT})`)}
              end
              return answer
            end
          end
`
}

/** Quick takes stop in this slice, until the long way opens the file again. */
export const closeLua = /* lua */ `
local function closequick()
  local number = tonumber(redis.call('HGET', FILES .. (slice + late), '') or 0)
  if number > 0 then redis.call('HSET', FILES .. (slice + late), '', -number) end
end
`

/** `notequick` notes the sequence of a command on the long way; `openquick` introduces its node, if it may be quick. */
export const noteLua = /* lua */ `
local function notequick()
  local noted = pack('>d', sequence) .. (seen and string.sub(seen, 9) or string.rep('\\0', ${NOT_INTRODUCED}))
  if redis.call('HSET', FILE, guard, noted) == 1 and redis.call('HLEN', FILE) == 1 then
    begun(tonumber(string.match(FILE, '%d+$')))
  end
end

local function openquick()
  if introduced or setlimit or FILE ~= FILES .. (slice + late) or top > slice + late then return end
  -- a node that goes by another limit than the one in force would replay other decisions
  if told then
    for i = 1, max(#inforce, #told) do
      if inforce[i] ~= told[i] then return end
    end
  end
  local number = tonumber(redis.call('HGET', FILE, '') or 0)
  if number <= 0 then
    number = 1 - number
    redis.call('HSET', FILE, '', number)
    if not ARGV[6] then redis.call('PEXPIREAT', FILE, (slice + late + 1) * window + ${FILE_KEPT}) end
  end
  local ends = (slice + late + 1) * window + ${FILE_KEPT}
  redis.call(
    'HSET', FILE, guard, pack('${FIELDS}', sequence, number, limit, window, drainsby or 0, parameters[4] or 0, ends)
  )
end
`
