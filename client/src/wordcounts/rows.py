"""Rows that are fetched when they are looked at, and what rows can become: CSV, data frames, tables in notebooks."""

from __future__ import annotations

import csv
import importlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Generic, TypeVar, overload

from .errors import WordcountsError
from .models import Job, Model, columns

if TYPE_CHECKING:
    import pandas
    import pyarrow

Row = TypeVar("Row", bound=Model)
Read = Callable[[str, Mapping[str, Any] | None], dict[str, Any]]
SHOWN = 20  # rows of a notebook's table


class Tabular(Generic[Row]):
    """What has rows. Where these can be chosen, ``query`` says which, as that of ``Counts.words``."""

    kind: type[Row]

    def _chosen(self, **query: Any) -> Sequence[Row]:
        raise NotImplementedError

    def to_dicts(self, **query: Any) -> list[dict[str, Any]]:
        """The rows as dictionaries."""
        return [row.to_dict() for row in self._chosen(**query)]

    def to_csv(self, target: str | os.PathLike[str] | IO[str], **query: Any) -> None:
        """Write the rows as CSV."""
        if isinstance(target, str | os.PathLike):
            with open(target, "w", encoding="utf-8", newline="") as file:
                self.to_csv(file, **query)
            return
        found = self._chosen(**query)
        names = flat(found[0]) if found else columns(self.kind)
        target.writelines(csv_lines(names, (flat(row).values() for row in found)))

    def to_pandas(self, **query: Any) -> pandas.DataFrame:
        """A data frame of the rows, with its columns even where there are none; needs pandas."""
        found: pandas.DataFrame = _library("pandas").DataFrame(self.to_dicts(**query), columns=list(columns(self.kind)))
        return found

    def to_arrow(self, **query: Any) -> pyarrow.Table:
        """An Arrow table of the rows, with its columns even where there are none; needs pyarrow."""
        rows = self.to_dicts(**query)
        table: pyarrow.Table = _library("pyarrow").table(
            {name: [row[name] for row in rows] for name in columns(self.kind)}
        )
        return table

    def _repr_html_(self) -> str:
        found = self._chosen()
        return table_html(list(islice(found, SHOWN)), len(found)) if found else "<p>No rows.</p>"


class Rows(Tabular[Row], Sequence[Row]):
    """Rows of an answer. A page is fetched when its first row is asked for, and kept.

    ``total`` is how many the question matches, whatever ``limit`` says; ``head`` is what the first answer says besides.
    """

    def __init__(
        self,
        read: Read,
        target: str,
        kind: type[Row],
        query: Mapping[str, Any],
        *,
        limit: int | None = None,
        page: int = 1000,
    ) -> None:
        if limit is not None and limit < 0:
            raise ValueError(f"limit: a number of rows is expected, 0 or more, not {limit}")
        self._read, self.kind, self._limit = read, kind, limit
        self._name = target.rpartition("/")[2]
        self._rows: list[Row] = []
        self._next: str | None = target
        size = page if limit is None else max(1, min(limit, page))
        self._query: dict[str, Any] | None = {**query, "limit": size}
        self.head: dict[str, Any] = {}

    def _fetch(self) -> None:
        """One page more."""
        answer = self._read(self._next or "", self._query)
        rows = answer.pop(self._name)
        self._next, self._query = answer.pop("next"), None
        self._rows += map(self.kind.from_dict, rows)
        self.head = self.head or answer
        if self._limit is not None and len(self._rows) >= self._limit:
            del self._rows[self._limit :]
            self._next = None

    def _fill(self, wanted: int | None) -> None:
        """Fetch until there are so many rows, or all of them."""
        while self._next is not None and self._limit != 0 and (wanted is None or len(self._rows) < wanted):
            self._fetch()

    @property
    def total(self) -> int:
        """How many rows the question matches."""
        if not self.head and self._next is not None:
            self._fetch()
        # a corpus' phrases and collocates are counted only by reading them
        if self._next is not None and (self._name == "collocates" or "total" not in self.head):
            self._fill(None)
        if self._name == "collocates" or "total" not in self.head:
            return len(self._rows)
        return int(self.head["total"])

    def __len__(self) -> int:
        return 0 if self._limit == 0 else self.total if self._limit is None else min(self.total, self._limit)

    def __bool__(self) -> bool:
        self._fill(1)
        return bool(self._rows)

    def __iter__(self) -> Iterator[Row]:
        at = 0
        while True:
            self._fill(at + 1)
            if at >= len(self._rows):
                return
            yield self._rows[at]
            at += 1

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | list[Row]:
        if isinstance(at, slice):
            known = at.stop is not None and at.stop >= 0 and (at.start is None or at.start >= 0)
            self._fill(at.stop if known else None)
        else:
            self._fill(at + 1 if at >= 0 else None)
        return self._rows[at]

    def _chosen(self, **query: Any) -> Sequence[Row]:
        if query:
            raise TypeError(f"{', '.join(query)}: say it where the rows are asked for")
        return self

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self._rows[:3]))
        return f"<{self._name}: {shown}{', …' if self._next or len(self._rows) > 3 else ''}>"


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise WordcountsError(
            f"{name} is not installed.", type="missing-library", advice=f"pip install {name}"
        ) from None


# --- CSV ---

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")  # a spreadsheet runs a cell that begins so


def csv_lines(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """A header, if there is one, and lines, as RFC 4180 has them."""
    line = io.StringIO()
    writer = csv.writer(line)
    if names := list(names):
        writer.writerow(names)
        yield line.getvalue()
    for row in rows:
        line.seek(0)
        line.truncate()
        writer.writerow(map(_csv_cell, row))
        yield line.getvalue()


def flat(row: Model) -> dict[str, Any]:
    """A row's values by their columns; those of a model in it have columns of their own."""
    found: dict[str, Any] = {}
    for name in columns(type(row)):
        value = getattr(row, name)
        inner = flat(value) if isinstance(value, Model) else None
        found |= {name: value} if inner is None else {f"{name}_{key}": one for key, one in inner.items()}
    return found


def _csv_cell(value: Any) -> Any:
    """A value as the service writes it; a text that a spreadsheet would run as a formula gets an apostrophe."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.8f}".rstrip("0").rstrip(".")
    if isinstance(value, tuple):
        value = " ".join(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


# --- notebooks ---


def table_html(shown: list[Model], total: int) -> str:
    """Some rows of so many as a table."""
    names = columns(type(shown[0]))
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{_html_cell(getattr(row, name))}</td>" for name in names) + "</tr>" for row in shown
    )
    more = f"<p>{total - len(shown):,} more rows.</p>" if total > len(shown) else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def job_html(job: Job) -> str:
    """A job with its most frequent words."""
    title = (job.page and job.page.title) or job.url or job.kind
    if job.error:
        return f"<p><b>{escape(title)}</b>: {escape(job.error.detail or job.error.title)}</p>"
    counts = f"{job.totals.words:,} words, {job.totals.distinct:,} different" if job.totals else job.state
    return f"<p><b>{escape(title)}</b>: {counts}</p>{table_html(list(job.top), len(job.top)) if job.top else ''}"


def _html_cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return escape(" ".join(value) if isinstance(value, tuple) else "" if value is None else str(value))
