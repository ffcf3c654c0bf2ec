"""Words and stop words against treebanks of Universal Dependencies, beside other ways to tell words.

usage: python -m benchmarks.words

The sentences lie in ../shared/words and are not part of this project. Writes its part of docs/accuracy.md.
"""

import gzip
import json
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import regex

from benchmarks import report
from chalicelib import counting
from chalicelib.text.stop_words import fold

SENTENCES = report.DOCUMENT.parent.parent.parent / "shared" / "words" / "sentences.jsonl.gz"
WITHOUT_SPACES = {"zh", "ja", "ko", "th", "vi", "ar"}  # there, words are not told by spaces, or hardly
TOP = 10
_MARKS = str.maketrans("’ʼ＇‐‑", "'''--")
_OUTER = regex.compile(r"^[^\w\p{M}]+|[^\w\p{M}]+$")


def sentences() -> list[dict[str, Any]]:
    with gzip.open(SENTENCES, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


# --- what a word is ---


def ours(text: str, language: str) -> Counter[str]:
    return counting.count(text, language)


def nltks(text: str, language: str) -> Counter[str]:
    return counting.count(text, language, words="nltk")


def stripped(text: str, _language: str) -> Counter[str]:
    words = (_OUTER.sub("", chunk) for chunk in text.split())
    return Counter(word for word in words if any(map(str.isalpha, word)))


def word_characters(text: str, _language: str) -> Counter[str]:
    return Counter(word for word in re.findall(r"\w+", text) if any(map(str.isalpha, word)))


WAYS: dict[str, Callable[[str, str], Counter[str]]] = {
    "this project": ours,
    "NLTK": nltks,
    "spaces, marks stripped": stripped,
    r"`\w+`": word_characters,
}


def _same(words: Counter[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for word, number in words.items():
        found[unicodedata.normalize("NFC", word.translate(_MARKS))] += number
    return found


def f1(rows: list[dict[str, Any]], way: Callable[[str, str], Counter[str]]) -> float:
    """Of multisets of words, in percent."""
    hits = total = 0
    for row in rows:
        found, right = _same(way(row["text"], row["language"])), _same(Counter(row["words"]))
        hits += (found & right).total()
        total += found.total() + right.total()
    return 200 * hits / total


# --- stop words ---


def stop_measures(rows: list[dict[str, Any]], listed: frozenset[str]) -> dict[str, Any]:
    """Function words among the ten most frequent that are shown, share of content words that are not."""
    counts: Counter[str] = Counter()
    function: Counter[str] = Counter()
    for row in rows:
        for word, mark in zip(row["words"], row["function"], strict=True):
            key = fold(word.translate(_MARKS))
            counts[key] += 1
            function[key] += mark == "1"
    shown = [word for word, _ in counts.most_common() if word not in listed][:TOP]
    content = {word: number for word, number in counts.items() if 2 * function[word] <= number}
    lost = sum(number for word, number in content.items() if word in listed)
    return {
        "size": len(listed),
        "function": [word for word in shown if 2 * function[word] > counts[word]],
        "shown": shown,
        "covered": sum(function[word] for word in function if word in listed) / max(1, function.total()),
        "lost": lost / max(1, sum(content.values())),
    }


def main() -> int:
    if not SENTENCES.is_file():
        print("benchmarks.words needs the sentences in ../shared/words", file=sys.stderr)
        return 1
    trees: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    languages: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in sentences():
        trees[row["treebank"]].append(row)
        languages[row["language"]].append(row)
    scores = {name: [f1(rows, way) for way in WAYS.values()] for name, rows in sorted(trees.items())}
    spaced = [
        score
        for name, score in scores.items()
        if trees[name][0]["language"] not in WITHOUT_SPACES and len(trees[name]) >= 200
    ]
    table = [[name, str(len(trees[name])), *(f"{value:.2f}" for value in score)] for name, score in scores.items()]
    means = [sum(column) / len(spaced) for column in zip(*spaced, strict=True)]
    table.append([f"mean of the {len(spaced)} of languages with spaces", "", *(f"{value:.2f}" for value in means)])
    stops = {code: stop_measures(rows, counting.stop_words(code)) for code, rows in sorted(languages.items())}
    listed = [
        [
            code,
            str(found["size"]),
            f"{100 * found['covered']:.0f} %",
            f"{100 * found['lost']:.1f} %",
            str(len(found["function"])),
        ]
        for code, found in stops.items()
    ]
    mean_function = sum(len(found["function"]) for found in stops.values()) / len(stops)
    mean_lost = 100 * sum(found["lost"] for found in stops.values()) / len(stops)
    listed.append(["mean", "", "", f"{mean_lost:.1f} %", f"{mean_function:.1f}"])
    lines = [
        "F1 of the words of each sentence, in percent, against the surface words of treebanks of Universal",
        "Dependencies (words that hold a letter; apostrophes and hyphens of all shapes alike):",
        "",
        *report.table(["treebank", "sentences", *WAYS], table),
        "",
        "Stop words: size of the list, share of function words that it covers, share of content words that it hides,",
        "and function words left among the ten most frequent words:",
        "",
        *report.table(["language", "entries", "covered", "hidden", "left"], listed),
    ]
    report.write("words", "\n".join([f"{report.machine()}.", "", *lines]), report.DOCUMENT.parent / "accuracy.md")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
