"""The words that a browser shows, and what the usual extractors make of the same pages: writes docs/accuracy.md.

``make accuracy`` or ``python -m benchmarks.accuracy``, over ../shared/pages; speed is CPU time in the same run.
"""

import importlib.metadata
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import html2text
import inscriptis
import trafilatura
from bs4 import BeautifulSoup
from resiliparse.extract.html2text import extract_plain_text

from benchmarks.report import machine, table
from chalicelib.extracting import extract

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT.parent / "shared" / "pages"
DOCUMENT = ROOT / "docs" / "accuracy.md"
DELETED = str.maketrans("", "", "\u00ad\u2060\ufeff\u200b")  # the extractor drops these: they have no width
ROUNDS = 5

Extractor = Callable[[bytes, str], str]


def plain(markup: str) -> str:
    reader = html2text.HTML2Text()
    reader.ignore_links = reader.ignore_images = reader.ignore_emphasis = True
    reader.body_width = 0
    return reader.handle(markup)


# The peers are given the decoded text, so that only their reading of markup is judged; ours gets the bytes.
EXTRACTORS: dict[str, Extractor] = {
    "this project": lambda body, _: extract(body).text,
    "BeautifulSoup `get_text()`": lambda _, markup: BeautifulSoup(markup, "html.parser").get_text(),
    'BeautifulSoup `get_text(" ")`': lambda _, markup: BeautifulSoup(markup, "html.parser").get_text(" "),
    "inscriptis": lambda _, markup: inscriptis.get_text(markup),
    "html2text, plain": lambda _, markup: plain(markup),
    "trafilatura": lambda _, markup: trafilatura.extract(markup) or "",
    "resiliparse, all text": lambda _, markup: extract_plain_text(
        markup, preserve_formatting=True, main_content=False, list_bullets=False, alt_texts=False, links=False
    ),
}
PACKAGES = {"BeautifulSoup": "beautifulsoup4", "html2text,": "html2text", "resiliparse,": "resiliparse"}


def words(text: str) -> list[str]:
    return text.translate(DELETED).split()


def glued(ours: Counter[str], shown: Counter[str], text: str) -> int:
    """Words that nobody wrote: neighbours of the page without the white space between them."""
    apart, joined = " ".join(text.split()), "".join(text.split())
    return sum(count for word, count in (ours - shown).items() if word not in apart and word in joined)


def judge(name: str, extractor: Extractor, pages: list[tuple[bytes, str, str]]) -> list[str]:
    """One row of the table: F1 over all words, pages with exactly the browser's words, glued words, MB a second."""
    hits = misses = exact = stuck = 0
    for body, markup, shown in pages:
        ours, theirs = words(extractor(body, markup)), words(shown)
        exact += ours == theirs
        one, other = Counter(ours), Counter(theirs)
        hits += 2 * (one & other).total()
        misses += (one - other).total() + (other - one).total()
        stuck += glued(one, other, shown.translate(DELETED))
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for body, markup, _shown in pages:
            extractor(body, markup)
        seconds.append(time.process_time() - start)
    speed = sum(len(body) for body, _, _ in pages) / min(seconds) / 1e6
    score = hits / (hits + misses)
    return [name, f"{score:.5f}", f"{exact} of {len(pages)}", f"{stuck:,}", f"{speed:.1f}"]


def versions() -> str:
    names = ["beautifulsoup4", "inscriptis", "html2text", "trafilatura", "resiliparse"]
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


NOTES = """\
Real pages are mostly well formed. On pages mutilated at random (tags dropped, doubled, swapped), with the browser as
judge, `make fuzz` asks for a word F1 of 0.9999; 310 such copies of real pages had all words of the browser.

## Where we differ on purpose

**An invisible block parts words.** In `a<div style="visibility:hidden">x</div>b` the block takes up room and shows
nothing: a reader sees *a* and *b* on two lines, where `innerText` gives *ab*. The same with `visibility:collapse`,
`content-visibility:hidden` and `hidden=until-found` on a block.

## Known differences, each rare

HTML within MathML, text within text in SVG, blocks within a `<ruby>` or an `<option>` without a `<select>`,
declarative shadow roots, the gap after the last cell of a table that is made by styles alone.

## Encodings

All cases in `../shared/encoding_cases.jsonl` are right. A page that declares nothing and is not UTF-8 is guessed by
turbohtml's detector, for which a single sentence of Hungarian, Lithuanian or in Mac Cyrillic is too short.
"""


def main() -> None:
    oracle = json.loads((PAGES / "oracle.json").read_text("utf-8"))
    pages = []
    for name, shown in oracle.items():
        body = (PAGES / name).read_bytes()
        pages.append((body, body.decode(shown["charset"], "replace"), shown["inner_text"]))
    rows = [judge(name, extractor, pages) for name, extractor in EXTRACTORS.items()]
    head = ["extractor", "word F1", "pages exactly right", "glued words", "MB a second of CPU"]
    size = sum(len(body) for body, _, _ in pages) / 1e6
    _, marks, words = DOCUMENT.read_text("utf-8").partition("\n## Words\n")  # made by benchmarks.words
    DOCUMENT.write_text(
        "\n".join(
            [
                "# The text against a browser's",
                "",
                "Made by `python -m benchmarks.accuracy` (after `pip install -r requirements-bench.txt`). The judge is",
                "Chromium's `document.body.innerText` with scripting and style sheets off, kept in",
                "`../shared/pages/oracle.json`: words split at white space, soft hyphens and zero-width marks deleted.",
                "*Exactly right* means the same words in the same order. *Glued* are words that nobody wrote: two",
                "neighbours without the space between them.",
                "",
                f"{len(pages)} pages, {size:.1f} MB, many languages; {machine()};",
                f"{versions()}.",
                "",
                *table(head, rows),
                "",
                "trafilatura leaves all but the main text out on purpose; the others are asked for all of it.",
                "",
                NOTES,
            ]
        )
        + marks
        + words,
        "utf-8",
    )
    print("\n".join(table(head, rows)))


if __name__ == "__main__":
    main()
