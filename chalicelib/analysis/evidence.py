"""A counted text as its worker stores it and its readers compute on it, and the registry of the stored parts. Pure.

A further artifact is one function and one row of ``ARTIFACTS``.
"""

from array import array
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


class Artifact(NamedTuple):
    """A stored part: how it is made, whether it is made only where the text is kept, and whether it may be large."""

    pack: Callable[[Evidence], list[bytes]]
    of_text: bool
    is_large: Callable[[Evidence], bool] = lambda _: False


def _is_large(evidence: Evidence) -> bool:
    return len(evidence.text) > LARGE_TEXT // 4 and len(evidence.text.encode()) > LARGE_TEXT


# Words alone are always kept. A part of the text is one blob, which the store cuts into pieces.
ARTIFACTS: dict[str, Artifact] = {
    "words": Artifact(lambda kept: words.pack(kept.table), of_text=False),
    "text": Artifact(lambda kept: [tokens.pack_text(kept.text, kept.tokens, kept.table.words)], True, _is_large),
    "tokens": Artifact(lambda kept: [tokens.pack(kept.tokens)], True, _is_large),
}


def gathered(
    text: str,
    table: Table,
    language: str,
    *,
    spelled: Sequence[str],
    rows: Sequence[int],
    starts: Sequence[int],
    sentence_ends: Sequence[int],
    block_ends: Sequence[int],
) -> Evidence:
    """What a counter found, with its tokens as rows of the table; ``rows`` are places in ``spelled``."""
    places = dict(zip(table.words, range(len(table)), strict=True))
    row_of: list[Any] = list(map(places.get, spelled))
    if None in row_of:  # a word that the table writes otherwise
        row_of = list(map(places.__getitem__, map(words.storable, spelled)))
    found = Tokens(array("I", map(row_of.__getitem__, rows)), starts, sentence_ends, block_ends)
    return Evidence(tokens.encodable(text), found, table, language)


def read(stored: Mapping[str, Sequence[bytes]], language: str) -> Evidence:
    """The evidence of the three artifacts. Raises ``words.DamagedTable``, ``tokens.DamagedTokens``."""
    table = words.unpack(stored["words"])
    text, found = tokens.unpack(b"".join(stored["tokens"]), b"".join(stored["text"]), table.words)
    return Evidence(text, found, table, language)
