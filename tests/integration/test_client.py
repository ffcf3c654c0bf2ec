"""The Python client against the local server."""

import contextlib
import csv
import http.client
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import wordcounts
from chalicelib import jobs
from tests import conftest
from tests.integration.counter import counting_at_once
from tests.integration.http_clients import LocalClient, local_client
from wordcounts import many


@pytest.fixture
def api(redis_url: str, dynalite_table: conftest.Table) -> Iterator[LocalClient]:
    with local_client() as running:
        yield running


@pytest.fixture
def client(api: LocalClient) -> Iterator[wordcounts.Client]:
    with wordcounts.Client(f"http://127.0.0.1:{api.port}", retries=2) as made:
        yield made


def test_it_submits_waits_and_reads_every_word(client: wordcounts.Client) -> None:
    text = " ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(120))
    with counting_at_once():
        job = client.count(text=text, timeout=20)
    assert job.totals is not None
    assert job.totals.words == 120
    assert sorted(row.word for row in job.words()) == sorted(text.split())
    assert [len(list(job.words(limit=limit))) for limit in (0, 7, 200)] == [0, 7, 120]
    assert [one.id for one in client.jobs("succeeded")] == [job.id]
    assert "120 words" in job._repr_html_()
    assert client.get(job.id).to_dict()["totals"]["words"] == 120
    client.erase(job)
    with pytest.raises(wordcounts.Refused) as caught:
        client.get(job.id)
    assert (caught.value.type, caught.value.status) == ("gone", 410)


def test_what_is_refused_and_what_fails_says_why(client: wordcounts.Client) -> None:
    with pytest.raises(wordcounts.Refused, match="http and https") as refused:
        client.submit("ftp://example.com")
    assert refused.value.errors[0]["pointer"] == "/url"
    with counting_at_once(), pytest.raises(wordcounts.JobFailed, match="FETCH_ALLOW_NETWORKS") as failed:
        client.count("http://127.0.0.1/", timeout=20)
    assert failed.value.type == "address-refused"
    with pytest.raises(wordcounts.StillRunning, match="It goes on") as still:
        client.count(text="nobody counts this", timeout=0.6)
    assert client.cancel(still.value.job).state == "canceled"
    with pytest.raises(ValueError, match="give one of"):
        client.submit(text="a", html="b")


@contextlib.contextmanager
def losing_each_first_answer(port: int) -> Iterator[tuple[int, list[int]]]:
    """A proxy's port, and the statuses that it lost: of what changes something, the first answer to each."""
    lost, seen = [], set()

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            headers = {name: value for name, value in self.headers.items() if name != "Accept-Encoding"}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            if self.command != "GET" and (self.command, self.path) not in seen:
                seen.add((self.command, self.path))
                lost.append(answer.status)
                self.close_connection = True
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = forward

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, lost
        server.shutdown()


def test_a_lost_answer_is_asked_for_again_and_makes_no_second_job(api: LocalClient) -> None:
    with (
        losing_each_first_answer(api.port) as (port, lost),
        wordcounts.Client(f"http://127.0.0.1:{port}", retries=1) as client,
    ):
        job = client.submit(text="once")
        assert [one.id for one in jobs.owned("anonymous", limit=10)[0]] == [job.id]
        assert client.cancel(job).state == "canceled"
        client.erase(job)
        assert lost == [202, 200, 204]


def test_an_answer_that_ends_in_the_middle_is_asked_for_again() -> None:
    body = b'{"jobs":[],"next":null}'
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    with answering(head + body[:5], head + body) as (port, _), wordcounts.Client(f"http://127.0.0.1:{port}") as client:
        assert list(client.jobs()) == []


@contextlib.contextmanager
def answering(*answers: bytes, host: str = "127.0.0.1") -> Iterator[tuple[int, list[bytes]]]:
    """A server that gives these answers, one a connection; its port, and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server((host, 0)) as listening:

        def answer() -> None:
            for sent in answers:
                connection, _ = listening.accept()
                with connection:
                    asked.append(connection.recv(9000))
                    connection.sendall(sent)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listening.getsockname()[1], asked
        thread.join(10)


def test_a_password_of_netrc_is_never_sent_and_no_redirect_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.2 login ann password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    head = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 23\r\nLocation: http://127.0.0.2/\r\n\r\n"
    good, moved = head % b"200 OK" + b'{"jobs":[],"next":null}', head % b"302 Found" + b" " * 23
    with answering(good, good, moved, host="127.0.0.2") as (port, asked):
        for token in (None, "wc_1"):
            with wordcounts.Client(f"http://127.0.0.2:{port}", token) as client:
                list(client.jobs())
        with (
            wordcounts.Client(f"http://127.0.0.2:{port}", "wc_1") as client,
            pytest.raises(wordcounts.Unreachable, match=r"redirects to http://127\.0\.0\.2/"),
        ):
            list(client.jobs())
    assert b"Authorization" not in asked[0]
    assert [b"Authorization: Bearer wc_1\r\n" in one for one in asked] == [False, True, True]


def test_a_service_that_is_not_there_or_another_one_is_said_to_be() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with (
            wordcounts.Client(f"http://127.0.0.1:{closed.getsockname()[1]}", retries=1) as client,
            pytest.raises(wordcounts.Unreachable, match=r"No service answers .* refused\)\. Start one with `make run`"),
        ):
            client.submit(text="a")
    page = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\n<html>"
    with (
        answering(page) as (port, _),
        wordcounts.Client(f"http://127.0.0.1:{port}") as client,
        pytest.raises(wordcounts.Unreachable, match="is not Wordcounts"),
    ):
        client.get("0" * 32)


def test_it_reads_texts_contexts_phrases_and_keywords(client: wordcounts.Client) -> None:
    text = "The cat saw New York. The dog saw new York."
    with counting_at_once():
        one, other = (client.count(text=given, timeout=20) for given in (text, "pear " * 40 + text))
    assert one.text() == text
    assert [row.match for row in one.contexts("new york")] == ["New York", "new York"]
    found = other.contexts("pear", limit=7)
    assert (len(found), found.total) == (7, 40)
    assert one.phrases(measure="count", stop_words="include")[0].count == 2
    assert other.keywords(one)[0].word == "pear"


def test_many_texts_are_one_table_which_is_that_of_a_corpus(
    client: wordcounts.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBJECT_STORE", str(tmp_path / "store"))
    folder = tmp_path / "texts"
    folder.mkdir()
    for at in range(4):
        (folder / f"{at}.txt").write_text(
            f"The old Tree number {at} stands by the river. {'TREE ' * at} I die, you die."
        )
    (folder / "5.html").write_text("<html lang=de><p>Die Katze und die Maus, die Katze")
    (folder / "6.txt").write_bytes(b"\0\1\2" * 99)
    told: list[tuple[int, int, str]] = []
    sent: list[int] = []
    with counting_at_once():
        counts = client.count_many([folder], progress=lambda done, total, one: told.append((done, total, one.name)))
        corpus = client.create_corpus("trees", metadata=["year"])
        refused = corpus.add(
            [folder, {"text": "cat", "metadata": {"month": "May"}, "key": "cat"}], progress=sent.append
        )
        assert corpus.wait(timeout=30).complete
        assert {one["key"] for one in refused} == {"cat", str(folder / "6.txt")}
        for case in ("fold", "keep"):
            for stop_words in ("exclude", "include"):
                wanted = corpus.words(case=case, stop_words=stop_words)
                found = counts.words(case=case, stop_words=stop_words)
                pairs = [
                    [(row.word, row.count, row.documents, row.stop_word) for row in rows] for rows in (wanted, found)
                ]
                assert sorted(pairs[0]) == sorted(pairs[1])
        contexts = corpus.contexts("tree")
        assert [len(contexts), contexts[0].document.key] == [10, str(folder / "0.txt")]
        assert corpus.keywords(counts[0].job, alpha=0.5)
        assert client.corpus("trees").name == "trees"
        corpus.remove(str(folder / "0.txt"))
        corpus.erase()
    assert sent == [6]
    assert [done for done, _, _ in told] == [1, 2, 3, 4, 5, 6]
    assert [one.name for one in counts.failed] == [str(folder / "6.txt")]
    counts.to_csv(tmp_path / "words.csv")
    rows = list(csv.DictReader((tmp_path / "words.csv").read_text().splitlines()))
    assert [rows[0][name] for name in ("word", "count", "documents")] == ["die", "11", "5"]


def test_a_text_that_is_too_large_is_counted_in_pieces_and_html_is_not(
    client: wordcounts.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "PIECE", 400_000)
    (tmp_path / "large.txt").write_text("rose is a rose\n" * 80_000)
    (tmp_path / "large.html").write_text("<p>rose is a rose\n" * 80_000)
    monkeypatch.setattr("chalicelib.submissions.MAX_DOCUMENT_BYTES", 500_000)
    with counting_at_once():
        counts = client.count_many([tmp_path])
    [html, text] = counts
    assert html.error is not None
    assert "a text is counted in pieces" in str(html.error)
    assert (len(text.jobs), text.words) == (4, 320_000)
    first = counts.words(stop_words="include", limit=1)[0]
    assert (first.word, first.count, first.documents) == ("rose", 160_000, 1)


def test_no_more_are_counted_at_once_than_was_said(api: LocalClient, monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, most, lock = 0, 0, threading.Lock()
    real = wordcounts.Client.submit_fields

    def counted(self: wordcounts.Client, *given: object, **more: object) -> wordcounts.Job:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        try:
            return real(self, *given, **more)
        finally:
            with lock:
                under_way -= 1

    monkeypatch.setattr(wordcounts.Client, "submit_fields", counted)
    urls = [f"http://127.0.0.1/{urllib.parse.quote(str(at))}" for at in range(12)]
    with counting_at_once(), wordcounts.Client(f"http://127.0.0.1:{api.port}", at_once=3) as client:
        counts = client.count_many(urls)
    assert 1 < most <= 3
    assert [one.name for one in counts.failed] == urls


def test_an_interrupt_cancels_what_is_under_way(client: wordcounts.Client) -> None:
    def interrupt(*_: object) -> None:
        until = time.monotonic() + 10
        while not list(client.jobs()) and time.monotonic() < until:
            time.sleep(0.05)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # the first input fails at once, while nobody counts the second
        client.count_many(["/nowhere.txt", "http://127.0.0.1/"], progress=interrupt)
    until = time.monotonic() + 10
    while (states := [job.state for job in client.jobs()]) != ["canceled"] and time.monotonic() < until:
        time.sleep(0.05)
    assert states == ["canceled"]
