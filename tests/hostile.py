"""A web server that means harm: each path is one way to answer badly, written to the socket byte by byte.

``with Hostile(routes) as server: fetch(server.url("/drip"))``. With ``tls`` (an ssl.SSLContext) it speaks HTTPS. It
listens on loopback only; ``server.heads`` are the requests that it was sent, ``server.peers`` counts connections.
"""

import contextlib
import gzip
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import brotli
import zstandard

PAGE = b"<!doctype html><title>t</title><p>Hello, quiet world</p>"
STEP = 0.05  # seconds between two bytes of those who drip
Scenario = Callable[[socket.socket], None]


def head(status: str = "200 OK", **headers: str) -> bytes:
    """The head of an answer; HTML unless said otherwise, and an empty value leaves a header out."""
    named = {"Content-Type": "text/html", **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [f"{name}: {value}" for name, value in named.items() if value]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def whole(body: bytes = PAGE, status: str = "200 OK", **headers: str) -> bytes:
    """An honest answer with its length."""
    return head(status, Content_Length=str(len(body)), **headers) + body


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)


def endless(sock: socket.socket, data: bytes) -> None:
    while True:
        sock.sendall(data)


def drip(sock: socket.socket, data: bytes) -> None:
    for place in range(len(data)):
        sock.sendall(data[place : place + 1])
        time.sleep(STEP)


def zeros(megabytes: int) -> Iterator[bytes]:
    return (bytes(1 << 20) for _ in range(megabytes))


def deflate(bits: int, megabytes: int) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, bits)
    return b"".join(map(engine.compress, zeros(megabytes))) + engine.flush()


def brotli_bomb(megabytes: int) -> bytes:
    engine = brotli.Compressor(quality=9, lgwin=24)
    return b"".join(map(engine.process, zeros(megabytes))) + engine.finish()


def zstd_bomb(megabytes: int) -> bytes:
    engine = zstandard.ZstdCompressor(level=9).compressobj()
    return b"".join(map(engine.compress, zeros(megabytes))) + engine.flush()


BOMBS: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "gzip": ("gzip", lambda megabytes: deflate(31, megabytes)),
    "gzip-members": ("gzip", lambda megabytes: gzip.compress(bytes(1 << 20)) * megabytes),
    "deflate": ("deflate", lambda megabytes: deflate(15, megabytes)),
    "raw-deflate": ("deflate", lambda megabytes: deflate(-15, megabytes)),
    "br": ("br", brotli_bomb),
    "zstd": ("zstd", zstd_bomb),
    "zstd-frames": ("zstd", lambda megabytes: zstandard.compress(bytes(1 << 20)) * megabytes),
}


def say(*parts: bytes) -> Scenario:
    def scenario(sock: socket.socket) -> None:
        for part in parts:
            sock.sendall(part)

    return scenario


def then_reset(data: bytes) -> Scenario:
    def scenario(sock: socket.socket) -> None:
        sock.sendall(data)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return scenario


def forever(first: bytes, again: bytes) -> Scenario:
    def scenario(sock: socket.socket) -> None:
        sock.sendall(first)
        endless(sock, again)

    return scenario


def slowly(first: bytes, rest: bytes) -> Scenario:
    def scenario(sock: socket.socket) -> None:
        sock.sendall(first)
        drip(sock, rest)

    return scenario


def silent(first: bytes = b"") -> Scenario:
    def scenario(sock: socket.socket) -> None:
        sock.sendall(first)
        with contextlib.suppress(OSError):
            while sock.recv(65536):
                pass

    return scenario


class Hostile:
    """The server; ``routes`` is path -> what is done with the connection once the request's head was read."""

    def __init__(self, routes: dict[str, Scenario] | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.routes = {} if routes is None else routes
        self.tls = tls
        self.heads: list[bytes] = []
        self.peers = 0
        self.open: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http{'s' if self.tls else ''}://{host}:{self.port}{path}"

    def paths(self) -> list[str]:
        return [request.split(b" ")[1].decode() for request in self.heads]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self.listener.close()
        for sock in self.open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                self.peers += 1
                self.open.append(sock)
                threading.Thread(target=self._answer, args=(sock,), daemon=True).start()

    def _answer(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            with sock:
                request = b""
                while b"\r\n\r\n" not in request:
                    if not (data := sock.recv(65536)):
                        return
                    request += data
                self.heads.append(request)
                path = request.split(b" ")[1].decode().partition("?")[0]
                self.routes.get(path, say(whole(b"not here", "404 Not Found")))(sock)
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_WR)
