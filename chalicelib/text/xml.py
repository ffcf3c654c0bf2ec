"""XML written again as HTML: XHTML, feeds, and any other.

Pages in the wild are not well formed, and a strict parser gives nothing of those; the HTML parser takes everything. An
element that is not HTML gets ``xml-`` before its name, which makes it a block. No DTD is read but for the entities that
a document itself declares as text and characters; those are replaced once, and add little.
"""

import re
from typing import Any

from turbohtml import Element, escape, unescape

from chalicelib.text import rendering

_QUOTED = r"""<!--.*?(?:-->|\Z)|"[^"]*(?:"|\Z)|'[^']*(?:'|\Z)"""
_TOKEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)|<!\[CDATA\[(?P<data>.*?)(?:\]\]>|\Z)"
    rf"|<!(?:{_QUOTED}|\[(?:{_QUOTED}|[^]])*+\]?|[^>])*+>?"
    r"""|<(?P<end>/?)(?P<name>[^\s<>/!?"'=]+)(?P<rest>(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z)|[^"'>])*+)>?""",
    re.S,
)
_DOCTYPE = re.compile("<!DOCTYPE", re.I)
_SUBSET = re.compile(rf"(?:{_QUOTED}|[^\[>])*+\[((?:{_QUOTED}|[^]])*+)", re.S)
_CHARACTER = r"&(?:#\w{1,8}|amp|lt|gt|quot|apos);"
_ENTITY = re.compile(
    rf"""<!ENTITY\s+([\w.:-]+)\s+(?:"((?:[^"<&%]|{_CHARACTER}){{0,1000}}+)"|'((?:[^'<&%]|{_CHARACTER}){{0,1000}}+)')\s*>"""
)
_REFERENCE = re.compile(r"&([\w.:-]+);")
_EXPANDED = 100_000  # characters that a document's own entities may add: a page of them is an attack
_PAGES = ("http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML")
_NAMESPACE = re.compile(rf"""\sxmlns(?::([\w.-]+))?\s*=\s*["'](?:{"|".join(map(re.escape, _PAGES))})["']""")
_VOID = "area base br col embed hr img input link meta param source track wbr".split()
_FEEDS = ("rss", "feed", "RDF")
# Their text may be HTML, written as text. Whether it is, RSS does not say; Atom does.
_WRITTEN = ("content", "description", "encoded", "info", "rights", "subtitle", "summary", "tagline", "title")
_FOR_MACHINES = (  # addresses, dates and the like, which no reader of a feed sees
    "cloud created date docs email generator guid height icon id issued language lastbuilddate link logo modified "
    "pubdate published rating skipdays skiphours ttl updated uri url webmaster width"
).split()
_MARKUP = re.compile(r"</[a-zA-Z]|<(?:a|br|hr|img|li|p)\b[^<>]*>|&(?:#\w+|\w+);")


def tree_of(text: str) -> tuple[Any, str | None, bool]:
    """The tree of a document as the HTML parser makes it, the language that it declares, and whether it is a page."""
    writer = _Writer(text)
    with rendering.bounded(len(text)):
        tree = rendering.tree_of("<!DOCTYPE html>" + writer.html)
        root = tree.select_one("html" if writer.page else "body > *")
        named: list[Any] = [root.attrs.get("xml:lang"), root.attrs.get("lang")] if root else []
        if writer.feed:
            named += [element.text for element in tree.select("xml-language")]
            _render(tree)
    return tree, next(filter(None, named), None), writer.page


def _render(feed: Any) -> None:
    """Leave in a feed's tree what its readers see; a text that is HTML becomes elements."""
    feed.remove(",".join(f"xml-{name}" for name in _FOR_MACHINES))
    for element in feed.select(",".join(f"xml-{name}" for name in _WRITTEN)):
        written = element.text
        if _MARKUP.search(written) and not any(isinstance(child, Element) for child in element.children):
            element.clear()
            element.extend(rendering.tree_of("<!DOCTYPE html><body>" + written).select_one("body").children)


class _Writer:
    """One document in HTML."""

    def __init__(self, text: str) -> None:
        self.entities: dict[str, str] = {}
        self.expanded = 0
        if (doctype := _DOCTYPE.search(text)) and (declared := _SUBSET.match(text, doctype.end())):
            for name, double, single in _ENTITY.findall(declared[1]):
                self.entities.setdefault(name, escape(unescape(double or single)))
        text = _REFERENCE.sub(self._entity, text) if self.entities else text
        root = next((token for token in _TOKEN.finditer(text) if token["name"]), None)
        name = _local(root["name"]) if root else ""
        self.feed = name in _FEEDS
        self.page = root is not None and (name == "html" or _NAMESPACE.search(root["rest"]) is not None)
        self.prefixes: set[str] = set()  # of HTML
        # An element whose content is HTML, how often it is open, and whether it is HTML itself.
        self.inside, self.depth, self.outer = "", 0, False
        self.html = self._written(text)

    def _written(self, text: str) -> str:
        whole, at, parts = "", 0, list[str]()
        for token in _TOKEN.finditer(text):
            parts += (text[at : token.start()], self._token(token))
            at = token.end()
            if len(parts) > 10_000:  # a list of all would be large
                whole += "".join(parts)
                parts.clear()
        return whole + "".join(parts) + text[at:]

    def _entity(self, found: re.Match[str]) -> str:
        value = self.entities.get(found[1], found[0])
        self.expanded += len(value)
        return value if self.expanded < _EXPANDED else found[0]

    def _token(self, token: re.Match[str]) -> str:
        name, rest, end = token["name"], token["rest"], token["end"]
        if not name:
            return escape(token["data"] or "")
        local, empty, html = _local(name), rest.endswith("/"), self.page or self.depth > 0
        if end:
            if self.depth and name == self.inside:
                self.depth -= 1
                html = self.depth > 0 or self.outer
            else:
                html = html or name.rpartition(":")[0] in self.prefixes
        elif self.depth:
            self.depth += name == self.inside and not empty
        elif not self.page:
            spaces = [found[1] for found in _NAMESPACE.finditer(rest)] if "xmlns" in rest else []
            self.prefixes.update(filter(None, spaces))
            html = None in spaces or name.rpartition(":")[0] in self.prefixes
            if not empty and (None in spaces or (self.feed and local in _WRITTEN and not _XHTML.search(rest))):
                self.inside, self.depth, self.outer = name, 1, html
        if html and local in _VOID:
            return "" if end else f"<{local} {rest.rstrip('/')}>"
        tag = local if html else f"xml-{local}"
        return f"<{end}{tag}{rest.rstrip('/')}>" + (f"</{tag}>" if empty and not end else "")


_XHTML = re.compile("""\\stype\\s*=\\s*["']xhtml""")


def _local(name: str) -> str:
    return name.rpartition(":")[2]
