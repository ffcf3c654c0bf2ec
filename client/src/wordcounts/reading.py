"""Bytes to text, as the service reads pages: the byte order mark, what a document declares, else UTF-8."""

from __future__ import annotations

import codecs
import re

from .errors import CannotRead

# Labels that the WHATWG reads as another encoding than Python, or that Python does not know.
LABELS = {
    "ascii": "cp1252", "us-ascii": "cp1252", "iso-8859-1": "cp1252", "iso8859-1": "cp1252", "latin1": "cp1252",
    "iso-8859-9": "cp1254", "latin5": "cp1254", "iso-8859-11": "cp874", "tis-620": "cp874",
    "gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "gb_2312-80": "gb18030",
    "big5": "big5hkscs", "big5-hkscs": "big5hkscs", "shift_jis": "cp932", "shift-jis": "cp932", "sjis": "cp932",
    "x-sjis": "cp932", "windows-31j": "cp932", "euc-kr": "cp949", "ks_c_5601-1987": "cp949", "korean": "cp949",
    "utf-16": "utf-8", "utf-16le": "utf-8", "utf-16be": "utf-8", "x-mac-cyrillic": "mac-cyrillic",
    "macintosh": "mac-roman",    "x-user-defined": "cp1252", "unicode": "utf-8",
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
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
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
