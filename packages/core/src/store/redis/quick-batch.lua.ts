import type { LuaHalf } from '../../algorithms/lua-half.ts'
import { missingLua, writesLua } from './files.lua.ts'
import { FILE_KEPT, grownLua } from './quick-take.lua.ts'
import { answersGivenLua, FILES_BY_SLICE, lastsLua, takeEachLua, type Way } from './takes.lua.ts'

/**
 * Several quick takes, a key each, under the same conditions as one. Runs in the midst of `quick-take.lua.ts`.
 *
 * In place of the key, ARGV has an empty string, which is never a key; then t and c as JSON, as in a request (see
 * `opening.lua.ts`). The answer is like that to one take, but with a row for each key.
 */
export function quickBatchLua(half: LuaHalf, take: NonNullable<LuaHalf['take']>): string {
  const { roll, use, ends, late } = take
  const begins = late === 0 ? '' : "local filedin, FILES = {}, string.match(FILE, '^(.*:)')"
  const [way, writes] = ends === undefined ? windowWay(roll, use) : bucketWay(take)
  return /* lua */ `
        local floor, max, min = math.floor, math.max, math.min
        local keys, costs, rows = several.t, several.c, found
        -- the file's slice, whatever the clock says
        local top = (ends - ${FILE_KEPT}) / window - 1
        local slice, fits = top - ${late}, true
        local fields, size = {guard, noted}, 2
        ${begins}
        ${late === 0 ? '' : missingLua}
        ${ends === undefined ? '' : 'local files, listed, sliceend = {}, top, (slice + 1) * window'}
${takeEachLua(half, way)}
        if fits then
${writes}
          ${ends === undefined ? '' : answersGivenLua("pack('>Bd', 8, now) .. table.concat(rows)")}
          return pack('>Bd', 5, now) .. table.concat(rows)
        end
`
}

const NOT_PLAIN = 'fits, isplain = false, false break'

/** All new rows go into the one file. */
function windowWay(roll: string, use: string): [Way, writes: string] {
  const rolls = `local goesover = false\n${roll}${use}`
  const way = { leaves: NOT_PLAIN, rolls, lies: '', lasts: '', files: '' }
  return [way, writesLua('FILE', 'fields', 'size', (added) => added)]
}

/** A row that does not matter in the next slice stays in the file of the slice before. */
function bucketWay(take: NonNullable<LuaHalf['take']>): [Way, writes: string] {
  const way = {
    leaves: NOT_PLAIN,
    rolls: /* lua */ `
      local goesover = false
      if row and d ~= drainsby then fits = false break end
      ${take.roll}${take.use}
`,
    lies: `local under, last = row and (filedin[i] or top) or slice, slice`,
    lasts: lastsLua(take),
    files: /* lua */ `
      if last > under then under = last end
      if under > top then fits = false break end
      ${FILES_BY_SLICE}
`,
  }
  const writes = /* lua */ `
            files[listed] = fields
            for under, rowsof in pairs(files) do
              local file, added = FILES .. under, 0
              ${writesLua('file', 'rowsof', '#rowsof', (added) => `added = added + ${added}`)}
              if added > 0 and under < top then
                ${grownLua(`redis.call('PEXPIRE', file, top * window - now + ${FILE_KEPT})`)}
              end
            end
`
  return [way, writes]
}
