"""DuckDB over the files of a corpus, in process: bounded in memory and threads, without network and extensions."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from chalicelib.corpus.parts import SCHEMAS

MEMORY = "256MB"  # of DuckDB; with what Python holds a query stays under 512 MB
THREADS = 2
FOLDER = "wordcounts-query-"  # what the names of folders for what does not fit into memory begin with
LEFT_SECONDS = 3_600  # no question takes so long
FETCHED = 4_096  # rows that are held at once where all are gone through
ROW_GROUP = 51_200  # rows that a reader of one word takes or skips together; DuckDB wants a multiple of 2,048


class Engine:
    """Answers the queries of ``corpus/queries.py``."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._connection, self._folder = connection, folder

    def rows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query; only the values that its text names are bound."""
        bound = {name: value for name, value in values.items() if f"${name}" in sql}
        return self._connection.sql(sql.replace("{explode}", "unnest"), params=bound or None).fetchall()

    def each(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """The same one by one, never all of them at once; no other query may run meanwhile."""
        found = self._connection.execute(sql)
        while rows := found.fetchmany(FETCHED):
            yield from rows

    def parquet(self, kind: str, sql: str) -> bytes:
        """The rows of a query as a Parquet file of a kind."""
        columns = ", ".join(f'cast("{name}" as {type_}) as "{name}"' for name, type_ in SCHEMAS[kind].items())
        path = self._folder / "made.parquet"
        self._connection.execute(
            f"copy (select {columns} from ({sql})) to '{path}' "  # noqa: S608 - texts of ours
            f"(format parquet, compression zstd, row_group_size {ROW_GROUP})"
        )
        data = path.read_bytes()
        path.unlink()
        return data


@contextlib.contextmanager
def holding(tables: Mapping[str, Any]) -> Iterator[Engine]:
    """An engine over tables in memory; each streams its arrays by Arrow's C interface, once for a query."""
    with _connected(THREADS) as (connection, folder):
        for name, arrays in tables.items():
            connection.register(name, arrays)
        yield Engine(connection, folder)


@contextlib.contextmanager
def opened(
    views: Mapping[str, Sequence[Path]],
    removed: Sequence[int] = (),
    *,
    threads: int = THREADS,
) -> Iterator[Engine]:
    """An engine over the named files and no others; ``removed`` are numbers of documents that do not count."""
    with _connected(threads) as (connection, folder):
        connection.execute("create table removed (doc integer)")
        if removed:
            connection.execute("insert into removed select unnest($docs)", {"docs": list(removed)})
        for name, files in views.items():
            _view(connection, name, files, filtered=bool(removed))
        named = [str(file) for some in views.values() for file in some]
        connection.execute("set allowed_paths = $files", {"files": named})
        connection.execute("set allowed_directories = $folders", {"folders": [str(folder)]})
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        yield Engine(connection, folder)


def _drop_left() -> None:
    """Delete the folders of processes that were killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        with contextlib.suppress(OSError):  # another process does the same
            if left.stat().st_mtime < time.time() - LEFT_SECONDS:
                shutil.rmtree(left)


@contextlib.contextmanager
def _connected(threads: int) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """An empty database in memory, and the folder that takes what does not fit there."""
    _drop_left()
    with tempfile.TemporaryDirectory(prefix=FOLDER) as folder:
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
            connection.execute("set enable_progress_bar = false")  # it would be drawn into the worker's log
            yield connection, Path(folder)
        finally:
            connection.close()


def _view(connection: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path], *, filtered: bool) -> None:
    if not files:
        columns = ", ".join(f'"{column}" {type_}' for column, type_ in SCHEMAS[name].items())
        connection.execute(f"create table {name} ({columns})")
        return
    connection.read_parquet(list(map(str, files))).create_view(f"every_{name}")
    live = " where doc not in (select doc from removed)" if filtered and "doc" in SCHEMAS[name] else ""
    connection.execute(f"create view {name} as select * from every_{name}{live}")  # noqa: S608 - names of ours
