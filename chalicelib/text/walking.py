"""A walk over a page's tokens that writes the text a reader sees, in the reader's order.

It builds no tree: it keeps just enough of the standard's tree construction to know what is hidden, where a line ends,
and what a table pushes in front of itself. It is linear whatever it is given; docs/adr/0003 says why it is ours and not
a parser's.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from unicodedata import normalize

from chalicelib.text.markup import (
    BELONGS,
    BLOCKS,
    BREAK,
    BREAKOUT,
    CARE,
    CELLS,
    CLOSE,
    CLOSE_BLOCK,
    CLOSED_BY,
    CLOSES_P,
    DECLARE,
    DIRECTLY,
    END,
    FOREIGN_HIDDEN,
    FORMATTING,
    GAPS,
    HEADINGS,
    HIDDEN,
    HIDDEN_INPUT,
    HTML_ANNOTATION,
    HTML_FONT,
    IN_ROWS,
    INTEGRATION,
    LINES,
    LISTS,
    MARKERS,
    OPEN,
    OPEN_BLOCK,
    OPEN_HEADING,
    OPEN_ITEM,
    PART,
    PARTS,
    RAW_TEXT,
    REPLACED,
    ROWS,
    RUBY,
    SCOPES,
    SKIP,
    SPECIAL,
    START,
    TAG,
    TAG_NAME,
    TOKEN,
    TRACKED,
    WANTED,
    WITHIN_LINES,
    XML_TOKEN,
    Entry,
    Look,
    foreign_look,
    known_tags,
    makes_line,
    read_look,
    read_tag,
    tag_attributes,
    unescaped,
)


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
    look: Look | None


_JOIN_DEPTH = 8  # runs nested less deeply are joined when they end; deeper ones once, at the very end
_NESTING = 5000  # elements that hide or change text; within so many nothing is hidden any more
_TORN = 20  # formatting elements to open again; beyond the innermost so many nobody sees a difference
_REACH = 256  # how many open elements an end tag looks through; more is no page but an attack


class Walk:
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
        self.pending: list[tuple[str, Look | None]] = []  # formatting elements to open again
        self.alert = CARE if is_xml else 0  # the next token needs care
        self.guard = 0  # the stack's length when its top has a run to give back
        self.realms: list[tuple[int, str]] = []  # where svg, math, or HTML within them begins
        self.foreign = ""  # svg or math, if that is where we are
        self.resplits = 8
        self.shelves: dict[int, list[tuple[str, Look | None]]] = {}  # by place of a cell: what waits until its end
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
        pieces = (XML_TOKEN if self.is_xml else TOKEN).split(markup)
        pieces.append("")
        read = self.read_xml if self.is_xml else read_tag
        known = {} if self.is_xml else known_tags
        stack, where, shelves = self.stack, self.where, self.shelves
        paragraphs = where["p"]
        append, alert, guard = self.out.append, self.alert, self.guard
        pairs = iter(pieces)
        for text, token in zip(pairs, pairs):  # noqa: B905 - as many texts as tokens
            if text:
                if "&" in text:
                    text = unescaped(text)
                if not alert:
                    append(text)
                elif alert == IN_ROWS and text.isspace():
                    pass  # between the parts of a table white space is nothing
                else:
                    self.characters(text)
                    append, alert, guard = self.out.append, self.alert, self.guard
            try:
                action, name, look = known[token]
            except KeyError:
                action, name, look = read(token)
            if alert:
                if alert == IN_ROWS and action == PART and look is None and stack[-1] in DIRECTLY[name]:
                    alert = self.open_part(name)
                    continue
                if (
                    alert == IN_ROWS
                    and action == END
                    and stack[-1] == name
                    and name in PARTS
                    and len(stack) != guard
                    and not shelves
                ):
                    alert = self.close_part(name)
                    continue
            elif action == OPEN:
                stack.append(name)
                continue
            elif action == CLOSE:
                if stack[-1] == name and len(stack) != guard:
                    stack.pop()
                    continue
            elif action == CLOSE_BLOCK:
                if stack[-1] == name and len(stack) != guard:
                    stack.pop()
                    where[name].pop()
                    append("\n")
                    continue
            elif action in (OPEN_BLOCK, OPEN_ITEM, OPEN_HEADING):
                top = stack[-1]
                if top in CLOSED_BY[name] and len(stack) != guard:  # as usual without an end tag
                    stack.pop()
                    where[top].pop()
                fits = action == OPEN_BLOCK or (
                    stack[-1] in LISTS if action == OPEN_ITEM else stack[-1] not in HEADINGS
                )
                if fits and not (paragraphs and name in CLOSES_P):
                    where[name].append(len(stack))
                    stack.append(name)
                    append("\n")
                    continue
            elif action == END:
                if stack[-1] == name and name in CELLS and len(stack) != guard and not shelves:
                    alert = self.close_part(name)
                    continue
            elif action == BREAK:
                append("\n")
                continue
            if action == SKIP:
                if name in REPLACED:  # a box, if an empty one: white space beside it stays
                    append("\n" if alert and self.flex >= 0 else "")
                continue
            self.carefully(action, name, look, token)
            append, alert, guard = self.out.append, self.alert, self.guard

    def read_xml(self, token: str) -> Entry:
        """What a token of the XML syntax does: it opens or closes, whatever its name."""
        if token.startswith("<![CDATA["):
            return (START, "![cdata[", None)
        found = TAG_NAME.match(token)
        if found is None:
            return (SKIP, "", None)
        name = found[1].lower().rpartition(":")[2]
        if found[1].startswith("/"):
            return (END, name.lstrip("/"), None)
        return (DECLARE if name in ("html", "meta", "body") else START, name, read_look(name, token))

    def in_xml(self, action: int, name: str, look: Look | None, token: str) -> None:
        if name == "![cdata[":
            self.out.append(token[9:].removesuffix("]]>"))
        elif action == END:
            if name == "title" and self.title is None and self.stack[-1] == name and not self.nearest("svg"):
                self.title = " ".join("".join(self.out).split())
            if at := self.nearest(name):
                self.cut(at)
        elif action == DECLARE:
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
            self.alert = CARE
        else:
            self.alert = IN_ROWS if self.stack[-1] in ROWS else 0

    def open_part(self, name: str) -> int:
        """A row or a cell where it belongs, and nothing else to care for: what ``push`` does, without the questions."""
        index = len(self.stack)
        self.out.append("\n" if name == "tr" else "\t")
        self.scopes.append(index)
        self.parts.append(index)
        self.where[name].append(index)
        self.stack.append(name)
        self.alert = IN_ROWS if name == "tr" else 0
        return self.alert

    def close_part(self, name: str) -> int:
        """The same for the end of a part that is the current element."""
        self.stack.pop()
        self.where[name].pop()
        self.scopes.pop()
        self.parts.pop()
        if name in BLOCKS:
            self.out.append("\n")
        self.alert = IN_ROWS if self.stack[-1] in ROWS else 0
        return self.alert

    def characters(self, text: str) -> None:
        if self.stack[-1] in ROWS and not self.is_xml and text.isspace():
            return
        if not self.foreign:
            self.reopen()
        self.place().append(text)

    def place(self) -> _Run:
        """Where text goes: from between the parts of a table, before it."""
        return self.tables[-1] if self.stack[-1] in ROWS and not self.is_xml else self.out

    def carefully(self, action: int, name: str, look: Look | None, token: str) -> None:
        if self.is_xml:
            self.in_xml(action, name, look, token)
        elif self.foreign and self.in_foreign(action, name, token):
            pass
        elif action == PART:
            self.start_part(name, look)
        elif action in (CLOSE, CLOSE_BLOCK, END):
            within = self.realms and self.realms[-1] == (len(self.stack) - 1, "html")
            if within and self.end_in_foreign(name):
                return
            self.end(name)
        elif action == BREAK:
            self.place().append("\n")
        elif action == DECLARE:
            self.declare(name, look, token)
        else:
            if name == "a" and (self.link or self.pending):
                self.end_ordinary("a")
            if action == OPEN:
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

    def push(self, name: str, look: Look | None = None) -> None:
        """Open an element: a line's end before a block, a run of its own where it is hidden or moved."""
        index = len(self.stack)
        display = look.display if look else None
        hidden = display == "none" or (name in HIDDEN and display is None and not (look and look.opened))
        fostered = self.stack[-1] in ROWS and name not in PARTS and not self.is_xml
        base = self.tables[-1] if fostered else self.out
        if base.beyond and name in base.wanted and (name != "summary" or self.stack[-1] == "details"):
            base.wanted -= {"summary"}
            base = base.beyond
        if self.flex == index - 1 and not hidden:
            if display == "contents" and look:
                look = look._replace(display="inline-flex")  # its children are the container's
            elif display in (None, "inline", "inline-block"):
                display = "block"
        if display is None or (name in LINES and display != "contents"):
            block = name in BLOCKS or (self.foreign and name in WANTED[self.foreign])
            display = "block" if block else "cell of a table" if name in ("td", "th") else "inline"
        before, after = GAPS.get(display, ("", ""))
        if len(self.saved) >= _NESTING:
            look, hidden, base = None, False, self.out
        wanted = (
            None
            if len(self.saved) >= _NESTING
            else WANTED.get(name)
            if not (name == "details" and look and look.opened)
            else None
        )
        if hidden or wanted or (name in REPLACED and len(self.saved) < _NESTING):
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
        if name in SCOPES:
            self.scopes.append(index)
            if name != "object" and name != "applet" and name != "marquee":
                self.parts.append(index)
            if name in MARKERS and self.pending:
                self.shelves[index], self.pending = self.pending, []
        if name in TRACKED:
            self.where[name].append(index)
        self.stack.append(name)
        self.refresh()

    def cut(self, index: int, by: str = "") -> None:
        """Close every element from this place of the stack on; ``by`` is the element whose end tag it was."""
        stack, saved = self.stack, self.saved
        lost: list[tuple[str, Look | None]] = []
        while len(stack) > index:
            name = stack.pop()
            if name in TRACKED:
                self.where[name].pop()
            if name in SCOPES:
                self.scopes.pop()
                if self.parts[-1] == len(stack):
                    self.parts.pop()
                if name in MARKERS:
                    lost.clear()
                    self.pending = self.shelves.pop(len(stack), [])
                if name == "table":
                    self.tables.pop()
            held = saved.pop() if saved and saved[-1].place == len(stack) else None
            if name in FORMATTING and len(lost) < _TORN and not (name == by and len(stack) == index):
                lost.append((name, held.look if held else None))
            if held:
                if name == "table" and held.run and held.look and held.look.display in WITHIN_LINES:
                    _trim(held.run)
                elif (
                    held.run
                    and (name == "button" or (held.look and held.look.display == "inline-block"))
                    and not (name == "pre" or self.where["pre"])
                ):
                    _strip(held.run)  # white space at its edges is not shown
                self.restore(held)
            elif name in BLOCKS:
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

    def start(self, name: str, look: Look | None, token: str) -> None:
        if name in RAW_TEXT:
            self.raw(name, look, token)
            return
        if name == "input" and (at := self.in_scope(("select",))):
            self.cut(at)
        if name in ("input", "image"):
            hidden = (look and look.display == "none") or (name == "input" and HIDDEN_INPUT.search(token))
            if not hidden:
                self.place().append("\n" if makes_line(look) or self.flex >= 0 else "")
            return
        if name == "![cdata[":
            if self.realms and self.realms[-1][0] == len(self.stack) - 1:
                self.characters(token[9:].removesuffix("]]>"))
            return
        if name in ("svg", "math"):
            look = foreign_look(name, token, name)
        elif name == "details" and look and look.opened and (group := tag_attributes(token).get("name")):
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
            if self.stack[-1] in ROWS:
                return
        elif name == "table" and self.stack[self.parts[-1]] in ROWS:
            self.cut(self.where["table"][-1])
        elif (name in ("option", "optgroup") and self.stack[-1] == "option") or (
            name in RUBY and self.stack[-1] in ("rp", "rt", "rb") and self.nearest("ruby") > self.scopes[-1]
        ):
            self.cut(len(self.stack) - 1)
        elif name == "select" and (at := self.in_scope(("select",))):
            self.cut(at)
            return
        if name in ("button", "select") and self.out.case != "none" and not (look and look.case):
            look = (look or Look())._replace(case="none")  # their default style
        if name == "optgroup" and self.stack[-1] == "optgroup":
            self.cut(len(self.stack) - 1)
        if name in CLOSES_P and not (name == "table" and self.quirks):
            self.close_p()
        if name in HEADINGS and self.stack[-1] in HEADINGS:
            self.cut(len(self.stack) - 1)
        if name == "hr":
            if not look or look.display is None or makes_line(look):
                self.out.append("\n")
            return
        self.push(name, look)
        if name in ("svg", "math"):
            if token.endswith("/>"):
                self.cut(len(self.stack) - 1)
            else:
                self.enter(name)

    def raw(self, name: str, look: Look | None, token: str) -> None:
        """An element whose content is text, not markup: only xmp and plaintext show it."""
        tag = TAG.match(token)
        content = token[tag.end() :] if tag else ""
        if name == "title":
            if self.title is None and not self.foreign and not self.is_xml:
                self.title = " ".join(unescaped(content).split())
            return
        if name in ("xmp", "plaintext"):
            self.close_p()
            if not (look and look.display == "none"):
                before, after = GAPS.get((look and look.display) or "block", ("", ""))
                self.characters(before + content + after)
        elif name in REPLACED and (makes_line(look) or (self.flex >= 0 and not (look and look.display == "none"))):
            self.place().append("\n")

    def start_part(self, name: str, look: Look | None) -> None:
        """A part of a table: closes what is open up to where such a part belongs; outside a table it is ignored."""
        table = self.last(("table",))
        if not table or self.last(("template",)) > table:
            return
        self.cut(self.last(BELONGS[name]) + 1)
        if name in ("col", "colgroup"):
            return
        if name == "tr" or name in CELLS:  # a row stands in a group and a cell in a row, written or not
            if self.stack[-1] == "table":
                self.push("tbody")
            if name != "tr" and self.stack[-1] != "tr":
                self.push("tr")
        self.push(name, look)

    def close_item(self, names: tuple[str, ...]) -> None:
        """A list item ends an open one, but not one outside of another list or block."""
        at = self.in_scope(names)
        between = self.stack[at + 1 :] if at and len(self.stack) - at < _REACH else None
        if between is not None and all(name not in SPECIAL or name in ("address", "div", "p") for name in between):
            self.cut(at)

    def end(self, name: str) -> None:
        if name == "p":
            if at := self.in_scope(("p",), ("button",)):
                self.cut(at)
            else:
                self.place().append("\n")  # an end without a start is an empty paragraph
        elif name == self.stack[-1]:
            self.cut(len(self.stack) - 1, name)
        elif name in PARTS or name == "table":
            at = self.last((name,))
            if not at or at < self.last(("table", "template")) or (name in ("td", "th") and at != self.parts[-1]):
                return
            self.cut(at)
        elif name in HEADINGS:
            if at := self.in_scope(HEADINGS):
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
        elif name in SPECIAL:
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
        if not any(other in SPECIAL for other in self.stack[at + 1 :]):
            self.cut(at, name)
        elif name in FORMATTING and at >= self.scopes[-1]:
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
        if action in (CLOSE, CLOSE_BLOCK, END):
            return self.end_in_foreign(name)
        if name == "![cdata[":
            self.characters(token[9:].removesuffix("]]>"))
            return True
        if name in BREAKOUT or action == BREAK or (name == "font" and HTML_FONT.match(token)):
            self.cut(self.realms[-1][0])
            return False
        if name in RAW_TEXT:
            self.raw_in_foreign(token)
            return True
        if token.endswith("/>"):
            return True
        look = Look("none") if name in FOREIGN_HIDDEN else foreign_look(name, token, self.foreign)
        if name == "mi" and "normal" not in token and not (look and look.display):
            look = Look("block", look and look.shown, case="italic")
        shown = name in WANTED[self.foreign]
        self.push(name if shown else ":" + name, look)  # an svg's table is no table
        if name in INTEGRATION[self.foreign] and (name != "annotation-xml" or HTML_ANNOTATION.search(token)):
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
        tag = TAG.match(token)
        if tag and tag[0].endswith("/>") and self.resplits:
            self.resplits -= 1
            self.run(token[tag.end() :])

    def declare(self, name: str, look: Look | None, token: str) -> None:
        """What html, body and meta say of the whole page; the language is html's, else the Content-Language meta's."""
        attributes = tag_attributes(token)
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
    tag = unescaped(tag or "").split(",")[0].strip().lower().replace("_", "-")
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


is_xhtml = re.compile(r"<(?:[\w.-]+:)?html[\s>]", re.I).search


def text_of_xml(text: str) -> str:
    """XML that is no page: every element separates words, none is hidden."""
    out = []
    for piece in XML_TOKEN.split(text):
        if piece.startswith("<![CDATA["):
            out.append(piece[9:].removesuffix("]]>"))
        else:
            out.append(" " if piece.startswith("<") else unescaped(piece))
    return "".join(out)
