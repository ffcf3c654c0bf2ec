"""Where a word or a phrase occurs in a text, with what stands before and after it. Pure; imported by the Lambda."""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from chalicelib.analysis import words
from chalicelib.analysis.evidence import Evidence

SIDE_MOST = 2_000  # characters before or after a word, whatever the window: a text may have no words for megabytes
PHRASE_WORDS_MOST = 10  # of a phrase of a corpus: each is a join
NEIGHBOURS = 5  # words that an order by neighbours looks at
# The counted text has one apostrophe, one hyphen and nothing invisible; what people type or paste may differ.
_SIGNS = str.maketrans(
    {"’": "'", "ʼ": "'", "＇": "'", "‐": "-", "‑": "-"}
    | dict.fromkeys("\u00ad\u2060\ufeff\u0640\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
)

Unit = Literal["words", "sentence", "characters"]
Order = Literal["place", "left", "right"]


class Context(msgspec.Struct, frozen=True):
    """An occurrence: `start` and `end` are characters of the text, `place` is how far into it, 0 to 1."""

    start: Annotated[int, Meta(ge=0)]
    end: Annotated[int, Meta(ge=0)]
    place: Annotated[float, Meta(ge=0, le=1)]
    before: str
    match: str
    after: str


def find_word(evidence: Evidence, word: str, *, fold_case: bool = True) -> list[range]:
    """Every occurrence of a word, as ranges of one token, in the text's order; as many as the table counts."""
    keys = evidence.keys(fold_case=fold_case)
    rows: set[int] = set()
    for spelling in spellings(word):
        wanted = words.fold(spelling, evidence.language) if fold_case else spelling
        rows = {row for row, key in enumerate(keys) if key == wanted}
        if rows:
            break
    return [range(at, at + 1) for at, row in enumerate(evidence.tokens.rows) if row in rows] if rows else []


def find_phrase(evidence: Evidence, phrase: str, *, fold_case: bool = True) -> list[range]:
    """Every occurrence of words that follow each other in one sentence, as ranges of tokens.

    What is nowhere as it is spaced may be words that touch: ``l'homme``, or a phrase of a script without spaces.
    """
    keys = evidence.keys(fold_case=fold_case)
    for spelling in spellings(phrase):
        parts = (words.fold(spelling, evidence.language) if fold_case else spelling).split()
        if parts and (found := list(_spaced(evidence, keys, parts)) or list(_touching(evidence, keys, parts))):
            return found
    return []


def spellings(word: str) -> Iterator[str]:
    """The word as it is written, then as the counted text would write it."""
    plain = unicodedata.normalize("NFC", word)
    yield plain
    if (signs := plain.translate(_SIGNS)) != plain:
        yield signs


# Both look for one string in another, which takes time in proportion to the text, whatever repeats in it: all words
# of the text with a NUL after each, and another character at a sentence's end. Neither is in a word.


def _spaced(evidence: Evidence, keys: Sequence[str], parts: list[str]) -> Iterator[range]:
    """The parts as words, whatever stands between them in the text."""
    spelled = [keys[row] + "\0" for row in evidence.tokens.rows]
    for end in evidence.tokens.sentence_ends:
        spelled[end - 1] += "\1\0"
    starts = list(accumulate(map(len, spelled), initial=1))
    for at in _places("\0" + "".join(spelled), "\0" + "\0".join(parts) + "\0"):
        first = bisect_left(starts, at + 1)
        yield range(first, first + len(parts))


def _touching(evidence: Evidence, keys: Sequence[str], parts: list[str]) -> Iterator[range]:
    """The parts as one or more words with nothing between them."""
    tokens = evidence.tokens
    spelled = [keys[row] for row in tokens.rows]
    for at in range(len(spelled) - 1):
        if tokens.starts[at + 1] != evidence.end(at):
            spelled[at] += "\0"
    for end in tokens.sentence_ends:
        spelled[end - 1] = keys[tokens.rows[end - 1]] + "\0\1"
    starts = list(accumulate(map(len, spelled), initial=0))
    wanted = "\0".join(parts)
    for at in _places("".join(spelled), wanted):
        first, last = bisect_left(starts, at), bisect_right(starts, at + len(wanted) - 1) - 1
        if starts[first] == at and starts[last] + len(keys[tokens.rows[last]]) == at + len(wanted):
            yield range(first, last + 1)


def _places(text: str, wanted: str) -> Iterator[int]:
    at = text.find(wanted)
    while at >= 0:
        yield at
        at = text.find(wanted, at + 1)


def ordered(evidence: Evidence, found: list[range], order: Order) -> list[range]:
    """The occurrences by place, or by their neighbours in code point order of the folded words, the nearest first."""
    if order == "place":
        return found
    keys, rows = evidence.keys(fold_case=True), evidence.tokens.rows

    def left(tokens: range) -> list[str]:
        return [keys[row] for row in rows[max(0, tokens.start - NEIGHBOURS) : tokens.start][::-1]]

    def right(tokens: range) -> list[str]:
        return [keys[row] for row in rows[tokens.stop : tokens.stop + NEIGHBOURS]]

    return sorted(found, key=left if order == "left" else right)


def show(evidence: Evidence, found: Sequence[range], *, window: int = 8, unit: Unit = "words") -> Iterator[Context]:
    """Each occurrence with its surroundings: ``window`` words or characters on both sides, or the sentence.

    ``before``, ``match`` and ``after`` are one piece of the text as it is, of at most 2,000 characters on each side.
    """
    text = evidence.text
    edges = _EDGES[unit]
    for at in found:
        start, end = evidence.tokens.starts[at.start], evidence.end(at.stop - 1)
        first, last = edges(evidence, at, window)
        yield Context(
            start,
            end,
            round(start / len(text), 6),
            text[max(first, start - SIDE_MOST) : start],
            text[start:end],
            text[end : min(last, end + SIDE_MOST)],
        )


def _words_around(evidence: Evidence, at: range, window: int) -> tuple[int, int]:
    first, last = at.start - window, at.stop - 1 + window
    start = evidence.tokens.starts[first] if first >= 0 else 0
    return start, evidence.end(last) if last < len(evidence.tokens) else len(evidence.text)


def _characters_around(evidence: Evidence, at: range, window: int) -> tuple[int, int]:
    return max(0, evidence.tokens.starts[at.start] - window), evidence.end(at.stop - 1) + window


def _sentence_around(evidence: Evidence, at: range, _window: int) -> tuple[int, int]:
    """From the sentence's first word to its last, with the signs that touch them."""
    sentence, text = evidence.tokens.sentence(at.start), evidence.text
    start, end = evidence.tokens.starts[sentence.start], evidence.end(sentence.stop - 1)
    before = evidence.end(sentence.start - 1) if sentence.start else 0
    after = evidence.tokens.starts[sentence.stop] if sentence.stop < len(evidence.tokens) else len(text)
    opening = _OPENING.search(text, max(before, start - 10), start)
    closing = _CLOSING.match(text, end, min(after, end + 10))
    return opening.start() if opening else start, closing.end() if closing else end


_OPENING = re.compile(r"(?<=\s)\S{1,10}\Z|\A\S{1,10}\Z")
_CLOSING = re.compile(r"\S{0,10}")
_EDGES: dict[str, Callable[[Evidence, range, int], tuple[int, int]]] = {
    "words": _words_around,
    "characters": _characters_around,
    "sentence": _sentence_around,
}
