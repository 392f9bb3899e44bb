/**
 * The opening of every script: reads the request, the time and `:meta`, and tells whether anything is to be done.
 *
 * KEYS[1]: the limiter's prefix; KEYS[2]: its `:meta`. ARGV[1]: the request as JSON, see `script.ts`: p parameters
 * (p[1] limit, p[2] window), s signature, id the node's id, q sequence, d deadline, since, presence, x extra (0 if
 * missing), l what is known of the limit in force, now (tests only); and either o operations (see `store.ts`), or for
 * takes alone: t their keys, and c the costs of each: a list, or how many there are if all are 1; missing if it is 1
 * for each key. Takes alone that can be quick come word by word instead, see `quick-take.lua.ts`.
 *
 * Keys: `:meta` hash (signature, marker, server, changed, changesFrom, top, blocks, limit, limitset, smallest; under
 * each node's id, its last sequence and when that came); `:<slice>` hash of packed rows, filed under the last slice in
 * which they matter; `:l:<key>` list of a long log's middle; `:blocks` hash; `:changes` and `:nodes` sorted sets by
 * time.
 */
export const openingLua = /* lua */ `
local max, min, floor = math.max, math.min, math.floor
local request = cjson.decode(ARGV[1])
local id, signature, told, parameters = request.id, request.s, request.l, request.p
local prefix, META = KEYS[1], KEYS[2]
if guard then
  prefix = string.match(FILE, '^(.*):')
  META = prefix .. ':meta'
  if several then
    request.t, request.c = several.t, several.c
  else
    request.t = {ARGV[4]}
    if ARGV[5] then request.c = {{tonumber(ARGV[5])}} end
  end
  exact = tonumber(ARGV[6])
else
  sequence, deadline, exact = request.q, request.d, request.now
end
local time
if not exact then
  time = redis.call('TIME')
  exact = time[1] * 1000 + time[2] / 1000
end
local now = exact - exact % 1
if deadline > 0 and now > deadline then return pack('>Bd', 1, exact) end
local meta = redis.call(
  'HMGET', META, 'signature', 'marker', 'changed', 'changesFrom', 'top', 'blocks', 'limit', id
)
if meta[1] and meta[1] ~= signature then return pack('>Bd', 3, exact) .. meta[1] end
if guard then
  if seen and unpack_row('>d', seen) >= sequence then return pack('>Bd', 2, exact) end
elseif sequence > 0 then
  if meta[8] and unpack_row('>d', meta[8]) >= sequence then return pack('>Bd', 2, exact) end
  if redis.call('HSET', META, id, pack('>dd', sequence, now)) == 1 then
    -- a new node: forgets those not heard of for a minute
    local fields = redis.call('HGETALL', META)
    for i = 1, #fields, 2 do
      if #fields[i] == 16 then
        local _, heard = unpack_row('>dd', fields[i + 1])
        if heard < now - 60000 then redis.call('HDEL', META, fields[i]) end
      end
    end
  end
end
-- the limit set at runtime: its revision, then its parameters
local inforce, setlimit = nil, false
if told then
  inforce = meta[7] and cjson.decode(meta[7]) or {}
  local known, revision = inforce[1] or 0, told[1]
  if revision and (revision == 0 or revision > known) then
    if revision == 0 then told[1] = max(now, known + 1) end
    inforce, setlimit = told, true
  end
  if #inforce > 0 then parameters = {unpack(inforce, 2)} end
end
local limit, window = parameters[1], parameters[2]
local slice = floor(now / window)
local marker = meta[2]
local changesfrom, blockslast = tonumber(meta[4] or 0), tonumber(meta[6] or 0)
-- only a log has these
local openlog, oldest, entriesof, bookahead
-- only a bucket has this: d of one that goes by this request's limit
local drainsby
`
