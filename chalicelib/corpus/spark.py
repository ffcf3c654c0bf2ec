"""The queries of a corpus in Spark, for corpora that one machine does not hold: the same SQL on the same files.

Run by ``spark-submit`` (EMR Serverless, or local mode in ``make scale``): it reads a request, one JSON object, and
writes the rows of its query as one JSON file. It imports nothing but pyspark and ``corpus/queries.py``.

    {"words": [file, …], "documents": [file, …], "spellings": […], "folds": […], "removed": [doc, …],
     "sql": "…", "values": {…}, "output": file}
"""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any


def session(**options: str) -> Any:
    """A Spark session; ``options`` are its settings, with ``_`` for ``.``."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("wordcounts")
    for name, value in options.items():
        builder = builder.config(name.replace("_", "."), value)
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
    asked = json.loads(request)
    spark = session()
    kinds = ("words", "documents", "spellings", "folds")
    views(spark, {kind: asked[kind] for kind in kinds if asked.get(kind)}, asked.get("removed", ()))
    found = rows(spark, asked["sql"], **asked.get("values", {}))
    spark.createDataFrame([(json.dumps(found, default=dict),)], "value string").coalesce(1).write.mode(
        "overwrite"
    ).text(asked["output"])


if __name__ == "__main__":
    main(sys.argv[1])
