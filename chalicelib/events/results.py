"""What came of a list: when its jobs have ended, a CSV file beside the list's report.

A list that was read leaves a note under ``reports/.open/``. ``finish`` goes through the notes, now and then: it keeps
in each how far the list's jobs have ended, so that no job is asked for again and again, and writes ``PART`` rows as one
file as soon as all of them have ended.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
from aws_lambda_powertools import Logger

from chalicelib.aws import objects
from chalicelib.aws.objects import ObjectError, Place
from chalicelib.errors import Unavailable
from chalicelib.http.responses import csv_lines, time_text
from chalicelib.store import records
from chalicelib.store.records import Job

REPORTS = "reports/"
OPEN = f"{REPORTS}.open/"  # notes of lists whose jobs have not all ended
PART = 20_000  # rows of one file
BATCH = 100  # jobs that are read at once
NOTES_MOST = 100  # lists that are looked at in one call
COLUMNS = ("line", "address", "job_id", "state", "ended_at", "words", "distinct", "title", "top", "error")
BOM = "\ufeff".encode()  # by which Excel knows UTF-8

logger = Logger(service="wordcounts", child=True)
Find = Callable[[list[str]], Mapping[str, Job]]  # jobs by their ids, those that are there
_Spot = tuple[int, int]  # which of a list's reports, and how many of its bytes


class Note(msgspec.Struct):
    """A list whose jobs have not all ended: its reports, and how far they are known to have ended and were written."""

    key: str
    reports: list[str]
    ended: _Spot = (0, 0)
    written: _Spot = (0, 0)
    rows: int = 0  # that have ended and are not written
    first: int = 1  # row of the next file


def begin(bucket: str, key: str, reports: Sequence[str]) -> None:
    """Note that a list was read to its end."""
    _keep(bucket, Note(key, list(reports)))


def finish(bucket: str, find: Find, remaining: Callable[[], float]) -> list[str]:
    """Write what can be written of the lists of a bucket while time remains; the names of the files."""
    made: list[str] = []
    try:
        notes = (name for name in objects.names(OPEN, bucket) if name.endswith(".json"))
        names = list(islice(notes, NOTES_MOST))
    except ObjectError as error:
        logger.warning("lists wait for their results", extra={"reason": str(error)})
        return made
    for name in names:
        if remaining() <= 0:
            break
        try:
            note = msgspec.json.decode(objects.get(name, bucket=bucket), type=Note)
            made += _continued(bucket, note, find, remaining)
        except Unavailable:
            break  # the records are away: the next call goes on
        except (ObjectError, msgspec.DecodeError, UnicodeDecodeError) as error:
            logger.warning("a list's results cannot be written", extra={"key": name, "reason": str(error)})
            if not isinstance(error, ObjectError) or error.absent:  # its report is gone, or is no report of ours
                objects.delete(name, bucket)
    return made


def _continued(bucket: str, note: Note, find: Find, remaining: Callable[[], float]) -> list[str]:
    made: list[str] = []
    before = note.ended
    complete = True
    for batch, after in _batches(bucket, note.reports, note.ended):
        if remaining() <= 0 or not _have_ended(batch, find):
            complete = False
            break
        note.ended, note.rows = after, note.rows + len(batch)
        if note.rows >= PART:
            made.append(_write(bucket, note, find))
    if complete:
        if note.rows or note.first == 1:
            made.append(_write(bucket, note, find))
        objects.delete(_name(note), bucket)
    elif note.ended != before:
        _keep(bucket, note)
    return made


def _name(note: Note) -> str:
    return f"{OPEN}{note.key}.json"


def _keep(bucket: str, note: Note) -> None:
    objects.put(_name(note), msgspec.json.encode(note), "application/json", bucket)


def _batches(bucket: str, reports: Sequence[str], start: _Spot) -> Iterator[tuple[list[dict[str, Any]], _Spot]]:
    """Lines of the reports from a spot on, some at once, with the spot after them."""
    for number in range(start[0], len(reports)):
        at = start[1] if number == start[0] else 0
        lines = _lines(objects.chunks(Place(bucket, reports[number]), start=at))
        while batch := list(islice(lines, BATCH)):
            at += sum(map(len, batch)) + len(batch)
            yield [msgspec.json.decode(line, type=dict[str, Any]) for line in batch], (number, at)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


def _jobs(batch: Sequence[Mapping[str, Any]], find: Find) -> Mapping[str, Job]:
    return find([line["job_id"] for line in batch if "job_id" in line])


def _have_ended(batch: Sequence[Mapping[str, Any]], find: Find) -> bool:
    return all(job.state in records.TERMINAL for job in _jobs(batch, find).values())


def _write(bucket: str, note: Note, find: Find) -> str:
    """The rows between what was written and what has ended, as one file."""
    import tempfile  # slow to import, and only lists need it

    name = f"{REPORTS}{note.key}{'' if note.first == 1 else f'.{note.first}'}.results.csv"
    with tempfile.TemporaryFile() as file:
        file.write(BOM + next(csv_lines([COLUMNS])))
        for batch, after in _batches(bucket, note.reports, note.written):
            if after > note.ended:
                break
            found = _jobs(batch, find)
            file.writelines(csv_lines(_row(line, found.get(line.get("job_id", ""))) for line in batch))
        file.seek(0)
        objects.put(name, file, "text/csv; charset=utf-8", bucket)
    note.first, note.rows, note.written = note.first + note.rows, 0, note.ended
    _keep(bucket, note)
    return name


def _row(line: Mapping[str, Any], job: Job | None) -> tuple[Any, ...]:
    if job is None:
        state = "gone" if "job_id" in line else "refused"
        error = line.get("error", {}).get("detail", "The job was erased, or has expired.")
        return line["line"], line.get("url"), line.get("job_id"), state, None, None, None, None, None, error
    totals, page = job.totals or {}, job.page or {}
    top = ", ".join(f"{one['word']} {one['count']}" for one in job.top or ())
    counted = (totals.get("words"), totals.get("distinct"), page.get("title"), top, (job.error or {}).get("detail"))
    return line["line"], job.url, job.id, job.state, time_text(job.finished_at), *counted
