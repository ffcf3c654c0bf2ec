"""A page's tree, turned into the text that a reader sees.

turbohtml (in C) builds the tree as a browser does. Elements that may hide or change something, by their name or their
attributes, get a mark instead of their name: ``<3>``, the number of their style. All inline elements go, the
tree is written as markup again, and there every tag of a block is the end of a line. So Python's work is for the marks
alone, a few in a page. No tag of a page can be a mark: to the parser a name begins with a letter.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from turbohtml import Element, Namespace, unescape

from chalicelib.text import styles
from chalicelib.text.casing import cased
from chalicelib.text.styles import BOX, CELL, LINE, Style, style_of, tells

_NOT_DRAWN = (
    "svg :is(circle,ellipse,image,line,path,polygon,polyline,rect,desc,metadata,title),"
    "math :is(annotation,annotation-xml,mglyph,mphantom)"
)
_FIELDS = ("embed", "img", "input")  # no text and no end tag: they matter where they part white space from an edge
_TELLING = frozenset("align display hidden lang mathvariant open popover style visibility".split())
_MARKED = {*styles.HIDDEN, *styles.REPLACED, *styles.PRE, *styles.DRAWN, "svg", "math", "button", "select", "dialog"}
_MARKED -= {*_FIELDS}
_INLINE = (
    "a,span,code,b,i,em,strong,abbr,acronym,bdi,bdo,big,cite,col,colgroup,data,del,dfn,embed,font,img,input,ins,kbd,"
    "label,link,map,mark,meta,nobr,q,rt,ruby,s,samp,small,source,strike,sub,sup,tbody,tfoot,thead,time,tt,u,var,wbr"
)
_COMMENT = re.compile("<!--.*?-->", re.S)
_BLOCK = re.compile(rf"(?:</?(?:{'|'.join(styles.BLOCKS)}|br|xml-[^ >]*)(?: [^>]*)?>|</tr>)[ \t\n\r\f]*+")
_CELL = re.compile("<t[dh](?: [^>]*)?>")
_OTHER = re.compile(r"</?[^\d/][^>]*>")
_MARK = re.compile(r"<(?:(\d+)|/\d+)>")
_SPACES = re.compile("  +")
_CHUNK = 100_000  # characters
_MOST_READ = 50_000_000  # characters of attributes: the parser repeats <b style="…"> in every paragraph behind it
_WHITE = " \t\n\r\f"


class _Final(str):
    """Text whose visibility and case are decided: what is around it changes it no more."""

    __slots__ = ()


class _State(NamedTuple):
    """What holds for the text of an element."""

    shown: bool = True
    drawn: bool = True
    case: str = "none"
    lang: str = ""
    pre: bool = False

    def within(self, style: Style) -> "_State":
        """What holds within an element of that style."""
        return _State(
            self.shown if style.shown is None else style.shown,
            self.drawn if style.drawn is None else style.drawn,
            style.case or self.case,
            style.lang or self.lang,
            self.pre if style.pre is None else style.pre,
        )


def text_of(tree: Any) -> str:
    """The text of a tree, which is used up: each block is a line, cells are apart by tabs, other white space is one."""
    found = _mark(tree)
    tree.strip_tags(_INLINE)
    text = "".join(_settled(tree.serialize_iter(), found))
    for space in _WHITE[1:]:
        text = text.replace(space, " ")
    lines, at = [], 0
    while at < len(text):  # in pieces: replacing makes a list of all that is between
        end = text.find(LINE, at + _CHUNK) if len(text) > at + _CHUNK else len(text)
        end = len(text) if end < 0 else end
        parts = _SPACES.sub(" ", text[at:end]).split(LINE)
        lines.append("\n".join([line for part in parts if part and (line := part.strip(" " + CELL))]))
        at = end
    return "\n".join(filter(None, lines)).replace(CELL, "\t")


def _special(tree: Any) -> list[Any]:
    """The elements that are always marked; what never shows is left out of the tree."""
    tree.remove("head:not([style]),script:not([style]),style:not([style])")
    special = list(tree.iter_elements(_MARKED | {"details", "foreignobject"}))
    tags = {element.tag for element in special}
    if "svg" in tags or "math" in tags:
        tree.remove(_NOT_DRAWN)
        special += tree.select("svg [display],svg [visibility]")
    _unfold(special)
    return special


def _mark(tree: Any) -> list[Style]:
    """Mark what may hide or change something; the styles by their number."""
    special = _special(tree)
    found: list[Style] = []
    names: dict[Any, str] = {}  # of the marks, by what makes the style
    items: dict[Any, None] = {}  # children of flex containers

    read = 0

    def mark(elements: Iterable[Any], *, item: bool = False) -> None:
        nonlocal read
        for element in elements:
            tag, space = element.tag, element.namespace
            if tag[0] in "0123456789":
                continue
            telling = tuple([(key, element.attrs[key] or "") for key in element.attrs if key in _TELLING])
            read += sum([len(value) for _, value in telling])
            if read > _MOST_READ:
                break
            key = (tag, space, telling, item or element in items)
            if (name := names.get(key)) is None:
                style = style_of(*key)
                plain = tag not in _MARKED and tag not in _FIELDS and style == style_of(tag, Namespace.HTML, (), False)
                name = names[key] = "" if plain else str(len(found))
                found.append(style)
            if name:
                if found[int(name)].flex:
                    items.update((child, None) for child in element.children if isinstance(child, Element))
                element.attrs.clear()
                _rename(element, name)

    mark(_styled(tree))
    mark(tree.select("[hidden],[popover],[lang],img[align],object[align],embed[align]"))
    while batch := [*items]:
        items.clear()
        mark(batch, item=True)
    mark(special)
    if any(style.how == "strip" for style in found):
        mark(tree.iter_elements(_FIELDS))
    return found


def _styled(tree: Any) -> Iterator[Any]:
    read = 0
    for element in tree.select("[style]"):
        style = element.attrs["style"] or ""
        read += len(style)
        if read > _MOST_READ:
            break
        if tells(style):
            yield element


def _rename(element: Any, name: str) -> None:
    if element.tag != "template":
        element.tag = name
    elif element.parent is not None:
        element.replace_with(Element(name))  # it cannot be renamed, and its content is no part of the page


def _unfold(elements: list[Any]) -> None:
    """Of a closed ``details`` only its first summary is shown, of a ``select`` its options, whatever their style."""
    groups: set[str] = set()
    for element in elements:
        if element.tag == "details":
            group = element.attrs.get("name")
            if "open" not in element.attrs or group in groups:  # of a group only the first is open
                summary = next((child for child in element.children if getattr(child, "tag", "") == "summary"), None)
                element.clear()
                element.extend([summary] if summary else [])
            groups.update([group] if group else [])
        elif element.tag == "select":
            options = element.select("option,optgroup")
            for option in options:
                option.attrs.clear()
                if option.tag == "optgroup":
                    option.clear()
            element.clear()
            element.extend(options)


def _settled(markup: Iterable[str], found: list[Style]) -> list[str]:
    """The pieces of the text. What an element hides or changes is put right when it ends, on the pieces that it wrote.

    Linear, since the parser nests elements no deeper than 512, and costs nothing where nothing is marked.
    """
    out: list[str] = []
    state = _State()
    frames: list[tuple[_Step, int, _State]] = []
    steps: dict[tuple[_State, int], _Step] = {}
    for chunk in markup:  # of some KB; each ends between tags and text
        text = _COMMENT.sub("", chunk) if "<!--" in chunk else chunk
        text = _OTHER.sub("", _BLOCK.sub(LINE, _CELL.sub(CELL, text)))
        at = 0
        for mark in _MARK.finditer(text):
            if mark.start() > at:
                out.append(unescape(text[at : mark.start()]))
            at = mark.end()
            if mark[1]:
                number = int(mark[1])
                if (step := steps.get((state, number))) is None:
                    step = steps[state, number] = _step(state, found[number])
                frames.append((step, len(out), state))
                state = step.inner
                if step.begins:
                    out.append(step.style.before)
            else:
                step, start, state = frames.pop()
                _end(out, start, step)
        out.append(unescape(text[at:]))
    return out


class _Step(NamedTuple):
    """What is done at an element of a style in a state. Its gaps show where it does, else where its parent does."""

    style: Style
    inner: _State
    begins: bool  # with a piece of its own, which is one of its parent's ...
    outside: bool  # ... if its gaps are
    decides: bool  # what it wrote is hidden or in its case
    lines: bool  # white space is kept in it


def _step(outer: _State, style: Style) -> _Step:
    inner = outer.within(style)
    visible = inner.shown and inner.drawn
    cased = inner.case != outer.case or (inner.lang != outer.lang and inner.case != "none")
    begins, outside = style.before != "" or style.how == "hide", style.outside or not visible
    decides = cased or visible != (outer.shown and outer.drawn)
    return _Step(style, inner, begins, outside, decides, inner.pre and not outer.pre)


def _end(out: list[str], start: int, step: _Step) -> None:
    """Put right what an element wrote, from ``start`` on."""
    style, inner, begins, outside, decides, lines = step
    start += begins and outside
    if style.how == "hide":
        del out[start:]
    elif style.how == "strip" and not inner.pre:
        _strip(out, start)
    elif style.how == "trim":
        _trim(out, start)
    if style.after and not outside:
        out.append(style.after)
    if lines:
        out[start:] = [kind("".join(run).replace("\n", LINE)) for kind, run in groupby(out[start:], type)]
    if decides:
        out[start:] = [_decided(out[start:], inner)]
    if style.after and outside:
        out.append(style.after)


def _decided(pieces: list[str], state: _State) -> str:
    """What an element wrote, as one piece: hidden or in its case, but for what elements within it have decided."""
    if not (state.shown and state.drawn):
        return _Final("".join([piece for piece in pieces if type(piece) is _Final]))
    if state.case == "none":
        return _Final("".join(pieces))
    runs = [(kind, "".join(run)) for kind, run in groupby(pieces, type)]  # a word may be pieces: do<b>n’t</b>
    return _Final("".join([run if kind is _Final else cased(run, state.case, state.lang) for kind, run in runs]))


def _strip(out: list[str], start: int) -> None:
    """Drop white space at the edges of a box within a line: ``a<button> b </button>c`` is *abc* to a browser."""
    for places, strip in ((range(start, len(out)), str.lstrip), (range(len(out) - 1, start - 1, -1), str.rstrip)):
        for place in places:
            piece = out[place]
            if piece == BOX:
                break
            out[place] = type(piece)(strip(piece, _WHITE))
            if out[place]:
                break


def _trim(out: list[str], start: int) -> None:
    """Within a line, a table's first cell begins without a gap and its last row ends without one."""
    full = [place for place in range(start, len(out)) if out[place].strip(_WHITE)]
    if full:
        out[full[0]] = type(out[full[0]])(out[full[0]].lstrip(_WHITE).removeprefix(CELL))
        out[full[-1]] = type(out[full[-1]])(out[full[-1]].rstrip(_WHITE).removesuffix(LINE))
