"""The reader of HTTP answers against h11, a parser of its own kind: what h11 reads comes out the same here."""

import socket

import h11
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.net import http1

MOST = 100_000
VALUES = st.text("abc 123;=,\"'", max_size=20).map(str.strip)
NAMES = st.sampled_from(["A", "Content-Type", "x-b", "Retry-After", "Set-Cookie", "ETag"])
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=5)


def wire(status: int, headers: list[tuple[str, str]], body: list[bytes], framing: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Some reason", *(f"{name}: {value}" for name, value in headers)]
    if framing == "length":
        lines.append(f"Content-Length: {sum(map(len, body))}")
    if framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    head = "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"
    if framing == "chunked":
        return head + b"".join(b"%x;x=y\r\n%s\r\n" % (len(one), one) for one in body if one) + b"0\r\nT: t\r\n\r\n"
    return head + b"".join(body)


def by_h11(data: bytes) -> tuple[int, dict[str, str], bytes] | None:
    """Status, headers and body, or None where h11 refuses."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a"), ("Connection", "close")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    connection.receive_data(b"")
    status, headers, body = 0, dict[str, str](), b""
    try:
        while not isinstance(event := connection.next_event(), h11.EndOfMessage | h11.ConnectionClosed):
            if isinstance(event, h11.Response):
                status = event.status_code
                for name, value in event.headers:
                    text = value.decode("latin-1")
                    headers[name.decode()] = f"{headers[name.decode()]}, {text}" if name.decode() in headers else text
            elif isinstance(event, h11.Data):
                body += event.data
    except h11.RemoteProtocolError:
        return None
    return status, headers, body


def here(data: bytes, *, closes: bool = True) -> tuple[int, dict[str, str], bytes] | None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(data)
    with http1.reader(ours, http1.Deadline(5), MOST) as stream:
        try:
            status, headers = http1.read_head(stream)
            return status, headers, b"".join(http1.pieces(stream, headers, MOST, closes=closes))
        except http1.BadAnswer:
            return None


BODIES = st.lists(st.binary(max_size=300), max_size=6)
STATUSES = st.sampled_from([200, 201, 301, 400, 404, 500, 503, 599])
FRAMINGS = st.sampled_from(["length", "chunked", "close"])


@given(STATUSES, HEADERS, BODIES, FRAMINGS, st.booleans())
def test_an_honest_answer_is_what_h11_reads(
    status: int, headers: list[tuple[str, str]], body: list[bytes], framing: str, closes: bool
) -> None:
    data = wire(status, headers, body, framing)
    expected = by_h11(data)
    assert expected is not None
    assert expected[2] == b"".join(body)
    assert here(data, closes=closes) == expected


@given(STATUSES, HEADERS, BODIES, FRAMINGS, st.data())
def test_a_damaged_answer_is_refused_here_or_is_what_h11_reads(
    status: int, headers: list[tuple[str, str]], body: list[bytes], framing: str, data: st.DataObject
) -> None:
    whole = wire(status, headers, body, framing)
    place = data.draw(st.integers(0, len(whole) - 1))
    piece = data.draw(st.sampled_from([b"", b"\r", b"\n", b"0", b":", b" ", b"\x00", b"\xff", b","]))
    damaged = whole[:place] + piece + whole[place + data.draw(st.integers(0, 3)) :]
    expected = by_h11(damaged)
    if expected is not None:
        assert here(damaged) in (expected, None)
