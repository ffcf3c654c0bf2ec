"""A counted text as its worker stores it and its readers compute on it, and the registry of the stored parts. Pure.

A further artifact is one function and one row of ``ARTIFACTS``.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from chalicelib.analysis import tokens, words
from chalicelib.analysis.tokens import Tokens
from chalicelib.analysis.words import Table

LARGE_TEXT = 1_000_000  # bytes of UTF-8; what belongs to a longer text goes to the object store


class Evidence(msgspec.Struct, frozen=True):
    """A counted text: the text itself, its words in order, and its word table."""

    text: str
    tokens: Tokens
    table: Table
    language: str = ""

    def end(self, token: int) -> int:
        """Where a token ends in the text."""
        return self.tokens.starts[token] + tokens.length(self.table.words[self.tokens.rows[token]])

    def keys(self, *, fold_case: bool) -> Sequence[str]:
        """For each row of the table the word as it is compared."""
        return [words.fold(word, self.language) for word in self.table.words] if fold_case else self.table.words


class Segments(msgspec.Struct, frozen=True):
    """A text as a counter cuts it: as ``Tokens`` has it, but ``rows`` are places in ``words``.

    ``words`` are distinct, in the order of their first token. A block is a line of the text; no sentence is longer.
    """

    text: str
    words: Sequence[str]
    rows: Sequence[int]
    starts: Sequence[int]
    sentence_ends: Sequence[int]
    block_ends: Sequence[int]

    def counts(self) -> Counter[str]:
        """How often each word occurs."""
        numbers = Counter(self.rows)
        return Counter(dict(zip(map(self.words.__getitem__, numbers), numbers.values(), strict=True)))


class Artifact(NamedTuple):
    """A stored part: how it is made, and whether it may be large."""

    pack: Callable[[Evidence], list[bytes]]
    is_large: Callable[[Evidence], bool] = lambda _: False


def _is_large(evidence: Evidence) -> bool:
    return len(evidence.text) > LARGE_TEXT // 4 and len(evidence.text.encode()) > LARGE_TEXT


# Of a job that keeps no text: the words alone. A part of the text is one blob, which the store cuts into pieces.
ARTIFACTS: dict[str, Artifact] = {
    "words": Artifact(lambda kept: words.pack(kept.table)),
    "text": Artifact(lambda kept: [tokens.pack_text(kept.text, kept.tokens, kept.table.words)], _is_large),
    "tokens": Artifact(lambda kept: [tokens.pack(kept.tokens)], _is_large),
}


def gathered(found: Segments, table: Table, language: str) -> Evidence:
    """What a counter found, with its tokens as rows of the table."""
    places = dict(zip(table.words, range(len(table)), strict=True))
    row_of: list[Any] = list(map(places.get, found.words))
    if None in row_of:  # a word that the table writes otherwise
        row_of = list(map(places.__getitem__, map(words.storable, found.words)))
    rows = array("I", map(row_of.__getitem__, found.rows))
    order = Tokens(rows, found.starts, found.sentence_ends, found.block_ends)
    return Evidence(tokens.encodable(found.text), order, table, language)


def read(stored: Mapping[str, Sequence[bytes]], language: str) -> Evidence:
    """The evidence of the three artifacts. Raises ``words.DamagedTable``, ``tokens.DamagedTokens``."""
    table = words.unpack(stored["words"])
    text, found = tokens.unpack(b"".join(stored["tokens"]), b"".join(stored["text"]), table.words)
    return Evidence(text, found, table, language)
