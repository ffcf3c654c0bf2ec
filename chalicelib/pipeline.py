"""One job from its claim to its end: claim, fetch, extract, count, finish.

``count_page`` is the function that the queue names. It takes only the job's id; everything else comes from the record.
"""

import contextlib
import hashlib
import math
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from chalicelib import counting, extracting, fetching, memory, queue, settings
from chalicelib.analysis import evidence, words
from chalicelib.aws import objects
from chalicelib.errors import AttemptFailed, ErrorKind, Gone, Unavailable
from chalicelib.fetching import Fetched
from chalicelib.sources import gathering
from chalicelib.store import records
from chalicelib.store.records import Job, Records

BACKOFF_SECONDS = 1.0  # before the first retry; doubles with each
BACKOFF_MOST = 300.0
COMPACTION_BACKOFF_MOST = 3_600.0  # it is never given up, since nobody else takes in what was accepted
RETRY_AFTER_MOST = 600.0  # a server's Retry-After is honoured up to here
HOST_PATIENCE = 0.5  # seconds that a worker sleeps for a slot at a host before it gives the job back
SLOTS = 2 * (fetching.REDIRECTS + 1)  # rate limit slots that a job may take
TOO_MANY_SLOTS = (
    f"The page needed more than {SLOTS} requests to hosts that are asked only so often, with all its redirects. "
    "Submit the address that it leads to."
)
AGAIN_SECONDS = 5.0  # until the error of a time limit is raised once more, where the first one got lost
NLTK_SECONDS = 20.0  # for words=nltk: before the kernel's limit of CPU time ends the process
NLTK_TOO_SLOW = (
    "NLTK needs too long for this text. Count it with words=unicode, which takes time in proportion to the text."
)
TOP = 10
TITLE_MAX_CHARS = 1000  # kept of a title: a record has 400 KB, an event 200 KB (publisher.EVENT_BYTES)
WORD_MAX_CHARS = 500  # shown of a word in `top`; the word table has all of it


@dataclass(slots=True)
class Outcome:
    """What came of one attempt: the job as claimed (None when it could not be claimed), its new state, what it cost.

    ``seconds`` has ``waited`` and, as far as the job came, ``fetch``, ``extract``, ``count`` and ``store``.
    """

    job: Job | None = None
    state: str = "refused"
    error: dict[str, Any] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    bytes: int = 0
    due_at: int | None = None  # when a job that was given back is to be tried again, in DynamoDB's milliseconds
    fault: BaseException | None = None  # of our own: to be logged with its traceback


class _OutOfTime(BaseException):
    """The job's time is over. Not an Exception, so that no library's handler swallows it."""


class Defer(Exception):
    """The job goes back without a failure; ``slots`` and ``slot_at`` are the record's."""

    def __init__(self, seconds: float, slots: int = 0, slot_at: str = "") -> None:
        self.seconds, self.slots, self.slot_at = seconds, slots, slot_at


Gate = Callable[[Job, int], contextlib.AbstractContextManager[None]]  # of a job and the bytes of its page


def _no_gate(_job: Job, _size: int) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def preload() -> None:
    """Load what jobs need, before workers are forked from this process: each of them would hold it otherwise."""
    counting.preload(nltk=settings.load().words == "nltk")
    extracting.extract(b"<p>warm</p>", "text/html")


def count_page(
    job_id: str, worker: str = "alone", *, claimed: Callable[[Job], None] | None = None, gate: Gate | None = None
) -> Outcome:
    """Claim a job and run it. The record holds the outcome; what is returned is for logs and metrics.

    ``claimed`` is called with the job before it runs; ``gate`` holds as long as its page is extracted and counted.
    """
    load = settings.load()
    store = records.open_records(load.table_name, settings.aws())
    job = _claimed(store, job_id, worker, load)
    if job is None:
        return Outcome()
    if claimed is not None:
        claimed(job)
    outcome = Outcome(job=job)
    outcome.seconds["waited"] = max(0, (job.started_at or 0) - max(job.submitted_at, job.not_before)) / 1000
    # What is left of it: the claim's answer may have been late.
    lease = max(0.1, ((job.lease_until or 0) - store.now()) / 1000)
    lease_over = time.monotonic() + lease * 0.95
    result = _attempt(store, job, outcome, gate or _no_gate, lease * 0.8)
    match result:
        case Defer(seconds=seconds, slots=slots, slot_at=slot_at):
            due = store.now() + int(seconds * 1000)
            kept = _insist(
                lambda: store.retry(job, not_before=due, failed=False, slots=slots, slot_at=slot_at), lease_over
            )
            outcome.state, outcome.due_at = ("deferred", due) if kept else ("refused", None)
        case AttemptFailed():
            _give_up(store, job, result, outcome, lease_over)
        case dict():
            with _clocked(outcome, "store"):
                kept = _insist(lambda: store.finish(job, **result), lease_over)
            outcome.state = records.SUCCEEDED if kept else "refused"
    return outcome


def _attempt(
    store: Records, job: Job, outcome: Outcome, gate: Gate, seconds: float
) -> dict[str, Any] | Defer | AttemptFailed | None:
    """What came of one attempt: what ``records.finish`` takes, a delay, a failure, or None where the job was erased."""
    try:
        with _time_limit(seconds, _OutOfTime):
            return _result(store, job, outcome, gate)
    except (Defer, AttemptFailed) as ended:
        return ended
    except _OutOfTime:
        return AttemptFailed(ErrorKind.TIMEOUT, f"The job did not finish within {seconds:.0f} seconds.")
    except MemoryError:
        raise  # the process is not to be trusted any more: it ends, and the job counts a failure
    except Gone:
        return None
    except Exception as fault:  # noqa: BLE001 - a page that breaks our code ends with a reason; the log has the trace
        outcome.fault = fault
        return AttemptFailed(ErrorKind.INTERNAL, "The service failed at this page; this has been logged.")


def _claimed(store: Records, job_id: str, worker: str, load: settings.Settings) -> Job | None:
    """The job, if it can be claimed; ``Unavailable`` when the store is away for as long as a lease lasts.

    Until then it is asked again, with the same token: a try whose answer was lost may have made the claim,
    and that claimed job would otherwise wait for its lease to end. So an outage does not empty the queue either.
    """
    token, lease_ms = records.new_token(), load.lease_seconds * 1000
    until = time.monotonic() + load.lease_seconds
    while True:
        try:
            return store.claim(job_id, worker, lease_ms=lease_ms, max_attempts=load.max_attempts, token=token)
        except Unavailable:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def _result(store: Records, job: Job, outcome: Outcome, gate: Gate) -> dict[str, Any]:
    """What ``records.finish`` takes: words, page, totals, top."""
    if job.kind in ("compaction", "query"):
        with gate(job, 0):
            return _corpus_result(store, job)
    if job.kind == "source":
        seconds = gathering.run(store, job, lambda size: gate(job, size))
        if seconds is not None:
            raise Defer(seconds)
        return _NOTHING
    with _clocked(outcome, "fetch"):
        source = _source(store, job)
    outcome.bytes = len(source.body)
    with gate(job, outcome.bytes):
        return _finished(job, source, outcome)


def _finished(job: Job, source: Fetched, outcome: Outcome) -> dict[str, Any]:
    options = job.options
    with _clocked(outcome, "extract"):
        try:
            page = extracting.extract(
                source.body,
                source.content_type,
                select=options.get("select"),
                ignore=options.get("ignore"),
                content=options.get("content", "all"),
                content_language=source.content_language,
            )
        finally:
            memory.give_back()
    with _clocked(outcome, "count"):
        counted = _counted(page.text, page.language, options)
        made = _artifacts(counted)
        totals = msgspec.structs.asdict(words.totals(counted.read))
    return {
        "artifacts": made,
        "page": {
            "url": source.url,
            "status": source.status,
            "title": page.title[:TITLE_MAX_CHARS] if page.title else page.title,
            "language": counted.language,
            "encoding": page.encoding,
            **({"content": page.content} if "content" in options else {}),
            "bytes": len(source.body),
            "sha256": hashlib.sha256(source.body).hexdigest(),
        },
        "totals": {**totals, "stop_list": counted.stop_list},
        "top": [{"word": row.word[:WORD_MAX_CHARS], "count": row.count} for row in words.top(counted.read, TOP)],
        "rules": counted.rules,
    }


def _corpus_result(store: Records, job: Job) -> dict[str, Any]:
    from chalicelib.corpus import work  # with DuckDB and Arrow, which a worker loads when a corpus first needs them

    done = work.run(store, job)
    if isinstance(done, work.Later):
        raise Defer(done.seconds)
    return {**_NOTHING, "artifacts": done}


_NOTHING: dict[str, Any] = {"artifacts": {}, "page": {}, "totals": {}, "top": []}


@dataclass(frozen=True, slots=True)
class _Counted:
    """A page's words; ``language`` is None where nobody knows it, and then nothing is a stop word."""

    table: words.Table
    read: words.Table  # as it is read by default: in any case
    segments: evidence.Segments | None  # where the text is kept
    language: str | None
    stop_list: bool
    rules: str


def _counted(text: str, declared: str | None, options: dict[str, Any]) -> _Counted:
    """The words of a page by the job's options, marked by the stop words of all of the page's languages."""
    rules = options.get("words", "unicode")
    numbers, keep_text = options.get("numbers", "drop"), options.get("keep_text", True)
    requested = counting.language_code(options.get("language"))
    vote = counting.languages_of(text, declared) if requested is None else counting.Vote(requested, {requested: 1.0})
    try:
        with _time_limit(NLTK_SECONDS if rules == "nltk" else math.inf):
            segments = counting.segment(text, vote.language, words=rules, numbers=numbers) if keep_text else None
            # Without the places of words it takes a third of the time.
            counts = (
                segments.counts() if segments else counting.count(text, vote.language, words=rules, numbers=numbers)
            )
    except TimeoutError:
        raise AttemptFailed(ErrorKind.TIMEOUT, NLTK_TOO_SLOW, transient=False) from None
    stop_words = counting.stop_words(*vote.shares)
    language = vote.language or ""
    table, read = words.tables(counts, stop_words, language)
    return _Counted(table, read, segments, vote.language, bool(stop_words), counting.rules(rules))


def _artifacts(counted: _Counted) -> dict[str, records.Packed]:
    """What the job stores: its words, and where the text is kept what contexts and phrases need."""
    if counted.segments is None:
        return {"words": records.Packed(words.pack(counted.table))}
    kept = evidence.gathered(counted.segments, counted.table, counted.language or "")
    return {
        name: records.Packed(artifact.pack(kept), artifact.is_large(kept))
        for name, artifact in evidence.ARTIFACTS.items()
    }


def _source(store: Records, job: Job) -> Fetched:
    """The bytes to count, wherever they are."""
    if job.kind == "url":
        return _fetched(job)
    if job.kind == "object":
        found = objects.read(str(job.url), limit=settings.load().fetch_max_bytes)
        return Fetched(found.body, found.content_type, url=job.url)
    content_type = "text/plain; charset=utf-8" if job.kind == "text" else "text/html; charset=utf-8"
    try:
        return Fetched(store.document(job), content_type)
    except Unavailable:
        raise Defer(_pause(1, None)) from None  # that is no failure of the job


def _fetched(job: Job) -> Fetched:
    requests = 0

    def before_host(host: str, address: str) -> None:
        nonlocal requests
        requests += 1
        if requests > 1 or host != job.slot_at:
            _take_slot(job, requests, host, address)

    return fetching.fetch(str(job.url), before_host=before_host)


def _take_slot(job: Job, request: int, host: str, address: str) -> None:
    """Wait for a near slot at a host, else give the job back until then. Open when Redis is away.

    A job's first request may have a slot reserved for its next try; for a redirect the worker waits, or the job would
    come back to ask the first host once more.
    """
    slots = job.slots + request
    if slots > SLOTS:
        raise AttemptFailed(ErrorKind.TOO_MANY_REDIRECTS, TOO_MANY_SLOTS)
    try:
        taken, wait = queue.host_slot(host, address, job.owner, bulk=job.queue == queue.BULK)
    except queue.QueueError:
        return
    if not taken:
        raise Defer(wait + random.uniform(0, min(wait / 4, 1.0)), slots - 1)  # noqa: S311
    if request == 1 and wait > HOST_PATIENCE:
        raise Defer(wait, slots, host)
    time.sleep(wait)


def _give_up(store: Records, job: Job, failure: AttemptFailed, outcome: Outcome, lease_over: float) -> None:
    """Fail the job, or give it back to be tried later when the failure is transient and attempts are left."""
    error = outcome.error = failure.recorded()
    endless = job.kind == "compaction"
    if failure.transient and (endless or job.failures + 1 < settings.load().max_attempts):
        most = COMPACTION_BACKOFF_MOST if endless else BACKOFF_MOST
        later = store.now() + int(_pause(job.failures, failure.retry_after, most) * 1000)
        kept = _insist(lambda: store.retry(job, not_before=later), lease_over)
        outcome.state, outcome.due_at = ("retried", later) if kept else ("refused", None)
    else:
        kept = _insist(lambda: store.fail(job, error), lease_over)
        outcome.state = records.FAILED if kept else "refused"


def _pause(failures: int, retry_after: float | None, most: float = BACKOFF_MOST) -> float:
    """Seconds before the next try: exponential with jitter, or what the server asked for where that is more."""
    backoff = min(BACKOFF_SECONDS * 2.0 ** min(failures, 20), most) * random.uniform(0.75, 1.5)  # noqa: S311
    return max(backoff, min(retry_after or 0.0, RETRY_AFTER_MOST))


def _insist(write: Callable[[], bool], until: float) -> bool:
    """Repeat a conditional write while DynamoDB is unavailable, within the lease; then let go: the sweep takes over."""
    pause = 0.1
    while True:
        try:
            return write()
        except Unavailable:
            if time.monotonic() + pause > until:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 5.0)


@contextlib.contextmanager
def _clocked(outcome: Outcome, part: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        outcome.seconds[part] = time.monotonic() - started


@contextlib.contextmanager
def _time_limit(seconds: float, late: type[BaseException] = TimeoutError) -> Iterator[None]:
    """Raise ``late`` here after ``seconds``, or when an outer limit's time is over, whose error that is.

    Signals reach only the main thread, which is where workers run. Python drops an error that is raised while an object
    is finalized, wherever that happens, so it is raised again ``AGAIN_SECONDS`` later.
    """
    left = signal.getitimer(signal.ITIMER_REAL)[0] or math.inf
    if threading.current_thread() is not threading.main_thread() or seconds >= left:
        yield
        return

    def ring(*_: object) -> None:
        raise late

    started = time.monotonic()
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left < math.inf:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left - (time.monotonic() - started)), AGAIN_SECONDS)
