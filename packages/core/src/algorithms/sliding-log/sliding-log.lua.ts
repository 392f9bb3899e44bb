import { MOST_ENTRIES } from '../algorithm.ts'
import type { LuaHalf } from '../lua-half.ts'

/** Bytes of an entry: two doubles. */
const BYTES = 16
/** The most entries in a row without a gap. */
const MOST = 20
/** Entries in a chunk of the list. */
const CHUNK = 12
/** How many of the newest entries stay in the row. */
const NEWEST = 1
/** The most chunks that are fetched at once. */
const MOST_PAGE = 512

const begins = /* lua */ `
local late = 1
local LOGS = prefix .. ':l:'
local ENTRY, BYTES = '>dd', ${BYTES}
local MOSTBYTES, CHUNKBYTES, NEWESTBYTES = ${1 + MOST} * BYTES, ${CHUNK} * BYTES, ${NEWEST} * BYTES
-- a row up to this long has no gap, or too few entries behind it for a chunk
local SHORT = NEWESTBYTES + CHUNKBYTES + 2 * BYTES
-- sums are modulo this, far more than a log can hold: if they ever run backwards, the difference exceeds any limit, so
-- that the log counts as full
local SUMS = 2 ^ 52
local MOSTPAGE = ${MOST_PAGE}
local GAP, GAPTIME = -1, pack('>d', -1)
local EMPTY = pack(ENTRY, 0, 0)

local function gapof(chunks)
  return chunks > 0 and pack(ENTRY, GAP, chunks) or ''
end

-- the first and the last entry of a chunk if it lies between two entries; else it was lost, or is left from another log
local function within(chunk, before, beforesum, behind, behindsum)
  if not chunk then return nil end
  local first, firstsum = unpack_row(ENTRY, chunk)
  local last, lastsum = unpack_row(ENTRY, chunk, #chunk - BYTES + 1)
  local reached = (lastsum - beforesum) % SUMS
  if before > first or last > behind or reached > (behindsum - beforesum) % SUMS then return nil end
  if (firstsum - beforesum) % SUMS <= reached then return first, firstsum, last, lastsum end
end

-- copies the list's first chunks to before the gap at this place: up to one that ends after the time till, at a sum of
-- base + need or more. Also returns where the gap is then. With passes, only the last entry passed is kept. The entry
-- after a lost chunk takes over its cost, as sums run on. Fetches growing pages, and joins them once: joining chunk by
-- chunk would take quadratic time
local function fill(key, d, at, till, base, need, passes)
  local before, beforesum, _, chunks, behind, behindsum = unpack_row('>dddddd', d, at - BYTES)
  local parts, page, enough = {string.sub(d, passes and at - BYTES or 1, at - 1)}, 1, false
  while chunks > 0 and not enough do
    page = min(page, chunks)
    local list = redis.call('LRANGE', LOGS .. key, -chunks, page - chunks - 1)
    for i = #list - page + 1, #list do
      chunks = chunks - 1
      local first, _, last, sum = within(list[i], before, beforesum, behind, behindsum)
      if first then
        before, beforesum = last, sum
        enough = last > till and (sum - base) % SUMS >= need
        if passes and not enough then
          parts = {string.sub(list[i], -BYTES)}
        else
          parts[#parts + 1] = list[i]
        end
        if enough then break end
      end
    end
    page = min(2 * page, MOSTPAGE)
  end
  parts[#parts + 1] = gapof(chunks) .. string.sub(d, at + BYTES)
  d = table.concat(parts)
  return d, #d - #parts[#parts] + 1
end

-- where the gap is, or nil, and how many chunks belong there
local function gapin(d)
  local at = 0
  repeat at = string.find(d, GAPTIME, at + 1, true) until not at or at % BYTES == 1
  if not at then return nil, 0 end
  local _, chunks = unpack_row(ENTRY, d, at)
  return at, chunks
end

-- moves the middle of a log that is too long for a row into the list
local function shorten(key, d)
  local gap, chunks = gapin(d)
  if not gap and #d <= MOSTBYTES then return d end
  local log, more, from = LOGS .. key, {}, gap and gap + BYTES or 2 * BYTES + 1
  local head = string.sub(d, 1, gap and gap - 1 or 2 * BYTES)
  while from + CHUNKBYTES + NEWESTBYTES <= #d + 1 do
    more[#more + 1] = string.sub(d, from, from + CHUNKBYTES - 1)
    from = from + CHUNKBYTES
  end
  if #more == 0 then return d end
  if gap then
    -- chunks left from another row would fit once more entries are behind them: so if the latest does not fit now, none
    -- of the list is kept
    local before, beforesum, _, _, behind, behindsum = unpack_row('>dddddd', d, gap - BYTES)
    local latest = redis.call('LRANGE', log, -1, -1)[1]
    if not within(latest, before, beforesum, behind, behindsum) then chunks = 0 end
  end
  local length
  for first = 1, #more, 4000 do length = redis.call('RPUSH', log, unpack(more, first, min(first + 3999, #more))) end
  chunks = chunks + #more
  -- the chunks before these were read already, or are of an earlier log
  if length > chunks then redis.call('LTRIM', log, -chunks, -1) end
  redis.call('PEXPIRE', log, 3 * window + 1000)
  return head .. gapof(chunks) .. string.sub(d, from)
end

-- drops what was admitted at now - window or before
openlog = function(key, d, now)
  if #d == BYTES then return 0, 0, 0, EMPTY end
  local cutoff = now - window
  local _, base, oldest = unpack_row('>ddd', d)
  local b, c = unpack_row(ENTRY, d, #d - BYTES + 1)
  if b <= cutoff then return 0, 0, 0, EMPTY end
  if oldest > cutoff then return (c - base) % SUMS, b, c, d end
  local at = BYTES + 1
  while oldest <= cutoff do
    if oldest == GAP then
      d = fill(key, d, at, cutoff, 0, 0, true)
      at = BYTES + 1
    else
      at = at + BYTES
    end
    oldest = unpack_row('>d', d, at)
  end
  _, base = unpack_row(ENTRY, d, at - BYTES)
  return (c - base) % SUMS, b, c, string.sub(d, at - BYTES)
end

-- the oldest entries that hold this much, and the entry before them. If all are wanted, at most ${MOST_ENTRIES}: beyond
-- that, neighbours are merged at the later one's time
oldest = function(key, d, need)
  local _, base = unpack_row(ENTRY, d)
  local gap = gapin(d)
  if gap then
    local _, sum = unpack_row(ENTRY, d, gap - BYTES)
    if (sum - base) % SUMS < need then d, gap = fill(key, d, gap, 0, base, need) end
  end
  if need == math.huge then
    local group = math.ceil((#d / BYTES - 1) / ${MOST_ENTRIES})
    if group < 2 then return d end
    local parts = {string.sub(d, 1, BYTES)}
    for at = group * BYTES, #d - BYTES - 1, group * BYTES do
      parts[#parts + 1] = string.sub(d, at + 1, at + BYTES)
    end
    parts[#parts + 1] = string.sub(d, -BYTES)
    return table.concat(parts)
  end
  -- finds the first entry that holds as much by bisection, since sums rise: before the gap, if one is left
  local from, till = 1, #d / BYTES - 1
  if gap and unpack_row('>d', d, gap) == GAP then till = (gap - 1) / BYTES - 1 end
  while from < till do
    local middle = floor((from + till) / 2)
    local _, sum = unpack_row(ENTRY, d, middle * BYTES + 1)
    if (sum - base) % SUMS < need then from = middle + 1 else till = middle end
  end
  return string.sub(d, 1, (till + 1) * BYTES)
end

-- the log's oldest entries, behind their length: a take needs only those that tell when its cost would be allowed
entriesof = function(key, log, need)
  local entries = need > 0 and oldest(key, log, need) or ''
  return pack('>d', #entries) .. entries
end
`

const functions = /* lua */ `
-- moves the list's last chunks to behind the gap at this place: back to one that begins before a time, or at a sum of
-- base + left or less. Also returns where they end
local function fillback(key, d, at, time, base, left)
  local before, beforesum, _, all, behind, behindsum = unpack_row('>dddddd', d, at - BYTES)
  local log, parts, chunks, page, enough = LOGS .. key, {}, all, 1, false
  while chunks > 0 and not enough do
    page = min(page, chunks)
    local list = redis.call('LRANGE', log, chunks - all - page, chunks - all - 1)
    for i = #list, #list - page + 1, -1 do
      local first, sum = within(list[i], before, beforesum, behind, behindsum)
      parts[chunks] = first and list[i] or ''
      chunks = chunks - 1
      if first then
        behind, behindsum = first, sum
        enough = first < time or (sum - base) % SUMS <= left
        if enough then break end
      end
    end
    page = min(2 * page, MOSTPAGE)
  end
  redis.call('LTRIM', log, 0, chunks - all - 1)
  local head = string.sub(d, 1, at - 1) .. gapof(chunks) .. table.concat(parts, '', chunks + 1, all)
  return head .. string.sub(d, at + BYTES), #head + 1
end

local function roll(key, a, _, _, d, now)
  if a == 0 then return 0, 0, 0, EMPTY end
  return openlog(key, d, now)
end

local function usage(_, a)
  return a
end

-- the place of the first entry that is not before a time
local function placeof(key, d, time)
  local at = #d + 1
  while at > BYTES + 1 do
    local its = unpack_row('>d', d, at - BYTES)
    if its == GAP then
      d, at = fillback(key, d, at - BYTES, time, 0, -1)
    elseif its < time then
      break
    else
      at = at - BYTES
    end
  end
  return d, at
end

-- times and costs of the entries from a place on, up to a time
local function entriesfrom(key, d, at, till)
  local entries = {}
  local _, before = unpack_row(ENTRY, d, at - BYTES)
  while at < #d do
    local time, sum = unpack_row(ENTRY, d, at)
    if time == GAP then
      d = fill(key, d, at, till, 0, 0)
    elseif time > till then
      break
    else
      entries[#entries + 1], entries[#entries + 2] = time, (sum - before) % SUMS
      before, at = sum, at + BYTES
    end
  end
  return entries, d, at
end

-- appends entries: merges those of the same time, and drops those without cost
local function packentries(d, entries)
  local _, sum = unpack_row(ENTRY, d, #d - BYTES + 1)
  local parts, last = {d}, nil
  for i = 1, #entries, 2 do
    local time, cost = entries[i], entries[i + 1]
    if cost > 0 then
      sum = (sum + cost) % SUMS
      parts[time == last and #parts or #parts + 1] = pack(ENTRY, time, sum)
      last = time
    end
  end
  return table.concat(parts)
end

-- the state of a changed log, shortened if it is too long
local function opened(key, d, now)
  if #d > SHORT then d = shorten(key, d) end
  return openlog(key, d, now)
end

-- of the entries, only the last ones, which make up the cost, are new
local function add(key, a, b, c, d, now, behind, cost, entries)
  if behind > 1 then return a, b, c, d end
  local latest = b > now and b or now
  if entries == nil then
    if a > 0 and latest == b then d = string.sub(d, 1, -BYTES - 1) end
    c = (c + cost) % SUMS
    d = d .. pack(ENTRY, latest, c)
    if #d > SHORT then d = shorten(key, d) end
    return a + cost, latest, c, d
  end
  local first, part = #entries + 1, 0
  while first > 1 and cost > 0 do
    first = first - 2
    part = min(cost, entries[first + 1])
    cost = cost - part
  end
  -- sorted by time, since a node's clock may have gone back a little
  local fresh = {}
  for i = first, #entries, 2 do
    local time, n = min(latest, entries[i]), #fresh + 1
    if time > now - window then
      while n > 1 and fresh[n - 2] > time do
        fresh[n], fresh[n + 1] = fresh[n - 2], fresh[n - 1]
        n = n - 2
      end
      fresh[n], fresh[n + 1] = time, i == first and part or entries[i + 1]
    end
  end
  if #fresh == 0 then return a, b, c, d end
  local at
  d, at = placeof(key, d, fresh[1])
  local there = entriesfrom(key, d, at, math.huge)
  local all, i = {}, 1
  for n = 1, #fresh, 2 do
    while i < #there and there[i] <= fresh[n] do
      all[#all + 1], all[#all + 2] = there[i], there[i + 1]
      i = i + 2
    end
    all[#all + 1], all[#all + 2] = fresh[n], fresh[n + 1]
  end
  for n = i, #there do all[#all + 1] = there[n] end
  return opened(key, packentries(string.sub(d, 1, at - 1), all), now)
end

-- gives back the newest entries first. Of cost taken at a known time, the entries from then on, oldest first, so that
-- nothing that is left expires too soon
local function remove(key, a, b, c, d, _, cost, at)
  if a == 0 or at and at <= now - window then return a, b, c, d end
  local place, kept
  if at then
    local entries
    d, place = placeof(key, d, at)
    entries = entriesfrom(key, d, place, math.huge)
    for i = 2, #entries, 2 do
      local part = min(cost, entries[i])
      entries[i], cost = entries[i] - part, cost - part
    end
    kept = packentries(string.sub(d, 1, place - 1), entries)
  else
    local left = max(0, a - cost)
    local _, base = unpack_row(ENTRY, d)
    place = #d + 1
    while place > BYTES + 1 do
      local time, sum = unpack_row(ENTRY, d, place - BYTES)
      if time == GAP then
        d, place = fillback(key, d, place - BYTES, 0, base, left)
      elseif (sum - base) % SUMS <= left then
        break
      else
        place = place - BYTES
      end
    end
    kept = string.sub(d, 1, place - 1)
    local _, sum = unpack_row(ENTRY, kept, place - BYTES)
    if (sum - base) % SUMS < left then
      kept = kept .. pack(ENTRY, (unpack_row('>d', d, place)), (base + left) % SUMS)
    end
  end
  return opened(key, kept, now)
end

-- takes out up to cost of the entries that expire after now and up to till, at most one unit per gap milliseconds. Also
-- returns when each part expires, and how much it is
bookahead = function(key, a, b, c, d, till, gap, cost)
  local starts = {}
  if a == 0 then return a, b, c, d, starts end
  local due, taken, entries, at = now + gap / 2, 0, nil, nil
  entries, d, at = entriesfrom(key, d, BYTES + 1, till - window)
  for i = 1, #entries, 2 do
    local start = entries[i] + window
    local part = start < due and 0 or min(cost - taken, entries[i + 1], floor((start - due) / gap) + 1)
    if part > 0 then
      starts[#starts + 1], starts[#starts + 2] = start, part
      entries[i + 1], taken = entries[i + 1] - part, taken + part
      due = max(due + part * gap, start + gap / 2)
    end
  end
  -- the sums behind stay as they are, and the first sum is raised instead
  local _, base = unpack_row(ENTRY, d)
  local head = packentries(pack(ENTRY, 0, (base + taken) % SUMS), entries)
  a, b, c, d = opened(key, head .. string.sub(d, at), now)
  return a, b, c, d, starts
end

local function ends(_, b)
  return b + window
end
`

const batch = {
  begins: /* lua */ `
  local ENTRY, SUMS, SHORT, cutoff = ENTRY, SUMS, SHORT, now - window
  -- strings that many keys share: answers by what is in use, entries of this moment by their sum
  local told, entries = {}, {}
  -- logs that are too long for a row: the fields they are in, and their places there
  local long = {}
`,
  reads: /* lua */ `
      local length = #row
      if length == ${BYTES} then
        d = EMPTY
      else
        local first, base, oldest = unpack_row('>ddd', row)
        if first == MORE then return nil end
        if oldest > cutoff then
          b, c = unpack_row(ENTRY, row, length - ${BYTES - 1})
          a, d = (c - base) % SUMS, row
        else
          a, b, c, d = openlog(key, row, now)
        end
      end
`,
  adds: /* lua */ `
    if not row then d = EMPTY end
    if total == cost and b <= now then
      -- if everything is allowed, the newest entry is that of this moment
      local answer = told[a]
      if not answer then
        answer = pack('>ddd', a, now, 0)
        told[a] = answer
      end
      rows[i] = answer
    else
      -- with the entries that a refused cost waits for
      rows[i] = pack('>dd', a, b) .. entriesof(key, d, total + largest - left)
    end
    if total > 0 then
      local sum, entry = (c + total) % SUMS, nil
      if now > b then
        entry = entries[sum]
        if not entry then
          entry = pack(ENTRY, now, sum)
          entries[sum] = entry
        end
      else
        if a > 0 then d = string.sub(d, 1, -BYTES - 1) end
        entry = pack(ENTRY, b, sum)
      end
      d = d .. entry
    elseif row and d ~= row then
      -- it only became shorter, and is already filed late enough
      last = slice
    end
    if total > 0 or row and d ~= row then
`,
  filed: /* lua */ `
      if #packed > SHORT then long[#long + 1], long[#long + 2] = fields, size end
`,
  ends: /* lua */ `
  for i = 1, #long, 2 do
    local rows, place = long[i], long[i + 1]
    rows[place] = shorten(rows[place - 1], rows[place])
  end
`,
}

/**
 * The Lua half of the sliding log. State: a = total, b = newest, c = the sum up to it, d = the log: packed entries of
 * 16 bytes, each a time and the sum of all cost admitted up to then. The first entry only holds the sum before those
 * that count. So an entry's cost is its sum less that of the entry before it, and usage is the last sum less the first.
 *
 * Only the log is kept of a key: a, b and c are read from it. The middle of a long log lies in a list, in chunks. In
 * its place the log has a gap: an entry with the time -1 and the number of chunks, the last of the list, that belong
 * there. There is always an entry before and behind a gap. Reading writes nothing: chunks that are read from the front
 * stay in the list until more are added to it. Parameters: limit, window.
 */
export const slidingLogLua: LuaHalf = { begins, functions, batch }
