"""Fair dispatch: one Lua script that decides which waiting job a worker gets next.

Of each queue, below ``<queue name>:<queue>``:

- ``:waiting:<owner>``: an owner's waiting jobs, a sorted set of ids by the time of their submission
- ``:where``: id to owner of all of them, so that the sweep can ask by id
- ``:owners``: the virtual start time of each owner's next job, a sorted set. An owner whose job is taken moves one
  step back, so its k-th job comes after the k-th of every other. One without waiting jobs stays until it is looked at,
  so that nobody gains by leaving the queue and coming again
- ``:running:<owner>``: what an owner has at workers, by the end of its lease: a dead worker's share ends by itself
- ``:active``: owners by the time of their last job
- ``:idle``: workers that block on the window, by the time until which they do; the first to block is the first to go
- ``:pools``, ``:sizes``, ``:workers``: pools by the time of their last note, their workers, and the sum of these

The window is RQ's own list. It holds jobs for idle workers alone: a worker that has ended a job asks for the next one
and gets it without the list, so no slow job lies there in front of somebody else's.

Example: ann has a thousand jobs waiting (her start is 7), bob submits one. He starts at 7 as well, the smallest there
is; one of the two is taken and moves to 8, then the other, so bob waits for one job of ann's at most.
"""

SHARE = 0.75  # of a pool's workers for one owner while another is active
ACTIVE_MS = 60_000  # an owner is active for so long after its last job
IDLE_MS = 5_000  # a worker that blocks asks again sooner than this
POOL_MS = 120_000  # a pool that has not noted itself for so long is gone; longer than a lease
BATCH = 1000  # jobs in one call: Lua's stack ends at 8,000 arguments

SCRIPT = f"""
local p, window = KEYS[1], KEYS[2]
local operation, now, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local owners, where, active, idle = p..':owners', p..':where', p..':active', p..':idle'

-- Whether an owner has its share of the workers. Alone it may have all.
local function capped(owner, others)
  if not others then
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', active, now - {ACTIVE_MS}, '+inf', 'LIMIT', 0, 2)) do
      others = others or name ~= owner
    end
  end
  local workers = others and tonumber(redis.call('GET', p..':workers') or '')
  if not workers then return false end
  local running = p..':running:'..owner
  redis.call('ZREMRANGEBYSCORE', running, '-inf', now)
  return redis.call('ZCARD', running) >= math.max(1, math.floor(workers * {SHARE}))
end

-- The next job and its owner: the smallest virtual start time of those that are below their cap. At most one owner can
-- have three quarters, and an owner without jobs is dropped when it is met, so few are looked at.
local function take()
  for _ = 1, 100 do
    local first, passed, dropped = redis.call('ZRANGE', owners, 0, 7, 'WITHSCORES'), {{}}, false
    local several = #first > 2
    for i = 1, #first, 2 do
      local owner, start = first[i], tonumber(first[i + 1])
      if capped(owner, several) then
        passed[#passed + 1] = owner
      else
        local id = redis.call('ZPOPMIN', p..':waiting:'..owner)[1]
        if id then
          redis.call('HDEL', where, id)
          if several then redis.call('ZADD', owners, start + 1, owner) end
          -- Time passes for an owner at its cap too: else it would catch up on everybody afterwards.
          for _, other in ipairs(passed) do redis.call('ZADD', owners, start, other) end
          return id, owner
        end
        redis.call('ZREM', owners, owner)
        dropped = true
      end
    end
    if not dropped then return nil end
  end
end

local function run(id, owner)
  redis.call('ZADD', p..':running:'..owner, now + lease, id)
  return id..'-'..owner
end

-- Put a job into the window, with the fields that RQ's monitors show.
local function offer(id, owner, at)
  local entry, name = run(id, owner), string.match(window, '[^:]*$')
  redis.call('HSET', 'rq:job:'..entry, 'data', '["chalicelib.pipeline.count_page", null, ["'..id..'"], {{}}]',
    'origin', name, 'status', 'queued', 'created_at', at, 'enqueued_at', at)
  redis.call('RPUSH', window, entry)
end

-- Forget one idle worker, since a job is there for it; whether there was one.
local function wake()
  while true do
    local first = redis.call('ZPOPMIN', idle)
    if not first[1] then return false end
    if tonumber(first[2]) >= now then return true, first end
  end
end

local function fill(at)
  while true do
    local found, worker = wake()
    if not found then return end
    local id, owner = take()
    if not id then
      redis.call('ZADD', idle, worker[2], worker[1])
      return
    end
    offer(id, owner, at)
  end
end

local function release(from)
  for i = from, #ARGV, 2 do redis.call('ZREM', p..':running:'..ARGV[i + 1], ARGV[i]) end
end

local operations = {{}}

-- at, then of each owner: name, number of jobs, and of each job its place (a time) and id
function operations.enqueue()
  local at, i = ARGV[4], 5
  while i <= #ARGV do
    local owner, count = ARGV[i], tonumber(ARGV[i + 1])
    redis.call('ZADD', active, now, owner)
    if count == 1 and redis.call('HLEN', where) == 0 and not capped(owner) and wake() then
      offer(ARGV[i + 3], owner, at) -- nobody waits and somebody is idle
    else
      local places, names = {{}}, {{}}
      for j = i + 2, i + 1 + 2 * count, 2 do
        local k = #places
        places[k + 1], places[k + 2] = ARGV[j], ARGV[j + 1]
        names[k + 1], names[k + 2] = ARGV[j + 1], owner
      end
      redis.call('ZADD', p..':waiting:'..owner, 'NX', unpack(places))
      redis.call('HSET', where, unpack(names))
      redis.call('ZADD', owners, 'NX', redis.call('ZRANGE', owners, 0, 0, 'WITHSCORES')[2] or 0, owner)
      fill(at)
    end
    i = i + 2 + 2 * count
  end
end

-- worker, whether it was idle, then id and owner of each job that it has ended
function operations.next()
  if ARGV[5] == '1' then redis.call('ZREM', idle, ARGV[4]) end
  release(6)
  local entry = redis.call('LPOP', window)
  if entry then return entry end
  local id, owner = take()
  if id then return run(id, owner) end
  redis.call('ZADD', idle, now + {IDLE_MS}, ARGV[4])
  return false
end

-- at, then id and owner of each job that is at no worker any more
function operations.release()
  release(5)
  fill(ARGV[4])
end

-- id and owner of a job that need not be run
function operations.forget()
  if redis.call('ZREM', p..':waiting:'..ARGV[5], ARGV[4]) == 1 then redis.call('HDEL', where, ARGV[4]) end
end

-- at, pool, its workers: 0 when it stops. Drops what is gone.
function operations.note()
  local pools, sizes, gone = p..':pools', p..':sizes', {{}}
  if tonumber(ARGV[6]) > 0 then
    redis.call('ZADD', pools, now, ARGV[5])
    redis.call('HSET', sizes, ARGV[5], ARGV[6])
  else
    gone = {{ARGV[5]}}
  end
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', pools, '-inf', now - {POOL_MS})) do gone[#gone + 1] = name end
  for _, name in ipairs(gone) do
    redis.call('ZREM', pools, name)
    redis.call('HDEL', sizes, name)
  end
  local workers = 0
  for _, size in ipairs(redis.call('HVALS', sizes)) do workers = workers + (tonumber(size) or 0) end
  redis.call('SET', p..':workers', workers, 'PX', {2 * POOL_MS})
  redis.call('SADD', 'rq:queues', window)
  for _, owner in ipairs(redis.call('ZRANGEBYSCORE', active, '-inf', now - 3600000, 'LIMIT', 0, 100)) do
    if redis.call('EXISTS', p..':waiting:'..owner) == 0 then
      redis.call('ZREM', active, owner)
      redis.call('DEL', p..':running:'..owner)
    end
  end
  fill(ARGV[4])
end

return operations[operation]()
"""
