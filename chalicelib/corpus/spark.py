"""The queries of a corpus in Spark, for corpora that one machine does not hold: the same SQL on the same files.

Run by ``spark-submit`` (EMR Serverless, or local mode in ``make scale``): it reads a request, one JSON object or the
name of a file with one, and writes the rows of each query as a line of JSON. Summaries and their merging are queries
too, so this is what compacts. It imports nothing but pyspark.

    {"files": {"words": [file, …], "documents": [file, …], "spellings": […], "folds": […]}, "removed": [doc, …],
     "queries": [{"sql": "…", "values": {…}}, …], "output": folder, "settings": {"spark.…": "…"}}
"""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def session(options: Mapping[str, str]) -> Any:
    """A Spark session with these settings."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("wordcounts")
    for name, value in options.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def views(spark: Any, files: Mapping[str, Iterable[str]], removed: Iterable[int] = ()) -> None:
    """Make the views that the queries name, without the documents that do not count."""
    gone = list(removed)
    for name, paths in files.items():
        frame = spark.read.parquet(*paths)
        if gone and "doc" in frame.columns:
            frame = frame.join(spark.createDataFrame([(doc,) for doc in gone], "doc int"), "doc", "left_anti")
        frame.createOrReplaceTempView(name)


def rows(spark: Any, sql: str, **values: Any) -> list[tuple[Any, ...]]:
    """The rows of a query; only the values that its text names are bound."""
    bound = {name: value for name, value in values.items() if f"${name}" in sql}
    text = sql.replace("{explode}", "explode")
    for name in sorted(bound, key=len, reverse=True):
        text = text.replace(f"${name}", f":{name}")
    return [tuple(row) for row in spark.sql(text, args=bound).collect()]


def main(request: str) -> None:
    """Answer one request."""
    asked = json.loads(request if request.startswith("{") else Path(request).read_text(encoding="utf-8"))
    spark = session(asked.get("settings", {}))
    views(spark, {kind: files for kind, files in asked["files"].items() if files}, asked.get("removed", ()))
    lines = [
        (number, json.dumps(rows(spark, query["sql"], **query.get("values", {}))))
        for number, query in enumerate(asked["queries"])
    ]
    answers = spark.createDataFrame(lines, "number int, value string").coalesce(1).sortWithinPartitions("number")
    answers.select("value").write.mode("overwrite").text(asked["output"])


if __name__ == "__main__":
    main(sys.argv[1])
