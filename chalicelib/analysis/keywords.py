"""Keywords: words that one text has relatively more or less often than another. Pure; imported by the Lambda.

Every word of either text is tested, and the correction counts all of them: what a reader filters, sorts or pages does
not change a score.
"""

from collections.abc import Callable, Iterable
from itertools import compress
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from chalicelib.analysis import statistics, words
from chalicelib.analysis.words import Table

Order = Literal["lrc", "log_ratio", "g2"]
Sign = Literal["both", "positive", "negative"]


class Keyword(msgspec.Struct, frozen=True):
    """A word in both jobs. Scores above 0 say that this job has relatively more of it."""

    word: str
    count: Annotated[int, Meta(ge=0)]
    count_other: Annotated[int, Meta(ge=0)]
    per_million: Annotated[float, Meta(ge=0)]
    per_million_other: Annotated[float, Meta(ge=0)]
    log_ratio: float
    lrc: Annotated[float, Meta(description="Conservative log ratio; 0 where the difference is not significant.")]
    g2: float
    p: Annotated[float, Meta(ge=0, le=1)]
    stop_word: bool


class Scores(NamedTuple):
    """What is computed of two counts; equal counts have equal scores."""

    log_ratio: float
    lrc: float
    g2: float


class Keywords(msgspec.Struct, frozen=True):
    """The words that were asked for, the strongest first; ``tests`` counts the words compared, ``sizes`` all words."""

    tests: int
    alpha: float
    sizes: tuple[int, int]
    found: list[tuple[str, int, int, bool]]  # word, its counts, whether it is a stop word
    _scores: dict[tuple[int, int], Scores]

    def __len__(self) -> int:
        return len(self.found)

    def show(self, start: int, stop: int) -> list[Keyword]:
        """Some of them."""
        shown = []
        for word, count, other, stop_word in self.found[start:stop]:
            scores = self._scores[count, other]
            shown.append(
                Keyword(
                    word=word,
                    count=count,
                    count_other=other,
                    per_million=round(count / self.sizes[0] * 1e6, 6),
                    per_million_other=round(other / self.sizes[1] * 1e6, 6),
                    log_ratio=round(scores.log_ratio, 9),
                    lrc=round(scores.lrc, 9),
                    g2=round(scores.g2, 9),
                    p=statistics.p_value(scores.g2),
                    stop_word=stop_word,
                )
            )
        return shown


class _Folded(NamedTuple):
    """A table by its words without case: counts, the most frequent spelling of each, and which are stop words."""

    counts: dict[str, int]
    shown: dict[str, str]
    stops: set[str]


def keywords(
    one: Table,
    other: Table,
    *,
    languages: tuple[str, str] = ("", ""),
    alpha: float = 0.05,
    sort: Order = "lrc",
    sign: Sign = "both",
    stop_words: bool = True,
    prefix: str = "",
) -> Keywords:
    """Compare two tables of spellings word by word without case, by the size of a score, then of G², then by word.

    ``sign``, ``stop_words`` and ``prefix`` choose what is listed. An empty text has no keywords.
    """
    sizes = one.total, other.total
    first, second = _folded(one, languages[0]), _folded(other, languages[1])
    names = list(first.counts | second.counts)
    if not all(sizes):
        return Keywords(len(names), alpha, sizes, [], {})
    counts = {name: (first.counts.get(name, 0), second.counts.get(name, 0)) for name in names}
    scores = _scores(set(counts.values()), sizes, alpha, len(names))
    chosen, prefix = _chosen(sizes, sign), words.fold(prefix, languages[0])
    stops = first.stops | second.stops
    found = [
        name
        for name in names
        if chosen(*counts[name]) and (stop_words or name not in stops) and name.startswith(prefix)
    ]
    rank = {pair: (-abs(getattr(score, sort)), -abs(score.g2)) for pair, score in scores.items()}
    found.sort(key=lambda name: (rank[counts[name]], name))
    shown = second.shown | first.shown
    rows = [(shown[name], *counts[name], name in stops) for name in found]
    return Keywords(len(names), alpha, sizes, rows, scores)


def _folded(table: Table, language: str) -> _Folded:
    keys = words.folds(table.words, language)
    counts: dict[str, int] = {}
    for key, number in zip(keys, table.counts, strict=True):
        counts[key] = counts.get(key, 0) + number
    shown = dict(zip(reversed(keys), reversed(table.words), strict=True))  # the first row is the most frequent
    return _Folded(counts, shown, set(compress(keys, table.stops)))


def _scores(
    pairs: Iterable[tuple[int, int]], sizes: tuple[int, int], alpha: float, tests: int
) -> dict[tuple[int, int], Scores]:
    """The scores of each pair of counts once: most words of a text share theirs with many others."""
    c, d = sizes
    return {
        (a, b): Scores(
            statistics.log_ratio(a, c, b, d),
            statistics.lrc(a, c, b, d, alpha=alpha, tests=tests),
            statistics.g2(a, c, b, d),
        )
        for a, b in pairs
    }


def _chosen(sizes: tuple[int, int], sign: Sign) -> Callable[[int, int], bool]:
    c, d = sizes
    if sign == "positive":
        return lambda a, b: a * d > b * c
    if sign == "negative":
        return lambda a, b: a * d < b * c
    return lambda _a, _b: True
