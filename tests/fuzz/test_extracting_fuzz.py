"""Pages mutilated at random, chromium as judge. EXTRACT_FUZZ_PAGES and EXTRACT_FUZZ_SEED choose how many and which."""

import json
import os
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from chalicelib.extracting import extract
from tests.fuzz.judge import judge, missing

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
COUNT = int(os.environ.get("EXTRACT_FUZZ_PAGES", "150"))
SEED = int(os.environ.get("EXTRACT_FUZZ_SEED", "1"))
DELETED = str.maketrans("", "", "\u00ad\u2060\ufeff\u200b")
# A block that takes up room and shows nothing: innerText glues across it, a reader sees two lines (docs/accuracy.md)
INVISIBLE = re.compile("until-found|content-visibility|visibility:(?:hidden|collapse)|visibility=hidden")
LONGEST = 120_000  # of the pages, so that a run takes minutes


def real_pages() -> list[str]:
    pages = [path.read_text("utf-8", "replace") for path in sorted((SHARED / "pages").glob("*.html"))]
    return [re.sub(r"(?i)<meta[^>]*refresh[^>]*>", "", page) for page in pages if len(page) < LONGEST]


def strung_rules() -> list[str]:
    """Our own small cases, a dozen to a page: denser in oddities than any real one."""
    rules = json.loads((ROOT / "tests/pages/rules.json").read_text("utf-8"))
    rules = [rule for rule in rules if not INVISIBLE.search(rule)]
    swallows = re.compile(r"<(?:plaintext|frameset|script|title|style|textarea|!--|body|html|option)")
    bodies = [rule.removeprefix("<!DOCTYPE html>").removeprefix("<body>") for rule in rules]
    pieces = [body for body in bodies if not swallows.search(body)]
    rng = random.Random(0)
    return ["<!DOCTYPE html><body>" + " ".join(rng.sample(pieces, 12)) for _ in range(40)]


def mutilated(markup: str, rng: random.Random) -> str:
    """Tags dropped, doubled, swapped and copied elsewhere: one to a quarter of all."""
    parts = re.split(r"(<[^>]*>)", markup)
    tags = range(1, len(parts), 2)
    for _ in range(rng.randint(1, max(1, len(tags) // rng.choice([4, 20, 80])))):
        one, other, what = rng.choice(tags), rng.choice(tags), rng.random()
        if what < 0.45:
            parts[one] = ""
        elif what < 0.65:
            parts[one] *= 2
        elif what < 0.9:
            parts[one], parts[other] = parts[other], parts[one]
        else:
            parts[one] = parts[other]
    return "".join(parts)


@pytest.mark.parametrize(("sources", "least"), [(real_pages, 0.9999), (strung_rules, 0.98)])
def test_mutilated_pages_have_the_browsers_words(sources: Callable[[], list[str]], least: float) -> None:
    if reason := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    pages, hits, misses, worst = sources(), 0, 0, []
    if not pages:
        pytest.skip("../shared/pages is not on this machine")
    with judge() as browser:
        for seed in range(SEED, SEED + COUNT):
            rng = random.Random(seed)
            markup = mutilated(rng.choice(pages), rng)
            shown = Counter(browser.inner_text(markup).translate(DELETED).split())
            ours = Counter(extract(markup.encode(), "text/html; charset=utf-8").text.translate(DELETED).split())
            hits += 2 * (shown & ours).total()
            if wrong := (shown - ours).total() + (ours - shown).total():
                misses += wrong
                worst.append((wrong, seed, list(shown - ours)[:4], list(ours - shown)[:4]))
    score = hits / (hits + misses)
    print(f"{COUNT} mutilated pages: word F1 {score:.6f}, {len(worst)} of them differ: {sorted(worst)[-5:]}")
    assert score >= least
