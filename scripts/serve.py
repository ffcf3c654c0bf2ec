"""The HTTP API on one machine: Chalice's local gateway, mended where a client can see that it is not API Gateway.

    python -m scripts.serve --port 8000 --host 127.0.0.1

What is mended: headers and body leave in one segment; path parameters are percent-decoded; unknown paths, methods and
broken requests answer as problems; HEAD has no body; chunked bodies are read, large ones refused; slow clients are
cut off; SIGTERM lets running requests end.
"""

import argparse
import base64
import contextlib
import io
import ipaddress
import os
import re
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from email.errors import FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from chalice.app import CaseInsensitiveMapping, Chalice
from chalice.config import Config
from chalice.local import CustomLocalChalice, LocalChalice, LocalGateway

from app import ALLOW_ORIGIN, AUTH, METHODS, app, logger
from chalicelib import submissions
from chalicelib.http import access, responses

IDLE_SECONDS = 75  # a kept connection may say nothing for so long
REQUEST_SECONDS = 30  # a request's headers and body must have arrived
LINGER_SECONDS = 5  # a refused body is read away for so long, so that the client sees the refusal
STOP_SECONDS = 3  # what runs when the server is stopped may end within
CHUNK_LINE = 1024

_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\n]*)?\r?\n")
# What the parser of headers meets where a line is none: it takes that line and all that follow for the body.
_NO_HEADER = (FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect)
_NAMES = {
    400: "invalid-request",
    408: "request-timeout",
    414: "uri-too-long",
    431: "headers-too-large",
    505: "invalid-request",
}


class TimedReader(io.RawIOBase):
    """A socket to read from until a time of ``time.monotonic``, whatever trickles in; then it raises TimeoutError."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self.sock, self.until = sock, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.sock.settimeout(left)
        return self.sock.recv_into(buffer)


class Gateway(LocalGateway):
    """Chalice's gateway with decoded path parameters, as API Gateway has them."""

    def _generate_lambda_event(self, method: str, path: str, headers: Any, body: bytes | None) -> Any:
        event = super()._generate_lambda_event(method, path, headers, body)
        event["pathParameters"] = {name: unquote(value) for name, value in event["pathParameters"].items()}
        return event

    def serves(self, path: str) -> bool:
        """Whether any method is routed at this path."""
        try:
            self.event_converter._route_matcher.match_route(path)
        except ValueError:
            return False
        return True


class _BadLine(ValueError):
    """A line that another reader would see otherwise."""


class _Lines(io.BufferedReader):
    """Reads no line with a NUL or a bare CR, which some take for a line's end and others do not."""

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if b"\0" in line or b"\r" in line.removesuffix(b"\n").removesuffix(b"\r"):
            raise _BadLine
        return line


class Handler(BaseHTTPRequestHandler):
    """One connection: requests in, answers out."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # else headers and body leave apart, and Nagle's algorithm holds the body back for 44 ms
    disable_nagle_algorithm = True
    server: "Server"

    def setup(self) -> None:
        super().setup()
        self.reader = TimedReader(self.connection, 0.0)
        self.rfile = _Lines(self.reader)

    def handle_one_request(self) -> None:
        self.close_connection = True
        self.command, self.requestline, self.request_version = "", "", self.protocol_version
        self.answered = False
        self.reader.until = time.monotonic() + IDLE_SECONDS
        try:
            self.raw_requestline = self.rfile.readline(65_537)
            if self.raw_requestline in (b"\r\n", b"\n"):  # some send one after a body (RFC 9112, 2.2)
                self.raw_requestline = self.rfile.readline(65_537)
            if not self.raw_requestline:
                return
            with self.server.one_more():
                self.reader.until = time.monotonic() + REQUEST_SECONDS
                self._handle()
                self.wfile.flush()
        except _BadLine:
            self._refuse(self._broken("A line holds a character that none may hold."))
        except TimeoutError:
            self.close_connection = True
            if self.command and not self.answered:
                self._refuse(responses.Refused("request-timeout", "The request did not arrive in time."))

    def _handle(self) -> None:
        if len(self.raw_requestline) > 65_536:
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
            return
        if not self.parse_request():
            return
        if self.request_version == "HTTP/0.9":
            self.send_error(HTTPStatus.BAD_REQUEST, "The request has no version of HTTP.")
            return
        try:
            self._check_head()
            body = self._body()
            answer = self._answer(self._target(), body)
        except responses.Refused as refused:
            self._refuse(refused)
            return
        self.connection.settimeout(REQUEST_SECONDS)
        self._send(*answer)

    def _check_head(self) -> None:
        """Refuse what does not name one host, and headers that another reader may see otherwise (RFC 9112)."""
        if any(isinstance(defect, _NO_HEADER) for defect in self.headers.defects):
            raise self._broken("A header is malformed.")
        hosts = len(self.headers.get_all("Host", []))
        if hosts > 1 or (hosts == 0 and self.request_version != "HTTP/1.0"):
            raise self._broken("One Host is expected.")

    def _target(self) -> str:
        """Path and query; the absolute form that a proxy's client sends is understood too, and says the host."""
        if self.path.startswith("/"):
            return self.path
        try:
            parts = urlsplit(self.path)
        except ValueError:
            raise responses.Refused("invalid-request", "The request's target cannot be read.") from None
        if parts.scheme not in ("http", "https"):
            raise responses.Refused("invalid-request", "The request's target is not a path.")
        del self.headers["Host"]
        self.headers["Host"] = parts.netloc
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def _body(self) -> bytes | None:
        """The body; the connection is closed where it is not read to its end."""
        codings, lengths = self.headers.get_all("Transfer-Encoding", []), self.headers.get_all("Content-Length", [])
        if codings and (lengths or [coding.strip().lower() for coding in codings] != ["chunked"]):
            raise self._broken("The request's framing is not understood.")
        if codings:
            return self._chunks()
        if not lengths:
            return None
        if len(set(lengths)) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise self._broken("The Content-Length is not a number.")
        length = int(lengths[0][:12])
        self._check_size(length)
        body = self.rfile.read(length)
        if len(body) < length:
            raise self._broken("The body ended before its Content-Length.")
        return body

    def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            line = _CHUNK.fullmatch(self.rfile.readline(CHUNK_LINE))
            if line is None:
                raise self._broken("A chunk's size is not a number.")
            size = int(line[1], 16)
            if size == 0:
                break
            self._check_size(len(body) + size)
            body += self.rfile.read(size)
            if self.rfile.readline(3).strip(b"\r\n"):
                raise self._broken("A chunk is longer than its size.")
        for _ in range(100):
            if self.rfile.readline(65_536) in (b"\r\n", b"\n"):
                return bytes(body)
        raise self._broken("The chunked body has too many trailers.")

    def _check_size(self, length: int) -> None:
        if length > submissions.MAX_BODY_BYTES:
            self.close_connection = True
            raise responses.Refused("body-too-large", f"A body may have {submissions.MAX_BODY_BYTES} bytes.")

    def _broken(self, detail: str) -> responses.Refused:
        self.close_connection = True
        return responses.Refused("invalid-request", detail)

    def _answer(self, target: str, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
        """What the app answers, as status, headers and body."""
        gateway = self.server.gateway
        path, mark, query = target.partition("?")
        # Chalice's gateway would cut the path at a ; or a #, which are as good as any other character of an id.
        target = quote(path, safe="/%", encoding="latin-1") + mark + query
        if target.startswith("//") or not gateway.serves(target):
            raise responses.Refused("not-found", "There is no such path.")
        known = self.command in METHODS
        # HEAD is asked as GET, so that it has GET's length; of an unknown method only what is allowed is of interest.
        method = {"HEAD": "GET"}.get(self.command, self.command) if known else "OPTIONS"
        # A field that comes twice is one list (RFC 9110, 5.3).
        sent = {name: ", ".join(self.headers.get_all(name, [])) for name in self.headers}
        returned = gateway.handle_request(method=method, path=target, headers=sent, body=body)
        content = returned["body"]
        raw = base64.b64decode(content) if returned.get("isBase64Encoded") else content.encode()
        headers = dict(returned["headers"])
        if not known:
            allow = {"Allow": headers.get("Allow", "")}
            raise responses.Refused("method-not-allowed", f"Allowed methods: {allow['Allow']}.", headers=allow)
        return returned["statusCode"], headers, raw

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.answered = True
        self.send_response_only(status)
        self.send_header("Date", self.date_time_string())
        if status in (204, 304):
            headers.pop("Content-Type", None)
        else:
            headers["Content-Length"] = str(len(body))
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    def _refuse(self, refused: responses.Refused) -> None:
        answer = responses.problem(refused)
        given = CaseInsensitiveMapping(dict(getattr(self, "headers", None) or {}))
        shared = access.cors(given, self.command, ALLOW_ORIGIN, METHODS)
        common = {**access.SECURITY, "X-Request-Id": str(uuid.uuid4()), **shared}
        said = {"method": self.command, "status": answer.status, "problem": refused.name}
        logger.info("request", extra={**said, "request_id": common["X-Request-Id"]})
        self._send(answer.status, {**common, **answer.headers}, answer.body)
        if self.close_connection:
            self.wfile.flush()
            self._linger()

    def _linger(self) -> None:
        """Read away what still comes: closing with unread bytes would take the answer from the client."""
        self.connection.shutdown(socket.SHUT_WR)
        self.reader.until = time.monotonic() + LINGER_SECONDS
        while self.reader.readinto(bytearray(1 << 16)):
            pass

    def handle_expect_100(self) -> bool:
        """Tell a client that asks first to go on, before its body is awaited."""
        self.send_response_only(HTTPStatus.CONTINUE)
        self.end_headers()
        self.wfile.flush()
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - as the base class has it
        """The base class refuses what it cannot parse."""
        self.close_connection = True
        self.request_version = self.protocol_version  # until it is parsed it is 0.9, whose answers have no head
        self._refuse(responses.Refused(_NAMES.get(code, "invalid-request"), message or HTTPStatus(code).description))

    def log_message(self, format: str, *args: Any) -> None:
        """The app writes the log."""


class Server(ThreadingHTTPServer):
    """A thread for each connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024  # hundreds may come at once

    def __init__(self, address: tuple[str, int], served: Chalice) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.gateway = Gateway(served, Config.create(app_name="wordcounts", chalice_stage="local"))
        self._running = 0
        self._lock = threading.Lock()
        super().__init__(address, Handler)

    @contextlib.contextmanager
    def one_more(self) -> Iterator[None]:
        """A context in which a request counts as running."""
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1

    def finish(self) -> None:
        """Wait a little for what runs."""
        until = time.monotonic() + STOP_SECONDS
        while self._running and time.monotonic() < until:
            time.sleep(0.02)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as the base class has it
        """A client that went away is no fault."""
        if not isinstance(sys.exception(), OSError):
            logger.exception("a connection failed")


def make_server(host: str, port: int) -> Server:
    """The server, bound and not yet serving. Its app keeps a current request for each thread, as Chalice's does."""
    if not isinstance(app, LocalChalice):
        CustomLocalChalice.__bases__ = (LocalChalice, app.__class__)
        app.__class__ = CustomLocalChalice
    return Server((host, port), app)


def main() -> None:
    parser = argparse.ArgumentParser(description="The HTTP API on one machine.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args()
    server = make_server(given.host, given.port)
    if AUTH == "none" and not _is_loopback(given.host):
        print(f"Warning: AUTH=none, and whoever reaches {given.host} may use the service", file=sys.stderr)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown).start()  # it waits for the loop that this thread is in

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    host = f"[{given.host}]" if ":" in given.host else given.host
    print(f"Serving on http://{host}:{server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    server.finish()
    sys.stdout.flush()
    os._exit(0)  # threads that wait for a job would hold the process for up to 20 s


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    main()
