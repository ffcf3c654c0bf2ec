"""Redis and RQ: put jobs on a queue, see how deep it is, tell that a job has ended, and meter who calls too often.

Redis is a dispatch channel that may lose everything: a caller that meets ``QueueError`` goes on, and the sweep enqueues
what was missed. Every call has a time-out; none is repeated here.
"""

import contextlib
import ipaddress
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from chalicelib import settings
from chalicelib.aws import credentials, dynamodb
from chalicelib.dispatch import fair, meters
from chalicelib.net.forks import cached_in_process, clear_in_child

INTERACTIVE, BULK = "interactive", "bulk"
QUEUES = (INTERACTIVE, BULK)

FUNCTION = "chalicelib.pipeline.count_page"  # the one function that a queue may name
MOST_WAIT = 600  # seconds: whoever can write to Redis must not be able to stop a job for good
MAX_CONNECTIONS = 1000  # of a process; redis-py stops at 100, and each waiting request holds one
_ENTRY = re.compile(rb"([0-9a-f]{32})-([A-Za-z0-9_.@-]{1,255})")


class QueueError(Exception):
    """Redis is away, hangs or refuses: what was asked did not happen, or nobody knows whether it did."""


def name(queue: str) -> str:
    """RQ's name of a queue: ``wordcounts-interactive``."""
    return f"{settings.load().queue_name}-{queue}"


def enqueue(jobs: Iterable[tuple[str, str, str, int]], *, now: int) -> None:
    """Let jobs wait for a worker: (queue, job id, owner, time of submission) each, a thousand of an owner in a call.

    A job that waits already keeps its place. All times are DynamoDB's, in milliseconds.
    """
    by_queue: dict[str, dict[str, list[str | int]]] = {}
    for queue, job_id, owner, submitted_at in jobs:
        by_queue.setdefault(queue, {}).setdefault(owner, []).extend((submitted_at, job_id))
    for queue, by_owner in by_queue.items():
        for owner, placed in by_owner.items():
            for start in range(0, len(placed), 2 * fair.BATCH):
                some = placed[start : start + 2 * fair.BATCH]
                _dispatch("enqueue", queue, now, _iso(now), owner, len(some) // 2, *some)


def next_entry(
    queue: str, worker: str, ended: Sequence[tuple[str, str]], *, now: int, was_idle: bool, client: Any = None
) -> bytes | None:
    """The entry that a worker is to run next, or None: then it is noted as idle and should block on the window.

    ``ended`` are (job id, owner) of entries that this worker has done with; ``was_idle`` says whether the call before
    found nothing.
    """
    done = [part for pair in ended for part in pair]
    found: bytes | None = _dispatch("next", queue, now, worker, int(was_idle), *done, client=client)
    return found


def release(queue: str, jobs: Iterable[tuple[str, str]], *, now: int) -> None:
    """Note that jobs, as (id, owner), are at no worker any more."""
    _dispatch("release", queue, now, _iso(now), *(part for pair in jobs for part in pair))


def forget(queue: str, job_id: str, owner: str) -> None:
    """Take a job that need not be run from those that wait."""
    _dispatch("forget", queue, 0, job_id, owner)


def note_pool(queue: str, pool: str, workers: int, *, now: int) -> None:
    """Note that a pool lives and how many workers it has for a queue, or with 0 that it stops."""
    _dispatch("note", queue, now, _iso(now), pool, workers)


def pools(queue: str, *, now: int) -> int:
    """The number of pools that serve a queue and have noted themselves within a minute."""
    with _redis_errors():
        return int(connection().zcount(f"{_prefix(queue)}:pools", now - 60_000, "+inf"))


def _dispatch(operation: str, queue: str, now: int, *arguments: str | int, client: Any = None) -> Any:
    lease = (settings.load().lease_seconds + 5) * 1000
    with _redis_errors():
        return _script(fair.SCRIPT)(
            keys=[_prefix(queue), window(queue)],
            args=[operation, now, lease, *arguments],
            client=client or connection(),
        )


def _iso(now: int) -> str:
    return f"{datetime.fromtimestamp(now / 1000, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _prefix(queue: str) -> str:
    return f"{settings.load().queue_name}:{queue}"


def window(queue: str) -> str:
    """The key of RQ's own list, which workers that are idle block on."""
    return f"rq:queue:{name(queue)}"


def depth(queue: str) -> int:
    """How many jobs wait on a queue, the window included."""
    with _redis_errors():
        pipeline = connection().pipeline(transaction=False)
        pipeline.hlen(f"{_prefix(queue)}:where")
        pipeline.llen(window(queue))
        return sum(pipeline.execute())


def waiting(queue: str, job_ids: Sequence[str]) -> set[str]:
    """Those of the jobs that Redis has: they wait, or lie in the window."""
    with _redis_errors():
        pipeline = connection().pipeline(transaction=False)
        pipeline.lrange(window(queue), 0, 9999)
        for start in range(0, len(job_ids), fair.BATCH):
            pipeline.hmget(f"{_prefix(queue)}:where", job_ids[start : start + fair.BATCH])
        entries, *owners = pipeline.execute()
    there = {found[0] for entry in entries if (found := job_of(entry)) is not None}
    known = [owner for some in owners for owner in some]
    return there | {job_id for job_id, owner in zip(job_ids, known, strict=True) if owner is not None}


class OwnerStatus(msgspec.Struct):
    """What an owner has on a queue: jobs that wait, when the oldest of them was submitted, ids at workers."""

    owner: str
    waiting: int
    oldest: int | None  # milliseconds since 1970
    running: list[str]


class Status(msgspec.Struct):
    """A queue as it is now: its owners, entries in the window, and workers of living pools."""

    owners: list[OwnerStatus]
    window: int
    workers: int


def status(queue: str, *, now: int) -> Status:
    """The waiting and the running jobs of a queue by owner, for an operator."""
    prefix = _prefix(queue)
    with _redis_errors():
        pipeline = connection().pipeline(transaction=False)
        pipeline.zrange(f"{prefix}:owners", 0, -1)
        pipeline.zrange(f"{prefix}:active", 0, -1)
        pipeline.llen(window(queue))
        pipeline.get(f"{prefix}:workers")
        waiting, active, length, workers = pipeline.execute()
        names = sorted({name.decode() for name in [*waiting, *active]})
        for name in names:
            pipeline.zcard(f"{prefix}:waiting:{name}")
            pipeline.zrange(f"{prefix}:waiting:{name}", 0, 0, withscores=True)
            pipeline.zrangebyscore(f"{prefix}:running:{name}", now, "+inf")
        found = iter(pipeline.execute())
    owners = [
        OwnerStatus(name, count, int(first[0][1]) if first else None, [job_id.decode() for job_id in running])
        for name, count, first, running in zip(names, found, found, found, strict=False)
    ]
    return Status([one for one in owners if one.waiting or one.running], length, int(workers or 0))


Cursor = tuple[Annotated[int, Meta(ge=0)], Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]]  # due_at, job id
_cursors = msgspec.json.Decoder(dict[str, Cursor | None])


def begin_sweep(seconds: float) -> dict[str, Cursor | None] | None:
    """Where the sweep before has come to, by shard of a queue; None while another sweep runs."""
    with _redis_errors():
        if not connection().set(_sweep("lock"), "1", nx=True, px=int(seconds * 1000) + 5000):
            return None
        found = connection().get(_sweep("places"))
    try:
        return _cursors.decode(found or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError):  # somebody else wrote it
        return {}


def end_sweep(cursors: Mapping[str, Cursor | None], pause: float) -> None:
    """Keep how far a sweep has come; nobody sweeps for ``pause`` seconds."""
    with _redis_errors():
        pipeline = connection().pipeline(transaction=False)
        pipeline.set(_sweep("places"), msgspec.json.encode(cursors))
        if pause:
            pipeline.pexpire(_sweep("lock"), int(pause * 1000))
        else:
            pipeline.delete(_sweep("lock"))
        pipeline.execute()


def _sweep(part: str) -> str:
    return f"{settings.load().queue_name}:sweep:{part}"


def job_of(entry: bytes) -> tuple[str, str] | None:
    """The id and owner of the job that an entry of ours stands for; None for what others put on the queue."""
    match = _ENTRY.fullmatch(entry)
    return (match[1].decode(), match[2].decode()) if match else None


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
        self._pause = 0.1
        self._pubsub = connection().pubsub(ignore_subscribe_messages=False)
        with self._until_redis_goes_away():
            self._pubsub.subscribe(ended_channel(job_id))
            self._pubsub.get_message(timeout=1.0)  # the subscription itself: from here on nothing is missed

    def wait(self, seconds: float) -> None:
        """Until the end is told, for ``seconds`` at most; while Redis is away for a second at most."""
        until = time.monotonic() + seconds
        with self._until_redis_goes_away():
            while self._pubsub is not None and (left := until - time.monotonic()) > 0:
                message = self._pubsub.get_message(timeout=left)
                if message is not None and message["type"] == "message":
                    return
        if self._pubsub is None:
            time.sleep(min(self._pause, max(0.0, until - time.monotonic())))
            self._pause = min(self._pause * 1.5, 1.0)

    @contextlib.contextmanager
    def _until_redis_goes_away(self) -> Iterator[None]:
        try:
            with _redis_errors():
                yield
        except QueueError:
            self.close()

    def close(self) -> None:
        """Give the connection back."""
        if self._pubsub is not None:
            self._pubsub.close()
            self._pubsub = None


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


def host_slot(host: str, address: str, owner: str, *, bulk: bool) -> tuple[bool, float]:
    """Take a slot at a host if one is near: whether it was taken, and the seconds until it, or until one may ask again.

    A host is counted by its name and, ten times as fast, by its address. An owner that has a slot to come there gets
    another only if that is nearer, and a bulk job only if it is nearer still, so that new interactive jobs find room.
    """
    rate = settings.load().fetch_host_rate
    pending = meters.SLOT_SECONDS_PENDING_BULK if bulk else meters.SLOT_SECONDS_PENDING
    prefix = settings.load().queue_name
    if ":" in address:  # of IPv6 whoever has one address has 2**64
        address = ipaddress.ip_address(address).exploded[:19]
    names = (f"host:{host}", f"address:{address}", f"slot:{owner}:{host}", f"next:{owner}:{host}")
    keys = [f"{prefix}:{name}" for name in names]
    limits = [1e6 / rate, max(1, round(rate)), MOST_WAIT * 1e6, meters.SLOT_SECONDS * 1e6, pending * 1e6]
    with _redis_errors():
        taken, wait = _script(meters.HOST)(keys=keys, args=[f"{number:.0f}" for number in limits], client=connection())
    return bool(taken), int(wait) / 1e6


def meter(name: str, a_minute: int, amount: str = "1") -> tuple[bool, int, float]:
    """Take from a meter: whether it was there, how much is left, and seconds until more is.

    An amount of ``0`` only looks; one with a ``!`` behind it is taken whether it is there or not.
    """
    with _redis_errors():
        passed, wait, left = _script(meters.METER)(
            keys=[f"{settings.load().queue_name}:{name}"],
            args=[f"{60e6 / a_minute:.0f}", a_minute, MOST_WAIT * 1_000_000, amount],
            client=connection(),
        )
    return bool(passed), int(left), int(wait) / 1e6


def begin_long_poll(owner: str, poll: str, seconds: float, *, most: int, most_of_owner: int) -> bool:
    """Count a request that waits, if there is room for it among all and among its owner's; it is counted no longer."""
    with _redis_errors():
        limits = [int((seconds + 2) * 1_000_000), most, most_of_owner]
        script = _script(meters.LONG_POLL)
        return bool(script(keys=_long_polls(owner), args=[poll, *limits], client=connection()))


def end_long_poll(owner: str, poll: str) -> None:
    """A request waits no more."""
    with _redis_errors():
        pipeline = connection().pipeline(transaction=False)
        for key in _long_polls(owner):
            pipeline.zrem(key, poll)
        pipeline.execute()


def _long_polls(owner: str) -> list[str]:
    prefix = f"{settings.load().queue_name}:long-polls"
    return [prefix, f"{prefix}:{owner}"]


@cached_in_process  # made for the first client; each call names its own
def _script(text: str) -> Any:
    return connection().register_script(text)


# --- connections ---


def connection() -> Any:
    """This process's Redis client, made on first use."""
    load = settings.load()
    made_for = load.redis_url, load.redis_iam
    # The first of several threads wins. With a cache the last would, and redis-py closes what the others then use.
    return _clients.get(made_for) or _clients.setdefault(made_for, new_connection())


_clients: dict[tuple[str, str], Any] = {}
clear_in_child(_clients.clear)


def new_connection() -> Any:
    """A Redis client of its own, without retries: a caller goes on without Redis."""
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


@contextlib.contextmanager
def _redis_errors() -> Iterator[None]:
    import redis

    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise QueueError(f"Redis does not serve: {type(error).__name__}") from error
