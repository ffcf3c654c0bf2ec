"""Counting: the words of many languages as data, NLTK as the judge, hostile texts, languages and stop words."""

import json
import random
import resource
import time
from collections import Counter
from pathlib import Path

import nltk
import pytest
from nltk.tabdata import PunktDecoder

from chalicelib import counting
from tests.fuzz import texts

# Loading a language's Punkt takes a fifth of a second: English alone is among the unit tests.
_MARKS = dict.fromkeys(counting._PUNKT.keys() - {"en"}, pytest.mark.slow)
SENTENCES = [
    pytest.param(path.stem, row["text"], row["words"], id=f"{path.stem}-{number}", marks=_MARKS.get(path.stem, ()))
    for path in sorted((Path(__file__).parent / "words").glob("*.json"))
    for number, row in enumerate(json.loads(path.read_text(encoding="utf-8")))
]


def reference(text: str, name: str = "english") -> Counter[str]:
    return Counter(word for token in nltk.word_tokenize(text, name) for word in counting._words_of(token))


@pytest.mark.parametrize(("language", "text", "words"), SENTENCES)
def test_a_sentence_has_the_words_that_a_reader_finds(language: str, text: str, words: list[str]) -> None:
    assert counting.count(text, language) == Counter(words)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "etc.",
        'He left etc. ") Then more.',
        'One. " Two.',
        'One.\n" Two.',
        "x. ) ) ",
        "it's' end",
        "it's'\nend",
        ". . .'s and .'s.",
        "vgl.\xa0oben. Dann",
        "a\x1cb. c\x1f",
        "Mr. Smith vs. Jones etc. and so on. J. Bach. No. 5. The end",
        "a,,b c:,d 1,000 e,1 10:30 f:g",
        "cannot Gonna more'n 'tis 'twas d'ye wanna",
        "e.g.>",
        "\ud800 a \udfff. b",
        "x" * 100_000,
        "a.b" * 10_000,
    ],
)
def test_context_is_judged_as_nltk_does(text: str) -> None:
    for _ in ("new", "remembered"):
        assert counting.count(text) == reference(text)


@pytest.mark.slow
def test_generated_texts_have_nltks_words() -> None:
    chance = random.Random(20)
    for _ in range(60):
        text = texts.text(chance)
        assert counting.count(text) == reference(counting._clean(text)[0]), text


def test_what_a_reader_does_not_see_neither_splits_a_word_nor_counts() -> None:
    assert counting.count("co\u00adop\u2060era\ufefftion\u200b") == {"cooperation": 1}
    assert counting.count("می\u200cخوانم", "fa") == {"می\u200cخوانم": 1}
    assert counting.count("e\u0301te\u0301") == {"été": 1}


def test_a_token_of_two_scripts_is_parted_between_them() -> None:
    assert counting.count("系统的apt-get命令，在PID。", "zh") == Counter("系统 的 apt-get 命令 在 PID".split())


@pytest.mark.parametrize(
    ("text", "words"),
    [("๓", {}), ("〇 zero ๑๒๓.", {"zero": 1}), ("๓)No", {"No": 1}), ("第๓.) x 〇、a.", {"第": 1, "x": 1, "a": 1})],
)
def test_digits_of_a_script_without_spaces_are_no_words(text: str, words: dict[str, int]) -> None:
    counting.forget()
    assert counting.count(text) == words


@pytest.mark.slow
def test_learning_from_one_text_changes_nothing_in_the_next() -> None:
    text = "Mr. Smith's dog can't. 日本語 etc. \"x.\" 1. A"
    counting.forget()
    first = counting.tally(text)
    counting.count("etc. 日本 Smith. can't", "de")
    assert counting.tally(text) == first


def test_the_memo_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_MEMO_CHARACTERS", 30_000)
    for start in range(0, 3000, 300):
        counting.count(" ".join(f"w{number}" for number in range(start, start + 300)))
        assert counting._Memo.characters <= 45_000
    assert len(counting._memo("english").values) < 2000
    counting.forget()


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    ['x. ") ', '"', "' ", "a.\xa0", "it's' ", '."--', "a\x1cb "],
    ids=["ends", "quotes", "apostrophes", "wide", "clitics", "dashes", "controls"],
)
def test_a_hostile_text_is_counted_without_context_and_says_so(unit: str) -> None:
    started = time.process_time()
    tally = counting.tally(unit * (260_000 // len(unit)))
    assert time.process_time() - started < 3
    assert tally.approximate


def test_an_ordinary_text_is_exact() -> None:
    assert not counting.tally("It is. " * 20_000).approximate


@pytest.mark.slow
def test_combining_marks_without_end_cost_little() -> None:
    started = time.process_time()
    assert counting.tally("e" + "\u0301\u0316" * 200_000).approximate
    assert time.process_time() - started < 2


@pytest.mark.slow
def test_a_long_token_of_two_scripts_takes_little_memory() -> None:
    text = "中" + "a/" * 500_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert counting.count(text) == {"中": 1, text[1:-1]: 1}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KB; backtracking took 140 MB


LONG = {
    "de": "Der schnelle braune Fuchs springt über den faulen Hund und läuft danach in den Wald zurück. ",
    "fr": "Le renard brun saute par-dessus le chien paresseux puis il retourne dans la forêt voisine. ",
    "ru": "Быстрая коричневая лиса прыгает через ленивую собаку и убегает обратно в тёмный лес. ",
    "ja": "素早い茶色の狐は怠け者の犬を飛び越えて、それから森へ帰っていきました。",
}


@pytest.mark.parametrize("code", LONG)
def test_a_language_is_detected_where_there_is_enough_to_judge(code: str) -> None:
    assert counting.language_of(LONG[code] * 8, None, None) == code


def test_a_few_words_are_not_guessed() -> None:
    assert counting.language_of("Guten Morgen zusammen", None, None) == "en"
    assert counting.language_of("12 + 34 = 46 " * 100, "", None) == "en"


def test_a_language_is_looked_for_where_the_letters_are() -> None:
    sparse = "\n".join(f"{' ' * 400}{line}" for line in (LONG["ru"] * 8).split(". "))
    assert counting.language_of(sparse, None, None) == "ru"
    assert counting.language_of("吾輩は猫である。名前はまだ無い。" * 5, None, None) == "ja"


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("en-US", "en"),
        ("pt_BR", "pt"),
        ("zh-Hant", "zh"),
        ("nb", "no"),
        ("nn-NO", "no"),
        (" DE ", "de"),
        ("iw", "he"),
        ("hi-Latn", "hi-Latn"),
        ("deu", "de"),
        ("sw", "sw"),
    ],
)
def test_the_declared_language_is_normalised(tag: str, code: str) -> None:
    assert counting.language_of(LONG["ru"] * 8, tag, None) == code


@pytest.mark.parametrize("tag", ["", "und", "x-default", "english", "12", "de, en", "mul", "\ud800"])
def test_what_names_no_one_language_is_no_declaration(tag: str) -> None:
    assert counting.language_of(LONG["ru"] * 8, tag, None) == "ru"


def test_the_request_beats_the_declaration() -> None:
    assert counting.language_of(LONG["ru"] * 8, "ru", "en") == "en"


def test_every_list_of_nltk_has_a_language() -> None:
    assert set(counting._STOP_WORDS.values()) == set(nltk.corpus.stopwords.fileids()) - {"english-extended"}
    assert len(counting._STOP_WORDS) == 33
    assert all(counting.has_stop_words(code) for code in counting._STOP_WORDS)


def test_stop_words_hold_the_clitics_and_both_halves_of_contractions() -> None:
    words = counting.stop_words("en")
    assert {"the", "don't", "n't", "'s", "'re", "'ll", "'ve", "wo", "ca", "do"} <= words
    assert not words & {"python", "", "'"}
    assert "не" in counting.stop_words("ru-RU")


def test_a_language_without_a_list_says_so() -> None:
    assert counting.stop_words("ja") == frozenset()
    assert not counting.has_stop_words("ja")


@pytest.mark.slow
def test_punkts_tables_are_read_as_nltk_reads_them() -> None:
    for language in ("german", "polish", "russian"):
        file = nltk.data.find(f"tokenizers/punkt_tab/{language}/").join("ortho_context.tab")
        with file.open(encoding="utf-8") as lines:
            expected = {word: int(number) for word, number in (line.rstrip("\n").split("\t") for line in lines)}
        with file.open(encoding="utf-8") as table:
            assert counting._read_table(PunktDecoder(), table) == expected
