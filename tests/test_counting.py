"""Counting: the words of many languages as data, offsets, sentences, hostile texts, NLTK's words by NLTK."""

import gzip
import json
import random
import re
from collections import Counter
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pytest
from icu4py.breakers import WordBreaker

from chalicelib import counting
from chalicelib.text import words
from tests import tokens
from tests.conftest import SHARED, require
from tests.fuzz import texts

SENTENCES = [
    pytest.param(path.stem, row["text"], row["words"], id=f"{path.stem}-{number}")
    for path in sorted((Path(__file__).parent / "words").glob("*.json"))
    for number, row in enumerate(json.loads(path.read_text(encoding="utf-8")))
]


def in_order(text: str, language: str | None = "en", **options: str) -> list[str]:
    return [token.word for token in tokens.tokens(text, language, **options)]


@pytest.mark.parametrize(("language", "text", "expected"), SENTENCES)
def test_a_sentence_has_the_words_that_a_reader_finds(language: str, text: str, expected: list[str]) -> None:
    assert sorted(in_order(text, language)) == sorted(expected)
    assert counting.count(text, language) == Counter(expected)


RULES = [
    ("", "محمد\ufdfa: \ufdfbلا", "محمد صلى الله عليه وسلم جل جلاله لا"),  # signs that are several words
    # 1 addresses
    ("", "see http://a.example/x?y=z, (https://b.example) or mailto:x.y@c.example now", "see or mailto now"),
    ("", "www.a.example WWW.B.EXAMPLE a@b @c d@localhost.", "a b c d localhost"),
    ("zh", "访问http://a.example/查看 联系a.b@c.example。", "访问 查看 联系"),
    # a hyphens, b apostrophes
    ("", "COVID-19 non‑breaking hyphen‐ated --x- - y-", "COVID-19 non-breaking hyphen-ated x y"),
    ("", "don’t ＇tis rock'n'roll 1990'larda dogs' ’90", "don't tis rock'n'roll 1990'larda dogs"),
    ("be", "з’яўляюцца зʼява ʼ", "з'яўляюцца з'ява"),
    ("he", "בן־אדם", "בן־אדם"),
    # c elision
    ("fr", "L’homme qu'il l’a d'aujourd’hui, quelqu'une;", "L' homme qu' il l' a d' aujourd'hui quelqu'une"),
    ("fr", "jusqu'à QU'ON", "jusqu' à QU' ON"),
    ("fr", "entr'acte entr'ouvert presqu'île l'11", "entr'acte entr' ouvert presqu'île l'11"),
    ("it", "Dell’arte c'è un'altra l'11", "Dell' arte c' è un' altra l'11"),
    ("ca", "L'home d’ahir s'ha posa't", "L' home d' ahir s' ha posa't"),
    ("en", "L'homme", "L'homme"),
    # d periods
    ("", "U.S. e.g., z.B. т.е. Mr. end. node.js. a.b", "U.S. e.g. z.B. т.е. Mr end node.js a.b"),
    # e, f, g, h
    ("sv", "EU:s FN: std::string 3:e", "EU:s FN std string e"),
    ("en", "key:value", "key value"),
    ("ca", "col·legi 서울·부산", "col·legi 서울 부산"),
    ("he", 'צה"ל צה״ל "שלום" וכו\'', 'צה"ל צה"ל שלום וכו\''),
    ("", "foo_bar _x_ __init__ ___", "foo_bar x init"),
    # 4 scripts without spaces
    ("ja", "「データベース」とカーがある。", "データベース と カー が ある"),
    ("th", "ประเทศไทย๒๕๖๐", "ประเทศไทย"),
    ("zh", "使用apt-get命令，第1章", "使用 apt-get 命令 第 章"),
    # the text
    ("", "co\u00adop\u2060era\ufefftion\u200b ﬁle ＡＢＣ 𝐛𝐨𝐥𝐝 كتــــاب", "cooperation file ABC bold كتاب"),
    ("", "e\u0301te\u0301 x² ½", "été x"),
    ("fa", "می\u200cخوانم", "می\u200cخوانم"),
    ("th", "ก\u200bข", "ก ข"),
    ("", "1,000 3.14 1.5GB 2nd 4x4 ok👍 I❤NY ™Brand® Ⅳ ⓐ", "1.5GB 2nd 4x4 ok I NY Brand"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "expected"), RULES)
def test_each_rule_parts_and_joins_as_it_says(language: str, text: str, expected: str) -> None:
    assert in_order(text, language) == expected.split(" ")


def test_numbers_are_words_where_they_are_kept() -> None:
    segments = counting.segment("In 2024-11-28, 1,000 of 3.5 were ๒๕ or ½", "en", numbers="keep")
    assert segments.words == ["In", "2024-11-28", "1,000", "of", "3.5", "were", "๒๕", "or"]
    assert counting.count(segments.text, "en", numbers="keep") == segments.counts()
    assert counting.segment("In 2024", "en").words == ["In"]


@pytest.mark.parametrize("unit", ["U.S. don’t 日本語。ไทย ", "《引用》x中 a_b ", "L’été, à 3:e ", "ok👍 𝐛 z.B. "])
def test_offsets_lead_to_the_word_in_the_prepared_text(unit: str) -> None:
    marks = str.maketrans("’ʼ‐‑”״", "''--\"\"")
    for language in ("en", "fr", "sv", None):
        text = words.prepare(unit * 3)
        found = tokens.tokens(unit * 3, language)
        assert [text[token.start : token.end].translate(marks) for token in found] == [token.word for token in found]
        assert all(before.end <= after.start for before, after in pairwise(found))


def test_segments_say_where_sentences_and_blocks_end() -> None:
    segments = counting.segment("Mr. A. Smith came. He left!\nNew line\n\n12\nв г. Москва. А вот?", "en")
    assert [segments.words[row] for row in segments.rows[:4]] == ["Mr", "A", "Smith", "came"]
    assert list(segments.sentence_ends) == [4, 6, 8, 11, 13]
    assert list(segments.block_ends) == [6, 8, 13]
    empty = counting.segment("", "en")
    assert not empty.rows
    assert not empty.sentence_ends


def test_a_text_in_pieces_has_the_words_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(3)
    for _ in range(40):
        text = texts.text(chance) * 5
        with monkeypatch.context() as patch:
            whole = tokens.tokens(text)
            patch.setattr(words, "_PIECE", 7)
            patch.setattr(words, "_MEMO_BYTES", 3000)
            counting.forget()
            assert tokens.tokens(text) == whole
            assert counting.count(text) == Counter(token.word for token in whole)


def test_learning_from_one_text_changes_nothing_in_the_next() -> None:
    text = "Mr. Smith's dog can't. 日本語 ージョン たっ"
    counting.forget()
    first = counting.count(text, "ja")
    counting.count("ージョン たっ etc. 日本 Smith. can't", "de")
    assert counting.count(text, "ja") == first
    counting.forget()
    assert counting.count(text, "ja") == first


def test_the_memo_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_MEMO_BYTES", 200_000)
    for start in range(0, 3000, 300):
        counting.count(" ".join(f"w{number}" for number in range(start, start + 300)))
    assert 0 < len(words.rules_of("en").memo) <= 600
    counting.forget()
    assert not words.rules_of("en").memo


@pytest.mark.parametrize("text", ["", " ", "\n", "\ud800 a \udfff. b", "\u0301a", "\u200d\u200c", "a\x00b", "'"])
def test_no_text_is_refused(text: str) -> None:
    for language in ("en", "fr", "sv", "ja", "x-unknown", None):
        assert sum(counting.count(text, language).values()) == len(tokens.tokens(text, language))


def test_a_run_of_marks_without_end_is_interrupted_as_unicode_says() -> None:
    text = words.prepare("e" + "\u0316" * 100)
    assert text == "e" + "\u034f".join(["\u0316" * 30] * 3 + ["\u0316" * 10])


def test_a_mark_of_kana_or_thai_behind_another_letter_takes_no_word_away() -> None:
    assert in_order("a\u3099 国 b\u0e31 日本 \u0e17", "ja") == ["a", "国", "b", "日本", "\u0e17"]


@pytest.mark.slow
@pytest.mark.parametrize("code", ["en", "fr", "it", "sv"])
def test_the_short_cut_past_the_patterns_changes_nothing(code: str) -> None:
    chance = random.Random(5)
    alphabet = "aÉß.,:;'’-_@/1\"”״א日ー\u0301\u200d…!?()[]{}<>=#|+~^$%&\\*`«»„“‘–—www.:///"
    rules = words.rules_of(code)
    for _ in range(3000):
        chunk = "".join(chance.choices(alphabet, k=chance.randint(1, 7)))
        (slowly,) = rules._parted([words.prepare(chunk)], words._pattern(rules.colon, False))
        assert rules._learned([chunk]) == {chunk: slowly}


@pytest.mark.slow
@pytest.mark.parametrize("alphabet", ["abéßЯα12,;‘\u2024!\u0301\u200dאم/ \n\u00a0+", "aéЯ1;,!🙂אم/ \u0308‘"])
def test_where_no_tailoring_speaks_words_are_those_between_icus_boundaries(alphabet: str) -> None:
    chance = random.Random(1)
    for _ in range(3000):
        text = words.prepare("".join(chance.choices(alphabet, k=chance.randint(1, 10))))
        assert in_order(text) == [word for word in WordBreaker(text, "en") if any(map(str.isalpha, word))], text


@pytest.mark.slow
@pytest.mark.parametrize("code", ["en", "de", "xx"])
def test_nltks_words_are_what_nltk_says(code: str) -> None:
    import nltk  # a second, by SciPy, which the unit tests need not wait for

    chance = random.Random(20)
    name = {"de": "german"}.get(code, "english")
    for _ in range(30):
        text = texts.text(chance)
        expected = [token for token in nltk.word_tokenize(text, name) if any(map(str.isalpha, token))]
        assert counting.count(text, code, words="nltk") == Counter(expected)
        found = tokens.tokens(text, code, words="nltk")
        assert [token.word for token in found] == expected
        assert [text[token.start : token.end] for token in found] == expected


def test_the_rules_have_names_with_the_versions_of_their_parts() -> None:
    assert counting.rules("unicode").startswith("unicode-1/icu-")
    assert version("nltk").startswith(counting.rules("nltk").removeprefix("nltk-"))


# --- the treebanks beside the repository ---

_MARKS = str.maketrans("’ʼ＇‐‑", "'''--")
LEAST = {"fr": 99.5, "it": 99.5, "es": 99.7, "hi": 99.2, "fa": 99.9, "tr": 99.6, "he": 98.0, "ru": 99.0, "da": 99.0,
          "fi": 99.0, "nl": 99.0, "sv": 99.0, "en": 97.8}  # fmt: skip


@pytest.mark.slow
def test_the_words_are_those_of_the_treebanks() -> None:
    sentences = require_sentences()
    found: dict[str, list[int]] = {}
    for row in sentences:
        ours = Counter(word.translate(_MARKS) for word in counting.count(row["text"], row["language"]).elements())
        theirs = Counter(word.translate(_MARKS) for word in row["words"])
        hits, total = found.setdefault(row["treebank"], [0, 0])
        found[row["treebank"]] = [hits + 2 * (ours & theirs).total(), total + ours.total() + theirs.total()]
    for treebank, (hits, total) in found.items():
        language = next(row["language"] for row in sentences if row["treebank"] == treebank)
        assert treebank == "English-PUD" or 100 * hits / total >= LEAST.get(language, 0), treebank


def require_sentences() -> list[dict[str, object]]:
    file = SHARED / "words" / "sentences.jsonl.gz"
    require(file.is_file(), "../shared/words")
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_the_examples_of_the_documentation_are_true() -> None:
    names = {"French": "fr", "Italian": "it", "Swedish": "sv", "Spanish": "es", "Arabic": "ar", "Hebrew": "he",
             "Persian": "fa", "Japanese": "ja", "Chinese": "zh"}  # fmt: skip
    document = (Path(__file__).parent.parent / "docs" / "words.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(.+)`(?: \((\w+)\))? \| (.+?) \| .*\|$", document.partition("## Your choices")[0], re.M)
    assert len(rows) >= 20
    for text, language, expected in rows:
        assert in_order(text, names[language] if language else "en") == expected.split(" · ")


def test_the_answer_that_the_readme_shows_is_true() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    text = re.findall(r'{"text": "(.+)"}', readme)[0]
    answer = json.loads(re.findall(r"```json\n(.+?)```", readme, re.S)[0])
    language = counting.languages_of(text).language
    counts, stop_words = Counter(map(str.casefold, in_order(text, language))), counting.stop_words(language)
    stopped = sum(count for word, count in counts.items() if word in stop_words)
    assert answer["page"] == {"language": language, "encoding": "utf-8", "bytes": len(text)}
    assert answer["totals"] == {
        "words": counts.total(), "distinct": len(counts), "stop_words": stopped, "stop_list": bool(stop_words)
    }  # fmt: skip
    assert answer["top"] == [
        {"word": word, "count": count} for word, count in counts.most_common() if word not in stop_words
    ]


def test_the_kept_cases_have_their_words() -> None:
    file = SHARED / "words" / "cases.json"
    require(file.is_file(), "../shared/words")
    for case in json.loads(file.read_text(encoding="utf-8")):
        assert in_order(case["text"], case["language"]) == case["words"]


@pytest.mark.parametrize(
    "text",
    [
        "ﬁne caf\u0065\u0301 ｗｉｄｅ ﬁ Ｗｏｒｄ",  # other shapes, with and without marks behind them
        "soft\u00adhyphen x\u2060y \ufeffz كتـــاب",  # what no reader sees
        "\u1112\u1161\u11ab\u1100\u1173\u11af \u2126 \uf900\uf901 \ufad0",  # letters that are not in their normal form
        "محمد\ufdfaقال \ufdfb\ufdfb",  # several words in one character, beside others
        "\ufdfa \ufe71a \ufe70",  # one character that is several words, or gives what is deleted
        "ก\u200bข a\u200bb ｶﾞｷﾞ",
        "a" + "\u0344" * 40 + " \u0958" + "\u0316\u0301" * 15,  # marks that are two
    ],
)
def test_a_chunk_has_the_same_words_before_and_after_it_is_prepared(text: str) -> None:
    prepared = words.prepare(text)
    assert words.prepare(prepared) == prepared
    counting.forget()
    raw = counting.count(text)
    assert raw == counting.count(prepared) == counting.segment(text, "en").counts()
    counting.forget()
    assert counting.segment(text, "en").counts() == raw
