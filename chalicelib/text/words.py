"""The word rules ``unicode-1``: Unicode's word boundaries (UAX #29) with tailorings; ICU where no spaces are written.

docs/words.md explains the rules to users, docs/adr/0010 gives the reasons. No rule looks across white space, so the
words of a chunk (what stands between two spaces) depend on the chunk and the language alone. A memo from chunk to words
is therefore exact, and each distinct chunk costs the patterns below only once.

Every pattern is linear in its input: repeats are possessive, and none begins with a repeat of what may precede it.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache

import icu4py
import regex
from icu4py.breakers import WordBreaker


class Several:
    """The words of a chunk that has not just one, at its beginning, and their offsets in it.

    Compared by identity: a hash of its words would be made for each occurrence of the chunk.
    """

    __slots__ = ("offsets", "words")

    def __init__(self, words: tuple[str, ...], offsets: tuple[int, ...]) -> None:
        self.words, self.offsets = words, offsets


Found = str | Several  # what a chunk is worth

_NONE = Several((), ())
_PIECE = 200_000  # characters of a text that are in work at once, for the sake of memory
_MEMO_CHARACTERS = 4_000_000  # in the memo's chunks, 100 for each chunk itself: about 10 MB
_MEMO_CHUNK = 500  # a longer chunk is not remembered

# --- the text ---

# A reader sees none of these, and none ends a word: soft hyphen, word joiner, byte order mark, tatweel, bidi controls.
_DELETED = "\u00ad\u2060\ufeff\u0640\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
# Arabic presentation forms, Latin ligatures, full and half width, mathematical letters: other shapes of the same
# letters. Folding all compatibility forms would also turn x² into x2 and ½ into 1⁄2.
_SHAPES_RANGES = "\ufb00-\ufb06\ufb50-\ufdff\ufe70-\ufefc\uff01-\uffef\U0001d400-\U0001d7ff"
_SHAPES = re.compile(f"[{_SHAPES_RANGES}]+")
_MANY_MARKS = regex.compile(r"\p{M}{30}(?=\p{M})")
_GRAPHEME_JOINER = "\u034f"

# Thai, Lao, Burmese, Khmer, kana, Han: written without spaces. Their digits are not in it.
_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4f\u0e5a\u0e5b\u0e80-\u0ecf\u0eda-\u0eff\u1000-\u103f\u104a-\u108f\u109a-\u109f"
    "\u1780-\u17df\u17ea-\u17ff\u19e0-\u19ff\ua9e0-\ua9ef\ua9fa-\ua9ff\uaa60-\uaa7f"
    "\u2e80-\u2fd5\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U0001aff0-\U0001b16f\U00020000-\U000323af"
)
# Between letters of scripts without spaces it is there to separate words.
_ZERO_WIDTH_SPACE = re.compile(f"(?<![{_UNSPACED}])\u200b(?![{_UNSPACED}])")


def prepare(text: str) -> str:
    """The text that tokens' offsets refer to: NFC, without invisible characters, letters in their usual shapes."""
    if text.isascii():
        return text
    if _TO_PREPARE.search(text):
        for character in _DELETED:
            text = text.replace(character, "")
        text = _ZERO_WIDTH_SPACE.sub("", text)
        text = _SHAPES.sub(lambda shapes: unicodedata.normalize("NFKC", shapes[0]), text)
        # Normalising is quadratic in the length of a run of marks; UAX #15's stream-safe form interrupts such runs.
        text = _MANY_MARKS.sub(lambda marks: marks[0] + _GRAPHEME_JOINER, text)
    return unicodedata.normalize("NFC", text)


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
_EXTEND = _ranges(r"\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}")  # WB4: what belongs to the character before it
_LOW_LINE = _ranges(r"\p{WB=ExtendNumLet}")
# WB6, WB7 and WB11, WB12 without the colon and the middle dot, which are tailored, and the apostrophes and quotes.
_INNER_LETTER = _ranges(r"[[\p{WB=MidLetter}\p{WB=MidNumLet}]--[:︓﹕：··’״]]")
_INNER_DIGIT = _ranges(r"[[\p{WB=MidNum}\p{WB=MidNumLet}]--[’]]")

_KATAKANA = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
# A run of katakana with a length mark, which ICU would part; not one that lengthens the hiragana before it.
_LENGTHENED = rf"(?<![{_KATAKANA}])(?<![ぁ-ゖ](?=ー))[\u30a1-\u30fa\u30fd-\u30ff\u31f0-\u31ff]*+ー[{_KATAKANA}]*+"
_VARIANTS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_RUNS = re.compile(rf"{_LENGTHENED}|((?:(?!{_LENGTHENED})[{_UNSPACED}][{_VARIANTS}]*+)++)")
_HAS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_SPECIAL = re.compile(f"[{_UNSPACED}ʼ]")  # letters to Python that `_LETTER` lacks
_SPACES = [chr(code) for code in range(0x3001) if chr(code).isspace() and code != 0x20]
_SPACE = re.compile(r"\s")


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
        rf"(?=[{_LETTER}][{_EXTEND}]*+\.[{_LETTER}])(?:[{_LETTER}][{_EXTEND}]*+\.){{2,}}+(?![{word}])"
        rf"|(?:(?:[{_LETTER}]++[{_EXTEND}]*+)++(?:{by_any}|{by_letter})?+"
        rf"|(?:[{_DIGIT}]++[{_EXTEND}]*+)++(?:{by_any}|{by_digit})?+)++"
        rf"(?:(?<=[{_HEBREW}])'(?![{word}]))?+"  # WB7a
        rf"|{_RUNS.pattern}"
        r"|\n"
    )
    return re.compile(whole if astral else _ASTRAL_RANGE.sub("", whole))


_END = r"\s<>\"`{}|\\^「」『』（）【】《》，。、；：！？" + _UNSPACED  # an address ends before these
_NAME = "0-9A-Za-z_\u00c0-\u0dff%+"
_ADDRESS = re.compile(
    rf"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*+://[^{_END}]*+"
    rf"|(?<![{_NAME}])[Ww][Ww][Ww]\.[^{_END}]++"
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

# Most chunks that are not just letters: a word between marks that join nothing. A short cut past the patterns above.
_COMMON = re.compile(r"""["(\[“«„‘]*+([^\W\d_]++)[.,;:!?)\]"”»…]*+""")


def pieces(text: str) -> Iterator[str]:
    """A text in pieces that end at white space, which belongs to the piece before it."""
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


_all: list["Rules"] = []


class Rules:
    """The rules as one class of languages has them, with the memo of its chunks; ``numbers`` are words too if true."""

    def __init__(self, language: str, numbers: bool) -> None:
        self.colon = language == "sv"
        self.elision = _ELISION.get(language)
        self.numbers = numbers
        self.memo: dict[str, Found] = {}
        _all.append(self)
        self.characters = 0

    def found(self, chunks: list[str]) -> list[Found]:
        """The words of each chunk."""
        if self.characters > _MEMO_CHARACTERS:
            self.forget()
        known = self.memo
        new = set(chunks).difference(known)
        if new:
            learned = dict(self._learned(new))
            kept = {chunk: found for chunk, found in learned.items() if len(chunk) <= _MEMO_CHUNK}
            known.update(kept)
            self.characters += sum(map(len, kept)) + 100 * len(kept)
            if len(kept) < len(learned):
                known = known | learned
        return list(map(known.__getitem__, chunks))

    def forget(self) -> None:
        """Drop what was learned from earlier texts."""
        self.memo.clear()
        self.characters = 0

    def _learned(self, chunks: Iterable[str]) -> Iterator[tuple[str, Found]]:
        hard: list[str] = []
        for chunk in chunks:
            if chunk.isalpha() and (chunk.isascii() or not _SPECIAL.search(chunk)):
                yield chunk, chunk
            elif (
                (common := _COMMON.fullmatch(chunk))
                and (word := common[1]).isalpha()
                and (chunk.isascii() or not _SPECIAL.search(chunk))
            ):
                start = common.start(1)
                yield chunk, Several((word,), (start,)) if start else word
            else:
                hard.append(chunk)
        astral = [chunk for chunk in hard if _ASTRAL.search(chunk)] if _ASTRAL.search("".join(hard)) else []
        usual = list(set(hard).difference(astral)) if astral else hard
        yield from zip(usual, self._parted(usual, _pattern(self.colon, False)), strict=True)
        if astral:
            yield from zip(astral, self._parted(astral, _pattern(self.colon, True)), strict=True)

    def _parted(self, chunks: list[str], pattern: re.Pattern[str]) -> Iterator[Found]:
        """The words of each chunk, by one pass of the pattern and one call of ICU over all of them."""
        lines = "".join(f"{_without_addresses(chunk)}\n" for chunk in chunks)
        written = lines
        for mark, usual in _WRITTEN:
            written = written.replace(mark, usual)
        segments: Iterator[list[str]] = iter(())
        if _HAS_UNSPACED.search(lines):
            segments = _segments("\n".join(run[1] for run in _RUNS.finditer(lines) if run.lastindex))
        words: list[str] = []
        offsets: list[int] = []
        start = 0
        for match in pattern.finditer(lines):
            at, end = match.span()
            word = written[at:end]
            if word == "\n":
                yield _found(words, offsets)
                words, offsets, start = [], [], end
            elif match.lastindex or (self.elision and "'" in word):
                for part in next(segments) if match.lastindex else self._elided(word):
                    if part.isalpha() or self._counts(part):
                        words.append(part)
                        offsets.append(at - start)
                    at += len(part)
            elif word.isalpha() or self._counts(word):
                words.append(word)
                offsets.append(at - start)

    def _counts(self, word: str) -> bool:
        """Whether it holds a letter, or a digit where numbers are words."""
        return any(map(str.isalpha, word)) or (self.numbers and any(map(str.isdecimal, word)))

    def _elided(self, word: str) -> Iterator[str]:
        start = 0
        while self.elision and (first := self.elision.match(word, start)):
            yield first[0]
            start = first.end()
        yield word[start:]


def _without_addresses(chunk: str) -> str:
    """The chunk with spaces where an address stands."""
    if "://" in chunk or "@" in chunk or "www." in chunk.lower():
        return _ADDRESS.sub(lambda address: " " * len(address[0]), chunk)
    return chunk


def _found(words: list[str], offsets: list[int]) -> Found:
    if len(words) == 1 and not offsets[0]:
        return words[0]
    return Several(tuple(words), tuple(offsets)) if words else _NONE


def _segments(lines: str) -> Iterator[list[str]]:
    """ICU's segments of each line; all lines at once, since a call costs as much as thirty characters."""
    _load_dictionaries()
    same: dict[str, str] = {}  # a long run repeats few words
    words: list[str] = []
    for word in WordBreaker(lines, "und"):
        if word == "\n":
            yield words
            words = []
        else:
            words.append(same.setdefault(word, word))
    yield words


@cache
def _load_dictionaries() -> None:
    """Have ICU load each script's dictionary: it parts the runs that it sees before in another way."""
    for _ in range(2):
        list(WordBreaker("国語 です データ ภาษาไทย ພາສາລາວ ភាសាខ្មែរ မြန်မာဘာသာ", "und"))


RULES = f"unicode-1/icu-{icu4py.icu_version.split('.')[0]}"


def rules_of(language: str, numbers: bool = False) -> Rules:
    """The rules for a language's code; languages of one class share them and their memo."""
    classes = {"fi": "sv", "sv": "sv", "fr": "fr", "it": "it", "ca": "ca"}
    return _rules(classes.get(language, ""), numbers)


@cache
def _rules(language: str, numbers: bool) -> Rules:
    return Rules(language, numbers)


def forget() -> None:
    """Drop what was learned from earlier texts, in every language."""
    for rules in _all:
        rules.forget()
