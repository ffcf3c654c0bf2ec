"""One HTTP/1.1 answer, read from a socket within a deadline and a budget of bytes: its head, then its body.

The fetch of strangers' pages and the DynamoDB client both read by this module. It is as lenient as browsers are where
that is safe (a line may end in LF alone, a header that cannot be read is passed over), and strict where leniency loses
a page unseen: a body that was cut off, two lengths, a length that cannot be. Every answer that h11 reads comes out the
same here; ADR 0007 says why h11 itself is not used, and a property test compares the two.
"""

import contextlib
import functools
import io
import re
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

HEADER_BYTES = 65_536  # of a status line and its headers
HEADER_COUNT = 100
INTERIM_ANSWERS = 10  # 1xx answers before the real one
CHUNK_LINE = 4096  # bytes of a chunk's size and its extensions
CHUNK_COUNT = 100_000  # a page of the usual limit in chunks of 50 bytes: reading smaller ones costs too much time
PIECE = 65_536  # bytes read at a time
CLOSING_SECONDS = 0.05  # for the end of a connection after the last announced byte

Headers: TypeAlias = Mapping[str, str]
Stream: TypeAlias = "io.BufferedReader[DeadlineReader]"

_STATUS_LINE = re.compile(rb"HTTP/[1-9](?:\.[0-9])? ([1-9][0-9]{2})(?: .*)?", re.DOTALL)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CHUNK_SIZE = re.compile(rb"0*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


class BadAnswer(Exception):
    """The answer cannot be read. The message is a sentence; ``kind`` says how another try would fare."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind  # cut-off: the connection ended too early; malformed: no HTTP; too-large: over a bound


class Deadline:
    """One budget of seconds for a whole exchange, and a phrase for what is being waited for."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.activity = "starting"

    def left(self) -> float:
        """Seconds that are left, above zero. Raises TimeoutError when there are none."""
        seconds = self.end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


@contextlib.contextmanager
def closed_on_error(sock: socket.socket) -> Iterator[None]:
    """Close a socket where what is done with it fails."""
    try:
        yield
    except BaseException:
        sock.close()
        raise


class DeadlineReader(io.RawIOBase):
    """A socket's bytes, as far as the deadline and a budget of bytes allow, whatever trickles in."""

    def __init__(self, sock: socket.socket, deadline: Deadline, budget: int, *, owned: bool) -> None:
        self.sock, self.deadline, self.budget, self.owned = sock, deadline, budget, owned

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.sock.settimeout(self.deadline.left())
        count = self.sock.recv_into(buffer)
        self.budget -= count
        if self.budget < 0:
            raise BadAnswer("too-large", "The server sends far more than a page.")
        return count

    def close(self) -> None:
        if self.owned:
            self.sock.close()
        super().close()


def reader(sock: socket.socket, deadline: Deadline, most: int, *, owned: bool = True) -> Stream:
    """A stream over a connection, for an answer whose body has at most ``most`` bytes.

    Closing the stream closes the socket, unless it is not ``owned``: then it may serve for the next answer.
    """
    budget = 2 * most + (INTERIM_ANSWERS + 2) * HEADER_BYTES  # framing at its clumsiest doubles an honest page
    return io.BufferedReader(DeadlineReader(sock, deadline, budget, owned=owned), PIECE)


def read_head(stream: Stream) -> tuple[int, dict[str, str]]:
    """Status and headers of the first answer that is no interim one.

    Names are in lower case; the values of a name that comes twice are joined by commas.
    """
    for _ in range(INTERIM_ANSWERS + 1):
        status_line, *lines = _head_lines(stream)
        found = _STATUS_LINE.fullmatch(status_line)
        if not found or found[1] == b"101":
            raise BadAnswer("malformed", "The server's answer is not HTTP/1.1.")
        if not found[1].startswith(b"1"):
            return int(found[1]), _headers(lines)
    raise BadAnswer("too-large", "The server sends interim answers without end.")


def _head_lines(stream: Stream) -> list[bytes]:
    lines: list[bytes] = []
    left = HEADER_BYTES
    while True:
        line = stream.readline(left + 1)
        left -= len(line)
        if left < 0 or len(lines) > HEADER_COUNT:
            raise BadAnswer("too-large", f"The headers are over {HEADER_BYTES} bytes or {HEADER_COUNT} lines.")
        if not line.endswith(b"\n"):
            raise BadAnswer("cut-off", "The connection ended before the server had answered.")
        line = line.rstrip(b"\r\n")
        if not line and lines:
            return lines
        lines.append(line)


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    head = b"\n".join(lines).decode("latin-1")
    if "\n " in head or "\n\t" in head:
        head = re.sub(r"\n[ \t]+", " ", head)  # a folded line continues the one before it
    for line in head.split("\n"):
        name, colon, value = line.partition(":")
        name, value = _name(name), value.strip(" \t")
        if not colon or not name:
            continue  # browsers pass over such a line
        if name not in headers:
            headers[name] = value
        elif name != "location":
            headers[name] += f", {value}"
        elif headers[name] != value:
            raise BadAnswer("malformed", "The server redirects to two places at once.")
    return headers


@functools.lru_cache(512)
def _name(text: str) -> str:
    """A header's name in lower case; empty if it is none."""
    text = text.rstrip(" \t")
    return text.lower() if _NAME.fullmatch(text) else ""


def pieces(stream: Stream, headers: Headers, most: int, *, closes: bool = True) -> Iterator[bytes]:
    """The body as it was sent, without its framing, at most PIECE bytes at a time.

    ``closes`` says that the server was asked to close the connection after the body: it is then read to that end, and
    bytes after the announced length are an error. BadAnswer where the framing lies or breaks off.
    """
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length", "").strip(" ,")  # an empty one says nothing, to browsers too
    if coding is not None:
        if {name.strip() for name in coding.lower().split(",")} != {"chunked"}:
            raise BadAnswer("malformed", "The server sends the page in a transfer coding that is not known.")
        yield from _chunks(stream, closes=closes)
    elif length:
        announced = _announced(length)
        if announced > most and not headers.get("content-encoding"):
            raise BadAnswer("too-large", f"The page is larger than {most / 1e6:g} MB.")
        yield from _exactly(stream, announced)
        if closes:
            _expect_end(stream)
    else:
        while piece := stream.read1(PIECE):
            yield piece


def _announced(length: str) -> int:
    """The one number that Content-Length says, however often it says it."""
    if len(length) <= 18 and length.isdecimal():  # of Latin-1, that is ASCII digits
        return int(length)
    numbers = {number.strip() for number in length.split(",")}
    if len(numbers) > 1 or not _LENGTH.fullmatch(min(numbers)):
        raise BadAnswer("malformed", "The server announces a length that cannot be.")
    return int(min(numbers))


def _exactly(stream: Stream, left: int) -> Iterator[bytes]:
    while left:
        piece = stream.read1(min(left, PIECE))
        if not piece:
            raise _cut_off()
        left -= len(piece)
        yield piece


def _chunks(stream: Stream, *, closes: bool) -> Iterator[bytes]:
    for _ in range(CHUNK_COUNT):
        line = stream.readline(CHUNK_LINE)
        size = _CHUNK_SIZE.fullmatch(line)
        if not size:
            cut = len(line) < CHUNK_LINE and not line.endswith(b"\n")
            raise _cut_off() if cut else _misframed()
        left = int(size[1], 16)
        if not left:
            if not closes:
                _skip_trailers(stream)
            return  # else the connection is closed, with whatever may follow
        yield from _exactly(stream, left)
        end = stream.read(1)
        if end == b"\r":
            end = stream.read(1)
        if end != b"\n":
            raise _misframed() if end else _cut_off()
    raise BadAnswer("too-large", f"The server sends the page in more than {CHUNK_COUNT} chunks.")


def _skip_trailers(stream: Stream) -> None:
    for _ in range(HEADER_COUNT):
        if stream.readline(CHUNK_LINE) in (b"\r\n", b"\n"):
            return
    raise _misframed()


def _expect_end(stream: Stream) -> None:
    """After the announced length the server closes, as it was asked to; more bytes mean that the length was a lie."""
    source = stream.raw
    deadline = source.deadline
    source.deadline = Deadline(min(CLOSING_SECONDS, deadline.left()))
    try:
        more = stream.read1(1)
    except OSError:  # still open, or closed rudely: either way nothing more came
        more = b""
    finally:
        source.deadline = deadline
    if more:
        raise BadAnswer("malformed", "The server sends more than the length that it announces.")


def _cut_off() -> BadAnswer:
    return BadAnswer("cut-off", "The connection ended before the page was complete.")


def _misframed() -> BadAnswer:
    return BadAnswer("malformed", "The server frames the page wrongly.")
