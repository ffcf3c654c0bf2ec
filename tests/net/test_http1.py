"""One answer read under limits: bytes on a socket pair, without a network."""

import gzip
import random
import socket
import threading
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from chalicelib.fetch import decompression
from chalicelib.fetch.errors import FetchError, of_answer
from chalicelib.net import http1
from chalicelib.net.http1 import BadAnswer, Deadline
from tests.hostile import PAGE, chunked, head, whole

MOST = 1_000_000
AT_ONCE = 50_000  # bytes that a socket takes with nobody reading: no thread is needed
TEXT = random.Random(7).randbytes(70_000) + b"a" * 130_000  # takes several pieces both packed and unpacked

ZSTD = zstandard.ZstdCompressor(write_checksum=True)

PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZIP", gzip.compress),
    "members": ("gzip", lambda data: gzip.compress(data[:1000]) + gzip.compress(b"") + gzip.compress(data[1000:])),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", lambda data: zlib.compress(data, wbits=-15)),
    "stored": ("gzip", lambda data: gzip.compress(data, 0)),
    "br": ("br", lambda data: brotli.compress(data, quality=5)),
    "zstd": ("zstd", ZSTD.compress),
    "frames": ("zstd", lambda data: ZSTD.compress(data[:1000]) + ZSTD.compress(data[1000:])),
    "identity": ("identity", bytes),
    "nothing": ("", bytes),
    "identity, gzip": ("identity, gzip", gzip.compress),
}


def read(data: bytes, most: int = MOST, seconds: float = 5) -> tuple[int, bytes]:
    """Status and body of an answer whose server closes after it."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs:
            try:
                theirs.sendall(data)
            except OSError:
                return

    server = threading.Thread(target=serve)
    if len(data) < AT_ONCE:
        serve()
    else:
        server.start()
    with http1.reader(ours, Deadline(seconds), most) as stream:
        try:
            status, headers = http1.read_head(stream)
            return status, decompression.read_body(stream, status, headers, most)
        except BadAnswer as error:
            raise of_answer(error) from None
        finally:
            ours.close()
            if server.ident is not None:
                server.join()


def refusal(data: bytes, most: int = MOST) -> FetchError:
    with pytest.raises(FetchError) as caught:
        read(data, most)
    return caught.value


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
def test_a_body_comes_whole_in_every_coding_and_framing(name: str, framing: str) -> None:
    coding, pack = PACKED[name]
    for text in (TEXT, b"", b"x"):
        packed = pack(text)
        if framing == "length":
            data = whole(packed, Content_Encoding=coding)
        elif framing == "close":
            data = head(Content_Encoding=coding) + packed
        else:
            parts = [packed[place : place + 7000] for place in range(0, len(packed), 7000)]
            data = head(Content_Encoding=coding, Transfer_Encoding="chunked") + chunked(*parts, b"")
        assert read(data) == (200, text)


@pytest.mark.parametrize("name", [name for name in PACKED if name not in ("identity", "nothing")])
def test_a_truncated_or_damaged_coding_is_an_error(name: str) -> None:
    coding, pack = PACKED[name]
    packed = pack(TEXT)
    for cut in (1, 2, 5, 10, len(packed) // 2, len(packed) - 5, len(packed) - 1):
        assert refusal(head(Content_Encoding=coding) + packed[:cut]).kind == "connection-failed"
    if "br" in coding or name == "raw deflate":
        return  # these have no checksum: some damage is a text
    rotten = bytearray(packed)
    rotten[len(rotten) // 3 :: 97] = b"\xff" * len(rotten[len(rotten) // 3 :: 97])
    assert refusal(head(Content_Encoding=coding) + rotten).kind == "connection-failed"
    assert refusal(head(Content_Encoding=coding) + b"plain text all along").kind == "connection-failed"


@pytest.mark.parametrize("name", PACKED)
def test_a_framing_that_lies_is_an_error_whatever_the_coding(name: str) -> None:
    coding, pack = PACKED[name]
    packed = pack(PAGE)
    length = {"Content_Encoding": coding, "Content_Length": str(len(packed))}
    assert refusal(head(**length) + packed + b"more").kind == "connection-failed"
    assert refusal(head(**{**length, "Content_Length": str(len(packed) + 5)}) + packed).kind == "connection-failed"
    chunks = head(Content_Encoding=coding, Transfer_Encoding="chunked") + chunked(packed)
    assert refusal(chunks).kind == "connection-failed"
    assert refusal(chunks + b"zz\r\n").kind == "connection-failed"


@pytest.mark.parametrize("coding", ["compress", "gzip;q=1", "dcb", "aes128gcm", "8bit", "binary", "gzip, exi"])
def test_a_body_in_an_unknown_coding_is_read_as_it_is(coding: str) -> None:
    assert read(whole(PAGE, Content_Encoding=coding)) == (200, PAGE)


@pytest.mark.slow
@pytest.mark.slow
def test_codings_may_be_nested_a_few_deep_within_the_limit() -> None:
    assert read(whole(brotli.compress(gzip.compress(PAGE)), Content_Encoding="gzip, br")) == (200, PAGE)
    assert refusal(whole(gzip.compress(PAGE), Content_Encoding="br, gzip")).kind == "connection-failed"
    assert refusal(whole(PAGE, Content_Encoding="gzip, gzip, gzip, gzip")).kind == "not-text"
    bomb = gzip.compress(gzip.compress(b"") * 500_000)  # no byte of a page, and ten megabytes between
    assert refusal(whole(bomb, Content_Encoding="gzip, gzip")).kind == "too-large"


@pytest.mark.parametrize("coding", ["none", "UTF-8", "identity, identity", " , "])
def test_a_coding_that_is_none_is_passed_over(coding: str) -> None:
    assert read(whole(Content_Encoding=coding)) == (200, PAGE)


def test_what_follows_the_last_gzip_member_is_ignored() -> None:
    for rest in (b"\0", b"\0" * 1000, b"rubbish", b"\x1f"):
        assert read(whole(gzip.compress(PAGE) + rest, Content_Encoding="gzip")) == (200, PAGE)


@pytest.mark.parametrize("name", PACKED)
def test_a_body_may_be_as_large_as_the_limit_and_not_a_byte_larger(name: str) -> None:
    coding, pack = PACKED[name]
    for extra in ({"Content_Length": str(len(pack(TEXT)))}, {}):
        data = head(Content_Encoding=coding, **extra) + pack(TEXT)
        assert read(data, len(TEXT)) == (200, TEXT)
        assert refusal(data, len(TEXT) - 1).kind == "too-large"


def test_a_brotli_window_counts_against_the_memory_of_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def packed(window: int) -> bytes:
        return head(Content_Encoding="br") + brotli.compress(TEXT, quality=5, lgwin=window)

    monkeypatch.setattr(decompression, "BROTLI_WINDOW", 1 << 17)
    for window in (10, 16, 17):
        assert read(packed(window), len(TEXT)) == (200, TEXT)
    assert refusal(packed(24), MOST).kind == "too-large"  # more than three and a half times the limit by itself
    assert refusal(packed(19), len(TEXT)).kind == "too-large"  # leaves a quarter, which this text is not
    assert read(packed(19), 4 * len(TEXT)) == (200, TEXT)


@pytest.mark.parametrize(
    ("data", "kind"),
    {
        "too few bytes": (head(Content_Length="100") + b"short", "connection-failed"),
        "too many bytes": (head(Content_Length="5") + b"longer than said", "connection-failed"),
        "more than nothing": (head(Content_Length="0") + b"something", "connection-failed"),
        "negative": (head(Content_Length="-1") + PAGE, "connection-failed"),
        "signed": (head(Content_Length="+5") + b"12345", "connection-failed"),
        "underscored": (head(Content_Length="1_0") + b"1234567890", "connection-failed"),
        "no number": (head(Content_Length="many") + PAGE, "connection-failed"),
        "other digits": (head(Content_Length="٥".encode().decode("latin-1")) + b"12345", "connection-failed"),
        "astronomic": (head(Content_Length="9" * 5000) + PAGE, "connection-failed"),
        "in conflict": (head(Content_Length="5, 6") + b"12345", "connection-failed"),
        "huge": (head(Content_Length=str(MOST + 1)) + PAGE, "too-large"),
        "chunk cut": (head(Transfer_Encoding="chunked") + b"5\r\nabc", "connection-failed"),
        "no last chunk": (head(Transfer_Encoding="chunked") + chunked(b"abc"), "connection-failed"),
        "chunk of no size": (head(Transfer_Encoding="chunked") + b"\r\nabc", "connection-failed"),
        "chunk of negative size": (head(Transfer_Encoding="chunked") + b"-5\r\nabc", "connection-failed"),
        "chunk of signed size": (head(Transfer_Encoding="chunked") + b"0x3\r\nabc\r\n0\r\n\r\n", "connection-failed"),
        "chunk of huge size": (head(Transfer_Encoding="chunked") + b"f" * 17 + b"\r\nabc", "connection-failed"),
        "chunk too long": (head(Transfer_Encoding="chunked") + b"3\r\nabcd\r\n0\r\n\r\n", "connection-failed"),
        "extension": (head(Transfer_Encoding="chunked") + b"3;" + b"x" * 5000 + b"\r\nabc", "connection-failed"),
        "coded transfer": (head(Transfer_Encoding="gzip, chunked") + chunked(PAGE, b""), "connection-failed"),
        "nothing": (b"", "connection-failed"),
        "head cut": (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", "connection-failed"),
        "header cut": (b"HTTP/1.1 200 OK\r\nContent-Ty", "connection-failed"),
        "HTTP/0.9": (PAGE + b"\n\n", "connection-failed"),
        "HTTP of no version": (b"HTTP 200\r\n\r\n", "connection-failed"),
        "no status": (b"HTTP/1.1 OK\r\n\r\n", "connection-failed"),
        "odd status": (b"HTTP/1.1 2000 OK\r\n\r\n", "connection-failed"),
        "status 0": (b"HTTP/1.1 000 OK\r\n\r\n", "connection-failed"),
        "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", "connection-failed"),
        "blank lines": (b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "connection-failed"),
        "upgrade": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + whole(), "connection-failed"),
        "two places": (
            b"HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 0\r\nlocation: /b\r\n\r\n",
            "connection-failed",
        ),
        "folded length": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n 3\r\n\r\nhi", "connection-failed"),
        "interim flood": (b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + whole(), "too-large"),
        "many headers": (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 101 + b"\r\n", "too-large"),
        "long header": (b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000 + b"\r\n\r\n", "too-large"),
        "long headers": (b"HTTP/1.1 200 OK\r\n" + (b"a: " + b"b" * 7000 + b"\r\n") * 10 + b"\r\n", "too-large"),
        "long status": (b"HTTP/1.1 200 " + b"O" * 70_000 + b"\r\n\r\n", "too-large"),
    }.values(),
    ids=lambda value: value if isinstance(value, str) else repr(value[:30]),
)
def test_an_answer_that_lies_breaks_off_or_does_not_end_is_an_error(data: bytes, kind: str) -> None:
    assert refusal(data).kind == kind


def test_chunks_without_end_are_not_read_however_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "CHUNK_COUNT", 1000)
    assert refusal(head(Transfer_Encoding="chunked") + chunked(b"x") * 1001).kind == "too-large"


def test_a_header_may_be_folded_or_said_twice() -> None:
    lines = [b"A:", b"\t  b", b" c: d ", b"Location: /x, y", b"location:  /x, y", b"E: f", b"e: g", b"no name", b" h"]
    assert dict(http1._headers(lines)) == {"a": "b c: d", "location": "/x, y", "e": "f, g"}


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\n\nhi",
        b"HTTP/1.1 200 OK\r\ncontent-LENGTH:2\t\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nno header at all\r\n folded\r\nbad name: 1\r\nContent-Length : 2\r\n\r\nhi",
        b"HTTP/2 200\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nhi",
        head(Transfer_Encoding="chunked") + b"2\nhi\n0\n\n",
        head(Transfer_Encoding="chunked") + b"0000000000000002\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 \xff\xfe\r\nX: \xff\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + whole(b"hi"),
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 99 + b"\r\nhi",
        head(Transfer_Encoding="Chunked", Content_Length="5") + b"2 ;a=b\r\nhi\r\n000;x\r\nTrailer: x\r\n\r\n",
        head(Transfer_Encoding="chunked") + b"2\r\nhi\r\n0\r\n",
    ],
)
def test_an_answer_may_be_as_odd_as_browsers_bear(data: bytes) -> None:
    assert read(data) == (200, b"hi")


def test_what_may_pass_by_itself_is_told_from_what_will_not() -> None:
    assert refusal(head(Content_Length="100") + b"short").transient
    assert refusal(head(Transfer_Encoding="chunked") + b"5").transient
    assert not refusal(head(Transfer_Encoding="chunked") + b"0" * 5000).transient
    assert not refusal(head(Content_Length="-1") + PAGE).transient
    assert not refusal(whole(b"no gzip", Content_Encoding="gzip")).transient


@pytest.mark.parametrize("status", ["204 No Content", "205 Reset Content"])
def test_a_status_without_a_body_has_none_whatever_follows(status: str) -> None:
    assert read(head(status, Content_Length="5") + b"hello") == (int(status[:3]), b"")
    assert read(head(status, Content_Encoding="gzip")) == (int(status[:3]), b"")


def test_a_deadline_that_is_over_has_no_time_left() -> None:
    with pytest.raises(TimeoutError):
        Deadline(0).left()
    with pytest.raises(TimeoutError):
        read(whole(), seconds=1e-9)
