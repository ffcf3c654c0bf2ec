"""The stored sequence of a page's words: where each stands in the text, and where sentences and blocks end. Pure.

Imported by the Lambda: the standard library and msgspec. A token is a row of the word table and a place in the text,
and ends where its word does. So two things are stored beside the table: the rows in order, and what stands between.
"""

import io
import re
import sys
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, compress, islice
from operator import add, eq, sub

import msgspec

from chalicelib.analysis import words

_LEVEL = 1  # of zlib: the usual level makes a twentieth less of it and takes the worker twice the time
_PART = 10_000  # tokens that are packed at once
_BETWEEN = "\0"  # parts gaps; no text holds it
_UNSTORABLE = re.compile(f"[\ud800-\udfff{_BETWEEN}]")


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
    rows: list[bytes]  # a plane for each byte of a row's number, the lowest first: faster to read than varints
    sentences: bytes  # lengths in tokens
    blocks: bytes


class _PackedText(msgspec.Struct, frozen=True, array_like=True):
    gaps: list[str]  # before each word, and after the last; many to an item; each its own in jobs of 0.3.0
    others: dict[int, str]  # by token: what stands in the text where it is not the table's word, a typographic mark


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode
_decode_text = msgspec.msgpack.Decoder(_PackedText).decode


def length(word: str) -> int:
    """How many characters of the text a stored word covers: of an overlong one, those that are its own."""
    return min(len(word), words.WORD_CHARACTERS)


def pack(tokens: Tokens) -> bytes:
    """The order of the words, compressed."""
    columns = (
        _planes(array("I", tokens.rows)),
        _varints(_lengths(tokens.sentence_ends)),
        _varints(_lengths(tokens.block_ends)),
    )
    return zlib.compress(_encode(_Packed(*columns)), _LEVEL)


def pack_text(text: str, tokens: Tokens, table: Sequence[str]) -> bytes:
    """What stands between the words, compressed: with the words in order it is the text, in a fifth of the bytes."""
    spelled = [word[: words.WORD_CHARACTERS] for word in table]
    others: dict[int, str] = {}
    packer = zlib.compressobj(_LEVEL)
    # The encoding of a `_PackedText`, by parts for the sake of memory: an array of two, the first an array of texts.
    blocks = range(0, len(tokens), _PART)
    packed = [packer.compress(b"\x92\xdd" + (len(blocks) + 1).to_bytes(4, "big"))]
    packed.append(packer.compress(_encode(text[: tokens.starts[0] if len(tokens) else None])))
    for first in blocks:
        starts = [*tokens.starts[first : first + _PART + 1], len(text)][: _PART + 1]
        own = list(map(spelled.__getitem__, tokens.rows[first : first + _PART]))
        # Read piece by piece, which takes half the time of slicing.
        tails = list(map(io.StringIO(text[starts[0] : starts[-1]]).read, map(sub, starts[1:], starts)))
        gaps = list(map(str.removeprefix, tails, own))
        if sum(map(len, own)) + len("".join(gaps)) != starts[-1] - starts[0]:
            for at in compress(range(len(own)), map(eq, tails, gaps)):
                others[first + at], gaps[at] = tails[at][: len(own[at])], tails[at][len(own[at]) :]
        packed.append(packer.compress(_encode(_BETWEEN.join(gaps))))
    return b"".join((*packed, packer.compress(_encode(others)), packer.flush()))


def unpack(packed_tokens: bytes, packed_text: bytes, table: Sequence[str]) -> tuple[str, Tokens]:
    """The text and its tokens, packed with the same table; ``DamagedTokens`` where they cannot be read."""
    try:
        order = _decode(zlib.decompress(packed_tokens))
        between = _decode_text(zlib.decompress(packed_text))
    except (zlib.error, msgspec.DecodeError) as error:
        raise DamagedTokens(str(error)) from error
    rows = _rows(order.rows)
    gaps = _BETWEEN.join(between.gaps).split(_BETWEEN)
    if len(gaps) != len(rows) + 1 or max(rows, default=-1) >= len(table):
        raise DamagedTokens(f"{len(rows)} tokens, {len(gaps)} gaps, {len(table)} words")
    spelled = [word[: words.WORD_CHARACTERS] for word in table]
    lengths = list(map(len, spelled))
    parts = list(map(spelled.__getitem__, rows))
    for at, other in between.others.items():
        parts[at] = other
    # A word begins where the one before began, plus its length, plus the gap.
    steps = map(add, map(len, gaps), chain((0,), map(lengths.__getitem__, rows)))
    found = Tokens(
        rows,
        array("I", accumulate(islice(steps, len(rows)))),
        array("I", accumulate(_read_varints(order.sentences))),
        array("I", accumulate(_read_varints(order.blocks))),
    )
    return "".join(chain(chain.from_iterable(zip(gaps, parts)), gaps[-1:])), found  # noqa: B905


def encodable(text: str) -> str:
    """The text with U+FFFD for what cannot be stored, such as half a surrogate pair: nothing moves."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _UNSTORABLE.sub("\ufffd", text)
    return text.replace(_BETWEEN, "\ufffd")


def _planes(rows: "array[int]") -> list[bytes]:
    used = (max(rows, default=0).bit_length() + 7) // 8 or 1  # a text of one word has row 0 alone
    if sys.byteorder == "big":
        rows.byteswap()
    data = rows.tobytes()
    return [data[plane::4] for plane in range(used)]


def _rows(planes: list[bytes]) -> "array[int]":
    count = len(planes[0]) if planes else 0
    if len(planes) > 4 or any(len(plane) != count for plane in planes):
        raise DamagedTokens("the columns differ in length")
    data = bytearray(4 * count)
    for at, plane in enumerate(planes):
        data[at::4] = plane
    rows = array("I")
    rows.frombytes(bytes(data))
    if sys.byteorder == "big":
        rows.byteswap()
    return rows


def _lengths(ends: Sequence[int]) -> Iterable[int]:
    return map(sub, ends, chain((0,), ends))


def _varints(numbers: Iterable[int]) -> bytes:
    """Seven bits to a byte, the lowest first; the eighth says that more follow."""
    numbers = list(numbers)
    if max(numbers, default=0) < 128:
        return bytes(numbers)
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
