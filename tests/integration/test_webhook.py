"""The webhook of one machine, against a real receiver."""

import http.server
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from scripts import webhook
from scripts.webhook import Webhook


class Receiver(http.server.ThreadingHTTPServer):
    """Answers each POST with the next of ``statuses``; 0 is a byte now and then and no end."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses: list[int] = []
        self.got: list[tuple[str, str | None, bytes]] = []

    def sender(self, seconds: float = 5.0) -> Webhook:
        return Webhook(f"http://127.0.0.1:{self.server_address[1]}/hook?key=secret", (0.01, 0.01), seconds)


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Content-Type"], body))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        while status == 0:
            try:
                self.wfile.write(b"H")
            except OSError:
                return
            time.sleep(0.1)
        self.send_response(status, "Said")
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def test_an_event_is_posted_and_again_where_that_may_help(
    receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.statuses = [503, 429, 200, 404, 302, 500, 500, 500]
    hook = receiver.sender()
    for event in (b"one", b"two", b"three", b"four", b"five"):
        hook.send(event)
    until(lambda: receiver.got and receiver.got[-1][2] == b"five")
    assert [body for _, _, body in receiver.got] == [*[b"one"] * 3, b"two", b"three", *[b"four"] * 3, b"five"]
    assert receiver.got[0][:2] == ("/hook?key=secret", "application/cloudevents+json")
    assert hook.dropped == 3
    said = capsys.readouterr().err
    assert "secret" not in said
    assert "it answered 404" in said


def test_a_slow_receiver_holds_nobody_up(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "WAITING_MOST", 3)
    receiver.statuses = [0, 0, 0]
    hook = receiver.sender(seconds=0.3)
    hook.send(b"slow")
    until(lambda: receiver.got)
    began = time.monotonic()
    for number in range(5):
        hook.send(b"%d" % number)
    assert time.monotonic() - began < 0.2
    assert hook.dropped == 2
    until(lambda: receiver.got[-1][2] == b"2")
    assert [body for _, _, body in receiver.got] == [*[b"slow"] * 3, b"0", b"1", b"2"]
    assert hook.dropped == 3


def test_without_a_receiver_nothing_is_sent_and_one_that_is_away_ends_nothing() -> None:
    Webhook("").send(b"event")
    away = Webhook("http://127.0.0.1:9/", (0.01,), 1.0)
    away.send(b"event")
    until(lambda: away.dropped == 1)
