"""What each element and its attributes do to the text in it, as a browser's default style sheet and inline styles say.

The judge of each table is Chromium's ``innerText`` with scripting off; tests/pages/rules.json holds what it answered.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from turbohtml.cssom import StyleDeclaration

# Two characters that no text node holds: the parser drops or replaces NUL; U+001F is white space to every reader.
LINE, CELL = "\0", "\x1f"
BOX = ""  # an image or a field: no text, but white space beside it is not at an edge


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A line of their own. An inline ``display`` changes any of them but those of _OWN_LINE.
_BLOCKS = _names(
    "address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure footer form h1 "
    "h2 h3 h4 h5 h6 header hgroup hr html body legend li listing main menu nav ol optgroup option p plaintext pre "
    "search section summary ul xmp table caption"
)
_DISPLAY = {**dict.fromkeys(_BLOCKS, "block"), "tr": "row", "td": "cell", "th": "cell"}
# Not rendered unless a style says so. What canvas and object hold is shown: with scripting off it is all there is.
_HIDDEN = _names("datalist head noembed noframes rp script style template title")
# Boxes of the browser's own: whatever they hold is never text, whatever their style.
_REPLACED = _names("audio embed iframe img input meter progress template textarea video")
_VOID = _names("embed img input")
_OWN_LINE = _names("legend option p")  # innerText ends a line at each, even at an inline one
_PRE = _names("listing plaintext pre xmp")  # white space is kept: their lines are lines
_SHAPES = _names("circle ellipse image line path polygon polyline rect")  # SVG draws nothing that is within them
_NOT_DRAWN = _names("annotation annotation-xml desc metadata mglyph mphantom")  # in SVG and MathML
_FLOATED = _names("embed iframe img object")  # by their ``align``
# Elements that show some of the elements within them only. MathML's have a line each, as text in SVG has: innerText
# takes each for a block.
SUMMARY, OPTION = _names("summary"), _names("option")
_DRAWN = {"svg": _names("text foreignObject"), "math": _names("mi mn mo ms mtext mtd")}
_WANTED = {"details": SUMMARY, "select": OPTION, **_DRAWN}
_GAPS: dict[str, tuple[str | None, str | None]] = {  # what stands before and after an element, by its display
    "block": (LINE, LINE),
    "flex": (LINE, LINE),
    "row": (None, LINE),
    "cell": (CELL, None),
    "styled cell": (None, CELL),
}
_NO_GAP = (None, None)

CARE = "careful"  # the element is planned, see below; all others do no more than these two tables say
AFTER = {tag: gap for tag, display in _DISPLAY.items() if (gap := _GAPS[display][1])}
BEFORE: dict[str, str] = {
    **{tag: gap for tag, display in _DISPLAY.items() if (gap := _GAPS[display][0])},
    "br": LINE,
    **dict.fromkeys(_VOID, BOX),
    **dict.fromkeys(_HIDDEN | _PRE | _REPLACED - _VOID, CARE),
    **dict.fromkeys(_SHAPES.union(_NOT_DRAWN, *_DRAWN.values()), CARE),
    **dict.fromkeys(_names("html body meta button details dialog option optgroup select summary svg math"), CARE),
}
TELLING = _names("align display hidden lang popover style visibility xml:lang")  # attributes that may change the text


class State(NamedTuple):
    """What holds for the text of an element."""

    shown: bool = True
    case: str = "none"
    lang: str = ""
    pre: bool = False
    realm: str = ""  # svg or math
    wanted: frozenset[str] | None = None  # the only elements that are shown here, and ...
    within: bool = True  # ... whether they are (a hidden <select> shows none)


class Look(NamedTuple):
    """What an element's attributes change; None leaves it as its default style says."""

    display: str | None = None
    shown: bool | None = None  # visibility
    case: str | None = None  # text-transform
    pre: bool | None = None  # white-space
    skipped: bool = False  # content-visibility: the box is there, its content is not
    out: bool = False  # of the line, by float or position


class Plan(NamedTuple):
    """What is done at an element. ``how``: None if it ends as its name says, else what happens to what it wrote."""

    before: str | None
    after: str | None = None
    how: str | None = None  # hide, title, strip, trim, or nothing of these
    inner: State = State()
    inside: bool = True  # its gaps are shown where it is shown, else where its parent is
    items: bool = False  # its children are looked at one by one


@lru_cache(4000)
def plan(tag: str, state: State, look: Look, lang: str, item: bool, opened: bool, upright: bool) -> Plan:
    """What an element does where ``state`` holds.

    ``item``: a child of a flex container or a details; ``opened``: details and dialog; ``upright``: no italic formula.
    """
    if state.wanted is not None and (tag not in state.wanted or (tag == "summary" and not item)):
        if tag in _SHAPES and state.realm == "svg":
            return Plan(None, how="hide", inner=state)
        within = state.within if look.shown is None else look.shown  # what is shown in it inherits its visibility
        return Plan(None) if within == state.within else Plan(None, how="", inner=state._replace(within=within))
    if state.wanted is OPTION:
        look = NO_LOOK  # a browser lists every option, whatever its attributes
    display = _display(tag, state, look, opened)
    if item and state.wanted is None:  # a flex container makes lines of what it holds, but for contents' children
        display = {"inline": "block", "inline-block": "block", "contents": "inline-flex"}.get(display, display)
    before, after = _GAPS.get(display, _NO_GAP)
    if tag in _REPLACED:
        box = None if display == "none" else LINE if before == LINE and look.shown is not False else BOX
        return Plan(box, None, None if tag in _VOID else "hide", state, inside=False)
    if display == "none":
        return Plan(None, how="title" if tag == "title" and not state.realm else "hide", inner=state)
    if look.skipped and display in ("block", "flex", "inline-block", "inline-flex") and tag != "table":
        return Plan(before, after, "hide", state, inside=False)
    inner = _inner(tag, state, look, lang, opened, upright)
    how = "strip" if (tag == "button" or display == "inline-block") and not inner.pre else ""
    if tag == "table" and display in ("inline", "inline-block", "contents"):
        how = "trim"
    items = display in ("flex", "inline-flex") or inner.wanted is SUMMARY
    if inner == state and not how and not items and (before, after) == _GAPS.get(_DISPLAY.get(tag, ""), _NO_GAP):
        return Plan(before)
    return Plan(before, after, how, inner, inner.shown, items)


def _display(tag: str, state: State, look: Look, opened: bool) -> str:
    """The display of an element: its style's, else its default, as far as the element lets itself be changed."""
    display = look.display
    if tag in ("html", "body"):
        return "block"  # of a page that is hidden as a whole, innerText is all its text
    if display is None:
        display = _DISPLAY.get(tag, "inline")
        if tag in _HIDDEN or (state.realm and tag in _NOT_DRAWN) or (tag == "dialog" and not opened):
            display = "none"
        elif tag in _DRAWN.get(state.realm, ()):
            display = "block"
    elif tag in _OWN_LINE and display not in ("none", "contents"):
        display = "block"
    if look.out:
        taken = {"inline": "block", "inline-block": "block", "styled cell": "block", "inline-flex": "flex"}
        display = taken.get(display, display)
    return display


def _inner(tag: str, state: State, look: Look, lang: str, opened: bool, upright: bool) -> State:
    """What holds for the text of an element that is shown."""
    shown = state.shown if state.wanted is None else state.within
    shown = shown if look.shown is None else look.shown
    case = look.case or ("none" if tag in ("button", "select") else state.case)
    if tag == "mi" and state.realm == "math" and not upright:
        case = "italic"
    pre = (tag in _PRE or state.pre) if look.pre is None else look.pre
    realm = tag if tag in _DRAWN else "" if tag == "foreignObject" else state.realm
    wanted = None if tag == "details" and opened else _WANTED.get(tag)
    return State(shown and wanted is None, case, lang or state.lang, pre, realm, wanted, shown)


# --- Attributes -------------------------------------------------------------------------------------------------------

_DISPLAYS = {
    value: display
    for display, values in {
        "block": "block|list-item|flow-root|table|table-caption|-webkit-box|inherit|flow|block flow|block flow-root|"
        "block ruby|block math",
        "inline": "inline|inline-table|initial|unset|ruby|math|inline flow|inline math",
        "inline-block": "inline-block|inline flow-root|-webkit-inline-box",
        "flex": "flex|grid|block flex|block grid|-webkit-flex",
        "inline-flex": "inline-flex|inline-grid|inline flex|inline grid|-webkit-inline-flex",
        "none": "none|table-column|table-column-group",
        "contents": "contents",
        "row": "table-row",
        "styled cell": "table-cell",
    }.items()
    for value in values.split("|")
}
_VISIBLE = {"hidden": False, "collapse": False, "visible": True, "initial": True}
_VALUES: dict[str, Collection[str]] = {  # of the properties that concern text; others are no declarations
    "display": {*_DISPLAYS, "revert"},
    "visibility": {*_VISIBLE, "inherit", "unset", "revert"},
    "text-transform": ("uppercase", "lowercase", "capitalize", "none"),
    "content-visibility": ("visible", "hidden", "auto"),
    "white-space": ("normal", "nowrap", "pre", "pre-wrap", "pre-line", "break-spaces"),
    "float": ("none", "left", "right", "inline-start", "inline-end"),
    "position": ("static", "relative", "absolute", "fixed", "sticky"),
}
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.S)
NO_LOOK = Look()


def look_of(tag: str, attributes: dict[str, str], realm: str) -> Look:
    """What an element's attributes change. SVG and MathML know no ``hidden``; SVG has attributes that are styles."""
    if TELLING.isdisjoint(attributes):
        return NO_LOOK
    styles = _styles(attributes["style"]) if "style" in attributes else {}
    if "svg" in (realm, tag):
        named = {name: attributes[name].strip().lower() for name in ("display", "visibility") if name in attributes}
        styles = {name: value for name, value in named.items() if value in _VALUES[name]} | styles
    if tag in _FLOATED and attributes.get("align", "").lower() in ("left", "right"):
        styles = {"float": "left"} | styles
    display, skipped = _DISPLAYS.get(styles.get("display", "")), styles.get("content-visibility") == "hidden"
    out = styles.get("float", "none") != "none" or styles.get("position") in ("absolute", "fixed")
    if realm:
        display, out = ("none" if display == "none" and tag != "a" else None), False
    elif tag not in _DRAWN:
        if display == "inline" and "position" not in styles and (tag == "dialog" or "popover" in attributes):
            display = "block"  # their default style takes them out of the line
        elif display is None and ("popover" in attributes or attributes.get("hidden", "until-found") != "until-found"):
            display = "none"
        elif display is None and "hidden" in attributes:
            skipped = True
    pre = styles["white-space"] not in ("normal", "nowrap") if "white-space" in styles else None
    shown = _VISIBLE.get(styles.get("visibility", ""))
    return Look(display, shown, styles.get("text-transform"), pre, skipped, out)


def tells(tag: str, name: str, value: str | None) -> bool:
    """Whether an attribute of those in TELLING changes anything: most styles are about colours and widths."""
    if name == "style":
        return bool(_styles(value or ""))
    return tag[0] != "?" and (name != "align" or tag in _FLOATED)


def _styles(css: str) -> dict[str, str]:
    """What is remembered is bounded, and so is what is read: no page has a style of so many bytes."""
    return _read_styles(css) if len(css) < 300 else _read_styles.__wrapped__(css[:50_000])


@lru_cache(2000)
def _read_styles(css: str) -> dict[str, str]:
    """The declarations of a style attribute that concern text, the last valid one of each."""
    whole = StyleDeclaration.parse(css)
    found: dict[str, str] = {}
    for name, values in _VALUES.items():
        declared, tries = whole, 4
        while tries and name in declared:
            value = _CSS_ESCAPE.sub(_css_character, declared[name]).lower()
            value = "initial" if "var(" in value else value  # nothing here gives variables a value
            if value in values:
                found[name] = value
                break
            text = declared.text  # not valid, so one before it counts: display:none;display:mine
            declared, tries = StyleDeclaration.parse(text[: text.rfind(name)]), tries - 1
    if whole.get("all", "") in ("initial", "unset"):
        found.setdefault("display", "initial")
    return found


def _css_character(found: re.Match[str]) -> str:
    return chr(int(found[1], 16) % 0x110000) if found[1] else found[2]
