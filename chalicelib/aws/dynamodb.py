"""A client for DynamoDB that costs little: its JSON protocol over kept connections, signed here.

boto3 takes 0.4 s of CPU to come up, which the first caller of a new Lambda waits for, and a millisecond a call, most of
it on building the same request anew. ``Client`` does what the records need of it. It is used where the environment says
everything that there is to know (settings.aws); where AWS's own files have a say, boto3 is asked as ever.
"""

import base64
import functools
import hashlib
import hmac
import os
import random
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import msgspec

from chalicelib.net import http1
from chalicelib.net.http1 import Deadline

if TYPE_CHECKING:
    import ssl

CONNECT_SECONDS, READ_SECONDS = 1.0, 3.0
TRIES = 3  # of one call; a job's reader waits for them
IDLE_SECONDS = 10.0  # a connection that was not used for longer may be dead at the other end
KEPT = 50  # idle connections; the local server answers many callers at once
MOST_BYTES = 32_000_000  # of an answer; DynamoDB's end at 16 MB
MAX_IN_FLIGHT = 16  # requests of a batch that wait for their answers at once
API = "DynamoDB_20120810"  # what an operation's name begins with
_json = msgspec.json.Encoder()  # bytes become base64, as DynamoDB wants them

TRANSIENT = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "LimitExceededException",
        "InternalServerError",
        "ServiceUnavailable",
        "TransactionInProgressException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ResourceNotFoundException",
        "InvalidSignatureException",  # signed at a wrong time, which its answer has corrected
    }
)


class Failed(Exception):
    """DynamoDB's own word for why a call failed, or NoAnswer; ``transient`` when the same call may go through later."""

    def __init__(self, code: str, detail: str = "", *, transient: bool) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.transient = transient


Send = Callable[[str, Mapping[str, Any]], dict[str, Any]]  # an operation (``put_item``) and its arguments; ``Failed``


class Keys(msgspec.Struct, frozen=True):
    """AWS's credentials as they are at one moment."""

    access_key: str
    secret_key: str
    token: str | None = None


class Client:
    """DynamoDB at ``url``. ``keys`` is asked at each call; ``on_date`` is told each answer's ``Date``."""

    def __init__(self, url: str, region: str, keys: Callable[[], Keys], ca_bundle: str | None = None) -> None:
        parts = urlsplit(url)
        self._tls = _tls(ca_bundle) if parts.scheme == "https" else None
        self._address = str(parts.hostname), parts.port or (443 if self._tls else 80)
        self._host = parts.netloc
        self._region, self._keys = region, keys
        self._idle: deque[tuple[float, socket.socket]] = deque(maxlen=KEPT)
        self.on_date: Callable[[str | None], None] = lambda _date: None
        self.now: Callable[[], float] = time.time  # a signature is as old as its maker's clock says

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """One operation, named as boto3 does (``put_item``), with boto3's arguments and answer. Raises ``Failed``."""
        target = "".join(map(str.capitalize, operation.split("_")))
        body = _json.encode(arguments)
        for left in reversed(range(TRIES)):
            try:
                return _answer(*self._exchange(target, body))
            except Failed as error:
                if not left or not error.transient or error.code == "ResourceNotFoundException":
                    raise
            time.sleep(random.uniform(0.02, 0.1) * 2 ** (TRIES - 1 - left))  # noqa: S311
        raise AssertionError("the last try returns or raises")

    def put_many(self, puts: Sequence[Mapping[str, Any]]) -> list[bool | None]:
        """Many puts, MAX_IN_FLIGHT of them at once. Of each: True when it was written, False when its condition failed,
        None when something else came of it, or nobody knows: the caller puts it again the ordinary way.
        """
        answers: list[bool | None] = []
        for start in range(0, len(puts), MAX_IN_FLIGHT):
            batch = self._send_batch([_json.encode(one) for one in puts[start : start + MAX_IN_FLIGHT]])
            answers += batch
            if all(answer is None for answer in batch):  # nothing goes: the ordinary way says why
                return answers + [None] * (len(puts) - len(answers))
        return answers

    def _send_batch(self, bodies: Sequence[bytes]) -> list[bool | None]:
        sockets: list[socket.socket | None] = []
        for body in bodies:
            try:
                sockets.append(self._send("PutItem", body, self._connection() or self._new_connection()))
            except (TimeoutError, Failed):
                break  # the others would wait as long, or have no keys either
            except OSError:
                sockets.append(None)
        answers: list[bool | None] = []
        until = time.monotonic() + READ_SECONDS  # for all together, since they were sent together
        for sock in sockets:
            if sock is not None:
                sock.settimeout(max(0.01, until - time.monotonic()))
            answers.append(None if sock is None else self._written(sock))
        return answers + [None] * (len(bodies) - len(answers))

    def _written(self, sock: socket.socket) -> bool | None:
        try:
            _answer(*self._receive(sock))
        except Failed as error:
            return False if error.code == "ConditionalCheckFailedException" else None
        except OSError:
            return None
        return True

    def _exchange(self, target: str, body: bytes) -> tuple[int, bytes]:
        kept = self._connection()
        try:
            try:
                return self._receive(self._send(target, body, kept or self._new_connection()))
            except ConnectionError:
                if kept is None:
                    raise
            self.close()  # the one that was kept was closed at the other end meanwhile: no failure yet
            return self._receive(self._send(target, body, self._new_connection()))
        except OSError as error:
            raise Failed("NoAnswer", type(error).__name__, transient=True) from error

    def _connection(self) -> socket.socket | None:
        """One that was used a moment ago, if there is one."""
        # Wall-clock time: a Lambda is frozen between its events, and its monotonic clock may be too.
        while True:
            try:
                used, sock = self._idle.pop()
            except IndexError:
                return None
            if 0 <= time.time() - used < IDLE_SECONDS:
                return sock
            sock.close()

    def _new_connection(self) -> socket.socket:
        sock = socket.create_connection(self._address, timeout=CONNECT_SECONDS)
        with http1.closed_on_error(sock):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(READ_SECONDS)
            return sock if self._tls is None else self._tls.wrap_socket(sock, server_hostname=self._address[0])

    def _send(self, target: str, body: bytes, sock: socket.socket) -> socket.socket:
        with http1.closed_on_error(sock):
            headers = signed(self._host, self._region, f"{API}.{target}", body, self._keys(), self.now())
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            sock.settimeout(READ_SECONDS)
            sock.sendall(f"POST / HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        return sock

    def _receive(self, sock: socket.socket) -> tuple[int, bytes]:
        deadline = Deadline(sock.gettimeout() or 0.0)
        with http1.closed_on_error(sock):
            try:
                with http1.reader(sock, deadline, MOST_BYTES, owned=False) as stream:
                    status, headers = http1.read_head(stream)
                    body = b"".join(http1.pieces(stream, headers, MOST_BYTES, closes=False))
            except http1.BadAnswer as error:
                raise ConnectionResetError(str(error)) if error.kind == "cut-off" else OSError(str(error)) from None
        self.on_date(headers.get("date"))
        framed = "content-length" in headers or "transfer-encoding" in headers  # else the connection was its end
        if not framed or headers.get("connection", "").lower() == "close" or len(self._idle) >= KEPT:
            sock.close()
        else:
            self._idle.append((time.time(), sock))
        return status, body

    def close(self) -> None:
        """Close the connections that are kept."""
        while (sock := self._connection()) is not None:
            sock.close()


def _answer(status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        answer = None
    if status == 200 and isinstance(answer, dict):
        return _with_bytes(answer) if b'"B":' in body else answer
    said = answer if isinstance(answer, dict) else {}
    code = str(said.get("__type", f"HTTP {status}")).rpartition("#")[2]
    detail = str(said.get("message") or said.get("Message") or "")[:300]
    raise Failed(code, detail, transient=code in TRANSIENT or status >= 500 or status == 200)


def _with_bytes(value: Any) -> Any:
    """The answer with DynamoDB's binary values as bytes."""
    if isinstance(value, dict):
        if value.keys() == {"B"} and isinstance(value["B"], str):
            return {"B": base64.b64decode(value["B"])}
        return {name: _with_bytes(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_bytes(inner) for inner in value]
    return value


def signed(host: str, region: str, target: str, body: bytes, keys: Keys, now: float) -> dict[str, str]:
    """A request's headers, with AWS's signature version 4."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    headers = {"host": host, "x-amz-date": stamp, "x-amz-target": target}
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    scope, names, signature = _signature("POST", "", headers, body, (keys, stamp, region, "dynamodb"))
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    headers["content-type"] = "application/x-amz-json-1.0"
    return headers


def presigned(host: str, region: str, service: str, query: Mapping[str, str], keys: Keys, now: float) -> str:
    """A signed URL for GET without its scheme, valid for 15 minutes: ElastiCache takes it as a password."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    given = {
        **query,
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{keys.access_key}/{_scope(stamp, region, service)}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": "900",
        "X-Amz-SignedHeaders": "host",
        **({"X-Amz-Security-Token": keys.token} if keys.token else {}),
    }
    text = "&".join(f"{quote(name, safe='')}={quote(given[name], safe='')}" for name in sorted(given))
    *_, signature = _signature("GET", text, {"host": host}, b"", (keys, stamp, region, service))
    return f"{host}/?{text}&X-Amz-Signature={signature}"


def _signature(
    method: str, query: str, headers: Mapping[str, str], body: bytes, by: tuple[Keys, str, str, str]
) -> tuple[str, str, str]:
    """Scope, names of the signed headers and signature of a request for ``/``."""
    keys, stamp, region, service = by
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = f"{method}\n/\n{query}\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = _scope(stamp, region, service)
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    return scope, names, hmac.digest(_key(keys.secret_key, stamp[:8], region, service), text.encode(), "sha256").hex()


def _scope(stamp: str, region: str, service: str) -> str:
    return f"{stamp[:8]}/{region}/{service}/aws4_request"


@functools.lru_cache(maxsize=4)
def _key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


@functools.cache  # reading everybody's certificates takes longer than a call
def _tls(ca_bundle: str | None) -> "ssl.SSLContext":
    import ssl  # slow to import, and not needed before the first call

    paths = ssl.get_default_verify_paths()
    if not (ca_bundle or paths.cafile or (paths.capath and os.listdir(paths.capath))):
        from botocore.httpsession import get_cert_path  # a machine without certificates of its own

        ca_bundle = get_cert_path(True)
    return ssl.create_default_context(cafile=ca_bundle)
