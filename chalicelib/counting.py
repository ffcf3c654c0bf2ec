"""The words of a text, how often each occurs and where: Unicode's words by default, NLTK's on request.

``words="unicode"`` follows docs/words.md (`text.words`); ``words="nltk"`` calls NLTK's tokenizer and nothing else. Both
cost time linear in the text, but NLTK's own patterns: those can raise ``TimeoutError``.
"""

import gc
import re
import warnings
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import accumulate, chain, compress, repeat
from itertools import count as numbers_from
from operator import add
from typing import Any

from chalicelib.analysis.evidence import Segments
from chalicelib.text import languages
from chalicelib.text import stop_words as lists
from chalicelib.text import words as unicode

NLTK_RULES = "nltk-3.10"
_OTHER = 2**32 - 1  # for the row of a chunk that is not one word at its beginning
Vote = languages.Vote
languages_of = languages.vote
language_code = languages.code


def count(text: str, language: str | None = "en", *, words: str = "unicode", numbers: str = "drop") -> Counter[str]:
    """Words of ``text`` as written, with how often each occurs; ``language`` is a code like ``en`` or ``pt-BR``."""
    if words == "nltk":
        return Counter(word for word, _ in _nltk_words(text, language))
    rules, counts = unicode.rules_of(languages.code(language), numbers == "keep"), Counter[str]()
    for piece in unicode.pieces(text):
        chunks = Counter(unicode.apart(piece).split())
        odd = unicode.odd(chunks)
        times = list(map(chunks.pop, odd))
        counts.update(chunks)
        once: list[Sequence[str]] = []
        for number, found in zip(times, map(rules.found(odd).__getitem__, odd), strict=True):
            if number == 1:
                once.append((found,) if isinstance(found, str) else found[0])
            else:
                for word in (found,) if isinstance(found, str) else found[0]:
                    counts[word] += number
        counts.update(chain.from_iterable(once))
    return counts


def segment(text: str, language: str | None, *, words: str = "unicode", numbers: str = "drop") -> Segments:
    """The tokens of ``text`` as arrays. With ``numbers="keep"`` numbers are words too; NLTK's rules know no such."""
    index: dict[str, int] = {}
    rows, starts = array("I"), array("I")
    if words == "nltk":
        for word, start in _nltk_words(text, language):
            rows.append(index.setdefault(word, len(index)))
            starts.append(start)
    else:
        text = unicode.prepare(text)
        rules = unicode.rules_of(languages.code(language), numbers == "keep")
        start = 0
        for piece in unicode.pieces(text):
            chunks = unicode.chunks_of(piece)
            _place(chunks, start, rules, index, rows, starts)
            start += len(piece)
    blocks = _ordinals(accumulate(map(len, _lines(text))), starts)
    ends = bytearray(len(starts) + 1)
    for number in chain(blocks, _ordinals(_sentence_ends(text), starts)):
        ends[number] = True
    return Segments(text, list(index), rows, starts, array("I", compress(range(len(ends)), ends)), blocks)


def _place(
    chunks: list[str], start: int, rules: unicode.Rules, index: dict[str, int], rows: "array[int]", starts: "array[int]"
) -> None:
    """Add the tokens of a piece's chunks, the first of which begins at ``start``.

    Most chunks are one word, which begins where they do: their rows and places are made by the interpreter's own loops.
    """
    distinct = dict.fromkeys(chunks)
    odd = rules.found(unicode.odd(distinct))
    row_of: dict[str, int] = {}
    others: dict[str, tuple[list[int], Sequence[int]]] = {}
    for chunk, found in zip(distinct, map(odd.get, distinct, distinct), strict=True):
        if isinstance(found, str):
            row_of[chunk] = index.setdefault(found, len(index))
        else:
            others[chunk] = [index.setdefault(word, len(index)) for word in found[0]], found[1]
    chunk_rows = array("I", map(row_of.get, chunks, repeat(_OTHER)))
    begins = array("I", map(add, accumulate(map(len, chunks), initial=0), numbers_from(start)))  # a space behind each
    done = 0
    for place in [place for place, row in enumerate(chunk_rows) if row == _OTHER]:
        if done < place:
            rows += chunk_rows[done:place]
            starts += begins[done:place]
        for row, offset in zip(*others[chunks[place]]):  # noqa: B905 - as many; the innermost loop
            rows.append(row)
            starts.append(begins[place] + offset)
        done = place + 1
    rows += chunk_rows[done:]
    starts += begins[done : len(chunks)]


def forget() -> None:
    """Drop what was learned from earlier texts: the words of chunks and the languages of pieces."""
    unicode.forget()
    languages.forget()


@lru_cache(maxsize=32)
def stop_words(*tags: str | None) -> frozenset[str]:
    """The stop words of the languages under full case folding; empty where there is no list."""
    return frozenset[str]().union(*map(lists.stop_words, map(languages.code, tags)))


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
    gc.set_threshold(20_000, 20, 20)  # a page makes tuples and no cycles: the usual 700 take a twentieth of the time


# --- sentences and blocks ---

_CLOSING = "\"')\\]}»”’›」』）】》"
_ALWAYS, _MARKS = "。！？｡", ".!?…؟۔।॥።෴"  # the former end a sentence whatever comes behind
# From the first of several marks alone: from each of them, the rest would be read again.
_SENTENCE_END = re.compile(
    rf"[{_ALWAYS}{_MARKS}](?:(?<=[{_ALWAYS}])|(?<![{_MARKS}].)[{_MARKS}]*+[{_CLOSING}]*+(?=\s++[^\w\s]*+(\w?)))", re.S
)
_LINE_END = re.compile(r"[\n-\r\x1c-\x1e\x85\u2028\u2029]")
_LAST_WORD = re.compile(r"(?<!\w)[^\W\d_]++$")
# After these a period rarely ends a sentence, nor after a single letter.
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st jr sr vs etc fig no vol pp al inc ltd co cf ca approx dept est gen gov rev sen rep hon capt "
    "col lt sgt jan feb mar apr jun jul aug sep sept oct nov dec bzw usw vgl nr hr fr ggf evtl art abb bd "
    "mme mlle av bd núm pág sra ud uds sig dott ing avv г ул стр рис гг св им тов пр".split()
)


def _sentence_ends(text: str) -> Iterator[int]:
    """Offsets behind sentences' last marks; a period needs a space and no small letter behind it."""
    for match in _SENTENCE_END.finditer(text):
        if (following := match[1]) is not None:
            if following.islower():
                continue
            if match[0] == ".":
                before = _LAST_WORD.search(text, max(0, match.start() - 12), match.start())
                if before and (len(before[0]) == 1 or before[0].lower() in _ABBREVIATIONS):
                    continue
        yield match.end()


def _lines(text: str) -> Iterator[str]:
    """The lines of a text with their ends, some at a time: a list of five million would take 250 MB."""
    start = 0
    while start < len(text):
        ending = _LINE_END.search(text, start + 100_000)
        end = ending.end() if ending else len(text)
        yield from text[start:end].splitlines(keepends=True)
        start = end


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


@cache
def _nltk() -> Any:
    import nltk  # 13 MB that only words=nltk needs

    warnings.filterwarnings("ignore", "NLTK will not read", RuntimeWarning)  # `without_data` says it once
    return nltk


def _nltk_words(text: str, language: str | None) -> Iterator[tuple[str, int]]:
    """NLTK's words and their offsets: tokens are parts of the text in order, and those without letters are left out."""
    try:
        tokens = _nltk().word_tokenize(text, languages.NLTK.get(languages.code(language) or "", "english"))
    except LookupError as error:
        raise without_data(error) from None
    end = 0
    for token in tokens:
        if any(map(str.isalpha, token)):
            start = max(end, text.find(token, end))
            end = start + len(token)
            yield token, start


def without_data(error: LookupError) -> LookupError:
    """NLTK's page about data that it has not or does not read, as one sentence; any other error as it is."""
    said = str(error)
    if type(error) is not LookupError or "\n" not in said:
        return error
    if refused := said.partition("Refused, writable by other accounts")[2].split("'")[1:2]:
        return LookupError(
            f"NLTK does not read {refused[0]}: others may write it. Run `make install`, which mends that."
        )
    return LookupError("NLTK's data is missing. Run `make install`, which fetches it.")
