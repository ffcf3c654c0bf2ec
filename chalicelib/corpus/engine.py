"""DuckDB over the files of a corpus, in process: bounded in memory and threads, without network and extensions."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

MEMORY = "256MB"  # of DuckDB; with what Python holds a query stays under 512 MB
THREADS = 2


class Engine:
    """Answers the queries of ``corpus/queries.py``."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def rows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query; only the values that its text names are bound."""
        return self._run(sql, values).fetchall()

    def table(self, sql: str, **values: Any) -> pa.Table:
        """The same as an Arrow table."""
        return self._run(sql, values).to_arrow_table()

    def _run(self, sql: str, values: Mapping[str, Any]) -> duckdb.DuckDBPyRelation:
        bound = {name: value for name, value in values.items() if f"${name}" in sql}
        return self._connection.sql(sql.replace("{explode}", "unnest"), params=bound or None)


@contextlib.contextmanager
def opened(
    views: Mapping[str, Sequence[Path]],
    schemas: Mapping[str, pa.Schema],
    removed: Sequence[int] = (),
    *,
    threads: int = THREADS,
) -> Iterator[Engine]:
    """An engine over the named files and no others; ``removed`` are numbers of documents that do not count."""
    with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
        connection = duckdb.connect(
            config={
                "threads": threads,
                "memory_limit": MEMORY,
                "temp_directory": folder,
                "max_temp_directory_size": "8GB",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "preserve_insertion_order": "false",
            }
        )
        try:
            connection.execute("create table removed (doc integer)")
            if removed:
                connection.execute("insert into removed select unnest($docs)", {"docs": list(removed)})
            for name, files in views.items():
                _view(connection, name, files, schemas[name], filtered=bool(removed))
            named = [str(file) for some in views.values() for file in some]
            connection.execute("set allowed_paths = $files", {"files": named})
            connection.execute("set allowed_directories = $folders", {"folders": [folder]})
            connection.execute("set enable_external_access = false")
            connection.execute("set lock_configuration = true")
            yield Engine(connection)
        finally:
            connection.close()


def _view(
    connection: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path], schema: pa.Schema, *, filtered: bool
) -> None:
    if not files:
        connection.register(name, schema.empty_table())
        return
    connection.read_parquet(list(map(str, files))).create_view(f"every_{name}")
    live = " where doc not in (select doc from removed)" if filtered and "doc" in schema.names else ""
    connection.execute(f"create view {name} as select * from every_{name}{live}")  # noqa: S608 - names of ours
