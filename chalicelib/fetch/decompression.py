"""The body of a fetched page, decompressed piece by piece under a limit of bytes.

The usual clients inflate a bomb in one go, or take a page that was cut off or damaged for data; urllib3's streaming
decoders had three holes of that kind (CVE-2025-66471, CVE-2026-44432, CVE-2026-9375). Here each is a FetchError.
"""

import itertools
import sys
import zlib
from collections.abc import Callable, Iterator

import brotli

from chalicelib.fetch.errors import FetchError, broken
from chalicelib.net import gzipped
from chalicelib.net.http1 import PIECE, Headers, Stream, pieces

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WITHOUT_BODY = (204, 205)  # statuses
CODINGS_MOST = 3  # one inside the other
BROTLI_WINDOW = 1 << 22  # what encoders take by default: always let through
ZSTD_WINDOW_LOG = 23  # 8 MB: what RFC 9659 lets a server ask of a client


def read_body(stream: Stream, status: int, headers: Headers, most: int) -> bytes:
    """The decompressed body, at most ``most`` bytes of it, read to its end. Raises FetchError."""
    if status in WITHOUT_BODY:
        return b""
    body = bytearray()
    for piece in _decoded(pieces(stream, headers, most), headers.get("content-encoding", ""), most):
        stream.raw.deadline.left()  # a piece that was read may hold thousands of empty frames
        body += piece
        if len(body) > most:
            raise _too_large(most)
    return bytes(body)


def gunzipped(body: bytes, most: int) -> Iterator[bytes]:
    """A file that is compressed by itself, piece by piece, at most ``most`` bytes of it. Raises FetchError."""
    try:
        yield from _bounded(_gzip(iter([body]), most), most)
    except zlib.error:
        raise broken("The compressed file is damaged.") from None


def _too_large(most: int) -> FetchError:
    return FetchError("too-large", f"The page is larger than {most / 1e6:g} MB.")


def _decoded(pieces: Iterator[bytes], coding: str, most: int) -> Iterator[bytes]:
    """The pieces decompressed, each about PIECE bytes at most however well they were compressed."""
    codings = [name for part in coding.split(",") if (name := part.strip().lower()) not in _NO_CODING]
    if not all(name in _CODINGS for name in codings):
        codings = []  # browsers take a body in an unknown coding as it is
    if len(codings) > CODINGS_MOST:
        raise FetchError("not-text", f"The page is compressed more than {CODINGS_MOST} times over.")
    first = next(pieces, b"")
    if not first:  # an empty body, which servers announce as compressed all the same
        return
    pieces = itertools.chain([first], pieces)
    for name in reversed(codings):  # the last one was applied last
        pieces = _bounded(_CODINGS[name](pieces, most), 2 * most)  # or a bomb could hide in another
    try:
        yield from pieces
    except (zlib.error, brotli.error, zstd.ZstdError):
        raise broken("The compressed page is damaged.") from None


def _bounded(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    for piece in pieces:
        most -= len(piece)
        if most < 0:
            raise FetchError("too-large", "The page is compressed in a way that needs too much memory.")
        yield piece


def _gzip(pieces: Iterator[bytes], _: int) -> Iterator[bytes]:
    try:
        yield from gzipped.unpacked(pieces, PIECE)
    except EOFError:
        raise broken(_CUT_OFF, transient=True) from None


def _deflate(pieces: Iterator[bytes], _: int) -> Iterator[bytes]:
    """A zlib stream as the standard says, or a raw one as some servers send; no encoder's raw one looks like one."""
    data = b""
    while len(data) < 2 and (piece := next(pieces, b"")):
        data += piece
    wrapped = len(data) > 1 and data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
    stream = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
    for piece in itertools.chain([data], pieces):
        data = piece
        while data and not stream.eof:
            yield stream.decompress(data, PIECE)
            data = stream.unconsumed_tail
    yield from _flushed(stream)


def _flushed(stream: "zlib._Decompress") -> Iterator[bytes]:
    yield stream.flush()  # a few bytes at most: all input was taken
    if not stream.eof:
        raise broken(_CUT_OFF, transient=True)


def _brotli(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    """One stream. The decoder may fill a window before it gives a byte: a wide one leaves less memory to the body."""
    first = next(pieces)
    window = 1 << (17 + (first[0] >> 1 & 7) if first[0] & 1 else 16)  # RFC 7932, section 9.1; some are smaller
    if window > max(3.5 * most, BROTLI_WINDOW):
        raise FetchError("too-large", "The page is compressed in a way that needs too much memory.")
    if window > max(2 * most, BROTLI_WINDOW):
        most //= 4
    stream = brotli.Decompressor()
    total = 0
    for piece in itertools.chain([first], pieces, itertools.repeat(b"")):  # after its input it may hold output still
        unpacked = stream.process(piece, output_buffer_limit=PIECE)
        while unpacked:
            total += len(unpacked)
            if total > most:
                raise _too_large(most)
            yield unpacked
            unpacked = b"" if stream.is_finished() else stream.process(b"", output_buffer_limit=PIECE)
        if stream.is_finished():
            if next(pieces, b""):  # the framing has its say to its end
                raise brotli.error
            return
        if not piece:
            raise broken(_CUT_OFF, transient=True)


def _zstd(pieces: Iterator[bytes], _: int) -> Iterator[bytes]:
    """Any number of frames."""
    options = {int(zstd.DecompressionParameter.window_log_max): ZSTD_WINDOW_LOG}
    frame = zstd.ZstdDecompressor(options=options)
    for piece in pieces:
        data = piece
        while data or not (frame.eof or frame.needs_input):
            if frame.eof:
                frame = zstd.ZstdDecompressor(options=options)
            yield frame.decompress(data, PIECE)
            data = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise broken(_CUT_OFF, transient=True)


_CUT_OFF = "The connection ended before the page was complete."
_NO_CODING = ("", "identity", "none", "utf-8")  # the last two are mistakes of servers, and harmless
_CODINGS: dict[str, Callable[[Iterator[bytes], int], Iterator[bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
