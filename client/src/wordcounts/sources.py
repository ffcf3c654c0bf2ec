"""What is to be counted: addresses, files, folders, lists and standard input, each as what can be submitted."""

import codecs
import contextlib
import csv
import difflib
import gzip
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import CannotRead

Source = str | os.PathLike[str]

HTML = (".html", ".htm", ".xhtml", ".xht")
TEXT = (".txt", ".text", ".md", ".markdown", ".rst", ".adoc", ".org", ".tex", ".srt", ".vtt")  # of a folder's files
OTHER = (".json", ".xml", ".log", ".pdf", ".docx")  # of names that are no hosts
LISTS = (".urls", ".csv", ".tsv", ".jsonl", ".ndjson")
FILE_BYTES = 100_000_000  # more is for a corpus
_LOCAL = re.compile(r"(localhost|\d+\.\d+\.\d+\.\d+)(?P<port>:\d+)?", re.I)
# Of one request: what the service takes. Sent together, since a corpus takes 10,000 requests.
DOCUMENTS, BYTES = 1_000, 4_000_000
OPTIONS = ("select", "ignore", "language", "content", "words", "numbers", "keep_text")


@dataclass(frozen=True)
class Reading:
    """How files are read: an encoding where they do not say theirs, and whether all of them are HTML."""

    encoding: str | None = None
    html: bool = False


AS_IT_IS = Reading()


@dataclass(frozen=True)
class Input:
    """One text to count: its name, and an address, a file or fields of a submission; or why there is none."""

    name: str
    url: str | None = None
    path: Path | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    reading: Reading = Reading()
    error: CannotRead | None = None

    def load(self) -> dict[str, Any]:
        """The fields of a submission; ``CannotRead`` says why there are none."""
        if self.error is not None:
            raise self.error
        if self.url is not None:
            return {"url": self.url, **self.fields}
        if self.path is None:
            return dict(self.fields)
        return {**_document(self.name, _content(self.path), self.path.name, self.reading), **self.fields}


def expand(sources: Iterable[Source], reading: Reading = AS_IT_IS) -> Iterator[Input]:
    """Everything that the sources name, in their order; a folder's files by name. What is wrong is an input's error."""
    for source in sources:
        try:
            yield from _expanded(source, reading)
        except CannotRead as error:
            yield Input(os.fspath(source), error=error)


def single(source: Source, reading: Reading = AS_IT_IS) -> Input:
    """The one text that a source names; ``CannotRead`` where it names many."""
    found = list(expand([source], reading))
    if len(found) != 1:
        raise CannotRead(
            f"{os.fspath(source)} names {len(found)} texts, and one is expected.",
            type="many",
            advice="Name one of them, or count them with `count_many` or `wordcounts count`.",
        )
    if found[0].error is not None:
        raise found[0].error
    return found[0]


def _expanded(source: Source, reading: Reading) -> Iterator[Input]:
    given = os.fspath(source)
    if isinstance(source, str) and "://" in given:
        yield Input(given, url=given)
        return
    if given == "-":
        yield Input("standard input", fields=_document("standard input", sys.stdin.buffer.read(), "", reading))
        return
    if not given:
        raise CannotRead("The name is empty.", type="missing", advice="Name an address, a file or a folder.")
    path = Path(given)
    try:
        path.stat()
    except (OSError, ValueError) as error:
        raise _missing(path, error) from None
    if path.is_dir():
        yield from _folder(path, reading)
    elif _suffix(path.name) in LISTS and (rows := _list(path, reading)) is not None:
        first = next(rows, None)
        if first is None:
            raise CannotRead(f"The list {path} is empty.", type="missing", advice="Write one address on each line.")
        yield first
        yield from rows
    else:
        _check(path)
        yield Input(given, path=path, reading=reading)


def _folder(folder: Path, reading: Reading) -> Iterator[Input]:
    """A folder's texts, those in its folders too; hidden ones are passed over."""
    found = 0
    for at, folders, names in os.walk(folder, onerror=_cannot_list):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and _suffix(name) in (*HTML, *TEXT):
                found += 1
                path = Path(at, name)
                yield Input(str(path), path=path, reading=reading)
    if not found:
        raise CannotRead(
            f"{folder} has no texts.",
            type="missing",
            advice="Of a folder, .txt, .md, .html files and the like are read; name others one by one.",
        )


def _cannot_list(error: OSError) -> None:
    raise _missing(Path(error.filename), error)


def _suffix(name: str) -> str:
    """What a name ends in, without .gz."""
    return Path(name.lower().removesuffix(".gz")).suffix


def _check(path: Path) -> None:
    try:
        if path.stat().st_size > FILE_BYTES:
            raise CannotRead(
                f"{path} has {path.stat().st_size / 1e6:,.0f} MB, and at most {FILE_BYTES // 10**6} are read.",
                type="too-large",
                advice="Cut it into files (split -C 900k) and count the folder.",
            )
    except OSError as error:
        raise _missing(path, error) from None


def _missing(path: Path, error: OSError | ValueError) -> CannotRead:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        why = getattr(error, "strerror", None) or error
        shown = str(path)[:100]
        return CannotRead(f"{shown} cannot be read: {why}.", type="missing", advice=f"Look at it: ls -l {shown}")
    if path.is_symlink():
        return CannotRead(f"{path} is a link to what is not there.", type="missing", advice=f"Look at it: ls -l {path}")
    host = path.parts[0] if path.parts else ""
    is_name = len(path.parts) == 1 and _suffix(path.name) in (*HTML, *TEXT, *LISTS, *OTHER)
    address = "." in host.strip(".") and not is_name and not set("*?") & set(host)
    scheme = "https"
    if found := _LOCAL.fullmatch(host):  # where https is rare
        scheme, address = "http", address or bool(found["port"])
    advice = (
        f"If it is an address, write {scheme}://{path}" if address else "Check the name, or give an address: https://…"
    )
    if near := _nearly(path):
        advice = f"Did you mean {near}?"
    return CannotRead(f"There is no file {path}.", type="missing", advice=advice)


def _nearly(path: Path) -> str:
    """A file beside it that has almost its name."""
    with contextlib.suppress(OSError):
        found = difflib.get_close_matches(path.name, os.listdir(path.parent)[:10_000], 1, 0.8)
        return str(path.parent / found[0]) if found else ""
    return ""


def _content(path: Path) -> bytes:
    _check(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _missing(path, error) from None
    return _unzipped(path, data) if path.name.lower().endswith(".gz") else data


def _unzipped(path: Path, data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            content = file.read(FILE_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        raise CannotRead(f"{path} is not gzip, or is cut off.", type="not-text", advice="Make it anew.") from None
    if len(content) > FILE_BYTES:
        raise CannotRead(
            f"{path} has more than {FILE_BYTES // 10**6} MB.", type="too-large", advice="Cut it into files."
        )
    return content


def _document(name: str, data: bytes, file_name: str, reading: Reading) -> dict[str, Any]:
    html = reading.html or _suffix(file_name) in HTML
    return {"html" if html else "text": decode(name, data, reading.encoding, html=html)}


# --- documents of a corpus ---


def documents(
    given: Iterable[Mapping[str, Any] | Source], refused: list[dict[str, Any]], reading: Reading
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and fields of each; what cannot be read is refused here."""
    for one in given:
        if isinstance(one, Mapping):
            yield str(one.get("key") or one.get("url") or ""), one
            continue
        for source in expand([one], reading):
            try:
                fields = dict(source.load())
            except CannotRead as error:
                refused.append({"key": source.name, "errors": [{"detail": str(error)}]})
                continue
            yield source.name, fields if "url" in fields else {"key": source.name[-300:], **fields}


def batches(given: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[list[tuple[str, bytes]]]:
    """The documents as lines, as many together as one request takes."""
    batch: list[tuple[str, bytes]] = []
    size = 0
    for name, document in given:
        line = json.dumps(document).encode()
        if batch and (len(batch) == DOCUMENTS or size + len(line) > BYTES):
            yield batch
            batch, size = [], 0
        batch.append((name, line))
        size += len(line) + 1
    if batch:
        yield batch


# --- lists ---


def _list(path: Path, reading: Reading) -> Iterator[Input] | None:
    """The inputs that a list names; None where a CSV has no column ``url``, and is a text then."""
    kind = _suffix(path.name)
    if kind == ".urls":
        return _urls(path, reading)
    if kind in (".csv", ".tsv"):
        text = decode(str(path), _content(path), reading.encoding)
        return _table(path, text)
    return _lines(path, reading)


def _urls(path: Path, reading: Reading) -> Iterator[Input]:
    """One address a line; # begins a comment."""
    for number, line in enumerate(decode(str(path), _content(path), reading.encoding).splitlines(), 1):
        url = line.strip()
        if url and not url.startswith("#"):
            yield Input(url if "://" in url else f"{path}:{number}", url=url)


def _table(path: Path, text: str) -> Iterator[Input] | None:
    head = text.partition("\n")[0]
    for delimiter in (",", ";", "\t"):
        columns = [cell.strip().lower() for cell in next(csv.reader([head], delimiter=delimiter), [])]
        if columns.count("url") == 1:
            return _rows(path, text, columns, delimiter)
    return None


def _rows(path: Path, text: str, columns: list[str], delimiter: str) -> Iterator[Input]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        next(reader)
        for cells in reader:
            row = {name: cell.strip() for name, cell in zip(columns, cells, strict=False)}
            if url := row.get("url"):
                yield Input(url, url=url, fields={name: row[name] for name in OPTIONS if row.get(name)})
    except csv.Error as error:
        name = f"{path}:{reader.line_num}"
        yield Input(name, error=CannotRead(f"{name} is no CSV: {error}.", type="bad-list", advice="Mend the line."))


def _lines(path: Path, reading: Reading) -> Iterator[Input]:
    for number, line in enumerate(decode(str(path), _content(path), reading.encoding).split("\n"), 1):
        if not line.strip():
            continue
        fields = None
        with contextlib.suppress(ValueError, RecursionError):
            fields = json.loads(line)
        name = f"{path}:{number}"
        if isinstance(fields, dict) and sum(kind in fields for kind in ("url", "text", "html")) == 1:
            yield Input(str(fields.get("key") or fields.get("url") or name), fields=fields)
        else:
            advice = 'Each line must be an object such as {"url": "https://…"} or {"text": "…"}.'
            yield Input(name, error=CannotRead(f"{name} is no submission.", type="bad-list", advice=advice))


# --- bytes to text, as the service reads pages: the byte order mark, what a document declares, else UTF-8 ---

# Labels that the WHATWG reads as another encoding than Python, or that Python does not know.
LABELS = {
    "ascii": "cp1252", "us-ascii": "cp1252", "iso-8859-1": "cp1252", "iso8859-1": "cp1252", "latin1": "cp1252",
    "iso-8859-9": "cp1254", "latin5": "cp1254", "iso-8859-11": "cp874", "tis-620": "cp874",
    "gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "gb_2312-80": "gb18030",
    "big5": "big5hkscs", "shift_jis": "cp932", "shift-jis": "cp932", "sjis": "cp932",
    "x-sjis": "cp932", "windows-31j": "cp932", "euc-kr": "cp949", "ks_c_5601-1987": "cp949", "korean": "cp949",
    "utf-16": "utf-8", "utf-16le": "utf-8", "utf-16be": "utf-8", "x-mac-cyrillic": "mac-cyrillic",
    "x-user-defined": "cp1252", "unicode": "utf-8",
}  # fmt: skip
_META = re.compile(rb"""<meta\b[^>]*?\bcharset\s*=\s*["']?\s*([\w.:-]+)""", re.I)
_XML = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)""")
_BROWSERS = re.compile(
    r"utf-8|cp125\d|cp866|cp874|cp932|cp949|iso8859-\d+|koi8-[ru]|mac-(?:roman|cyrillic)|gb18030|big5hkscs|euc_jp|iso2022_jp"
)  # no UTF-7: in it, what looks harmless is markup
_META_BYTES = 65_536  # a browser meets a later meta while parsing, and starts again
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_KNOWN = (
    (b"%PDF-", "a PDF", "Convert it first: pdftotext {name}"),
    (b"PK\x03\x04", "an archive or an office document", "Save it as text or HTML first."),
    (b"\xd0\xcf\x11\xe0", "an office document", "Save it as text or HTML first."),
    (b"{\\rtf", "an RTF document", "Save it as text or HTML first."),
)


def decode(name: str, data: bytes, encoding: str | None = None, *, html: bool = False) -> str:
    """The text of a file without NULs; ``CannotRead`` where it is none, or where nothing says its encoding."""
    for sign, kind, advice in _KNOWN:
        if data.startswith(sign):
            raise CannotRead(f"{name} is {kind}, not a text.", type="not-text", advice=advice.format(name=name))
    text = _decoded_as(name, data, encoding) if encoding else _decoded(name, data, html)
    if text.count("\0") * 100 > len(text):  # a page may have a stray one
        raise _binary(name)
    return text.replace("\0", "")


def _decoded(name: str, data: bytes, html: bool) -> str:
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(codec, "replace")
    if html and (codec := _declared(data)):
        return _as_whatwg(data, codec)
    with contextlib.suppress(UnicodeDecodeError):
        return data.decode()
    if b"\0" in data[:4096]:
        raise _binary(name)
    foreign = bytes({byte for byte in data if byte >= 0x80})
    if not any(map(str.isalpha, _as_whatwg(foreign, "cp1252"))):
        return _as_whatwg(data, "cp1252")  # quotes, dashes, currencies: no word hangs on them
    raise CannotRead(
        f"{name} is not UTF-8, and does not say what it is.",
        type="unknown-encoding",
        advice="Name its encoding, such as --encoding windows-1252 (Western Europe) or windows-1251 (Cyrillic).",
    )


def _declared(data: bytes) -> str:
    """The codec that a page's XML declaration or meta names; empty where there is none that is known."""
    found = _XML.match(data[:1024]) or _META.search(data[:_META_BYTES])
    if not found:
        return ""
    label = found[1].decode("ascii").lower()
    codec = known(LABELS.get(label, label))
    return codec if _BROWSERS.fullmatch(codec) else ""


def known(name: str) -> str:
    """Python's name of an encoding; empty where it knows none, or one that is no encoding of texts."""
    try:
        found = codecs.lookup(name)
    except (LookupError, UnicodeError):
        return ""
    return found.name if found._is_text_encoding else ""


def _as_whatwg(data: bytes, codec: str) -> str:
    """As browsers decode: what is no character becomes one that says so, in windows-1252 a control character."""
    if codec == "cp1252":
        return "".join(_control_or_character(data))
    return data.decode(codec, "replace")


def _control_or_character(data: bytes) -> list[str]:
    pieces: list[str] = []
    rest = data
    while rest:
        try:
            return [*pieces, rest.decode("cp1252")]
        except UnicodeDecodeError as error:
            pieces += [rest[: error.start].decode("cp1252"), chr(rest[error.start])]
            rest = rest[error.start + 1 :]
    return pieces


def _decoded_as(name: str, data: bytes, encoding: str) -> str:
    if not (codec := known(encoding)):
        raise CannotRead(
            f"Python knows no encoding {encoding!r}.",
            type="unknown-encoding",
            advice="Try utf-8, utf-16, windows-1252 or gb18030.",
        )
    try:
        text = data.decode(codec)
    except UnicodeError:
        raise CannotRead(
            f"{name} is not a text in {encoding}.",
            type="unknown-encoding",
            advice="Leave --encoding out, or name another.",
        ) from None
    return text.removeprefix("\ufeff")


def _binary(name: str) -> CannotRead:
    return CannotRead(
        f"{name} is a binary file, not a text.",
        type="not-text",
        advice="Only text and HTML are counted: convert it first.",
    )
