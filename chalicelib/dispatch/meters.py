"""Rate limits as Lua: generic cell rate algorithms, whose one key holds the time at which a meter is empty again.

Times in the scripts are microseconds of Redis's own clock. A stored time that no meter could have reached is taken for
none: whoever can write to Redis must not be able to stop a job or an owner for good.
"""

SLOT_SECONDS = 2.0  # a slot at a host is taken only if it is no further away
SLOT_SECONDS_PENDING = 0.5  # for an owner that has a slot there which is still to come
SLOT_SECONDS_PENDING_BULK = 0.25
ADDRESS_FACTOR = 10  # an address serves many names: it is asked so many times as often as one of them

_READ = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local function read(key, most)
  local at = tonumber(redis.call('GET', key) or '0')
  if not at or not (at > now) or at > now + most then return now end
  return at
end
local function keep(key, at)
  redis.call('SET', key, string.format('%.0f', at), 'PX', math.ceil((at - now) / 1000) + 1000)
end
"""

# KEYS: the meter. ARGV: interval, burst, the longest wait, how much to take; '0' only looks, 'n!' is taken in any case.
# Answers: whether it was there, the wait until it is, how much is left.
METER = (
    _READ
    + """
local interval, burst, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local amount, always = tonumber((string.gsub(ARGV[4], '!', ''))), string.find(ARGV[4], '!')
local at = read(KEYS[1], most)
local wait = math.max(0, at + interval - burst * interval - now)
if (wait > 0 and not always) or amount == 0 then
  return {wait > 0 and 0 or 1, wait, math.max(0, math.floor((burst * interval - (at - now)) / interval))}
end
at = math.min(at + amount * interval, now + most)
keep(KEYS[1], at)
return {1, wait, math.max(0, math.floor((burst * interval - (at - now)) / interval))}
"""
)

# KEYS: meters of the host's name and address, the time of the owner's last slot there, when the owner's next job may
# come. ARGV: interval and burst of the name, the longest wait, how far a slot may be, and how far with one to come.
# Answers: whether a slot was taken, and the wait until it, or until the job should ask again.
HOST = (
    _READ
    + f"""
local interval, burst, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local host, address = read(KEYS[1], most), read(KEYS[2], most)
local wait = math.max(0, host - (burst - 1) * interval - now,
  address - ({ADDRESS_FACTOR} * burst - 1) * interval / {ADDRESS_FACTOR} - now)
local pending = read(KEYS[3], most) > now
if wait > tonumber(pending and ARGV[5] or ARGV[4]) then
  -- Nothing is held for this job; it comes back when those that were sent away before it have had their slots. Only
  -- the owner's own count, so what it submits and cancels makes nobody else wait.
  local again = math.max(read(KEYS[4], most), now + wait)
  keep(KEYS[4], math.min(again + interval, now + most))
  return {{0, again - now}}
end
keep(KEYS[1], host + interval)
keep(KEYS[2], address + interval / {ADDRESS_FACTOR})
if wait > 0 then keep(KEYS[3], now + wait) end
return {{1, wait}}
"""
)

# KEYS: requests that wait, those of the owner; sorted sets by the time until which they do. ARGV: the request, how
# long, how many in all, how many of the owner.
LONG_POLL = (
    _READ
    + """
for i = 1, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
  if redis.call('ZCARD', KEYS[i]) >= tonumber(ARGV[2 + i]) then return 0 end
end
for i = 1, 2 do
  redis.call('ZADD', KEYS[i], now + tonumber(ARGV[2]), ARGV[1])
  redis.call('PEXPIRE', KEYS[i], 60000)
end
return 1
"""
)
