"""The counter on every real page and on hostile texts of 5 MB: NLTK's words, and none that costs too much."""

import json
import subprocess
import sys
from collections import Counter

import nltk
import pytest

from chalicelib import counting
from tests.conftest import ROOT, SHARED, require

HOSTILE = {
    "distinct words with a period": "' '.join(f'{n:x}z.' for n in range(720_000))",
    "quoted words with a period": "' '.join(f'\"{n:x}.\"' for n in range(600_000))",
    "distinct words": "' '.join(f'{n:x}' for n in range(850_000))",
    "words in apostrophes": "' '.join(f\"x'{n:x}'\" for n in range(550_000))",
    "closing marks after initials": "'x. \") ' * 833_000",
    "initials": "'a. ' * 1_666_000",
    "numbers at sentence ends": "' '.join(f'{n}. A' for n in range(500_000))",
    "quotes": "'\"' * 5_000_000",
    "apostrophes apart": '"\' " * 2_500_000',
    "periods": "'.' * 5_000_000",
    "wide spaces": "'a.\\xa0' * 1_250_000",
    "separators": "'a\\x1cb ' * 1_250_000",
    "combining marks": "'e' + '\\u0301\\u0316' * 1_250_000",
    "Han in one run": "''.join(chr(0x4e00 + n * 7919 % 20000) for n in range(1_660_000))",
    "Han in pairs": "' '.join(chr(0x4e00 + n * 7919 % 20000) + chr(0x4e00 + n % 997) for n in range(710_000))",
    "Thai in one run": "''.join(chr(0xe01 + n * 7919 % 45) for n in range(1_660_000))",
    "Han and Latin by turns": "''.join(chr(0x4e00 + n * 7919 % 20000) + 'a' for n in range(1_250_000))",
    "lone surrogates": "'\\ud800a ' * 1_250_000",
    "one word": "'a' * 5_000_000",
}

IN_EVERY_RUN = ("distinct words with a period", "initials", "Thai in one run")


def reference(text: str, name: str) -> Counter[str]:
    words: Counter[str] = Counter()
    for token in nltk.word_tokenize(text, name):
        words.update(counting._words_of(token))
    return words


def test_every_page_has_nltks_words_and_needs_a_tenth_of_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    require((SHARED / "pages" / "oracle.json").is_file(), "../shared/pages")
    for budget in ("_TRICKY_CHARACTERS", "_WINDOW_CHARACTERS", "_PAIR_CHARACTERS", "_ENDINGS", "_SEGMENTED_CHUNKS"):
        monkeypatch.setattr(counting, budget, getattr(counting, budget) // 10)
    counting.forget()
    pages = json.loads((SHARED / "pages" / "oracle.json").read_text(encoding="utf-8"))
    for name, page in pages.items():
        text = counting._clean(page["inner_text"])[0]
        code = counting.language_of(text, None, None)
        for language in {code, "en"}:
            tally = counting.tally(page["inner_text"], language)
            assert not tally.approximate, name
            assert tally.counts == reference(text, counting._PUNKT.get(language, "english")), name


def test_every_snippet_has_nltks_words() -> None:
    require((SHARED / "snippets.json").is_file(), "../shared/snippets.json")
    for snippet in json.loads((SHARED / "snippets.json").read_text(encoding="utf-8")):
        text = counting._clean(snippet["inner_text"])[0]
        assert counting.count(snippet["inner_text"]) == reference(text, "english"), snippet["name"]


PROGRAM = """
import re, sys, time
# nltk loads these where they are installed, as they are after `make bench`: 75 MB that no worker has
sys.modules |= dict.fromkeys(("numpy", "scipy", "sklearn"))
from chalicelib import counting
counting.preload()
text = eval(sys.argv[1])
started = time.process_time()
counting.tally(text)
seconds = time.process_time() - started
# not ru_maxrss, which a child inherits from the parent that started it
print(seconds, int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024)
"""


@pytest.mark.parametrize(
    "text",
    [pytest.param(HOSTILE[name], id=name, marks=() if name in IN_EVERY_RUN else pytest.mark.long) for name in HOSTILE],
)
def test_no_text_of_five_megabytes_costs_ten_seconds_or_300_mb(text: str) -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM, text], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, run.stdout.split())
    assert seconds < 10
    assert megabytes < 300
