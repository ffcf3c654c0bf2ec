"""XML as the events that turbohtml gives of HTML: XHTML, feeds, and any other.

Pages in the wild are not well formed, and a strict parser gives nothing of those; this one passes over what it does not
understand. It reads no DTD but for the entities that a document itself declares as plain text. An element that is not
HTML has ``?`` before its name and stands on a line of its own.
"""

import re
from collections import Counter
from typing import Any

from turbohtml import unescape
from turbohtml.saxparse import sax_parse

from chalicelib.text.styles import LINE

_START = re.compile(r"<(?:!--|!\[CDATA\[|[!?]|/?([^\s<>/!?\"'=]+))")
_QUOTE_OR_END = re.compile("[\"'>]")
_ATTRIBUTE = re.compile(r"""([^\s=/"'<>]+)(?:\s*=\s*(?:"([^"]*)"?|'([^']*)'?))?""")
_SUBSET_TOKEN = re.compile("<!--|[\"'\\]>[]")
_ENTITY = re.compile(r"""<!ENTITY\s+([\w.:-]+)\s+(?:"([^"<&%]{0,1000})"|'([^'<&%]{0,1000})')\s*>""")
_REFERENCE = re.compile(r"&([\w.:-]+);")
_EXPANDED = 100_000  # characters that a document's own entities may add: a page of them is an attack
_NESTING = 500  # elements within elements; deeper ones are read as if they ended at once, as turbohtml does
_PAGES = ("http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML")
_FEEDS = ("rss", "feed", "RDF")
# Their text may be HTML, written as text. Whether it is, RSS does not say; Atom does.
_WRITTEN = ("content", "description", "encoded", "info", "rights", "subtitle", "summary", "tagline", "title")
_FOR_MACHINES = frozenset(  # addresses, dates and the like, which no reader of a feed sees
    "cloud created date docs email generator guid height icon id issued lastBuildDate link logo modified pubDate "
    "published rating skipDays skipHours ttl updated uri url webMaster width".split()
)
_MARKUP = re.compile(r"</[a-zA-Z]|<(?:a|br|hr|img|li|p)\b[^<>]*>|&(?:#\w+|\w+);")


class XmlReader:
    """Reads one document into a handler; ``title`` and ``language`` are those of a feed."""

    def __init__(self, text: str, handler: Any) -> None:
        self.source, self.handler = text, handler
        self.open: list[tuple[str, str, bool]] = []  # name as written, tag as given on, whether it is HTML
        self.names: Counter[str] = Counter()  # of them
        self.prefixes: set[str] = set()  # of HTML
        self.entities: dict[str, str] = {}
        self.expanded = 0
        self.feed = self.is_page = False
        self.written: list[str] | None = None  # the text of an element of a feed that may be HTML
        self.title: str | None = None
        self.language: str | None = None

    def read(self) -> None:
        text, at = self.source, 0
        while found := _START.search(text, at):
            start = found.start()
            if start > at:
                self._text(self._decoded(text[at:start]))
            mark = found[0]
            if mark == "<!--":
                at = _after(text, "-->", start + 4)
            elif mark == "<![CDATA[":
                at = _after(text, "]]>", start + 9)
                self._text(text[start + 9 : at].removesuffix("]]>"))
            elif mark == "<?":
                at = _after(text, "?>", start)
            elif mark == "<!":
                at = self._declaration(start)
            else:
                at = _tag_end(text, found.end())
                self._tag(found[1], text[start:at])
        self._text(self._decoded(text[at:]))
        while self.open:
            self._end()

    def _tag(self, name: str, markup: str) -> None:
        ends = markup[1] == "/"
        if self.written is not None and not (ends and self.names[name]):
            self.written.append(markup)  # HTML that was not even written as text
        elif not ends:
            pairs = _ATTRIBUTE.findall(markup, len(name) + 1) if len(markup) > len(name) + 2 else []
            self._start(name, tuple((key, self._decoded(double or single)) for key, double, single in pairs))
            if markup.endswith("/>") or len(self.open) > _NESTING:
                self._end()
        elif self.names[name]:
            while self.open[-1][0] != name:
                self._end()
            self._end()

    def _start(self, name: str, attrs: tuple[tuple[str, str], ...]) -> None:
        prefix, _, local = name.rpartition(":")
        html = self.open[-1][2] if self.open else local == "html"
        for key, value in attrs:
            if key == "xmlns" and not prefix:
                html = value in _PAGES
            elif key.startswith("xmlns:") and value in _PAGES:
                self.prefixes.add(key[6:])
            elif key in ("lang", "xml:lang") and not self.open:
                self.language = value
        if prefix:
            html = prefix in self.prefixes
        if not self.open:
            self.feed, self.is_page = local in _FEEDS, html
        if self.feed and self.written is None and local in _WRITTEN and ("type", "xhtml") not in attrs:
            self.written = []
        tag = local if html else f"?{local}"
        self.open.append((name, tag, html))
        self.names[name] += 1
        if not html:
            self.handler.characters(LINE)
        self.handler.start_element(tag, attrs)

    def _end(self) -> None:
        name, tag, html = self.open.pop()
        self.names[name] -= 1
        if self.written is not None and tag[1:] in _WRITTEN:
            self._as_written(tag, "".join(self.written))
            self.written = None
        self.handler.end_element(tag)
        if not html:
            self.handler.characters(LINE)

    def _as_written(self, tag: str, text: str) -> None:
        if tag == "?title" and self.title is None:
            self.title = " ".join(text.split())
        if _MARKUP.search(text):
            sax_parse(text, self.handler)
        else:
            self.handler.characters(text)

    def _text(self, text: str) -> None:
        if self.written is not None:
            self.written.append(text)
        elif not (self.feed and self.open and self.open[-1][1][1:] in _FOR_MACHINES):
            if self.feed and self.open and self.open[-1][1] == "?language":
                self.language = self.language or text
            else:
                self.handler.characters(text)

    def _decoded(self, text: str) -> str:
        """Character references and the document's own entities, replaced once."""
        if "&" not in text:
            return text
        if self.entities:
            text = _REFERENCE.sub(self._entity, text)
        return unescape(text)

    def _entity(self, found: re.Match[str]) -> str:
        value = self.entities.get(found[1], found[0])
        self.expanded += len(value)
        return value if self.expanded < _EXPANDED else found[0]

    def _declaration(self, start: int) -> int:
        """Where a declaration ends: a DOCTYPE's own subset, in brackets, may hold any number of ``>``."""
        text, at, inside = self.source, start, False
        if text[start : start + 9].upper() != "<!DOCTYPE":
            return _after(text, ">", start)
        while found := _SUBSET_TOKEN.search(text, at):
            mark, at = found[0], found.end()
            if mark == "<!--":
                at = _after(text, "-->", at)
            elif mark in "\"'":
                at = _after(text, mark, at)
            elif mark == ">" and not inside:
                break
            elif mark in "[]":
                inside = mark == "["
        else:
            at = len(text)
        if not self.open:
            for name, double, single in _ENTITY.findall(text, start, at):
                self.entities.setdefault(name, double or single)
        return at


def _after(text: str, end: str, at: int) -> int:
    """Where the next ``end`` is over, or the text."""
    found = text.find(end, at)
    return found + len(end) if found >= 0 else len(text)


def _tag_end(text: str, at: int) -> int:
    """Where a tag ends: at the next ``>`` that is not in quotes."""
    first = _after(text, ">", at)
    while found := _QUOTE_OR_END.search(text, at):
        if found[0] == ">":
            return found.end()
        at = text.find(found[0], found.end()) + 1
        if not at:
            return first  # the quote has no end
    return len(text)
