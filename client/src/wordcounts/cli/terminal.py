"""What a person sees: data on standard output, everything else on standard error, and a progress on a terminal only."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import click

from wordcounts.errors import WordcountsError
from wordcounts.rows import csv_lines

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

NARROW = 80  # columns, where nobody says how wide the terminal is
FOUND, NOTHING, USAGE, AWAY, REFUSED, INTERRUPTED = 0, 1, 2, 3, 4, 130


@dataclass
class Screen:
    """Where a command writes; ``code`` is what it will exit with."""

    color: bool = field(default_factory=lambda: "NO_COLOR" not in os.environ)
    code: int = FOUND

    # --- standard error ---

    def say(self, text: str, advice: str = "") -> None:
        """A line for people, and below it what to do."""
        name = click.style("wordcounts:", fg="red" if self.code else "yellow", bold=True)
        for line in (f"{name} {visible(text)}", f"  {visible(advice)}" if advice else ""):
            if line:
                click.echo(line, err=True, color=self.color and None)

    def failed(self, error: WordcountsError, name: str = "", code: int = NOTHING) -> None:
        """Say what is wrong and what to do, and exit with this code at the end."""
        self.code = max(self.code, code)
        message = error.message
        self.say(message if not name or name in message else f"{name}: {message}", error.advice)

    def nothing(self, text: str, advice: str = "") -> None:
        """Say that there is nothing to show, which is no success, as grep has it."""
        self.code = max(self.code, NOTHING)
        self.say(text, advice)

    @contextlib.contextmanager
    def progress(self, text: str) -> Iterator[Callable[[int, int], None]]:
        """While something takes its time: a spinner, and a bar once it is known how much there is."""
        if not (sys.stderr.isatty() and os.environ.get("TERM") != "dumb"):
            yield _nothing
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        shown = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=30))
        with Progress(
            *shown, MofNCompleteColumn(), TimeElapsedColumn(), console=self._console(sys.stderr), transient=True
        ) as bar:
            task = bar.add_task(visible(text)[:60], total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    # --- standard output ---

    def write(self, data: bytes) -> None:
        """Write; a reader that has seen enough ends the command."""
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(FOUND) from None

    def json(self, rows: Iterable[dict[str, Any]]) -> None:
        """One object a line."""
        for row in rows:
            self.write(f"{json.dumps(row, ensure_ascii=False)}\n".encode(errors="replace"))

    def csv(self, names: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
        """A header and lines."""
        for line in csv_lines(names, rows):
            self.write(line.encode(errors="replace"))

    def print(self, shown: RenderableType = "") -> None:
        """A table or a line, with colours on a terminal."""
        text = io.StringIO()
        self._console(text, terminal=sys.stdout.isatty()).print(shown)
        lines = "\n".join(line.rstrip() for line in text.getvalue().split("\n"))
        self.write(lines.encode(sys.stdout.encoding or "utf-8", "replace"))

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        return shutil.get_terminal_size((NARROW, 24)).columns

    def _console(self, file: Any, *, terminal: bool | None = None) -> Console:
        from rich.console import Console

        width = self.width if terminal is not False else max(self.width, 200)
        return Console(
            file=file, force_terminal=terminal, width=width, no_color=not self.color or None,
            highlight=False, markup=False, emoji=False, soft_wrap=False,
        )  # fmt: skip


def _nothing(_done: int, _total: int) -> None:
    """No progress."""


def usage(text: str) -> NoReturn:
    """End because the command line is wrong."""
    raise click.UsageError(text, click.get_current_context(silent=True))


def several(number: int, what: str) -> str:
    """So many of something: 1 word, 2,000 words."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def visible(text: str) -> str:
    """A line without what would steer a terminal or forge another line."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in " ".join(text.split()))
