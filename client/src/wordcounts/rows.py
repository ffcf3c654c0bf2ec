"""Rows that are fetched when they are looked at: a sequence that follows the answers' ``next``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from .models import Model

if TYPE_CHECKING:
    import pandas
    import pyarrow

Row = TypeVar("Row", bound=Model)
Read = Callable[[str, Mapping[str, Any] | None], dict[str, Any]]


class Rows(Sequence[Row], Generic[Row]):
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
        self._read, self._kind, self._limit = read, kind, limit
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
        self._rows += map(self._kind.from_dict, rows)
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

    def to_dicts(self) -> list[dict[str, Any]]:
        """All rows as dictionaries."""
        return [row.to_dict() for row in self]

    def to_pandas(self) -> pandas.DataFrame:
        """All rows as a data frame; needs pandas."""
        from .tabular import to_pandas

        return to_pandas(self._kind, self.to_dicts())

    def to_arrow(self) -> pyarrow.Table:
        """All rows as an Arrow table; needs pyarrow."""
        from .tabular import to_arrow

        return to_arrow(self._kind, self.to_dicts())

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self._rows[:3]))
        return f"<{self._name}: {shown}{', …' if self._next or len(self._rows) > 3 else ''}>"

    def _repr_html_(self) -> str:
        from .html import rows_html

        return rows_html(self)
