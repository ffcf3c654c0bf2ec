"""The tokens of a text one by one, for the tests of counting: the service itself keeps them as arrays."""

from typing import NamedTuple

from chalicelib import counting


class Token(NamedTuple):
    """A word, where it stands in the prepared text, and the number of its sentence, from 0."""

    word: str
    start: int
    end: int
    sentence: int


def tokens(text: str, language: str | None = "en", *, words: str = "unicode") -> list[Token]:
    """Words of ``text`` in order; ``prepare(text)[start:end]`` is the word, but for typographic marks."""
    segments = counting.segment(text, language, words=words)
    found: list[Token] = []
    for sentence, end in enumerate(segments.sentence_ends):
        for place in range(len(found), end):
            word, start = segments.words[segments.rows[place]], segments.starts[place]
            found.append(Token(word, start, start + len(word), sentence))
    return found
