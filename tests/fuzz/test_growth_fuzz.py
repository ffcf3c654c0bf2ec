"""Random fragments of markup, repeated to two sizes: CPU grows as the bytes do. GROWTH_FUZZ_CASES chooses how many.

Every way in which a page once cost a worker its life was one fragment, repeated.
"""

import json
import os
import random
import re
import time
from math import log
from pathlib import Path

import pytest

from chalicelib.errors import AttemptFailed, ErrorKind
from chalicelib.extracting import extract

ROOT = Path(__file__).resolve().parents[2]
CASES = int(os.environ.get("GROWTH_FUZZ_CASES", "60"))
SMALL, TIMES = 100_000, 8
STEEPEST = 1.2  # the exponent; 1 is linear
NOISE = 0.1  # seconds of CPU below which nothing is judged
TYPES = ("text/html; charset=utf-8", "application/xhtml+xml; charset=utf-8", "application/rss+xml; charset=utf-8")


def fragments() -> list[str]:
    """Tags of our own cases, scraps of tags, styles, white space and text."""
    rules = json.loads((ROOT / "tests/pages/rules.json").read_text("utf-8"))
    tags = sorted({tag for rule in rules for tag in re.findall(r"<[^>]*>", rule)})
    scraps = ["<", "</", "<!--", "-->", "<![CDATA[", "]]>", "&", "&#", "&lt;", '"', "'", "=", "<?", "<!DOCTYPE [", "]>"]
    feeds = ["<rss>", "<item>", "<title>", "</title>", "<description>", "&lt;br&gt;", "<!ENTITY a 'b'>", "&a;"]
    return [*tags, *scraps * 8, *feeds * 4, *["a", "word ", " ", "\n", "\t", "\0", "é", "ab ! important", ";", ":"] * 8]


def seconds(markup: str, content_type: str) -> float:
    body = markup.encode()
    start = time.process_time()
    try:
        extract(body, content_type)
    except AttemptFailed as failed:
        if failed.kind is not ErrorKind.TOO_LARGE:
            raise
    return time.process_time() - start


def exponent(markup: str, content_type: str) -> float:
    """The power by which CPU grows from the small size to the large one; the best of three, as machines are busy."""
    found = []
    for _ in range(3):
        few, many = (
            min(seconds(markup * (size // len(markup) + 1), content_type) for _ in range(2))
            for size in (SMALL, SMALL * TIMES)
        )
        found.append(log(many / max(few, 1e-4)) / log(TIMES) if many > NOISE else 1.0)
        if found[-1] < STEEPEST:
            break
    return min(found)


@pytest.mark.parametrize("content_type", TYPES)
def test_no_repeated_fragment_costs_more_than_its_bytes(content_type: str) -> None:
    pool = fragments()
    for seed in range(CASES):
        rng = random.Random(seed)
        markup = "".join(rng.choices(pool, k=rng.choice([1, 1, 2, 3, 5, 8])))
        if rng.random() < 0.3:  # one long attribute
            markup = f'<p style="{markup.replace(chr(34), "")}">'
        assert exponent(markup, content_type) < STEEPEST, (seed, markup)
