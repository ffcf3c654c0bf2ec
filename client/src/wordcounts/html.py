"""What notebooks show."""

from __future__ import annotations

from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

from .models import columns

if TYPE_CHECKING:
    from .models import Job, Model
    from .rows import Rows

SHOWN = 20  # rows of a table


def rows_html(rows: Rows[Any]) -> str:
    """The first rows as a table, and how many more there are."""
    shown: list[Model] = list(islice(rows, SHOWN))
    return table_html(shown, len(rows)) if shown else "<p>No rows.</p>"


def table_html(shown: list[Model], total: int) -> str:
    """Some rows of so many as a table."""
    names = columns(type(shown[0]))
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(getattr(row, name))}</td>" for name in names) + "</tr>" for row in shown
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


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return escape(" ".join(value) if isinstance(value, tuple) else "" if value is None else str(value))
