"""Keywords: words that one text has relatively more or less often than another. Pure; imported by the Lambda.

Every word of either text is tested, and the correction counts all of them: what a reader filters, sorts or pages does
not change a score.
"""

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from chalicelib.analysis import statistics
from chalicelib.analysis.words import Table

Order = Literal["lrc", "log_ratio", "g2"]
Sign = Literal["both", "positive", "negative"]
_DIRECTIONS = {"positive": 1, "negative": -1}


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


def keywords(
    one: Table,
    other: Table,
    *,
    alpha: float = 0.05,
    sort: Order = "lrc",
    sign: Sign = "both",
    stop_words: bool = True,
    prefix: str = "",
) -> Keywords:
    """Compare two folded tables word by word, by the size of a score, then of G², then by word.

    ``sign``, ``stop_words`` and ``prefix``, which is folded, choose what is listed. An empty text has no keywords.
    """
    sizes = one.total, other.total
    first, second = (dict(zip(_keys(table), table.counts, strict=True)) for table in (one, other))
    names = list(first | second)
    if not all(sizes):
        return Keywords(len(names), alpha, sizes, [], {})
    counts = {name: (first.get(name, 0), second.get(name, 0)) for name in names}
    scores = _scores(set(counts.values()), sizes, alpha, len(names))
    stops = {key for table in (one, other) for key in compress(_keys(table), table.stops)}
    found = [
        name
        for name in names
        if (sign == "both" or scores[counts[name]].g2 * _DIRECTIONS[sign] > 0)
        and (stop_words or name not in stops)
        and name.startswith(prefix)
    ]
    rank = {pair: (-abs(getattr(score, sort)), -abs(score.g2)) for pair, score in scores.items()}
    found.sort(key=lambda name: (rank[counts[name]], name))
    shown = {key: word for table in (other, one) for key, word in zip(_keys(table), table.words, strict=True)}
    rows = [(shown[name], *counts[name], name in stops) for name in found]
    return Keywords(len(names), alpha, sizes, rows, scores)


def _keys(table: Table) -> Sequence[str]:
    return table.words if table.keys is None else table.keys


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
