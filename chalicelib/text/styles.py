"""What each element and its attributes do to the text in it, as a browser's default style sheet and inline styles say.

The judge of each table is Chromium's ``innerText`` with scripting off; tests/pages/rules.json holds what it answered.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from turbohtml import Namespace
from turbohtml.cssom import StyleDeclaration

# Two characters that no text node holds: the parser drops or replaces NUL; U+001F is white space to every reader.
LINE, CELL = "\0", "\x1f"
BOX = ""  # an image or a field: no text, but white space beside it is not at an edge


# A line of their own. An inline ``display`` changes any of them but those of _OWN_LINE.
BLOCKS = (
    "div dt p li dd dl address article aside blockquote body caption center details dialog dir fieldset figcaption "
    "figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend listing main menu nav ol optgroup option "
    "plaintext pre search section summary table ul xmp"
).split()
_DISPLAY = {**dict.fromkeys(BLOCKS, "block"), "br": "break", "tr": "row", "td": "cell", "th": "cell"}
_DISPLAY |= {"marquee": "inline-block", "slot": "contents"}
# Not rendered unless a style says so. What canvas and object hold is shown: with scripting off it is all there is.
HIDDEN = "datalist head noembed noframes rp script style template title".split()
# Boxes of the browser's own: whatever they hold is never text, whatever their style.
REPLACED = "audio embed iframe img input meter progress template textarea video".split()
_OWN_LINE = ("legend", "option", "p")  # innerText ends a line at each, even at an inline one
PRE = ("listing", "plaintext", "pre", "xmp")  # white space is kept: their lines are lines
_FLOATED = ("embed", "iframe", "img", "object")  # by their ``align``
# SVG and MathML show the text of these elements only, each on a line: innerText takes them for blocks.
DRAWN = "text foreignObject mi mn mo ms mtext mtd".split()
_GAPS: dict[str, tuple[str, str]] = {  # what stands before and after an element, by its display
    "block": (LINE, LINE),
    "flex": (LINE, LINE),
    "break": (LINE, ""),
    "row": ("", LINE),
    "cell": (CELL, ""),
    "styled cell": ("", CELL),
}


class Style(NamedTuple):
    """What an element does to the text in it; None leaves what holds around it."""

    before: str = ""
    after: str = ""
    how: str = ""  # hide, strip, trim: what happens to what it holds
    outside: bool = False  # its gaps are shown where its parent is, though it shows nothing
    flex: bool = False  # its children are lines
    shown: bool | None = None  # visibility
    drawn: bool | None = None  # whether text is drawn here at all, in SVG and MathML
    case: str | None = None  # text-transform
    pre: bool | None = None  # white-space
    lang: str | None = None


Attributes = tuple[tuple[str, str], ...]


def style_of(tag: str, space: Namespace, attributed: Attributes, item: bool) -> Style:
    """The style of an element by the attributes that tell; ``item``: a child of a flex container."""
    attributes = dict(attributed)
    if tag.startswith("xml-"):
        return Style(LINE, LINE)
    foreign, root = space is not Namespace.HTML, tag in ("svg", "math")
    styles = _styles(attributes["style"][:_LONGEST]) if "style" in attributes else {}
    if space is Namespace.SVG:  # has attributes that are styles
        named = {name: attributes.get(name, "").strip().lower() for name in ("display", "visibility")}
        styles = {name: value for name, value in named.items() if value in _VALUES[name]} | styles
    drawn = None if not foreign else False if root else tag in DRAWN or None
    case, how = styles.get("text-transform"), ""
    if foreign and not root:
        hides = styles.get("display") == "none" and (drawn or space is Namespace.MATHML or tag in ("tspan", "textPath"))
        display = "none" if hides else "block" if drawn else "inline"
        case = case or ("italic" if tag == "mi" and attributes.get("mathvariant", "").lower() != "normal" else None)
    else:
        display = _display(tag, styles, attributes, item)
        case = case or ("none" if tag in ("button", "select") else None)
    before, after = _GAPS.get(display, ("", ""))
    shown = _VISIBLE.get(styles.get("visibility", ""))
    waits = attributes.get("hidden") == "until-found" and not foreign
    skipped = waits or styles.get("content-visibility") == "hidden"
    flex = display in ("flex", "inline-flex")
    if display == "none":
        before, after, how = "", "", "hide"
    elif tag in REPLACED:
        before, after, how, skipped = LINE if before == LINE and shown is not False else BOX, "", "hide", True
    elif skipped and tag != "table" and (flex or display in ("block", "inline-block")):
        how = "hide"
    elif tag == "table" and display in ("inline", "inline-block", "contents"):
        how = "trim"
    elif tag == "button" or display == "inline-block":
        how = "strip"
    pre = styles["white-space"] not in ("normal", "nowrap") if "white-space" in styles else tag in PRE or None
    lang = attributes["lang"][:20] if "lang" in attributes else None
    return Style(before, after, how, how == "hide", flex, shown, drawn, case, pre, lang)


def _display(tag: str, styles: dict[str, str], attributes: dict[str, str], item: bool) -> str:
    """The display of an element: its style's, else its default, as far as the element lets itself be changed."""
    if tag in ("html", "body"):
        return "block"  # of a page that is hidden as a whole, innerText is all its text
    display = _DISPLAYS.get(styles.get("display", ""))
    popover, html = "popover" in attributes, tag not in ("svg", "math")
    opened = tag == "dialog" and "open" in attributes
    if display is None:
        display = _DISPLAY.get(tag, "inline")
        hidden = html and "hidden" in attributes and attributes["hidden"] != "until-found"
        if tag in HIDDEN or hidden or ((tag == "dialog" or (popover and html)) and not opened):
            display = "none"
    elif tag in _OWN_LINE and display not in ("none", "contents"):
        display = "block"
    elif tag == "br" and display != "none":
        display = "break"
    elif tag == "details":  # it lays out two boxes of its own
        display = _DETAILS.get(display, display)
    aligned = tag in _FLOATED and attributes.get("align", "").lower() in ("left", "right")
    position = styles.get("position", "absolute" if tag == "dialog" or popover else "static")
    if styles.get("float", "left" if aligned else "none") != "none" or position in ("absolute", "fixed"):
        display = _TAKEN_OUT.get(display, display)
    # A flex container makes lines of what it holds, but for contents' children.
    return _ITEM.get(display, display) if item and tag != "wbr" else display


_TAKEN_OUT = {"inline": "block", "inline-block": "block", "styled cell": "block", "inline-flex": "flex"}
_DETAILS = {"flex": "block", "inline-flex": "inline-block"}
_ITEM = {"inline": "block", "inline-block": "block", "contents": "inline-flex"}

# --- Inline styles ----------------------------------------------------------------------------------------------------

_DISPLAYS = {
    value: display
    for display, values in {
        "block": "block|list-item|flow-root|table|table-caption|-webkit-box|inherit|flow|block flow|block flow-root|"
        "block ruby|block math",
        "inline": "inline|inline-table|initial|unset|ruby|math|inline flow|inline math|table-row-group|"
        "table-header-group|table-footer-group",
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
    "text-transform": ("uppercase", "lowercase", "capitalize", "none", "initial"),
    "content-visibility": ("visible", "hidden", "auto"),
    "white-space": ("normal", "nowrap", "pre", "pre-wrap", "pre-line", "break-spaces"),
    "float": ("none", "left", "right", "inline-start", "inline-end"),
    "position": ("static", "relative", "absolute", "fixed", "sticky"),
}
_LONGEST = 50_000  # no page has a style of so many characters
_VARIABLE = re.compile(r"\b(?:var|env)\([^,()]*+,?([^()]*)\)")
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.S)


@lru_cache(2000)
def tells(css: str) -> bool:
    """Whether a style concerns text: most are about colours and widths."""
    return bool(_styles(css))


def _styles(css: str) -> dict[str, str]:
    """The declarations of a style attribute that concern text, the last valid one of each."""
    whole = StyleDeclaration.parse(css)
    found: dict[str, str] = {}
    for name, values in _VALUES.items():
        declared, tries = whole, 4
        while tries and name in declared:
            value = _CSS_ESCAPE.sub(_css_character, declared[name]).lower()
            value = _VARIABLE.sub(r"\1", value).strip(" ") or "initial"  # nothing here gives variables a value
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
