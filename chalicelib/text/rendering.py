"""A page's tree, turned into the text that a reader sees.

turbohtml (in C) builds the tree as a browser does. Elements that may hide or change something, by their name or their
attributes, get a mark instead of their name: ``<3>``, the number of their style. All inline elements go, the
tree is written as markup again, and there every tag of a block is the end of a line. So Python's work is for the marks
alone, a few in a page. No tag of a page can be a mark: to the parser a name begins with a letter.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any, NamedTuple

from turbohtml import Element, Namespace, Text, parse, unescape

from chalicelib import memory
from chalicelib.errors import AttemptFailed, ErrorKind
from chalicelib.text import styles
from chalicelib.text.casing import cased
from chalicelib.text.styles import BOX, CELL, LINE, Style, style_of, tells

_NOT_DRAWN = (
    "svg :is(circle,ellipse,image,line,path,polygon,polyline,rect,desc,metadata,title),svg switch > * ~ *,"
    "math :is(annotation,annotation-xml,mglyph,mphantom),math maction > * ~ *"
)
_FIELDS = ("embed", "img", "input")  # no text and no end tag: they matter where they part white space from an edge
_TELLING = frozenset("align display hidden lang mathvariant open popover style visibility".split())
_MARKED = {*styles.HIDDEN, *styles.REPLACED, *styles.PRE, *styles.DRAWN} - {*_FIELDS}
_MARKED |= {"svg", "math", "button", "select", "dialog", "details", "foreignobject", "marquee"}
# The most frequent inline elements are taken out in C; a longer list costs more than `_OTHER` does for the others.
_INLINE = "a,span,code,b,i,em,strong,font"
_BY_ATTRIBUTE = "[hidden],[popover],[lang],img[align],object[align],embed[align]"
_NOTHING: styles.Attributes = ()
# The parser takes 7 bytes for a character of real pages and up to 50 of any markup but formatting elements, of which it
# opens up to 512 again in each paragraph.
_BYTES_A_CHARACTER, _TREE_LEAST, _TREE_BYTES = 60, 10_000_000, 150_000_000
_SIGNS = 1_500_000  # each may be five characters where the tree is written as markup again
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
_ONE = rf"/?+(?:(?:{'|'.join(styles.BLOCKS)}|br|xml-[^ >]*+)(?: [^>]*+)?+|(?<=/)tr)(?=>|\Z)"
_BLOCK = re.compile(rf"<{_ONE}(?:>[ \t\n\r\f]*+<{_ONE})*+(?:>|\Z)[ \t\n\r\f]*+")  # several in a row are one
_CELL = re.compile(r"<t[dh](?: [^>]*+)?+(?:>|\Z)")
_OTHER = re.compile(r"</?[^\d/][^>]*+(?:>|\Z)")
_MARK = re.compile(r"<(?:(\d+)|/\d+)>")
_SPACES = re.compile("  +")
_CHUNK = 100_000  # characters
_MOST_READ = 50_000_000  # characters of attributes: the parser repeats <b style="…"> in every paragraph behind it
_STYLE = 1000  # as many characters is what one more style counts for: each takes a KB of memory
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
            self.lang if style.lang is None else style.lang,
            self.pre if style.pre is None else style.pre,
        )


@contextlib.contextmanager
def bounded(characters: int) -> Iterator[None]:
    """Fails as too large where the trees built within take more memory than a document of that size may."""
    most = min(_TREE_BYTES, _TREE_LEAST + _BYTES_A_CHARACTER * characters)
    try:
        with memory.at_most(most):
            yield
    except MemoryError:
        detail = f"The page has too many elements: they take more than {most // 1_000_000} MB of memory."
        raise AttemptFailed(ErrorKind.TOO_LARGE, detail) from None


def tree_of(markup: str) -> Any:
    """The tree that a browser builds, unless it is too large: a parser repeats an open ``<b>`` in each paragraph."""
    if len(markup) > _SIGNS and markup.count("&") + markup.count(">") > _SIGNS:
        detail = f"The page has too many tags and references: “&” and “>” more than {_SIGNS:,} times."
        raise AttemptFailed(ErrorKind.TOO_LARGE, detail)
    with bounded(len(markup)):
        return parse(markup, positions=False)


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


def _mark(tree: Any) -> list[Style]:
    """Mark what may hide or change something; the styles by their number. What never shows is left out of the tree."""
    tree.remove("head:not([style]),script:not([style]),style:not([style])")
    special, drawn = {element.tag for element in tree.iter_elements({"svg", "math", "details", "select"})}, ""
    if not special.isdisjoint({"svg", "math"}):
        tree.remove(_NOT_DRAWN)
        drawn = ",svg [display],svg [visibility]"
    if not special.isdisjoint({"details", "select"}):
        _unfold(list(tree.iter_elements({"details", "select"})))  # an edit can lead the iterator out of the tree
    marks = _Marks()
    marks.set(_styled(tree))
    tree.remove("template")  # those without a mark
    marks.set(tree.select(_BY_ATTRIBUTE + drawn))
    marked = tree.iter_elements(_MARKED)
    while batch := list(islice(marked, 1000)):  # the iterator searches for its place after an edit
        marks.set(batch)
    if any(style.how == "strip" for style in marks.found):
        marks.set(tree.iter_elements(_FIELDS))
    return marks.found


class _Marks:
    """The styles of a page by their number, which is the name of their mark."""

    def __init__(self) -> None:
        self.found: list[Style] = []
        self.names: dict[Any, str] = {}  # by what makes the style; empty where nothing is to be marked
        self.read = 0

    def set(self, elements: Iterable[Any], *, item: bool = False) -> None:
        names = self.names
        for element in elements:
            tag, attributes, telling = element.tag, element.attrs, _NOTHING
            if tag < ":":  # a digit: it has its mark
                continue
            if len(attributes):
                telling = tuple([(name, attributes[name] or "") for name in attributes if name in _TELLING])
                self.read += sum([len(value) for _, value in telling])
                if self.read > _MOST_READ:
                    break
            key = (tag, id(element.namespace), telling, item)
            if (name := names.get(key)) is None:
                name = names[key] = self._name(element, telling, item)
                self.read += _STYLE
            if name:
                if (telling or item) and self.found[int(name)].flex:
                    self.set(_inner(element), item=True)  # at once: their own style is part of it
                attributes.clear()
                if tag != "template":
                    element.tag = name
                elif element.parent is not None:  # it cannot be renamed, and its content is no part of the page
                    element.replace_with(Element(name))

    def _name(self, element: Any, telling: styles.Attributes, item: bool) -> str:
        tag = element.tag
        style = style_of(tag, element.namespace, telling, item)
        if tag not in _MARKED and tag not in _FIELDS and style == style_of(tag, Namespace.HTML, (), False):
            return ""
        self.found.append(style)
        return str(len(self.found) - 1)


def _inner(element: Any) -> Iterator[Any]:
    """Its child elements. A list of all children would hold the texts too; a selector looks at all descendants."""
    child = element.select_one(":scope > *")
    while child is not None:
        following = child.next_sibling
        if isinstance(child, Element):
            yield child
        child = following


def _styled(tree: Any) -> Iterator[Any]:
    read = 0
    for element in tree.select("[style]"):
        style = element.attrs.get("style") or ""  # an item has been marked with its container
        read += len(style)
        if read > _MOST_READ:
            break
        if len(style) > 300 or tells(style):
            yield element


def _unfold(elements: Iterable[Any]) -> None:
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
            options = element.select(":is(option,optgroup):not(option *)")
            for option in options:  # all that it holds is text
                option.attrs.clear()
                if option.tag == "optgroup" or any(isinstance(child, Element) for child in option.children):
                    text = option.text if option.tag == "option" else ""
                    option.clear()
                    option.append(Text(text))
            element.clear()
            element.extend(options)


def _settled(markup: Iterable[str], found: list[Style]) -> list[str]:
    """The pieces of the text. What an element hides or changes is put right when it ends, on the pieces that it wrote.

    Linear, since the parser nests elements no deeper than 512, and costs nothing where nothing is marked.
    """
    out: list[str] = []
    step = _Step(Style(), _State(), False, False, False, False, False, {})
    frames: list[tuple[_Step, int]] = []
    inside: dict[_State, dict[str, _Step]] = {step.inner: step.steps}
    for chunk in markup:  # of some KB; each ends between tags and text
        text = _COMMENT.sub("", chunk) if "<!--" in chunk else chunk
        text = _OTHER.sub("", _CELL.sub(CELL, _BLOCK.sub(LINE, text)))
        first, *parts = _MARK.split(text)
        if first:
            out.append(unescape(first))
        for number, piece in zip(parts[::2], parts[1::2], strict=True):
            if number:
                frames.append((step, len(out)))
                step = step.steps.get(number) or _step(step, found, number, inside)
                if step.begins:
                    out.append(step.style.before)
            else:
                if not step.plain:
                    _end(out, frames[-1][1], step)
                elif step.style.after:
                    out.append(step.style.after)
                step = frames.pop()[0]
            if piece:
                out.append(unescape(piece))
    return out


class _Step(NamedTuple):
    """What is done at an element of a style in a state. Its gaps show where it does, else where its parent does."""

    style: Style
    inner: _State
    plain: bool  # only its gaps are added
    begins: bool  # with a piece of its own, which is one of its parent's ...
    outside: bool  # ... if its gaps are
    decides: bool  # what it wrote is hidden or in its case
    lines: bool  # white space is kept in it
    steps: dict[str, "_Step"]  # of the elements in it, by their marks


def _step(outer: _Step, found: list[Style], number: str, inside: dict[_State, dict[str, _Step]]) -> _Step:
    style, state = found[int(number)], outer.inner
    inner = state.within(style)
    visible = inner.shown and inner.drawn
    cased = inner.case != state.case or (inner.lang != state.lang and inner.case != "none")
    begins, outside = style.before != "" or style.how == "hide", style.outside or not visible
    decides = cased or visible != (state.shown and state.drawn)
    lines = inner.pre and not state.pre
    plain = not (style.how or decides or lines)
    step = _Step(style, inner, plain, begins, outside, decides, lines, inside.setdefault(inner, {}))
    outer.steps[number] = step
    return step


def _end(out: list[str], start: int, step: _Step) -> None:
    """Put right what an element wrote, from ``start`` on."""
    style, inner, _, begins, outside, decides, lines, _ = step
    start += begins and outside
    if style.how == "hide":
        del out[start:]
    elif style.how == "strip" and not inner.pre:
        _strip(out, start)
    elif style.how == "trim":
        _trim(out, start)
    if style.after and not outside:
        out.append(style.after)
    if lines and len(out) - start == 1:
        out[start] = type(out[start])(out[start].replace("\n", LINE))
    elif lines:
        out[start:] = [kind("".join(run).replace("\n", LINE)) for kind, run in groupby(out[start:], type)]
    if decides:
        before = out[start - 1][-1:] if start and style.how != "strip" else ""
        out[start:] = [_decided(out[start:], inner, before)]
    if style.after and outside:
        out.append(style.after)


def _decided(pieces: list[str], state: _State, before: str) -> str:
    """What an element wrote, as one piece: hidden or in its case, but for what elements within it have decided."""
    if not (state.shown and state.drawn):
        return _Final("".join([piece for piece in pieces if type(piece) is _Final]))
    if state.case in ("none", "initial"):
        return _Final("".join(pieces))
    done = ""
    for kind, parts in groupby(pieces, type):  # a word may be pieces: do<b>n’t</b>
        run = "".join(parts)
        done += run if kind is _Final else cased(run, state.case, state.lang, before)
        before = run[-1:]
    return _Final(done)


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
