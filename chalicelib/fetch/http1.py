"""One HTTP/1.1 answer, read from a socket under limits: its head, its framing, its decompression, piece by piece.

The usual clients take an answer that was cut off, a negative length or a damaged page for data, and inflate a bomb in
one go. Here each of these is a FetchError, and whatever is read is bounded in bytes, in lines and in time.
"""

import io
import itertools
import re
import socket
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import brotli
from requests.structures import CaseInsensitiveDict

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

HEADER_BYTES = 65_536  # a status line and its headers
HEADER_COUNT = 100
INTERIM_ANSWERS = 10  # 1xx answers before the real one
CHUNK_LINE = 4096  # a chunk's size and its extensions
CHUNK_COUNT = 100_000  # a page of the usual limit in chunks of 50 bytes: reading smaller ones costs too much time
PIECE = 65_536  # bytes read or decompressed at a time
CLOSING_SECONDS = 0.05  # for the end of a connection after the last announced byte
WITHOUT_BODY = (204, 205)  # statuses
BROTLI_WINDOW = 1 << 22  # what encoders take by default: always let through
ZSTD_WINDOW_LOG = 23  # 8 MB: what RFC 9659 lets a server ask of a client

Headers: TypeAlias = "CaseInsensitiveDict[str]"
Stream: TypeAlias = "io.BufferedReader[Wire]"


class FetchError(Exception):
    """No page: ``kind`` is a type of DESIGN's section 4, ``detail`` a sentence for people.

    ``status`` is the server's where it answered, ``retry_after`` the seconds that it asked for, ``transient`` says
    whether another attempt may succeed.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        transient: bool = False,
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.status = status
        self.retry_after = retry_after
        self.transient = transient


class Deadline:
    """One budget of seconds for a whole fetch, and a word for what is being waited for."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.activity = "starting"

    def left(self) -> float:
        """Seconds that are left, above zero. Raises TimeoutError when there are none."""
        seconds = self.end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


def broken(detail: str, *, transient: bool = False) -> FetchError:
    return FetchError("connection-failed", detail, transient=transient)


def _ended_early() -> FetchError:
    return broken("The connection ended before the page was complete.", transient=True)


class Wire(io.RawIOBase):
    """Reads a socket as far as the deadline and a budget of bytes allow."""

    def __init__(self, sock: socket.socket, deadline: Deadline, budget: int) -> None:
        self.sock = sock
        self.deadline = deadline
        self.budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.sock.settimeout(self.deadline.left())
        count = self.sock.recv_into(buffer)
        self.budget -= count
        if self.budget < 0:
            raise FetchError("too-large", "The server sends far more than a page.")
        return count

    def close(self) -> None:
        self.sock.close()
        super().close()


def reader(sock: socket.socket, deadline: Deadline, most: int) -> Stream:
    """A stream over a connection, for an answer of at most ``most`` bytes; closing it closes the socket."""
    budget = 2 * most + (INTERIM_ANSWERS + 2) * HEADER_BYTES  # framing at its clumsiest doubles an honest page
    return io.BufferedReader(Wire(sock, deadline, budget), PIECE)


def read_head(stream: Stream) -> tuple[int, Headers]:
    """Status and headers of the first answer that is no interim one; headers that come twice are joined by commas."""
    for _ in range(INTERIM_ANSWERS + 1):
        status_line, *lines = _head_lines(stream)
        found = re.fullmatch(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: .*)?", status_line, re.DOTALL)
        if not found or found[1] == b"101":
            raise broken("The server's answer is not HTTP/1.1.")
        if not found[1].startswith(b"1"):
            break
    else:
        raise FetchError("too-large", "The server sends interim answers without end.")
    return int(found[1]), _headers(lines)


def _headers(lines: list[bytes]) -> Headers:
    headers: Headers = CaseInsensitiveDict()
    head = re.sub(r"\n[ \t]+", " ", b"\n".join(lines).decode("latin-1"))  # a folded line goes on with the one before
    for line in head.split("\n"):
        name, colon, value = line.partition(":")
        if colon and _TOKEN.fullmatch(name):  # others are passed over as browsers do
            value = value.strip(" \t")
            if name.lower() != "location":
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
            elif headers.setdefault(name, value) != value:
                raise broken("The server redirects to two places at once.")
    return headers


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _head_lines(stream: Stream) -> list[bytes]:
    lines: list[bytes] = []
    left = HEADER_BYTES
    while True:
        line = stream.readline(left + 1)
        left -= len(line)
        if left < 0 or len(lines) > HEADER_COUNT:
            raise FetchError("too-large", f"The headers are over {HEADER_BYTES} bytes or {HEADER_COUNT} lines.")
        if not line.endswith(b"\n"):
            raise broken("The connection ended before the server had answered.", transient=True)
        line = line.rstrip(b"\r\n")
        if not line and lines:
            return lines
        lines.append(line)


# --- the body: framing, then decompression, both piece by piece


def read_body(stream: Stream, status: int, headers: Headers, most: int) -> bytes:
    """The decompressed body, at most ``most`` bytes of it, read to its end. Raises FetchError."""
    if status in WITHOUT_BODY:
        return b""
    body = bytearray()
    for piece in _decoded(_pieces(stream, headers, most), headers.get("Content-Encoding", ""), most):
        stream.raw.deadline.left()  # a piece that was read may hold thousands of empty frames
        body += piece
        if len(body) > most:
            raise _too_large(most)
    return bytes(body)


def _too_large(most: int) -> FetchError:
    return FetchError("too-large", f"The page is larger than {most} bytes.")


def _pieces(stream: Stream, headers: Headers, most: int) -> Iterator[bytes]:
    """The body as it was sent, without its framing. Raises FetchError where the framing lies or breaks off."""
    coding = headers.get("Transfer-Encoding")
    length = headers.get("Content-Length")
    if coding is not None:
        if coding.strip().lower() != "chunked":
            raise broken("The server sends the page in a transfer coding that is not known.")
        yield from _chunks(stream)
    elif length is not None:
        numbers = {number.strip() for number in length.split(",")}
        if len(numbers) > 1 or not re.fullmatch(r"[0-9]{1,18}", min(numbers), re.ASCII):
            raise broken("The server announces a length that cannot be.")
        if int(min(numbers)) > most and not headers.get("Content-Encoding"):
            raise _too_large(most)
        yield from _exactly(stream, int(min(numbers)))
        _expect_end(stream)
    else:
        while piece := stream.read1(PIECE):
            yield piece


def _exactly(stream: Stream, left: int) -> Iterator[bytes]:
    while left:
        piece = stream.read1(min(left, PIECE))
        if not piece:
            raise _ended_early()
        left -= len(piece)
        yield piece


def _chunks(stream: Stream) -> Iterator[bytes]:
    for _ in range(CHUNK_COUNT):
        line = stream.readline(CHUNK_LINE)
        size = re.fullmatch(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n", line)
        if not size:
            cut = len(line) < CHUNK_LINE and not line.endswith(b"\n")
            raise _ended_early() if cut else broken("The server frames the page wrongly.")
        left = int(size[1], 16)
        if not left:
            return  # trailers are of no interest, and the connection is closed
        yield from _exactly(stream, left)
        end = stream.read(2)
        if end != b"\r\n":
            raise broken("The server frames the page wrongly.") if len(end) == 2 else _ended_early()
    raise FetchError("too-large", f"The server sends the page in more than {CHUNK_COUNT} chunks.")


def _expect_end(stream: Stream) -> None:
    """After the announced length the server closes, as it was asked to; more bytes mean that the length was a lie."""
    wire = stream.raw
    deadline = wire.deadline
    wire.deadline = Deadline(min(CLOSING_SECONDS, deadline.left()))
    try:
        more = stream.read1(1)
    except OSError:  # still open, or closed rudely: either way nothing more came
        more = b""
    finally:
        wire.deadline = deadline
    if more:
        raise broken("The server sends more than the length that it announces.")


def _decoded(pieces: Iterator[bytes], coding: str, most: int) -> Iterator[bytes]:
    """The pieces decompressed, each about PIECE bytes at most however well they were compressed."""
    codings = [name for part in coding.split(",") if (name := part.strip().lower()) not in _NO_CODING]
    if not codings:
        yield from pieces
        return
    if len(codings) > 1 or codings[0] not in _CODINGS:
        raise FetchError("not-text", "The page is compressed in a way that is not read here.")
    first = next(pieces, b"")
    if not first:  # an empty body, which servers announce as compressed all the same
        return
    try:
        yield from _CODINGS[codings[0]](itertools.chain([first], pieces), most)
    except (zlib.error, brotli.error, zstd.ZstdError):
        raise broken("The compressed page is damaged.") from None


def _gzip(pieces: Iterator[bytes], _: int) -> Iterator[bytes]:
    """Any number of members; what follows them and is none is ignored, as browsers and gzip do."""
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    data = b""
    for piece in pieces:
        data += piece
        while data and not (member.eof and len(data) < len(_GZIP_MAGIC)):
            if member.eof:
                if not data.startswith(_GZIP_MAGIC):
                    return
                member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield member.decompress(data, PIECE)
            data = member.unused_data if member.eof else member.unconsumed_tail
    yield from _flushed(member)


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
        raise _ended_early()


def _brotli(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    """One stream. The decoder may fill a window before it gives a byte: a wide one leaves less memory to the body."""
    first = next(pieces)
    window = 1 << (17 + (first[0] >> 1 & 7) if first[0] & 1 else 16)  # RFC 7932, section 9.1; some are smaller
    if window > max(3.5 * most, BROTLI_WINDOW):
        raise FetchError("too-large", "The page is compressed in a way that takes more memory than a page may.")
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
            raise _ended_early()


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
        raise _ended_early()


_GZIP_MAGIC = b"\x1f\x8b"
_NO_CODING = ("", "identity", "none", "utf-8")  # the last two are mistakes of servers, and harmless
_CODINGS: dict[str, Callable[[Iterator[bytes], int], Iterator[bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
