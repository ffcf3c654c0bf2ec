"""The language of a text, and the stop words of languages."""

import pytest

from chalicelib import counting
from chalicelib.text import stop_words
from tests import tokens

LONG = {
    "de": "Der schnelle braune Fuchs springt über den faulen Hund und läuft danach in den Wald zurück. ",
    "fr": "Le renard brun saute par-dessus le chien paresseux puis il retourne dans la forêt voisine. ",
    "ru": "Быстрая коричневая лиса прыгает через ленивую собаку и убегает обратно в тёмный лес. ",
    "ja": "素早い茶色の狐は怠け者の犬を飛び越えて、それから森へ帰っていきました。",
}


def language_of(text: str, *declared: str | None) -> str | None:
    return counting.languages_of(text, *declared).language


@pytest.mark.parametrize("code", LONG)
def test_a_language_is_detected_where_there_is_enough_to_judge(code: str) -> None:
    assert language_of(LONG[code] * 8) == code
    assert language_of(LONG[code]) == code


def test_where_nobody_knows_there_is_no_language() -> None:
    assert language_of("Guten Morgen") is None
    assert language_of("12 + 34 = 46 " * 100, "") is None
    assert language_of("") is None


def test_a_script_of_one_language_is_known_at_once() -> None:
    for text, code in (("Καλημέρα", "el"), ("สวัสดี", "th"), ("שלום", "he"), ("안녕하세요", "ko"), ("こんにちは", "ja")):
        assert language_of(text) == code
    for text, code in (("我要去学校。", "zh"), ("কিছু করি না।", "bn"), ("吾輩は猫である", "ja")):
        assert language_of(text) == code
    assert language_of("入場無料。", "ja") == "ja"
    assert language_of("שלום", "yi") == "yi"
    assert language_of("Καλημέρα", "en") == "el"


def test_a_sentence_of_few_letters_is_judged_where_the_guess_is_very_clear() -> None:
    for text, code in (("Wo ist der Bahnhof?", "de"), ("Ich gehe nach Hause.", "de")):
        assert language_of(text) == code


def test_a_language_is_looked_for_where_the_letters_are() -> None:
    sparse = "\n".join(f"{' ' * 400}{line}" for line in (LONG["ru"] * 8).split(". "))
    assert language_of(sparse) == "ru"
    assert language_of("吾輩は猫である。名前はまだ無い。" * 5) == "ja"


def test_a_declaration_loses_against_nearly_all_of_the_page_only() -> None:
    assert language_of(LONG["ru"] * 30, "en") == "ru"
    assert language_of(LONG["de"] * 10 + LONG["fr"] * 20, "de") == "de"
    assert language_of(LONG["de"], "en") == "en"


def test_a_page_has_each_language_of_a_tenth_of_it() -> None:
    shares = counting.languages_of(LONG["de"] * 20 + LONG["fr"] * 20, "en").shares
    assert shares.keys() == {"de", "fr"}
    assert sum(shares.values()) == pytest.approx(1)
    assert counting.languages_of(LONG["de"] * 20).shares == {"de": 1.0}


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
    assert language_of("x", tag) == code


@pytest.mark.parametrize("tag", ["", "und", "x-default", "english", "12", "de, en", "mul", "\ud800"])
def test_what_names_no_one_language_is_no_declaration(tag: str) -> None:
    assert language_of("x", tag) is None
    assert language_of(LONG["ru"] * 8, tag, "ru") == "ru"


def test_stop_words_are_folded_words_of_the_language() -> None:
    english = counting.stop_words("en-GB")
    assert {"the", "don't", "it's", "i'm", "cannot", "may", "upon"} <= english
    assert not english & {"one", "two", "new", "python", "", "'"}
    assert {"l'", "qu'", "plus", "cette", "où"} <= counting.stop_words("fr")
    assert {"și", "în"} <= counting.stop_words("ro")
    assert "bir" in counting.stop_words("tr")


@pytest.mark.slow
def test_every_entry_of_every_list_is_one_word_by_the_rules() -> None:
    for language in stop_words.languages():
        listed = counting.stop_words(language)
        assert len(listed) >= 20, language
        for entry in listed:
            text = f"{entry}a" if entry.endswith("'") else entry  # an elided form is one before a letter only
            assert stop_words.fold(tokens.tokens(text, language)[0].word) == entry, (language, entry)


@pytest.mark.slow
def test_every_word_of_our_own_is_one_word_by_the_rules() -> None:
    for language, listed in stop_words._repairs().items():
        for entry in listed.get("add", "").split():
            assert stop_words.fold(entry) in counting.stop_words(language), (language, entry)


def test_a_language_without_a_list_has_no_stop_words() -> None:
    assert counting.stop_words("xx") == frozenset()
    assert counting.stop_words(None) == frozenset()
