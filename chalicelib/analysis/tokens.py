"""The stored sequence of a page's words: where each stands in the text, and where sentences and blocks end. Pure.

Imported by the Lambda: the standard library and msgspec. A token is a row of the word table and a place in the text. It
ends where its word does, so that rows and the gaps between words are all that is stored, as columns that compress well.
"""

import sys
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, islice, repeat
from operator import add, sub

import msgspec

from chalicelib.analysis import words

_LEVEL = 1  # of zlib: a sixth of the time of the usual level, for a tenth more bytes
_WIDE = 255  # a gap that does not fit a byte is stored apart


class DamagedTokens(ValueError):
    """Stored tokens that cannot be read back."""


class Tokens(msgspec.Struct, frozen=True):
    """The words of a text in order.

    ``rows`` are rows of the word table, ``starts`` offsets in the text in characters. ``sentence_ends`` and
    ``block_ends`` are numbers of tokens: 3 says that one ends after the third token. A block's end is a sentence's too.
    """

    rows: Sequence[int]
    starts: Sequence[int]
    sentence_ends: Sequence[int]
    block_ends: Sequence[int]

    def __len__(self) -> int:
        return len(self.rows)

    def sentence(self, token: int) -> range:
        """The tokens of the sentence that a token is in."""
        after = bisect_right(self.sentence_ends, token)
        start = self.sentence_ends[after - 1] if after else 0
        return range(start, self.sentence_ends[after] if after < len(self.sentence_ends) else len(self))


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    count: int
    rows: list[bytes]  # one plane for each byte of a row's number, the lowest first
    gaps: bytes
    wide: bytes  # what the gaps of 255 really are, 4 bytes each
    sentences: bytes  # lengths in tokens
    blocks: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode


def length(word: str) -> int:
    """How many characters of the text a stored word covers: of an overlong one, those that are its own."""
    return min(len(word), words.WORD_CHARACTERS)


def pack(tokens: Tokens, table: Sequence[str]) -> bytes:
    """The tokens compressed; ``table`` has the words that ``rows`` means."""
    lengths = list(map(length, table))
    ends = chain((0,), map(add, tokens.starts, map(lengths.__getitem__, tokens.rows)))
    gaps = array("I", map(sub, tokens.starts, ends))
    wide = array("I", (gap for gap in gaps if gap >= _WIDE)) if max(gaps, default=0) >= _WIDE else array("I")
    packed = _Packed(
        len(tokens.rows),
        _planes(array("I", tokens.rows)),
        bytes(map(min, gaps, repeat(_WIDE))),
        _little(wide),
        _varints(_lengths(tokens.sentence_ends)),
        _varints(_lengths(tokens.block_ends)),
    )
    return zlib.compress(_encode(packed), _LEVEL)


def unpack(data: bytes, table: Sequence[str]) -> Tokens:
    """The tokens that were packed with the same words; ``DamagedTokens`` where they cannot be read."""
    try:
        packed = _decode(zlib.decompress(data))
    except (zlib.error, msgspec.DecodeError) as error:
        raise DamagedTokens(str(error)) from error
    rows = _rows(packed)
    if len(packed.gaps) != packed.count or max(rows, default=-1) >= len(table):
        raise DamagedTokens(f"{packed.count} tokens, {len(packed.gaps)} gaps, {len(table)} words")
    lengths = list(map(length, table))
    gaps: Iterable[int] = packed.gaps
    if packed.wide:
        wide = iter(_numbers(packed.wide))
        gaps = (gap if gap < _WIDE else next(wide) for gap in packed.gaps)
    # A word begins where the one before began, plus its length, plus the gap.
    steps = map(add, gaps, chain((0,), map(lengths.__getitem__, rows)))
    return Tokens(
        rows,
        array("I", accumulate(islice(steps, packed.count))),
        array("I", accumulate(_read_varints(packed.sentences))),
        array("I", accumulate(_read_varints(packed.blocks))),
    )


def encodable(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair: the same length, and UTF-8 can say it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
    return text


def pack_text(text: str) -> bytes:
    """The text in compressed UTF-8."""
    return zlib.compress(text.encode(), _LEVEL)


def unpack_text(data: bytes) -> str:
    """The text that was packed; ``DamagedTokens`` where it cannot be read."""
    try:
        return zlib.decompress(data).decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise DamagedTokens(str(error)) from error


def _planes(rows: "array[int]") -> list[bytes]:
    data = _little(rows)
    used = (max(rows, default=0).bit_length() + 7) // 8
    return [data[plane::4] for plane in range(used)]


def _rows(packed: _Packed) -> "array[int]":
    if len(packed.rows) > 4 or any(len(plane) != packed.count for plane in packed.rows):
        raise DamagedTokens("the columns differ in length")
    data = bytearray(4 * packed.count)
    for at, plane in enumerate(packed.rows):
        data[at::4] = plane
    return _numbers(bytes(data))


def _little(numbers: "array[int]") -> bytes:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def _numbers(data: bytes) -> "array[int]":
    numbers = array("I")
    try:
        numbers.frombytes(data)
    except ValueError as error:
        raise DamagedTokens(str(error)) from error
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _lengths(ends: Sequence[int]) -> Iterable[int]:
    return map(sub, ends, chain((0,), ends))


def _varints(numbers: Iterable[int]) -> bytes:
    """Seven bits to a byte, the lowest first; the eighth says that more follow."""
    made = bytearray()
    for number in numbers:
        while number > 127:
            made.append(number & 127 | 128)
            number >>= 7
        made.append(number)
    return bytes(made)


def _read_varints(data: bytes) -> Iterable[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 127) << shift
        if byte > 127:
            shift += 7
            continue
        yield number
        number = shift = 0
