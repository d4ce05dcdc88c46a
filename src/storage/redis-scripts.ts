/**
 * Scripts that run on the server as one step. Each put and delete also increments the generation and publishes
 * `GENERATION KEY`, so that a listener can tell by the numbers whether it has missed a change.
 *
 * Keys, after the prefix: `:value:KEY`, `:lock:NAME`, `:fence:NAME`, `:index` (a sorted set of all keys, so that a listing need not
 * SCAN through other data on the server), `:generation`; the channel is `:changes`.
 */

/** KEYS: value. ARGV: most bytes. Returns nil, the value, or, if it is too large, its size as a number */
export const getScript = `
local size = redis.call('STRLEN', KEYS[1])
if size > tonumber(ARGV[1]) then return size end
return redis.call('GET', KEYS[1])`

const changed = (channel: string, key: string) =>
  `redis.call('PUBLISH', ${channel}, string.format('%.0f', redis.call('INCR', KEYS[3])) .. ' ' .. ${key})`

/** KEYS: value, index, generation, lock. ARGV: key, channel, value, lifetime or 0, token or nothing. 0: the lock is lost */
export const putScript = `
if ARGV[5] ~= '' and redis.call('GET', KEYS[4]) ~= ARGV[5] then return 0 end
if ARGV[4] == '0' then redis.call('SET', KEYS[1], ARGV[3])
else redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4]) end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
${changed('ARGV[2]', 'ARGV[1]')}
return 1`

/** KEYS: value, index, generation. ARGV: key, channel */
export const deleteScript = `
local found = redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
if found == 1 then ${changed('ARGV[2]', 'ARGV[1]')} end
return found`

/** KEYS: value, index, generation, target. ARGV: key, channel. 0: the value does not exist, 2: the target exists */
export const asideScript = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('EXISTS', KEYS[4]) == 1 then return 2 end
redis.call('RENAME', KEYS[1], KEYS[4])
redis.call('PERSIST', KEYS[4])
redis.call('ZREM', KEYS[2], ARGV[1])
${changed('ARGV[2]', 'ARGV[1]')}
return 1`

/**
 * KEYS: index. ARGV: least, most, how many, the prefix of a value's key. Returns the last key that was checked, and
 * the keys that exist; expired ones are removed from the index.
 */
export const listScript = `
local keys = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local there = {}
for _, key in ipairs(keys) do
  if redis.call('EXISTS', ARGV[4] .. key) == 1 then there[#there + 1] = key
  else redis.call('ZREM', KEYS[1], key) end
end
return { keys[#keys] or '', there }`

/**
 * KEYS: lock, fence. ARGV: token, lease, how long a fence is kept. Returns 0 if the lock is held, otherwise the fence as text.
 * The fence is at least the server's clock, so that it grows even if the server has lost its data.
 */
export const lockScript = `
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local fence = string.format('%.0f', math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, now))
redis.call('SET', KEYS[2], fence, 'PX', ARGV[3])
return fence`

/** KEYS: lock. ARGV: token, lease */
export const renewScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`

/** KEYS: lock. ARGV: token */
export const releaseScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`
