"""Rows as data frames, where pandas or pyarrow is installed."""

from __future__ import annotations

import importlib
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
