"""The one-file client and `make count`, against the local server."""

import csv
import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from requests.adapters import HTTPAdapter

from chalicelib import jobs
from scripts import client, processes
from tests import conftest
from tests.integration.counter import counting_at_once
from tests.integration.http_clients import LocalClient, local_client


@pytest.fixture
def api(redis_url: str, dynalite_table: conftest.Table) -> Iterator[LocalClient]:
    with local_client() as running:
        yield running


@pytest.fixture
def service(api: LocalClient) -> Iterator[client.Wordcounts]:
    made = client.Wordcounts(f"http://127.0.0.1:{api.port}/", retries=2)
    yield made
    made.session.close()


def test_it_submits_waits_and_reads_every_word(service: client.Wordcounts) -> None:
    text = " ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(120))
    seen: list[str] = []
    with counting_at_once():
        job = service.count(text=text, changed=lambda one: seen.append(one["state"]), timeout=20)
    assert job["totals"]["words"] == 120
    assert seen[-1:] in ([], ["succeeded"])
    assert sorted(row["word"] for row in service.words(job["id"])) == sorted(text.split())
    assert [len(list(service.words(job["id"], limit=limit))) for limit in (0, 7, 200)] == [0, 7, 120]
    rows = list(csv.reader(io.StringIO(b"".join(service.csv(job["id"], limit=50)).decode())))
    assert [len(rows), rows[0][0], len({row[0] for row in rows})] == [121, "word", 121]
    assert [one["id"] for one in service.jobs("succeeded")] == [job["id"]]
    service.erase(job["id"])
    with pytest.raises(client.Problem) as caught:
        service.job(job["id"])
    assert (caught.value.type, caught.value.status) == ("gone", 410)


def test_what_is_refused_and_what_fails_says_why(service: client.Wordcounts) -> None:
    with pytest.raises(client.Problem, match="http and https") as refused:
        service.submit(url="ftp://example.com")
    assert refused.value.errors[0]["pointer"] == "/url"
    with counting_at_once(), pytest.raises(client.JobFailed) as failed:
        service.count(url="http://127.0.0.1/", timeout=20)
    assert failed.value.type == "address-refused"
    with pytest.raises(TimeoutError):
        service.count(text="nobody counts this", timeout=0.6)
    job = service.submit(text="nobody counts this")
    assert service.cancel(job["id"])["state"] == "canceled"


def test_a_lost_answer_is_asked_for_again_and_makes_no_second_job(
    service: client.Wordcounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = losing_each_first_answer(monkeypatch)
    job = service.submit(text="once")
    assert lost[0].json()["id"] == job["id"]
    assert len(jobs.owned("anonymous", limit=10)[0]) == 1
    assert service.cancel(job["id"])["state"] == "canceled"
    service.erase(job["id"])
    assert [answer.status_code for answer in lost] == [202, 200, 204]


def losing_each_first_answer(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The answers that were lost: of each method and address the first to what changes something."""
    real, lost, seen = HTTPAdapter.send, [], set()

    def send(self: Any, request: Any, **options: Any) -> Any:
        answer, asked = real(self, request, **options), (request.method, request.url)
        if request.method != "GET" and asked not in seen:
            seen.add(asked)
            lost.append(answer)
            raise client.requests.ConnectionError("the answer was lost")
        return answer

    monkeypatch.setattr(HTTPAdapter, "send", send)
    return lost


def test_an_answer_that_ends_in_the_middle_is_asked_for_again() -> None:
    body = b'{"jobs":[],"next":null}'
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            for sent in (head + body[:5], head + body):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(9000)
                    connection.sendall(sent)

        thread = threading.Thread(target=answer)
        thread.start()
        service = client.Wordcounts(f"http://127.0.0.1:{listening.getsockname()[1]}", retries=1)
        assert list(service.jobs()) == []
        thread.join()
        service.session.close()


def test_a_service_that_is_not_there_is_said_to_be() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        service = client.Wordcounts(f"http://127.0.0.1:{closed.getsockname()[1]}", retries=1)
        with pytest.raises(client.Unreachable):
            service.submit(text="a")
        service.session.close()


# --- make count ---


def run(api: LocalClient, *arguments: str, typed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "scripts.count", *arguments]
    env = {**os.environ, "PORT": str(api.port)}
    return subprocess.run(command, cwd=conftest.ROOT, env=env, input=typed, capture_output=True, check=False)


def test_a_file_becomes_a_table_a_csv_or_json(api: LocalClient, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<title>Cats\x1b[31m</title><p>cat Cat <b>hat</b></p><nav>menu</nav>", encoding="utf-8")
    with counting_at_once():
        table = run(api, str(page), "--ignore", "nav")
        rows = run(api, str(page), "--csv")
        whole = run(api, str(page), "--json", "--keep-case")
    assert table.returncode == 0
    assert b"succeeded" in table.stderr
    lines = table.stdout.decode().splitlines()
    assert "\x1b" not in table.stdout.decode()
    assert lines[1].startswith("3 words, 2 different")
    assert [lines[3].split()[index] for index in (0, 1, 2, -1)] == ["1", "2", "66.67%", "Cat"]
    assert rows.stdout.splitlines()[0] == b"word,count,share,stop_word"
    assert {row["word"] for row in json.loads(whole.stdout)["words"]} == {"cat", "Cat", "hat", "menu"}


def test_standard_input_is_counted_and_faults_are_said(api: LocalClient) -> None:
    with counting_at_once():
        typed = run(api, "-", "--csv", "--stop-words", typed="Ö und Ö".encode())
        failed = run(api, "http://127.0.0.1/")
    assert typed.stdout.decode().splitlines()[1] == "Ö,2,0.66666667,false"
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert b"wordcounts: The address is refused" in failed.stderr
    for arguments, said in ((["ftp://x"], b"http and https"), (["-", "--encoding", "nothing"], b"encoding")):
        got = run(api, *arguments)
        assert (got.returncode, got.stdout) == (1, b"")
        assert said in got.stderr
        assert b"Traceback" not in got.stderr
    assert run(api, "").returncode == 2


def test_a_word_keeps_its_line_in_the_table() -> None:
    assert processes.visible("a\n\x1b[2Jb\u202e") == "a��[2Jb�"
    assert threading.active_count() < 50


def test_another_service_at_the_address_is_said_to_be_one() -> None:
    def answer(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        service = client.Wordcounts(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(client.Unreachable, match="another service"):
            service.job("0" * 32)
        thread.join()
        service.session.close()


def test_it_reads_texts_contexts_phrases_and_keywords(service: client.Wordcounts) -> None:
    text = "The cat saw New York. The dog saw new York."
    with counting_at_once():
        one, other = (service.count(text=given, timeout=20)["id"] for given in (text, "pear " * 40 + text))
    assert service.text(one) == text
    assert [row["match"] for row in service.contexts(one, phrase="new york")] == ["New York", "new York"]
    assert len(list(service.contexts(other, word="pear", limit=7))) == 7
    assert next(service.phrases(one, measure="count", stop_words="include"))["count"] == 2
    assert next(service.keywords(other, one))["word"] == "pear"


def test_a_corpus_is_made_filled_asked_and_erased(
    service: client.Wordcounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBJECT_STORE", str(tmp_path))
    monkeypatch.setattr(client, "CORPUS_DOCUMENTS", 2)
    with counting_at_once():
        corpus = service.corpus(name="trees", options={"language": "en"}, metadata=["year"])
        sent: list[int] = []
        documents = [{"text": f"The old tree number {at} stands.", "metadata": {"year": str(at)}} for at in range(4)]
        assert corpus.add(documents, progress=sent.append) == []
        assert [one["index"] for one in corpus.add([*documents, {"text": 1}])] == [4]
        assert sent == [2, 4]
        found = corpus.wait(timeout=30)
        assert (found["complete"], found["documents"]["succeeded"]) == (True, 4)
        assert [(row["word"], row["count"]) for row in corpus.words(limit=1)] == [("number", 4)]
        contexts = list(corpus.contexts(word="tree"))
        assert len(contexts) == 4
        other = service.count(text="A river is a river.", language="en")
        assert "tree" in [row["word"] for row in corpus.keywords(f"job:{other['id']}", alpha=0.5)]
        assert service.corpus(corpus.id).state()["name"] == "trees"
        corpus.erase()
