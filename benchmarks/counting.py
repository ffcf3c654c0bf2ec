"""Bytes to counts, on real pages in many languages: this project's pipeline beside the usual one, in one run.

usage: python -m benchmarks.counting [rounds]

The systems alternate on each page; figures are CPU time, the least of the rounds for each page, summed over the pages.
Writes its part of docs/benchmarks.md.
"""

import importlib.metadata
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import nltk
from bs4 import BeautifulSoup
from selectolax.lexbor import LexborHTMLParser
from sklearn.feature_extraction.text import CountVectorizer

from benchmarks import report
from chalicelib import counting, extracting

PAGES = report.DOCUMENT.parent.parent.parent / "shared" / "pages"
USUAL, COLD, WARM, LEAST = "usual", "ours, cold", "ours, warm", "our walk, then split and Counter"
PACKAGES = ("beautifulsoup4", "nltk", "icu4py", "scikit-learn", "selectolax")


@dataclass(frozen=True, slots=True)
class Sample:
    """A page as it came, and the encoding that a browser took."""

    name: str
    body: bytes
    charset: str


def samples() -> list[Sample]:
    oracle = json.loads((PAGES / "oracle.json").read_text(encoding="utf-8"))
    return [Sample(name, (PAGES / name).read_bytes(), page["charset"]) for name, page in oracle.items()]


# --- the systems ---


def usual(page: Sample) -> object:
    """The tutorial's function, its data loaded beforehand."""
    text = BeautifulSoup(page.body.decode(page.charset, "replace"), "html.parser").get_text()
    has_letter = re.compile(".*[A-Za-z].*")
    words = [word for word in nltk.word_tokenize(text) if has_letter.match(word)]
    stop_words = ENGLISH
    return Counter(words), Counter(word for word in words if word.lower() not in stop_words)


def ours(page: Sample) -> object:
    found = extracting.extract(page.body, f"text/html; charset={page.charset}")
    return counting.count(found.text, counting.languages_of(found.text, found.language).language)


def least_work(page: Sample) -> object:
    return Counter(extracting.extract(page.body, f"text/html; charset={page.charset}").text.split())


def vectorizer(page: Sample) -> object:
    return Counter(ANALYZE(extracting.extract(page.body, f"text/html; charset={page.charset}").text))


def lexbor(page: Sample) -> object:
    root = LexborHTMLParser(page.body).body
    return Counter(root.text(separator=" ").split()) if root else Counter()


ENGLISH = frozenset(nltk.corpus.stopwords.words("english"))
ANALYZE = CountVectorizer().build_analyzer()
SYSTEMS: dict[str, tuple[Callable[[Sample], object], bool]] = {  # what runs, and whether the memo is emptied before
    USUAL: (usual, False),
    COLD: (ours, True),
    WARM: (ours, False),
    LEAST: (least_work, False),
    "our walk, then scikit-learn's analyzer and Counter": (vectorizer, False),
    "selectolax (Lexbor), split and Counter": (lexbor, False),
}


def measure(pages: list[Sample], rounds: int) -> dict[str, list[float]]:
    """Least CPU seconds of each system for each page. Warm comes after cold: all chunks of the page are known."""
    least = {name: [float("inf")] * len(pages) for name in SYSTEMS}
    for _ in range(rounds):
        for place, page in enumerate(pages):
            for name, (run, forget) in SYSTEMS.items():
                if forget:
                    counting.forget()
                least[name][place] = min(least[name][place], seconds(lambda run=run, page=page: run(page)))
    return least


def seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def one_pass(pages: list[Sample]) -> float:
    """CPU seconds for all pages, one after the other, in a process that has seen none: a worker's first minute."""
    counting.forget()
    return seconds(lambda: [ours(page) for page in pages])


def parts(pages: list[Sample]) -> list[tuple[str, float, float]]:
    """Where our time goes: CPU seconds of each step, cold and warm."""
    spent = {"the walk (extracting)": [0.0, 0.0], "the language": [0.0, 0.0], "the words (counting)": [0.0, 0.0]}
    for page in pages:
        counting.forget()
        for turn in (0, 1):
            marks = [time.process_time()]
            found = extracting.extract(page.body, f"text/html; charset={page.charset}")
            marks.append(time.process_time())
            language = counting.languages_of(found.text, found.language).language
            marks.append(time.process_time())
            counting.count(found.text, language)
            marks.append(time.process_time())
            for number, name in enumerate(spent):
                spent[name][turn] += marks[number + 1] - marks[number]
    return [(name, cold, warm) for name, (cold, warm) in spent.items()]


def main(arguments: list[str]) -> int:
    if not PAGES.is_dir():
        print("benchmarks.counting needs the real pages in ../shared/pages", file=sys.stderr)
        return 1
    rounds = int(arguments[0]) if arguments else 5
    pages = samples()
    counting.preload()
    for run, _ in SYSTEMS.values():  # data and patterns are loaded
        for page in pages:
            run(page)
    least = measure(pages, rounds)
    total = {name: sum(times) for name, times in least.items()}
    megabytes = sum(len(page.body) for page in pages) / 1e6
    rows = [
        [name, f"{1000 * spent:.0f}", f"{megabytes / spent:.1f}", f"{total[USUAL] / spent:.1f}"]
        for name, spent in total.items()
    ]
    once = min(one_pass(pages) for _ in range(rounds))
    whole = parts(pages)
    cold, warm = sum(part[1] for part in whole), sum(part[2] for part in whole)
    shares = [[name, f"{100 * c / cold:.0f} %", f"{100 * w / warm:.0f} %"] for name, c, w in whole]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    lines = [
        f"{report.machine()}; {versions}. {len(pages)} pages, {megabytes:.1f} MB, least of {rounds} rounds.",
        "",
        *report.table(["from bytes to a Counter", "CPU ms", "MB/s", "times the usual"], rows),
        "",
        "*Usual* is `BeautifulSoup(html, 'html.parser').get_text()`, `nltk.word_tokenize`, the tutorial's filter and "
        "two Counters. *Cold* forgets before each page what it learned of words; *warm* has seen the page "
        "before: its chunks, and the languages of its pieces. One process that begins cold and "
        "takes the pages as they come: "
        f"{total[USUAL] / once:.1f} times the usual. The last three count other words, for orientation.",
        "",
        "Where our time goes:",
        "",
        *report.table(["step", "cold", "warm"], shares),
    ]
    report.write("counting", "\n".join(lines))
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
