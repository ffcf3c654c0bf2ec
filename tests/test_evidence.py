"""Contexts, phrases and keywords of a counted text, against plain counts of the same."""

import random
from collections import Counter

import pytest

from chalicelib.analysis import contexts, keywords, phrases, statistics, tokens, words
from chalicelib.analysis.contexts import Context
from tests.evidence import counted, zipfian

TEXT = "The cat saw the dog. New York, new York! Don't stop\nThe end of the dog. L'homme-là a dit: the dog saw New York"


def shown(evidence, word, **how):
    return list(contexts.show(evidence, contexts.find_word(evidence, word), **how))


# --- tokens ---


@pytest.mark.parametrize("text", ["", " ", "one", TEXT, zipfian(3000), "x " + "?" * 70_000 + " y " + "!" * 254 + "z"])
def test_tokens_are_read_back_as_they_were_packed(text):
    evidence = counted(text)
    back = tokens.unpack(tokens.pack(evidence.tokens, evidence.table.words), evidence.table.words)
    assert back == evidence.tokens
    assert tokens.unpack_text(tokens.pack_text(text)) == text


def test_a_table_of_many_rows_needs_wider_columns():
    text = " ".join("".join(chr(97 + int(digit)) for digit in str(number)) for number in range(70_000))
    evidence = counted(text)
    assert tokens.unpack(tokens.pack(evidence.tokens, evidence.table.words), evidence.table.words) == evidence.tokens


def test_an_overlong_word_ends_where_its_stored_beginning_does():
    evidence = counted("a " + "b" * 20_000 + " c")
    back = tokens.unpack(tokens.pack(evidence.tokens, evidence.table.words), evidence.table.words)
    assert list(back.starts) == [0, 2, 20_003]
    [row] = [word for word in evidence.table.words if len(word) > 10]
    assert shown(evidence, row, window=1)[0].match == "b" * words.WORD_CHARACTERS


def test_damaged_tokens_are_refused():
    evidence = counted(TEXT)
    packed = tokens.pack(evidence.tokens, evidence.table.words)
    for damaged in (b"", packed[:-3], packed[:9] + b"\0\0" + packed[11:]):
        with pytest.raises(tokens.DamagedTokens):
            tokens.unpack(damaged, evidence.table.words)
    with pytest.raises(tokens.DamagedTokens):
        tokens.unpack(packed, evidence.table.words[:3])
    with pytest.raises(tokens.DamagedTokens):
        tokens.unpack_text(packed)


def test_half_a_surrogate_pair_is_replaced_without_moving_anything():
    assert tokens.encodable("a\ud800\udc00b") == "a\ufffd\ufffdb"
    assert tokens.encodable("añ🎉") == "añ🎉"


# --- contexts ---


def test_a_context_is_a_piece_of_the_text():
    evidence = counted(TEXT)
    assert shown(evidence, "york", window=1) == [
        Context(25, 29, round(25 / len(TEXT), 6), "New ", "York", ", new"),
        Context(35, 39, round(35 / len(TEXT), 6), "new ", "York", "! Don't"),
        Context(len(TEXT) - 4, len(TEXT), round((len(TEXT) - 4) / len(TEXT), 6), "New ", "York", ""),
    ]


@pytest.mark.parametrize("fold_case", [True, False])
def test_every_word_has_as_many_contexts_as_it_is_counted(fold_case):
    evidence = counted(zipfian(20_000) + TEXT)
    table = words.folded(evidence.table) if fold_case else evidence.table
    for word, count in zip(table.words, table.counts, strict=True):
        found = contexts.find_word(evidence, word, fold_case=fold_case)
        assert len(found) == count
        for context in contexts.show(evidence, found[:20]):
            assert context.match == evidence.text[context.start : context.end]
            assert (words.fold(context.match) if fold_case else context.match) == word


def test_a_word_is_found_as_people_type_it():
    assert len(contexts.find_word(counted(TEXT), "don’t")) == 1
    assert len(contexts.find_word(counted("caf\u00e9"), "cafe\u0301")) == 1
    assert contexts.find_word(counted(TEXT), "absent") == contexts.find_word(counted(""), "x") == []
    assert contexts.find_word(counted(TEXT), "") == contexts.find_phrase(counted(TEXT), "  ") == []


def test_a_sentence_is_shown_with_its_own_signs():
    evidence = counted('One two. "Three four!" Five six (seven).\nEight')
    assert [context.before + context.match + context.after for context in shown(evidence, "four", unit="sentence")] == [
        '"Three four!" Five six (seven).'
    ]
    [context] = shown(evidence, "eight", unit="sentence")
    assert (context.before, context.match, context.after) == ("", "Eight", "")


def test_a_window_of_characters_is_as_wide_as_asked_and_none_wider_than_the_bound():
    evidence = counted("x" * 3 + " " * 5000 + "middle" + "." * 5000 + "y")
    [context] = shown(evidence, "middle", unit="characters", window=4)
    assert (context.before, context.after) == (" " * 4, "." * 4)
    for unit in ("words", "characters"):
        [context] = shown(evidence, "middle", unit=unit, window=1_000_000)
        assert (len(context.before), len(context.after)) == (contexts.SIDE_MOST, contexts.SIDE_MOST)


def test_contexts_are_sorted_by_the_nearest_word_first():
    evidence = counted("b c X d a. a z X b a. z c X b b. X")
    found = contexts.find_word(evidence, "x")
    left = [
        context.before.split()[::-1] for context in contexts.show(evidence, contexts.ordered(evidence, found, "left"))
    ]
    assert left == sorted(left)
    assert [before[:2] for before in left] == [["b.", "b"], ["c", "b"], ["c", "z"], ["z", "a"]]
    right = [c.after.split()[:2] for c in contexts.show(evidence, contexts.ordered(evidence, found, "right"))]
    assert right == [[], ["b", "a."], ["b", "b."], ["d", "a."]]
    assert contexts.ordered(evidence, found, "place") == found


def test_a_phrase_stays_in_its_sentence_and_may_overlap_itself():
    evidence = counted("ha ha ha. Ha ha\nha")
    assert len(contexts.find_phrase(evidence, "HA ha")) == 3
    assert len(contexts.find_phrase(evidence, "ha ha ha")) == 1
    assert contexts.find_phrase(counted(TEXT), "dog New") == []


def test_a_phrase_without_spaces_is_found_in_the_words_that_touch():
    evidence = counted(TEXT)
    parts = evidence.tokens
    again = counted("東京 大学")  # as a segmenter would part 東京大学: two words, and no gap between them
    touching = contexts.Evidence("東京大学", tokens.Tokens(again.tokens.rows, [0, 2], [2], [2]), again.table)
    assert contexts.find_phrase(touching, "東京大学") == [range(2)]
    assert contexts.find_phrase(again, "東京大学") == []
    assert contexts.find_phrase(again, "東京 大学") == [range(2)]
    assert len(contexts.find_phrase(evidence, "new york")) == 3
    assert contexts.find_phrase(evidence, "new y") == []
    assert len(parts) == sum(evidence.table.counts)


# --- phrases ---


def plain_phrases(evidence, n):
    """Every run of n words inside the sentences, without case."""
    rows, found, before = evidence.tokens.rows, Counter(), 0
    for end in sorted({*evidence.tokens.sentence_ends, *evidence.tokens.block_ends}):
        sentence = [words.fold(evidence.table.words[row]) for row in rows[before:end]]
        found.update(tuple(sentence[at : at + n]) for at in range(len(sentence) - n + 1))
        before = end
    return found


@pytest.mark.parametrize("n", [2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(3))
def test_phrases_are_those_of_a_plain_count(n, seed):
    evidence = counted(zipfian(4000, seed, vocabulary=random.Random(seed).choice([4, 30, 300])))
    expected = plain_phrases(evidence, n)
    for least in (2, 3):
        found = phrases.phrases(evidence, n, min_count=least, stop_words="include")
        rows = found.show(0, len(found))
        assert found.windows == sum(expected.values())
        got = {tuple(map(words.fold, row.phrase)): row.count for row in rows}
        assert got == {phrase: count for phrase, count in expected.items() if count >= least}
        for row in rows[:5]:
            assert len(contexts.find_phrase(evidence, " ".join(row.phrase))) == row.count


def test_a_pair_is_measured_by_the_places_it_can_have():
    evidence = counted(zipfian(3000, vocabulary=20))
    pairs = plain_phrases(evidence, 2)
    n = sum(pairs.values())
    for row in phrases.phrases(evidence, stop_words="include").show(0, 50):
        x, y = map(words.fold, row.phrase)
        fx = sum(count for (first, _), count in pairs.items() if first == x)
        fy = sum(count for (_, second), count in pairs.items() if second == y)
        expected = statistics.association(row.count, fx, fy, n)
        assert (row.logdice, row.g2, row.npmi) == pytest.approx(
            (expected.log_dice, expected.g2, expected.npmi), abs=1e-6
        )


@pytest.mark.parametrize("measure", ["logdice", "g2", "npmi", "count"])
def test_phrases_come_by_their_measure(measure):
    rows = (found := phrases.phrases(counted(zipfian(5000)), measure=measure)).show(0, len(found))
    values = [getattr(row, measure) for row in rows]
    assert values == sorted(values, reverse=True)
    assert rows[3:8] == found.show(3, 8)


def test_stop_words_are_left_out_of_phrases_only_afterwards():
    evidence = counted("The end of the day. The end of the day")
    rows = {stops: phrases.phrases(evidence, 4, stop_words=stops) for stops in ("edges", "any", "include")}
    assert [row.phrase for row in rows["edges"].show(0, 9)] == [("end", "of", "the", "day")]
    assert len(rows["any"]) == 0
    assert len(rows["include"]) == 2


def test_a_phrase_is_shown_as_it_is_mostly_written():
    evidence = counted("New York. New York. new york. NEW YORK")
    assert [row.phrase for row in phrases.phrases(evidence).show(0, 9)] == [("New", "York")]


def test_a_text_without_repetitions_has_no_phrases():
    for text in ("", "one", "one two three four five six", "a\na\na"):
        assert phrases.phrases(counted(text), 2, stop_words="include").show(0, 9) == []


# --- keywords ---


def compared(one, other, **how):
    return keywords.keywords(words.folded(one.table), words.folded(other.table), **how)


def test_keywords_hold_every_word_of_both_texts_with_its_scores():
    one, other = counted(zipfian(5000, 1, vocabulary=50)), counted(zipfian(9000, 2, vocabulary=80))
    found = compared(one, other)
    first, second = words.folded(one.table), words.folded(other.table)
    a, b = dict(zip(first.words, first.counts, strict=True)), dict(zip(second.words, second.counts, strict=True))
    assert found.tests == len(found) == len(a.keys() | b.keys())
    assert found.sizes == (first.total, second.total)
    for row in found.show(0, len(found)):
        table = a.get(row.word, 0), first.total, b.get(row.word, 0), second.total
        assert (row.count, row.count_other) == (table[0], table[2])
        assert row.g2 == pytest.approx(statistics.g2(*table), abs=1e-9)
        assert row.log_ratio == pytest.approx(statistics.log_ratio(*table), abs=1e-9)
        assert row.lrc == pytest.approx(statistics.lrc(*table, tests=found.tests), abs=1e-9)
        assert row.p == statistics.p_value(statistics.g2(*table))
        assert row.per_million == pytest.approx(table[0] / first.total * 1e6, abs=1e-6)


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
