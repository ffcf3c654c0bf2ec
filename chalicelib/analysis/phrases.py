"""Phrases of a text: words that follow each other again and again, with how strongly they belong together. Pure.

Words are compared without their case. No phrase crosses the end of a sentence or of a block. Phrases are built on all
words, stop words too, and left out afterwards.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress, islice, repeat
from operator import add, and_, mul, sub
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from chalicelib.analysis import statistics
from chalicelib.analysis.evidence import Evidence

LONGEST = 5  # words
Measure = Literal["logdice", "g2", "npmi", "count"]
StopWords = Literal["edges", "any", "include"]


class Phrase(msgspec.Struct, frozen=True):
    """Words that follow each other, how often, and how strongly they belong together; `g2` is of two words only."""

    phrase: Annotated[tuple[str, ...], Meta(min_length=2, max_length=LONGEST)]  # most frequent spelling together
    count: Annotated[int, Meta(ge=2)]
    logdice: Annotated[float, Meta(le=14)]
    g2: float | None  # of more words there is no table of four cells
    npmi: Annotated[float, Meta(ge=-1, le=1)]


class Phrases(msgspec.Struct, frozen=True):
    """Every phrase that was asked for, the strongest first. ``windows``: places in the text where one could begin."""

    evidence: Evidence
    n: int
    windows: int
    found: list[int]  # numbers of phrases
    _repeated: "_Repeated"
    _parts: Callable[[int], list[int]]  # how often a phrase's words stand at their places in any phrase

    def __len__(self) -> int:
        return len(self.found)

    def show(self, start: int, stop: int) -> list[Phrase]:
        """Some of them, with their words as they are mostly written."""
        rows, written = self.evidence.tokens.rows, self.evidence.table.words
        spellings: dict[int, Counter[tuple[int, ...]]] = {number: Counter() for number in self.found[start:stop]}
        for at, number in zip(self._repeated.places, self._repeated.numbers, strict=True):
            if number in spellings:
                spellings[number][tuple(rows[at : at + self.n])] += 1
        shown = []
        for number, seen in spellings.items():
            by_words = {tuple(written[row] for row in spelled): count for spelled, count in seen.items()}
            most = min(by_words, key=lambda spelled: (-by_words[spelled], spelled))
            values = (self._measure(name, number) for name in ("logdice", "g2", "npmi"))
            logdice, g2, npmi = (None if value is None else round(value, 6) for value in values)
            shown.append(Phrase(most, self._repeated.counts[number], logdice or 0.0, g2, npmi or 0.0))
        return shown

    def _measure(self, name: str, number: int) -> float | None:
        return _MEASURES[name](self._repeated.counts[number], self._parts(number), self.windows)


def _g2(count: int, parts: Sequence[int], windows: int) -> float | None:
    return statistics.pair_g2(count, parts[0], parts[1], windows) if len(parts) == 2 else None


_MEASURES: dict[str, Callable[[int, list[int], int], float | None]] = {
    "logdice": lambda count, parts, _windows: statistics.log_dice(count, parts),
    "g2": _g2,
    "npmi": statistics.npmi,
    "count": lambda count, _parts, _windows: count,
}


def phrases(
    evidence: Evidence,
    n: int = 2,
    *,
    min_count: int = 2,
    measure: Measure = "logdice",
    stop_words: StopWords = "edges",
) -> Phrases:
    """All phrases of ``n`` words that occur at least ``min_count`` times, by a measure, count, and first occurrence.

    ``stop_words``: ``edges`` leaves out phrases that begin or end with one, ``any`` those that hold one.
    """
    keys = evidence.keys(fold_case=True)
    words = _numbered(keys)
    stops = {words[row] for row in compress(range(len(keys)), evidence.table.stops)}
    sequence = list(map(words.__getitem__, evidence.tokens.rows))
    counts = [0] * (max(words, default=0) + 1)
    for number, count in zip(words, evidence.table.counts, strict=True):
        counts[number] += count
    repeated = _repeated(sequence, counts, _inside(evidence, 2), n, min_count)
    where = dict(zip(repeated.numbers, repeated.places, strict=True))
    inside = _inside(evidence, n)
    outside = inside.translate(bytes.maketrans(b"\0\1", b"\1\0"))
    elsewhere = [Counter(compress(sequence, b"\1" * shift + outside)) for shift in range(n)]

    def parts(number: int) -> list[int]:
        begin = where[number]
        return [counts[word] - some[word] for some, word in zip(elsewhere, sequence[begin : begin + n], strict=True)]

    def is_kept(number: int) -> bool:
        begin = where[number]
        if stop_words == "edges":
            return sequence[begin] not in stops and sequence[begin + n - 1] not in stops
        return stop_words == "include" or stops.isdisjoint(sequence[begin : begin + n])

    found = Phrases(evidence, n, sum(inside), list(filter(is_kept, repeated.counts)), repeated, parts)
    rank = {number: (-(found._measure(measure, number) or 0.0), -repeated.counts[number]) for number in found.found}
    found.found.sort(key=rank.__getitem__)
    return found


def _numbered(keys: Sequence[str]) -> list[int]:
    """For each row of the table the number of its word without case, from 1 on."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(key, len(numbers) + 1) for key in keys]


def _inside(evidence: Evidence, n: int) -> bytes:
    """For each token 1 where ``n`` words begin there before their sentence ends."""
    made = bytearray()
    for size in _sentences(evidence):
        begin = max(0, size - n + 1)
        made += b"\1" * begin + bytes(size - begin)
    return bytes(made)


def _sentences(evidence: Evidence) -> Iterator[int]:
    before = 0
    ends = evidence.tokens.sentence_ends
    for end in sorted({*ends, *evidence.tokens.block_ends, len(evidence.tokens)}):
        yield end - before
        before = end


class _Repeated(NamedTuple):
    """Phrases that occur often enough: each one's count by its number, from 1 on, and in order what begins where."""

    counts: dict[int, int]
    places: Sequence[int]  # tokens
    numbers: Sequence[int]  # as many


def _repeated(sequence: list[int], counts: Sequence[int], within: bytes, n: int, min_count: int) -> _Repeated:
    """The phrases of ``n`` words, at least 2. ``counts``: of each word by its number in the sequence.

    ``within`` has a 1 for each token whose successor is in the same sentence.

    A phrase cannot be more frequent than the two parts that it has with one word less, so each length is built on what
    was left of the length before: a text without repetitions costs little time and no memory.
    """
    frequent = bytes(count >= min_count for count in counts)
    alive = bytes(map(frequent.__getitem__, sequence))
    begins = bytes(map(and_, map(and_, within, alive), islice(alive, 1, None)))
    found = _Repeated(dict(enumerate(counts)), range(len(sequence)), sequence)
    for size in range(2, n + 1):
        places, numbers, several = found.places, found.numbers, len(found.counts) + 1
        if size > 2:
            begins = bytes(map((1).__eq__, map(sub, islice(places, 1, None), places)))
        pairs = map(add, map(mul, numbers, repeat(several)), islice(numbers, 1, None))  # two numbers as one
        found = _frequent(compress(places, begins), list(compress(pairs, begins)), min_count)
    return found


def _frequent(places: Iterable[int], given: list[int], min_count: int) -> _Repeated:
    """What occurs often enough, numbered anew."""
    kept = {number: count for number, count in Counter(given).items() if count >= min_count}
    again = dict(zip(kept, range(1, len(kept) + 1), strict=True))
    numbers = list(map(again.get, given))
    counts = dict(enumerate(kept.values(), 1))
    return _Repeated(counts, list(compress(places, numbers)), list(filter(None, numbers)))
