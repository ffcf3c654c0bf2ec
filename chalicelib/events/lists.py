"""Lists of submissions, read line by line from a stream of bytes: ``.urls``, ``.csv`` and ``.jsonl``. Pure.

UTF-8 with or without a byte-order mark. What is wrong with a line stands at that line and stops nothing; what is wrong
with the whole list is an ``InvalidList``.
"""

import codecs
import csv
from collections.abc import Iterable, Iterator

import msgspec

from chalicelib import submissions
from chalicelib.errors import Fault, InvalidList, InvalidSubmission, Unreadable
from chalicelib.net import gzipped
from chalicelib.submissions import Submission

DELIMITERS = (",", ";", "\t")  # between the columns of a CSV
BROKEN = 100  # records with an open quote, after which a record has one line: each costs RECORD_BYTES to find
RECORD_BYTES = 32_768  # of a line of addresses or a CSV record, which may have several lines


class Line(msgspec.Struct, frozen=True):
    """One line that says something: its number (from 1), what it asks for or why not, and its length in bytes."""

    number: int
    submission: Submission | InvalidSubmission
    size: int


class Position(msgspec.Struct, frozen=True):
    """How far a list was read: so many bytes and lines; a CSV's first line says its columns and their delimiter."""

    offset: int = 0
    line: int = 0
    columns: tuple[str, ...] = ()
    delimiter: str = ","


START = Position()
_Physical = tuple[int, bytes | None, int]  # number, the line with its end (None where it is too long), bytes


def read(kind: str, chunks: Iterable[bytes], position: Position = START) -> Iterator[tuple[Line, Position]]:
    """Each line with the position after it; ``chunks`` start at ``position``. ``kind`` is urls, csv or jsonl."""
    raw = _Raw(chunks, position, submissions.MAX_BODY_BYTES if kind == "jsonl" else RECORD_BYTES)
    if kind == "csv":
        yield from _csv(raw, position.columns, position.delimiter)
        return
    for number, line, size in raw:
        if line is not None and (not line.strip() or (kind == "urls" and line.lstrip().startswith(b"#"))):
            continue
        try:
            found: Submission | InvalidSubmission = _of_line(kind, line)
        except InvalidSubmission as error:
            found = error
        yield Line(number, found, size), Position(raw.offset, number)


def _of_line(kind: str, line: bytes | None) -> Submission:
    if line is None:
        limit = submissions.MAX_BODY_BYTES if kind == "jsonl" else RECORD_BYTES
        raise Unreadable("body-too-large", f"The line is longer than {limit} bytes.")
    if kind == "jsonl":
        return _submission(submissions.decode(line))
    try:
        url = line.decode().strip()
    except UnicodeDecodeError:
        raise _not_utf8() from None
    return _submission({"url": url})


def _submission(fields: object) -> Submission:
    submissions.check_sizes(fields)
    return submissions.read(fields)


def _not_utf8() -> InvalidSubmission:
    return InvalidSubmission(Fault("", "the line is not UTF-8"))


# --- CSV ---


def _csv(raw: "_Raw", columns: tuple[str, ...], delimiter: str) -> Iterator[tuple[Line, Position]]:
    if not columns:
        columns, delimiter = _header(raw)
    for number, cells, size in _records(raw, delimiter):
        try:
            found: Submission | InvalidSubmission = _of_cells(columns, cells)
        except InvalidSubmission as error:
            found = error
        yield Line(number, found, size), Position(raw.offset, raw.number, columns, delimiter)


def _header(raw: "_Raw") -> tuple[tuple[str, ...], str]:
    """The columns, and what separates them: whichever of DELIMITERS leaves a column ``url``."""
    for number, line, size in raw:
        if line is not None and not line.strip():
            continue
        for delimiter in DELIMITERS:
            if line is None:
                break
            try:
                [cells] = csv.reader([line.decode(errors="surrogateescape")], delimiter=delimiter, strict=True)
            except (csv.Error, ValueError):
                continue
            columns = tuple(cell.strip().lower() for cell in cells)
            if columns.count("url") == 1:
                return columns, delimiter
        raw.put_back((number, line, size))
        raise InvalidList("The first line of a CSV must name its columns, one of them `url`.")
    return (), DELIMITERS[0]


def _of_cells(columns: tuple[str, ...], cells: list[str] | InvalidSubmission) -> Submission:
    if isinstance(cells, InvalidSubmission):
        raise cells
    if len(cells) > len(columns):
        raise InvalidSubmission(Fault("", f"has {len(cells)} cells under {len(columns)} columns"))
    fields = {name: cell.strip() for name, cell in zip(columns, cells, strict=False)}
    try:
        "".join(fields.values()).encode()
    except UnicodeEncodeError:
        raise _not_utf8() from None
    options: dict[str, object] = {name: fields[name] for name in submissions.OPTIONS if fields.get(name)}
    if (keep := options.get("keep_text")) in ("true", "false"):  # a CSV has texts only
        options["keep_text"] = keep == "true"
    return _submission({"url": fields.get("url", ""), **options})


def _records(raw: "_Raw", delimiter: str) -> Iterator[tuple[int, list[str] | InvalidSubmission, int]]:
    """Number of the first line, cells, bytes.

    A broken record costs its first line only, so that one stray quote does not swallow what follows.
    """
    while True:
        lines: list[_Physical] = []
        try:
            cells = next(csv.reader(_texts(raw, lines), delimiter=delimiter, strict=True))
        except StopIteration:
            return
        except csv.Error as error:
            yield _broken(raw, lines, f"is no CSV: {error}")
        except _TooLong:
            yield _broken(raw, lines, f"is longer than {RECORD_BYTES} bytes, or a quote is open")
        else:
            if any(cell.strip() for cell in cells):
                yield lines[0][0], cells, sum(size for _, _, size in lines)


def _broken(raw: "_Raw", lines: list[_Physical], detail: str) -> tuple[int, InvalidSubmission, int]:
    for line in reversed(lines[1:]):
        raw.put_back(line)
    raw.broken += len(lines) > 1
    number, _, size = lines[0]
    return number, InvalidSubmission(Fault("", detail)), size


class _TooLong(Exception):
    pass


def _texts(raw: "_Raw", lines: list[_Physical]) -> Iterator[str]:
    total = 0
    for number, line, size in raw:
        lines.append((number, line, size))
        if len(lines) > 1 and raw.broken > BROKEN:
            raise _TooLong
        total += size
        if line is None or total > RECORD_BYTES:
            raise _TooLong
        # Bytes that are no UTF-8 become half surrogates here, and an error of their own record later.
        yield line.decode(errors="surrogateescape")


# --- lines ---


class _Raw:
    """Physical lines, and where the reading of them stands."""

    def __init__(self, chunks: Iterable[bytes], position: Position, limit: int) -> None:
        self.offset = position.offset
        self.number = position.line
        self.broken = 0
        self._lines = _split(chunks, limit)
        self._back: list[_Physical] = []

    def __iter__(self) -> Iterator[_Physical]:
        return self

    def __next__(self) -> _Physical:
        if self._back:
            line = self._back.pop()
        else:
            text, size = next(self._lines)
            line = (self.number + 1, _without_bom(text) if self.offset == 0 else text, size)
        self.number, self.offset = line[0], self.offset + line[2]
        return line

    def put_back(self, line: _Physical) -> None:
        """Take back the line that was read last."""
        self._back.append(line)
        self.number, self.offset = line[0] - 1, self.offset - line[2]


def _without_bom(line: bytes | None) -> bytes | None:
    if line is not None and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidList("The list is UTF-16: store it as UTF-8.")
    if line is not None and line.startswith(gzipped.MAGIC):
        raise InvalidList("The list is compressed: let its name end in .gz.")
    return line if line is None else line.removeprefix(codecs.BOM_UTF8)


def _split(chunks: Iterable[bytes], limit: int) -> Iterator[tuple[bytes | None, int]]:
    """Each line with its bytes; None for a line beyond the limit, of which no more is kept than a chunk."""
    rest, skipped = b"", 0
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield None if skipped or len(line) > limit else line + b"\n", skipped + len(line) + 1
            skipped = 0
        if skipped or len(rest) > limit:
            rest, skipped = b"", skipped + len(rest)
    if rest or skipped:
        yield None if skipped else rest, skipped + len(rest)
