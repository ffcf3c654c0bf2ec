"""What a fetch may cost in memory, as the peak of a child process over what it had before."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import brotli
import pytest
import zstandard

from tests.hostile import BOMBS, Hostile, Scenario, chunked, forever, head, say, whole

MOST = 5_000_000  # the default
ROOT = Path(__file__).resolve().parents[2]

# One process loads everything; each page is fetched by a fork of it, whose peak is its own.
CHILD = """
import os, sys
from chalicelib.fetching import FetchError, fetch
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
fetch(sys.argv[1])
for url in sys.argv[2:]:
    if os.fork() == 0:
        before = peak()
        try:
            kind = len(fetch(url).body)
        except FetchError as error:
            kind = error.kind
        print(kind, peak() - before, flush=True)
        os._exit(0)
    os.wait()
"""


def wide_brotli(megabytes: int) -> bytes:
    """A bomb in one long copy, so that the decoder fills a window of 16 MB before it gives a byte."""
    return brotli.compress(bytes(megabytes << 20), quality=11, lgwin=24)


def wide_zstd(megabytes: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=23)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(bytes(megabytes << 20))


def large(coding: str, body: bytes) -> Scenario:
    return say(whole(body, Content_Encoding=coding))


ANSWERS: dict[str, tuple[str, Scenario]] = {
    **{f"/{name}": ("too-large", large(coding, make(30))) for name, (coding, make) in BOMBS.items()},
    "/wide-br": ("too-large", large("br", wide_brotli(30))),
    "/wide-zstd": ("too-large", large("zstd", wide_zstd(30))),
    "/endless": ("too-large", forever(head(), b"x" * 65536)),
    "/one-chunk": ("too-large", forever(head(Transfer_Encoding="chunked") + b"fffffff\r\n", b"x" * 65536)),
    "/chunks": ("too-large", forever(head(Transfer_Encoding="chunked"), chunked(b"x" * 10) * 5000)),
    "/headers": ("too-large", forever(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 5000)),
    "/header": ("too-large", forever(b"HTTP/1.1 200 OK\r\na: ", b"x" * 65536)),
    "/full": (str(MOST), say(whole(b"x" * MOST))),
    "/full-gzip": (str(MOST), large("gzip", gzip.compress(b"x" * MOST))),
    "/full-br": (str(MOST), large("br", brotli.compress(b"x" * MOST, quality=5))),
    "/full-zstd": (str(MOST), large("zstd", zstandard.compress(b"x" * MOST))),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc")
def test_a_fetch_takes_less_than_four_times_the_limit_whatever_the_server_sends() -> None:
    limits = {"FETCH_ALLOW_NETWORKS": "127.0.0.0/8", "FETCH_MAX_BYTES": str(MOST), "FETCH_DEADLINE": "20"}
    routes = {name: scenario for name, (_, scenario) in ANSWERS.items()}
    with Hostile({**routes, "/good": say(whole())}) as server:
        child = subprocess.run(
            [sys.executable, "-c", CHILD, server.url("/good"), *map(server.url, ANSWERS)],
            cwd=ROOT,
            env={**os.environ, **limits},
            stdout=subprocess.PIPE,
            text=True,
            timeout=100,
            check=True,
        )
    found = dict(zip(ANSWERS, (line.split() for line in child.stdout.splitlines()), strict=True))
    print({name: f"{int(peak) / MOST:.2f}" for name, (_, peak) in found.items()})
    assert {name: ended for name, (ended, _) in found.items()} == {name: kind for name, (kind, _) in ANSWERS.items()}
    assert {name: peak for name, (_, peak) in found.items() if int(peak) >= 4 * MOST} == {}
