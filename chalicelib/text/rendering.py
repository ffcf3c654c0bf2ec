"""The events of a page's tree, turned into the text that a reader sees.

turbohtml builds the tree as a browser does and calls ``start_element``, ``end_element`` and ``characters``; nothing
here builds a tree again. Text goes straight into one list. What an element hides or changes is put right when it ends,
on the piece of the list that it wrote: of ``<b hidden>x</b>`` nothing is left then, of ``<div
style="visibility:hidden">a<p style="visibility:visible">b</p></div>`` the paragraph, which was made final when it
ended. That costs nothing where nothing is hidden, which is nearly everywhere, and is linear everywhere, since the
parser nests elements no deeper than 512.
"""

import re
from collections.abc import Callable, Sequence
from itertools import groupby

from chalicelib.text.casing import cased
from chalicelib.text.styles import (
    AFTER,
    BEFORE,
    BOX,
    CARE,
    CELL,
    LINE,
    OPTION,
    TELLING,
    State,
    look_of,
    plan,
    tells,
)

Attributes = Sequence[tuple[str, str | None]]
_Frame = tuple[int, int, State, int, str | None, str, bool]  # depth, start, outer state, care, after, how, inside
_SPACES = re.compile("  +")
_EDGES = " " + CELL
_WHITE = " \t\n\r\f"


class _Final(str):
    """Text whose visibility and case are decided: what is around it changes it no more."""

    __slots__ = ()


class Events:
    """A handler for turbohtml: the events that nobody here needs."""

    def comment(self, *_: object) -> None: ...

    doctype = processing_instruction = comment


class Renderer(Events):
    """Receives the events of one page; ``text()``, ``title`` and ``languages`` are what came of them."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.characters = self.append = self.out.append  # the parser calls the list itself
        self.title: str | None = None
        self.languages: dict[str, str] = {}  # as html, body and meta declare them
        self.frames: list[_Frame] = []
        self.care = 0  # the depth of the children of a flex container or of a closed details
        self.state = State()
        self.groups: set[str] = set()  # the names of details of which one is open
        self.start_element, self.end_element = _handlers(self)

    def line(self) -> None:
        """End a line, whatever the elements say."""
        self.append(_Final(LINE))

    def text(self) -> str:
        """What was rendered: each block on a line of its own, cells apart by tabs, other white space as one space."""
        text = "".join(self.out)
        for space in _WHITE[1:]:
            text = text.replace(space, " ")
        lines = [line for part in text.split(LINE) if (line := part.strip(_EDGES))]
        return _SPACES.sub(" ", "\n".join(lines)).replace(CELL, "\t")

    def careful(self, depth: int, tag: str, attrs: Attributes) -> tuple[int, int]:
        """Begin an element that may hide or change something; at which depths the next of them ends or begins."""
        state, attributes = self.state, {name: value or "" for name, value in attrs}
        opened = "open" in attributes
        if tag == "details" and opened and (group := attributes.get("name")):  # of a group only the first
            opened = group not in self.groups
            self.groups.add(group)
        elif tag in ("html", "body", "meta"):
            self._declare(tag, attributes)
        elif tag == "optgroup" and state.wanted is OPTION:
            self.line()
        lang = (attributes.get("lang") or attributes.get("xml:lang") or "")[:20]
        look, upright = look_of(tag, attributes, state.realm), attributes.get("mathvariant") == "normal"
        todo = plan(tag, state, look, lang, depth == self.care, opened, upright)
        if tag == "summary" and state.wanted and todo.how is not None:  # a closed details shows its first summary
            state = state._replace(wanted=frozenset())
        start = len(self.out)
        if todo.before is not None:
            self.append(todo.before)
        if todo.how is not None:
            start = start if todo.inside else len(self.out)
            self.frames.append((depth, start, state, self.care, todo.after, todo.how, todo.inside))
            self.state, self.care = todo.inner, depth + 1 if todo.items else 0
        return self.frames[-1][0] if self.frames else 0, self.care

    def close(self) -> tuple[int, int]:
        """End the innermost of those elements: put right what it wrote."""
        inner, out = self.state, self.out
        _, start, outer, self.care, after, how, inside = self.frames.pop()
        self.state = outer
        if how == "title" and self.title is None:
            self.title = " ".join("".join(out[start:]).split())
        if how in ("title", "hide"):
            del out[start:]
        elif how:
            (_strip if how == "strip" else _trim)(out, start)
        if after and inside:
            out.append(after)
        if inner.pre and not outer.pre:
            out[start:] = [kind("".join(run).replace("\n", LINE)) for kind, run in groupby(out[start:], type)]
        if (
            inner.shown != outer.shown
            or inner.case != outer.case
            or (inner.lang != outer.lang and inner.case != "none")
        ):
            out[start:] = [_settled(out[start:], inner)]
        if after and not inside:
            out.append(after)
        return self.frames[-1][0] if self.frames else 0, self.care

    def _declare(self, tag: str, attributes: dict[str, str]) -> None:
        """Note what html, body and meta say of the page's language."""
        if tag != "meta":
            declared = attributes.get("lang") or attributes.get("xml:lang")
        else:
            stands_for = attributes.get("http-equiv", "").lower()
            declared = attributes.get("content") if stands_for == "content-language" else None
        if declared:
            self.languages.setdefault(tag, declared)


def _handlers(renderer: Renderer) -> tuple[Callable[[str, Attributes], None], Callable[[str], None]]:
    """The two calls of each element. Closures, since what most elements need is done here in half a method's time."""
    depth = top = care = 0  # of the current element; of the innermost with a frame; of those that need care
    append = renderer.append

    def start_element(tag: str, attrs: Attributes) -> None:
        nonlocal depth, top, care
        depth += 1
        if depth != care:
            for name, value in attrs:
                if name in TELLING and tells(tag, name, value):
                    break
            else:
                before = BEFORE.get(tag)
                if before is None:
                    return
                if before is not CARE:
                    append(before)
                    return
        top, care = renderer.careful(depth, tag, attrs)

    def end_element(tag: str) -> None:
        nonlocal depth, top, care
        if depth == top:
            top, care = renderer.close()
        elif tag in AFTER:
            append(AFTER[tag])
        depth -= 1

    return start_element, end_element


def _settled(pieces: list[str], state: State) -> str:
    """What an element wrote, as one piece: hidden or in its case, but for what elements within it have decided."""
    if not state.shown:
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
            if piece in (BOX, LINE, CELL):
                break
            out[place] = type(piece)(strip(piece, _WHITE))
            if out[place]:
                break


def _trim(out: list[str], start: int) -> None:
    """Within a line, a table's first cell begins without a gap and its last row ends without one."""
    for places, gap in ((range(start, len(out)), CELL), (range(len(out) - 1, start - 1, -1), LINE)):
        for place in places:
            piece = out[place]
            if piece != gap and not piece.isspace():
                break
            out[place] = ""
            if piece == gap:
                break
