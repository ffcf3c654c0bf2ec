"""One bounded GET for a stranger: ``fetch(url)`` gives the page, or a FetchError that says why there is none.

What DESIGN's section 6 promises is kept here. Every hop's name is resolved once, all its addresses are judged, and the
connection goes to one that was judged. One deadline and hard limits of size stand over everything that a server sends.

``requests`` has the request and the response; its sending is replaced by an adapter of our own, which is used without a
Session, since a Session is what brings cookies, proxies, ``.netrc`` and redirects.
"""

import email.utils
import errno
import functools
import ipaddress
import itertools
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from chalicelib import settings, urls
from chalicelib.fetch import decompression
from chalicelib.fetch.errors import FetchError, broken, of_answer
from chalicelib.net import http1
from chalicelib.net.http1 import BadAnswer, Deadline
from chalicelib.text import kinds

__all__ = ["FetchError", "Fetched", "fetch"]

REDIRECTS = 5
REDIRECT_STATUSES = (301, 302, 303, 307, 308)
PORTS = (80, 443)
LOOK_UPS = 4  # at once in a process; one that hangs outlives its fetch, since getaddrinfo cannot be stopped
CONNECT_ATTEMPTS = 4  # addresses tried of a name that has many
RETRY_AFTER_MOST = 86_400.0  # a server that asks for more than a day is not believed

BeforeHost = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page as its server gave it: final address, decompressed body, and the Content-Type header if there was one."""

    url: str
    status: int
    content_type: str | None
    body: bytes
    content_language: str | None = None


def fetch(url: str, *, before_host: BeforeHost = lambda *_: None) -> Fetched:
    """The page at ``url``, after at most five redirects. Raises FetchError within FETCH_DEADLINE seconds.

    ``before_host`` is called with name and address before each request, redirects within a host included. What it
    waits is not counted, and what it raises ends the fetch.
    """
    config = settings.load()
    deadline = Deadline(config.fetch_deadline)
    adapter = _Adapter(config, deadline, before_host)
    try:
        url = _usable(urls.normalise, url)
        for _ in range(REDIRECTS + 1):
            with adapter.send(_request(url, config.fetch_contact)) as response:
                location = response.headers.get("location")
                if response.status_code in REDIRECT_STATUSES and location is not None:
                    url = _usable(urls.join, url, _text(location))
                else:
                    return _page(url, response, config.fetch_max_bytes)
    except BadAnswer as error:
        raise of_answer(error) from None
    except TimeoutError:
        raise FetchError(
            "timeout",
            f"The page did not arrive within {config.fetch_deadline:g} seconds; the time went by {deadline.activity}.",
            transient=True,
        ) from None
    except OSError as error:
        raise _connection_error(error) from None
    raise FetchError("too-many-redirects", f"The address redirects more than {REDIRECTS} times.")


def _usable(read: Callable[..., str], *texts: str) -> str:
    try:
        return read(*texts)
    except urls.InvalidURL as error:
        raise FetchError("address-refused", str(error) if len(texts) == 1 else f"The page redirects: {error}") from None


def _request(url: str, contact: str) -> requests.PreparedRequest:
    request = requests.PreparedRequest()
    request.method, request.url = "GET", url
    request.headers = CaseInsensitiveDict(
        {
            "Host": urlsplit(url).netloc,
            "User-Agent": f"Wordcounts/1.0 (+{contact})",
            "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,text/plain;q=0.8,*/*;q=0.1",
            "Accept-Encoding": "gzip, deflate, br, zstd",
            "Connection": "close",
        }
    )
    return request


def _page(url: str, response: requests.Response, most: int) -> Fetched:
    """The answer as a page if it is one that can be counted, read to its end."""
    status = response.status_code
    if not 200 <= status <= 299 or status == 206:  # a part of the page, which nobody asked for, is no page
        raise FetchError(
            "http-status",
            f"The server answered with status {status}.",
            status=status,
            retry_after=_retry_after(response) if status in (429, 503) else None,
            transient=status == 429 or 500 <= status <= 599,
        )
    content_type = response.headers.get("Content-Type")
    media_type = _media_type(content_type or "")
    if kinds.kind_of(media_type) is None and status not in decompression.WITHOUT_BODY:
        raise FetchError("not-text", kinds.refusal(media_type), status=status)
    stream: Any = response.raw
    body = decompression.read_body(stream, status, response.headers, most)
    if not media_type and _is_binary(body):
        raise FetchError("not-text", "The address holds no text, nor is it said what it holds.", status=status)
    return Fetched(url, status, content_type, body, response.headers.get("Content-Language"))


_HEADER_VALUE = re.compile(r"""(?:[^,"]|"[^"]*"?)+""")  # a comma within quotes parts nothing
_MEDIA_TYPE = re.compile(r"[!#$&^_.+*a-z0-9-]+/[!#$&^_.+*a-z0-9-]+")
_UNKNOWN_TYPES = ("*/*", "unknown/unknown", "application/unknown")  # the WHATWG's list of what servers say for nothing


def _media_type(content_type: str) -> str:
    """The last media type that a header names, without its parameters; empty if it names none."""
    named = [value.partition(";")[0].strip().lower() for value in _HEADER_VALUE.findall(content_type)]
    valid = [name for name in named if _MEDIA_TYPE.fullmatch(name) and name not in _UNKNOWN_TYPES]
    return valid[-1] if valid else ""


def _is_binary(body: bytes) -> bool:
    """Whether a body without a type is no text, by the WHATWG's sniffing: control characters, no byte-order mark."""
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return False
    return re.search(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]", body[:1445]) is not None


def _retry_after(response: requests.Response) -> float | None:
    """The seconds that a server asks to be left alone, from either form of Retry-After."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:12])
    else:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), RETRY_AFTER_MOST)


def _text(header: str) -> str:
    """Location's value as UTF-8, which is what servers write; other bytes are escaped one by one, as browsers do."""
    raw = header.encode("latin-1")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 128 else f"%{byte:02X}" for byte in raw)


def _connection_error(error: OSError) -> FetchError:
    """An error of sockets or TLS in words; it never repeats what the other side said."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return broken(f"The server's certificate is not trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLEOFError | ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return broken("The server broke the connection off.", transient=True)
    if isinstance(error, ssl.SSLError):
        return broken("No secure connection could be agreed on with the server.")
    if isinstance(error, ConnectionRefusedError):
        return broken("The server refused the connection.", transient=True)
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL):
        return broken("The server cannot be reached from here.", transient=True)
    return broken("The connection to the server failed.", transient=True)


# --- the gate: which address may be connected to


_look_ups = threading.BoundedSemaphore(LOOK_UPS)


def _resolve(name: str, port: int, deadline: Deadline) -> list[urls.IPAddress]:
    """Every address of a name, from one look-up that the deadline bounds although getaddrinfo knows none."""
    found: list[list[Any]] = []
    errors: list[BaseException] = []
    getaddrinfo = socket.getaddrinfo  # as it is now, whenever the thread gets to run

    def look_up() -> None:
        try:
            found.append(getaddrinfo(name, port, 0, socket.SOCK_STREAM))
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits
            errors.append(error)
        finally:
            _look_ups.release()

    deadline.activity = "looking up the name"
    if not _look_ups.acquire(timeout=deadline.left()):
        raise TimeoutError
    thread = threading.Thread(target=look_up, name="look-up", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the machine has no thread to spare
        _look_ups.release()
        raise _not_looked_up(name) from None
    thread.join(deadline.left())
    if errors:
        raise _look_up_error(name, errors[0])
    if not found:
        raise TimeoutError
    return [_numeric(name, answer[4]) for answer in found[0]]


def _look_up_error(name: str, error: BaseException) -> BaseException:
    if isinstance(error, socket.gaierror) and error.errno in (socket.EAI_AGAIN, socket.EAI_SYSTEM, socket.EAI_MEMORY):
        return _not_looked_up(name)
    return _no_address(name) if isinstance(error, OSError | UnicodeError) else error


def _not_looked_up(name: str) -> FetchError:
    return FetchError("dns-failed", f"The name {name} could not be looked up just now.", transient=True)


def _no_address(name: str) -> FetchError:
    return FetchError("dns-failed", f"The name {name} does not exist or has no address.")


def _numeric(name: str, answer: tuple[Any, ...]) -> urls.IPAddress:
    """The address in one of getaddrinfo's answers; one with a scope only means something on this machine's links."""
    if "%" in answer[0] or (len(answer) == 4 and answer[3]):
        raise FetchError("address-refused", f"{name} is at an address that is not public (link-local).")
    return ipaddress.ip_address(answer[0])


def _judge(host: str, port: int, addresses: list[urls.IPAddress], allowed: tuple[settings.IPNetwork, ...]) -> None:
    """Refuse a host with any address that may not be connected to at this port."""
    for address in addresses:
        if any(address in network for network in allowed):
            continue
        if kind := urls.special(address):
            raise FetchError("address-refused", f"{host} is at an address that is not public ({kind}).")
        _judge_port(port)


def _judge_port(port: int) -> None:
    if port not in PORTS:
        raise FetchError("address-refused", f"Port {port} is not open to this service: only 80 and 443 are.")


def _connect(addresses: list[urls.IPAddress], port: int, deadline: Deadline) -> socket.socket:
    """A connection to the first address that takes one, the families alternating, each with its share of the time."""
    first = [address for address in addresses if address.version == addresses[0].version]
    other = [address for address in addresses if address.version != addresses[0].version]
    candidates = [a for pair in itertools.zip_longest(first, other) for a in pair if a is not None][:CONNECT_ATTEMPTS]
    deadline.activity = "connecting"
    while True:
        address = candidates.pop(0)
        try:
            return _connect_to(address, port, deadline.left() / (len(candidates) + 1))
        except OSError:
            if not candidates:
                raise


def _connect_to(address: urls.IPAddress, port: int, seconds: float) -> socket.socket:
    sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect((str(address), port))
        if ipaddress.ip_address(sock.getpeername()[0]) != address:
            raise FetchError("address-refused", "The connection led to another address than the one that was checked.")
    except BaseException:
        sock.close()
        raise
    return sock


@functools.cache
def _tls() -> ssl.SSLContext:
    """What certificates are checked with: requests' authorities and the machine's; made once, since it takes 20 ms."""
    context = ssl.create_default_context(cafile=requests.utils.DEFAULT_CA_BUNDLE_PATH)
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Adapter(BaseAdapter):
    """Sends a request to an address that was judged, and reads the head of the answer. Serves one fetch."""

    def __init__(self, config: settings.Settings, deadline: Deadline, before_host: BeforeHost) -> None:
        super().__init__()
        self.before_host = before_host
        self.config = config
        self.deadline = deadline
        self.resolved: dict[str, list[urls.IPAddress]] = {}  # once for all hops: a second answer may be another

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        parts = urlsplit(str(request.url))
        host, port = urls.host(str(request.url)), parts.port or urls.DEFAULT_PORTS[parts.scheme]
        addresses = self.addresses(host, port)
        began = time.monotonic()
        self.before_host(host, str(addresses[0]))
        self.deadline.end += time.monotonic() - began
        sock = _connect(addresses, port, self.deadline)
        try:
            if parts.scheme == "https":
                self.deadline.activity = "agreeing on a secure connection"
                sock.settimeout(self.deadline.left())
                sock = _tls().wrap_socket(sock, server_hostname=host)
            self.deadline.activity = "waiting for the server's answer"
            sock.settimeout(self.deadline.left())
            head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
            sock.sendall(f"GET {request.path_url} HTTP/1.1\r\n{head}\r\n".encode("ascii"))
            response = requests.Response()
            response.request, response.url = request, str(request.url)
            response.raw = http1.reader(sock, self.deadline, self.config.fetch_max_bytes)
            response.status_code, headers = http1.read_head(response.raw)
            response.headers = CaseInsensitiveDict(headers)
        except BaseException:
            sock.close()
            raise
        self.deadline.activity = "reading the page"
        return response

    def addresses(self, host: str, port: int) -> list[urls.IPAddress]:
        """The addresses of a host, each once, all of which may be connected to. Raises FetchError."""
        if host not in self.resolved:
            literal = urls.literal(host)
            if literal is None and not self.config.fetch_allow_networks:
                _judge_port(port)  # no look-up could make it right
            found = [literal] if literal is not None else _resolve(host, port, self.deadline)
            self.resolved[host] = list(dict.fromkeys(found))
        if not self.resolved[host]:
            raise _no_address(host)
        _judge(host, port, self.resolved[host], self.config.fetch_allow_networks)
        return self.resolved[host]

    def close(self) -> None:
        """Nothing is kept between requests."""
