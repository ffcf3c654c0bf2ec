"""Contexts of corpora over their files, without servers: every word is found, and little is read for what is shown."""

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib import counting
from chalicelib.analysis import contexts, evidence, words
from chalicelib.analysis.corpus_table import CorpusTable
from chalicelib.analysis.evidence import Evidence
from chalicelib.corpus import answers, parts, readings
from chalicelib.corpus.engine import Engine, opened
from tests.corpus_files import merged, part, whole, written
from tests.evidence import counted

Ask = Callable[..., dict[str, Any]]
ASKED = {"fold_case": True, "limit": 1000, "offset": 0, "sort": "place", "window": 3, "unit": "words"}
TEXTS = [
    ("tr", "Işık ışık IŞIK Işık. İstanbul I i ı"),
    ("en", "Işık don’t l’homme. I am the Işık. ISTANBUL"),
    ("fr", "l’homme don’t. L’homme est là"),
    ("zh", "我在北京大学学习。北京大学很大。"),
    ("ja", "東京大学で学ぶ"),
    ("de", "Straße STRASSE"),
]


def segmented(text: str, language: str) -> Evidence:
    found = counting.segment(text, language)
    table = words.table(found.counts(), counting.stop_words(language), language)
    return evidence.gathered(found, table, language)


def document(number: int, kept: Evidence) -> parts.Document:
    return parts.Document(doc=number, id=f"{number:032}", key=str(number), evidence=kept)


def engine_of(folder: Path, documents: list[parts.Document]) -> Iterator[tuple[Engine, CorpusTable]]:
    files = written(folder, [documents])
    table = merged(files, len(documents))
    with opened({kind: files[kind] for kind in ("words", "documents")}) as engine:
        yield engine, table


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, CorpusTable]]:
    documents = [document(at, segmented(text, language)) for at, (language, text) in enumerate(TEXTS)]
    yield from engine_of(tmp_path_factory.mktemp("corpus"), documents)


@pytest.fixture
def ask(corpus: tuple[Engine, CorpusTable]) -> Ask:
    engine, table = corpus

    def ask(phrase: str, **more: Any) -> dict[str, Any]:
        return answers._contexts(engine, lambda: table, len(TEXTS), {**ASKED, **more, "phrase": phrase})

    return ask


def test_every_word_of_the_table_is_found_as_often_as_it_says(corpus: tuple[Engine, CorpusTable], ask: Ask) -> None:
    _, table = corpus
    folds, spellings = (whole(table, fold_case=fold_case) for fold_case in (True, False))
    assert len(set(folds.shown)) == len(folds.shown)
    for sort in ("place", "left", "right"):
        found = {word: ask(word, sort=sort) for word in folds.shown}
        assert {word: one["total"] for word, one in found.items()} == dict(zip(folds.shown, folds.counts, strict=True))
        assert all(len(one["contexts"]) == one["total"] for one in found.values())
    spelled = {word: ask(word, fold_case=False)["total"] for word in spellings.words}
    assert spelled == dict(zip(spellings.words, spellings.counts, strict=True))


@pytest.mark.parametrize(
    ("phrase", "found"),
    [
        ("Işık", ["Işık", "ışık", "IŞIK", "Işık"]),
        ("don’t", ["don’t", "don’t"]),
        ("l’homme est", ["L’homme est"]),
        ("北京大学", ["北京大学", "北京大学"]),
        ("大学学习", ["大学学习"]),
        ("北京大学 学习", []),
        ("在北京", []),  # 我在 is a word
        ("東京大学", ["東京大学"]),
        ("I am", ["I am"]),
        ("STRASSE", ["Straße", "STRASSE"]),
        ("don't l'homme", ["don’t l’homme"]),
        ("nowhere", []),
        (" ", []),
    ],
)
def test_a_phrase_is_found_as_people_write_it(ask: Ask, phrase: str, found: list[str]) -> None:
    for sort in ("place", "left", "right"):
        shown = ask(phrase, sort=sort)
        assert sorted(row["match"] for row in shown["contexts"]) == sorted(found)
        assert shown["total"] == len(found)


def test_the_words_that_a_phrase_can_be_made_of() -> None:
    known = {"a", "ab", "b", "bc", "c", "x"}
    assert readings.tiles("abc", known) == ["a", "ab", "b", "bc", "c"]
    assert readings.tiles("ab x", known) == ["a", "ab", "b", "x"]
    assert readings.tiles("abd", known) == []
    assert readings.tiles("a" * 200, known) == ["a"]
    assert readings.tiles("", known) == []


@pytest.mark.parametrize("unit", ["words", "sentence", "characters"])
def test_what_stands_around_is_as_in_a_job(tmp_path: Path, unit: contexts.Unit) -> None:
    draw = random.Random(3)
    every = ["tree", "the", "old", "Straße", "a" * 1500, "b" * 2500, "zu\u0308g", "北"]
    signs = [" ", " ", " ", " ", " (", ") ", ". ", "\n", " – ", " " * 3000]
    texts = ["".join(draw.choice(every) + draw.choice(signs) for _ in range(size)) for size in (1, 30, 400, 400)]
    kept = [segmented(text, "en") for text in texts]
    for engine, table in engine_of(tmp_path, [document(at, one) for at, one in enumerate(kept)]):
        for window in (1, 8, 1000):
            asked = {**ASKED, "phrase": "tree", "unit": unit, "window": window}
            shown = answers._contexts(engine, lambda table=table: table, len(kept), asked)["contexts"]
            expected = [
                {name: getattr(one, name) for name in one.__struct_fields__}
                for each in kept
                for one in contexts.show(each, contexts.find_word(each, "tree"), window=window, unit=unit)
            ]
            assert [{name: row[name] for name in row if name != "document"} for row in shown] == expected


PROGRAM = """
import re, sys
from pathlib import Path
from chalicelib.corpus import answers
from chalicelib.corpus.engine import opened
folder, asked = Path(sys.argv[1]), eval(sys.argv[2])
files = {kind: sorted(folder.glob(f"*.{kind}")) for kind in ("words", "documents")}
with opened(files) as engine:
    found = answers._contexts(engine, lambda: 1 / 0, 50, asked)
# not ru_maxrss, which a child inherits from the parent that started it
most = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
print(len(found["contexts"]), int(most) * 1024)
"""


@pytest.mark.long
def test_contexts_in_long_documents_take_little_memory(tmp_path: Path) -> None:
    """Fifty documents of 100,000 words, of which all were read once: 2.5 GB."""
    draw = random.Random(1)
    for at in range(50):
        some = draw.choices([f"word{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(600)], k=100_000)
        some[::10_000] = ["seldom"] * 10
        for kind, made in part([document(at, counted(" ".join(some)))]).items():
            (tmp_path / f"{at}.{kind}").write_bytes(made)
    asked = {**ASKED, "phrase": "seldom", "limit": 500, "window": 1000}
    for sort in ("place", "left"):
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), str({**asked, "sort": sort})]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        shown, most = map(int, ran.stdout.split())
        assert shown == 500
        assert most < 512_000_000


def test_what_a_killed_question_left_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old, new, other = (tmp_path / name for name in ("wordcounts-query-1", "wordcounts-query-2", "corpus-data"))
    for folder in (old, new, other):
        folder.mkdir()
        (folder / "file").touch()
    for folder in (old, other):
        os.utime(folder, (0, 0))
    with opened({}):
        assert len(list(tmp_path.glob("wordcounts-query-*"))) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus-data", "wordcounts-query-2"]
