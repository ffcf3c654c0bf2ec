"""Contexts, phrases and keywords as a terminal shows them: columns that line up in any script."""

import shutil
import unicodedata
from typing import Any

from .processes import visible

NARROW = 80  # columns, where nobody says how wide the terminal is


def contexts(rows: list[dict[str, Any]]) -> None:
    """One line an occurrence: the word in a column, its neighbours left and right."""
    if not rows:
        print("It does not occur.")
        return
    shown = [[_line(row[part]) for part in ("before", "match", "after")] for row in rows]
    width = shutil.get_terminal_size((NARROW, 24)).columns
    middle = min(max(_width(match) for _, match, _ in shown), width // 3)
    side = (width - middle - 4) // 2
    for before, match, after in shown:
        left = _cut(before[::-1], side)[::-1]
        print(
            f"{' ' * (side - _width(left))}{left}  {_padded(_cut(match, middle), middle)}  {_cut(after, side)}".rstrip()
        )


def phrases(rows: list[dict[str, Any]]) -> None:
    """A table with the measures; logDice is at most 14."""
    if not rows:
        print("No phrase occurs twice.")
        return
    print("  count  logDice     NPMI         G²  phrase")
    for row in rows:
        g2 = "" if row["g2"] is None else f"{row['g2']:,.2f}"
        print(
            f"{row['count']:7,}  {row['logdice']:7.2f}  {row['npmi']:7.3f}  {g2:>9}  {_line(' '.join(row['phrase']))}"
        )


def keywords(more: list[dict[str, Any]], less: list[dict[str, Any]]) -> None:
    """Two tables: what the first text has relatively more of, and less. LRC 0 is not significant."""
    for title, rows in (("More often here", more), ("Less often here", less)):
        print(f"{title}\n    here   there      LRC  log ratio         G²  word")
        for row in rows:
            scores = f"{row['lrc']:7.2f}  {row['log_ratio']:9.2f}  {row['g2']:9,.2f}"
            print(f"{row['count']:8,}{row['count_other']:8,}  {scores}  {_line(row['word'])}")
        print()


def _line(text: str) -> str:
    return visible(" ".join(text.split()))


def _width(text: str) -> int:
    """Columns: two for what East Asia writes wide, none for combining marks."""
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text
    )


def _cut(text: str, width: int) -> str:
    while _width(text) > width:
        text = text[: -max(1, (_width(text) - width) // 2)]
    return text


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
