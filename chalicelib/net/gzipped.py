"""gzip, piece by piece and under a bound: of pages, lists and documents. Pure."""

import zlib
from collections.abc import Iterable, Iterator

MAGIC = b"\x1f\x8b"  # what a member begins with
PIECE = 65_536  # bytes that are unpacked at once, however well they were compressed
RATIO, FREE = 100, 10_000_000  # a list expands to at most so many times its size, and so many bytes more


class Bomb(ValueError):
    """What expands beyond every use."""


def unpacked(pieces: Iterable[bytes], piece: int = PIECE) -> Iterator[bytes]:
    """Any number of members; what follows them and is none is ignored, as browsers and gzip do.

    Raises ``zlib.error`` where it is damaged and ``EOFError`` where it is cut off.
    """
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    data = b""
    for given in pieces:
        data += given
        while data and not (member.eof and len(data) < len(MAGIC)):
            if member.eof:
                if not data.startswith(MAGIC):
                    return
                member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield member.decompress(data, piece)
            data = member.unused_data if member.eof else member.unconsumed_tail
    yield member.flush()  # a few bytes at most: all input was taken
    if not member.eof:
        raise EOFError


def in_proportion(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """As ``unpacked``; ``Bomb`` where what comes out is out of proportion to what was read."""
    read = made = 0

    def counted() -> Iterator[bytes]:
        nonlocal read
        for piece in pieces:
            read += len(piece)
            yield piece

    for piece in unpacked(counted()):
        made += len(piece)
        if made > FREE + RATIO * read:
            raise Bomb
        yield piece
