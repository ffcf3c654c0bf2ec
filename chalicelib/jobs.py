"""The services of a job: submit, read, wait, list, cancel, erase; whichever entry point asks.

DynamoDB is the source of truth and Redis a dispatch channel: a job is accepted when its record is written, whether or
not Redis could be told. The sweep (sweeping.py) enqueues what should be on the queue and is not.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from chalicelib import queue, settings
from chalicelib.analysis import words
from chalicelib.analysis.cache import Cache
from chalicelib.analysis.words import Table
from chalicelib.dispatch import metering
from chalicelib.errors import Gone, HasEnded, KeyReused, NoTable, NotFound, NotKept, RulesDiffer, StillRuns, Unavailable
from chalicelib.store import access_tokens, artifacts, records
from chalicelib.store.records import Job, Records
from chalicelib.submissions import Submission

if TYPE_CHECKING:
    from chalicelib.analysis.evidence import Evidence

__all__ = ["Gone", "HasEnded", "Job", "KeyReused", "NotFound", "NotKept", "RulesDiffer", "StillRuns", "Unavailable"]

BULK = queue.BULK
MAX_WAIT = 20.0  # seconds that Prefer: wait may ask for; API Gateway gives up after 29
OWNED_READ = 200  # records that one listing may read: a state is known from the record alone
BACKLOG_LIMIT = 1000  # jobs of one shard that are counted
INTERNAL = frozenset({"compaction", "query", "source"})  # kinds of jobs that no caller submits or reads
_FAR = 10**14  # milliseconds since 1970: later than any job is due


class Request(msgspec.Struct, frozen=True):
    """A submission with who makes it, through which queue it goes, and what makes it the same as another."""

    submission: Submission
    owner: str
    key: str | None = None  # the idempotency key, or a message's id
    queue: str = queue.INTERACTIVE
    request_id: str | None = None


def now() -> int:
    """DynamoDB's time in milliseconds, as far as its answers have told it."""
    return table().clock.now()


def table() -> Records:
    """The records of the table that the settings name."""
    return records.open_records(settings.load().table_name, settings.aws())


# --- submit ---


def submit(request: Request) -> tuple[Job, bool]:
    """Accept a job: its record, then the queue. Returns it and whether it is new.

    Raises ``KeyReused`` for another request under the same key, ``Gone`` where that key's job was erased, and
    ``Unavailable`` when DynamoDB cannot take it: then nothing is on the queue.
    """
    store = table()
    now = store.clock.now()
    job, pieces = _new_job(request, now)
    job, created = store.submit(job, pieces, keyed=request.key is not None)
    if created := created or _made_by(request, now, job):
        enqueue([job], now=job.submitted_at)
    return job, created


def submit_many(requests: Sequence[Request]) -> list[Job | Exception]:
    """Accept many jobs and tell the queue of all at once; of each, in order, the job or why there is none.

    The reasons are ``submit``'s. One that is ``Unavailable`` may be submitted again.
    """
    store = table()
    try:
        now = store.now()
    except Unavailable as error:
        return [error for _ in requests]
    answers = store.submit_many([_new_job(request, now) for request in requests])
    made = {}
    for request, answer in zip(requests, answers, strict=True):
        if not isinstance(answer, Exception) and (answer[1] or _made_by(request, now, answer[0])):
            made[answer[0].id] = answer[0]
    if made:
        enqueue(list(made.values()), now=now)
    return [answer if isinstance(answer, Exception) else answer[0] for answer in answers]


def _made_by(request: Request, now: int, job: Job) -> bool:
    """Whether a job that was found is this very call's: the answer to its first try was lost."""
    return (job.submitted_at, job.request_id) == (now, request.request_id)


def _new_job(request: Request, now: int) -> tuple[Job, list[bytes]]:
    submission = request.submission
    pieces = [] if submission.document is None else artifacts.packed(submission.document)
    job = Job(
        id=records.new_id() if request.key is None else records.key_id(request.owner, request.key),
        owner=request.owner,
        kind=submission.kind,
        queue=request.queue,
        url=submission.url,
        options=_defaults() | submission.options,
        request_hash=request_hash(submission),
        submitted_at=now,
        expires_at=now // 1000 + settings.load().result_days * 86_400,
        input_pieces=len(pieces),
        request_id=request.request_id,
    )
    return job, pieces


def request_hash(submission: Submission) -> str:
    """What makes two requests the same: what was asked. The service's defaults may have changed between them."""
    asked = [submission.kind, submission.url, submission.document, submission.options]
    return hashlib.sha256(json.dumps(asked, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:32]


def _defaults() -> dict[str, Any]:
    """The options that this service's settings choose otherwise than the product: workers read them in the record."""
    load, usual = settings.load(), settings.Settings()
    return {name: value for name in ("words", "keep_text") if (value := getattr(load, name)) != getattr(usual, name)}


def enqueue(new: Sequence[Job], *, now: int) -> bool:
    """Tell the queue; whether it heard. A job that it did not hear of is found by the sweep."""
    try:
        queue.enqueue([(job.queue, job.id, job.owner, job.submitted_at) for job in new], now=now)
    except queue.QueueError:
        return False
    return True


# --- read ---


def get(job_id: str, owner: str) -> Job:
    """The owner's job; ``NotFound``, or ``Gone`` where it is known to have been there."""
    job = _get(job_id, owner)
    if job.kind in INTERNAL:
        raise NotFound(job_id)
    return job


def _get(job_id: str, owner: str) -> Job:
    job = table().get(job_id, owner)
    if job is None:
        raise NotFound(job_id)
    return job


def wait(job: Job, seconds: float) -> Job:
    """The job once it has ended, or as it is after ``seconds``. Redis away means reading again now and then."""
    until = time.monotonic() + min(seconds, MAX_WAIT)
    if job.state in records.TERMINAL:
        return job
    # Of a job that was accepted or read "try again" would be the wrong answer.
    with contextlib.suppress(Unavailable), contextlib.closing(queue.Ending(job.id)) as ending:
        job = _get(job.id, job.owner)
        while job.state not in records.TERMINAL and (left := until - time.monotonic()) > 0:
            # A notice can be lost with Redis: every few seconds the record is asked all the same.
            ending.wait(min(left, 5.0))
            job = _get(job.id, job.owner)
    return job


# A million words take up to 140 MB and two seconds to read. A job's words never change; the caller was checked before.
_tables = Cache(160_000_000, words.weight)


def word_table(job: Job, *, fold: bool = True) -> Table:
    """A succeeded job's word table, its case folded or not; what was read lately is at hand."""
    key = job.id, job.artifacts.get("words", {}).get("claim"), fold
    found = _tables.get(key)
    if found is None:
        pieces = table().artifact(job, "words")
        metering.charge(job.owner, len(pieces) - 1)  # the first comes with the request
        found = _tables.made(key, lambda: _unpacked(pieces, language_of(job), fold=fold))
    return found


def _unpacked(pieces: Sequence[bytes], language: str, *, fold: bool) -> Table:
    spelled = words.unpack(pieces)
    return words.folded(spelled, language) if fold else spelled


def evidence_of(job: Job) -> "Evidence":
    """A succeeded job's text with its words in order; ``NotKept`` where the text was not kept."""
    from chalicelib.analysis import evidence  # slow to import, and most starts do not meet it

    store = table()
    kept = {name: store.artifact(job, name) for name in reversed(evidence.ARTIFACTS)}
    return evidence.read(kept, language_of(job))


def language_of(job: Job) -> str:
    """The language by which a job's words are folded; empty where nobody knows it."""
    return (job.page or {}).get("language") or ""


def word_tables(job: Job, other: Job) -> tuple[Table, Table]:
    """Both word tables, folded; ``RulesDiffer`` where they cannot be compared."""
    if job.rules != other.rules:
        raise RulesDiffer(job.id, other.id)
    return word_table(job), word_table(other)


def owned(
    owner: str, *, limit: int, after: tuple[int, str] | None = None, state: str | None = None
) -> tuple[list[Job], tuple[int, str] | None]:
    """A page of an owner's jobs, newest first, and where the next one starts.

    A corpus' jobs are not among them. With a ``state``, or with corpora, about ``OWNED_READ`` records are read at most;
    a page may then be short and still have a next.
    """
    store = table()
    found: list[Job] = []
    for step in (limit if state is None else OWNED_READ // 2, OWNED_READ // 2):
        ids, after = store.owned(owner, limit=step, after=after)
        there = store.get_many(ids)
        known = [there[job_id] for job_id in ids if job_id in there]
        found += [job for job in known if state in (None, job.state) and "corpus" not in job.options]
        if after is None or len(found) >= limit:
            break
    if len(found) > limit:
        found = found[:limit]
        after = found[-1].submitted_at, found[-1].id
    return found, after


# --- cancel and erase ---


def cancel(job_id: str, owner: str) -> Job:
    """End a job that waits or runs; ``HasEnded`` when it has."""
    job = table().cancel(job_id, owner)
    if job is None:
        get(job_id, owner)  # says why, if it is not there
        raise HasEnded(job_id)
    with contextlib.suppress(queue.QueueError):
        queue.forget(job.queue, job.id, job.owner)
    tell_ended(job_id)
    return job


def erase(job_id: str, owner: str) -> None:
    """Delete a job's record, words and input; ``StillRuns`` while a worker has it."""
    store = table()
    found = False
    try:
        while True:  # again where it changed meanwhile: at most MAX_ATTEMPTS times
            job = get(job_id, owner)
            found = True
            if job.state == records.RUNNING:
                raise StillRuns(job_id)
            if store.erase(job_id, owner, expires_at=job.expires_at):
                tell_ended(job_id)  # the local events of the job go too
                return
    except Gone:
        # An earlier try did it, in this call or in another, and may have come no further than the record.
        store.delete_pieces(job_id)
        if not found:
            raise


def cancel_and_erase(job_id: str, owner: str) -> None:
    """Delete a job whatever becomes of it, if it is there."""
    with contextlib.suppress(NotFound, HasEnded, Gone):
        cancel(job_id, owner)
    with contextlib.suppress(NotFound, StillRuns, Gone):
        erase(job_id, owner)


def tell_ended(job_id: str) -> None:
    """Wake the requests that wait for the job, where Redis is there."""
    try:
        queue.tell_ended(job_id)
    except queue.QueueError:
        return  # a waiting request reads the record again every few seconds


# --- what entry points need besides ---


class Waiting(NamedTuple):
    """How much waits on a queue, for whom: what the scaling of its workers follows."""

    jobs: int
    oldest: float  # seconds since the oldest of them was due
    tasks: int | None  # living pools that serve it; None where nobody can tell


def backlog() -> dict[str, Waiting]:
    """What waits on each queue. With Redis away the record store says it: up to 8,000 jobs are counted then."""
    store = table()
    now = store.now()
    found = {}
    for name in queue.QUEUES:
        waiting = tasks = None
        with contextlib.suppress(queue.QueueError):
            waiting, tasks = queue.depth(name), queue.pools(name, now=now)
        limit = BACKLOG_LIMIT if waiting is None else 1
        due = [
            due_at for shard in range(records.SHARDS) for due_at, _ in store.due(name, shard, before=_FAR, limit=limit)
        ]
        oldest = max(0.0, (now + records.GRACE_MS - min(due)) / 1000) if due else 0.0
        found[name] = Waiting(len(due) if waiting is None else waiting, oldest, tasks)
    return found


def health() -> Mapping[str, Any]:
    """What was checked and what it said: the record store must serve, the queue may be away for a while.

    ``fault`` names what will not pass by itself, for the operator.
    """
    checks, fault = {}, None
    try:
        table().ping()
        checks["records"] = "ok"
    except NoTable as error:
        checks["records"], fault = "no-table", str(error)
    except Unavailable:
        checks["records"] = "away"
    try:
        queue.ping()
        checks["queue"] = "ok"
    except queue.QueueError:
        checks["queue"] = "away"
    status = "unavailable" if checks["records"] != "ok" else "ok" if checks["queue"] == "ok" else "degraded"
    return {"status": status, "checks": checks, "fault": fault}


def owner_of_token(token: str) -> str | None:
    """Who bears this token, or None when nobody does; that is remembered for some seconds."""
    digest = token_digest(token)
    if metering.is_refused(digest):
        return None
    known = table().token(digest)
    if known is None:
        metering.refuse(digest)
        return None
    if metering.is_first_use(digest, now() // access_tokens.DAY):
        with contextlib.suppress(Unavailable):
            table().note_use(digest)
    return known["owner"]


def was_used(token: str) -> bool:
    """Whether this process has found that the token is valid, lately."""
    return metering.was_used(token_digest(token))


def token_digest(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
