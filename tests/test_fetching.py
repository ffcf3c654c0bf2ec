"""The gate of a fetch, without a network: names are resolved by a table, and connections are noted and refused."""

import itertools
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any

import pytest
import requests

from chalicelib import fetching
from chalicelib.fetch import gate
from chalicelib.fetching import FetchError, fetch
from chalicelib.text import kinds
from tests.conftest import SHARED, require

PUBLIC = "93.184.215.14"
CASES = SHARED / "bad_urls.jsonl"


class Network:
    """``answers``: what each look-up of any name gives, the last again and again. Connections fail, but are noted."""

    def __init__(self) -> None:
        self.answers: list[list[str]] = [[PUBLIC]]
        self.looked_up: list[str] = []
        self.connects: list[tuple[Any, ...]] = []

    def getaddrinfo(self, host: str, port: int, *_: object, **__: object) -> list[tuple[Any, ...]]:
        self.looked_up.append(host)
        answers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (text.partition("%")[0], port, 0, 2 if "%" in text else 0))
            if ":" in text
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port))
            for text in answers
        ]

    def connect(self, _: socket.socket, address: tuple[Any, ...]) -> None:
        self.connects.append(address)
        raise ConnectionRefusedError


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network()
    monkeypatch.setattr(socket, "getaddrinfo", network.getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", lambda sock, address: network.connect(sock, address))
    for name in [name for name in os.environ if name.startswith("FETCH_")]:
        monkeypatch.delenv(name)
    return network


def failure(url: Any) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetch(url)
    assert caught.value.detail.endswith(".")
    return caught.value


def shared_cases() -> Iterator[Any]:
    if not CASES.exists():
        yield pytest.param(None, id="absent")
        return
    for number, line in enumerate(CASES.read_text().splitlines(), 1):
        yield pytest.param(json.loads(line), id=f"line {number}")


@pytest.mark.parametrize("case", list(shared_cases()))
def test_the_shared_addresses_connect_where_they_may_and_nowhere_else(case: Any, network: Network) -> None:
    require(case is not None, "shared/bad_urls.jsonl is not here: it is the project's own test data")
    network.answers = case.get("answers") or [[]]
    first = set(network.answers[0])
    error = failure(case["input"])
    if case["expect"] == "ok":
        assert error.kind == "connection-failed"
        assert len(network.connects) == 1
    elif case["expect"] == "reject":
        assert error.kind == "address-refused"
        assert network.connects == []
    else:
        assert error.kind in ("dns-failed", "connection-failed", "address-refused")
        assert {connect[0] for connect in network.connects} <= first
    assert len(network.looked_up) <= 1


REFUSED = {
    "loopback": ["http://127.0.0.1/", "http://127.255.255.254/", "http://[::1]/", "http://0/", "http://[::]/"],
    "private": ["http://10.255.255.255/", "http://172.31.255.255/", "http://192.168.0.1/", "http://[fdff::1]/"],
    "metadata": [
        "http://169.254.169.254/",
        "http://169.254.170.23/",
        "http://168.63.129.16/",
        "http://100.100.100.200/",
    ],
    "reserved": ["http://192.0.0.170/", "http://198.19.0.1/", "http://240.0.0.1/", "http://255.255.255.255/"],
    "embedded": [
        "http://[::ffff:10.0.0.1]/",
        "http://[::ffff:0:10.0.0.1]/",
        "http://[::10.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b:1::1]/",
        "http://[2002:a00:1::]/",
        "http://[2001:0:7f00:1::]/",
    ],
    "numbers": [
        "http://0x7f.1/",
        "http://017700000001/",
        "http://3232235777/",
        "http://127.0.1/",
        "http://0xa9fea9fe/",
    ],
    "letters": ["http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "http://%31%30.0.0.1/", "http://１０.0.0.1./"],
    "ports": [
        "http://example.com:81/",
        "https://example.com:8443/",
        "http://8.8.8.8:53/",
        "example.com:22",
        "http://a:1/",
    ],
    "user info": ["http://8.8.8.8@10.0.0.1/", "http://a:b@8.8.8.8/", "http://8.8.8.8\\@10.0.0.1/", "http://@8.8.8.8/"],
    "schemes": [
        "file:///etc/passwd",
        "ftp://8.8.8.8/",
        "unix:/run/docker.sock",
        "http+unix://x/",
        "\x01http://8.8.8.8/",
    ],
}


@pytest.mark.parametrize("url", list(itertools.chain(*REFUSED.values())))
def test_an_address_that_may_not_be_fetched_makes_no_connection(url: str, network: Network) -> None:
    error = failure(url)
    assert error.kind == "address-refused"
    assert not error.transient
    assert network.connects == []


@pytest.mark.parametrize(
    "answer",
    [
        *(["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["::1"], ["::ffff:8.8.8.8"], ["fe80::1"], ["0.0.0.0"]),
        *([PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], ["2606:4700::1", "::1"], [PUBLIC] * 50 + ["fc00::1"]),
        *(["2606:4700::1%eth0"], [PUBLIC, "fe80::1%2"]),
    ],
)
def test_one_answer_that_is_not_public_refuses_the_name(answer: list[str], network: Network) -> None:
    network.answers = [answer]
    error = failure("https://example.com/")
    assert error.kind == "address-refused"
    assert network.connects == []
    assert not any(text in error.detail for text in answer)  # nobody learns what an internal name stands for


def test_the_name_is_resolved_once_and_the_address_that_was_judged_is_connected_to(network: Network) -> None:
    network.answers = [[PUBLIC], ["127.0.0.1"]]
    assert failure("http://rebind.example/").kind == "connection-failed"
    assert network.looked_up == ["rebind.example"]
    assert network.connects == [(PUBLIC, 80)]


def test_a_name_is_not_resolved_where_its_port_refuses_it_anyway(network: Network) -> None:
    failure("http://example.com:6379/")
    assert network.looked_up == []


def test_several_addresses_are_tried_in_turn_of_their_families_and_not_without_end(network: Network) -> None:
    network.answers = [
        ["2606:4700::1", "2606:4700::2", "2606:4700::3", "2606:4700::1", "8.8.8.8", "8.8.4.4", "1.1.1.1"]
    ]
    failure("https://example.com/")
    assert [connect[0] for connect in network.connects] == ["2606:4700::1", "8.8.8.8", "2606:4700::2", "8.8.4.4"]


@pytest.mark.parametrize(
    ("networks", "url", "answer", "connects"),
    [
        ("127.0.0.0/8", "http://127.0.0.1:8000/", [], [("127.0.0.1", 8000)]),
        ("127.0.0.0/8", "http://2130706433:8000/", [], [("127.0.0.1", 8000)]),
        ("127.0.0.0/8", "http://localhost:8000/", ["127.0.0.1"], [("127.0.0.1", 8000)]),
        ("127.0.0.0/8,::1/128", "http://[::1]:8000/", [], [("::1", 8000)]),
        ("127.0.0.0/8", "http://localhost:8000/", ["::1", "127.0.0.1"], []),
        ("127.0.0.0/8", "http://[::ffff:127.0.0.1]/", [], []),
        ("127.0.0.0/8", "http://10.0.0.1/", [], []),
        ("127.0.0.0/8", "http://mixed.example/", ["127.0.0.1", "10.0.0.1"], []),
        ("127.0.0.0/8", "http://example.com:8000/", [PUBLIC], []),
        ("127.0.0.0/8", "http://both.example:8000/", ["127.0.0.1", PUBLIC], []),
        ("127.0.0.0/8", "http://example.com/", [PUBLIC], [(PUBLIC, 80)]),
        ("10.1.0.0/16", "http://wiki.example:8080/", ["10.1.2.3"], [("10.1.2.3", 8080)]),
        ("10.1.0.0/16", "http://wiki.example:8080/", ["10.2.2.3"], []),
    ],
)
def test_the_allowed_networks_open_what_they_name_on_any_port_and_nothing_else(
    networks: str, url: str, answer: list[str], connects: list[Any], network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FETCH_ALLOW_NETWORKS", networks)
    network.answers = [answer]
    failure(url)
    assert network.connects == connects


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), False),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), True),
        (socket.gaierror(socket.EAI_FAIL, "refused"), False),
        (UnicodeError("label too long"), False),
        (OSError("odd"), False),
    ],
)
def test_a_look_up_that_fails_says_whether_another_may_succeed(
    error: Exception, transient: bool, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    found = failure("http://example.com/")
    assert (found.kind, found.transient) == ("dns-failed", transient)


def test_an_empty_answer_is_a_name_without_an_address(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    assert failure("http://example.com/").kind == "dns-failed"


def test_a_fault_of_the_resolver_itself_is_not_hidden(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ZeroDivisionError):
        fetch("http://example.com/")


def end_look_ups(over: threading.Event) -> None:
    over.set()
    for thread in threading.enumerate():
        if thread.name == "look-up":
            thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("thread", ["main", "another"])
def test_a_look_up_that_hangs_ends_with_the_deadline(
    thread: str, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FETCH_DEADLINE", "0.1")
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: over.wait(5))
    errors: list[FetchError] = []
    run: Callable[[], None] = lambda: errors.append(failure("http://example.com/"))  # noqa: E731
    start = time.monotonic()
    if thread == "main":
        run()
    else:
        other = threading.Thread(target=run)
        other.start()
        other.join()
    assert time.monotonic() - start < 1
    end_look_ups(over)
    assert errors[0].kind == "timeout"
    assert "looking up the name" in errors[0].detail


@pytest.mark.slow
def test_look_ups_that_hang_are_bounded_in_number(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FETCH_DEADLINE", "0.02")
    monkeypatch.setattr(gate, "_look_ups", threading.BoundedSemaphore(3))
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: over.wait(5))
    before = threading.active_count()
    for _ in range(6):
        assert failure("http://example.com/").kind == "timeout"
    assert threading.active_count() - before <= 3
    end_look_ups(over)


@pytest.mark.parametrize(
    ("error", "kind", "transient"),
    [
        (ConnectionRefusedError(), "connection-failed", True),
        (ConnectionResetError(), "connection-failed", True),
        (OSError(113, "No route to host"), "connection-failed", True),
        (OSError(24, "Too many open files"), "connection-failed", True),
        (TimeoutError(), "timeout", True),
    ],
)
def test_a_connection_that_fails_is_told_in_words(
    error: OSError, kind: str, transient: bool, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(socket.socket, "connect", fail)
    found = failure("http://example.com/")
    assert (found.kind, found.transient) == (kind, transient)


def test_a_connection_that_ends_up_elsewhere_is_closed_before_a_byte_is_sent(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []
    monkeypatch.setattr(socket.socket, "connect", lambda *_: None)
    monkeypatch.setattr(socket.socket, "getpeername", lambda _: ("10.0.0.1", 80))
    monkeypatch.setattr(socket.socket, "sendall", lambda _, data: sent.append(data))
    assert failure("http://example.com/").kind == "address-refused"
    assert sent == []


def answer(**headers: str) -> requests.Response:
    response = requests.Response()
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *(("120", 120), ("0", 0), ("9" * 30, 86_400)),
        *(
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("٣", None),
            ("Fri, 99 Dec 2020 00:00:00 GMT", None),
        ),
        *((formatdate(0, usegmt=True), 0), ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400)),
    ],
)
def test_retry_after_is_read_in_both_forms_and_not_believed_without_end(value: str, seconds: float | None) -> None:
    assert fetching._retry_after(answer(Retry_After=value)) == seconds


def test_retry_after_as_a_date_counts_from_now() -> None:
    found = fetching._retry_after(answer(Retry_After=formatdate(time.time() + 60, usegmt=True)))
    assert found is not None
    assert 57 < found <= 60


@pytest.mark.parametrize(
    ("header", "media_type"),
    {
        "text/html": "text/html",
        "TEXT/HTML; charset=utf-8": "text/html",
        'text/html; charset="a,b"': "text/html",
        'text/html; title="a, application/pdf, b"': "text/html",
        "text/plain, text/html": "text/html",
        "text/html, text/html": "text/html",
        "": "",
        "html": "",
        "*/*": "",
        "application/unknown": "",
        "application/pdf": "application/pdf",
        "text/html;;;": "text/html",
    }.items(),
)
def test_a_content_type_is_read_as_browsers_read_it(header: str, media_type: str) -> None:
    assert kinds.read_content_type(header)[0] == media_type
