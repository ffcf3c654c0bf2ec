"""The main content of a page, without navigation and what else is around it, by trafilatura in its fast mode."""

import re

import trafilatura

_LEAST_CHARACTERS = 250
_LEAST_SHARE = 4  # of the page's words, one in so many: with less, something else was taken for the article
_MOST_TAGS = 50_000  # above, the page is no article, and would take seconds
_WITHOUT_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


def main_text(markup: str, text: str) -> tuple[str, int] | None:
    """The article in ``markup`` and how many of the words of ``text`` are not in it; None where there is none."""
    if markup.count("<") > _MOST_TAGS:
        return None
    found = trafilatura.extract(markup, fast=True, include_comments=False) or ""
    kept, words = _size(found), _size(text)
    if len(found) < _LEAST_CHARACTERS or kept * _LEAST_SHARE < words:
        return None
    return found, max(0, words - kept)


def _size(text: str) -> int:
    """About how many words: pieces between white space; where a script has no spaces, two letters for a word."""
    return len(text.split()) + (0 if text.isascii() else _WITHOUT_SPACES.subn("", text)[1] // 2)
