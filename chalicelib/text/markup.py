"""Markup as the HTML standard cuts it into tokens, and what the standard says of each element.

One regular expression finds the tokens; each is read once into what the walk must know of it: whether it opens a block,
what it closes, whether it hides.
"""

import re
from html import unescape
from typing import NamedTuple

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
TOKEN = re.compile(rf"(<(?:/[a-zA-Z]{_ATTRIBUTES}|{_ELEMENT}|{_COMMENT}))", re.S)
XML_TOKEN = re.compile(
    rf"(<(?:/?[^\s<>/!?]{_ATTRIBUTES}|!--.*?(?:-->|\Z)|!\[CDATA\[.*?(?:\]\]>|\Z)|[!?][^>]*+>?))", re.S
)
# A page without a doctype, or with one of the nineties, is read in quirks mode.
_NINETIES = (
    r"w3c//dtd html (?:[23]|4\.0 (?:transitional|frameset)|experimental)|ietf//|netscape|microsoft|softquad"
    r"|sun |webtechs|spyglass|w3o//|o'reilly|sq//|as//|advasoft|metrius"
)
STANDARD = re.compile(
    r"(?:[ \t\n\f\r\ufeff]|<!--.*?-->|<\?[^>]*+>)*+<!doctype[ \t\n\f\r]*+html(?=[ \t\n\f\r>])"
    rf"""(?![^>]*?["']-//(?:{_NINETIES}|w3c//dtd html 4\.01 (?:transitional|frameset)//[a-z]*["']\s*>))""",
    re.I | re.S,
)
TAG = re.compile(rf"<[^<>]{_ATTRIBUTES}")
TAG_NAME = re.compile(r"<(/?[^ \t\n\f\r/>!?][^ \t\n\f\r/>]*)")
_ATTRIBUTE = re.compile(
    r"""[ \t\n\f\r/]*+([^ \t\n\f\r/>=][^ \t\n\f\r/>=]*+|=[^ \t\n\f\r/>=]*+)"""
    r"""(?:[ \t\n\f\r]*+=[ \t\n\f\r]*+(?:"([^"]*+)"?|'([^']*+)'?|([^ \t\n\f\r>]*+)))?+"""
)


_REFERENCE = re.compile(r"&(?:#(?:[xX]([0-9a-fA-F]++)|([0-9]++));?|[a-zA-Z][a-zA-Z0-9]{1,31};?)")


def unescaped(text: str) -> str:
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
BLOCKS = _names(
    "address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hgroup legend li listing main menu nav ol optgroup option p "
    "plaintext pre search section summary ul xmp table caption tbody thead tfoot tr /form"
)
# Never shown. Fallbacks are hidden where the element itself works without scripts (video, iframe), shown where not.
HIDDEN = _names(
    "area audio base basefont datalist dialog embed head iframe link meta meter noembed noframes param "
    "progress rp script style template textarea title video"
)
# Boxes that show no text of their own, whatever their style; a style may still give them a line of their own.
REPLACED = _names("audio embed iframe img input meter progress template textarea video")
CLOSES_P = _names(
    "address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hgroup hr listing main menu nav ol p plaintext pre search section "
    "summary ul xmp dd dt li table"
)
# What the start of a block ends if it is the current element; the rest of the standard's rules is in start.
CLOSED_BY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(BLOCKS, ()),
    **dict.fromkeys(CLOSES_P, ("p",)),
    "li": ("li",),
    "dd": ("dd", "dt"),
    "dt": ("dd", "dt"),
}
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_VOID = _names(
    "area base basefont bgsound br col command embed frame hr img image input keygen link meta param source track wbr"
)
RAW_TEXT = _names("script style title textarea xmp iframe noembed noframes plaintext")
PARTS = _names("caption col colgroup tbody td tfoot th thead tr")
FORMATTING = _names("a b big code em font i nobr s small strike strong tt u")
# The standard's special elements: an end tag of an ordinary element does not reach beyond them.
SPECIAL = (BLOCKS | PARTS | _names("applet button hr marquee object select template body html frameset")) - {
    "option",
    "optgroup",
}
TRACKED = BLOCKS | SPECIAL  # of these the walk knows where they are open, so that no question needs a search
MARKERS = _names("td th caption template applet marquee object")  # a scope ends at them
SCOPES = MARKERS | {"table", "tbody", "thead", "tfoot", "tr"}
ROWS = ("table", "tbody", "thead", "tfoot", "tr")  # text directly in these is pushed out, before the table

_GROUPS = ("table", "tbody", "thead", "tfoot")
CELLS = ("td", "th")
RUBY = ("rp", "rt", "rb", "rtc")
LINES = ("legend", "option", "p")  # a browser ends lines at every one, even an inline one
BELONGS = {
    name: ("tr", *_GROUPS) if name in ("td", "th") else _GROUPS if name == "tr" else ("table",) for name in PARTS
}

DIRECTLY = {name: ("tr",) if name in CELLS else _GROUPS[1:] if name == "tr" else () for name in PARTS}

# Elements that show some of their children only, each in its own line
WANTED = {
    "details": frozenset(["summary"]),
    "select": frozenset(["option"]),
    "svg": frozenset(["text", "foreignobject"]),
    "math": frozenset(["mi", "mn", "mo", "ms", "mtd", "mtext"]),
}
INTEGRATION = {"svg": frozenset(["foreignobject", "desc"]), "math": (WANTED["math"] - {"mtd"}) | {"annotation-xml"}}
_CONTAINERS = _names("a defs g svg switch symbol")  # of SVG: innerText finds the text in them even if they have no box
FOREIGN_HIDDEN = _names("mphantom title desc metadata script style annotation annotation-xml")
HTML_ANNOTATION = re.compile(r"""\sencoding\s*=\s*["']?\s*(?:text/html|application/xhtml\+xml)""", re.I)
HTML_FONT = re.compile(r"<font[^>]*\s(?:color|face|size)[\s=>]", re.I)
HIDDEN_INPUT = re.compile(r"""\stype\s*=\s*["']?\s*hidden""", re.I)
BREAKOUT = _names(
    "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li "
    "listing menu meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul var"
)

SKIP, OPEN, CLOSE, OPEN_BLOCK, CLOSE_BLOCK, OPEN_ITEM, BREAK, DECLARE, PART, START, END, OPEN_HEADING = range(12)
IN_ROWS, CARE = 1, 2  # why the next token needs care: in a table but in no cell, or anything else
LISTS = ("ul", "ol", "dl", "menu")
_IGNORED = _names("head frame noembed")


class Look(NamedTuple):
    """What attributes change about an element; None leaves it as the default style says."""

    display: str | None = None  # none, inline or one of GAPS
    shown: bool | None = None  # visibility
    case: str | None = None  # text-transform
    opened: bool | None = None  # details and dialog: the open attribute


# What a tag does: one of the actions, the element's name, what its attributes change. A plain tuple, which the loop
# takes apart in half the time of a named one.
Entry = tuple[int, str, Look | None]


_SPECIAL_START = (
    PARTS
    | RAW_TEXT
    | _names(
        "table form button hr plaintext details summary dialog svg math template select option optgroup rb "
        "rtc rp rt object applet marquee image input"
    )
)
_SPECIAL_END = PARTS | {"form", "table"}
_WITH_LOOK = (OPEN, OPEN_BLOCK, OPEN_ITEM, OPEN_HEADING, PART, DECLARE, START)
_KNOWN_TOKENS = 20_000  # tags repeat, within a page and from page to page; what is learned is bounded
_KNOWN_LENGTH = 80
known_tags: dict[str, Entry] = {}
_plain: dict[str, Entry] = {}  # the same by name, for tags whose attributes change nothing


def read_tag(token: str) -> Entry:
    """What a token does. Remembered for as long as the process lives."""
    found = TAG_NAME.match(token)
    if found is None:
        return (START, "![cdata[", None) if token.startswith("<![CDATA[") else (SKIP, "", None)
    entry = _plain.get(found[1])
    if entry is None:
        entry = _read_name(found[1].lower())
        if len(_plain) < _KNOWN_TOKENS:
            _plain[found[1]] = entry
    action, name, _ = entry
    if action in _WITH_LOOK and (look := read_look(name, token)):
        entry = (action if action in (PART, DECLARE) else START, name, look)
    elif name in ("br", "img") and found[1][0] != "/" and (look := read_look(name, token)):
        if look.display == "none":
            entry = (SKIP, "", None)
        elif name != "br" and makes_line(look):
            entry = (BREAK, name, None)
    if len(token) <= _KNOWN_LENGTH:
        if len(known_tags) >= _KNOWN_TOKENS:
            known_tags.clear()
        known_tags[token] = entry
    return entry


def _read_name(name: str) -> Entry:
    """What a tag of this name does, ``/`` before the name of an end tag."""
    if name.startswith("/"):
        name = name[1:]
        if name == "br":
            return (BREAK, name, None)
        if name in _IGNORED or name in RAW_TEXT or name in _VOID or name in ("html", "body", "frameset"):
            return (SKIP, name, None)
        if name in _SPECIAL_END or (name in TRACKED and name not in BLOCKS):
            return (END, name, None)
        return (CLOSE_BLOCK if name in BLOCKS else CLOSE, name, None)
    if name in ("html", "meta", "body", "frameset"):
        return (DECLARE, name, None)
    if name == "br":
        return (BREAK, name, None)
    if name in PARTS:
        return (PART, name, None)
    if name in _IGNORED or (name in _VOID and name not in ("hr", "image", "input")):
        return (SKIP, name, None)
    if name in HIDDEN or name in _SPECIAL_START:
        return (START, name, None)
    if name in HEADINGS:
        return (OPEN_HEADING, name, None)
    if name in ("li", "dd", "dt"):
        return (OPEN_ITEM, name, None)
    return (OPEN_BLOCK if name in BLOCKS else OPEN, name, None)


def tag_attributes(token: str) -> dict[str, str]:
    tag = TAG.match(token)
    end = tag.end() if tag else len(token)
    at = len(found[0]) if (found := TAG_NAME.match(token)) else 1
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
WITHIN_LINES = ("inline", "inline-block", "contents")
GAPS = {
    "block": ("\n", "\n"),
    "flex": ("\n", "\n"),
    "row": ("", "\n"),
    "cell": ("", "\t"),
    "cell of a table": ("\t", ""),
}


def read_look(name: str, token: str) -> Look | None:
    lower = token.lower() if len(token) > len(name) + 2 else ""
    aligned = name in _FLOATED and "align" in lower
    if not (aligned or "style" in lower or "hidden" in lower or "popover" in lower or name in ("details", "dialog")):
        return None
    attributes = tag_attributes(token)
    display = "none" if "hidden" in attributes or "popover" in attributes else None
    unrendered = attributes.get("hidden", "").lower() == "until-found" and "popover" not in attributes
    if unrendered:
        display = None
    styles = _styles(unescaped(attributes["style"])) if "style" in attributes else {}
    if aligned:
        styles.setdefault("float", attributes.get("align", "none").lower())
    display = _DISPLAYS.get(styles.get("display", ""), display)
    display = _taken_out(display, styles)
    if display == "inline" and "position" not in styles and (name == "dialog" or "popover" in attributes):
        display = "block"  # their default style takes them out of the line
    if unrendered or styles.get("content-visibility") == "hidden":  # which neither an inline element nor a row can have
        whole = name in BLOCKS and name not in ROWS if display is None else display not in ("inline", "contents")
        display = "none" if whole else display
    shown = _VISIBLE.get(styles.get("visibility", ""))
    case = styles.get("text-transform")
    opened = True if name in ("details", "dialog") and "open" in attributes else None
    look = Look(display, shown, case, opened)
    return look if any(fact is not None for fact in look) else None


def _taken_out(display: str | None, styles: dict[str, str]) -> str | None:
    """The display of an element that floats or has a position of its own."""
    floats = styles.get("float") in ("left", "right", "inline-start", "inline-end")
    if not floats and styles.get("position") not in ("absolute", "fixed"):
        return display
    blocks = {None: "block", "inline": "block", "inline-block": "block", "cell": "block", "inline-flex": "flex"}
    return blocks.get(display, display)


def makes_line(look: Look | None) -> bool:
    return look is not None and look.shown is not False and GAPS.get(look.display or "", ("", ""))[0] == "\n"


def foreign_look(name: str, token: str, realm: str) -> Look | None:
    """What attributes change in SVG and MathML: no ``hidden``, but in SVG attributes that stand for styles."""
    lower = token.lower()
    if "style" not in lower and "display" not in lower and "visibility" not in lower:
        return None
    attributes = tag_attributes(token)
    named = {key: attributes[key].strip().lower() for key in ("display", "visibility") if key in attributes}
    styles = (named if realm == "svg" else {}) | _styles(unescaped(attributes.get("style", "")))
    shown = _VISIBLE.get(styles.get("visibility", ""))
    display = _DISPLAYS.get(styles.get("display", ""))
    if name == realm:
        display = _taken_out(display, styles)
    elif display != "none" or (realm == "svg" and name in _CONTAINERS):
        display = None
    return Look(display, shown) if display or shown is not None else None


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
