"""Bytes of a page to the words that a reader sees, in the reader's order: what a browser's innerText gives with
scripting off, its default styles, the ``hidden`` attribute and inline styles.

Three steps, none of which builds a tree: the bytes are decoded (in the order of DESIGN's section 5), one regular
expression cuts the markup into tokens as the HTML standard does, and a walk over the tokens keeps just enough of the
standard's tree construction to know what is hidden, where a line ends, and what a table pushes in front of itself. The
walk is linear whatever it is given; docs/adr/0003 says why it is ours and not a parser's.
"""

import codecs
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any, NamedTuple
from unicodedata import normalize

import webencodings


class BadSelector(ValueError):
    """``select`` or ``ignore`` is no CSS selector, or costs more than a job may take; the message says which."""


class BadEncoding(ValueError):
    """The page declares an encoding that no browser reads as text any more (WHATWG calls it *replacement*)."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a reader sees of a page.

    ``text``: the words, separated by any white space. ``title``: None without one. ``language``: the tag as the page
    declares it, lower case with hyphens (``pt-br``), or None. ``encoding``: the WHATWG name, lower case.
    """

    text: str
    title: str | None
    language: str | None
    encoding: str


def extract(
    body: bytes, content_type: str | None = None, *, select: str | None = None, ignore: str | None = None
) -> Page:
    """Read a page as a browser shows it, narrowed by two optional CSS selectors.

    ``content_type`` is the HTTP header, None means HTML. Raises BadSelector and BadEncoding; never fails on markup.
    """
    essence, charset = _content_type(content_type or "")
    kind = _kind(essence)
    text, encoding = _decode(body, charset, kind)
    if kind == "plain":
        return Page(text.replace("\0", ""), None, None, encoding)
    text = text.replace("\0", "")  # a browser drops them, and they would split names
    is_xml = kind == "xml"
    if is_xml and _XHTML(text) is None:
        return Page(_xml_text(text), None, None, encoding)
    walk = _Walk(is_xml)
    walk.quirks = not _STANDARD.match(text)
    walk.run(text)
    if select or ignore:
        narrowed = _narrow(text, select, ignore)
        inner = _Walk(False)
        inner.run(narrowed)
        return Page(inner.text(), walk.title, walk.language, encoding)
    return Page(walk.text(), walk.title, walk.language, encoding)


# --- The encoding -----------------------------------------------------------------------------------------------------


def _content_type(header: str) -> tuple[str, str]:
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


def _kind(essence: str) -> str:
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


def _decode(body: bytes, charset: str, kind: str) -> tuple[str, str]:
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


# --- The tokens -------------------------------------------------------------------------------------------------------

# Quotes hide a ">" only where a value begins; all is possessive, so that nothing is read twice.
_VALUE = r"""[ \t\n\f\r]*+(?:"[^"]*+"?|'[^']*+'?|[^ \t\n\f\r>"'][^ \t\n\f\r>]*+)?"""
_ATTRIBUTES = rf"""[^>=]*+(?:="[^"]*+"[^>=]*+)*+(?:>|(?:={_VALUE}[^>=]*+)*+>?)"""  # the usual form first
_ENDS = r"[ \t\n\f\r/>]"  # what may follow a tag's name
_RAW = "|".join(
    rf"(?ai:{name})(?={_ENDS}){_ATTRIBUTES}[^<]*+(?:<(?!/(?ai:{name}){_ENDS})[^<]*+)*+"
    for name in ("style", "title", "textarea", "xmp", "iframe", "noembed", "noframes")
)
# Within a script "<!-- <script>" opens a second level, whose own end tag does not end the script.
_SCRIPT = (
    rf"(?ai:script)(?={_ENDS}){_ATTRIBUTES}[^<]*+(?:<(?!/(?ai:script){_ENDS})"
    rf"(?:!--(?:(?!-->|</(?ai:script){_ENDS})(?:<(?ai:script){_ENDS}"
    rf"(?:(?!-->|</(?ai:script){_ENDS}).)*+(?:</(?ai:script){_ENDS})?|.))*+)?[^<]*+)*+"
)
# An element whose content is no markup is one token up to its end tag; the first letters keep other tags quick.
_ELEMENT = (
    r"(?=[sS][cCtT]|[tT][eEiI]|[xX][mM]|[iI][fF]|[nN][oO]|[pP][lL])"
    rf"(?:{_SCRIPT}|{_RAW}|(?ai:plaintext)(?={_ENDS}){_ATTRIBUTES}.*+)|[a-zA-Z]{_ATTRIBUTES}"
)
_COMMENT = r"!--(?:-?>|.*?(?:--!?>|\Z))|[!?][^>]*+>?|/(?:>|[^a-zA-Z>][^>]*+>?)"
_TOKEN = re.compile(rf"(<(?:/[a-zA-Z]{_ATTRIBUTES}|{_ELEMENT}|{_COMMENT}))", re.S)
_XML_TOKEN = re.compile(
    rf"(<(?:/?[^\s<>/!?]{_ATTRIBUTES}|!--.*?(?:-->|\Z)|!\[CDATA\[.*?(?:\]\]>|\Z)|[!?][^>]*+>?))", re.S
)
# A page without a doctype, or with one of the nineties, is read in quirks mode.
_NINETIES = (
    r"w3c//dtd html (?:[23]|4\.0 (?:transitional|frameset)|experimental)|ietf//|netscape|microsoft|softquad"
    r"|sun |webtechs|spyglass|w3o//|o'reilly|sq//|as//|advasoft|metrius"
)
_STANDARD = re.compile(
    r"(?:[ \t\n\f\r\ufeff]|<!--.*?-->|<\?[^>]*+>)*+<!doctype[ \t\n\f\r]*+html(?=[ \t\n\f\r>])"
    rf"""(?![^>]*?["']-//(?:{_NINETIES}|w3c//dtd html 4\.01 (?:transitional|frameset)//[a-z]*["']\s*>))""",
    re.I | re.S,
)
_TAG = re.compile(rf"<[^<>]{_ATTRIBUTES}")
_TAG_NAME = re.compile(r"<(/?[^ \t\n\f\r/>!?][^ \t\n\f\r/>]*)")
_ATTRIBUTE = re.compile(
    r"""[ \t\n\f\r/]*+([^ \t\n\f\r/>=][^ \t\n\f\r/>=]*+|=[^ \t\n\f\r/>=]*+)"""
    r"""(?:[ \t\n\f\r]*+=[ \t\n\f\r]*+(?:"([^"]*+)"?|'([^']*+)'?|([^ \t\n\f\r>]*+)))?+"""
)


_REFERENCE = re.compile(r"&(?:#(?:[xX]([0-9a-fA-F]++)|([0-9]++));?|[a-zA-Z][a-zA-Z0-9]{1,31};?)")


def _unescape(text: str) -> str:
    """Character references as a browser reads them."""
    return _REFERENCE.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    """Python's unescape drops the control characters, and fails on numbers of thousands of digits."""
    digits = (found[1] or found[2] or "").lstrip("0")
    if not (found[1] or found[2]):
        return unescape(found[0])
    code = int(digits or "0", 16 if found[1] else 10) if len(digits) < 8 else 0
    if 0x80 <= code <= 0x9F:
        return unescape(f"&#{code};")  # as in windows-1252
    return chr(code) if 0 < code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else "\ufffd"


# --- The elements: what the standard's default styles and tree construction say of each -------------------------------


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A line of its own, before and after. The table's parts are here for their ends; cells only need a gap.
_BLOCKS = _names(
    "address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hgroup legend li listing main menu nav ol optgroup option p "
    "plaintext pre search section summary ul xmp table caption tbody thead tfoot tr /form"
)
# Never shown. Fallbacks are hidden where the element itself works without scripts (video, iframe), shown where not.
_HIDDEN = _names(
    "area audio base basefont datalist dialog embed head iframe link meta meter noembed noframes param "
    "progress rp script style template textarea title video"
)
# Boxes that show no text of their own, whatever their style; a style may still give them a line of their own.
_REPLACED = _names("audio embed iframe img input meter progress template textarea video")
_CLOSES_P = _names(
    "address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hgroup hr listing main menu nav ol p plaintext pre search section "
    "summary ul xmp dd dt li table"
)
# What the start of a block ends if it is the current element; the rest of the standard's rules is in start.
_CLOSED_BY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_BLOCKS, ()),
    **dict.fromkeys(_CLOSES_P, ("p",)),
    "li": ("li",),
    "dd": ("dd", "dt"),
    "dt": ("dd", "dt"),
}
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_VOID = _names(
    "area base basefont bgsound br col command embed frame hr img image input keygen link meta param source track wbr"
)
_RAW_TEXT = _names("script style title textarea xmp iframe noembed noframes plaintext")
_PARTS = _names("caption col colgroup tbody td tfoot th thead tr")
_FORMATTING = _names("a b big code em font i nobr s small strike strong tt u")
# The standard's special elements: an end tag of an ordinary element does not reach beyond them.
_SPECIAL = (_BLOCKS | _PARTS | _names("applet button hr marquee object select template body html frameset")) - {
    "option",
    "optgroup",
}
_TRACKED = _BLOCKS | _SPECIAL  # of these the walk knows where they are open, so that no question needs a search
_MARKERS = _names("td th caption template applet marquee object")  # a scope ends at them
_SCOPES = _MARKERS | {"table", "tbody", "thead", "tfoot", "tr"}
_ROWS = ("table", "tbody", "thead", "tfoot", "tr")  # text directly in these is pushed out, before the table

_GROUPS = ("table", "tbody", "thead", "tfoot")
_CELLS = ("td", "th")
_RUBY = ("rp", "rt", "rb", "rtc")
_LINES = ("legend", "option", "p")  # a browser ends lines at every one, even an inline one
_BELONGS = {
    name: ("tr", *_GROUPS) if name in ("td", "th") else _GROUPS if name == "tr" else ("table",) for name in _PARTS
}

_DIRECTLY = {name: ("tr",) if name in _CELLS else _GROUPS[1:] if name == "tr" else () for name in _PARTS}

# Elements that show some of their children only, each in its own line
_WANTED = {
    "details": frozenset(["summary"]),
    "select": frozenset(["option"]),
    "svg": frozenset(["text", "foreignobject"]),
    "math": frozenset(["mi", "mn", "mo", "ms", "mtd", "mtext"]),
}
_INTEGRATION = {"svg": frozenset(["foreignobject", "desc"]), "math": (_WANTED["math"] - {"mtd"}) | {"annotation-xml"}}
_CONTAINERS = _names("a defs g svg switch symbol")  # of SVG: innerText finds the text in them even if they have no box
_FOREIGN_HIDDEN = _names("mphantom title desc metadata script style annotation annotation-xml")
_HTML_ANNOTATION = re.compile(r"""\sencoding\s*=\s*["']?\s*(?:text/html|application/xhtml\+xml)""", re.I)
_HTML_FONT = re.compile(r"<font[^>]*\s(?:color|face|size)[\s=>]", re.I)
_HIDDEN_INPUT = re.compile(r"""\stype\s*=\s*["']?\s*hidden""", re.I)
_BREAKOUT = _names(
    "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li "
    "listing menu meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul var"
)

_SKIP, _OPEN, _CLOSE, _OPEN_BLOCK, _CLOSE_BLOCK, _OPEN_ITEM, _BREAK, _DECLARE, _PART, _START, _END, _OPEN_HEADING = (
    range(12)
)
_IN_ROWS, _CARE = 1, 2  # why the next token needs care: in a table but in no cell, or anything else
_LISTS = ("ul", "ol", "dl", "menu")
_IGNORED = _names("head frame noembed")


class _Look(NamedTuple):
    """What attributes change about an element; None leaves it as the default style says."""

    display: str | None = None  # none, inline or one of _GAPS
    shown: bool | None = None  # visibility
    case: str | None = None  # text-transform
    opened: bool | None = None  # details and dialog: the open attribute


# What a tag does: one of the actions, the element's name, what its attributes change. A plain tuple, which the loop
# takes apart in half the time of a named one.
_Entry = tuple[int, str, _Look | None]


_SPECIAL_START = (
    _PARTS
    | _RAW_TEXT
    | _names(
        "table form button hr plaintext details summary dialog svg math template select option optgroup rb "
        "rtc rp rt object applet marquee image input"
    )
)
_SPECIAL_END = _PARTS | {"form", "table"}
_WITH_LOOK = (_OPEN, _OPEN_BLOCK, _OPEN_ITEM, _OPEN_HEADING, _PART, _DECLARE, _START)
_KNOWN_TOKENS = 20_000  # tags repeat, within a page and from page to page; what is learned is bounded
_KNOWN_LENGTH = 80
_known: dict[str, _Entry] = {}
_plain: dict[str, _Entry] = {}  # the same by name, for tags whose attributes change nothing


def _read(token: str) -> _Entry:
    """What a token does. Remembered for as long as the process lives."""
    found = _TAG_NAME.match(token)
    if found is None:
        return (_START, "![cdata[", None) if token.startswith("<![CDATA[") else (_SKIP, "", None)
    entry = _plain.get(found[1])
    if entry is None:
        entry = _read_name(found[1].lower())
        if len(_plain) < _KNOWN_TOKENS:
            _plain[found[1]] = entry
    action, name, _ = entry
    if action in _WITH_LOOK and (look := _read_look(name, token)):
        entry = (action if action in (_PART, _DECLARE) else _START, name, look)
    elif name in ("br", "img") and found[1][0] != "/" and (look := _read_look(name, token)):
        if look.display == "none":
            entry = (_SKIP, "", None)
        elif name != "br" and _makes_line(look):
            entry = (_BREAK, name, None)
    if len(token) <= _KNOWN_LENGTH:
        if len(_known) >= _KNOWN_TOKENS:
            _known.clear()
        _known[token] = entry
    return entry


def _read_name(name: str) -> _Entry:
    """What a tag of this name does, ``/`` before the name of an end tag."""
    if name.startswith("/"):
        name = name[1:]
        if name == "br":
            return (_BREAK, name, None)
        if name in _IGNORED or name in _RAW_TEXT or name in _VOID or name in ("html", "body", "frameset"):
            return (_SKIP, name, None)
        if name in _SPECIAL_END or (name in _TRACKED and name not in _BLOCKS):
            return (_END, name, None)
        return (_CLOSE_BLOCK if name in _BLOCKS else _CLOSE, name, None)
    if name in ("html", "meta", "body", "frameset"):
        return (_DECLARE, name, None)
    if name == "br":
        return (_BREAK, name, None)
    if name in _PARTS:
        return (_PART, name, None)
    if name in _IGNORED or (name in _VOID and name not in ("hr", "image", "input")):
        return (_SKIP, name, None)
    if name in _HIDDEN or name in _SPECIAL_START:
        return (_START, name, None)
    if name in _HEADINGS:
        return (_OPEN_HEADING, name, None)
    if name in ("li", "dd", "dt"):
        return (_OPEN_ITEM, name, None)
    return (_OPEN_BLOCK if name in _BLOCKS else _OPEN, name, None)


def _tag_attributes(token: str) -> dict[str, str]:
    tag = _TAG.match(token)
    end = tag.end() if tag else len(token)
    at = len(found[0]) if (found := _TAG_NAME.match(token)) else 1
    attributes: dict[str, str] = {}
    while at < end and (pair := _ATTRIBUTE.match(token, at, end)):
        value = pair[2] or pair[3] or pair[4] or ""
        attributes.setdefault(pair[1].lower().rstrip(">"), value)
        at = pair.end()
    return attributes


_DISPLAYS = {
    **dict.fromkeys(("block", "list-item", "flow-root", "table", "table-caption", "-webkit-box", "inherit"), "block"),
    **dict.fromkeys(("flow", "block flow", "block flow-root", "block ruby", "block math"), "block"),
    **dict.fromkeys(("inline", "inline-table", "initial", "unset", "ruby", "math"), "inline"),
    **dict.fromkeys(("inline flow", "inline math"), "inline"),
    **dict.fromkeys(("inline-block", "inline flow-root", "-webkit-inline-box"), "inline-block"),
    **dict.fromkeys(("flex", "grid", "block flex", "block grid", "-webkit-flex"), "flex"),
    **dict.fromkeys(("inline-flex", "inline-grid", "inline flex", "inline grid", "-webkit-inline-flex"), "inline-flex"),
    **dict.fromkeys(("none", "table-column", "table-column-group"), "none"),
    "contents": "contents",
    "table-row": "row",
    "table-cell": "cell",
}
_WITHIN_LINES = ("inline", "inline-block", "contents")
_GAPS = {
    "block": ("\n", "\n"),
    "flex": ("\n", "\n"),
    "row": ("", "\n"),
    "cell": ("", "\t"),
    "cell of a table": ("\t", ""),
}


def _read_look(name: str, token: str) -> _Look | None:
    lower = token.lower() if len(token) > len(name) + 2 else ""
    aligned = name in _FLOATED and "align" in lower
    if not (aligned or "style" in lower or "hidden" in lower or "popover" in lower or name in ("details", "dialog")):
        return None
    attributes = _tag_attributes(token)
    display = "none" if "hidden" in attributes or "popover" in attributes else None
    unrendered = attributes.get("hidden", "").lower() == "until-found" and "popover" not in attributes
    if unrendered:
        display = None
    styles = _styles(_unescape(attributes["style"])) if "style" in attributes else {}
    if aligned:
        styles.setdefault("float", attributes.get("align", "none").lower())
    display = _DISPLAYS.get(styles.get("display", ""), display)
    display = _taken_out(display, styles)
    if display == "inline" and "position" not in styles and (name == "dialog" or "popover" in attributes):
        display = "block"  # their default style takes them out of the line
    if unrendered or styles.get("content-visibility") == "hidden":  # which neither an inline element nor a row can have
        whole = name in _BLOCKS and name not in _ROWS if display is None else display not in ("inline", "contents")
        display = "none" if whole else display
    shown = _VISIBLE.get(styles.get("visibility", ""))
    case = styles.get("text-transform")
    opened = True if name in ("details", "dialog") and "open" in attributes else None
    look = _Look(display, shown, case, opened)
    return look if any(fact is not None for fact in look) else None


def _taken_out(display: str | None, styles: dict[str, str]) -> str | None:
    """The display of an element that floats or has a position of its own."""
    floats = styles.get("float") in ("left", "right", "inline-start", "inline-end")
    if not floats and styles.get("position") not in ("absolute", "fixed"):
        return display
    blocks = {None: "block", "inline": "block", "inline-block": "block", "cell": "block", "inline-flex": "flex"}
    return blocks.get(display, display)


def _makes_line(look: _Look | None) -> bool:
    return look is not None and look.shown is not False and _GAPS.get(look.display or "", ("", ""))[0] == "\n"


def _foreign_look(name: str, token: str, realm: str) -> _Look | None:
    """What attributes change in SVG and MathML: no ``hidden``, but in SVG attributes that stand for styles."""
    lower = token.lower()
    if "style" not in lower and "display" not in lower and "visibility" not in lower:
        return None
    attributes = _tag_attributes(token)
    named = {key: attributes[key].strip().lower() for key in ("display", "visibility") if key in attributes}
    styles = (named if realm == "svg" else {}) | _styles(_unescape(attributes.get("style", "")))
    shown = _VISIBLE.get(styles.get("visibility", ""))
    display = _DISPLAYS.get(styles.get("display", ""))
    if name == realm:
        display = _taken_out(display, styles)
    elif display != "none" or (realm == "svg" and name in _CONTAINERS):
        display = None
    return _Look(display, shown) if display or shown is not None else None


_FLOATED = _names("embed iframe img object")  # by their align attribute
_VISIBLE = {"hidden": False, "collapse": False, "visible": True, "initial": True}
_VALUES = {
    "display": frozenset(_DISPLAYS),
    "visibility": frozenset(_VISIBLE),
    "text-transform": frozenset(("uppercase", "lowercase", "capitalize", "none")),
    "content-visibility": frozenset(("visible", "hidden", "auto")),
    "float": frozenset(("none", "left", "right", "inline-start", "inline-end")),
    "position": frozenset(("static", "relative", "absolute", "fixed", "sticky")),
}


_DECLARATION = re.compile(r"""(?:[^;"'(\\]|\\.?|"(?:[^"\\]|\\.?)*+"?|'(?:[^'\\]|\\.?)*+'?|\([^)]*\)?)++""", re.S)
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.S)


def _css_character(found: re.Match[str]) -> str:
    return chr(int(found[1], 16) % 0x110000) if found[1] else found[2]


def _styles(css: str) -> dict[str, str]:
    """The declarations that concern text: the last valid one counts, an important one before others."""
    values: dict[str, str] = {}
    important: dict[str, str] = {}
    css = re.sub(r"/\*.*?(?:\*/|\Z)", " ", css, flags=re.S)
    for declaration in _DECLARATION.findall(css):
        name, _, value = _CSS_ESCAPE.sub(_css_character, declaration).partition(":")
        name, value = name.strip().lower(), value.strip().lower()
        plain = re.sub(r"\s*!\s*important$", "", value)
        if plain in _VALUES.get(name, ()):
            (important if plain != value else values)[name] = plain
    return values | important


# --- The walk ---------------------------------------------------------------------------------------------------------


class _Run(list[Any]):
    """Pieces of text in order; a piece may be a run again. ``shown`` and ``case`` hold for all strings in it."""

    __slots__ = ("beyond", "case", "leaf", "shown", "wanted")

    def __init__(self, shown: bool = True, case: str = "none") -> None:
        super().__init__()
        self.shown = shown
        self.case = case
        self.leaf = True  # no run within
        self.wanted: frozenset[str] = frozenset()  # of an element that shows some of its children only: their names
        self.beyond: _Run | None = None  # and where their text goes

    def styled(self, text: str) -> str:
        if not self.shown:
            return ""
        return text if self.case == "none" else _CASES[self.case](text)


def _trim(table: _Run) -> None:
    """Within a line, a table's first row and cell begin without a gap, and its last end without."""
    for place, piece in enumerate(table):
        if piece == "\t":
            del table[: place + 1]
        if piece == "\t" or type(piece) is _Run or not (piece == "" or piece.isspace()):
            break
    for _row_and_group in range(2):
        if table and table[-1] == "\n":
            table.pop()


_COLLAPSING = " \t\n\r\f"


def _strip(run: _Run) -> None:
    """Drop white space at both ends, but not a line's end that may be a block's, nor what an empty box holds apart."""
    for step, strip in ((1, str.lstrip), (-1, str.rstrip)):
        for place in range(1, len(run))[::step]:  # the first piece is the gap before
            piece = run[place]
            if type(piece) is _Run or piece == "":
                break
            edge = piece[:2] if step > 0 else piece[:-3:-1]
            if edge[:1] == "\n" and not edge[1:].isspace():
                break
            run[place] = strip(piece, _COLLAPSING)
            if run[place]:
                break


def _capitalize(text: str) -> str:
    """The first letter of each word, where it has a capital of one character; a digit or _ before it is a beginning."""

    def capital(word: re.Match[str]) -> str:
        title = word[0][0].title()
        return (title if len(title) == 1 else word[0][0]) + word[0][1:]

    return re.sub(r"\w[\w'’]*", capital, text)


def _italic(text: str) -> str:
    """MathML shows a variable of one letter as the mathematical italic letter."""
    letter = text.strip("\n")
    return text.replace(letter, _ITALICS.get(letter, letter)) if letter else text


_CASES: dict[str, Callable[[str], str]] = {
    "uppercase": str.upper,
    "lowercase": str.lower,
    "capitalize": _capitalize,
    "italic": _italic,
}
_ITALICS = {normalize("NFKC", chr(code)): chr(code) for code in (*range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C))}
_ITALICS["h"] = "ℎ"  # Planck's constant had its place before the others


class _Saved(NamedTuple):
    """What comes back when an element ends: the run that was written to, and where the element's own run goes."""

    place: int  # on the stack
    back: _Run
    base: _Run
    run: _Run | None
    after: str
    look: _Look | None


_JOIN_DEPTH = 8  # runs nested less deeply are joined when they end; deeper ones once, at the very end
_NESTING = 5000  # elements that hide or change text; within so many nothing is hidden any more
_TORN = 20  # formatting elements to open again; beyond the innermost so many nobody sees a difference
_REACH = 256  # how many open elements an end tag looks through; more is no page but an attack


class _Walk:
    """Keeps the stack of open elements and writes the text. One walk, one page."""

    def __init__(self, is_xml: bool) -> None:
        self.is_xml = is_xml
        self.title: str | None = None
        self.language: str | None = None
        self.root = self.out = _Run()
        self.stack = [""]
        self.where: defaultdict[str, list[int]] = defaultdict(list)  # of each name, where it is open on the stack
        self.scopes: list[int] = [0]  # where markers and table parts are open
        self.parts: list[int] = [0]  # where tables and their parts are open
        self.tables: list[_Run] = []  # of each open table, the run before it
        self.saved: list[_Saved] = []
        self.pending: list[tuple[str, _Look | None]] = []  # formatting elements to open again
        self.alert = _CARE if is_xml else 0  # the next token needs care
        self.guard = 0  # the stack's length when its top has a run to give back
        self.realms: list[tuple[int, str]] = []  # where svg, math, or HTML within them begins
        self.foreign = ""  # svg or math, if that is where we are
        self.resplits = 8
        self.shelves: dict[int, list[tuple[str, _Look | None]]] = {}  # by place of a cell: what waits until its end
        self.reopens = 20_000  # how often; more is no page but an attack
        self.quirks = False  # an old page, where a paragraph may hold a table
        self.flex = -1  # where a flex container is, if it is the current element
        self.in_body = False  # a body's own tag was there
        self.groups: set[str] = set()  # names of details of which one is open
        self.link = 0  # where a hidden link is open

    def text(self) -> str:
        self.cut(1)
        return _flat(self.root)

    def run(self, markup: str) -> None:
        """Walk over a whole document. The loop does what most tags need; ``carefully`` does the rest."""
        pieces = (_XML_TOKEN if self.is_xml else _TOKEN).split(markup)
        pieces.append("")
        read = self.read_xml if self.is_xml else _read
        known = {} if self.is_xml else _known
        stack, where, shelves = self.stack, self.where, self.shelves
        paragraphs = where["p"]
        append, alert, guard = self.out.append, self.alert, self.guard
        pairs = iter(pieces)
        for text, token in zip(pairs, pairs):  # noqa: B905 - as many texts as tokens
            if text:
                if "&" in text:
                    text = _unescape(text)
                if not alert:
                    append(text)
                elif alert == _IN_ROWS and text.isspace():
                    pass  # between the parts of a table white space is nothing
                else:
                    self.characters(text)
                    append, alert, guard = self.out.append, self.alert, self.guard
            try:
                action, name, look = known[token]
            except KeyError:
                action, name, look = read(token)
            if alert:
                if alert == _IN_ROWS and action == _PART and look is None and stack[-1] in _DIRECTLY[name]:
                    alert = self.open_part(name)
                    continue
                if (
                    alert == _IN_ROWS
                    and action == _END
                    and stack[-1] == name
                    and name in _PARTS
                    and len(stack) != guard
                    and not shelves
                ):
                    alert = self.close_part(name)
                    continue
            elif action == _OPEN:
                stack.append(name)
                continue
            elif action == _CLOSE:
                if stack[-1] == name and len(stack) != guard:
                    stack.pop()
                    continue
            elif action == _CLOSE_BLOCK:
                if stack[-1] == name and len(stack) != guard:
                    stack.pop()
                    where[name].pop()
                    append("\n")
                    continue
            elif action in (_OPEN_BLOCK, _OPEN_ITEM, _OPEN_HEADING):
                top = stack[-1]
                if top in _CLOSED_BY[name] and len(stack) != guard:  # as usual without an end tag
                    stack.pop()
                    where[top].pop()
                fits = action == _OPEN_BLOCK or (
                    stack[-1] in _LISTS if action == _OPEN_ITEM else stack[-1] not in _HEADINGS
                )
                if fits and not (paragraphs and name in _CLOSES_P):
                    where[name].append(len(stack))
                    stack.append(name)
                    append("\n")
                    continue
            elif action == _END:
                if stack[-1] == name and name in _CELLS and len(stack) != guard and not shelves:
                    alert = self.close_part(name)
                    continue
            elif action == _BREAK:
                append("\n")
                continue
            if action == _SKIP:
                if name in _REPLACED:  # a box, if an empty one: white space beside it stays
                    append("\n" if alert and self.flex >= 0 else "")
                continue
            self.carefully(action, name, look, token)
            append, alert, guard = self.out.append, self.alert, self.guard

    def read_xml(self, token: str) -> _Entry:
        """What a token of the XML syntax does: it opens or closes, whatever its name."""
        if token.startswith("<![CDATA["):
            return (_START, "![cdata[", None)
        found = _TAG_NAME.match(token)
        if found is None:
            return (_SKIP, "", None)
        name = found[1].lower().rpartition(":")[2]
        if found[1].startswith("/"):
            return (_END, name.lstrip("/"), None)
        return (_DECLARE if name in ("html", "meta", "body") else _START, name, _read_look(name, token))

    def in_xml(self, action: int, name: str, look: _Look | None, token: str) -> None:
        if name == "![cdata[":
            self.out.append(token[9:].removesuffix("]]>"))
        elif action == _END:
            if name == "title" and self.title is None and self.stack[-1] == name and not self.nearest("svg"):
                self.title = " ".join("".join(self.out).split())
            if at := self.nearest(name):
                self.cut(at)
        elif action == _DECLARE:
            self.declare(name, look, token)
        elif name in ("br", "hr"):
            self.out.append("\n")
        else:
            self.push(name, look)
            if token.endswith("/>"):
                self.cut(len(self.stack) - 1)

    # Text and tags where something is out of the ordinary

    def refresh(self) -> None:
        """Whether the next token needs care: in a table but in no cell, in SVG, behind a torn formatting element."""
        top = self.saved[-1] if self.saved else None
        self.guard = top.place + 1 if top else 0
        self.foreign = self.realms[-1][1] if self.realms and self.realms[-1][1] != "html" else ""
        self.flex = -1
        if top and self.guard == len(self.stack) and top.look and top.look.display in ("flex", "inline-flex"):
            self.flex = top.place
        if self.is_xml or self.foreign or self.pending or self.link or self.flex >= 0:
            self.alert = _CARE
        else:
            self.alert = _IN_ROWS if self.stack[-1] in _ROWS else 0

    def open_part(self, name: str) -> int:
        """A row or a cell where it belongs, and nothing else to care for: what ``push`` does, without the questions."""
        index = len(self.stack)
        self.out.append("\n" if name == "tr" else "\t")
        self.scopes.append(index)
        self.parts.append(index)
        self.where[name].append(index)
        self.stack.append(name)
        self.alert = _IN_ROWS if name == "tr" else 0
        return self.alert

    def close_part(self, name: str) -> int:
        """The same for the end of a part that is the current element."""
        self.stack.pop()
        self.where[name].pop()
        self.scopes.pop()
        self.parts.pop()
        if name in _BLOCKS:
            self.out.append("\n")
        self.alert = _IN_ROWS if self.stack[-1] in _ROWS else 0
        return self.alert

    def characters(self, text: str) -> None:
        if self.stack[-1] in _ROWS and not self.is_xml and text.isspace():
            return
        if not self.foreign:
            self.reopen()
        self.place().append(text)

    def place(self) -> _Run:
        """Where text goes: from between the parts of a table, before it."""
        return self.tables[-1] if self.stack[-1] in _ROWS and not self.is_xml else self.out

    def carefully(self, action: int, name: str, look: _Look | None, token: str) -> None:
        if self.is_xml:
            self.in_xml(action, name, look, token)
        elif self.foreign and self.in_foreign(action, name, token):
            pass
        elif action == _PART:
            self.start_part(name, look)
        elif action in (_CLOSE, _CLOSE_BLOCK, _END):
            within = self.realms and self.realms[-1] == (len(self.stack) - 1, "html")
            if within and self.end_in_foreign(name):
                return
            self.end(name)
        elif action == _BREAK:
            self.place().append("\n")
        elif action == _DECLARE:
            self.declare(name, look, token)
        else:
            if name == "a" and (self.link or self.pending):
                self.end_ordinary("a")
            if action == _OPEN:
                self.reopen()
            self.start(name, look, token)

    def reopen(self) -> None:
        """The standard's *reconstruct the active formatting elements*."""
        if self.pending:
            pending, self.pending = self.pending, []
            self.reopens -= len(pending)
            for name, look in pending:
                self.push(name, look)

    # The stack

    def push(self, name: str, look: _Look | None = None) -> None:
        """Open an element: a line's end before a block, a run of its own where it is hidden or moved."""
        index = len(self.stack)
        display = look.display if look else None
        hidden = display == "none" or (name in _HIDDEN and display is None and not (look and look.opened))
        fostered = self.stack[-1] in _ROWS and name not in _PARTS and not self.is_xml
        base = self.tables[-1] if fostered else self.out
        if base.beyond and name in base.wanted and (name != "summary" or self.stack[-1] == "details"):
            base.wanted -= {"summary"}
            base = base.beyond
        if self.flex == index - 1 and not hidden:
            if display == "contents" and look:
                look = look._replace(display="inline-flex")  # its children are the container's
            elif display in (None, "inline", "inline-block"):
                display = "block"
        if display is None or (name in _LINES and display != "contents"):
            block = name in _BLOCKS or (self.foreign and name in _WANTED[self.foreign])
            display = "block" if block else "cell of a table" if name in ("td", "th") else "inline"
        before, after = _GAPS.get(display, ("", ""))
        if len(self.saved) >= _NESTING:
            look, hidden, base = None, False, self.out
        wanted = (
            None
            if len(self.saved) >= _NESTING
            else _WANTED.get(name)
            if not (name == "details" and look and look.opened)
            else None
        )
        if hidden or wanted or (name in _REPLACED and len(self.saved) < _NESTING):
            if wanted and look and not hidden:
                inner = _Run(base.shown if look.shown is None else look.shown, look.case or base.case)
                base.append(inner)
                base.leaf = False
                base = inner
            base.append("" if hidden else before)
            self.saved.append(_Saved(index, self.out, base, None, "" if hidden else after, look))
            self.out = _Run()
            if not hidden and wanted:
                self.out.wanted, self.out.beyond = wanted, base
        elif look or (name in ("button", "table") and len(self.saved) < _NESTING) or self.flex == index - 1:
            shown = base.shown if not look or look.shown is None else look.shown
            case = base.case if not look or look.case is None else look.case
            run = _Run(shown, case)
            run.append(before)
            self.saved.append(_Saved(index, self.out, base, run, after, look))
            self.out = run
        else:
            base.append(before)
            if base is not self.out:
                self.saved.append(_Saved(index, self.out, base, None, after, None))
                self.out = base
        if name == "a" and self.saved and self.saved[-1].place == index:
            self.link = index
        if name == "table":
            self.tables.append(base)
        if name in _SCOPES:
            self.scopes.append(index)
            if name != "object" and name != "applet" and name != "marquee":
                self.parts.append(index)
            if name in _MARKERS and self.pending:
                self.shelves[index], self.pending = self.pending, []
        if name in _TRACKED:
            self.where[name].append(index)
        self.stack.append(name)
        self.refresh()

    def cut(self, index: int, by: str = "") -> None:
        """Close every element from this place of the stack on; ``by`` is the element whose end tag it was."""
        stack, saved = self.stack, self.saved
        lost: list[tuple[str, _Look | None]] = []
        while len(stack) > index:
            name = stack.pop()
            if name in _TRACKED:
                self.where[name].pop()
            if name in _SCOPES:
                self.scopes.pop()
                if self.parts[-1] == len(stack):
                    self.parts.pop()
                if name in _MARKERS:
                    lost.clear()
                    self.pending = self.shelves.pop(len(stack), [])
                if name == "table":
                    self.tables.pop()
            held = saved.pop() if saved and saved[-1].place == len(stack) else None
            if name in _FORMATTING and len(lost) < _TORN and not (name == by and len(stack) == index):
                lost.append((name, held.look if held else None))
            if held:
                if name == "table" and held.run and held.look and held.look.display in _WITHIN_LINES:
                    _trim(held.run)
                elif (
                    held.run
                    and (name == "button" or (held.look and held.look.display == "inline-block"))
                    and not (name == "pre" or self.where["pre"])
                ):
                    _strip(held.run)  # white space at its edges is not shown
                self.restore(held)
            elif name in _BLOCKS:
                self.out.append("\n")
        while self.realms and self.realms[-1][0] >= len(stack):
            self.realms.pop()
        if self.link >= len(stack):
            self.link = 0
        if stack[-1] == "/form":
            self.cut(len(stack) - 1)
        if lost:
            self.pending = [*self.pending, *reversed(lost)][-_TORN:] if self.reopens > 0 else []
        self.refresh()

    def restore(self, entry: _Saved) -> None:
        """Write to the run of before; what the element wrote becomes a piece of it."""
        base, run = entry.base, entry.run
        if run is None:
            base.append(entry.after)
        else:
            run.append(entry.after)
            if run.leaf and base.shown and base.case == "none" and len(self.saved) < _JOIN_DEPTH:
                base.append(run.styled("".join(run)))
            else:
                base.append(run)
                base.leaf = False
        self.out = entry.back

    def last(self, names: Sequence[str]) -> int:
        """Where the innermost open element of these names stands on the stack, 0 if nowhere."""
        last = 0
        for name in names:
            places = self.where[name]
            if places and places[-1] > last:
                last = places[-1]
        return last

    def in_scope(self, names: Sequence[str], bounds: Sequence[str] = ()) -> int:
        """Where the innermost of these stands, 0 if a table, a cell or another bound stands before it."""
        at = self.last(names)
        return at if at and at >= self.scopes[-1] and at > self.last(bounds) else 0

    def close_p(self) -> None:
        if self.where["p"] and (at := self.in_scope(("p",), ("button",))):
            self.cut(at)

    # Tags with rules of their own

    def start(self, name: str, look: _Look | None, token: str) -> None:
        if name in _RAW_TEXT:
            self.raw(name, look, token)
            return
        if name == "input" and (at := self.in_scope(("select",))):
            self.cut(at)
        if name in ("input", "image"):
            hidden = (look and look.display == "none") or (name == "input" and _HIDDEN_INPUT.search(token))
            if not hidden:
                self.place().append("\n" if _makes_line(look) or self.flex >= 0 else "")
            return
        if name == "![cdata[":
            if self.realms and self.realms[-1][0] == len(self.stack) - 1:
                self.characters(token[9:].removesuffix("]]>"))
            return
        if name in ("svg", "math"):
            look = _foreign_look(name, token, name)
        elif name == "details" and look and look.opened and (group := _tag_attributes(token).get("name")):
            look = look._replace(opened=None if group in self.groups else True)  # one of a group is open
            self.groups.add(group)
        elif name in ("option", "optgroup") and self.where["select"]:
            look = None  # a browser lists them all
        if name == "li":
            self.close_item(("li",))
        elif name in ("dd", "dt"):
            self.close_item(("dd", "dt"))
        elif name == "button" and (at := self.in_scope(("button",))):
            self.cut(at)
        elif name == "form":
            if self.where["form"] and not self.where["template"]:
                return
            if self.stack[-1] in _ROWS:
                return
        elif name == "table" and self.stack[self.parts[-1]] in _ROWS:
            self.cut(self.where["table"][-1])
        elif (name in ("option", "optgroup") and self.stack[-1] == "option") or (
            name in _RUBY and self.stack[-1] in ("rp", "rt", "rb") and self.nearest("ruby") > self.scopes[-1]
        ):
            self.cut(len(self.stack) - 1)
        elif name == "select" and (at := self.in_scope(("select",))):
            self.cut(at)
            return
        if name in ("button", "select") and self.out.case != "none" and not (look and look.case):
            look = (look or _Look())._replace(case="none")  # their default style
        if name == "optgroup" and self.stack[-1] == "optgroup":
            self.cut(len(self.stack) - 1)
        if name in _CLOSES_P and not (name == "table" and self.quirks):
            self.close_p()
        if name in _HEADINGS and self.stack[-1] in _HEADINGS:
            self.cut(len(self.stack) - 1)
        if name == "hr":
            if not look or look.display is None or _makes_line(look):
                self.out.append("\n")
            return
        self.push(name, look)
        if name in ("svg", "math"):
            if token.endswith("/>"):
                self.cut(len(self.stack) - 1)
            else:
                self.enter(name)

    def raw(self, name: str, look: _Look | None, token: str) -> None:
        """An element whose content is text, not markup: only xmp and plaintext show it."""
        tag = _TAG.match(token)
        content = token[tag.end() :] if tag else ""
        if name == "title":
            if self.title is None and not self.foreign and not self.is_xml:
                self.title = " ".join(_unescape(content).split())
            return
        if name in ("xmp", "plaintext"):
            self.close_p()
            if not (look and look.display == "none"):
                before, after = _GAPS.get((look and look.display) or "block", ("", ""))
                self.characters(before + content + after)
        elif name in _REPLACED and (_makes_line(look) or (self.flex >= 0 and not (look and look.display == "none"))):
            self.place().append("\n")

    def start_part(self, name: str, look: _Look | None) -> None:
        """A part of a table: closes what is open up to where such a part belongs; outside a table it is ignored."""
        table = self.last(("table",))
        if not table or self.last(("template",)) > table:
            return
        self.cut(self.last(_BELONGS[name]) + 1)
        if name in ("col", "colgroup"):
            return
        if name == "tr" or name in _CELLS:  # a row stands in a group and a cell in a row, written or not
            if self.stack[-1] == "table":
                self.push("tbody")
            if name != "tr" and self.stack[-1] != "tr":
                self.push("tr")
        self.push(name, look)

    def close_item(self, names: tuple[str, ...]) -> None:
        """A list item ends an open one, but not one outside of another list or block."""
        at = self.in_scope(names)
        between = self.stack[at + 1 :] if at and len(self.stack) - at < _REACH else None
        if between is not None and all(name not in _SPECIAL or name in ("address", "div", "p") for name in between):
            self.cut(at)

    def end(self, name: str) -> None:
        if name == "p":
            if at := self.in_scope(("p",), ("button",)):
                self.cut(at)
            else:
                self.place().append("\n")  # an end without a start is an empty paragraph
        elif name == self.stack[-1]:
            self.cut(len(self.stack) - 1, name)
        elif name in _PARTS or name == "table":
            at = self.last((name,))
            if not at or at < self.last(("table", "template")) or (name in ("td", "th") and at != self.parts[-1]):
                return
            self.cut(at)
        elif name in _HEADINGS:
            if at := self.in_scope(_HEADINGS):
                self.cut(at)
        elif name == "li":
            if at := self.in_scope(("li",), ("ol", "ul")):
                self.cut(at)
        elif name == "form":
            self.end_form()
        elif name == "template":
            if at := self.last(("template",)):
                self.cut(at)
        elif name in ("applet", "marquee", "object"):
            if (at := self.last((name,))) and at == self.scopes[-1]:
                self.cut(at)
        elif name in _SPECIAL:
            if at := self.in_scope((name,)):
                self.cut(at)
        else:
            self.end_ordinary(name)

    def end_form(self) -> None:
        """A form's end takes the form from the stack, not what is open within it."""
        at = self.in_scope(("form",))
        if at and (at == len(self.stack) - 1 or (self.saved and self.saved[-1].place >= at)):
            self.cut(at)
        elif at:
            self.where["form"].pop()
            self.where["/form"].append(at)
            self.stack[at] = "/form"  # a form no more, but a line's end when the element within has ended

    def end_ordinary(self, name: str) -> None:
        """The standard's *any other end tag*, and of the adoption agency what concerns text."""
        for place in range(len(self.pending) - 1, -1, -1):
            if self.pending[place][0] == name:
                del self.pending[place]
                self.refresh()
                return
        at = self.nearest(name)
        if not at:
            return
        if not any(other in _SPECIAL for other in self.stack[at + 1 :]):
            self.cut(at, name)
        elif name in _FORMATTING and at >= self.scopes[-1]:
            self.stack[at] = "-"  # what it holds stays open without it
            if self.saved and self.saved[-1].place == at:
                held = self.saved.pop()
                self.restore(held)
                if not (held.run and held.run.shown):
                    self.out.append("\n")
            self.refresh()

    def nearest(self, name: str) -> int:
        """Where the innermost element of any name stands on the stack, 0 if not within reach."""
        for at in range(len(self.stack) - 1, max(0, len(self.stack) - _REACH), -1):
            if self.stack[at] == name:
                return at
        return 0

    def enter(self, realm: str) -> None:
        """The element just opened begins SVG, MathML, or HTML within them."""
        self.realms.append((len(self.stack) - 1, realm))
        self.refresh()

    def in_foreign(self, action: int, name: str, token: str) -> bool:
        """SVG and MathML: other names, self-closing tags. False means that the tag is HTML after all."""
        if action in (_CLOSE, _CLOSE_BLOCK, _END):
            return self.end_in_foreign(name)
        if name == "![cdata[":
            self.characters(token[9:].removesuffix("]]>"))
            return True
        if name in _BREAKOUT or action == _BREAK or (name == "font" and _HTML_FONT.match(token)):
            self.cut(self.realms[-1][0])
            return False
        if name in _RAW_TEXT:
            self.raw_in_foreign(token)
            return True
        if token.endswith("/>"):
            return True
        look = _Look("none") if name in _FOREIGN_HIDDEN else _foreign_look(name, token, self.foreign)
        if name == "mi" and "normal" not in token and not (look and look.display):
            look = _Look("block", look and look.shown, case="italic")
        shown = name in _WANTED[self.foreign]
        self.push(name if shown else ":" + name, look)  # an svg's table is no table
        if name in _INTEGRATION[self.foreign] and (name != "annotation-xml" or _HTML_ANNOTATION.search(token)):
            self.enter("html")
        return True

    def end_in_foreign(self, name: str) -> bool:
        """End the element if it is open in the innermost SVG or MathML."""
        if name in ("p", "br"):
            self.cut(self.realms[-1][0])
            return False
        root = next(place for place, realm in reversed(self.realms) if realm != "html")
        at = max(self.nearest(name), self.nearest(":" + name))
        if at < root:
            return False
        self.cut(at)
        return True

    def raw_in_foreign(self, token: str) -> None:
        """A title or style without content is a tag in SVG: what the token took with it is markup."""
        tag = _TAG.match(token)
        if tag and tag[0].endswith("/>") and self.resplits:
            self.resplits -= 1
            self.run(token[tag.end() :])

    def declare(self, name: str, look: _Look | None, token: str) -> None:
        """What html, body and meta say of the whole page; the language is html's, else the Content-Language meta's."""
        attributes = _tag_attributes(token)
        if name == "html":
            self.language = _language(attributes.get("lang") or attributes.get("xml:lang")) or self.language
        elif name == "frameset":
            if self.out is self.root and not self.in_body and not _flat(self.root).strip():
                self.out = _Run()  # a page of frames shows nothing of its own
        elif attributes.get("http-equiv", "").lower() == "content-language":
            self.language = self.language or _language(attributes.get("content"))
        if name == "body":
            self.in_body = True
        if name in ("html", "body"):
            if look and look.shown is not None:
                self.root.shown = look.shown
            if look and look.case:
                self.root.case = look.case


def _language(tag: str | None) -> str | None:
    tag = _unescape(tag or "").split(",")[0].strip().lower().replace("_", "-")
    return tag if re.fullmatch(r"[a-z]{2,8}(?:-[a-z0-9]{1,8})*", tag) else None


def _flat(root: _Run) -> str:
    """All strings of a run in order; runs nest as deeply as tables do, so this does not recurse."""
    out: list[str] = []
    above: list[tuple[_Run, Iterator[Any]]] = [(root, iter(root))]
    while above:
        run, pieces = above.pop()
        if run.leaf:
            out.append(run.styled("".join(pieces)))
            continue
        for piece in pieces:
            if type(piece) is _Run:
                above += ((run, pieces), (piece, iter(piece)))
                break
            out.append(run.styled(piece))
    return "".join(out)


_XHTML = re.compile(r"<(?:[\w.-]+:)?html[\s>]", re.I).search


def _xml_text(text: str) -> str:
    """XML that is no page: every element separates words, none is hidden."""
    out = []
    for piece in _XML_TOKEN.split(text):
        if piece.startswith("<![CDATA["):
            out.append(piece[9:].removesuffix("]]>"))
        else:
            out.append(" " if piece.startswith("<") else _unescape(piece))
    return "".join(out)


# --- Narrowing by CSS -------------------------------------------------------------------------------------------------

_SELECTOR_LENGTH = 1000
_SOUP_TAGS = 100_000  # a soup takes 20 µs and 1 KB for each
_SELECT_SECONDS = 5.0  # of CPU; a page of 100,000 elements and a plain selector take one

# A part of a table alone would lose its cells
_CONTEXT = {"td": "<table><tr>", "th": "<table><tr>", "tr": "<table>", "tbody": "<table>", "thead": "<table>"}


def _narrow(text: str, select: str | None, ignore: str | None) -> str:
    """The markup of the elements that ``select`` names, without those that ``ignore`` names."""
    import bs4  # loaded for jobs that ask for it only

    chosen, dropped = _selector(select), _selector(ignore)
    if text.count("<") > _SOUP_TAGS:
        raise BadSelector(f"the page has more than {_SOUP_TAGS} tags, too many to select from")
    soup = bs4.BeautifulSoup(text, "lxml")
    if dropped:
        for element in _matches(dropped, soup):
            element.decompose()
    if not chosen:
        return str(soup)
    return "\n".join(
        f"<div>{_CONTEXT.get(element.name, '')}{element}</table></div>" for element in _matches(chosen, soup)
    )


def _selector(css: str | None) -> Any:
    import soupsieve

    if not css:
        return None
    if len(css) > _SELECTOR_LENGTH:
        raise BadSelector(f"a selector of more than {_SELECTOR_LENGTH} characters")
    try:
        return soupsieve.compile(css)
    except (ValueError, NotImplementedError, RecursionError, soupsieve.SelectorSyntaxError) as error:
        raise BadSelector((str(error) or "no CSS selector").splitlines()[0]) from None


def _matches(selector: Any, soup: Any) -> list[Any]:
    """The outermost elements that match, in order, within the time that a selector may take."""
    end = time.process_time() + _SELECT_SECONDS
    found: list[Any] = []
    inside: set[int] = set()
    for element in soup.find_all(True):
        if time.process_time() > end:
            raise BadSelector(f"a selector that takes more than {_SELECT_SECONDS:g} seconds on this page")
        if id(element.parent) in inside:
            inside.add(id(element))
        elif selector.match(element):
            inside.add(id(element))
            found.append(element)
    return found
