"""A page narrowed by CSS: BeautifulSoup and soupsieve on the tree that a browser has.

The soup is built from the page's tree, whose elements it knows by number. What is not selected is then taken out of the
tree, so what is selected stays in its ancestors: what they hide stays hidden, what they transform stays transformed.
"""

import time
from functools import partial
from itertools import islice
from typing import Any

import bs4
import soupsieve
from bs4.builder import HTMLTreeBuilder
from turbohtml import Element, Text

from chalicelib.errors import AttemptFailed, ErrorKind
from chalicelib.text.styles import LINE

_SELECTOR_LENGTH, _SHOWN = 1000, 100  # characters; of one that is none, so many are named
_SOUP_TAGS = 90_000  # a soup takes 20 µs and 2 KB for each
_SELECT_SECONDS = 5.0  # of CPU; a page of 90,000 elements and a plain selector take one
_bad = partial(AttemptFailed, ErrorKind.BAD_SELECTOR)


def narrow(tree: Any, select: str | None, ignore: str | None, *, xml: bool) -> None:
    """Leave in the tree what ``select`` names, without what ``ignore`` names. Fails as bad selector."""
    chosen, dropped = _selector("select", select), _selector("ignore", ignore)
    soup, elements = _soup(tree, xml)
    matches = _matches(dropped, soup) if dropped else []
    parents = {id(match.parent): match.parent for match in matches}.values() if chosen else ()
    places = {id(child): place for parent in parents for place, child in enumerate(parent.contents)}
    for match in reversed(matches):
        elements[match.sourceline].extract()
        if chosen:  # it is not to count what is not there; told no place, the soup looks through all children
            match.extract(places[id(match)])
    if not chosen:
        return
    kept = _matches(chosen, soup)
    path = {id(parent): parent for match in kept for parent in match.parents}
    stays = {elements[tag.sourceline] for tag in [*kept, *path.values()] if tag.sourceline is not None}
    for parent in [tree, *(elements[tag.sourceline] for tag in path.values() if tag.sourceline is not None)]:
        for child in list(parent.children):
            if child not in stays:
                child.extract()
    for match in kept:
        elements[match.sourceline].insert(0, Text(LINE))
        elements[match.sourceline].append(Text(LINE))


def _selector(option: str, css: str | None) -> Any:
    if not css:
        return None
    if len(css) > _SELECTOR_LENGTH:
        raise _bad(f"{option}: a selector of more than {_SELECTOR_LENGTH} characters")
    try:
        return soupsieve.compile(css)
    except (ValueError, NotImplementedError, RecursionError, soupsieve.SelectorSyntaxError) as error:
        reason = (str(error) or "no CSS selector").splitlines()[0]
        raise _bad(f"{option} “{css[:_SHOWN]}”: {reason}") from None


def _matches(selector: Any, soup: Any) -> list[Any]:
    """The outermost elements that match, in order, within the time that a selector may take."""
    end = time.process_time() + _SELECT_SECONDS
    found: list[Any] = []
    inside: set[int] = set()
    for element in soup.find_all(True):
        if time.process_time() > end:
            raise _bad(f"a selector that takes more than {_SELECT_SECONDS:g} seconds on this page")
        if id(element.parent) in inside:
            inside.add(id(element))
        elif selector.match(element):
            inside.add(id(element))
            found.append(element)
    return found


def _soup(tree: Any, xml: bool) -> tuple[Any, list[Any]]:
    """A soup of the tree, and the tree's elements; each tag's ``sourceline`` is its element's place among them."""
    elements: list[Any] = []
    if sum(1 for _ in islice(tree.iter_elements(), _SOUP_TAGS + 1)) > _SOUP_TAGS:
        raise _bad(f"the page has more than {_SOUP_TAGS} tags, too many to select from")

    def fill(soup: Any, node: Any) -> None:  # 512 deep at most
        for child in node.children:
            if isinstance(child, Text):
                soup.handle_data(child.data)
            elif isinstance(child, Element):
                attributes = {n: " ".join(v) if isinstance(v, list) else v or "" for n, v in child.attrs.items()}
                name = child.tag.removeprefix("xml-")
                soup.handle_starttag(name, None, None, attributes, sourceline=len(elements))
                elements.append(child)
                if name != "template":  # a browser's selectors do not look into one
                    fill(soup, child)
                soup.handle_endtag(name)

    class Builder(HTMLTreeBuilder):
        is_xml = xml
        features = ()

        def feed(self, _markup: object) -> None:
            fill(self.soup, tree)

        def prepare_markup(self, markup: Any, *_: Any, **__: Any) -> Any:
            yield markup, None, None, False

    return bs4.BeautifulSoup("x", builder=Builder(store_line_numbers=True)), elements
