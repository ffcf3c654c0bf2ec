"""What the HTTP API takes and gives: msgspec structs, problems, and the reading of bodies, queries and cursors. Pure.

The same structs make ``/openapi.json``. Knows no web framework: a handler gives bytes and strings and gets an
``Answer``, or a ``Refused`` is raised with the problem that it is.
"""

import csv
import functools
import gzip
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, NamedTuple, NoReturn, TypeVar, get_args, get_type_hints
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, Struct, UnsetType

from chalicelib import submissions
from chalicelib.analysis import words
from chalicelib.errors import PROBLEMS, ProblemError, Refused
from chalicelib.http import negotiation, schemas

JSON, CSV, PROBLEM = "application/json", "text/csv", "application/problem+json"
CSV_TYPE = f"{CSV}; charset=utf-8; header=present"
FORM = "application/x-www-form-urlencoded"
MAX_ANSWER_BYTES = 4_000_000  # as base64 it stays under Lambda's 6 MB
GZIP_FROM = 4096  # bytes; below, a packet or two carry the answer as it is
JOB_ID = re.compile(r"[0-9a-f]{32}")
MAX_LISTED = 500  # words of stop_add or stop_remove
DEFAULT_LIMIT, WORDS_LIMIT = 50, 100  # rows in a page of JSON where no limit is asked for, and words
STEP = 500  # rows that are made at once


class Answer(msgspec.Struct):
    """What goes back to a client; ``headers`` as they are to be sent."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = msgspec.field(default_factory=dict)


encoded = msgspec.json.Encoder().encode


def answer(status: int, body: Struct, more: Mapping[str, str] | None = None) -> Answer:
    """A struct as JSON."""
    return Answer(status, encoded(body), {"Content-Type": JSON, **(more or {})})


def problem(refused: Refused) -> Answer:
    """The problem that a refusal is."""
    status, title, _ = PROBLEMS[refused.name]
    body = schemas.Problem(type=schemas.URN + refused.name, title=title, status=status, detail=refused.detail)
    if refused.error is not None:
        body.type, body.title, body.error = schemas.URN + refused.error.type, refused.error.title, refused.error
    if refused.errors:
        body.errors = refused.errors
    return Answer(status, encoded(body), {"Content-Type": PROBLEM, **refused.headers})


def no_result(record: Any) -> Refused:
    """Why a job (``records.Job``) has no words: it failed, was canceled, or goes on."""
    if record.state not in schemas.ENDED:
        pause = {"Retry-After": "1"}
        return Refused("job-running", f"The job {record.id} has not ended: wait for it.", headers=pause)
    if record.error is None:
        return Refused("job-canceled", "The job was canceled before its words were counted.")
    return Refused("job-failed", record.error["detail"], error=msgspec.convert(record.error, schemas.JobError))


def compressed(given: Answer) -> Answer:
    """The answer with its body in gzip."""
    # The same bytes for the same answer: no time in the header.
    given.body = gzip.compress(given.body, 5, mtime=0)
    given.headers["Content-Encoding"] = "gzip"
    return given


def time_text(milliseconds: int | None) -> str | None:
    """Milliseconds since 1970 as RFC 3339."""
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job(record: Any) -> schemas.Job:
    """A record (``records.Job``) as the API shows it."""
    shown = {name: getattr(record, name) for name in schemas.Job.__struct_fields__}
    shown |= {name: time_text(shown[name]) for name in ("submitted_at", "started_at", "finished_at")}
    shown["expires_at"] = time_text(record.expires_at * 1000)
    if not record.options:
        del shown["options"]
    return msgspec.convert(shown, schemas.Job)


def accepted(record: Any, *, prefix: str, now: int, more: Mapping[str, str] | None = None) -> Answer:
    """202 with where to look and when; 200 when the job has ended and the client waited for that.

    ``now`` is DynamoDB's time in milliseconds.
    """
    waited = more is not None and "Preference-Applied" in more
    shown = {
        "Location": f"{prefix}/jobs/{record.id}",
        **(more or {}),
        **retry_after(record, now),
    }
    return answer(200 if waited and record.state in schemas.ENDED else 202, job(record), shown)


def job_answer(record: Any, if_none_match: str | None, *, now: int, more: Mapping[str, str]) -> Answer:
    """200 with the job, or 304 when the client has it as it is."""
    # The version alone would do, were it not that an expired job's key may be used for another job; weak, since gzip
    # gives other bytes for the same job.
    etag = f'W/"{record.version}-{record.submitted_at:x}"'
    shown = {"ETag": etag, "Cache-Control": "private, no-cache", **more, **retry_after(record, now)}
    if negotiation.matches(if_none_match, etag):
        return Answer(304, headers=shown)
    return answer(200, job(record), shown)


def words_etag(record: Any, media_type: str) -> str:
    """An entity tag for a job's words, which never change; weak, since gzip gives other bytes for the same words."""
    return f'W/"{record.version}-{record.submitted_at:x}-{media_type.partition("/")[2]}"'


def retry_after(record: Any, now: int) -> dict[str, str]:
    """When to ask again: in a second, or when the job's next try is due; ``now`` and that time are DynamoDB's."""
    if record.state in schemas.ENDED:
        return {}
    pause = math.ceil((record.not_before - now) / 1000) if record.not_before else 1
    return {"Retry-After": str(min(max(pause, 1), 60))}


def link(following: str | None) -> dict[str, str]:
    """The next page as a header."""
    return {"Link": f'<{following}>; rel="next"'} if following else {}


def plain(given: Any) -> Any:
    """A struct, or an answer's JSON, as dictionaries and lists."""
    return json.loads(given.body) if isinstance(given, Answer) else msgspec.to_builtins(given)


# --- what is asked ---


Query = TypeVar("Query", bound=Struct)
_NUMBERS = {
    int: (re.compile(r"-?\d{1,18}", re.ASCII), "a whole number"),
    float: (re.compile(r"-?(?:\d{1,20}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][+-]?\d{1,3})?", re.ASCII), "a number"),
}
_hints = functools.cache(get_type_hints)
_OFFSET = re.compile(r"[?&]offset=(\d+)")
_MISSING = re.compile(r"Object missing required field `(\w+)`")


def query(parameters: Mapping[str, Sequence[str]], kind: type[Query]) -> Query:
    """The query string's parameters, checked; unknown, repeated and empty ones are refused."""
    hints = _hints(kind)
    values: dict[str, str | int | float] = {}
    for name, given in parameters.items():
        if name not in kind.__struct_fields__:
            _bad_parameter(name, f"is not a parameter here; there are: {', '.join(kind.__struct_fields__) or 'none'}")
        if len(given) != 1:
            _bad_parameter(name, "is given more than once")
        values[name] = given[0]
        for number in {hints[name], *get_args(hints[name])} & _NUMBERS.keys():
            form, said = _NUMBERS[number]
            if not form.fullmatch(given[0]):
                _bad_parameter(name, f"expected {said}")
            values[name] = number(given[0])
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        detail, _, path = str(error).partition(" - at `$.")
        if missing := _MISSING.fullmatch(detail):
            _bad_parameter(missing[1], "is required")
        if not path:  # of several parameters together: a struct's own sentence begins with the first's name
            path, _, detail = detail.partition(": ")
        name = path.rstrip("`")
        _bad_parameter(name, _in_words(kind, name, detail))


_PHRASES = {
    "against": "must be the id of a job; for a corpus, corpus: or job: and then an id",
    "cursor": "is not where an answer's `next` led to",
    "language": "is not a language code such as en or pt-BR",
}


def _in_words(kind: type[Struct], name: str, detail: str) -> str:
    """msgspec's message without the names of Python's types."""
    if name in _PHRASES:
        return _PHRASES[name]
    if detail.startswith("Invalid enum value"):
        given = _hints(kind)[name]
        choices = [str(one) for part in (given, *get_args(given)) for one in get_args(part) if isinstance(one, str)]
        return f"must be one of {', '.join(dict.fromkeys(choices))}"
    return submissions.in_words(detail)


def wanted_words(asked: schemas.WordsQuery) -> words.Query:
    """Which words are asked for, of a job or a corpus."""
    return words.Query(
        stop_words=asked.stop_words == "include",
        stop_add=listed_words("stop_add", asked.stop_add),
        stop_remove=listed_words("stop_remove", asked.stop_remove),
        prefix=asked.prefix,
        min_count=asked.min_count,
        min_length=asked.min_length,
    )


def listed_words(name: str, text: str) -> list[str]:
    """Words separated by commas."""
    found = [word for part in text.split(",") if (word := part.strip())]
    if len(found) > MAX_LISTED:
        _bad_parameter(name, f"at most {MAX_LISTED} words, this one has {len(found)}")
    return found


def _bad_parameter(name: str, detail: str) -> NoReturn:
    error = ProblemError(detail=detail, parameter=name)
    raise Refused("invalid-parameter", f"{name}: {detail}", errors=[error])


def body(raw: bytes) -> object:
    """The JSON of a submission's body. Refused: not UTF-8, not JSON, a name twice, too deep, too large."""
    value = submissions.decode(raw)
    submissions.check_sizes(value)
    return value


def check_content(given: Mapping[str, str], media_type: str) -> None:
    """Refuse a body of another media type, and one that is compressed: RFC 9110, 15.5.16, has what the answer says."""
    if negotiation.media_type(given.get("content-type")) != media_type:
        said = {"Accept-Post": media_type}
        raise Refused("unsupported-media-type", f"Send the submission as {media_type}.", headers=said)
    if given.get("content-encoding", "").strip().lower() not in ("", "identity"):
        said = {"Accept-Encoding": "identity"}
        raise Refused("unsupported-media-type", "Send the submission without a Content-Encoding.", headers=said)


# --- cursors and pages ---


def jobs_answer(found: Sequence[Any], after: tuple[int, str] | None, asked: schemas.ListQuery, prefix: str) -> Answer:
    """A page of records (``records.Job``) with a link to the next; as many as ``MAX_ANSWER_BYTES`` has room for."""
    rows = _fitting(encoded(job(record)) for record in found)
    if len(rows) < len(found):
        after = found[len(rows) - 1].submitted_at, found[len(rows) - 1].id
    following = None if after is None else address(f"{prefix}/jobs", asked, cursor=cursor(after))
    return page_answer({"jobs": list(map(msgspec.Raw, rows))}, following)


def cursor(after: tuple[int, str]) -> str:
    """Where a list goes on, (submitted_at, id), as an opaque word."""
    return f"{after[0]:012x}{after[1]}"


def read_cursor(text: str | UnsetType) -> tuple[int, str] | None:
    """What a cursor stands for; its form was checked with the query."""
    return None if isinstance(text, UnsetType) else (int(text[:12], 16), text[12:])


def address(path: str, asked: Any, **changes: str | int) -> str:
    """The address that asks the same again, but for the changes: for what follows, as a rule."""
    given = {name: value for name in asked.__struct_fields__ if (value := getattr(asked, name)) not in (UNSET, "")}
    return f"{path}?{urlencode(given | changes)}"


class Place(NamedTuple):
    """Whose result an answer shows, at which path, and as what."""

    job_id: str
    path: str
    media_type: str


class Listed(NamedTuple):
    """Rows that can be shown from one number to another, and what an answer of JSON says before them."""

    head: dict[str, Any]
    name: str
    total: int
    show: Callable[[int, int], Sequence[Struct]]
    columns: Sequence[str]
    usual: int = DEFAULT_LIMIT  # rows of JSON where no limit is asked for
    cells: Callable[[Any], Iterable[Any]] | None = None  # of a row in CSV, where they are not its columns as they are


def words_answer(table: words.Table, language: str, asked: schemas.WordsQuery, place: Place) -> Answer:
    """A page of a job's words; the table is folded where the query wants it so."""
    rest = words.query(table, wanted_words(asked), language)

    def show(start: int, stop: int) -> list[words.Word]:
        return words.rows(rest, start, stop)

    def cells(row: words.Word) -> tuple[Any, ...]:
        return row.word, row.count, f"{row.share:.8f}", row.stop_word

    head, columns = {"id": place.job_id}, words.Word.__struct_fields__
    return listed_answer(Listed(head, "words", len(rest), show, columns, WORDS_LIMIT, cells), asked, place)


def listed_answer(listed: Listed, asked: Any, place: Place) -> Answer:
    """A page of rows as JSON or CSV, never larger than ``MAX_ANSWER_BYTES``, with a link to the next."""
    as_csv = place.media_type == CSV
    start = min(asked.offset, listed.total)
    usual = listed.total if as_csv else listed.usual
    stop = min(start + (usual if isinstance(asked.limit, UnsetType) else asked.limit), listed.total)
    cells = listed.cells or attrgetter(*listed.columns)
    shown = _shown(listed, start, stop)
    rows = _fitting(csv_lines(map(cells, shown)) if as_csv else map(encoded, shown))
    end = start + len(rows)
    following = address(place.path, asked, offset=end) if end < listed.total else None
    if as_csv:
        return csv_answer([*csv_lines([listed.columns]), *rows], following)
    about = {**listed.head, "total": listed.total, "offset": asked.offset}
    return page_answer({**about, listed.name: list(map(msgspec.Raw, rows))}, following)


def page_answer(fields: Mapping[str, Any], following: str | None) -> Answer:
    """A page as JSON, with the address of the next one."""
    return Answer(200, encoded({**fields, "next": following}), {"Content-Type": JSON, **link(following)})


def csv_answer(lines: Iterable[bytes], following: str | None) -> Answer:
    """A page as CSV, with the address of the next one."""
    return Answer(200, b"".join(lines), {"Content-Type": CSV_TYPE, **link(following)})


def _shown(listed: Listed, start: int, stop: int) -> Iterator[Struct]:
    for at in range(start, stop, STEP):
        yield from listed.show(at, min(at + STEP, stop))


def csv_lines(rows: Iterable[Iterable[Any]]) -> Iterator[bytes]:
    """Lines of RFC 4180. A text that a spreadsheet would run as a formula gets an apostrophe."""
    writer = csv.writer(SimpleNamespace(write=str), lineterminator="\r\n")  # gives back what it would write
    for row in rows:
        line: str = writer.writerow(map(_csv_value, row))
        yield line.encode()


def _csv_value(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        value = " ".join(value)
    return words.guarded(value) if isinstance(value, str) else value


def check_whole(made: Answer, *, limited: bool) -> None:
    """Refuse a file that holds a part of its table where none was asked for: nobody would see that it is cut."""
    following = _OFFSET.search(made.headers.get("Link", ""))
    if following is None or limited:
        return
    detail = (
        f"The whole table does not fit into one file. Ask for its first rows with limit={following[1]}, and for those "
        f"after them with offset={following[1]} and a limit."
    )
    raise Refused("answer-too-large", detail)


def _fitting(rows: Iterable[bytes]) -> list[bytes]:
    """The first rows that an answer has room for, at least one."""
    taken: list[bytes] = []
    size = 1000  # what stands around them
    for row in rows:
        size += len(row) + 1
        if taken and size > MAX_ANSWER_BYTES:
            break
        taken.append(row)
    return taken
