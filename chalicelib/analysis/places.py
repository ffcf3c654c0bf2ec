"""In which parts of a text its words are, and in which forms. Pure; imported by the Lambda."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from chalicelib.analysis import words
from chalicelib.analysis.evidence import Evidence


class WordForm(msgspec.Struct, frozen=True):
    """A spelling of a word and how often it occurs."""

    word: str
    count: Annotated[int, Meta(ge=1)]


class WordPlaces(msgspec.Struct, frozen=True):
    """A word as it was asked for: `parts` counts it in equal parts of the text, `forms` by spelling."""

    word: str
    total: Annotated[int, Meta(ge=0)]
    parts: list[Annotated[int, Meta(ge=0)]]
    forms: list[WordForm]


def places(evidence: Evidence, wanted: Sequence[str], *, parts: int, fold_case: bool = True) -> list[WordPlaces]:
    """The places of each word that the text has, in the order asked for. One pass over the text's tokens."""
    asked = {words.fold(word, evidence.language) if fold_case else word: word for word in wanted}
    keys = evidence.keys(fold_case=fold_case)
    key_of = {row: key for row, key in enumerate(keys) if key in asked}
    found = {key: [0] * parts for key in key_of.values()}
    forms: dict[str, Counter[str]] = {key: Counter() for key in found}
    length = max(len(evidence.text), 1)
    for start, row in zip(evidence.tokens.starts, evidence.tokens.rows, strict=True):
        key = key_of.get(row)
        if key is not None:
            found[key][start * parts // length] += 1
            forms[key][evidence.table.words[row]] += 1
    return [
        WordPlaces(word, sum(found[key]), found[key], [WordForm(*form) for form in forms[key].most_common()])
        for key, word in asked.items()
        if key in found
    ]
