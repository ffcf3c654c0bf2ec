"""The queries of a corpus in Spark, for corpora that one worker does not hold: the same SQL on the same files.

Run by ``spark-submit`` (EMR Serverless, or local mode in ``make scale``) with the name of a request, a file of JSON. It
writes one file, a JSON list of the rows of each query. Summaries and their merging are queries too. It imports nothing
but pyspark, and runs on Python 3.9, which EMR has.

    {"files": {"words": [file, …], "documents": [file, …], "spellings": […], "folds": […]}, "removed": [doc, …],
     "queries": [{"sql": "…", "values": {…}}, …], "output": file}
"""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any


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


def write(spark: Any, name: str, text: str) -> None:
    """Write one file: a bucket has it whole or not, without the folders and renames of Spark's own writers."""
    path = spark.sparkContext._jvm.org.apache.hadoop.fs.Path(name)
    out = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()).create(path, True)
    out.write(bytearray(text.encode()))
    out.close()


def main(request: str) -> None:
    """Answer one request."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.appName("wordcounts").getOrCreate()
    [(text,)] = spark.read.text(request, wholetext=True).collect()
    asked = json.loads(text)
    views(spark, {kind: files for kind, files in asked["files"].items() if files}, asked.get("removed", ()))
    found = [rows(spark, query["sql"], **query.get("values", {})) for query in asked["queries"]]
    write(spark, asked["output"], json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
