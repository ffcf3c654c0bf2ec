"""The word rules ``unicode-1``: Unicode's word boundaries (UAX #29) with tailorings; ICU where no spaces are written.

docs/words.md explains the rules to users, docs/adr/0010 gives the reasons. No rule looks across white space, so the
words of a chunk (what stands between two spaces) depend on the chunk and the language alone. A memo from chunk to words
is therefore exact, and each distinct chunk costs the patterns below only once.

Every pattern is linear in its input: repeats are possessive, and none begins with a repeat of what may precede it.
"""

import re
import unicodedata
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableSequence, Sequence
from functools import cache
from itertools import filterfalse, islice

import icu4py
import regex
from icu4py.breakers import WordBreaker

Found = str | tuple[Sequence[str], Sequence[int]]  # a chunk's only word, at its beginning; or words and offsets

_PIECE = 200_000  # characters of a text that are in work at once, for the sake of memory
_MEMO_BYTES = 10_000_000  # about what a memo may take between two pieces

# --- the text ---

# A reader sees none of these, and none ends a word: soft hyphen, word joiner, byte order mark, tatweel, bidi controls.
_DELETED = "\u00ad\u2060\ufeff\u0640\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
# Arabic presentation forms, Latin ligatures, full and half width, mathematical letters: other shapes of the same
# letters. Folding all compatibility forms would also turn x² into x2 and ½ into 1⁄2.
_SHAPES_RANGES = "\ufb00-\ufb06\ufb50-\ufdff\ufe70-\ufefc\uff01-\uffef\U0001d400-\U0001d7ff"
_SHAPES = re.compile(f"[{_SHAPES_RANGES}]+")
_PHRASES = "\ufdfa\ufdfb"
_GRAPHEME_JOINER = "\u034f"
_MANY_MARKS = regex.compile(rf"(?V1)[\p{{M}}--{_GRAPHEME_JOINER}]{{30}}(?=[\p{{M}}--{_GRAPHEME_JOINER}])")

_KATAKANA = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
# Thai, Lao, Burmese, Khmer, hiragana, Han: written without spaces, as katakana is. Their digits are not in it.
_NO_KATAKANA = (
    "\u0e01-\u0e3a\u0e40-\u0e4f\u0e5a\u0e5b\u0e80-\u0ecf\u0eda-\u0eff\u1000-\u103f\u104a-\u108f\u109a-\u109f"
    "\u1780-\u17df\u17ea-\u17ff\u19e0-\u19ff\ua9e0-\ua9ef\ua9fa-\ua9ff\uaa60-\uaa7f"
    "\u2e80-\u2fd5\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3041-\u3096\u3099-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U0001aff0-\U0001b16f\U00020000-\U000323af"
)
_UNSPACED = _NO_KATAKANA + _KATAKANA
_INVISIBLE = re.compile(f"[{_DELETED}\u200b]")
# Between letters of scripts without spaces it is there to separate words.
_ZERO_WIDTH_SPACE = re.compile(f"\u200b(?<![{_UNSPACED}].)(?![{_UNSPACED}])")


def apart(text: str) -> str:
    """The text with spaces around signs that are several words, as ﷺ is four: neighbours are no part of them."""
    for sign in _PHRASES:
        text = text.replace(sign, f" {sign} ")
    return text


def prepare(text: str) -> str:
    """The text that tokens' offsets refer to: NFC, without invisible characters, letters in their usual shapes."""
    if text.isascii():
        return text
    if not _TO_PREPARE.search(text):
        return unicodedata.normalize("NFC", text)
    for sign in _PHRASES:
        text = text.replace(sign, f" {unicodedata.normalize('NFKC', sign)} ")
    text = _SHAPES.sub(lambda shapes: unicodedata.normalize("NFKC", shapes[0]), text)
    if _INVISIBLE.search(text):
        for character in _DELETED:
            text = text.replace(character, "")
        text = _ZERO_WIDTH_SPACE.sub("", text)
    # Normalising is quadratic in the length of a run of marks; UAX #15's stream-safe form interrupts such runs.
    for _ in range(2):  # the second time those that normalising has made longer: preparing again changes nothing
        text = unicodedata.normalize("NFC", _MANY_MARKS.sub(lambda marks: marks[0] + _GRAPHEME_JOINER, text))
    return text


# --- the patterns ---

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_ASTRAL_RANGE = re.compile(f"{_ASTRAL.pattern}-{_ASTRAL.pattern}")


def _ranges(*sets: str) -> str:
    """Members of the sets, in the syntax of `regex`, as ranges for a class of `re`, which is twice as fast."""
    everything = "".join(map(chr, (*range(0x20000), *range(0xE0000, 0xE0200))))
    runs = regex.findall(f"(?V1)[{''.join(sets)}]+", everything)
    return "".join(f"{re.escape(run[0])}-{re.escape(run[-1])}" for run in runs)


_APOSTROPHES, _HYPHENS, _QUOTES = "'’ʼ", "-‐‑", '"”״'
_WRITTEN = [(mark, marks[0]) for marks in (_APOSTROPHES, _HYPHENS, _QUOTES) for mark in marks[1:]]
# What `prepare` may have to change, or anything beyond the basic plane: most texts have none of it.
_MARK = _ranges(r"\p{M}")
_TO_PREPARE = re.compile(_ASTRAL_RANGE.sub("", f"[{_DELETED}\u200b{_SHAPES_RANGES}{_MARK}]") + f"|{_ASTRAL.pattern}")
_LETTER = _ranges(rf"[[\p{{WB=ALetter}}\p{{WB=Hebrew_Letter}}\p{{L}}]--[{_UNSPACED}ʼ]]")
_HEBREW = _ranges(r"\p{WB=Hebrew_Letter}")
_DIGIT = _ranges(r"\p{WB=Numeric}")
_EXTEND = _ranges(
    rf"[[\p{{WB=Extend}}\p{{WB=Format}}\p{{WB=ZWJ}}]--[{_UNSPACED}]]"
)  # WB4: belongs to what is before it
_LOW_LINE = _ranges(r"\p{WB=ExtendNumLet}")
# WB6, WB7 and WB11, WB12 without the colon and the middle dot, which are tailored, and the apostrophes and quotes.
_INNER_LETTER = _ranges(r"[[\p{WB=MidLetter}\p{WB=MidNumLet}]--[:︓﹕：··’״]]")
_INNER_DIGIT = _ranges(r"[[\p{WB=MidNum}\p{WB=MidNumLet}]--[’]]")

# A run of katakana with a length mark, which ICU would part; not one that lengthens the hiragana before it.
_LENGTHENED = rf"(?<![{_KATAKANA}])(?<![ぁ-ゖ](?=ー))[\u30a1-\u30fa\u30fd-\u30ff\u31f0-\u31ff]*+ー[{_KATAKANA}]*+"
_VARIANTS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_RUNS = (
    rf"(?=[{_UNSPACED}])(?:{_LENGTHENED}"
    rf"|((?:[{_NO_KATAKANA}]++[{_VARIANTS}]*+|(?!{_LENGTHENED})[{_KATAKANA}][{_VARIANTS}]*+)++))"
)
# Letters to Python that `_LETTER` lacks or that `prepare` changes.
_SPECIAL = re.compile(f"[{_UNSPACED}{_SHAPES_RANGES}\u0640ʼ]")
_SPACES = [chr(code) for code in range(0x3001) if chr(code).isspace() and code != 0x20]
_SPACE = re.compile(rf"\s|(?<=[{_PHRASES}])")


@cache
def _pattern(colon: bool, astral: bool) -> re.Pattern[str]:
    """One match for each word, line end and run of a script without spaces (its group 1).

    A ``colon`` may join letters. Without ``astral`` it is for chunks of the basic plane, and several times as fast.
    """
    word = f"{_LETTER}{_DIGIT}"
    # Possessive quantifiers throughout: no mark is given back, so no chunk costs more than one pass over it.
    by_any = (
        f"[{_HYPHENS}־{_APOSTROPHES}][{_EXTEND}]*+(?=[{word}])"  # state-of-the-art, don't
        f"|[{_LOW_LINE}][{_LOW_LINE}{_EXTEND}]*+(?=[{word}])"  # foo_bar
    )
    by_letter = (
        f"[{_INNER_LETTER}{':' if colon else ''}][{_EXTEND}]*+(?=[{_LETTER}])"  # WB6, WB7; EU:s in Swedish
        f"|(?<=[lL])·(?=[lL])"  # col·lega, in Catalan
        f"|(?<=[{_HEBREW}\u0591-\u05c7])[{_QUOTES}](?=[{_HEBREW}])"  # צה"ל, in Hebrew
    )
    by_digit = f"[{_INNER_DIGIT}][{_EXTEND}]*+(?=[{_DIGIT}])"
    whole = (  # first letters with periods between them: U.S., e.g.
        rf"\n|(?=[{_LETTER}][{_EXTEND}]*+\.[{_LETTER}])(?:[{_LETTER}][{_EXTEND}]*+\.){{2,}}+(?![{word}])"
        rf"|(?:(?:[{_LETTER}]++[{_EXTEND}]*+)++(?:{by_any}|{by_letter})?+"
        rf"|(?:[{_DIGIT}]++[{_EXTEND}]*+)++(?:{by_any}|{by_digit})?+)++"
        rf"(?:(?<=[{_HEBREW}])'(?![{word}]))?+"  # WB7a
        rf"|{_RUNS}"
    )
    return re.compile(whole if astral else _ASTRAL_RANGE.sub("", whole))


_END = r"\s<>\"`{}|\\^「」『』（）【】《》，。、；：！？" + _UNSPACED  # an address ends before these
_NAME = "0-9A-Za-z_\u00c0-\u0dff%+"
_ADDRESS = re.compile(
    rf"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*+://[^{_END}]*+"
    rf"|(?<![{_NAME}])[Ww][Ww][Ww]\.(?=\w)[^{_END}]++"
    rf"|(?<![{_NAME}.-])[{_NAME}.-]++@[{_NAME}-]++(?:\.[{_NAME}-]++)++"
)
# Elision: what is parted before a letter, the apostrophe with the first part.
_ELISION = {
    "fr": re.compile(
        r"(?!(?i:quelqu'une?|entr'actes?)(?!\w))(?i:[cdjlmnst]|(?:jus|lors|puis|quoi|quel)?qu|entr)'"
        rf"(?=[{_LETTER}])"
    ),
    "it": re.compile(rf"[^']++'(?=[{_LETTER}])"),
    "ca": re.compile(rf"[ldnsmtLDNSMT]'(?=[{_LETTER}])"),
}


# --- the words of chunks ---

_AROUND = '.,;:!?…()[]{}<>"“”„«»‘`*=#|+~^$%&\\_-‐‑–—'  # stand around a word and join nothing


def pieces(text: str) -> Iterator[str]:
    """A text in pieces that end at white space, which belongs to the piece before it, or at the sign of a phrase."""
    start = 0
    while len(text) - start > _PIECE:
        space = _SPACE.search(text, start + _PIECE)
        end = space.end() if space else len(text)
        yield text[start:end]
        start = end
    yield text[start:]


def chunks_of(piece: str) -> list[str]:
    """The chunks of a piece, one character apart: empty ones between neighbouring spaces."""
    for space in _SPACES:
        if space in piece:
            piece = piece.replace(space, " ")
    return piece.split(" ")


def odd(chunks: Collection[str]) -> list[str]:
    """The chunks that are more than letters: letters alone are one word by all rules, prepared or not."""
    letters = "".join(filter(str.isalpha, filterfalse(str.isascii, chunks)))
    if _changed(letters):
        return [chunk for chunk in chunks if not (chunk.isascii() and chunk.isalpha())]
    return list(filterfalse(str.isalpha, chunks))


def _changed(letters: str) -> bool:
    """Whether letters are not one word as they stand. Never asked of marks: their normal form costs too much."""
    return _SPECIAL.search(letters) is not None or not unicodedata.is_normalized("NFC", letters)


class Rules:
    """The rules as one class of languages has them, with the memo of its chunks; ``numbers`` are words too if true."""

    def __init__(self, language: str, numbers: bool) -> None:
        self.colon = language == "sv"
        self.elision = _ELISION.get(language)
        self.numbers = numbers
        self.wordless = _AROUND if numbers else _AROUND + "0123456789"
        self.memo: dict[str, Found] = {}
        self.bytes = 0

    def found(self, chunks: Collection[str]) -> Mapping[str, Found]:
        """The words of these chunks, prepared or not, and maybe of others."""
        if self.bytes > _MEMO_BYTES:
            self.memo, self.bytes = {}, 0
        if new := list(filterfalse(self.memo.__contains__, chunks)):
            self.memo.update(self._learned(new))
            self.bytes += 300 * len(new) + 20 * sum(map(len, new))
        return self.memo

    def _learned(self, chunks: list[str]) -> dict[str, Found]:
        """The words of new chunks: most are letters between marks, which needs none of the patterns above."""
        learned: dict[str, Found] = {}
        hard: dict[bool, dict[str, str]] = {False: {}, True: {}}  # prepared; whether beyond the basic plane
        others: list[str] = []
        for chunk in chunks:
            word = chunk.strip(_AROUND)
            if not word.strip(self.wordless):
                learned[chunk] = (), ()
            elif word.isalnum() if word.isascii() else word.isalpha() and not _changed(word):
                start = chunk.index(word)
                learned[chunk] = ((word,), (start,)) if start else word
            elif chunk.isascii():
                hard[False][chunk] = chunk
            else:
                others.append(chunk)
        for chunk, prepared in zip(others, prepare("\n".join(others)).split("\n"), strict=False):
            hard[_ASTRAL.search(prepared) is not None][chunk] = prepared
        for astral, these in hard.items():
            learned.update(zip(these, self._parted(these.values(), _pattern(self.colon, astral)), strict=True))
        return learned

    def _parted(self, chunks: Iterable[str], pattern: re.Pattern[str]) -> Iterator[Found]:
        """The words of each chunk, by one pass of the pattern, and ICU's segments of many runs at once."""
        lines = "".join([f"{_without_addresses(chunk)}\n" for chunk in chunks])
        written = lines
        for mark, usual in _WRITTEN:
            written = written.replace(mark, usual)
        huge = len(lines) > 2 * _PIECE  # one chunk is: it repeats few of its words, which are kept once each
        intern = cache(str)
        words: list[str] = []
        offsets: MutableSequence[int] = array("I") if huge else []
        start = 0
        matches = pattern.finditer(lines)
        while batch := list(islice(matches, 10_000)):
            segments = iter(_segments([match[1] for match in batch if match.lastindex]))
            for match in batch:
                at, end = match.span()
                word = written[at:end]
                if word == "\n":
                    if len(words) == 1 and not offsets[0]:
                        yield words[0]
                    else:
                        yield (words, offsets) if huge else (tuple(words), tuple(offsets))
                    words, offsets, start = [], [], end
                    continue
                at -= start
                if match.lastindex:
                    parts = iter(segments.__next__, "\n")
                elif self.elision and "'" in word:
                    parts = _elided(word, self.elision)
                else:
                    if word.isalpha() or self._counts(word):
                        words.append(intern(word) if huge else word)
                        offsets.append(at)
                    continue
                for part in parts:
                    if part.isalpha() or self._counts(part):
                        words.append(intern(part) if huge else part)
                        offsets.append(at)
                    at += len(part)

    def _counts(self, word: str) -> bool:
        """Whether it holds a letter, or a digit where numbers are words."""
        return any(map(str.isalpha, word)) or (self.numbers and any(map(str.isdecimal, word)))


def _elided(word: str, elision: re.Pattern[str]) -> Iterator[str]:
    start = 0
    while first := elision.match(word, start):
        yield first[0]
        start = first.end()
    yield word[start:]


def _without_addresses(chunk: str) -> str:
    """The chunk with spaces where an address stands."""
    if "://" in chunk or "@" in chunk or "www." in chunk.lower():
        return _ADDRESS.sub(lambda address: " " * len(address[0]), chunk)
    return chunk


def _segments(runs: Iterable[str]) -> Iterator[str]:
    """ICU's segments of all runs at once, since a call costs as much as thirty characters; a newline ends each run."""
    if lines := "".join([f"{run}\n" for run in runs]):
        _load_dictionaries()
    return iter(WordBreaker(lines, "und"))


@cache
def _load_dictionaries() -> None:
    """Have ICU load each script's dictionary: it parts the runs that it sees before in another way."""
    for _ in range(2):
        list(WordBreaker("国語 です データ ภาษาไทย ພາສາລາວ ភាសាខ្មែរ မြန်မာဘာသာ", "und"))


RULES = f"unicode-1/icu-{icu4py.icu_version.split('.')[0]}"


def rules_of(language: str | None, numbers: bool = False) -> Rules:
    """The rules for a language's code; languages of one class share them and their memo."""
    return _rules({"fi": "sv", "sv": "sv", "fr": "fr", "it": "it", "ca": "ca"}.get(language or "", ""), numbers)


_rules = cache(Rules)
forget = _rules.cache_clear  # what was learned from earlier texts, in every language
