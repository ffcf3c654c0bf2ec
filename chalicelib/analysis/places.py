"""In which parts of a text its words are, and in which forms. Pure; imported by the Lambda."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from chalicelib.analysis import words
from chalicelib.analysis.evidence import Evidence


class Form(msgspec.Struct, frozen=True):
    """A spelling and how often it occurs."""

    word: str
    count: int


class Places(msgspec.Struct, frozen=True):
    """Where a word is: ``parts`` counts its occurrences in equal parts of the text, ``forms`` by spelling."""

    word: str
    total: int
    parts: list[int]
    forms: list[Form]


def places(evidence: Evidence, wanted: Sequence[str], *, parts: int, fold_case: bool = True) -> list[Places]:
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
        Places(word, sum(found[key]), found[key], [Form(*form) for form in forms[key].most_common()])
        for key, word in asked.items()
        if key in found
    ]
