"""Bytes to text: which encoding a page is in, in the order of DESIGN's section 5, and what a browser reads then."""

import codecs
import re
from collections.abc import Callable

import webencodings


class BadEncoding(ValueError):
    """The page declares an encoding that no browser reads as text any more (WHATWG calls it *replacement*)."""


def read_content_type(header: str) -> tuple[str, str]:
    """The media type and the charset of a header; of one that came several times the last counts, as in browsers."""
    essence, charset = "", _charset(header)
    for value in _HEADER_VALUE.findall(header):
        name = value.partition(";")[0].strip().lower()
        if "/" in name and name != "*/*":
            charset = _charset(value) or (charset if name == essence else "")
            essence = name
    return essence, charset


def _charset(header: str) -> str:
    found = _HEADER_CHARSET.search(header)
    return (found[1] or found[2] or "") if found else ""


def kind_of(essence: str) -> str:
    """html, xml or plain, by the header; what is no text was refused before it came here."""
    if essence.endswith(("/xml", "+xml")):
        return "xml"
    if essence == "application/json" or (essence.startswith("text/") and essence != "text/html"):
        return "plain"
    return "html"


_PRESCAN_BYTES = 1024  # the standard's window
_LATE_META_BYTES = 65536  # a browser meets a later meta while parsing, and starts again
_HEADER_VALUE = re.compile(r"""(?:[^,"]|"[^"]*"?)+""")
_HEADER_CHARSET = re.compile(r"""charset\s*=\s*(?:"([^"]*)"?|([^\s;"]+))""", re.I)
_XML_ENCODING = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*(?:"([^">]*)"|'([^'>]*)')""")
_ISO_2022_JP = re.compile(rb"\x1b(?:\$[@B]|\([IJ])")


def decode(body: bytes, charset: str, kind: str) -> tuple[str, str]:
    """The text and the WHATWG name of its encoding; the order is DESIGN's: mark, header, meta, UTF-8, guess."""
    for mark, name in ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16be"), (b"\xff\xfe", "utf-16le")):
        if body.startswith(mark):
            return _decode_as(name, body[len(mark) :]), name
    name = _declared(body, charset, kind) or _sniffed(body, kind)
    if name == "replacement":
        raise BadEncoding("the page declares an encoding that browsers refuse to read")
    return _decode_as(name, body), name


def _declared(body: bytes, charset: str, kind: str) -> str | None:
    if encoding := webencodings.lookup(charset):
        return str(encoding.name)
    if kind == "html" and (name := _prescan(body[:_PRESCAN_BYTES])):
        return name
    if kind != "plain" and body.startswith((b"<?xml", b"<\0?\0", b"\0<\0?")):
        if body.startswith(b"<\0"):
            return "utf-16le"
        if body.startswith(b"\0<"):
            return "utf-16be"
        declaration = _XML_ENCODING.match(body[:_PRESCAN_BYTES])
        if declaration:
            return _from_markup(declaration[1] or declaration[2] or b"")
    return None


def _from_markup(label: bytes) -> str | None:
    """A label that stands in the bytes themselves, so UTF-16 cannot be true and x-user-defined is a fossil."""
    encoding = webencodings.lookup(label.decode("latin-1"))
    if encoding is None:
        return None
    name = str(encoding.name)
    return {"utf-16le": "utf-8", "utf-16be": "utf-8", "x-user-defined": "windows-1252"}.get(name, name)


_META_TOKEN = re.compile(rb"""<(?:!--.*?(?:(?<=<!)--|--)>|(meta)(?=[\s/])|/?[a-z]|[!/?][^>]*+>)""", re.I | re.S)
_META_ATTRIBUTE = re.compile(
    rb"""[\s/]*+([^\s/>=][^\s/>=]*+|=[^\s/>=]*+)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|(?=[^"'])([^\s>]*+)))?+""", re.S
)
_META_CHARSET = re.compile(rb"""charset\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s;"'][^\s;]*+))""", re.I)
_SPACE = b"\t\n\f\r "


def _prescan(head: bytes) -> str | None:
    """The standard's *prescan a byte stream to determine its encoding*."""
    at = 0
    while True:
        at = head.find(b"<", at)
        if at < 0:
            return None
        if head.startswith(b"<!--", at):
            end = head.find(b"-->", at + 2)
            if end < 0:
                return None
            at = end + 3
            continue
        after = head[at + 1 : at + 2]
        if re.match(rb"<meta[\t\n\f\r /]", head[at : at + 6], re.I):
            attributes, at = _attributes(head, at + 5)
            if at == len(head):  # cut off by the window's end, as its label may be
                return None
            if name := _meta_says(attributes):
                return name
        elif after.isalpha() or (after == b"/" and head[at + 2 : at + 3].isalpha()):
            name_end = re.compile(rb"[\t\n\f\r >]|\Z").search(head, at)
            at = _attributes(head, name_end.start() if name_end else len(head))[1]
        elif after in (b"!", b"/", b"?") and after:
            end = head.find(b">", at)
            if end < 0:
                return None
            at = end + 1
        else:
            at += 1


def _attributes(head: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """A tag's attributes, the first of a name counts, and where the tag ends."""
    attributes: dict[bytes, bytes] = {}
    while found := _META_ATTRIBUTE.match(head, at):
        value = found[2] or found[3] or found[4] or b""
        attributes.setdefault(found[1].lower(), value)
        at = found.end()
    return attributes, at


def _meta_says(attributes: dict[bytes, bytes]) -> str | None:
    """What a meta element declares: its charset, or the one in its content if it stands for an HTTP header."""
    if b"charset" in attributes:
        return _from_markup(attributes[b"charset"].strip(_SPACE))
    if attributes.get(b"http-equiv", b"").lower() == b"content-type":
        found = _META_CHARSET.search(attributes.get(b"content", b""))
        if found:
            return _from_markup((found[1] or found[2] or found[3] or b"").strip(_SPACE))
    return None


def _sniffed(body: bytes, kind: str) -> str:
    """The encoding of a page that declares none in time."""
    sample = body[:4096]
    if b"\0" in sample:  # in UTF-16 all that is ASCII has a NUL in every second byte, other text has none
        even, odd = sample[0::2].count(0), sample[1::2].count(0)
        if max(even, odd) * 20 > len(sample) // 2 + 40 and min(even, odd) * 8 < max(even, odd):
            return "utf-16be" if even > odd else "utf-16le"
    if body.isascii():
        return "iso-2022-jp" if _ISO_2022_JP.search(body) else "windows-1252"
    if _is_utf8(body):
        return "utf-8"
    late = _prescan(body[:_LATE_META_BYTES]) if kind == "html" else None
    return late or _guessed(body)


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:  # a page cut at the size limit may end within a character
        return error.reason == "unexpected end of data" and not body[: error.start].isascii()
    return True


_MARKUP = re.compile(rb"</?[a-zA-Z][^<>]{0,1000}>")
_WORD = re.compile(r"[^\W\d_]+")
_SURE = 0.15  # below it, and with few bytes to judge, chardet guesses among scripts: accents in ASCII are Western
_ENOUGH = 20
_RUN = re.compile(rb"[a-zA-Z\x80-\xff]+")
_NOT_WESTERN = re.compile(rb"(?<![a-zA-Z])[\xc0-\xff]{3}")  # no Western word starts with three accents
_TWINS = {"windows-1250": "iso-8859-2", "windows-1253": "iso-8859-7", "windows-1255": "iso-8859-8"}
# What browsers read, by Python's names; the rest of what chardet knows would only be mistaken for it.
_GUESSES = {f"cp125{n}": f"windows-125{n}" for n in range(9)}
_GUESSES |= {f"iso8859-{n}": f"iso-8859-{n}" for n in (2, 4, 5, 6, 7, 8, 13)}
_GUESSES |= {"cp866": "ibm866", "cp874": "windows-874", "koi8-r": "koi8-r", "koi8-u": "koi8-u"}
_GUESSES |= {"mac-cyrillic": "x-mac-cyrillic", "gb18030": "gb18030", "big5hkscs": "big5", "cp932": "shift_jis"}
_GUESSES |= {"euc_jis_2004": "euc-jp", "cp949": "euc-kr", "euc_kr": "euc-kr"}


def _guessed(body: bytes) -> str:
    """What the bytes look like; windows-1252 where nothing can be told."""
    import chardet  # loaded for the few pages that need it: 50 ms and its models

    words = _MARKUP.sub(b" ", body[:200_000])  # tags are ASCII and say nothing
    if all(word.isascii() for word in _WORD.findall(_decode_as("windows-1252", words))):
        return "windows-1252"  # quotes, dashes, currencies: no word hangs on them
    distinct = b"".join(set(_RUN.findall(words)))  # a word that comes again tells nothing new
    few = sum(byte >= 0x80 for byte in distinct) < _ENOUGH and not _NOT_WESTERN.search(words)
    for guess in chardet.detect_all(words, ignore_threshold=True, include_encodings=_GUESSES, compat_names=False):
        if few and guess["confidence"] < _SURE:
            break
        name = _GUESSES.get(guess["encoding"] or "")
        if name and not _mixes_scripts(_decode_as(name, words)):
            return _twin(name, words)
    return "windows-1252"


def _mixes_scripts(text: str) -> bool:
    """Whether words are part ASCII, part an alphabet from Greek to Thai, as accents read in a wrong encoding are."""
    foreign = [word for word in _WORD.findall(text) if not word.isascii()][:1000]
    mixed = sum(bool(re.search("[A-Za-z]", word) and re.search("[\u0370-\u0e7f]", word)) for word in foreign)
    return mixed * 2 >= len(foreign) > 0


def _twin(name: str, words: bytes) -> str:
    """Of a Windows code page and the ISO one that it extends, the one that reads the bytes as letters."""
    windows = next((key for key, iso in _TWINS.items() if name in (key, iso)), "")
    foreign = bytes(byte for byte in words if byte >= 0x80)
    if not windows or any(byte < 0xA0 for byte in foreign):  # controls in the ISO encoding
        return windows or name
    ours, theirs = _decode_as(windows, foreign), _decode_as(_TWINS[windows], foreign)
    # In a tie it is the ISO one: what it has where Windows has other letters (š and ž), Windows has below A0.
    more = sum(map(str.isalpha, theirs)) - theirs.count("\ufffd") >= sum(map(str.isalpha, ours))
    return _TWINS[windows] if more and theirs != ours else windows


_CODECS = {"gbk": "gb18030", "iso-8859-8-i": "iso8859-8"}  # the standard decodes GBK as its superset


def _decode_as(name: str, body: bytes) -> str:
    """Decode as the standard does where Python's codec of that name is narrower."""
    if name == "iso-2022-jp":
        return _decode_iso_2022_jp(body)
    if name == "x-user-defined":
        return "".join(chr(byte if byte < 128 else 0xF700 + byte) for byte in body)
    codec = _CODECS.get(name) or webencodings.lookup(name).codec_info.name
    return body.decode(codec, f"wordcounts.{name}" if name in _REPAIRS else "replace")


def _repair_single(error: UnicodeError) -> tuple[str, int]:
    """Bytes 80 to 9F that a Windows code page leaves open are the control characters of the same number."""
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101
    byte = error.object[error.start]
    return chr(byte) if 0x80 <= byte <= 0x9F else "\ufffd", error.start + 1


def _repair_gbk(error: UnicodeError) -> tuple[str, int]:
    """A lone byte 80 is the euro sign, as in Windows' code page 936."""
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101
    return "€" if error.object[error.start] == 0x80 else "\ufffd", error.start + 1


def _repair_euc_jp(error: UnicodeError) -> tuple[str, int]:
    """The vendors' rows (circled digits and the like), which Python knows only in Shift_JIS."""
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101
    pair = error.object[error.start : error.start + 2]
    if len(pair) == 2 and min(pair) >= 0xA1:
        return _jis(bytes(byte & 0x7F for byte in pair)), error.start + 2
    return "\ufffd", error.start + 1


_REPAIRS: dict[str, Callable[[UnicodeError], tuple[str, int]]] = {
    **{f"windows-{page}": _repair_single for page in (874, *range(1250, 1259))},
    "gbk": _repair_gbk,
    "gb18030": _repair_gbk,
    "euc-jp": _repair_euc_jp,
}
for _name, _repair in _REPAIRS.items():
    codecs.register_error(f"wordcounts.{_name}", _repair)


def _jis(pairs: bytes) -> str:
    """Two-byte JIS through Windows' Shift_JIS, whose table is the one that the standard uses."""
    shifted = bytearray()
    for high, low in zip(pairs[0::2], pairs[1::2], strict=False):
        shifted.append(((high + 1) >> 1) + (0x70 if high < 0x5F else 0xB0))
        shifted.append(low + (0x1F + (low >= 0x60) if high & 1 else 0x7E))
    return shifted.decode("cp932", "replace")


def _decode_iso_2022_jp(body: bytes) -> str:
    out = []
    pieces = re.split(rb"\x1b([$(][@BIJ])", body)
    out.append(pieces[0].decode("ascii", "replace"))
    for escape, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        if escape in (b"$@", b"$B"):
            for part in re.split(rb"([^\x21-\x7e]+)", piece):
                out.append(part.decode("ascii", "replace") if part[:1] < b"!" or part[:1] > b"~" else _jis(part))
        elif escape == b"(I":
            out.append("".join(chr(0xFF40 + byte) if 0x21 <= byte <= 0x5F else chr(byte & 0x7F) for byte in piece))
        elif escape == b"(J":
            out.append(piece.decode("ascii", "replace").replace("\\", "¥").replace("~", "‾"))
        else:
            out.append(piece.decode("ascii", "replace"))
    return "".join(out)
