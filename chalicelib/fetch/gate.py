"""The gate of the fetch: which addresses of a host may be connected to, and the connection to one of them.

A host's name is resolved once for a whole fetch, all its addresses are judged, and the connection goes to one that was
judged: a second look-up could answer otherwise (DNS rebinding). Certificates are checked against the name.
"""

import functools
import ipaddress
import itertools
import socket
import ssl
import threading
from typing import Any

import requests

from chalicelib import settings, urls
from chalicelib.fetch.errors import FetchError
from chalicelib.net.http1 import Deadline, closed_on_error

PORTS = (80, 443)
LOOK_UPS = 4  # at once in a process; one that hangs outlives its fetch, since getaddrinfo cannot be stopped
CONNECT_ATTEMPTS = 4  # addresses tried of a name that has many


class Gate:
    """The checked addresses of one fetch's hosts, and connections to them."""

    def __init__(self, allowed: tuple[settings.IPNetwork, ...], deadline: Deadline) -> None:
        self.allowed = allowed
        self.deadline = deadline
        self.resolved: dict[str, list[urls.IPAddress]] = {}  # once for all hops: a second answer may be another

    def addresses(self, host: str, port: int) -> list[urls.IPAddress]:
        """The addresses of a host, each once, all of which may be connected to. Raises FetchError."""
        if host not in self.resolved:
            literal = urls.literal(host)
            if literal is None and not self.allowed:
                _judge_port(port)  # no look-up could make it right
            found = [literal] if literal is not None else _resolve(host, port, self.deadline)
            self.resolved[host] = list(dict.fromkeys(found))
        if not self.resolved[host]:
            raise _no_address(host)
        _judge(host, port, self.resolved[host], self.allowed)
        return self.resolved[host]

    def connect(self, scheme: str, host: str, port: int) -> socket.socket:
        """A connection to the host, over TLS for https. Raises FetchError or OSError."""
        sock = _connect(self.addresses(host, port), port, self.deadline)
        with closed_on_error(sock):
            if scheme == "https":
                self.deadline.activity = "agreeing on a secure connection"
                sock.settimeout(self.deadline.left())
                sock = tls().wrap_socket(sock, server_hostname=host)
        return sock


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
    return FetchError("dns-failed", f"The name {name} could not be looked up. Try again later.", transient=True)


def _no_address(name: str) -> FetchError:
    return FetchError("dns-failed", f"There is no site called {name}.")


def _numeric(name: str, answer: tuple[Any, ...]) -> urls.IPAddress:
    """The address in one of getaddrinfo's answers; one with a scope only means something on this machine's links."""
    if "%" in answer[0] or (len(answer) == 4 and answer[3]):
        raise FetchError("address-refused", f"{name} has a link-local address, which cannot be fetched.")
    return ipaddress.ip_address(answer[0])


def _judge(host: str, port: int, addresses: list[urls.IPAddress], allowed: tuple[settings.IPNetwork, ...]) -> None:
    """Refuse a host with any address that may not be connected to at this port."""
    for address in addresses:
        if any(address in network for network in allowed):
            continue
        if kind := urls.special(address):
            raise FetchError(
                "address-refused", f"{host} has an address that is not public ({kind}), which cannot be fetched."
            )
        _judge_port(port)


def _judge_port(port: int) -> None:
    if port not in PORTS:
        raise FetchError("address-refused", f"Port {port} is not allowed; only 80 and 443 are.")


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
    with closed_on_error(sock):
        sock.settimeout(seconds)
        sock.connect((str(address), port))
        if ipaddress.ip_address(sock.getpeername()[0]) != address:
            raise FetchError("address-refused", "The connection led to another address than the one that was checked.")
    return sock


@functools.cache
def tls() -> ssl.SSLContext:
    """What certificates are checked with: requests' authorities and the machine's; made once, since it takes 20 ms."""
    context = ssl.create_default_context(cafile=requests.utils.DEFAULT_CA_BUNDLE_PATH)
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    return context
