"""Redis and RQ: put jobs on a queue, see how deep it is, tell that a job has ended, and meter who calls too often.

Redis is a hint and nothing here is the truth: a caller that meets ``QueueError`` goes on, and the sweep mends what was
missed. Every call has a time-out; none is repeated here.
"""

import contextlib
import functools
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from chalicelib import settings
from chalicelib.aws import credentials, dynamodb

INTERACTIVE, BULK = "interactive", "bulk"
QUEUES = (INTERACTIVE, BULK)

FUNCTION = "chalicelib.pipeline.count_page"  # the one function that a queue may name
MOST_WAIT = 600  # seconds: whoever can write to Redis must not be able to stop a job for good
MAX_CONNECTIONS = 1000  # of a process; redis-py stops at 100, and each waiting request holds one
JOB_ID = re.compile(r"[0-9a-f]{32}")
_STAMPED = re.compile(rb"([0-9a-f]{32})-(\d{13,14})")


class QueueError(Exception):
    """Redis is away, hangs or refuses: what was asked did not happen, or nobody knows whether it did."""


def name(queue: str) -> str:
    """RQ's name of a queue: ``wordcounts-interactive``."""
    return f"{settings.load().queue_name}-{queue}"


def enqueue(jobs: Iterable[tuple[str, str]], *, stamp: int) -> None:
    """Put jobs, as (queue, job id), on their queues in one round trip.

    ``stamp`` is the time of putting in milliseconds; it stands in RQ's id of the job, so that one look at a queue's
    head tells how long its jobs have waited. Of RQ's fields only those are written that a monitor shows: a waiting job
    takes 0.9 KB of Redis instead of 2, and a third of the time.
    """
    from rq import Queue
    from rq.job import Job, JobStatus
    from rq.utils import utcformat

    at = utcformat(datetime.fromtimestamp(stamp / 1000, UTC))
    entries: dict[Any, list[str]] = {}
    with _redis_errors():
        pipeline = connection().pipeline(transaction=False)
        for queue, job_id in jobs:
            to, entry = _rq_queue(name(queue), os.getpid()), f"{job_id}-{stamp}"
            data = json.dumps([FUNCTION, None, [job_id], {}])
            fields = {"data": data, "origin": to.name, "status": JobStatus.QUEUED, "created_at": at, "enqueued_at": at}
            pipeline.hset(Job.key_for(entry), mapping=fields)
            entries.setdefault(to.key, []).append(entry)
        for key, some in entries.items():
            pipeline.sadd(Queue.redis_queues_keys, key)
            pipeline.rpush(key, *some)
        pipeline.execute()


def put_back() -> None:
    """Put what workers had popped to the queues' heads again: for a caller who knows that none of them lives."""
    with _redis_errors():
        for some in QUEUES:
            of = _rq_queue(name(some), os.getpid())
            for _ in range(connection().llen(of.intermediate_queue_key)):
                connection().lmove(of.intermediate_queue_key, of.key)


def depth(queue: str) -> int:
    """How many jobs wait on a queue."""
    with _redis_errors():
        return int(connection().llen(_rq_queue(name(queue), os.getpid()).key))


def head_stamp(queue: str) -> int | None:
    """When the job at a queue's head was put there, in milliseconds; None when the queue is empty.

    What others may have put in front is passed over, ten entries deep.
    """
    with _redis_errors():
        entries = connection().lrange(_rq_queue(name(queue), os.getpid()).key, 0, 9)
    for entry in entries:
        if match := _STAMPED.fullmatch(entry):
            return int(match[2])
    return None


def job_of(entry: bytes | str) -> str | None:
    """The id of the job that an entry of ours stands for; None for what others put on the queue."""
    match = _STAMPED.fullmatch(entry.encode() if isinstance(entry, str) else entry)
    return match[1].decode() if match else None


def ping() -> None:
    """``QueueError`` when Redis does not answer."""
    with _redis_errors():
        connection().ping()


# --- the finish notice ---


def ended_channel(job_id: str) -> str:
    """The channel on which a job's end is told."""
    return f"{settings.load().queue_name}:ended:{job_id}"


def tell_ended(job_id: str) -> None:
    """Wake whoever waits for the job. At most once, and only those who listen now."""
    with _redis_errors():
        connection().publish(ended_channel(job_id), b"")


class Ending:
    """A subscription to one job's end, so that a reader may subscribe, then read, then wait."""

    def __init__(self, job_id: str) -> None:
        with _redis_errors():
            self._pubsub = connection().pubsub(ignore_subscribe_messages=False)
            self._pubsub.subscribe(ended_channel(job_id))
            self._pubsub.get_message(timeout=1.0)  # the subscription itself: from here on nothing is missed

    def wait(self, seconds: float) -> bool:
        """Whether the end was told within ``seconds``."""
        with _redis_errors():
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0:
                message = self._pubsub.get_message(timeout=left)
                if message is not None and message["type"] == "message":
                    return True
            return False

    def close(self) -> None:
        """Give the connection back."""
        self._pubsub.close()


def endings() -> Iterator[str]:
    """Ids of jobs whose end is told while this listens, without end; ``QueueError`` when Redis goes away."""
    prefix = ended_channel("")
    with _redis_errors():
        pubsub = connection().pubsub(ignore_subscribe_messages=True)
        try:
            pubsub.psubscribe(f"{prefix}*")
            while True:
                message = pubsub.get_message(timeout=5.0)
                if message is not None:
                    yield message["channel"].decode().removeprefix(prefix)
        finally:
            pubsub.close()


# --- meters ---

# Generic cell rate algorithm: one key holds the theoretical arrival time, in microseconds of Redis's own clock.
_METER = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local interval, burst, always = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local tat = tonumber(redis.call('GET', KEYS[1]) or '0')
if not tat or not (tat > now) then tat = now end
tat = math.min(tat, now + tonumber(ARGV[4]))
local wait = tat - (burst - 1) * interval - now
if wait > 0 and not always then return {0, wait, 0} end
tat = tat + interval
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1000)
return {1, math.max(wait, 0), math.floor((burst * interval - (tat - now)) / interval)}
"""


def host_wait(host: str) -> float:
    """Reserve the next turn at a host and return the seconds until it; 0 when it is now."""
    rate = settings.load().fetch_host_rate
    _, wait, _ = _meter(f"host:{host}", interval=1e6 / rate, burst=max(1, round(rate)), always=True)
    return wait / 1e6


def take_request(owner: str) -> tuple[bool, int, float]:
    """Count one request of an owner: whether it may pass, how many more may now, and seconds until one may again."""
    limit = settings.load().rate_per_minute
    passed, wait, left = _meter(f"owner:{owner}", interval=60e6 / limit, burst=limit, always=False)
    return bool(passed), left, wait / 1e6


def _meter(key: str, *, interval: float, burst: int, always: bool) -> tuple[int, int, int]:
    most = MOST_WAIT * 1_000_000
    with _redis_errors():
        answer = _script(os.getpid())(
            keys=[f"{settings.load().queue_name}:{key}"], args=[f"{interval:.0f}", burst, int(always), most]
        )
    passed, wait, left = (int(number) for number in answer)
    return passed, min(wait, most), left


@functools.cache
def _script(_pid: int) -> Any:
    return connection().register_script(_METER)


# --- pools ---

POOL_SECONDS = 60  # a pool that has not noted itself for so long is gone


def note_pool(queues: Iterable[str], pool: str) -> None:
    """Note that a pool of workers lives and which queues it serves; at least once in ``POOL_SECONDS``."""
    with _redis_errors():
        now, _ = connection().time()
        pipeline = connection().pipeline(transaction=False)
        for queue in queues:
            pipeline.zadd(_pools(queue), {pool: now})
            pipeline.expire(_pools(queue), 2 * POOL_SECONDS)
        pipeline.execute()


def forget_pool(queues: Iterable[str], pool: str) -> None:
    """Take a pool that stops from the list."""
    with _redis_errors():
        pipeline = connection().pipeline(transaction=False)
        for queue in queues:
            pipeline.zrem(_pools(queue), pool)
        pipeline.execute()


def pools(queue: str) -> int:
    """The number of living pools that serve a queue."""
    with _redis_errors():
        now, _ = connection().time()
        return int(connection().zcount(_pools(queue), now - POOL_SECONDS, "+inf"))


def _pools(queue: str) -> str:
    return f"{settings.load().queue_name}:pools:{queue}"


# --- connections ---


def connection() -> Any:
    """This process's Redis client, made on first use."""
    load = settings.load()
    made_for = load.redis_url, load.redis_iam, os.getpid()  # a socket must not be shared over a fork
    # The first of several threads wins. With a cache the last would, and redis-py closes what the others then use.
    return _clients.get(made_for) or _clients.setdefault(made_for, new_connection())


_clients: dict[tuple[str, str, int], Any] = {}


def new_connection() -> Any:
    """A Redis client of its own, without retries: nobody should hang on a hint."""
    import redis
    from redis.backoff import NoBackoff
    from redis.maint_notifications import MaintNotificationsConfig
    from redis.retry import Retry

    load = settings.load()
    extra: dict[str, Any] = {}
    if load.redis_iam:
        extra["credential_provider"] = _Iam(*load.redis_iam.split("@"))
    if not load.redis_url.startswith("unix:"):  # whose client knows no such option
        extra["socket_keepalive"] = True
    return redis.Redis.from_url(
        load.redis_url,
        socket_connect_timeout=1.0,
        socket_timeout=2.0,
        health_check_interval=15,
        max_connections=MAX_CONNECTIONS,
        retry=Retry(NoBackoff(), 0),
        client_name="wordcounts",
        # Only Redis Enterprise announces its maintenance; asking for it costs each new connection a round trip.
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
        **extra,
    )


class _Iam:
    """ElastiCache's authentication by IAM: a user's name and a presigned URL, made anew for each connection."""

    def __init__(self, user: str, cache: str) -> None:
        self._user, self._cache = user, cache

    def get_credentials(self) -> tuple[str, str]:
        """User and token. Without AWS's keys Redis is away, as when it does not answer."""
        import redis

        try:
            keys, region = credentials.current()
        except dynamodb.Failed as error:
            raise redis.ConnectionError(f"no credentials for Redis: {error.code}") from error
        asked = {"Action": "connect", "User": self._user}
        return self._user, dynamodb.presigned(self._cache, region, "elasticache", asked, keys, time.time())


@functools.cache
def _rq_queue(name: str, _pid: int) -> Any:
    from rq import Queue
    from rq.serializers import JSONSerializer

    # RQ's default is pickle, which runs what it reads.
    return Queue(name, connection=connection(), serializer=JSONSerializer)


@contextlib.contextmanager
def _redis_errors() -> Iterator[None]:
    import redis

    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise QueueError(f"Redis does not serve: {type(error).__name__}") from error
