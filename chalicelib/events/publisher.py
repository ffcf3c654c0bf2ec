"""Publishes ended jobs, and corpora that are ready, as CloudEvents on the event bus.

An event is made from a record alone, by the stream of the table, so that no worker writes in two places.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from aws_lambda_powertools import Logger

from chalicelib import corpora, jobs, settings
from chalicelib.aws.clients import client
from chalicelib.http import corpora as corpus_http
from chalicelib.http import responses
from chalicelib.store import records
from chalicelib.store.corpora import Corpus, corpus_of
from chalicelib.store.job import Job, job_of

SOURCE = "wordcounts"
EVENT_BYTES = 200_000  # EventBridge takes 256 KB with its envelope
PUT_ENTRIES, PUT_BYTES = 10, 240_000  # of one PutEvents

logger = Logger(service="wordcounts", child=True)
_encode = msgspec.json.Encoder().encode
_Leaving = tuple[str, dict[str, str]]  # a record's sequence number, and the entry that it becomes


def cloud_event(job: Job) -> dict[str, Any]:
    """An ended job as a CloudEvent: what the API shows of it and where to read its words, at most 200 KB as JSON."""
    shown = {**responses.plain(responses.job(job)), "link": _link("jobs", job.id)}
    if job.request_id:
        shown["request_id"] = job.request_id
    event = _event(job, f"job.{job.state}", shown["finished_at"], shown)
    for name in ("top", "page", "error", "url", "options"):  # never met: each of them is bounded where it is made
        if len(_encode(event)) <= EVENT_BYTES:
            break
        shown[name] = None
    return event


def ready_event(corpus: Corpus) -> dict[str, Any] | None:
    """A corpus whose documents have all ended and are counted as a CloudEvent; None where it is not ready.

    Each version of a corpus that is ready has one event, whose id says the version.
    """
    if corpus.erasing or not corpus.manifest.seen or not corpora.is_complete(corpus):
        return None
    shown = {**responses.plain(corpus_http.corpus(corpus)), "link": _link("corpora", corpus.id)}
    return _event(corpus, "corpus.ready", responses.time_text(corpus.manifest.made_at), shown)


def _link(kind: str, name: str) -> str:
    return f"{settings.load().api_url.rstrip('/')}/{kind}/{name}"


def _event(of: Job | Corpus, kind: str, time: str | None, shown: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{of.id}:{of.version}",
        "source": f"/{SOURCE}",
        "type": f"{SOURCE}.{kind}",
        "subject": of.id,
        "time": time,
        "datacontenttype": "application/json",
        "data": shown,
    }


def _event_of(image: Mapping[str, Any]) -> dict[str, Any] | None:
    """The event that a record of the table as it is now stands for, if any."""
    kind = image.get("sk", {}).get("S")
    if kind == "corpus" and "manifest" in image:
        return ready_event(corpus_of(image))
    if kind != "job" or image.get("state", {}).get("S") not in records.TERMINAL:
        return None
    job = job_of(image)
    return None if job.kind in jobs.INTERNAL else cloud_event(job)


def publish_events(stream: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the events of a batch of stream records on the event bus; what failed is delivered again."""
    leaving, failed = [], []
    for record in stream:
        number = str(record["dynamodb"]["SequenceNumber"])
        try:
            event = _event_of(record["dynamodb"].get("NewImage", {}))
            if event is not None:
                leaving.append((number, _outgoing(event)))
        except (LookupError, TypeError, ValueError):  # no record of ours as it is now: it must not keep back the others
            logger.exception("a record cannot be told", extra={"sequence_number": number})
            failed.append(number)
    for part in _parts(leaving):
        failed += _put(part)
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def _outgoing(event: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Source": SOURCE,
        "DetailType": event["type"],
        "Detail": _encode(event).decode(),
        "EventBusName": settings.load().event_bus,
    }


def _parts(leaving: Sequence[_Leaving]) -> Iterable[list[_Leaving]]:
    part: list[_Leaving] = []
    size = 0
    for number, entry in leaving:
        bytes_here = len(entry["Detail"].encode()) + 100
        if part and (len(part) == PUT_ENTRIES or size + bytes_here > PUT_BYTES):
            yield part
            part, size = [], 0
        part.append((number, entry))
        size += bytes_here
    if part:
        yield part


def _put(part: Sequence[_Leaving]) -> list[str]:
    """Sequence numbers of what did not get through."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answers = client("events", 5).put_events(Entries=[entry for _, entry in part])["Entries"]
    except (BotoCoreError, ClientError) as error:
        logger.warning("events could not leave", extra={"reason": type(error).__name__, "count": len(part)})
        return [number for number, _ in part]
    failed = [
        (number, answer["ErrorCode"])
        for (number, _), answer in zip(part, answers, strict=True)
        if answer.get("ErrorCode")
    ]
    if failed:
        logger.warning("events could not leave", extra={"reason": failed[0][1], "count": len(failed)})
    return [number for number, _ in failed]
