"""DuckDB, Spark and plain Python give the same answers from the same files: `make scale`, in Spark's local mode."""

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chalicelib.corpus import parts, queries
from chalicelib.corpus.engine import opened
from tests.conftest import ROOT, require
from tests.corpus_files import grams, near, plain, tokens_of, written
from tests.evidence import counted, zipfian

PYTHON = ROOT / ".venv-spark" / "bin" / "python"
PROGRAM = ROOT / "chalicelib" / "corpus" / "spark.py"
LOCAL = {
    "spark.master": "local[2]",
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
    "spark.driver.memory": "1g",
}


def in_spark(folder: Path, files: dict[str, list[Path]], removed: list[int], asked: list[dict[str, Any]]) -> list[Any]:
    """The rows of each query, by the program that EMR Serverless would run."""
    request = {
        "files": {kind: list(map(str, paths)) for kind, paths in files.items()},
        "removed": removed,
        "queries": asked,
        "output": str(folder / "answers"),
        "settings": LOCAL,
    }
    (folder / "request.json").write_text(json.dumps(request))
    environment = {**os.environ, "PYSPARK_PYTHON": str(PYTHON), "SPARK_LOCAL_IP": "127.0.0.1"}
    ran = subprocess.run(
        [PYTHON, PROGRAM, folder / "request.json"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3_000:]
    [answers] = (folder / "answers").glob("part-*")
    return [json.loads(line) for line in answers.read_text().splitlines()]


def questions(word: str, pair: tuple[str, ...], docs: list[int]) -> list[dict[str, Any]]:
    """Every query of corpus/queries.py, with its values."""
    one, two = {"word0": word}, {"word0": pair[0], "word1": pair[1]}
    page = {"limit": 1_000_000, "offset": 0}
    blocks = [doc * queries.BLOCK_OF + number for doc in docs for number in range(3)]
    return [
        {"sql": queries.SPELLINGS},
        {"sql": queries.FOLDS},
        {"sql": queries.MERGED_SPELLINGS},
        {"sql": queries.MERGED_FOLDS},
        {"sql": queries.TOTALS},
        {"sql": queries.total(1, column="fold"), "values": one},
        {"sql": queries.total(2, column="fold"), "values": two},
        {"sql": queries.contexts(1, column="word"), "values": {**one, **page}},
        {"sql": queries.contexts(2, column="fold"), "values": {**two, **page}},
        {"sql": queries.sorted_contexts(1, column="fold", side="left"), "values": {**one, **page}},
        {"sql": queries.sorted_contexts(2, column="fold", side="right"), "values": {**two, **page}},
        {"sql": queries.collocates(4), "values": {**one, "min_count": 2}},
        {"sql": queries.phrases(2), "values": {"min_count": 2, "most": 1_000_000}},
        {"sql": queries.phrases(3), "values": {"min_count": 2, "most": 1_000_000}},
        {"sql": queries.TOKENS, "values": {"docs": docs, "blocks": blocks}},
        {"sql": queries.TEXTS, "values": {"blocks": blocks}},
        {"sql": queries.DOCUMENTS, "values": {"docs": docs}},
        {"sql": queries.sorted_contexts(1, column="fold", side="left", everywhere=True), "values": {**one, **page}},
        {"sql": queries.collocates(4, everywhere=True), "values": {**one, "min_count": 2}},
    ]


def comparable(rows: list[Any]) -> list[list[Any]]:
    """Rows as JSON has them, in an order of their own, positions too: a struct is a list or a mapping."""

    def flat(value: Any) -> Any:
        if isinstance(value, dict):
            return [flat(one) for one in value.values()]
        if isinstance(value, list | tuple):
            return [flat(one) for one in value]
        return value

    return sorted(
        (flat(row) for row in rows), key=lambda row: [str(value) for value in row if type(value) is not float]
    )


def assert_same(found: list[Any], expected: list[Any]) -> None:
    found, expected = comparable(found), comparable(expected)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == [pytest.approx(value, rel=1e-9) if type(value) is float else value for value in other]


def test_duckdb_spark_and_python_say_the_same(tmp_path: Path) -> None:
    require(shutil.which("java"), "Java 17 or newer, which Spark needs")
    require(PYTHON.exists(), "Spark's environment: make scale")
    draw = random.Random(7)
    texts = [zipfian(draw.randint(200, 4_000), seed, vocabulary=300) for seed in range(60)]
    texts += ["Straße STRASSE strasse. İstanbul istanbul\nı I i", ""]
    documents = [
        parts.Document(doc=at * 7, id=f"{at:032}", key=f"k{at}", evidence=counted(text), metadata={"year": str(at)})
        for at, text in enumerate(texts)
    ]
    removed = [document.doc for document in documents[::5]]
    kept = [tokens_of(one.evidence) for one in documents if one.doc not in removed]
    files = written(tmp_path, [documents[:25], documents[25:40], documents[40:]], removed)
    pairs = grams(kept, 2)
    [(pair, _)] = pairs.most_common(1)
    word = pair[0]
    asked = questions(word, pair, [one.doc for one in documents[1:4]])
    with opened(files, parts.SCHEMAS, removed) as engine:
        here = [engine.rows(one["sql"], **one.get("values", {})) for one in asked]
    for one, spark, duck in zip(asked, in_spark(tmp_path, files, removed, asked), here, strict=True):
        assert duck, one["sql"]
        assert_same(spark, json.loads(json.dumps(duck)))

    expected = plain(kept)
    assert {row[0]: row[1:3] for row in here[1]} == {fold: row[:2] for fold, row in expected.items()}
    assert here[4] == [(len(kept), sum(map(len, kept)))]
    assert here[5] == [expected[word][:2]]
    assert len(here[8]) == here[6][0][0] == pairs[pair]
    assert {row[0]: row[1] for row in here[11]} == {
        fold: count for fold, count in near(kept, word, 4).items() if count >= 2
    }
    for n, rows in ((2, here[12]), (3, here[13])):
        assert {row[:n]: row[n] for row in rows} == {
            phrase: count for phrase, count in grams(kept, n).items() if count >= 2
        }
