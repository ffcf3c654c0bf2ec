"""How much an owner or an address may ask: requests and points a minute, requests that wait, refused tokens.

Counted in Redis over all processes. Where Redis is away nothing is refused but what this process counts itself.
"""

import contextlib
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from chalicelib import queue, settings

MAX_LONG_POLLS = 250  # requests that may wait at once in a process: each holds a thread and a Redis connection
MAX_LONG_POLLS_OWNER = 20
REFUSALS_A_MINUTE = 60  # requests without a valid token from one address
REFUSED_SECONDS = 10.0  # for which a process remembers a token that is not valid
_REMEMBERED = 10_000  # tokens and addresses


class Meter(NamedTuple):
    """What a meter says of one request: ``wait`` is 0 where it lets it pass."""

    name: str
    limit: int  # a minute
    left: int
    wait: float  # seconds


def take_request(owner: str) -> list[Meter]:
    """Count an owner's request; nothing where nobody can count, and of points only where some were used."""
    load = settings.load()
    try:
        passed, left, wait = queue.meter(f"owner:{owner}", load.rate_per_minute)
        enough, points, later = queue.meter(f"points:{owner}", load.points_per_minute, "0")
    except queue.QueueError:
        return []
    meters = [Meter("default", load.rate_per_minute, left, 0.0 if passed else wait)]
    if points < load.points_per_minute:
        meters.append(Meter("points", load.points_per_minute, points, 0.0 if enough else later))
    return meters


def charge(owner: str, points: float) -> None:
    """Count what an owner's jobs and large answers have cost: a point is a second of CPU or a piece of words read."""
    if points > 0:
        with contextlib.suppress(queue.QueueError):
            queue.meter(f"points:{owner}", settings.load().points_per_minute, f"{points:.3f}!")


# --- requests that wait ---

_lock = threading.Lock()
_waiting: Counter[str] = Counter()


@contextlib.contextmanager
def long_poll(owner: str, seconds: float, *, shared: bool) -> Iterator[bool]:
    """Whether a request may wait, which holds until this ends. Not ``shared``: one person's machine, without owners."""
    with _lock:
        free = _waiting.total() < MAX_LONG_POLLS
        _waiting[owner] += free
        mine = _waiting[owner]
    poll = secrets.token_hex(8)
    try:
        yield free and (not shared or _may_wait(owner, poll, seconds, mine))
    finally:
        with _lock:
            _waiting[owner] -= free
            if not _waiting[owner]:
                del _waiting[owner]
        if free and shared:
            with contextlib.suppress(queue.QueueError):
                queue.end_long_poll(owner, poll)


def _may_wait(owner: str, poll: str, seconds: float, mine: int) -> bool:
    try:
        return queue.begin_long_poll(
            owner, poll, seconds, most=settings.load().long_polls, most_of_owner=MAX_LONG_POLLS_OWNER
        )
    except queue.QueueError:
        return mine <= MAX_LONG_POLLS_OWNER


# --- tokens that are not valid ---

_refused: dict[str, float] = {}  # digests, and addresses that have sent too many of them: until when


def is_refused(what: str) -> bool:
    """Whether a token's digest or an address was refused a moment ago: then it costs no look at the records."""
    return _refused.get(what, 0.0) > time.monotonic()


def refuse(what: str, seconds: float = REFUSED_SECONDS) -> None:
    """Remember a digest or an address for some seconds."""
    if len(_refused) >= _REMEMBERED:
        _refused.clear()
    _refused[what] = time.monotonic() + seconds


_used: dict[str, int] = {}  # digests of valid tokens, and the day on which this process saw them last


def is_first_use(digest: str, day: int) -> bool:
    """Whether this process sees a token for the first time on a day, which is remembered."""
    if _used.get(digest) == day:
        return False
    if len(_used) >= _REMEMBERED:
        _used.clear()
    _used[digest] = day
    return True


def was_used(digest: str) -> bool:
    """Whether this process has seen the token of this digest as a valid one."""
    return digest in _used


def count_refusal(address: str) -> None:
    """Count a request without a valid token; an address with too many is refused until its meter has room."""
    with contextlib.suppress(queue.QueueError):
        passed, _, wait = queue.meter(f"refused:{address}", REFUSALS_A_MINUTE)
        if not passed:
            refuse(address, wait)
