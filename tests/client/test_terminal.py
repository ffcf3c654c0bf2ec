"""What a terminal shows of words, contexts, phrases and keywords."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from wordcounts.cli import terminal
from wordcounts.cli.terminal import Screen
from wordcounts.models import Context, Keyword, Phrase, Word


def context(before: str, match: str, after: str) -> Context:
    return Context(before, match, after, 0, 1, 0.0)


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    def show(what: Any) -> str:
        Screen().print(what)
        return capsys.readouterr().out

    return show


def test_the_words_of_contexts_stand_in_one_column(shown: Any) -> None:
    rows = [
        context("a long beginning of a sentence ", "word", "\n and its end, which is cut"),
        context("", "Words", ""),
    ]
    lines = shown(terminal.contexts([*rows, context("日本語の", "東京", "です")], 40)).splitlines()
    assert [line.index(match) for line, match in zip(lines, ("word", "Words"), strict=False)] == [17, 17]
    assert lines[0].strip().startswith("g of a sentence")
    assert cell_len(lines[2][: lines[2].index("東京")]) == 17
    assert all(cell_len(line) <= 40 for line in lines)


def test_a_line_break_in_a_context_is_one_space(shown: Any) -> None:
    said = shown(terminal.contexts([context("the old\n  white ", "whale", "\n\ndives\r\n deep")], 60))
    assert said.strip() == "the old white  whale  dives deep"


def test_nothing_of_a_page_steers_the_terminal(shown: Any) -> None:
    said = shown(terminal.contexts([context("\x1b[2J", "a\x07", "\u202eb")], 80))
    said += shown(terminal.phrases([Phrase(("\x1b[31m", "b"), 2, 1.0, 0.5, None)]))
    said += shown(terminal.words([Word("a\nb[red]c[/red]", 1, 1.0, False)]))
    said += shown(terminal.title("\x1b]0;title\x07", "\r"))
    assert not {"\x1b", "\x07", "\u202e", "\r"} & set(said)
    assert "a b[red]c[/red]" in said


def test_phrases_and_keywords_are_tables_with_their_measures(shown: Any) -> None:
    said = shown(terminal.phrases([Phrase(("New", "York"), 1200, 13.5, 0.61, 46.4966)]))
    assert said.splitlines()[1].split() == ["New", "York", "1,200", "13.50", "0.61", "46.5"]
    said = shown(terminal.phrases([Phrase(("in", "New", "York"), 2, 13.5, 0.61, None)]))
    assert said.splitlines()[0].split() == ["phrase", "count", "logDice", "NPMI"]
    found = Keyword("apple", 50, 0, 1.0, 0.0, 2.25, 1.5, 99.0, 0.0, False)
    said = shown(terminal.keywords([found], "A", "B"))
    assert said.splitlines()[1].split() == ["apple", "50", "0", "+2.25", "+1.50", "99.0"]
    rows = [dataclasses.replace(found, lrc=lrc) for lrc in (0.0034, -0.0034, 0.0)]
    lines = shown(terminal.keywords(rows, "A", "B")).splitlines()[1:]
    assert [line.split()[4] for line in lines if line] == ["+0.003", "-0.003", "0"]


def test_the_last_column_is_cut_where_it_is_narrow(shown: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Screen, "_console", lambda self, file, **_: Console(file=file, width=30))
    said = shown(terminal.plain(("id", "words>", "what"), [("a" * 10, 1, "b" * 50), ("c", None, "d")]))
    assert said.splitlines()[1] == f"{'a' * 10}      1  {'b' * 10}…"


def test_bars_are_as_long_as_counts(shown: Any) -> None:
    said = shown(terminal.words([Word("a", 20, 0.5, False), Word("東京", 10, 0.25, False)])).splitlines()
    assert [line.count("━") for line in said] == [0, 24, 12]
    assert [cell_len(line[: line.index("━")]) for line in said[1:]] == [21, 21]


def test_a_long_name_leaves_room_for_the_id_and_the_figures(shown: Any) -> None:
    said = shown(terminal.plain(["id", "name", "documents>", "created"], [["1" * 32, "n" * 200, 5, "2026"]]))
    assert said.splitlines()[1].split() == ["1" * 32, "n" * 23 + "…", "5", "2026"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("completion bash > /dev/full", "wordcounts: The output cannot be written: No space left on device."),
        ("completion bash >&-", ""),
        ("--server 'http://[' status", "wordcounts: 'http://[' is no address of a service."),
        ("--server http://127.0.0.1:x status", "wordcounts: 'http://127.0.0.1:x' is no address of a service."),
    ],
)
def test_what_cannot_be_used_is_said_without_a_traceback(command: str, said: str) -> None:
    ended = subprocess.run(
        ["sh", "-c", f'"$0" -m wordcounts {command}', sys.executable],
        env={**os.environ, "PYTHONPATH": str(Path(terminal.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    assert said in ended.stdout + ended.stderr
