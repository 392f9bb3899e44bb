import { MOST_ENTRIES } from '../algorithm.ts'
import type { LuaHalf } from '../lua-half.ts'

const functions = /* lua */ `
local late = 1
local LOGS = prefix .. ':l:'

local function costof(member)
  return tonumber(string.match(member, ':(%d+)$'))
end

-- forgets what was admitted at now - window or before
local function roll(key, a, b, c, d, now)
  local cutoff = now - window
  if a == 0 or c > cutoff then return a, b, c, d end
  local log = LOGS .. key
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', log, '-inf', cutoff)) do a = a - costof(member) end
  redis.call('ZREMRANGEBYSCORE', log, '-inf', cutoff)
  local oldest = redis.call('ZRANGE', log, 0, 0, 'WITHSCORES')
  touched(key)
  if #oldest == 0 then return 0, 0, 0, d end
  return a, b, tonumber(oldest[2]), d
end

local function usage(_, a)
  return a
end

local function enter(log, a, b, c, d, time, cost)
  -- what is left there has expired
  if a == 0 then redis.call('UNLINK', log) end
  redis.call('ZADD', log, time, (d + 1) .. ':' .. cost)
  if a == 0 then return cost, time, time, d + 1 end
  return a + cost, math.max(b, time), math.min(c, time), d + 1
end

-- the cost is what is new of the entries: their last part
local function add(key, a, b, c, d, now, behind, cost, entries)
  if behind > 1 then return a, b, c, d end
  local log = LOGS .. key
  local latest = max(now, b)
  -- the expiry is set by the first entry of each slice, so that it holds for what the slice may yet bring
  local renews = a == 0 or floor(latest / window) ~= floor(b / window)
  if entries == nil then a, b, c, d = enter(log, a, b, c, d, latest, cost) end
  local i = entries and #entries - 1 or 0
  while i >= 1 and cost > 0 do
    local part = math.min(cost, entries[i + 1])
    cost = cost - part
    local time = math.min(latest, entries[i])
    if time > now - window then a, b, c, d = enter(log, a, b, c, d, time, part) end
    i = i - 2
  end
  if renews then redis.call('PEXPIRE', log, 3 * window + 1000) end
  return a, b, c, d
end

-- takes part of an entry out
local function takeout(log, member, time, had, part, d)
  -- first in, then out: an emptied set would lose its expiry
  if had > part then
    d = d + 1
    redis.call('ZADD', log, time, d .. ':' .. (had - part))
  end
  redis.call('ZREM', log, member)
  return d
end

-- newest first; of what was taken at a time, from there on and oldest first: so none of what is left ends too soon
local function remove(key, a, b, c, d, _, cost, at)
  local log = LOGS .. key
  local left = math.min(cost, a)
  while left > 0 do
    local entry
    if at then
      entry = redis.call('ZRANGEBYSCORE', log, at, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    else
      entry = redis.call('ZREVRANGE', log, 0, 0, 'WITHSCORES')
    end
    if #entry == 0 then break end
    local had = costof(entry[1])
    local part = math.min(left, had)
    d = takeout(log, entry[1], entry[2], had, part, d)
    a = a - part
    left = left - part
  end
  local newest = redis.call('ZREVRANGE', log, 0, 0, 'WITHSCORES')
  if a == 0 or #newest == 0 then return 0, 0, 0, d end
  if at then c = tonumber(redis.call('ZRANGE', log, 0, 0, 'WITHSCORES')[2]) end
  return a, tonumber(newest[2]), c, d
end

-- takes out up to this much of what expires after now and up to till, no more than one each gap milliseconds; answers
-- also when each part expires, and how much it is
bookahead = function(key, a, b, c, d, till, gap, cost)
  local log, starts = LOGS .. key, {}
  if a == 0 then return a, b, c, d, starts end
  local due, place = now + gap / 2, 1
  local entries = redis.call('ZRANGEBYSCORE', log, c, till - window, 'WITHSCORES')
  while cost > 0 and place < #entries do
    -- those of one time are one
    local time, last, all = entries[place + 1], place, 0
    while entries[last + 1] == time do
      all = all + costof(entries[last])
      last = last + 2
    end
    local start = tonumber(time) + window
    local part = start < due and 0 or min(cost, all, floor((start - due) / gap) + 1)
    if part > 0 then
      starts[#starts + 1], starts[#starts + 2] = start, part
      cost, a = cost - part, a - part
      due = max(due + part * gap, start + gap / 2)
    end
    while part > 0 do
      local had = costof(entries[place])
      local out = min(part, had)
      d = takeout(log, entries[place], time, had, out, d)
      part, place = part - out, place + 2
    end
    place = last
  end
  if a == 0 then return 0, 0, 0, d, starts end
  -- that nothing is as old as c any more is found when c would have expired
  if #starts > 0 then b = tonumber(redis.call('ZREVRANGE', log, 0, 0, 'WITHSCORES')[2]) end
  return a, b, c, d, starts
end

local function ends(_, b)
  return b + window
end

-- the oldest entries that hold this much, as times and costs
oldest = function(key, a, need)
  local entries = {}
  local from = 0
  need = math.min(need, a)
  while need > 0 do
    local page = redis.call('ZRANGE', LOGS .. key, from, from + 99, 'WITHSCORES')
    if #page == 0 then break end
    for i = 1, #page, 2 do
      local cost = costof(page[i])
      entries[#entries + 1] = tonumber(page[i + 1])
      entries[#entries + 1] = cost
      need = need - cost
      if need <= 0 then break end
    end
    from = from + 100
  end
  return entries
end

-- no more than ${MOST_ENTRIES}: neighbours become one, at the later one's time
mergeentries = function(entries)
  local count = #entries / 2
  local group = math.ceil(count / ${MOST_ENTRIES})
  local merged, cost = {}, 0
  for i = 1, count do
    cost = cost + entries[2 * i]
    if i % group == 0 or i == count then
      merged[#merged + 1] = entries[2 * i - 1]
      merged[#merged + 1] = cost
      cost = 0
    end
  end
  return merged
end
`

/**
 * The Lua half of the sliding log. State: a = total, b = newest, c = oldest, d = entries ever made. The entries
 * are a sorted set per key: the score is the time, the member `number:cost`. Parameters: limit, window.
 */
export const slidingLogLua: LuaHalf = { functions }
