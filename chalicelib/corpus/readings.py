"""How a word or a phrase that somebody asks for may stand in a corpus: by which of its words it is to be looked for.

A document's words are folded by its own language, and each text is parted by the rules of its own, so one spelling may
be several words of the corpus. The readings are tried in their order, and the first that occurs is the answer: as the
word table shows each word, so that a word of the table is found as often as the table says; then by the folding of
every language; then as words that touch, such as ``l'homme`` or a phrase of a script without spaces. Pure.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from chalicelib.analysis import contexts, corpus_table, words
from chalicelib.analysis.corpus_table import CorpusTable

LANGUAGES = ("", "tr")  # one for each way of folding that ``words.fold`` has


class Reading(NamedTuple):
    """What corpus/queries.py is to look for: so many words, or 0 for words that touch, and the values that it binds.

    ``either`` says that each word has two forms.
    """

    words: int
    bound: dict[str, Any]
    either: bool = False


def readings(phrase: str, table: Callable[[], CorpusTable], *, fold_case: bool) -> Iterator[Reading]:
    """The readings of a phrase, the most exact first. ``table`` gives the corpus' word table, which few of them need.

    None of them has more words than are looked for (``contexts.PHRASE_WORDS_MOST``), if the phrase has not.
    """
    for spelling in contexts.spellings(phrase):
        parts = spelling.split()
        if not parts:
            continue
        if not fold_case:
            yield Reading(len(parts), _named("word", parts))
            yield from _touching(" ".join(parts), table, fold_case=False)
            continue
        folded = [[words.fold(part, language) for language in LANGUAGES] for part in parts]
        if any(one != other for one, other in folded):
            known = corpus_table.keys(table(), parts)
            as_shown = [known.get(part, forms[0]) for part, forms in zip(parts, folded, strict=True)]
            yield Reading(len(parts), _named("word", as_shown))
            bound = _named("word", [one for one, _ in folded]) | _named("or", [other for _, other in folded])
            yield Reading(len(parts), bound, either=True)
        else:
            yield Reading(len(parts), _named("word", [one for one, _ in folded]))
        for wanted in dict.fromkeys(words.fold(" ".join(parts), language) for language in LANGUAGES):
            yield from _touching(wanted, table, fold_case=True)


def _named(name: str, given: list[str]) -> dict[str, Any]:
    return {f"{name}{number}": word for number, word in enumerate(given)}


def _touching(wanted: str, table: Callable[[], CorpusTable], *, fold_case: bool) -> Iterator[Reading]:
    pieces = tiles(wanted, corpus_table.within(table(), wanted, fold_case=fold_case))
    if pieces:
        yield Reading(0, {"wanted": wanted, "pieces": pieces})


def tiles(wanted: str, known: Collection[str]) -> list[str]:
    """Those words of the known ones that can be one in a row of words which is ``wanted``, its spaces left out."""
    ahead: dict[int, set[int]] = {}  # by place the places where a word that begins there may end
    starts = [0]
    for start in starts:  # which grows
        ends = {end for end in range(start + 1, len(wanted) + 1) if wanted[start:end] in known}
        ahead[start] = ends
        starts += {_next(wanted, end) for end in ends} - {*starts, len(wanted)}
    leads = {len(wanted)}
    for start in sorted(ahead, reverse=True):
        if any(_next(wanted, end) in leads for end in ahead[start]):
            leads.add(start)
    return sorted({wanted[start:end] for start in ahead for end in ahead[start] if _next(wanted, end) in leads})


def _next(wanted: str, end: int) -> int:
    """Where the word behind one that ends here begins."""
    return end + 1 if wanted[end : end + 1] == " " else end
