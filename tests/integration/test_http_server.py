"""The local server as a client on a socket sees it: framing, limits, many at once, and its end."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import jobs, pipeline, queue
from chalicelib.dispatch import metering
from scripts import processes, serve, servers
from tests import conftest
from tests.factories import noted_calls
from tests.integration.http_clients import local_client

SUBMISSION = b'{"text":"to be or not to be"}'
POST = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture
def port(redis_url: str, dynalite_table: conftest.Table) -> Iterator[int]:
    """The port of a server in this process, with an empty table and an empty Redis."""
    with local_client() as api:
        yield api.port


_open: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


class Connection:
    """A kept connection that speaks bytes and reads answers by their framing."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        _open.append(self.socket)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __call__(self, sent: bytes, *, method: str = "GET") -> http.client.HTTPResponse:
        with contextlib.suppress(ConnectionError):  # a refusal may come before all was sent
            self.socket.sendall(sent)
        return self.read(method)

    def read(self, method: str = "GET") -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(self.socket, method=method)
        response.begin()
        response.content = response.read()  # type: ignore[attr-defined]
        return response

    def problem(self, sent: bytes) -> tuple[int, str]:
        response = self(sent)
        assert response.getheader("Content-Type") == "application/problem+json"
        assert response.getheader("X-Content-Type-Options") == "nosniff"
        assert response.getheader("X-Request-Id")
        return response.status, json.loads(response.content)["type"].rpartition(":")[2]  # type: ignore[attr-defined]

    @property
    def closed(self) -> bool:
        """Whether the server has closed it, within a second."""
        self.socket.settimeout(1)
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False


def content(response: http.client.HTTPResponse) -> Any:
    return json.loads(response.content)  # type: ignore[attr-defined]


def test_a_kept_connection_answers_without_waiting_for_acknowledgements(port: int) -> None:
    connection, took = Connection(port), []
    for _ in range(30):
        began = time.perf_counter()
        assert connection(b"OPTIONS /jobs HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 204
        took.append(time.perf_counter() - began)
    assert statistics.median(took) < 0.02  # with Nagle's algorithm against delayed acknowledgements none is under 0.04


def test_submitting_and_reading_take_under_8_ms(port: int) -> None:
    """The medians of one series in several, since other processes may have the processors for a while."""
    connection = Connection(port)
    body = b'{"url":"http://127.0.0.1:9/"}'
    post = POST + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    medians = []
    for _ in range(10):
        posts, gets = [], []
        for _ in range(30):
            began = time.perf_counter()
            job_id = content(connection(post))["id"]
            posts.append(time.perf_counter() - began)
            began = time.perf_counter()
            connection(b"GET /jobs/%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % job_id.encode())
            gets.append(time.perf_counter() - began)
        medians.append((statistics.median(posts), statistics.median(gets)))
        if max(medians[-1]) < 0.008:
            break
    print(f"medians of POST and GET in seconds: {medians}")
    assert max(medians[-1]) < 0.008


def test_a_request_makes_no_more_round_trips_than_it_must(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from redis.connection import AbstractConnection

    connection = Connection(port)
    connection(POST + b"Content-Length: %d\r\n\r\n%s" % (len(SUBMISSION), SUBMISSION))  # connects
    dynamodb = noted_calls(jobs.table(), monkeypatch)
    redis: list[object] = []
    real = AbstractConnection.send_packed_command

    def counted(self: Any, command: Any, check_health: bool = True) -> Any:
        redis.append(command)
        return real(self, command, check_health)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)
    body = b'{"url":"https://example.com"}'
    job_id = content(connection(POST + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)))["id"]
    assert (dynamodb, len(redis)) == (["put_item"], 1)
    dynamodb.clear(), redis.clear()
    connection(b"GET /jobs/%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % job_id.encode())
    assert (dynamodb, redis) == (["get_item"], [])


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"PROPFIND"])
def test_a_method_that_http_or_we_do_not_know_is_405_and_the_connection_stays(port: int, method: bytes) -> None:
    connection = Connection(port)
    response = connection(method + b" /jobs HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (response.status, content(response)["status"]) == (405, 405)
    assert set(str(response.getheader("Allow")).split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}
    assert connection(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200


@pytest.mark.parametrize("target", [b"/nothing", b"/jobs/1/2/3", b"/jobs/x/wordz", b"/JOBS"])
def test_an_unknown_path_is_a_404_problem(port: int, target: bytes) -> None:
    assert Connection(port).problem(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % target) == (404, "not-found")
    assert Connection(port).problem(b"TRACE %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % target) == (404, "not-found")


def test_an_unknown_path_is_a_page_for_a_browser(port: int) -> None:
    browser = b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    asked = b"GET /nope HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\n\r\n"
    shown = Connection(port)(asked % browser)
    assert (shown.status, shown.getheader("Content-Type")) == (404, "text/html; charset=utf-8")
    assert "There is nothing at this address." in shown.content.decode()  # type: ignore[attr-defined]
    assert "default-src 'none'" in str(shown.getheader("Content-Security-Policy"))
    for accept in (b"*/*", b"application/json", b"text/html;q=0.5, application/json"):
        assert Connection(port).problem(asked % accept) == (404, "not-found")


def test_head_has_gets_length_and_no_body(port: int) -> None:
    connection = Connection(port)
    head = connection(b"HEAD /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n", method="HEAD")
    get = connection(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert head.getheader("Content-Length") == get.getheader("Content-Length") == str(len(get.content))  # type: ignore[attr-defined]


def test_path_parameters_are_percent_decoded(port: int) -> None:
    connection = Connection(port)
    job_id = content(connection(POST + b"Content-Length: %d\r\n\r\n%s" % (len(SUBMISSION), SUBMISSION)))["id"]
    encoded = "".join(f"%{ord(character):02x}" for character in job_id)
    found = connection(f"GET /jobs/{encoded}/ HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert (found.status, content(found)["id"]) == (200, job_id)
    for end in (b";", b";a=b", b"#a", b"%23", b"%c3%a9"):
        sent = b"GET /jobs/%s%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (job_id.encode(), end)
        assert connection.problem(sent) == (404, "not-found"), end


def test_a_chunked_body_is_read(port: int) -> None:
    connection = Connection(port)
    chunks = b"9;ext=1\r\n" + SUBMISSION[:9] + b"\r\n%x\r\n" % (len(SUBMISSION) - 9) + SUBMISSION[9:] + b"\r\n"
    sent = POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nTrailer: x\r\n\r\n"
    assert connection(sent).status == 202
    assert connection(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0_5\r\nhello\r\n0\r\n\r\n",
        b"Content-Length : 29\r\n\r\n" + SUBMISSION,
        b"nonsense\r\nContent-Length: 29\r\n\r\n" + SUBMISSION,
        b"X: a\rContent-Length: 29\r\n\r\n" + SUBMISSION,
        b"X: a\0b\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 5, 6\r\n\r\nhello",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"Content-Length: \xb2\r\n\r\n",
        b"Content-Length: 0000000000029\r\n\r\n" + SUBMISSION,
        b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_a_framing_that_can_be_read_two_ways_is_400_and_ends_the_connection(port: int, framing: bytes) -> None:
    connection = Connection(port)
    assert connection.problem(POST + framing)[0] == 400
    assert connection.closed


def test_chunks_in_http_1_0_are_400_and_end_the_connection(port: int) -> None:
    connection = Connection(port)
    sent = POST.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert connection.problem(sent) == (400, "invalid-request")
    assert connection.closed


@pytest.mark.parametrize(
    ("framing", "end"),
    [
        (b"Content-Length: 11000000\r\n\r\n", b""),
        (b"Transfer-Encoding: chunked\r\n\r\na7d8c0\r\n", b"\r\n0\r\n\r\n"),
    ],
)
def test_a_body_over_the_cap_is_413_even_for_a_client_that_sends_it_all(port: int, framing: bytes, end: bytes) -> None:
    assert Connection(port).problem(POST + framing + b"x" * 11_000_000 + end) == (413, "body-too-large")


def test_a_body_that_no_gateway_would_take_is_413_before_it_is_sent(port: int) -> None:
    connection = Connection(port)
    assert connection.problem(POST + b"Content-Length: 99999999\r\n\r\n{") == (413, "body-too-large")
    assert connection.closed
    said = content(Connection(port)(POST + b"Content-Length: 99999999\r\n\r\n{"))["detail"]
    assert said == "A request may have 10 MB at most."


def test_a_client_that_asks_first_is_told_to_go_on(port: int) -> None:
    connection = Connection(port)
    connection.socket.sendall(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(SUBMISSION))
    assert connection.socket.recv(100).startswith(b"HTTP/1.1 100 ")
    assert connection(SUBMISSION).status == 202


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ],
    ids=("address", "header", "version", "line", "method", "target"),
)
def test_a_request_that_cannot_be_read_is_a_problem(port: int, sent: bytes, status: int) -> None:
    assert Connection(port).problem(sent)[0] == status


@pytest.mark.parametrize(
    "head", [b"GET /health HTTP/1.1\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"]
)
def test_a_request_that_does_not_name_one_host_is_400(port: int, head: bytes) -> None:
    assert Connection(port).problem(head) == (400, "invalid-request")


def test_an_empty_line_before_a_request_is_passed_over(port: int) -> None:
    assert Connection(port)(b"\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200


def test_the_absolute_form_and_http_1_0_are_understood(port: int) -> None:
    assert Connection(port)(b"GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
    foreign = b"GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert Connection(port).problem(foreign) == (421, "misdirected")
    assert Connection(port).problem(b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n") == (400, "invalid-request")
    connection = Connection(port)
    assert connection(b"GET /health HTTP/1.0\r\n\r\n").status == 200
    assert connection.closed


def test_a_client_that_trickles_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "REQUEST_SECONDS", 0.4)
    connection = Connection(port)
    connection.socket.sendall(POST + b"Content-Length: 500\r\n\r\n{")
    for _ in range(4):
        time.sleep(0.05)
        connection.socket.sendall(b" ")
    began = time.monotonic()
    answer = connection(b" ")
    assert (answer.status, answer.headers["Connection"]) == (408, "close")
    assert content(answer)["type"] == "urn:wordcounts:problem:request-timeout"
    assert time.monotonic() - began < 3
    assert connection.closed


def test_a_header_that_comes_twice_is_one_list(port: int) -> None:
    connection = Connection(port)
    job_id = content(connection(POST + b"Content-Length: %d\r\n\r\n%s" % (len(SUBMISSION), SUBMISSION)))["id"]
    pipeline.count_page(job_id)
    sent = b"GET /jobs/%s HTTP/1.1\r\nHost: localhost\r\nPrefer: respond-async\r\nPrefer: wait=5\r\n\r\n"
    assert connection(sent % job_id.encode()).getheader("Preference-Applied") == "wait=5"


# --- strangers ---


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example"]
)
def test_a_name_that_somebody_could_own_is_no_host(port: int, host: str) -> None:
    assert Connection(port).problem(f"GET /jobs HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()) == (421, "misdirected")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000", "wordcounts.localhost"])
def test_names_that_need_no_dns_are_hosts(port: int, host: str) -> None:
    assert Connection(port)(f"GET /jobs HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:1", "https://localhost.evil.example"]
)
def test_another_origin_changes_nothing(port: int, origin: str) -> None:
    for target, kind, body in (
        ("/jobs", "application/json", SUBMISSION),
        ("/", "application/x-www-form-urlencoded", b"text=a"),
    ):
        head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nContent-Type: {kind}\r\n"
        sent = head.encode() + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        assert Connection(port).problem(sent) == (403, "forbidden")
    assert jobs.owned("anonymous", limit=10)[0] == []


def form(fields: str, origin: str = "http://localhost") -> bytes:
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nContent-Type: application/x-www-form-urlencoded"
    return f"{head}\r\nContent-Length: {len(fields)}\r\n\r\n{fields}".encode()


def built() -> None:
    from chalicelib.http import page

    conftest.require((page.WEB / "index.html").exists(), "the page is not built: `make page` builds it")


def test_the_form_works_without_a_script(port: int) -> None:
    built()
    connection = Connection(port)
    sent = connection(form("text=cat+Cat+hat&key=k1"))
    assert sent.status == 303
    where = str(sent.getheader("Location"))
    assert connection(form("text=cat+Cat+hat&key=k1")).getheader("Location") == where
    waiting = connection(f"GET {where} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert (waiting.status, waiting.getheader("Content-Type")) == (200, "text/html; charset=utf-8")
    assert b'http-equiv="refresh"' in waiting.content  # type: ignore[attr-defined]
    pipeline.count_page(where.partition("job=")[2])
    done = connection(f"GET {where} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert b">hat<" in done.content  # type: ignore[attr-defined]


def test_a_bad_form_comes_back_with_what_was_typed(port: int) -> None:
    built()
    response = Connection(port)(form("url=ftp%3A%2F%2Fexample.com%2F%22%3E&key=k2"))
    assert response.status == 422
    assert b"ftp://example.com/&quot;&gt;" in response.content  # type: ignore[attr-defined]


def test_an_unknown_job_is_said_on_the_page(port: int) -> None:
    built()
    response = Connection(port)(b"GET /?job=%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"0" * 32))
    assert (response.status, response.getheader("Content-Type")) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("name", "sent"),
    [("submit", b"POST"), ("get", b"GET /?job=%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"0" * 32))],
    ids=["submit", "read"],
)
def test_records_that_are_away_are_said_on_the_page(
    port: int, monkeypatch: pytest.MonkeyPatch, name: str, sent: bytes
) -> None:
    built()

    def away(*_: object) -> None:
        raise jobs.Unavailable("away")

    monkeypatch.setattr(jobs, name, away)
    response = Connection(port)(form("text=cat&key=k3") if sent == b"POST" else sent)
    assert (response.status, response.getheader("Content-Type")) == (503, "text/html; charset=utf-8")
    assert b"temporarily unavailable" in response.content  # type: ignore[attr-defined]


def test_the_pages_files_may_be_kept_and_no_others_are_served(port: int) -> None:
    built()
    from chalicelib.http import page

    style = next((page.WEB / "assets").glob("style-*.css"))
    connection = Connection(port)
    sizes = []
    for accepted, coding in (("br, gzip", "br"), ("gzip", "gzip"), ("identity", None), ("br;q=0", None)):
        head = f"Host: localhost\r\nAccept-Encoding: {accepted}\r\n\r\n"
        found = connection(f"GET /assets/{style.name} HTTP/1.1\r\n{head}".encode())
        assert (found.status, found.getheader("Cache-Control")) == (200, "public, max-age=31536000, immutable")
        assert (found.getheader("Content-Encoding"), found.getheader("Vary")) == (coding, "Accept-Encoding")
        sizes.append(int(found.getheader("Content-Length") or 0))
    assert sizes[0] < sizes[1] < sizes[2] == sizes[3] == style.stat().st_size
    for name in ("..%2findex.html", "nothing.js", "%2e%2e%2f%2e%2e%2fsettings.py"):
        sent = f"GET /assets/{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        assert connection.problem(sent) == (404, "not-found")


# --- many at once, and the end ---


@pytest.fixture
def process(
    request: pytest.FixtureRequest, redis_url: str, dynalite_table: conftest.Table, tmp_path: Any
) -> Iterator[tuple[processes.Child, int]]:
    """The server as the launcher starts it, with the settings of a test that has some."""
    number = servers.free_port()
    environment = os.environ | getattr(request, "param", {})
    command = [sys.executable, "-m", "scripts.serve", str(number)]
    child = processes.start("gateway", command, environment=environment, log=tmp_path / "log")
    assert processes.wait_for(lambda: processes.answers(number), child, seconds=30), processes.last_lines(child.log)
    yield child, number
    child.stop(5)


def test_200_that_wait_do_not_keep_others_from_submitting(process: tuple[processes.Child, int]) -> None:
    _, number = process
    post = POST + b"Content-Length: %d\r\n\r\n%s" % (len(SUBMISSION), SUBMISSION)
    connection = Connection(number)
    job_id = content(connection(post))["id"]
    waiting = [Connection(number) for _ in range(200)]
    for one in waiting:
        one.socket.sendall(b"GET /jobs/%s HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=20\r\n\r\n" % job_id.encode())
    time.sleep(2)
    took = []
    for _ in range(20):
        began = time.monotonic()
        assert connection(post).status == 202
        took.append(time.monotonic() - began)
    assert not select.select([one.socket for one in waiting], [], [], 0)[0], "somebody did not wait"
    print(f"submitting beside 200: median {statistics.median(took):.3f} s")
    assert statistics.median(took) < 0.5
    assert queue.depth(queue.INTERACTIVE) == 21, "those that wait kept a job from the queue"
    began = time.monotonic()
    jobs.cancel(job_id, "anonymous")
    first = select.select([one.socket for one in waiting], [], [], 5)[0]
    assert first
    assert time.monotonic() - began < 0.3 * max(1.0, os.getloadavg()[0])
    assert {content(one.read())["state"] for one in waiting} == {"canceled"}
    print(f"all 200 answered within {time.monotonic() - began:.3f} s")


@pytest.mark.beside
@pytest.mark.parametrize("process", [{"AUTH": "token", "RATE_PER_MINUTE": "1000"}], indirect=True)
def test_300_of_one_token_that_wait_leave_room_for_another_token(process: tuple[processes.Child, int]) -> None:
    _, number = process
    tokens = {owner: f"wc_{owner}" for owner in ("flooder", "person")}
    for owner, token in tokens.items():
        jobs.table().put_token(jobs.token_digest(token), owner=owner, name=owner)

    def head(start: str, owner: str, wait: int) -> bytes:
        return (
            f"{start} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {tokens[owner]}\r\n"
            f"Content-Type: application/json\r\nPrefer: wait={wait}\r\n"
        ).encode()

    def submission(owner: str, wait: int) -> bytes:
        return head("POST /jobs", owner, wait) + b"Content-Length: %d\r\n\r\n%s" % (len(SUBMISSION), SUBMISSION)

    job_id = content(Connection(number)(submission("flooder", 0)))["id"]
    flood = [Connection(number) for _ in range(300)]
    for one in flood:
        one.socket.sendall(head(f"GET /jobs/{job_id}", "flooder", 20) + b"\r\n")
    told = [one.socket for one in flood]
    ends = time.monotonic() + 18
    while len(told) > metering.MAX_LONG_POLLS_OWNER and time.monotonic() < ends:
        time.sleep(0.2)
        told = [one.socket for one in flood if not select.select([one.socket], [], [], 0)[0]]
    assert len(told) == metering.MAX_LONG_POLLS_OWNER, "the others were to be answered at once"
    answered = [one.read() for one in flood if one.socket not in told]
    assert {(one.status, one.getheader("Preference-Applied")) for one in answered} == {(200, None)}
    began = time.monotonic()
    own = Connection(number)(submission("person", 2))
    assert (own.status, own.getheader("Preference-Applied")) == (202, "wait=2")
    assert 2 <= time.monotonic() - began < 4
    assert not select.select(told, [], [], 0)[0], "somebody did not wait"


def test_threads_that_are_the_first_to_need_redis_share_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would close the connections of the one that it replaced."""
    monkeypatch.setattr(queue, "_clients", {})
    monkeypatch.setattr(queue, "new_connection", lambda: time.sleep(0.05) or object())
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert len({id(client) for client in threads.map(lambda _: queue.connection(), range(8))}) == 1


def test_sigterm_lets_a_running_request_end_and_leaves_no_port(process: tuple[processes.Child, int]) -> None:
    child, number = process
    idle, busy = Connection(number), Connection(number)
    busy.socket.sendall(POST + b"Prefer: wait=1\r\nContent-Length: %d\r\n\r\n%s" % (len(SUBMISSION), SUBMISSION))
    time.sleep(0.3)
    began = time.monotonic()
    child.process.send_signal(signal.SIGTERM)
    assert busy.read().status == 202
    assert child.process.wait(10) == 0
    assert time.monotonic() - began < 5
    assert idle.closed
    assert not processes.answers(number)
    assert "Traceback" not in child.log.read_text()


def test_the_log_has_no_query_and_no_text(process: tuple[processes.Child, int]) -> None:
    child, number = process
    connection = Connection(number)
    job_id = content(connection(POST + b"Content-Length: %d\r\n\r\n%s" % (len(SUBMISSION), SUBMISSION)))["id"]
    connection(b"GET /jobs/%s/words?prefix=secret HTTP/1.1\r\nHost: localhost\r\n\r\n" % job_id.encode())
    time.sleep(0.2)
    written = [json.loads(line) for line in child.log.read_text().splitlines() if line.startswith("{")]
    metrics, lines = [line for line in written if "_aws" in line], [line for line in written if "_aws" not in line]
    assert [(line["queue"], line["Submitted"]) for line in metrics] == [("interactive", [1.0])]
    assert [(line["route"], line["status"]) for line in lines] == [("/jobs", 202), ("/jobs/{job_id}/words", 202)]
    assert {line["job_id"] for line in lines} == {job_id}
    assert all(line["request_id"] for line in lines)
    assert "secret" not in child.log.read_text()
    assert "to be" not in child.log.read_text()


def test_chalice_local_as_its_users_type_it_serves_too(
    redis_url: str, dynalite_table: conftest.Table, tmp_path: Any
) -> None:
    number = servers.free_port()
    program = str(conftest.ROOT / ".venv" / "bin" / "chalice")
    if not os.path.exists(program):
        program = os.path.join(os.path.dirname(sys.executable), "chalice")
    command = [program, "local", "--stage", "local", "--no-autoreload", "--port", str(number)]
    with (tmp_path / "log").open("wb") as log:
        child = subprocess.Popen(command, cwd=conftest.ROOT, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 30
        while not processes.answers(number) and time.monotonic() < until:
            time.sleep(0.1)
        connection = Connection(number)
        job_id = content(connection(POST + b"Content-Length: %d\r\n\r\n%s" % (len(SUBMISSION), SUBMISSION)))["id"]
        thread = threading.Timer(0.3, lambda: pipeline.count_page(job_id))
        thread.start()
        sent = f"GET /jobs/{job_id} HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=10\r\n\r\n"
        assert content(connection(sent.encode()))["state"] == "succeeded"
        thread.join()
        assert connection(b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n", method="HEAD").status == 200
        assert connection(b"PUT /jobs HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 405
        assert connection(b"DELETE /jobs/%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % job_id.encode()).status == 204
    finally:
        child.kill()
        child.wait()
