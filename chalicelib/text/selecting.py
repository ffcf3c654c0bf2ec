"""A page narrowed by CSS: BeautifulSoup and soupsieve on the tree that a browser has.

Both the soup and the text come from the same events, so elements are known by their number. The text of a selected
element is rendered within its ancestors: what they hide stays hidden, what they transform stays transformed.
"""

import time
from collections.abc import Callable
from typing import Any

import bs4
import soupsieve
from bs4.builder import HTMLTreeBuilder

from chalicelib.text.kinds import BadSelector
from chalicelib.text.rendering import Events, Renderer

Attributes = tuple[tuple[str, str | None], ...]
Feed = Callable[[Any], object]

_SELECTOR_LENGTH = 1000
_SOUP_TAGS = 100_000  # a soup takes 20 µs and 1 KB for each
_SELECT_SECONDS = 5.0  # of CPU; a page of 100,000 elements and a plain selector take one


def narrowed(text: str, feed: Feed, select: str | None, ignore: str | None, *, xml: bool) -> str:
    """The text of the elements that ``select`` names, without those that ``ignore`` names.

    ``feed`` gives a handler the events of ``text``. Raises BadSelector.
    """
    chosen, dropped = _selector(select), _selector(ignore)
    if text.count("<") > _SOUP_TAGS:
        raise BadSelector(f"the page has more than {_SOUP_TAGS} tags, too many to select from")
    soup = _soup(feed, xml)
    out = _matches(dropped, soup) if dropped else []
    for element in out:
        element.extract()  # before select is tried: it is not to count what is not there
    kept = _matches(chosen, soup) if chosen else []
    path = {parent.sourceline for element in kept for parent in element.parents} if kept else set()
    return _Narrow(feed, {e.sourceline for e in kept} if chosen else None, path, {e.sourceline for e in out}).text()


def _selector(css: str | None) -> Any:
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


# --- The soup ---------------------------------------------------------------------------------------------------------


class _Soup(Events):
    """A handler that builds a BeautifulSoup; each tag's ``sourceline`` is the number of its event."""

    def __init__(self, soup: Any) -> None:
        self.soup = soup
        self.number = 0
        self.inert = 0  # how deep in a template: a browser's selectors do not look into one

    def start_element(self, tag: str, attrs: Attributes) -> None:
        self.number += 1
        if not self.inert:
            self.soup.handle_starttag(
                tag.removeprefix("?"), None, None, {name: value or "" for name, value in attrs}, sourceline=self.number
            )
        if self.inert or tag == "template":
            self.inert += 1

    def end_element(self, tag: str) -> None:
        if self.inert:
            self.inert -= 1
        if not self.inert:
            self.soup.handle_endtag(tag.removeprefix("?"))

    def characters(self, data: str) -> None:
        if not self.inert:
            self.soup.handle_data(data)


def _soup(feed: Feed, xml: bool) -> Any:
    class Builder(HTMLTreeBuilder):
        is_xml = xml
        features = ()

        def feed(self, _markup: object) -> None:
            feed(_Soup(self.soup))

        def prepare_markup(self, markup: Any, *_: Any, **__: Any) -> Any:
            yield markup, None, None, False

    return bs4.BeautifulSoup("x", builder=Builder(store_line_numbers=True))


# --- The text of what was selected ------------------------------------------------------------------------------------


class _Narrow(Events):
    """A handler that gives on to a renderer what is selected, and the tags of its ancestors."""

    def __init__(self, feed: Feed, kept: set[int] | None, path: set[int], dropped: set[int]) -> None:
        self.kept, self.path, self.dropped = kept, path, dropped
        self.renderer = Renderer()
        self.number = self.depth = 0
        self.skipping = 0  # the depth of an element that is left out, else 0
        self.inside = 0 if kept is not None else -1  # the depth of a selected element, else 0
        feed(self)

    def text(self) -> str:
        return self.renderer.text()

    def start_element(self, tag: str, attrs: Attributes) -> None:
        self.number += 1
        self.depth += 1
        if self.skipping:
            return
        number = self.number
        if not self.inside and self.kept is not None and number in self.kept:
            self.inside = self.depth
            self.renderer.line()
        if number in self.dropped or not (self.inside or number in self.path):
            self.skipping = self.depth
        else:
            self.renderer.start_element(tag, attrs)

    def end_element(self, tag: str) -> None:
        if not self.skipping:
            self.renderer.end_element(tag)
            if self.inside == self.depth:
                self.inside = 0
                self.renderer.line()
        elif self.skipping == self.depth:
            self.skipping = 0
        self.depth -= 1

    def characters(self, data: str) -> None:
        if self.inside and not self.skipping:
            self.renderer.characters(data)
