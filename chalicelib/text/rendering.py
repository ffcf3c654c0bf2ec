"""The events of a page's tree, turned into the text that a reader sees.

The judge is Chromium's ``innerText`` with scripting off, default styles, the ``hidden`` attribute and inline styles:
the same words in the same order. turbohtml builds the tree as a browser does and calls ``start_element``,
``end_element`` and ``characters``; nothing here builds a tree again. Text goes straight into one list. What an element
hides or changes is put right when it ends, on the piece of the list that it wrote: that costs nothing where nothing is
hidden, which is nearly everywhere, and is linear everywhere.
"""

import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from turbohtml.cssom import StyleDeclaration

from chalicelib.text.casing import cased

# Two characters that no text node holds: the parser drops or replaces NUL; U+001F is white space to every reader.
LINE, CELL = "\0", "\x1f"
BOX = ""  # an image or a field: no text, but white space beside it is not at an edge


class _Final(str):
    """Text whose visibility and case are decided: what is around it changes it no more."""

    __slots__ = ()


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- The elements: what a browser's default style sheet says of each --------------------------------------------------

# A line of their own. Cells and rows are below; an inline ``display`` changes any of them but those of OWN_LINE.
BLOCKS = _names(
    "address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure footer form h1 "
    "h2 h3 h4 h5 h6 header hgroup hr legend li listing main menu nav ol optgroup option p plaintext pre search section "
    "summary ul xmp table caption"
)
# Not rendered unless a style says so. What video, audio and canvas hold is for browsers without them: canvas works
# with scripts alone, so its content is shown.
HIDDEN = _names("datalist head noembed noframes rp script style template title")
# Boxes of the browser's own: whatever they hold is never text, whatever their style.
REPLACED = _names("audio embed iframe img input meter progress template textarea video")
OWN_LINE = _names("legend option p")  # innerText ends a line at each, even at an inline one
PRE = _names("listing plaintext pre xmp")  # white space is kept: their lines are lines
# Elements that show some of the elements within them only
_SUMMARY, _OPTION = _names("summary"), _names("option")
_DRAWN = _names("text foreignObject")  # in SVG text is drawn by these two
_TOKENS = _names("mi mn mo ms mtext mtd")  # MathML: a line each, since innerText takes each for a block
_SHAPES = _names("circle ellipse image line path polygon polyline rect")  # SVG draws nothing that is within them
_WANTED = {"details": _SUMMARY, "select": _OPTION, "svg": _DRAWN, "math": _TOKENS}
_NOT_DRAWN = _names("annotation annotation-xml desc metadata mglyph mphantom")  # in SVG and MathML
_FLOATED = _names("embed iframe img object")  # by their ``align``
_GAPS = {  # what stands before and after an element, by its display
    "block": (LINE, LINE),
    "flex": (LINE, LINE),
    "row": ("", LINE),
    "cell": (CELL, ""),
    "styled cell": ("", CELL),
    "contents": ("", ""),
}
_NO_GAP = ("", "")
_DISPLAY = {**dict.fromkeys(BLOCKS, "block"), "tr": "row", "td": "cell", "th": "cell"}

_CARE = "careful"  # the element has rules of its own
_AFTER = {tag: gap for tag, display in _DISPLAY.items() if (gap := _GAPS[display][1])}
_BEFORE: dict[str, str] = {
    **{tag: gap for tag, display in _DISPLAY.items() if (gap := _GAPS[display][0])},
    "br": LINE,
    **dict.fromkeys(REPLACED, BOX),
    **dict.fromkeys(HIDDEN | PRE | _DRAWN | _SHAPES | _TOKENS | _NOT_DRAWN | REPLACED - {"img", "input"}, _CARE),
    **dict.fromkeys("html body meta button details dialog option optgroup select summary svg math".split(), _CARE),
}
_TELLING = _names("align display hidden lang popover style visibility xml:lang")  # attributes that may change the text


class _Look(NamedTuple):
    """What an element's attributes change; None leaves it as its default style says."""

    display: str | None = None
    shown: bool | None = None  # visibility
    case: str | None = None  # text-transform
    pre: bool | None = None  # white-space
    skipped: bool = False  # content-visibility: the box is there, its content is not
    out: bool = False  # of the line, by float or position


class _State(NamedTuple):
    """What holds for the text of an element."""

    shown: bool = True
    case: str = "none"
    lang: str = ""
    pre: bool = False
    realm: str = ""  # svg or math
    wanted: frozenset[str] | None = None  # the only elements that are shown here, and ...
    within: bool = True  # ... whether they are (a hidden <select> shows none)


class _Frame(NamedTuple):
    """An element that hides or changes what it holds, until it ends."""

    depth: int
    start: int  # in the list of text
    outer: _State
    care: int
    after: str
    how: str  # hide, title, strip, trim or nothing of these
    inside: bool


_Attributes = Sequence[tuple[str, str | None]]
_SPACES = re.compile("  +")
_EDGES = " " + CELL


def _handlers(renderer: "Renderer") -> tuple[Callable[[str, _Attributes], None], Callable[[str], None]]:
    """The two calls of each element. Closures, since what most elements need is done here in half a method's time."""
    depth = top = care = 0  # of the current element; of the innermost with a frame; of those that need care
    append = renderer.append

    def start_element(tag: str, attrs: _Attributes) -> None:
        nonlocal depth, top, care
        depth += 1
        if depth != care:
            for name, value in attrs:
                if name in _TELLING and _tells(tag, name, value):
                    break
            else:
                before = _BEFORE.get(tag)
                if before is None:
                    return
                if before is not _CARE:
                    append(before)
                    return
        top, care = renderer.careful(depth, tag, attrs)

    def end_element(tag: str) -> None:
        nonlocal depth, top, care
        if depth == top:
            top, care = renderer.close()
        elif tag in _AFTER:
            append(_AFTER[tag])
        depth -= 1

    return start_element, end_element


class Renderer:
    """Receives the events of one page; ``text()``, ``title`` and ``languages`` are what came of them."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.characters = self.append = self.out.append  # the parser calls the list itself
        self.title: str | None = None
        self.languages: dict[str, str] = {}  # as html, body and meta declare them
        self.depth = 0  # of the element that is looked at
        self.frames: list[_Frame] = []
        self.care = 0  # the depth of the children of a flex container or of a closed details
        self.state = _State()
        self.groups: set[str] = set()  # the names of details of which one is open
        self.start_element, self.end_element = _handlers(self)

    def comment(self, *_: object) -> None: ...

    doctype = processing_instruction = comment

    def line(self) -> None:
        """End a line between what is rendered and what comes, whatever the elements say."""
        self.append(_Final(LINE))

    def text(self) -> str:
        """What was rendered: each block on a line of its own, cells apart by tabs, other white space as one space."""
        text = "".join(self.out)
        for space in "\t\n\r\f":
            text = text.replace(space, " ")
        lines = [line for line in [line.strip(_EDGES) for line in text.split(LINE)] if line]
        return _SPACES.sub(" ", "\n".join(lines)).replace(CELL, "\t")

    # --- Elements with rules of their own ---

    def careful(self, depth: int, tag: str, attrs: _Attributes) -> tuple[int, int]:
        """Begin an element that may hide or change something; at which depths the next of them ends or begins."""
        self.depth = depth
        self._start(tag, attrs)
        return self.frames[-1].depth if self.frames else 0, self.care

    def _start(self, tag: str, attrs: _Attributes) -> None:
        wanted, item = self.state.wanted, self.depth == self.care
        if wanted is not None:
            if tag == "optgroup" and wanted is _OPTION:
                self.line()
            if tag not in wanted or (tag == "summary" and not item):
                self._unwanted(tag, attrs)
                return
            if tag == "summary":  # only the first
                self.state = self.state._replace(wanted=frozenset())
        attributes = {name: value or "" for name, value in attrs}
        self._declare(tag, attributes)
        # A browser lists every option of a select, whatever its attributes
        look = _NO_LOOK if wanted is _OPTION else _look(tag, attributes, self.state.realm)
        display = self._display(tag, look, attributes, item and wanted is None)
        if tag in REPLACED:
            self._replaced(tag, look, display)
        elif display == "none":
            self._open("title" if tag == "title" and not self.state.realm else "hide", self.state)
        elif look.skipped and display in _SKIPPABLE and tag not in ("table", "html", "body"):
            self._open("hide", self.state, *_GAPS.get(display, _NO_GAP), inside=False)
        else:
            self._enter(tag, look, display, attributes)

    def _unwanted(self, tag: str, attrs: _Attributes) -> None:
        """An element that is not shown here; what it holds may be, and inherits its visibility."""
        shown = _look(tag, {name: value or "" for name, value in attrs}, self.state.realm).shown
        if tag in _SHAPES and self.state.realm == "svg":
            self._open("hide", self.state)
        elif shown is not None:
            self._open("", self.state._replace(within=shown))

    def _display(self, tag: str, look: _Look, attributes: dict[str, str], item: bool) -> str:
        """The display of an element: its style's, else its default, as the element and its container let it have."""
        display, realm = look.display, self.state.realm
        if tag in ("html", "body"):
            return "block"  # of a page that is hidden as a whole, innerText is all its text
        if display is None:
            display = _DISPLAY.get(tag, "inline")
            if tag in HIDDEN or (realm and tag in _NOT_DRAWN) or (tag == "dialog" and "open" not in attributes):
                display = "none"
            elif (realm == "svg" and tag in _DRAWN) or (realm == "math" and tag in _TOKENS):
                display = "block"
        elif (tag in OWN_LINE and display not in ("none", "contents")) or (
            display == "inline" and not look.out and (tag == "dialog" or "popover" in attributes)
        ):
            display = "block"  # the latter two are out of the line by default
        if look.out:
            display = _TAKEN_OUT.get(display, display)
        return _ITEMS.get(display, display) if item else display

    def _replaced(self, tag: str, look: _Look, display: str) -> None:
        """A box without text, which may have a line of its own."""
        if display != "none":
            self.append(LINE if display in ("block", "flex") and look.shown is not False else BOX)
        if tag not in ("embed", "img", "input"):
            self._open("hide", self.state)

    def _enter(self, tag: str, look: _Look, display: str, attributes: dict[str, str]) -> None:
        """Open an element that is shown, with what its style and its name change for what it holds."""
        state = self.state
        shown = (state.shown if state.wanted is None else state.within) if look.shown is None else look.shown
        case = look.case or ("none" if tag in ("button", "select") else state.case)
        if tag == "mi" and state.realm == "math" and attributes.get("mathvariant") != "normal":
            case = "italic"
        lang = attributes.get("lang") or attributes.get("xml:lang") or state.lang
        pre = (tag in PRE or state.pre) if look.pre is None else look.pre
        realm = tag if tag in ("svg", "math") else "" if tag == "foreignObject" else state.realm
        inner = _State(shown, case, lang, pre, realm)
        how = "strip" if (tag == "button" or display == "inline-block") and not pre else ""
        if tag == "table" and display in ("inline", "inline-block", "contents"):
            how = "trim"
        wanted = _WANTED.get(tag) if tag != "details" or self._is_closed(attributes) else None
        if wanted:
            inner = inner._replace(shown=False, wanted=wanted, within=shown)
        before, after = _GAPS.get(display, _NO_GAP)
        if inner == state and not how and (before, after) == _GAPS.get(_DISPLAY.get(tag, ""), _NO_GAP):
            if before:
                self.append(before)
        else:
            self._open(how, inner, before, after, inside=inner.shown)
        if display in ("flex", "inline-flex") or wanted is _SUMMARY:
            self.care = self.depth + 1

    def _is_closed(self, attributes: dict[str, str]) -> bool:
        """Whether a details is closed; of those with one name only the first open one is open."""
        name = attributes.get("name")
        if "open" not in attributes or name in self.groups:
            return True
        if name:
            self.groups.add(name)
        return False

    def _declare(self, tag: str, attributes: dict[str, str]) -> None:
        """Note what html, body and meta say of the page's language."""
        declared = None
        if tag in ("html", "body"):
            declared = attributes.get("lang") or attributes.get("xml:lang")
        elif tag == "meta" and attributes.get("http-equiv", "").lower() == "content-language":
            declared = attributes.get("content")
        if declared:
            self.languages.setdefault(tag, declared)

    # --- Frames ---

    def _open(self, how: str, inner: _State, before: str = "", after: str = "", *, inside: bool = True) -> None:
        """Begin an element. ``inside``: its gaps are shown where it is shown, else where its parent is."""
        start = len(self.out)
        if before:
            self.append(before)
        if not inside:
            start = len(self.out)
        self.frames.append(_Frame(self.depth, start, self.state, self.care, after, how, inside))
        self.care, self.state = 0, inner

    def close(self) -> tuple[int, int]:
        """End the innermost frame: put right what it wrote."""
        frame, inner, out = self.frames.pop(), self.state, self.out
        outer, start = frame.outer, frame.start
        self.state, self.care = outer, frame.care
        if frame.how == "title" and self.title is None:
            self.title = " ".join("".join(out[start:]).split())
        if frame.how in ("title", "hide"):
            del out[start:]
        elif frame.how:
            (_strip if frame.how == "strip" else _trim)(out, start)
        if frame.after and frame.inside:
            self.append(frame.after)
        if inner.pre and not outer.pre:
            out[start:] = [type(piece)(piece.replace("\n", LINE)) for piece in out[start:]]
        if (
            inner.shown != outer.shown
            or inner.case != outer.case
            or (inner.lang != outer.lang and inner.case != "none")
        ):
            out[start:] = [_settled(out[start:], inner)]
        if frame.after and not frame.inside:
            self.append(frame.after)
        return self.frames[-1].depth if self.frames else 0, self.care


def _settled(pieces: list[str], state: _State) -> str:
    """What an element wrote, as one piece: hidden or in its case, but for what elements within it have decided."""
    if not state.shown:
        return _Final("".join([piece for piece in pieces if type(piece) is _Final]))
    if state.case == "none":
        return _Final("".join(pieces))
    runs = groupby(pieces, key=type)  # a word may go over several pieces: do<b>n’t</b>
    return _Final(
        "".join(["".join(run) if kind is _Final else cased("".join(run), state.case, state.lang) for kind, run in runs])
    )


def _strip(out: list[str], start: int) -> None:
    """Drop white space at the edges of a box within a line: ``a<button> b </button>c`` is *abc* to a browser."""
    for places, strip in ((range(start, len(out)), str.lstrip), (range(len(out) - 1, start - 1, -1), str.rstrip)):
        for place in places:
            piece = out[place]
            if piece in (BOX, LINE, CELL):
                break
            out[place] = type(piece)(strip(piece, " \t\n\r\f"))
            if out[place]:
                break


def _trim(out: list[str], start: int) -> None:
    """Within a line, a table's first cell begins without a gap and its last row ends without one."""
    for place in range(start, len(out)):
        piece = out[place]
        if piece == LINE or not (piece == CELL or piece.isspace()):
            break
        out[place] = ""
        if piece == CELL:
            break
    for place in range(len(out) - 1, start - 1, -1):
        piece = out[place]
        if piece != LINE and not piece.isspace():
            break
        out[place] = ""
        if piece == LINE:
            break


# --- Attributes -------------------------------------------------------------------------------------------------------

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
    "table-cell": "styled cell",
    "revert": None,
}
_VISIBLE = {"hidden": False, "collapse": False, "visible": True, "initial": True}
_VALUES: dict[str, Collection[str]] = {  # of the properties that concern text; others are no declarations
    "display": _DISPLAYS,
    "visibility": {*_VISIBLE, "inherit", "unset", "revert"},
    "text-transform": ("uppercase", "lowercase", "capitalize", "none"),
    "content-visibility": ("visible", "hidden", "auto"),
    "white-space": ("normal", "nowrap", "pre", "pre-wrap", "pre-line", "break-spaces"),
    "float": ("none", "left", "right", "inline-start", "inline-end"),
    "position": ("static", "relative", "absolute", "fixed", "sticky"),
}
_SKIPPABLE = ("block", "flex", "inline-block", "inline-flex")  # what content-visibility is for
_TAKEN_OUT = {"inline": "block", "inline-block": "block", "styled cell": "block", "inline-flex": "flex"}
_ITEMS = {"inline": "block", "inline-block": "block", "contents": "inline-flex"}  # a contents' children are items
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.S)
_NO_LOOK = _Look()


def _look(tag: str, attributes: dict[str, str], realm: str) -> _Look:
    """What an element's attributes change. SVG and MathML know no ``hidden``; SVG has attributes that are styles."""
    if _TELLING.isdisjoint(attributes):
        return _NO_LOOK
    styles = _styles(attributes["style"]) if "style" in attributes else {}
    if realm == "svg" or tag == "svg":
        named = {name: attributes[name].strip().lower() for name in ("display", "visibility") if name in attributes}
        styles = {name: value for name, value in named.items() if value in _VALUES[name]} | styles
    if tag in _FLOATED and "align" in attributes:
        styles = {"float": attributes["align"].lower()} | styles
    display = _DISPLAYS.get(styles.get("display", ""))
    skipped = styles.get("content-visibility") == "hidden"
    out = styles.get("float", "none") not in ("none", "top", "middle", "bottom", "") or styles.get("position") in (
        "absolute", "fixed",
    )  # fmt: skip
    if realm:
        display, out = ("none" if display == "none" and tag != "a" else None), False
    elif tag not in ("svg", "math") and display is None:
        if "popover" in attributes or attributes.get("hidden", "until-found").lower() != "until-found":
            display = "none"
        elif "hidden" in attributes:
            skipped = True
    return _Look(
        display,
        _VISIBLE.get(styles.get("visibility", "")),
        styles.get("text-transform"),
        styles["white-space"] not in ("normal", "nowrap") if "white-space" in styles else None,
        skipped,
        out,
    )


def _tells(tag: str, name: str, value: str | None) -> bool:
    """Whether an attribute changes anything: most styles are about colours and widths."""
    if name == "style":
        return bool(_styles(value or ""))
    return name != "align" or tag in _FLOATED


def _styles(css: str) -> dict[str, str]:
    return _known_styles(css) if len(css) < 300 else _known_styles.__wrapped__(css)  # what is kept is bounded


@lru_cache(2000)
def _known_styles(css: str) -> dict[str, str]:
    """The declarations of a style attribute that concern text, the last valid one of each."""
    found: dict[str, str] = {}
    for name, values in _VALUES.items():
        declared, tries = StyleDeclaration.parse(css), 8
        while name in declared and tries:
            value = _CSS_ESCAPE.sub(_css_character, declared[name]).lower()
            if value in values:
                found[name] = value
                break
            # Not valid, so one before it counts: display:none;display:mine
            declared, tries = StyleDeclaration.parse(declared.text[: declared.text.rfind(name)]), tries - 1
    return found


def _css_character(found: re.Match[str]) -> str:
    return chr(int(found[1], 16) % 0x110000) if found[1] else found[2]
