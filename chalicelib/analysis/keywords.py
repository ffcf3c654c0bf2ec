"""Keywords: words that one text has relatively more or less often than another. Pure; imported by the Lambda.

Every word of either text is tested, and the correction counts all of them: what a reader filters, sorts or pages does
not change a score.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

from chalicelib.analysis import statistics
from chalicelib.analysis.words import Table

Order = Literal["lrc", "log_ratio", "g2"]
Sign = Literal["both", "positive", "negative"]


class Keyword(msgspec.Struct, frozen=True):
    """A word with its counts and rates in both texts, and its scores, above 0 where the first has more of it."""

    word: str
    count: int
    count_other: int
    per_million: float
    per_million_other: float
    log_ratio: float
    lrc: float
    g2: float
    p: float
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

    ``sign``, ``stop_words`` and ``prefix`` (folded) choose what is listed. An empty text has no keywords.
    """
    sizes = one.total, other.total
    marks = dict(zip(_keys(other), other.stops, strict=True)) | dict(zip(_keys(one), one.stops, strict=True))
    shown = dict(zip(_keys(other), other.words, strict=True)) | dict(zip(_keys(one), one.words, strict=True))
    if not all(sizes):
        return Keywords(len(marks), alpha, sizes, [], {})
    first, second = (dict(zip(_keys(table), table.counts, strict=True)) for table in (one, other))
    counts = [(word, first.get(word, 0), second.get(word, 0)) for word in marks]
    scores = _scores({(a, b) for _, a, b in counts}, sizes, alpha, len(marks))
    chosen = _chosen(sizes, sign)
    found = [
        (shown[word], a, b, bool(marks[word]))
        for word, a, b in counts
        if chosen(a, b) and (stop_words or not marks[word]) and word.startswith(prefix)
    ]
    rank = {pair: (-abs(getattr(score, sort)), -abs(score.g2)) for pair, score in scores.items()}
    found.sort(key=lambda row: (rank[row[1], row[2]], row[0]))
    return Keywords(len(marks), alpha, sizes, found, scores)


def _keys(table: Table) -> Sequence[str]:
    """What makes two words one: their folded form, where case was folded."""
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


def _chosen(sizes: tuple[int, int], sign: Sign) -> Callable[[int, int], bool]:
    c, d = sizes
    if sign == "positive":
        return lambda a, b: a * d > b * c
    if sign == "negative":
        return lambda a, b: a * d < b * c
    return lambda _a, _b: True
