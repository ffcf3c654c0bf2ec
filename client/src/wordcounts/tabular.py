"""Rows as CSV, and as data frames where pandas or pyarrow is installed."""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .errors import WordcountsError
from .models import Model, columns

if TYPE_CHECKING:
    import pandas
    import pyarrow


def to_pandas(kind: type[Model], rows: list[dict[str, Any]]) -> pandas.DataFrame:
    """A data frame with the columns of the kind, even without rows."""
    found: pandas.DataFrame = _library("pandas").DataFrame(rows, columns=list(columns(kind)))
    return found


def to_arrow(kind: type[Model], rows: list[dict[str, Any]]) -> pyarrow.Table:
    """An Arrow table with the columns of the kind, even without rows."""
    table: pyarrow.Table = _library("pyarrow").table({name: [row[name] for row in rows] for name in columns(kind)})
    return table


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise WordcountsError(
            f"{name} is not installed.", type="missing-library", advice=f"pip install {name}"
        ) from None


# --- CSV ---

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")  # a spreadsheet runs a cell that begins so


def csv_lines(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A header, if there is one, and lines, as RFC 4180 has them."""
    line = io.StringIO()
    writer = csv.writer(line)
    if names:
        writer.writerow(names)
        yield line.getvalue()
    for row in rows:
        line.seek(0)
        line.truncate()
        writer.writerow(map(_cell, row))
        yield line.getvalue()


def flat(row: Model) -> list[Any]:
    """A row's values; those of a model in it become columns of their own."""
    values: list[Any] = []
    for name in columns(type(row)):
        value = getattr(row, name)
        values += flat(value) if isinstance(value, Model) else [value]
    return values


def flat_names(row: Model) -> list[str]:
    """The names of these columns."""
    names: list[str] = []
    for name in columns(type(row)):
        value = getattr(row, name)
        names += [f"{name}_{inner}" for inner in flat_names(value)] if isinstance(value, Model) else [name]
    return names


def _cell(value: Any) -> Any:
    """A value as the service writes it; a text that a spreadsheet would run as a formula gets an apostrophe."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.8f}".rstrip("0").rstrip(".")
    if isinstance(value, tuple):
        value = " ".join(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
