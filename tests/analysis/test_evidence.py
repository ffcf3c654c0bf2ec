"""Contexts, phrases and keywords of a counted text, against plain counts of the same."""

import random
import zlib
from collections import Counter

import msgspec
import pytest

from chalicelib.analysis import contexts, evidence, keywords, phrases, places, statistics, tokens, words
from chalicelib.analysis.contexts import Context
from chalicelib.analysis.evidence import Evidence
from tests.evidence import counted, zipfian

TEXT = "The cat saw the dog. New York, new York! Don't stop\nThe end of the dog. L'homme-là a dit: the dog saw New York"


def shown(given, word, **how):
    return list(contexts.show(given, contexts.find_word(given, word), **how))


# --- what is stored ---


def stored(given):
    return {name: artifact.pack(given) for name, artifact in evidence.ARTIFACTS.items()}


@pytest.mark.parametrize("text", ["", " ", "one", TEXT, zipfian(3000), "x " + "?" * 70_000 + " y " + "!" * 254 + "z"])
def test_a_counted_text_is_read_back_as_it_was(text):
    given = counted(text)
    assert evidence.read(stored(given), "en") == given


@pytest.mark.slow
def test_more_words_than_two_bytes_can_number_are_read_back():
    given = counted(" ".join("".join(chr(97 + int(digit)) for digit in str(number)) for number in range(70_000)))
    assert evidence.read(stored(given), "en") == given


def test_marks_that_the_table_writes_otherwise_come_back_as_they_were_in_the_text():
    given = counted("don't do. Well-known don't")
    printed = Evidence("don’t do. Well‑known don't", given.tokens, given.table, "en")
    back = evidence.read(stored(printed), "en")
    assert back == printed
    assert [context.match for context in shown(back, "don't")] == ["don’t", "don't"]


def test_an_overlong_word_ends_where_its_stored_beginning_does():
    given = evidence.read(stored(counted("a " + "b" * 20_000 + " c")), "en")
    assert list(given.tokens.starts) == [0, 2, 20_003]
    [row] = [word for word in given.table.words if len(word) > 10]
    [context] = shown(given, row, window=1)
    assert (context.match, context.before) == ("b" * words.WORD_CHARACTERS, "a ")


def test_damaged_artifacts_are_refused():
    good = stored(counted(TEXT))
    for name in ("text", "tokens"):
        [data] = good[name]
        for damaged in (b"", data[:-3], data[:9] + b"\0\0" + data[11:]):
            with pytest.raises(tokens.DamagedTokens):
                evidence.read({**good, name: [damaged]}, "en")
    with pytest.raises(tokens.DamagedTokens):
        evidence.read({**good, "words": stored(counted("two words"))["words"]}, "en")
    with pytest.raises(tokens.DamagedTokens):
        evidence.read({**good, "tokens": stored(counted("two words"))["tokens"]}, "en")


def test_a_text_that_was_packed_gap_by_gap_is_read():
    given = counted("don't do. Well-known don't")
    gaps = [" ", ". ", " "]
    packed = zlib.compress(msgspec.msgpack.encode([["", *gaps, ""], {0: "don’t"}]))
    back = evidence.read({**stored(given), "text": [packed]}, "en")
    assert (back.text, back.tokens) == (given.text.replace("'", "’", 1), given.tokens)


@pytest.mark.parametrize("text", ["a\ud800\udc00b", "a\0\0b"])
def test_what_cannot_be_stored_is_replaced_without_moving_anything(text):
    given = counted(text)
    order = given.tokens
    segments = evidence.Segments(
        given.text, given.table.words, order.rows, order.starts, order.sentence_ends, order.block_ends
    )
    made = evidence.gathered(segments, given.table, "")
    back = evidence.read(stored(made), "")
    assert (back.text, back.tokens) == ("a\ufffd\ufffdb", given.tokens)


def test_a_text_is_large_by_its_bytes():
    assert [evidence.ARTIFACTS["text"].is_large(counted(text)) for text in ("é" * 499_999, "é" * 500_001)] == [
        False,
        True,
    ]


# --- contexts ---


def test_a_context_is_a_piece_of_the_text():
    given = counted(TEXT)
    assert shown(given, "york", window=1) == [
        Context(25, 29, round(25 / len(TEXT), 6), "New ", "York", ", new"),
        Context(35, 39, round(35 / len(TEXT), 6), "new ", "York", "! Don't"),
        Context(len(TEXT) - 4, len(TEXT), round((len(TEXT) - 4) / len(TEXT), 6), "New ", "York", ""),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("fold_case", [True, False])
def test_every_word_has_as_many_contexts_as_it_is_counted(fold_case):
    given = counted(zipfian(20_000) + TEXT)
    table = words.folded(given.table) if fold_case else given.table
    for word, count in zip(table.words, table.counts, strict=True):
        found = contexts.find_word(given, word, fold_case=fold_case)
        assert len(found) == count
        for context in contexts.show(given, found[:20]):
            assert context.match == given.text[context.start : context.end]
            assert (words.fold(context.match) == words.fold(word)) if fold_case else (context.match == word)


def test_a_word_is_found_as_people_type_it():
    assert len(contexts.find_word(counted(TEXT), "don’t")) == 1
    assert len(contexts.find_word(counted("caf\u00e9"), "cafe\u0301")) == 1
    assert contexts.find_word(counted(TEXT), "absent") == contexts.find_word(counted(""), "x") == []
    assert contexts.find_word(counted(TEXT), "") == contexts.find_phrase(counted(TEXT), "  ") == []


def test_a_sentence_is_shown_with_its_own_signs():
    given = counted('One two. "Three four!" Five six (seven).\nEight')
    assert [context.before + context.match + context.after for context in shown(given, "four", unit="sentence")] == [
        '"Three four!" Five six (seven).'
    ]
    [context] = shown(given, "eight", unit="sentence")
    assert (context.before, context.match, context.after) == ("", "Eight", "")


def test_a_window_of_characters_is_as_wide_as_asked_and_none_wider_than_the_bound():
    given = counted("x" * 3 + " " * 5000 + "middle" + "." * 5000 + "y")
    [context] = shown(given, "middle", unit="characters", window=4)
    assert (context.before, context.after) == (" " * 4, "." * 4)
    for unit in ("words", "characters"):
        [context] = shown(given, "middle", unit=unit, window=1_000_000)
        assert (len(context.before), len(context.after)) == (contexts.SIDE_MOST, contexts.SIDE_MOST)


def test_contexts_are_sorted_by_the_nearest_word_first():
    given = counted("b c X d a. a z X b a. z c X b b. X")
    found = contexts.find_word(given, "x")
    left = [context.before.split()[::-1] for context in contexts.show(given, contexts.ordered(given, found, "left"))]
    assert left == sorted(left)
    assert [before[:2] for before in left] == [["b.", "b"], ["c", "b"], ["c", "z"], ["z", "a"]]
    right = [c.after.split()[:2] for c in contexts.show(given, contexts.ordered(given, found, "right"))]
    assert right == [[], ["b", "a."], ["b", "b."], ["d", "a."]]
    assert contexts.ordered(given, found, "place") == found


def test_a_phrase_stays_in_its_sentence_and_may_overlap_itself():
    given = counted("ha ha ha. Ha ha\nha")
    assert len(contexts.find_phrase(given, "HA ha")) == 3
    assert len(contexts.find_phrase(given, "ha ha ha")) == 1
    assert contexts.find_phrase(counted(TEXT), "dog New") == []


def test_a_phrase_without_spaces_is_found_in_the_words_that_touch():
    given = counted(TEXT)
    parts = given.tokens
    again = counted("東京 大学")  # as a segmenter would part 東京大学: two words, and no gap between them
    touching = Evidence("東京大学", tokens.Tokens(again.tokens.rows, [0, 2], [2], [2]), again.table)
    assert contexts.find_phrase(touching, "東京大学") == [range(2)]
    assert contexts.find_phrase(again, "東京大学") == []
    assert contexts.find_phrase(again, "東京 大学") == [range(2)]
    assert len(contexts.find_phrase(given, "new york")) == 3
    assert contexts.find_phrase(given, "new y") == []
    assert len(parts) == sum(given.table.counts)


# --- phrases ---


def plain_phrases(given, n):
    """Every run of n words inside the sentences, without case."""
    rows, found, before = given.tokens.rows, Counter(), 0
    for end in sorted({*given.tokens.sentence_ends, *given.tokens.block_ends}):
        sentence = [words.fold(given.table.words[row]) for row in rows[before:end]]
        found.update(tuple(sentence[at : at + n]) for at in range(len(sentence) - n + 1))
        before = end
    return found


@pytest.mark.parametrize("n", [2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(3))
def test_phrases_are_those_of_a_plain_count(n, seed):
    given = counted(zipfian(4000, seed, vocabulary=random.Random(seed).choice([4, 30, 300])))
    expected = plain_phrases(given, n)
    for least in (2, 3):
        found = phrases.phrases(given, n, min_count=least, stop_words="include")
        rows = found.show(0, len(found))
        assert found.windows == sum(expected.values())
        got = {tuple(map(words.fold, row.phrase)): row.count for row in rows}
        assert got == {phrase: count for phrase, count in expected.items() if count >= least}
        for row in rows[:5]:
            assert len(contexts.find_phrase(given, " ".join(row.phrase))) == row.count


def test_a_pair_is_measured_by_the_places_it_can_have():
    given = counted(zipfian(3000, vocabulary=20))
    pairs = plain_phrases(given, 2)
    n = sum(pairs.values())
    for row in phrases.phrases(given, stop_words="include").show(0, 50):
        x, y = map(words.fold, row.phrase)
        fx = sum(count for (first, _), count in pairs.items() if first == x)
        fy = sum(count for (_, second), count in pairs.items() if second == y)
        log_dice, npmi = statistics.log_dice(row.count, (fx, fy)), statistics.npmi(row.count, (fx, fy), n)
        g2 = statistics.pair_g2(row.count, fx, fy, n)
        assert (row.logdice, row.g2, row.npmi) == pytest.approx((log_dice, g2, npmi), abs=1e-6)


@pytest.mark.parametrize("measure", ["logdice", "g2", "npmi", "count"])
def test_phrases_come_by_their_measure(measure):
    rows = (found := phrases.phrases(counted(zipfian(5000)), measure=measure)).show(0, len(found))
    values = [getattr(row, measure) for row in rows]
    assert values == sorted(values, reverse=True)
    assert rows[3:8] == found.show(3, 8)


def test_stop_words_are_left_out_of_phrases_only_afterwards():
    given = counted("The end of the day. The end of the day")
    rows = {stops: phrases.phrases(given, 4, stop_words=stops) for stops in ("edges", "any", "include")}
    assert [row.phrase for row in rows["edges"].show(0, 9)] == [("end", "of", "the", "day")]
    assert len(rows["any"]) == 0
    assert len(rows["include"]) == 2


def test_a_phrase_is_shown_as_it_is_mostly_written():
    given = counted("New York. New York. new york. NEW YORK")
    assert [row.phrase for row in phrases.phrases(given).show(0, 9)] == [("New", "York")]


def test_a_text_without_repetitions_has_no_phrases():
    for text in ("", "one", "one two three four five six", "a\na\na"):
        assert phrases.phrases(counted(text), 2, stop_words="include").show(0, 9) == []


# --- places ---


@pytest.mark.parametrize("fold_case", [True, False])
def test_places_hold_every_context_in_the_part_where_it_begins(fold_case):
    given = counted(zipfian(6000, 3, vocabulary=60) + " THE The the")
    wanted = [*given.table.words[:20], "nowhere"]
    found = places.places(given, wanted, parts=7, fold_case=fold_case)
    assert "nowhere" not in [row.word for row in found]
    for row in found:
        spots = [given.tokens.starts[at.start] for at in contexts.find_word(given, row.word, fold_case=fold_case)]
        assert row.parts == [sum(spot * 7 // len(given.text) == part for spot in spots) for part in range(7)]
        assert row.total == sum(row.parts) == sum(form.count for form in row.forms) == len(spots)


def test_places_name_the_forms_most_frequent_first():
    (found,) = places.places(counted("rose Rose rose"), ["ROSE"], parts=2)
    assert (found.word, found.parts) == ("ROSE", [2, 1])
    assert [(form.word, form.count) for form in found.forms] == [("rose", 2), ("Rose", 1)]


def test_an_empty_text_has_no_places():
    assert places.places(counted(""), ["a"], parts=3) == []


# --- keywords ---


def compared(one, other, **how):
    return keywords.keywords(*(words.folded(text.table, text.language) for text in (one, other)), **how)


def test_keywords_hold_every_word_of_both_texts_with_its_scores():
    one, other = counted(zipfian(5000, 1, vocabulary=50)), counted(zipfian(9000, 2, vocabulary=80))
    found = compared(one, other)
    first, second = words.folded(one.table), words.folded(other.table)
    a, b = ({words.fold(word): number for word, number in zip(t.words, t.counts, strict=True)} for t in (first, second))
    assert found.tests == len(found) == len(a.keys() | b.keys())
    assert found.sizes == (first.total, second.total)
    for row in found.show(0, len(found)):
        key = words.fold(row.word)
        table = a.get(key, 0), first.total, b.get(key, 0), second.total
        assert (row.count, row.count_other) == (table[0], table[2])
        assert row.g2 == pytest.approx(statistics.g2(*table), abs=1e-9)
        assert row.log_ratio == pytest.approx(statistics.log_ratio(*table), abs=1e-9)
        assert row.lrc == pytest.approx(statistics.lrc(*table, tests=found.tests), abs=1e-9)
        assert row.p == statistics.p_value(statistics.g2(*table))
        assert row.per_million == pytest.approx(table[0] / first.total * 1e6, abs=1e-6)


def test_spellings_of_one_word_are_compared_together_whatever_is_most_frequent_where():
    found = compared(counted("Straße Straße THE the STRASSE"), counted("strasse The The"))
    shown = {row.word: (row.count, row.count_other, row.stop_word) for row in found.show(0, 9)}
    assert shown == {"Straße": (3, 1, False), "THE": (2, 2, True)}
    assert [row.word for row in compared(counted("Straße x"), counted("y"), prefix="strass").show(0, 9)] == ["Straße"]


def test_what_is_listed_changes_no_score():
    one, other = counted(zipfian(5000, 1)), counted(zipfian(5000, 2))
    every = {row.word: row for row in compared(one, other).show(0, 10**6)}
    for how in ({"prefix": "a"}, {"stop_words": False}, {"sign": "positive"}, {"sign": "negative"}, {"sort": "g2"}):
        found = compared(one, other, **how)
        rows = found.show(0, 10**6)
        assert rows
        assert all(row == every[row.word] for row in rows)
        assert found.show(2, 5) == rows[2:5]


def test_keywords_come_by_the_size_of_their_score_and_signs_can_be_chosen():
    one, other = counted(zipfian(5000, 1)), counted(zipfian(5000, 2))
    for sort in ("lrc", "log_ratio", "g2"):
        scores = [abs(getattr(row, sort)) for row in compared(one, other, sort=sort).show(0, 10**6)]
        assert scores == sorted(scores, reverse=True)
    assert all(row.g2 > 0 for row in compared(one, other, sign="positive").show(0, 10**6))
    assert all(row.g2 < 0 for row in compared(one, other, sign="negative").show(0, 10**6))


def test_a_text_has_no_keywords_against_itself_and_none_against_nothing():
    one = counted(TEXT)
    assert all((row.lrc, row.g2, row.p) == (0, 0, 1) for row in compared(one, one).show(0, 99))
    assert len(compared(one, counted(""))) == 0
    assert compared(counted(""), counted("")).sizes == (0, 0)
