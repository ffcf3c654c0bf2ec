"""Counted texts for the tests of contexts, phrases and keywords, by a plain rule that needs no worker's parts."""

import random
import re
from array import array
from collections import Counter
from itertools import pairwise

from chalicelib.analysis import words
from chalicelib.analysis.evidence import Evidence
from chalicelib.analysis.tokens import Tokens

_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")


def counted(text: str, *, stop_words: frozenset[str] = frozenset({"the", "of", "a"}), language: str = "en") -> Evidence:
    """Words are runs of letters; a sentence ends after ``.`` before a space, a block at a newline."""
    spans = [match.span() for match in _WORD.finditer(text)]
    spelled = [text[start:end] for start, end in spans]
    table = words.table(Counter(spelled), stop_words, language)
    rows = {word: row for row, word in enumerate(table.words)}
    blocks, sentences = [], []
    for at, ((_, end), (start, _)) in enumerate(pairwise(spans), 1):
        if "\n" in text[end:start]:
            blocks.append(at)
        if "\n" in text[end:start] or ". " in text[end:start]:
            sentences.append(at)
    last = [len(spans)] if spans else []
    tokens = Tokens(
        array("I", (rows[words.storable(word)] for word in spelled)),
        array("I", (start for start, _ in spans)),
        array("I", sentences + last),
        array("I", blocks + last),
    )
    return Evidence(text, tokens, table, language)


def zipfian(size: int, seed: int = 1, *, vocabulary: int = 0) -> str:
    """About ``size`` characters of invented words with a natural distribution, in sentences and blocks."""
    rnd = random.Random(seed)
    names = ["".join(rnd.choices("aeioulnrstkm", k=rnd.randint(2, 9))) for _ in range(vocabulary or size // 50 + 10)]
    weights = [1 / rank for rank in range(1, len(names) + 1)]
    drawn = iter(rnd.choices(names, weights, k=size // 2 + 100))
    made: list[str] = []
    length = 0
    while length < size:
        sentence = " ".join(next(drawn) for _ in range(rnd.randint(1, 25)))
        made.append(sentence.capitalize() + ("." if rnd.random() < 0.8 else ".\n"))
        length += len(sentence) + 2
    return " ".join(made)
