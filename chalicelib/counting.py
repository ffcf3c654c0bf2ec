"""The words of a text, how often each occurs and where: Unicode's words by default, NLTK's on request.

``words="unicode"`` follows docs/words.md (`text.words`); ``words="nltk"`` calls NLTK's tokenizer and nothing else. Both
cost time linear in the text, but NLTK's own patterns: those can raise ``TimeoutError``.
"""

import gc
import re
import warnings
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from heapq import merge
from itertools import count as numbers_from
from typing import Any, NamedTuple, cast

from chalicelib.text import languages
from chalicelib.text import stop_words as lists
from chalicelib.text import words as unicode

NLTK_RULES = "nltk-3.10"
Vote = languages.Vote


class Token(NamedTuple):
    """A word, where it stands in the prepared text, and the number of its sentence, from 0."""

    word: str
    start: int
    end: int
    sentence: int


@dataclass(frozen=True, slots=True)
class Segments:
    """A text in tokens: token n is ``words[rows[n]]`` and begins at ``text[starts[n]]``; it has the word's length.

    ``words`` are distinct, in the order of their first token. ``sentence_ends`` and ``block_ends`` are numbers of
    tokens before each end, rising; the last is the number of all tokens. A block is a line of the text; no sentence is
    longer.
    """

    text: str
    words: list[str]
    rows: "array[int]"
    starts: "array[int]"
    sentence_ends: "array[int]"
    block_ends: "array[int]"

    def counts(self) -> Counter[str]:
        """How often each word occurs."""
        return Counter({self.words[row]: number for row, number in Counter(self.rows).items()})


def count(text: str, language: str | None = "en", *, words: str = "unicode") -> Counter[str]:
    """Words of ``text`` as written, with how often each occurs; ``language`` is a code like ``en`` or ``pt-BR``."""
    if words == "nltk":
        return Counter(_nltk_words(text, language))
    rules = _rules(language)
    found: Counter[unicode.Found] = Counter()
    for piece in unicode.pieces(unicode.prepare(text)):
        found.update(rules.found(piece.split()))
    several = [(value, found.pop(value)) for value in [*found] if isinstance(value, unicode.Several)]
    counts = cast(Counter[str], found)
    get = counts.get
    for value, number in several:
        for word in value.words:
            counts[word] = get(word, 0) + number  # += would call Counter.__missing__
    return counts


def tokens(text: str, language: str | None = "en", *, words: str = "unicode") -> list[Token]:
    """Words of ``text`` in order; ``prepare(text)[start:end]`` is the word, but for typographic marks."""
    segments = segment(text, language, words=words)
    found: list[Token] = []
    for sentence, end in enumerate(segments.sentence_ends):
        for place in range(len(found), end):
            word, start = segments.words[segments.rows[place]], segments.starts[place]
            found.append(Token(word, start, start + len(word), sentence))
    return found


def segment(text: str, language: str | None, *, words: str = "unicode", numbers: str = "drop") -> Segments:
    """The tokens of ``text`` as arrays. With ``numbers="keep"`` numbers are words too; NLTK's rules know no such."""
    index: defaultdict[str, int] = defaultdict(numbers_from().__next__)
    rows, starts = array("I"), array("I")
    if words == "nltk":
        for word, start in _nltk_places(text, language):
            rows.append(index[word])
            starts.append(start)
    else:
        text = unicode.prepare(text)
        rules = _rules(language, numbers == "keep")
        add_row, add_start = rows.append, starts.append
        start = 0
        for piece in unicode.pieces(text):
            chunks = unicode.chunks_of(piece)
            for chunk, value in zip(chunks, rules.found(chunks), strict=True):
                if isinstance(value, str):
                    add_row(index[value])
                    add_start(start)
                else:
                    for word, offset in zip(value.words, value.offsets, strict=True):
                        add_row(index[word])
                        add_start(start + offset)
                start += len(chunk) + 1
            start -= 1  # no space behind the last
    sentences = _ordinals(merge(_sentence_ends(text), _block_ends(text)), starts)
    return Segments(text, list(index), rows, starts, sentences, _ordinals(_block_ends(text), starts))


def prepare(text: str) -> str:
    """The text that tokens' offsets refer to: NFC, no invisible characters, letters in their usual shapes."""
    return unicode.prepare(text)


def stop_words(language: str | None) -> frozenset[str]:
    """The language's stop words under full case folding; empty where there is no list."""
    return lists.stop_words(languages.code(language or ""))


def language_code(tag: str | None) -> str | None:
    """ISO 639 code of a tag like ``en-US``; None if it names no one language."""
    return languages.code(tag or "")


def languages_of(text: str, *declared: str | None) -> Vote:
    """The language of a text and the shares of its languages; declarations of the page are a prior."""
    return languages.vote(text, *declared)


def rules(words: str = "unicode") -> str:
    """The name of the rules; tables of different rules are never merged."""
    return NLTK_RULES if words == "nltk" else unicode.RULES


def preload(*, nltk: bool = False) -> None:
    """Load what counts need, so that processes forked later share it; NLTK only where it is the default."""
    for language in lists.languages():
        stop_words(language)
    languages_of("preload " * 50)
    count("国 I'm. Mr. x 👍")
    if nltk:
        count("I'm. Mr. x", words="nltk")
    gc.collect()
    gc.freeze()  # nor does the collector visit it again, and write to shared pages


def forget() -> None:
    """Drop what was learned from earlier texts."""
    unicode.forget()


def _rules(language: str | None, numbers: bool = False) -> unicode.Rules:
    return unicode.rules_of(languages.code(language or "") or "", numbers)


# --- sentences and blocks ---

_LINE_END = re.compile(r"[\n\x0b\x0c\r\x85\u2028\u2029]")
_CLOSING = "\"')\\]}»”’›」』）】》"
_FULL_STOPS = "。！？｡"  # end a sentence whatever comes behind
_SENTENCE_END = re.compile(rf"[.!?…؟۔।॥።෴{_FULL_STOPS}]++[{_CLOSING}]*+(?=(\s++[^\w\s]*+(\w)?)?)")
# After these a period rarely ends a sentence, nor after a single letter.
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st jr sr vs etc fig no vol pp al inc ltd co cf ca approx dept est gen gov rev sen rep hon capt "
    "col lt sgt jan feb mar apr jun jul aug sep sept oct nov dec bzw usw vgl nr hr fr ggf evtl art abb bd "
    "mme mlle av bd núm pág sra ud uds sig dott ing avv г ул стр рис гг св им тов пр".split()
)


def _block_ends(text: str) -> Iterator[int]:
    return (match.start() for match in _LINE_END.finditer(text))


def _sentence_ends(text: str) -> Iterator[int]:
    """Offsets behind sentences' last marks; a period needs a space and no small letter behind it."""
    for match in _SENTENCE_END.finditer(text):
        mark = match[0][0]
        if mark not in _FULL_STOPS:
            if match[1] is None or (match[2] and match[2].islower()):
                continue
            if match[0] == ".":
                before = _LAST_WORD.search(text, max(0, match.start() - 12), match.start())
                if before and (len(before[0]) == 1 or before[0].lower() in _ABBREVIATIONS):
                    continue
        yield match.end()


_LAST_WORD = re.compile(r"(?<!\w)[^\W\d_]++$")


def _ordinals(offsets: Iterable[int], starts: "array[int]") -> "array[int]":
    """How many tokens begin before each offset: each number once, without 0, and all of them at the end."""
    ends = array("I")
    done = 0
    for offset in offsets:
        number = bisect_left(starts, offset, done)
        if number > done:
            ends.append(number)
            done = number
    if done < len(starts):
        ends.append(len(starts))
    return ends


# --- NLTK ---

_NLTK = {
    "cs": "czech", "da": "danish", "nl": "dutch", "en": "english", "et": "estonian", "fi": "finnish", "fr": "french",
    "de": "german", "el": "greek", "it": "italian", "ml": "malayalam", "no": "norwegian", "pl": "polish",
    "pt": "portuguese", "ru": "russian", "sl": "slovene", "es": "spanish", "sv": "swedish", "tr": "turkish",
}  # fmt: skip
_QUOTES = {"``": '"', "''": '"'}


@cache
def _nltk() -> Any:
    import nltk  # 13 MB that only words=nltk needs

    warnings.filterwarnings("ignore", "NLTK will not read", RuntimeWarning)  # `without_data` says it once
    return nltk


def _nltk_tokens(text: str, language: str | None) -> list[str]:
    name = _NLTK.get(languages.code(language or "") or "", "english")
    try:
        return list(_nltk().word_tokenize(text, name))
    except LookupError as error:
        raise without_data(error) from None


def without_data(error: LookupError) -> LookupError:
    """NLTK's page about data that it has not or does not read, as one sentence; any other error as it is."""
    said = str(error)
    if type(error) is not LookupError or "\n" not in said:
        return error
    if refused := re.search(r"Refused, writable by other accounts.*?- '(.*?)'", said, re.DOTALL):
        return LookupError(
            f"NLTK does not read {refused[1]}: others may write it. Run `make install`, which mends that."
        )
    return LookupError("NLTK's data is missing. Run `make install`, which fetches it.")


def _nltk_words(text: str, language: str | None) -> list[str]:
    return [token for token in _nltk_tokens(text, language) if any(map(str.isalpha, token))]


def _nltk_places(text: str, language: str | None) -> Iterator[tuple[str, int]]:
    """NLTK's words with their offsets. Its tokens are parts of the text in order, but that it turns quotes."""
    end = 0
    for token in _nltk_tokens(text, language):
        start = text.find(token, end, end + len(token) + 1) if token not in _QUOTES else -1
        if start < 0:
            start = _behind_space(text, end)
            if not text.startswith(token, start) and text[start : start + 1] == _QUOTES.get(token):
                end = start + 1
                continue
        end = start + len(token)
        if any(map(str.isalpha, token)):
            yield token, start


_SPACE = re.compile(r"\s*+")


def _behind_space(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    return match.end() if match else start
