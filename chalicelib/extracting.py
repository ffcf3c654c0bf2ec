"""Bytes of a page to the words that a reader sees, in the reader's order: what a browser's innerText gives with
scripting off, its default styles, the ``hidden`` attribute and inline styles.

Three steps, none of which builds a tree: the bytes are decoded (decoding.py), the markup is cut into tokens
(markup.py), and a walk over them writes the text (walking.py). CSS selectors narrow the page first, if there are any.
"""

import time
from dataclasses import dataclass
from typing import Any

from chalicelib.text.decoding import BadEncoding, decode, kind_of, read_content_type
from chalicelib.text.markup import STANDARD
from chalicelib.text.walking import Walk, is_xhtml, text_of_xml

__all__ = ["BadEncoding", "BadSelector", "Page", "extract"]


class BadSelector(ValueError):
    """``select`` or ``ignore`` is no CSS selector, or costs more than a job may take; the message says which."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a reader sees of a page.

    ``text``: the words, separated by any white space. ``title``: None without one. ``language``: the tag as the page
    declares it, lower case with hyphens (``pt-br``), or None. ``encoding``: the WHATWG name, lower case.
    """

    text: str
    title: str | None
    language: str | None
    encoding: str


def extract(
    body: bytes, content_type: str | None = None, *, select: str | None = None, ignore: str | None = None
) -> Page:
    """Read a page as a browser shows it, narrowed by two optional CSS selectors.

    ``content_type`` is the HTTP header, None means HTML. Raises BadSelector and BadEncoding; never fails on markup.
    """
    essence, charset = read_content_type(content_type or "")
    kind = kind_of(essence)
    text, encoding = decode(body, charset, kind)
    if kind == "plain":
        return Page(text.replace("\0", ""), None, None, encoding)
    text = text.replace("\0", "")  # a browser drops them, and they would split names
    is_xml = kind == "xml"
    if is_xml and is_xhtml(text) is None:
        return Page(text_of_xml(text), None, None, encoding)
    walk = Walk(is_xml)
    walk.quirks = not STANDARD.match(text)
    walk.run(text)
    if select or ignore:
        narrowed = _narrow(text, select, ignore)
        inner = Walk(False)
        inner.run(narrowed)
        return Page(inner.text(), walk.title, walk.language, encoding)
    return Page(walk.text(), walk.title, walk.language, encoding)


# --- Narrowing by CSS -------------------------------------------------------------------------------------------------

_SELECTOR_LENGTH = 1000
_SOUP_TAGS = 100_000  # a soup takes 20 µs and 1 KB for each
_SELECT_SECONDS = 5.0  # of CPU; a page of 100,000 elements and a plain selector take one

# A part of a table alone would lose its cells
_CONTEXT = {"td": "<table><tr>", "th": "<table><tr>", "tr": "<table>", "tbody": "<table>", "thead": "<table>"}


def _narrow(text: str, select: str | None, ignore: str | None) -> str:
    """The markup of the elements that ``select`` names, without those that ``ignore`` names."""
    import bs4  # loaded for jobs that ask for it only

    chosen, dropped = _selector(select), _selector(ignore)
    if text.count("<") > _SOUP_TAGS:
        raise BadSelector(f"the page has more than {_SOUP_TAGS} tags, too many to select from")
    soup = bs4.BeautifulSoup(text, "lxml")
    if dropped:
        for element in _matches(dropped, soup):
            element.decompose()
    if not chosen:
        return str(soup)
    return "\n".join(
        f"<div>{_CONTEXT.get(element.name, '')}{element}</table></div>" for element in _matches(chosen, soup)
    )


def _selector(css: str | None) -> Any:
    import soupsieve

    if not css:
        return None
    if len(css) > _SELECTOR_LENGTH:
        raise BadSelector(f"a selector of more than {_SELECTOR_LENGTH} characters")
    try:
        return soupsieve.compile(css)
    except (ValueError, NotImplementedError, RecursionError, soupsieve.SelectorSyntaxError) as error:
        raise BadSelector((str(error) or "no CSS selector").splitlines()[0]) from None


def _matches(selector: Any, soup: Any) -> list[Any]:
    """The outermost elements that match, in order, within the time that a selector may take."""
    end = time.process_time() + _SELECT_SECONDS
    found: list[Any] = []
    inside: set[int] = set()
    for element in soup.find_all(True):
        if time.process_time() > end:
            raise BadSelector(f"a selector that takes more than {_SELECT_SECONDS:g} seconds on this page")
        if id(element.parent) in inside:
            inside.add(id(element))
        elif selector.match(element):
            inside.add(id(element))
            found.append(element)
    return found
