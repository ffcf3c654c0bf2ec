"""What a terminal shows of contexts, phrases and keywords."""

import pytest

from scripts import views


def row(before: str, match: str, after: str) -> dict[str, str]:
    return {"before": before, "match": match, "after": after}


def test_the_words_of_contexts_stand_in_one_column(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    rows = [row("a long beginning of a sentence ", "word", "\n and its end, which is cut"), row("", "Words", " x")]
    views.contexts([*rows, row("日本語の", "東京", "です")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.index(match) for line, match in zip(lines, ("word", "Words"), strict=False)] == [17, 17]
    assert lines[0].startswith("g of a sentence") or lines[0].strip().startswith("of a sentence")
    assert views._width(lines[2][: lines[2].index("東京")]) == 17
    assert all(views._width(line) <= 40 for line in lines)


def test_nothing_of_a_page_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    views.contexts([row("\x1b[2J", "a\x07", "\u202eb")])
    views.phrases([{"phrase": ["\x1b[31m", "b"], "count": 2, "logdice": 1.0, "g2": None, "npmi": 0.5}])
    said = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\u202e"} & set(said)


def test_phrases_and_keywords_are_tables_with_their_measures(capsys: pytest.CaptureFixture[str]) -> None:
    views.phrases([{"phrase": ["New", "York"], "count": 1200, "logdice": 13.5, "g2": 46.4966, "npmi": 0.61}])
    found = {"word": "apple", "count": 50, "count_other": 0, "lrc": 1.5, "log_ratio": 2.25, "g2": 99.0}
    views.keywords([found], [])
    said = capsys.readouterr().out
    assert "  1,200    13.50    0.610      46.50  New York" in said
    assert "      50       0     1.50       2.25      99.00  apple" in said


def test_what_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    views.contexts([])
    views.phrases([])
    assert capsys.readouterr().out == "It does not occur.\nNo phrase occurs twice.\n"
