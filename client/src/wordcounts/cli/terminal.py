"""What a person sees: data on standard output, everything else on standard error, and a progress on a terminal only."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import click

from wordcounts.errors import WordcountsError
from wordcounts.rows import csv_lines

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from wordcounts.models import Context, Job, Keyword, Phrase

NARROW = 80  # columns, where nobody says how wide the terminal is
FOUND, NOTHING, USAGE, AWAY, REFUSED, INTERRUPTED = 0, 1, 2, 3, 4, 130
BAR = 24  # columns of the longest bar


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
            yield lambda *_: None
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
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if isinstance(error, BrokenPipeError):
                raise SystemExit(FOUND) from None
            raise WordcountsError(f"The output cannot be written: {error.strerror}.", type="output") from None

    def json(self, rows: Iterable[dict[str, Any]]) -> None:
        """One object a line."""
        for row in rows:
            self.write(f"{json.dumps(row, ensure_ascii=False)}\n".encode(errors="replace"))

    def csv(self, names: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
        """A header and lines."""
        for line in csv_lines(names, rows):
            self.write(line.encode(errors="replace"))

    def rows(
        self, headers: Sequence[str], rows: Sequence[Any], models: Iterable[Any], *, as_json: bool, as_csv: bool
    ) -> None:
        """A list as it is wanted."""
        if as_json:
            self.json(one.to_dict() for one in models)
        elif as_csv:
            self.csv((name.removesuffix(">") for name in headers), rows)
        else:
            self.print(plain(headers, rows))

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


def usage(text: str) -> NoReturn:
    """End because the command line is wrong."""
    raise click.UsageError(text, click.get_current_context(silent=True))


def several(number: int, what: str) -> str:
    """So many of something: 1 word, 2,000 words."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def visible(text: str) -> str:
    """A line without what would steer a terminal or forge another line."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in " ".join(text.split()))


# --- tables: columns that line up in any script ---


def _table(*headers: str) -> Table:
    """A table without lines; a header that ends in > is of figures."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for header in headers:
        right = header.endswith(">")
        table.add_column(
            header.removesuffix(">"), justify="right" if right else "left", no_wrap=True, overflow="ellipsis"
        )
    return table


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(visible(text), style=style)


def words(rows: Sequence[Any], *, documents: bool = False) -> Table:
    """Words with their counts, their share and a bar."""
    table = _table("word", "count>", "share>", *(["texts>"] if documents else []), "")
    most = max((row.count for row in rows), default=1)
    for row in rows:
        more = [f"{row.documents:,}"] if documents else []
        bar = "━" * max(1, round(BAR * row.count / most))
        table.add_row(_text(row.word, "bold"), f"{row.count:,}", f"{row.share:.2%}", *more, _text(bar, "cyan"))
    return table


def corpus_words(rows: Sequence[Any]) -> Table:
    """Words of a corpus, with the documents they are in and how evenly they are spread."""
    table = _table("word", "count>", "share>", "documents>", "dispersion>", "tf-idf>")
    for row in rows:
        spread = "" if row.dispersion is None else f"{row.dispersion:.2f}"
        counts = (f"{row.count:,}", f"{row.share:.2%}", f"{row.documents:,}", spread, f"{row.tfidf:,.1f}")
        table.add_row(_text(row.word, "bold"), *counts)
    return table


def contexts(rows: Sequence[Context], width: int) -> Text:
    """One line an occurrence: the word in a column, its neighbours left and right."""
    from rich.cells import cell_len
    from rich.text import Text

    shown = [[visible(part) for part in (row.before, row.match, row.after)] for row in rows]
    middle = min(max(cell_len(match) for _, match, _ in shown), width // 3)
    side = (width - middle - 4) // 2
    text = Text(no_wrap=True, overflow="crop", end="")
    for before, match, after in shown:
        left = _cut(before[::-1], side)[::-1]
        text.append(" " * (side - cell_len(left)) + left + "  ")
        word = _cut(match, middle)
        text.append(word, "bold red").append(" " * (middle - cell_len(word)) + "  ")
        text.append(_cut(after, side) + "\n")
    return text


def _cut(text: str, width: int) -> str:
    from rich.cells import cell_len

    while cell_len(text) > width:
        text = text[: -max(1, (cell_len(text) - width) // 2)]
    return text


def phrases(rows: Sequence[Phrase]) -> Table:
    """Phrases with the measures; logDice is at most 14."""
    pairs = any(row.g2 is not None for row in rows)  # G² is of two words
    table = _table("phrase", "count>", "logDice>", "NPMI>", *(["G²>"] if pairs else []))
    for row in rows:
        g2 = ["" if row.g2 is None else f"{row.g2:,.1f}"] if pairs else []
        table.add_row(
            _text(" ".join(row.phrase), "bold"), f"{row.count:,}", f"{row.logdice:.2f}", f"{row.npmi:.2f}", *g2
        )
    return table


def keywords(rows: Sequence[Keyword], here: str, there: str) -> Table:
    """Words that one text has relatively more of. LRC 0: not significant."""
    table = _table("word", f"{visible(here)[:20]}>", f"{visible(there)[:20]}>", "log ratio>", "LRC>", "G²>")
    for row in rows:
        small = abs(row.lrc) < 0.005  # significant, and not to be taken for 0
        lrc = "0" if not row.lrc else f"{row.lrc:+.1g}" if small else f"{row.lrc:+.2f}"
        scores = (f"{row.log_ratio:+.2f}", lrc, f"{row.g2:,.1f}")
        table.add_row(_text(row.word, "bold" if row.lrc else ""), f"{row.count:,}", f"{row.count_other:,}", *scores)
    return table


def title(text: str, about: str = "") -> Text:
    """What a table is about."""
    made = _text(text, "bold")
    return made if not about else made.append("\n").append(_text(about, "dim"))


def about(jobs: Sequence[Job]) -> str:
    """How many words a text has, and in which language."""
    totals = [job.totals for job in jobs if job.totals]
    said = several(sum(one.words for one in totals), "word")
    if len(totals) == 1:
        said += f", {totals[0].distinct:,} different, {several(totals[0].stop_words, 'stop word')}"
    languages = sorted({job.page.language for job in jobs if job.page and job.page.language})
    if len(languages) > 3:
        return f"{said}, {len(languages)} languages"
    return said + (f", language {', '.join(languages)}" if languages else "")


def plain(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Any rows."""
    table = _table(*names)
    for row in rows:
        table.add_row(*(_text("" if value is None else str(value)) for value in row))
    table.expand, table.columns[-1].ratio = True, 1  # where it is narrow, the last column is cut
    table.columns[0].min_width = max((len(str(row[0])) for row in rows), default=0)  # ids, which commands take
    for column in table.columns[1:-1]:
        column.max_width = 24  # or a long name would leave nothing to the others
    return table
