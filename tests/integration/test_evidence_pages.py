"""The promise of a count: every word of every real page has as many contexts as its count says."""

import gzip
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import groupby

import pytest

from chalicelib import extracting, pipeline
from chalicelib.analysis import contexts, evidence, phrases, words
from chalicelib.analysis.evidence import Evidence
from tests.conftest import ROOT, SHARED, require
from tests.evidence import zipfian

# A typographic mark in the text is a plain one in the table.
MARKS = str.maketrans("’ʼ＇‐‑”״", "'''--\"\"")


def kept(text: str, declared: str | None = None, **options: str) -> Evidence:
    """The text as a job stores it and a reader gets it back."""
    counted = pipeline._counted(text, declared, options)
    made = pipeline._artifacts(counted)
    return evidence.read({name: packed.pieces for name, packed in made.items()}, counted.language or "")


def page_texts() -> Iterator[str]:
    require((SHARED / "pages").is_dir(), "../shared/pages")
    for path in sorted((SHARED / "pages").glob("*.html")):
        yield extracting.extract(path.read_bytes(), "text/html").text


def places(given: Evidence, table: words.Table, *, fold_case: bool) -> None:
    """Each row's contexts: as many as its count, each a piece of the text that is the word."""
    for word, count in zip(table.words, table.counts, strict=True):
        found = contexts.find_word(given, word, fold_case=fold_case)
        assert len(found) == count, word
        for context in contexts.show(given, found[:3]):
            assert context.match == given.text[context.start : context.end]
            match = context.match.translate(MARKS)
            assert words.fold(match, given.language) == words.fold(word, given.language)
            assert fold_case or match == word


def every_place(given: Evidence) -> None:
    """The tokens in order give the table, and each stands in the text where it says."""
    table = given.table
    rows = Counter(given.tokens.rows)
    assert [rows[row] for row in range(len(table))] == list(table.counts)
    for row, start in zip(given.tokens.rows, given.tokens.starts, strict=True):
        word = table.words[row]
        assert given.text[start : start + len(word)].translate(MARKS) == word.translate(MARKS)


@pytest.mark.slow
@pytest.mark.parametrize("rules", ["unicode", "nltk"])
def test_on_every_real_page_the_tokens_give_the_table(rules: str) -> None:
    for text in page_texts():
        if rules == "unicode" or len(text) < 20_000:  # NLTK is slow
            every_place(kept(text, words=rules))


# Each word looks through all tokens of its page: the large pages take most of a minute.
@pytest.mark.slow
@pytest.mark.parametrize("size", [range(701), pytest.param(range(701, 1_000_000), marks=pytest.mark.long)])
def test_on_every_real_page_each_word_has_as_many_contexts_as_its_count(size: range) -> None:
    for text in page_texts():
        given = kept(text)
        if len(given.table) in size:
            places(given, words.folded(given.table, given.language), fold_case=True)
            places(given, given.table, fold_case=False)


@pytest.mark.long
def test_in_every_sentence_of_the_treebanks_each_word_has_as_many_contexts_as_its_count() -> None:
    file = SHARED / "words" / "sentences.jsonl.gz"
    require(file.is_file(), "../shared/words")
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    for language, group in groupby(rows, key=lambda row: row["language"]):
        sentences = [row["text"] for row in group]
        for sentence in sentences:
            given = kept(sentence, language, language=language)
            every_place(given)
            places(given, words.folded(given.table, given.language), fold_case=True)
        every_place(kept("\n".join(sentences), language, language=language))


@pytest.mark.slow
def test_on_every_real_page_phrases_are_those_of_a_plain_count() -> None:
    for text in page_texts():
        given = kept(text)
        folded = [words.fold(given.table.words[row], given.language) for row in given.tokens.rows]
        ends = sorted({*given.tokens.sentence_ends, *given.tokens.block_ends})
        for n in (2, 3, 5):
            plain: Counter[tuple[str, ...]] = Counter()
            for start, end in zip([0, *ends[:-1]], ends, strict=True):
                plain.update(tuple(folded[at : at + n]) for at in range(start, end - n + 1))
            found = phrases.phrases(given, n, stop_words="include")
            shown = {
                tuple(words.fold(word, given.language) for word in row.phrase): row.count
                for row in found.show(0, len(found))
            }
            assert shown == {phrase: count for phrase, count in plain.items() if count > 1}


_CPU = """
import sys, time
from chalicelib.analysis import contexts, evidence, keywords, phrases, words
from tests.evidence import counted, zipfian
given = counted(zipfian({size}))
stored = {{name: artifact.pack(given) for name, artifact in evidence.ARTIFACTS.items()}}
other = words.pack(counted(zipfian({size}, 2)).table)
del given
spent = {{}}
def timed(name, what):
    began = time.process_time()
    what()
    spent[name] = time.process_time() - began
def listed(sort):
    given = evidence.read(stored, "en")
    found = contexts.ordered(given, contexts.find_word(given, given.table.words[0]), sort)
    list(contexts.show(given, found[:50]))
def repeated(n):
    found = phrases.phrases(evidence.read(stored, "en"), n)
    found.show(0, 50)
def compared():
    found = keywords.keywords(*(words.folded(words.unpack(pieces)) for pieces in (stored["words"], other)))
    found.show(0, 50)
timed("contexts", lambda: listed("left"))
for n in (2, 5):
    timed(f"phrases of {{n}}", lambda: repeated(n))
timed("keywords", compared)
import json, re
# not ru_maxrss, which a child inherits from the parent that started it
print(json.dumps([spent, int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024]))
"""


@pytest.mark.long  # beside other tests the same work costs half as much again
@pytest.mark.parametrize(("size", "seconds"), [(1_000_000, 0.3), (5_000_000, 1.5)])
def test_a_large_text_is_answered_in_time_and_in_little_memory(size: int, seconds: float) -> None:
    """Three tries, since what else this machine does slows the processor down."""
    program = _CPU.format(size=size)
    for _ in range(3):
        made = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, timeout=120)
        spent, megabytes = json.loads(made.stdout)
        if max(spent.values()) < seconds:
            break
    assert max(spent.values()) < seconds, spent
    assert megabytes < 400, "what made the text is in it too"


@pytest.mark.beside
@pytest.mark.parametrize("kind", ["one word", "one pair", "all different", "one sentence", "a sentence a word"])
def test_no_text_costs_more_than_its_length(kind: str) -> None:
    """From a fifth to all of 150,000 words: twice as much as five times the time would be more than linear."""
    texts = {
        "one word": lambda n: "a " * n,
        "one pair": lambda n: "a b " * (n // 2),
        "all different": lambda n: " ".join("".join(chr(97 + int(d)) for d in str(at)) for at in range(n)),
        "one sentence": lambda n: zipfian(n * 5).replace(".", "").replace("\n", " "),
        "a sentence a word": lambda n: "a. " * n,
    }

    def cost(size: int) -> float:
        from tests.evidence import counted

        given = counted(texts[kind](size))
        began = time.process_time()
        for n in (2, 5):
            phrases.phrases(given, n).show(0, 50)
        found = contexts.find_word(given, given.table.words[0])
        list(contexts.show(given, contexts.ordered(given, found, "right")[:50], unit="sentence"))
        contexts.find_phrase(given, "a " * 90)
        return time.process_time() - began

    tries = [(cost(30_000), cost(150_000)) for _ in range(2)]
    assert min(large / max(small, 0.01) for small, large in tries) < 12, tries
