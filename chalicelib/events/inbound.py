"""Messages from SQS, S3 and EventBridge become submissions. What is published is in publisher.py.

What comes in becomes ``Entry``s, each with the key that makes a redelivery harmless, and goes to the ``submit`` that
the caller gives.
"""

import base64
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

import msgspec
from aws_lambda_powertools import Logger

from chalicelib import jobs, submissions
from chalicelib.aws import metrics, objects
from chalicelib.aws.objects import ObjectError, Place
from chalicelib.errors import (
    CorpusFull,
    Fault,
    Gone,
    InvalidList,
    InvalidSubmission,
    NoCorpus,
    Refused,
    ServiceError,
    Unavailable,
    problem_for,
)
from chalicelib.events import lists, results
from chalicelib.events.lists import Position
from chalicelib.events.results import REPORTS
from chalicelib.net import gzipped
from chalicelib.store.records import Job
from chalicelib.submissions import Submission

REQUESTED = "Word Count Requested"
PROGRESS = "progress/"  # the prefix of our own objects beside those that were dropped, and beside REPORTS
_IN_CORPUS = re.compile(r"corpora/([0-9a-f]{32})/(.+)", re.DOTALL)
LISTS = {".urls": "urls", ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
BATCH_LINES, BATCH_BYTES = 500, 4_000_000  # of a list, submitted together
RESERVE_SECONDS = 15.0  # before its function ends, a list is continued by another call: a batch and the report fit in
LOOKS = 10  # at an object that is replaced while it is taken; then the event is delivered again
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # while the records cannot be reached

logger = Logger(service="wordcounts", child=True)
_encode = msgspec.json.Encoder().encode


class Entry(msgspec.Struct, frozen=True):
    """A submission and its idempotency key; of a document of a corpus also the corpus and the document's key there."""

    key: str
    submission: Submission
    corpus: str | None = None
    name: str | None = None


Result = Job | Exception
Submit = Callable[[Sequence[Entry]], Sequence[Result]]


def submit(entries: Sequence[Entry], owner: str, request_id: str | None) -> Sequence[Result]:
    """Submit entries, all of one corpus or of none, as bulk jobs of an owner; of each its job or why there is none."""
    answers = _submit(entries, owner, request_id)
    metrics.emit_submitted(jobs.BULK, sum(not isinstance(answer, Exception) for answer in answers))
    return answers


def _submit(entries: Sequence[Entry], owner: str, request_id: str | None) -> Sequence[Result]:
    corpus = entries[0].corpus if entries else None
    if corpus is None:
        asked = [jobs.Request(entry.submission, owner, entry.key, jobs.BULK, request_id) for entry in entries]
        return jobs.submit_many(asked)
    from chalicelib import corpora  # slow to import, for documents of corpora alone

    given = [corpora.Given(entry.submission, entry.name, version=entry.key if entry.name else "") for entry in entries]
    try:
        return corpora.add(corpus, owner, given, request_id=request_id)
    except (Gone, ServiceError, Unavailable) as error:
        return [error for _ in entries]


# --- SQS and EventBridge ---


def from_queue(messages: Sequence[Mapping[str, Any]], submit: Submit) -> dict[str, Any]:
    """Submit a batch of SQS messages; what failed goes back, to be delivered again or to the dead-letter queue."""
    failed: list[str] = []
    entries = []
    for message in messages:
        name = str(message["messageId"])
        try:
            entries.append(Entry(name, _submission(submissions.decode(str(message["body"]).encode(errors="replace")))))
        except InvalidSubmission as error:
            logger.warning("refused", extra={"message_id": name, "reason": problem(error)})
            failed.append(name)
    for entry, result in zip(entries, submit(entries) if entries else (), strict=True):
        if isinstance(result, Exception):
            logger.warning("not submitted", extra={"message_id": entry.key, "reason": problem(result)})
            if not isinstance(result, Gone):  # erased since: it was delivered before
                failed.append(entry.key)
    return {"batchItemFailures": [{"itemIdentifier": name} for name in dict.fromkeys(failed)]}


def from_event_bus(event: Mapping[str, Any], submit: Submit) -> str | None:
    """Submit what an EventBridge event asks for and return the job's id; raises what keeps it from being one.

    None for an event that was delivered before and whose job was erased since.
    """
    return _submit_one(Entry(str(event["id"]), _submission(event.get("detail"))), submit)


def _submission(sent: object) -> Submission:
    """The submission that was sent, bare or as the data of a CloudEvent."""
    fields = _data(sent) if isinstance(sent, Mapping) and "specversion" in sent else sent
    submissions.check_sizes(fields)
    return submissions.read(fields)


def _data(event: Mapping[str, Any]) -> object:
    """What a CloudEvent in structured mode carries."""
    faults = [
        Fault(f"/{name}", "a CloudEvent needs this as a text that is not empty")
        for name in ("specversion", "id", "source", "type")
        if not (isinstance(event.get(name), str) and event[name])
    ]
    if not faults and event["specversion"] != "1.0":
        faults.append(Fault("/specversion", "only version 1.0 is understood"))
    if faults:
        raise InvalidSubmission(*faults)
    if "data_base64" not in event:
        return event.get("data")
    try:
        packed = base64.b64decode(str(event["data_base64"]), validate=True)
    except ValueError:  # also of what is not ASCII
        raise InvalidSubmission(Fault("/data_base64", "is not Base64")) from None
    return submissions.decode(packed)


def _submit_one(entry: Entry, submit: Submit) -> str | None:
    [result] = submit([entry])
    if isinstance(result, Gone):
        return None
    if isinstance(result, Exception):
        raise result
    return result.id


def problem(error: Exception) -> dict[str, Any]:
    """Why there is no job, as HTTP's problems have it: type, detail and for a submission its errors."""
    refused = problem_for(error) or Refused("unavailable", str(error))
    told: dict[str, Any] = {"type": refused.name, "detail": refused.detail}
    return {**told, "errors": msgspec.to_builtins(refused.errors)} if refused.errors else told


# --- S3 ---


class ListCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint in a list: where the list is, and from where on it is to be read."""

    place: Place
    position: Position = lists.START
    reports: tuple[str, ...] = ()  # of what was read before


def from_bucket(event: Mapping[str, Any], submit: Submit, remaining: Callable[[], float]) -> dict[str, int]:
    """Take an object that was created: a document, a list, or a checkpoint of a list.

    Returns how many jobs it made or found, and how many lines it refused. ``remaining`` says how many seconds there
    are; a list that takes longer is continued from a checkpoint in ``progress/``, whose creation is the next event.
    """
    detail = event["detail"]
    given = detail["object"]
    version = str(given.get("version-id") or "")
    if version == "null":  # S3's name for what has none
        version = ""
    etag = str(given.get("etag") or "").strip('"')
    place = Place(detail["bucket"]["name"], given["key"], version or etag, bool(version))
    if place.key.startswith(REPORTS):
        return {}
    kind, _ = objects.kind(place.key)
    if not place.key.startswith(PROGRESS) and kind not in LISTS and kind not in objects.TYPES:
        logger.info("passed over: neither a document nor a list", extra={"key": place.key})
        return {}
    try:
        place = objects.find(place)
        if place.key.startswith(PROGRESS):
            noted = objects.read(place.address, limit=100_000).body
            return _list(msgspec.json.decode(noted, type=ListCheckpoint), submit, remaining)
        if kind in LISTS:
            return _list(ListCheckpoint(place), submit, remaining)
    except ObjectError as error:
        if not error.absent:
            raise
        logger.warning("an object was deleted before it was read", extra={"key": place.key})
        return {}
    try:
        return {"jobs": int(_document(place, submit) is not None)}
    except (NoCorpus, CorpusFull) as error:
        logger.warning("not submitted", extra={"key": place.key, "reason": problem(error)})
        return {"jobs": 0, "refused": 1}


def _document(place: Place, submit: Submit) -> str | None:
    """Submit an object; its job's id.

    Events may come late, in another order, and twice. Where an object stands for one document of a corpus, which a
    newer content replaces, what the bucket has now is taken, whichever event told of it; and whether it was replaced
    meanwhile is looked at afterwards, since the other event may have been handled at the same time.
    """
    corpus, name = _corpus_of(place.key)
    if corpus is None:
        return _submit_one(Entry(place.identity, Submission("object", url=place.address)), submit)
    made = None
    for _ in range(LOOKS):
        try:
            now = objects.current(place)
        except ObjectError as error:
            if not error.absent:
                raise
            return made
        if made is not None and now == place:
            return made
        place = now
        made = _submit_one(Entry(place.identity, Submission("object", url=place.address), corpus, name), submit)
        if made is None:
            return None
    raise Unavailable("the object is replaced again and again")


def _corpus_of(key: str) -> tuple[str | None, str | None]:
    """The corpus that an object's key names by its prefix, and what follows it, which names the document there."""
    found = _IN_CORPUS.fullmatch(key)
    return (found[1], found[2][-300:]) if found else (None, None)


def _list(checkpoint: ListCheckpoint, submit: Submit, remaining: Callable[[], float]) -> dict[str, int]:
    """Submit the lines of a list, as far as the time goes, and leave a report of them."""
    place, position = checkpoint.place, checkpoint.position
    done = {"jobs": 0, "refused": 0}
    first = position.line + 1
    continued = False
    import tempfile  # slow to import, and only lists need it

    with tempfile.TemporaryFile() as report:
        try:
            for batch, after in _batches(checkpoint):
                _report(report, batch, _submitted(batch, place, submit, remaining), done)
                position = after
                if remaining() < RESERVE_SECONDS:
                    continued = True
                    break
        except InvalidList as error:
            report.write(_json({"line": position.line + 1, "error": problem(error)}))
            done["refused"] += 1
        report.seek(0)
        name = f"{REPORTS}{place.key}{'' if first == 1 else f'.{first}'}.report.jsonl"
        objects.put(name, report, "application/jsonl", place.bucket)
    reports = (*checkpoint.reports, name)
    if continued:
        noted = _encode(ListCheckpoint(place, position, reports))
        objects.put(f"{PROGRESS}{place.key}.{position.line}.json", noted, "application/json", place.bucket)
    else:
        results.begin(place.bucket, place.key, reports)
    logger.info("list", extra={"key": place.key, "lines": [first, position.line], "continued": continued, **done})
    return done


def _batches(checkpoint: ListCheckpoint) -> Iterable[tuple[list[lists.Line], Position]]:
    """Lines to submit together, bounded in number and bytes, with the position after them."""
    suffix, packed = objects.kind(checkpoint.place.key)
    kind, start = LISTS[suffix], checkpoint.position.offset
    chunks = _unpacked(checkpoint.place, start) if packed else objects.chunks(checkpoint.place, start=start)
    batch: list[lists.Line] = []
    size = 0
    after = checkpoint.position
    for line, after in lists.read(kind, chunks, checkpoint.position):
        batch.append(line)
        size += line.size
        if len(batch) >= BATCH_LINES or size >= BATCH_BYTES:
            yield batch, after
            batch, size = [], 0
    if batch:
        yield batch, after


def _unpacked(place: Place, start: int) -> Iterator[bytes]:
    """A compressed list from a byte of the list on: what is before it is unpacked once more."""
    try:
        for piece in gzipped.in_proportion(objects.chunks(place)):
            yield piece[start:]
            start = max(0, start - len(piece))
    except (zlib.error, EOFError):
        raise InvalidList("The compressed list is damaged, or was cut off.") from None
    except gzipped.Bomb:
        raise InvalidList(f"The list expands to more than {gzipped.RATIO} times its size: store it as it is.") from None


def _submitted(
    batch: Sequence[lists.Line], place: Place, submit: Submit, remaining: Callable[[], float]
) -> list[Result]:
    """Of each line the job or why there is none. ``Unavailable`` when the records stay away: nothing is lost by that,
    since the function is called again and the lines that were submitted find their jobs."""
    results: list[Result | None] = [
        line.submission if isinstance(line.submission, Exception) else None for line in batch
    ]
    for pause in (0.0, *PAUSES):
        time.sleep(min(pause, max(0.0, remaining() - RESERVE_SECONDS / 2)))
        left = [at for at, result in enumerate(results) if result is None]
        entries = [_entry(batch[at], place) for at in left]
        away: Unavailable | None = None
        for at, result in zip(left, submit(entries) if entries else (), strict=True):
            if isinstance(result, Unavailable):
                away = result
            else:
                results[at] = result
        if away is None:
            return [result for result in results if result is not None]
    raise away or Unavailable("no line was submitted")


def _entry(line: lists.Line, place: Place) -> Entry:
    if isinstance(line.submission, Exception):
        raise line.submission
    return Entry(f"{place.identity}#{line.number}", line.submission, _corpus_of(place.key)[0])


def _report(report: IO[bytes], batch: Sequence[lists.Line], results: Sequence[Result], done: dict[str, int]) -> None:
    for line, result in zip(batch, results, strict=True):
        if isinstance(result, Exception):
            done["refused"] += 1
            report.write(_json({"line": line.number, "error": problem(result)}))
        else:
            done["jobs"] += 1
            report.write(_json({"line": line.number, "job_id": result.id, "url": result.url}))


def _json(fields: Mapping[str, Any]) -> bytes:
    return _encode(fields) + b"\n"
