"""Bytes to text: in the encoding of the byte order mark, the header or a meta, else UTF-8, or what they look like."""

import re

from turbohtml import parse
from turbohtml.detect import detect

from chalicelib.errors import AttemptFailed, ErrorKind
from chalicelib.text.kinds import charset_of
from chalicelib.text.rendering import tree_of

_PRESCAN_BYTES = 1024  # the standard's window
_LATE_META_BYTES = 65536  # a browser meets a later meta while parsing, and starts again
_XML_ENCODING = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*(?:"([^">]*)"|'([^'>]*)')""")


def decode(body: bytes, charset: str, kind: str) -> tuple[str, str]:
    """The text and the WHATWG name of its encoding, lower case. ``kind`` is html, xml or plain."""
    for mark, name in ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16be"), (b"\xff\xfe", "utf-16le")):
        if body.startswith(mark):
            return _decode_as(name, body[len(mark) :]), name
    name = _canonical(charset) or _declared(body, kind) or _sniffed(body, kind)
    if name == "replacement":
        raise AttemptFailed(ErrorKind.BAD_ENCODING, "the page declares an encoding that browsers refuse to read")
    return _decode_as(name, body), name


def _decode_as(name: str, body: bytes) -> str:
    """As the standard decodes; of its decoders only UTF-8's is the same in Python, where it is faster."""
    return body.decode("utf-8" if name == "utf-8" else f"whatwg-{name}", "replace")


def _canonical(label: str) -> str:
    """The encoding that a label names, or nothing."""
    try:
        return (parse(b"", encoding=label).encoding or "").lower() if label.isascii() else ""
    except (LookupError, ValueError):
        return ""


def _declared(body: bytes, kind: str) -> str:
    """What the bytes themselves declare, so UTF-16 cannot be true and x-user-defined is a fossil."""
    head = body[:_PRESCAN_BYTES]
    if kind == "html":
        page = parse(head)
        # Its confidence is certain where it found a declaration, but not in one that browsers refuse.
        if page.encoding_confidence == "certain" or page.encoding == "replacement":
            return (page.encoding or "").lower()
    if kind == "plain":
        return ""
    if body.startswith((b"<\0?\0", b"\0<\0?")):
        return "utf-16le" if body[0] else "utf-16be"
    found = _XML_ENCODING.match(head)
    return _not_wide(_canonical((found[1] or found[2] or b"").decode("latin-1")) if found else "")


def _not_wide(name: str) -> str:
    return {"utf-16le": "utf-8", "utf-16be": "utf-8", "x-user-defined": "windows-1252"}.get(name, name)


def _sniffed(body: bytes, kind: str) -> str:
    """The encoding of a page that declares none in time."""
    sample = body[:4096]
    if b"\0" in sample:  # in UTF-16 all that is ASCII has a NUL in every second byte, other text has none
        even, odd = sample[0::2].count(0), sample[1::2].count(0)
        if max(even, odd) * 20 > len(sample) // 2 + 40 and min(even, odd) * 8 < max(even, odd):
            return "utf-16be" if even > odd else "utf-16le"
    if body.isascii() and b"\x1b" not in body:
        return "utf-8" if kind == "xml" else "windows-1252"
    if not body.isascii() and _is_utf8(body):
        return "utf-8"
    late = _late_meta(body) if kind == "html" else ""
    if late not in ("", "windows-1252"):
        return late
    foreign = _decode_as("windows-1252", bytes(byte for byte in set(body) if byte >= 0x80))
    if foreign and not any(map(str.isalpha, foreign)):
        return "windows-1252"  # quotes, dashes, currencies: no word hangs on them
    return (detect(body).encoding or "windows-1252").lower()


def _late_meta(body: bytes) -> str:
    """What the first ``meta`` behind the standard's window declares."""
    metas = tree_of(body[:_LATE_META_BYTES].decode("latin-1")).iter_elements({"meta"})
    named = (meta.attrs.get("charset") or charset_of(meta.attrs.get("content") or "") for meta in metas)
    return _not_wide(next(filter(None, map(_canonical, named)), ""))


def _is_utf8(body: bytes) -> bool:
    """Whether a page is UTF-8, up to an invalid sequence in a thousand characters or one cut off at the end."""
    try:
        body.decode("utf-8")
        return True
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and not body[: error.start].isascii():
            return True
    text = body.decode("utf-8", "replace")
    wrong = text.count("\ufffd") - body.count("\ufffd".encode())
    right = len(text) - len(text.encode("ascii", "ignore")) - text.count("\ufffd")
    return wrong * 1000 <= len(text) and right >= wrong
