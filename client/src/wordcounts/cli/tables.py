"""Words, contexts, phrases and keywords as a terminal shows them: columns that line up in any script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .terminal import several, visible

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from wordcounts.models import Context, Job, Keyword, Phrase

BAR = 24  # columns of the longest bar


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
    return table
