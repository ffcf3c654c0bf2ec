"""The word table: exact through packing, in pieces that fit, and every question a reader may ask of it."""

import csv
import io
import random
import subprocess
import sys
import time

import pytest

from chalicelib.analysis import words

COUNTS = {"the": 9, "The": 3, "Python": 5, "python": 2, "apple": 5, "zebra": 1, "=SUM": 1, "naïve": 1}


def packed(counts: dict[str, int], stop_words: words.StopWords = ("the",), language: str = "") -> words.Table:
    return words.unpack(words.pack(words.table(counts, stop_words, language)))


def listed(table: words.Table) -> list[tuple[str, int]]:
    return list(zip(table.words, table.counts, strict=True))


def many(number: int) -> dict[str, int]:
    chance = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ"
    return {
        "".join(chance.choices(letters, k=chance.randint(3, 10))) + str(n): int(chance.paretovariate(1))
        for n in range(number)
    }


def test_words_come_most_frequent_first_and_ties_by_code_point() -> None:
    assert listed(packed(COUNTS))[:4] == [("the", 9), ("Python", 5), ("apple", 5), ("The", 3)]


def test_stop_words_are_marked_whatever_their_case() -> None:
    assert words.totals(packed(COUNTS)) == words.Totals(words=27, distinct=8, stop_words=12)
    assert words.totals(packed(COUNTS, str.isnumeric)).stop_words == 0
    assert [row.word for row in words.top(packed(COUNTS), 2)] == ["Python", "apple"]


def test_no_words_are_no_pieces() -> None:
    assert words.pack(words.table({})) == []
    table = words.unpack([])
    assert words.totals(table) == words.Totals(0, 0, 0)
    assert words.page(table, 10) == words.Page([], None)
    assert words.to_csv(table) == b"word,count,share,stop_word\r\n"


@pytest.mark.slow
def test_many_words_fit_pieces_of_350_kb_each_readable_alone() -> None:
    chance = random.Random(3)
    counts = {f"{chance.getrandbits(400):x}": number for number in range(1, 10_000)}
    pieces = words.pack(words.table(counts))
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= words.PIECE_BYTES
    assert sum(len(words.unpack([piece])) for piece in pieces) == len(counts)
    assert dict(listed(words.unpack(pieces))) == counts


@pytest.mark.slow
def test_hostile_words_are_stored_and_fit() -> None:
    chance = random.Random(2)
    long = {"".join(map(chr, chance.choices(range(0x10000, 0x1F000), k=16_000))): 1 for _ in range(15)}
    odd = {"x" * 10_000: 1, "nul\0": 2, "a\ud800": 1, "line\nbreak": 1}
    pieces = words.pack(words.table(long | odd | {"a\ufffd": 1}))
    assert max(map(len, pieces)) <= words.PIECE_BYTES
    stored = dict(listed(words.unpack(pieces)))
    assert stored == {**long, "x" * 10_000: 1, "nul\0": 2, "a\ufffd": 2, "line\nbreak": 1}


def test_a_word_of_megabytes_is_cut_and_two_of_them_stay_apart() -> None:
    table = packed({"a" * 5_000_000: 1, "a" * 5_000_001: 2})
    assert [len(word) for word in table.words] == [words.WORD_CHARACTERS + 17] * 2
    assert len(set(table.words)) == 2


def test_damaged_pieces_are_told() -> None:
    with pytest.raises(words.DamagedTable):
        words.unpack([b"no piece"])


def test_a_reader_may_filter() -> None:
    table = packed(COUNTS)
    assert [row.word for row in words.page(words.query(table, stop_words=False, min_count=2), 9).rows] == [
        "Python",
        "apple",
        "python",
    ]
    assert listed(words.query(table, prefix="nai\u0308")) == [("naïve", 1)]
    assert listed(words.query(table, fold_case=True, prefix="PY")) == [("python", 7)]
    assert listed(words.query(table, fold_case=True, min_count=6)) == [("the", 12), ("python", 7)]


def test_a_share_is_of_all_words_of_the_page_even_when_filtered() -> None:
    rows = words.page(words.query(packed(COUNTS), stop_words=False), 1).rows
    assert rows == [words.Row("Python", 5, round(5 / 27, 8), False)]


def test_pages_follow_one_another_without_gap() -> None:
    table = packed(COUNTS)
    seen, offset = [], 0
    while offset is not None:
        part = words.page(table, 3, offset)
        seen += [row.word for row in part.rows]
        offset = part.next
    assert seen == table.words
    assert words.page(table, 3, 100) == words.Page([], None)


@pytest.mark.parametrize(
    ("language", "word", "folded"),
    [
        ("", "STRASSE", "strasse"),
        ("de", "Straße", "strasse"),
        ("el", "ΛΌΓΟΣ", "λόγοσ"),
        ("el", "λόγος", "λόγοσ"),
        ("tr", "ISPARTA", "ısparta"),
        ("tr", "İzmir", "izmir"),
        ("az", "IŞIQ", "ışıq"),
        ("en", "ISPARTA", "isparta"),
    ],
)
def test_case_is_folded_as_unicode_and_the_language_say(language: str, word: str, folded: str) -> None:
    assert words.fold(word, language) == folded
    assert words.fold(folded, language) == folded


def test_a_turkish_stop_word_is_found_in_capitals() -> None:
    assert packed({"İLE": 1, "ILE": 1}, {"ile"}, "tr").stops == b"\0\1"


def test_tables_of_several_pages_merge() -> None:
    both = words.merged([packed({"a": 1, "b": 2}), packed({"a": 3, "the": 1})])
    assert listed(both) == [("a", 4), ("b", 2), ("the", 1)]
    assert (both.total, both.stops) == (7, b"\0\0\1")


def test_csv_is_rfc_4180_and_runs_no_formula() -> None:
    counts = dict.fromkeys(
        ["=1+1", "+1", "-1", "@x", "＝x", "＋x", "－x", "＠x", "\tx", "\rx", 'quo"te', "com,ma", "plain", "été"], 1
    )
    content = words.to_csv(packed(counts))
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    assert rows[0] == ["word", "count", "share", "stop_word"]
    found = {row[0] for row in rows[1:]}
    assert found == {"'=1+1", "'+1", "'-1", "'@x", "'＝x", "'＋x", "'－x", "'＠x"} | {
        "'\tx", "'\rx", 'quo"te', "com,ma", "plain", "été"
    }  # fmt: skip
    assert content.count(b"\r\n") == len(rows)
    assert rows[1][1:] == ["1", "0.07142857", "false"]


@pytest.mark.slow
def test_fifty_thousand_words_are_answered_in_a_tenth_of_a_second() -> None:
    pieces = words.pack(words.table(many(50_000), {"the"}))
    best = 9.0
    for _ in range(5):
        started = time.process_time()
        words.page(words.query(words.unpack(pieces), stop_words=False, fold_case=True), 100, 1000)
        best = min(best, time.process_time() - started)
    assert best < 0.1


@pytest.mark.slow
def test_the_table_needs_no_nltk() -> None:
    heavy = ("nltk", "lxml", "bs4", "icu4py")
    code = f"import sys, chalicelib.analysis.words; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
