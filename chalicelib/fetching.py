"""One bounded GET for a stranger: ``fetch(url)`` gives the page, or a FetchError that says why there is none.

Every hop goes through the gate (fetch/gate.py), which connects only to addresses that it has checked. One deadline and
hard limits of size hold for everything that a server sends (docs/security.md).

``requests`` has the request and the response; its sending is replaced by an adapter of our own, which is used without a
Session, since a Session is what brings cookies, proxies, ``.netrc`` and redirects.
"""

import email.utils
import errno
import re
import ssl
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
from chalicelib.fetch.gate import Gate
from chalicelib.net import http1
from chalicelib.net.http1 import BadAnswer, Deadline
from chalicelib.text import kinds

__all__ = ["FetchError", "Fetched", "fetch"]

REDIRECTS = 5
REDIRECT_STATUSES = (301, 302, 303, 307, 308)
RETRY_AFTER_MOST = 86_400.0  # a server that asks for more than a day is not believed

BeforeHost = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is to be counted, as its server gave it: the decompressed body, headers if there were any, final address.

    A submitted document has no address and no status.
    """

    body: bytes
    content_type: str | None
    url: str | None = None
    status: int | None = None
    content_language: str | None = None


def fetch(url: str, *, before_host: BeforeHost = lambda *_: None, file_bytes: int | None = None) -> Fetched:
    """The page at ``url``, after at most five redirects. Raises FetchError within FETCH_DEADLINE seconds.

    With ``file_bytes`` a file of any type, which may have so many bytes.

    ``before_host`` is called with name and address before each request, redirects within a host included. What it
    waits is not counted, and what it raises ends the fetch.
    """
    config = settings.load()
    deadline = Deadline(config.fetch_deadline)
    most = file_bytes or config.fetch_max_bytes
    adapter = _Adapter(config, deadline, before_host, most)
    try:
        url = _usable(urls.normalise, url)
        for _ in range(REDIRECTS + 1):
            with adapter.send(_request(url, config.fetch_contact)) as response:
                location = response.headers.get("location")
                if response.status_code in REDIRECT_STATUSES and location is not None:
                    url = _usable(urls.join, url, _text(location))
                else:
                    return _page(url, response, most, any_type=file_bytes is not None)
    except BadAnswer as error:
        raise of_answer(error) from None
    except TimeoutError:
        raise FetchError(
            "timeout",
            f"The site did not send the page within {config.fetch_deadline:g} seconds ({deadline.activity}).",
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


def _page(url: str, response: requests.Response, most: int, *, any_type: bool) -> Fetched:
    """The answer as a page if it is one that can be counted, read to its end."""
    status = response.status_code
    if not 200 <= status <= 299 or status == 206:  # a part of the page, which nobody asked for, is no page
        raise FetchError(
            "http-status",
            _status_sentence(status),
            status=status,
            retry_after=_retry_after(response) if status in (429, 503) else None,
            transient=status == 429 or 500 <= status <= 599,
        )
    content_type = response.headers.get("Content-Type")
    media_type, _ = kinds.read_content_type(content_type or "")
    if not any_type and kinds.kind_of(media_type) is None and status not in decompression.WITHOUT_BODY:
        raise FetchError("not-text", kinds.refusal(media_type), status=status)
    stream: Any = response.raw
    body = decompression.read_body(stream, status, response.headers, most)
    if not any_type and not media_type and _is_binary(body):
        raise FetchError(
            "not-text", "The site did not say what kind of file this is, and it is not text.", status=status
        )
    return Fetched(body, content_type, url, status, response.headers.get("Content-Language"))


def _status_sentence(status: int) -> str:
    if status in (404, 410):
        return f"Page not found ({status})."
    if status in (401, 403):
        return f"The site refused access ({status})."
    return f"The site has a problem ({status})." if status >= 500 else f"The site answered with status {status}."


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
        return broken(f"The site's certificate is not trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLEOFError | ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return broken("The site closed the connection.", transient=True)
    if isinstance(error, ssl.SSLError):
        if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            return broken("What answers there does not speak TLS. Try the address with http:// before it.")
        return broken("The site and this service have no TLS version or cipher in common.")
    if isinstance(error, ConnectionRefusedError):
        return broken("The site refused the connection: nothing answers at that address and port.", transient=True)
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL):
        return broken("There is no route to the site's server.", transient=True)
    return broken("The connection to the site failed.", transient=True)


class _Adapter(BaseAdapter):
    """Sends a request through the gate and reads the head of the answer. Serves one fetch."""

    def __init__(self, config: settings.Settings, deadline: Deadline, before_host: BeforeHost, most: int) -> None:
        super().__init__()
        self.before_host = before_host
        self.most = most
        self.deadline = deadline
        self.gate = Gate(config.fetch_allow_networks, deadline)

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        parts = urlsplit(str(request.url))
        host, port = urls.host(str(request.url)), parts.port or urls.DEFAULT_PORTS[parts.scheme]
        address = self.gate.addresses(host, port)[0]
        began = time.monotonic()
        self.before_host(host, str(address))
        self.deadline.end += time.monotonic() - began
        sock = self.gate.connect(parts.scheme, host, port)
        with http1.closed_on_error(sock):
            self.deadline.activity = "waiting for the server's answer"
            sock.settimeout(self.deadline.left())
            head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
            sock.sendall(f"GET {request.path_url} HTTP/1.1\r\n{head}\r\n".encode("ascii"))
            response = requests.Response()
            response.request, response.url = request, str(request.url)
            response.raw = http1.reader(sock, self.deadline, self.most)
            response.status_code, headers = http1.read_head(response.raw)
            response.headers = CaseInsensitiveDict(headers)
        self.deadline.activity = "reading the page"
        return response

    def close(self) -> None:
        """Nothing is kept between requests."""
