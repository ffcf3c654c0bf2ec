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
    # To compile each query and to plan it anew between its stages takes longer than to read so few rows.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}
JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # a program of a minute gains nothing by Java's second compiler
CPU_SECONDS = 600  # of Spark: a limit that does not measure how busy the machine is
HANGS_SECONDS = 7_200


def in_spark(folder: Path, files: dict[str, list[Path]], removed: list[int], asked: list[dict[str, Any]]) -> list[Any]:
    """The rows of each query, by the program that EMR Serverless would run, in one session."""
    request = {
        "files": {kind: list(map(str, paths)) for kind, paths in files.items()},
        "removed": removed,
        "queries": asked,
        "output": str(folder / "answer.json"),
    }
    (folder / "request.json").write_text(json.dumps(request))
    local = " ".join(f"--conf {name}={value}" for name, value in LOCAL.items())
    environment = {**os.environ, "PYSPARK_PYTHON": str(PYTHON), "SPARK_LOCAL_IP": "127.0.0.1", "JDK_JAVA_OPTIONS": JAVA}
    environment["PYSPARK_SUBMIT_ARGS"] = f"{local} pyspark-shell"
    ran = subprocess.run(
        ["/bin/sh", "-c", f'ulimit -t {CPU_SECONDS}; exec "$@"', "sh", PYTHON, PROGRAM, folder / "request.json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANGS_SECONDS,
        check=False,
    )
    if ran.returncode:
        pytest.fail(f"Spark ended with {ran.returncode}:\n{why(ran.stderr)}", pytrace=False)
    found: list[Any] = json.loads((folder / "answer.json").read_text())
    return found


def why(log: str) -> str:
    """What a log of Spark says of a failure, without Java's calls: each error once, and the last lines."""
    lines = [line for line in log.splitlines() if line.strip() and not line.lstrip().startswith(("at ", "... "))]
    errors = dict.fromkeys(line for line in lines if "Error" in line or "Exception" in line)
    return "\n".join([*list(errors)[:10], "…", *lines[-15:]])


def questions(word: str, pair: tuple[str, ...], docs: list[int]) -> dict[str, dict[str, Any]]:
    """Every query of corpus/queries.py, with its values."""
    one, two = {"word0": word}, {"word0": pair[0], "word1": pair[1]}
    page = {"limit": 1_000_000, "offset": 0}
    blocks = [doc * queries.BLOCK_OF + number for doc in docs for number in range(3)]
    found = {
        "spellings": (queries.SPELLINGS, {}),
        "folds": (queries.FOLDS, {}),
        "merged spellings": (queries.MERGED_SPELLINGS, {}),
        "merged folds": (queries.MERGED_FOLDS, {}),
        "the table's spellings": (queries.TABLE_SPELLINGS, {}),
        "the table's folds": (queries.TABLE_FOLDS, {}),
        "totals": (queries.TOTALS, {}),
        "a word's total": (queries.total(queries.occurrences(1, column="fold")), one),
        "a pair's total": (queries.total(queries.occurrences(2, column="fold")), two),
        "a word's contexts": (queries.contexts(queries.occurrences(1, column="word")), {**one, **page}),
        "a pair's contexts": (queries.contexts(queries.occurrences(2, column="fold")), {**two, **page}),
        "phrases of two": (queries.phrases(2), {"min_count": 2, "most": 1_000_000}),
        "phrases of three": (queries.phrases(3), {"min_count": 2, "most": 1_000_000}),
        "tokens": (queries.TOKENS, {"docs": docs, "blocks": blocks}),
        "texts": (queries.TEXTS, {"blocks": blocks}),
        "documents": (queries.DOCUMENTS, {"docs": docs}),
    }
    for where, everywhere in (("everywhere", True), ("in some", False)):
        left = queries.sorted_contexts(queries.occurrences(1, column="fold"), side="left", everywhere=everywhere)
        right = queries.sorted_contexts(queries.occurrences(2, column="fold"), side="right", everywhere=everywhere)
        found[f"a word's contexts by the left, {where}"] = left, {**one, **page}
        found[f"a pair's contexts by the right, {where}"] = right, {**two, **page}
        found[f"collocates, {where}"] = queries.collocates(4, everywhere=everywhere), {**one, "min_count": 2}
    return {name: {"sql": sql, "values": values} for name, (sql, values) in found.items()}


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


def assert_same(name: str, found: list[Any], expected: list[Any]) -> None:
    found, expected = comparable(found), comparable(expected)
    assert len(found) == len(expected), f"{name}: Spark has {len(found)} rows, DuckDB {len(expected)}"
    for one, other in zip(found, expected, strict=True):
        near = [pytest.approx(value, rel=1e-9) if type(value) is float else value for value in other]
        assert one == near, f"{name}: a row of Spark and one of DuckDB"


def test_duckdb_spark_and_python_say_the_same(tmp_path: Path) -> None:
    require(shutil.which("java"), "Java 17 or newer, which Spark needs")
    require(PYTHON.exists(), "Spark's environment: make scale")
    draw = random.Random(7)
    texts = [zipfian(draw.randint(200, 4_000), seed, vocabulary=300) for seed in range(30)]
    texts += ["Straße STRASSE strasse. İstanbul istanbul\nı I i", ""]
    documents = [
        parts.Document(doc=at * 7, id=f"{at:032}", key=f"k{at}", evidence=counted(text), metadata={"year": str(at)})
        for at, text in enumerate(texts)
    ]
    removed = [document.doc for document in documents[::5]]
    kept = [tokens_of(one.evidence) for one in documents if one.doc not in removed]
    files = written(tmp_path, [documents[:12], documents[12:20], documents[20:]], removed)
    pairs = grams(kept, 2)
    [(pair, _)] = pairs.most_common(1)
    word = pair[0]
    asked = questions(word, pair, [one.doc for one in documents[1:4]])
    with opened(files, removed) as engine:
        here = {name: engine.rows(one["sql"], **one["values"]) for name, one in asked.items()}
    for name, spark in zip(asked, in_spark(tmp_path, files, removed, list(asked.values())), strict=True):
        assert here[name], name
        assert_same(name, spark, json.loads(json.dumps(here[name])))

    expected = plain(kept)
    assert {row[0]: row[1:3] for row in here["folds"]} == {fold: row[:2] for fold, row in expected.items()}
    assert here["totals"] == [(len(kept), sum(map(len, kept)))]
    assert here["a word's total"] == [expected[word][:2]]
    assert len(here["a pair's contexts"]) == here["a pair's total"][0][0] == pairs[pair]
    often = {fold: count for fold, count in near(kept, word, 4).items() if count >= 2}
    assert {row[0]: row[1] for row in here["collocates, in some"]} == often
    for n, name in ((2, "phrases of two"), (3, "phrases of three")):
        assert {row[:n]: row[n] for row in here[name]} == {
            phrase: count for phrase, count in grams(kept, n).items() if count >= 2
        }
