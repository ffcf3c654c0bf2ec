"""The counter against NLTK itself: the same words, each as often, on texts that try every rule."""

import os
import random
from collections import Counter

import nltk
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib import counting
from tests.fuzz import texts

NAMES = counting._PUNKT


def reference(text: str, name: str) -> Counter[str]:
    """NLTK's tokens with a letter; ICU's words of each in a script without spaces."""
    return Counter(word for token in nltk.word_tokenize(text, name) for word in counting._words_of(token))


def differs(text: str, code: str) -> bool:
    tally = counting.tally(text, code)
    return tally.approximate or tally.counts != reference(counting._clean(text)[0], NAMES[code])


# Ten seeds of ten thousand texts; COUNTING_TEXTS is for a quick look.
@pytest.mark.parametrize("seed", range(10))
def test_generated_texts_have_nltks_words(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(int(os.environ.get("COUNTING_TEXTS", "10000"))):
        text = texts.text(chance)
        code = "en" if chance.random() < 0.5 else chance.choice(list(NAMES))
        assert not differs(text, code), (code, text)


PIECES = st.sampled_from(
    [*texts.WORDS, *texts.UNSPACED, *texts.MARKS, *texts.SPACES, *texts.HARD, " ", "\n", ". ", '" ', "' "]
)


@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PIECES, max_size=30).map("".join), st.sampled_from(list(NAMES)))
def test_mixed_pieces_have_nltks_words(text: str, code: str) -> None:
    assert not differs(text, code)


@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=60))
def test_any_text_has_nltks_words(text: str) -> None:
    assert not differs(text, "en")
