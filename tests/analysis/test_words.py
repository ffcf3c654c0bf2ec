"""The word table: exact through packing, in pieces that fit, and every question a reader may ask of it."""

import json
import random
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chalicelib.analysis import words
from chalicelib.analysis.cache import Cache

COUNTS = {"the": 9, "The": 3, "Python": 5, "python": 2, "apple": 5, "zebra": 1, "=SUM": 1, "naïve": 1}


def packed(counts: dict[str, int], stop_words: Collection[str] = ("the",), language: str = "") -> words.Table:
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
    assert words.totals(words.folded(packed(COUNTS))) == words.Totals(words=27, distinct=6, stop_words=12)
    assert [row.word for row in words.top(packed(COUNTS), 2)] == ["Python", "apple"]
    assert packed({"Ὁ": 1, "ΤΗΣ": 1, "της": 1, "σ": 1}, {"της", "ὁ"}, "el").stops == b"\1\0\1\1"


def test_no_words_are_no_pieces() -> None:
    assert words.pack(words.table({})) == []
    table = words.unpack([])
    assert words.totals(table) == words.Totals(0, 0, 0)
    assert words.rows(table, 0, 0) == []


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


def asked(table: words.Table, language: str = "", **query: Any) -> list[tuple[str, int]]:
    return listed(words.query(table, words.Query(**query), language))


def test_a_reader_may_filter() -> None:
    table = packed(COUNTS)
    assert asked(table, stop_words=False, min_count=2) == [("Python", 5), ("apple", 5), ("python", 2)]
    assert asked(table, prefix="nai\u0308") == [("naïve", 1)]
    assert asked(table, prefix="PY") == []
    assert asked(table, min_length=6) == [("Python", 5), ("python", 2)]
    folded = words.folded(table)
    assert asked(folded, prefix="PY") == asked(folded, prefix="py") == [("Python", 7)]
    assert asked(folded, min_count=6) == [("the", 12), ("Python", 7)]
    assert asked(words.folded(packed({"Straße": 1}), "de"), "de", prefix="STRASS") == [("Straße", 1)]


def test_a_reader_may_change_what_is_a_stop_word() -> None:
    for table in (packed(COUNTS), words.folded(packed(COUNTS))):
        query = words.Query(stop_add=["PYTHON", "nai\u0308ve"], stop_remove=["The"])
        found = words.query(table, query)
        marked = {word for word, stop in zip(found.words, found.stops, strict=True) if stop}
        assert {word.lower() for word in marked} == {"python", "naïve"}
        assert found.words == table.words
        left = words.query(table, msgspec.structs.replace(query, stop_words=False))
        assert {word.lower() for word in left.words} == {"the", "apple", "zebra", "=sum"}
    turkish = packed({"ILE": 1, "İLE": 1}, {"ile"}, "tr")
    assert asked(turkish, "tr", stop_words=False, stop_add=["ILE"]) == []


def test_a_share_is_of_all_words_of_the_page_even_when_filtered() -> None:
    rows = words.rows(words.query(packed(COUNTS), words.Query(stop_words=False)), 0, 1)
    assert rows == [words.Word("Python", 5, round(5 / 27, 8), False)]


def test_rows_are_shown_from_one_number_to_another() -> None:
    table = packed(COUNTS)
    shown = [
        row.word for start in range(0, len(table), 3) for row in words.rows(table, start, min(start + 3, len(table)))
    ]
    assert shown == table.words


CASES = json.loads((Path(__file__).parents[1] / "cases.json").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES["folded"], ids=lambda case: str([*case["counts"]]))
def test_case_is_folded_and_the_most_frequent_spelling_shown(case: dict[str, Any]) -> None:
    folded = words.folded(packed(case["counts"], (), case["language"]), case["language"])
    assert [list(row) for row in listed(folded)] == case["words"]
    assert folded.keys == [words.fold(word, case["language"]) for word in folded.words]


def test_a_turkish_stop_word_is_found_in_capitals() -> None:
    assert packed({"İLE": 1, "ILE": 1}, {"ile"}, "tr").stops == b"\0\1"


def test_a_cache_keeps_what_was_used_last_within_its_bytes() -> None:
    cache = Cache[str](40, len)
    made: list[str] = []

    def get(key: str, size: int = 4) -> str:
        return cache.made(key, lambda: made.append(key) or key * size)  # type: ignore[func-returns-value]

    for key in "abac":
        get(key)
    assert (made, cache.bytes) == (["a", "b", "c"], 12)
    get("d")  # for whose making room is left: a quarter of the limit stays
    assert (cache.get("b"), cache.get("a"), cache.bytes) == (None, "aaaa", 12)
    get("e", 41), get("e", 41)
    assert made[3:] == ["d", "e", "e"]
    get("f", 40)
    assert (cache.get("f"), cache.bytes) == ("f" * 40, 40)


def test_the_weight_of_a_table_is_its_memory() -> None:
    counts = {f"Word{number}": 1 for number in range(20_000)}
    tracemalloc.start()
    table = words.folded(packed(counts))
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert 0.8 * taken < words.weight(table) < 1.3 * taken


@pytest.mark.slow
def test_fifty_thousand_words_are_answered_in_a_tenth_of_a_second() -> None:
    pieces = words.pack(words.table(many(50_000), {"the"}))
    best = 9.0
    for _ in range(5):
        started = time.process_time()
        words.rows(words.query(words.folded(words.unpack(pieces)), words.Query(stop_words=False)), 1000, 1100)
        best = min(best, time.process_time() - started)
    assert best < 0.1


@pytest.mark.slow
def test_the_table_needs_no_nltk() -> None:
    heavy = ("nltk", "lxml", "bs4", "icu4py")
    code = f"import sys, chalicelib.analysis.words; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("language", ["", "tr"])
def test_both_tables_of_a_count_are_what_they_are_one_after_the_other(language: str) -> None:
    table = words.table(COUNTS, ("the", "Python"), language)
    assert words.tables(COUNTS, ("the", "Python"), language) == (table, words.folded(table, language))
