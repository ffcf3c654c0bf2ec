"""Sources of corpora: a sitemap on a real server, followed by a worker, seen through the HTTP API."""

import contextlib
import gzip
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib import corpora, fetching, jobs, pipeline
from chalicelib.corpus import compaction
from chalicelib.sources import gathering
from chalicelib.sources import resource as sources
from tests import conftest, websites
from tests.integration.corpora import Run, counts, new, worked_off
from tests.integration.counter import counting_at_once
from tests.integration.http_clients import LocalClient, local_client

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def api(
    redis_url: str, dynalite_table: conftest.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalClient]:
    monkeypatch.setenv("OBJECT_STORE", str(tmp_path))
    monkeypatch.setenv("FETCH_HOST_RATE", "1000")
    monkeypatch.setenv("FETCH_ALLOW_NETWORKS", "127.0.0.0/8")
    with local_client() as running, counting_at_once():
        yield running


def urlset(*urls: str) -> bytes:
    return ("<urlset>" + "".join(f"<url><loc>{url}</loc></url>" for url in urls) + "</urlset>").encode()


def index(*urls: str) -> bytes:
    files = "".join(f"<sitemap><loc>{url}</loc></sitemap>" for url in urls)
    return f"<sitemapindex>{files}</sitemapindex>".encode()


@pytest.fixture
def site() -> Iterator[tuple[str, dict[str, Any]]]:
    """A site's address and its files by path, which a test may change: bytes, or a status."""
    files: dict[str, Any] = {}
    asked: list[str] = []

    class Pages(websites.Site):
        def page(self, path: str) -> tuple[int, str, bytes]:
            asked.append(path)
            found = files.get(path, 404)
            if isinstance(found, int):
                return found, "text/plain", b"no"
            kind = "application/x-gzip" if path.endswith(".gz") else "text/html" if "page" in path else "text/xml"
            return 200, kind, found

    files["asked"] = asked
    with websites.serving(Pages) as address:
        yield address, files


def until(read: Callable[[], dict[str, Any]], done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    for _ in range(400):
        if done(found := read()):
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def test_sitemap_indexes_that_name_each_other_are_read_once(api: LocalClient, site: Any) -> None:
    address, files = site
    files |= {"/sitemap.xml": index(f"{address}/1.xml"), "/page/1": b"<p>a page</p>"}
    files |= {
        "/1.xml": index(f"{address}/2.xml", f"{address}/1.xml"),
        "/2.xml": index(f"{address}/1.xml", f"{address}/3.xml"),
    }
    files["/3.xml"] = urlset(f"{address}/page/1")
    corpus = api("POST", "/corpora", JSON, b"{}").json()["id"]
    body = json.dumps({"sitemap": f"{address}/sitemap.xml"}).encode()
    made = api("POST", f"/corpora/{corpus}/sources", JSON, body).headers["location"]
    found = until(lambda: api("GET", made).json(), lambda one: one["state"] == "succeeded")
    assert (found["files"], found["added"], found["errors"]) == (4, 1, [])
    assert sorted(path for path in files["asked"] if path.endswith("xml")) == [
        *("/1.xml", "/2.xml", "/3.xml", "/sitemap.xml"),
    ]


def test_a_worker_that_follows_a_source_too_late_overwrites_nothing(run: Run, site: Any) -> None:
    address, files = site
    files |= {"/1.xml": urlset(f"{address}/page/1"), "/2.xml": urlset(f"{address}/page/2")}
    files["/sitemap.xml"] = index(f"{address}/1.xml", f"{address}/2.xml")
    corpus, store = corpora.get(new(), "ann"), jobs.table()
    source, job = sources.create(corpus.id, "ann", f"{address}/sitemap.xml", limit=10)

    def follower() -> gathering._Follower:
        read = store.source(corpus.id, source.id)
        assert read is not None
        return gathering._Follower(store, corpus, read, job, lambda _: contextlib.nullcontext())

    first = follower()
    for _ in range(2):  # robots.txt, the index
        first.step()
    late = follower()
    first.step()
    late.progress.pending.reverse()
    with pytest.raises(gathering._Wait):
        late.step()
    first.step()
    assert [document.url for document in store.batch(corpus.id, 0)] == [f"{address}/page/1"]


def test_a_sitemap_becomes_documents_as_far_as_robots_and_the_patterns_say(api: LocalClient, site: Any) -> None:
    address, files = site
    files |= {f"/page/{n}": f"<p>page number{n}</p>".encode() for n in range(6)}
    files["/private/page"] = b"<p>secret</p>"
    files["/robots.txt"] = b"User-agent: *\nDisallow: /private"
    files["/sitemap.xml"] = index(
        f"{address}/1.xml.gz", f"{address}/lost.xml", f"{address}/2.xml", "https://b.de/3.xml"
    )
    first = [f"{address}/page/{n}" for n in (0, 1, 2, 2)]
    files["/1.xml.gz"] = gzip.compress(urlset(*first, f"{address}/private/page", "https://b.de/page"))
    files["/2.xml"] = urlset(*(f"{address}/page/{n}" for n in (3, 4, 5)))
    corpus = api("POST", "/corpora", JSON, b"{}").json()["id"]
    asked = {"sitemap": f"{address}/sitemap.xml", "exclude": ["/page/4$"], "limit": 4}
    target = f"/corpora/{corpus}/sources"
    given = api("POST", target, {**JSON, "Idempotency-Key": "a"}, json.dumps(asked).encode())
    assert given.status == 202, given
    again = api("POST", target, {**JSON, "Idempotency-Key": "a"}, json.dumps(asked).encode())
    assert again.json()["id"] == given.json()["id"]
    ready = until(lambda: api("GET", f"/corpora/{corpus}").json(), lambda found: found["complete"])
    assert ready["documents"] == {"total": 4, "waiting": 0, "running": 0, "succeeded": 4, "failed": 0}
    source = api("GET", given.headers["location"]).json()
    assert source["state"] == "succeeded"
    counted = {name: source[name] for name in ("files", "failed_files", "listed", "excluded", "disallowed", "refused")}
    assert counted == {"files": 3, "failed_files": 1, "listed": 9, "excluded": 1, "disallowed": 1, "refused": 2}
    assert (source["added"], source["over_limit"]) == (4, 1)
    assert [(error["url"], error["type"]) for error in source["errors"]] == [(f"{address}/lost.xml", "http-status")]
    assert api("GET", target).json() == {"sources": [source]}
    words = {row["word"] for row in api("GET", f"/corpora/{corpus}/words").json()["words"]}
    assert words == {"page", "number0", "number1", "number2", "number3"}
    assert "/private/page" not in files["asked"]
    assert api("GET", f"{target}/{'0' * 32}").problem == "not-found"
    assert api("GET", "/jobs").json()["jobs"] == []
    assert api("GET", f"/jobs/{source['id']}").problem == "not-found"


@pytest.mark.parametrize(
    ("robots", "sitemap", "error"),
    [(404, 404, "http-status"), (404, b"<!DOCTYPE html><html></html>", "not-a-sitemap")],
)
def test_a_source_that_cannot_be_read_says_why_and_the_corpus_ends(
    api: LocalClient, site: Any, robots: Any, sitemap: Any, error: str
) -> None:
    address, files = site
    files |= {"/robots.txt": robots, "/sitemap.xml": sitemap}
    corpus = api("POST", "/corpora", JSON, b"{}").json()["id"]
    asked = json.dumps({"sitemap": f"{address}/sitemap.xml"}).encode()
    given = api("POST", f"/corpora/{corpus}/sources", JSON, asked)
    found = until(lambda: api("GET", given.headers["location"]).json(), lambda one: one["state"] == "failed")
    assert found["error"]["type"] == error
    assert until(lambda: api("GET", f"/corpora/{corpus}").json(), lambda one: one["complete"])["state"] == "empty"


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"sitemap": "ftp://a"}',
        b'{"sitemap": "a.de", "limit": 0}',
        b'{"sitemap": "a.de", "include": ["x"]}',
        b"[",
    ],
)
def test_a_source_that_is_none_is_a_problem(api: LocalClient, body: bytes) -> None:
    corpus = api("POST", "/corpora", JSON, b"{}").json()["id"]
    got = api("POST", f"/corpora/{corpus}/sources", JSON, body)
    assert got.problem in ("invalid-submission", "invalid-json")
    assert api("GET", f"/corpora/{corpus}").json()["complete"]


class Killed(BaseException):
    """As kill -9: no handler of ours sees it."""


@pytest.fixture
def run(dynalite_table: conftest.Table, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("FETCH_HOST_RATE", "1000")
    monkeypatch.setenv("FETCH_ALLOW_NETWORKS", "127.0.0.0/8")
    return worked_off(tmp_path, monkeypatch)


def test_a_server_that_asks_to_come_back_tomorrow_holds_a_source_up_for_minutes_only(
    run: Run, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, files = site
    files |= {"/page/1": b"<p>a page</p>", "/1.xml": urlset(f"{address}/page/1")}
    files["/sitemap.xml"] = index(f"{address}/busy.xml", f"{address}/1.xml")
    corpus, store, real = new(), jobs.table(), fetching.fetch
    source, job = sources.create(corpus, "ann", f"{address}/sitemap.xml", limit=10)

    def fetch(url: str, **given: Any) -> Any:
        if url.endswith("busy.xml"):
            raise fetching.FetchError("http-status", "503", transient=True, status=503, retry_after=86_400.0)
        return real(url, **given)

    monkeypatch.setattr(fetching, "fetch", fetch)
    claimed = store.claim(job.id, "w", lease_ms=60_000, max_attempts=9)
    assert claimed is not None
    seconds = gathering.run(store, claimed, lambda _: contextlib.nullcontext())
    assert seconds is not None
    assert seconds <= 900
    assert store.give_back(claimed)
    run()
    assert counts(corpus) == {"a": (1, 1), "page": (1, 1)}
    [(seen, _)] = sources.of(corpus, "ann")
    assert (seen.id, seen.progress.failed_files) == (source.id, 1)


def test_the_same_request_twice_at_once_makes_one_source(run: Run, site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    address, files = site
    files |= {"/page/1": b"<p>a page</p>", "/sitemap.xml": urlset(f"{address}/page/1")}
    corpus, store, made = new(), type(jobs.table()), list[str]()
    real = store.create_source

    def create() -> None:
        source, _ = sources.create(corpus, "ann", f"{address}/sitemap.xml", limit=10, key="a")
        made.append(source.id)

    def meanwhile(*given: Any) -> Any:
        monkeypatch.setattr(store, "create_source", real)
        time.sleep(0.01)
        create()
        return real(*given)

    monkeypatch.setattr(store, "create_source", meanwhile)
    create()
    [(source, _)] = sources.of(corpus, "ann")
    assert made == [source.id] * 2
    run()
    assert counts(corpus) == {"a": (1, 1), "page": (1, 1)}


def test_a_worker_that_is_faster_than_the_request_waits_for_the_source(
    run: Run, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, files = site
    files |= {"/page/1": b"<p>a page</p>", "/sitemap.xml": urlset(f"{address}/page/1")}
    corpus, store, seen = new(), type(jobs.table()), list[str]()
    real = store.create_source

    def late(self: Any, *given: Any) -> Any:
        seen.append(pipeline.count_page(given[-1].id).state)
        return real(self, *given)

    monkeypatch.setattr(store, "create_source", late)
    _, job = sources.create(corpus, "ann", f"{address}/sitemap.xml", limit=10)
    assert seen == ["deferred"]
    jobs.table()._change(job.id, {"not_before": 0}, "#failures = :none", {":none": 0})
    run()
    assert counts(corpus) == {"a": (1, 1), "page": (1, 1)}


@pytest.mark.long
@pytest.mark.parametrize("kill_at", range(1, 12))
def test_a_worker_killed_at_any_step_of_a_source_loses_and_doubles_nothing(
    run: Run, site: Any, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    monkeypatch.setattr(corpora, "BATCH_MOST", 2)
    monkeypatch.setattr(compaction, "UNWRITTEN_MS", -1)
    address, files = site
    files |= {f"/page/{n}": f"<p>page number{n}</p>".encode() for n in range(5)}
    files["/sitemap.xml"] = urlset(*(f"{address}/page/{n}" for n in range(5)))
    corpus = new()
    source, job = sources.create(corpus, "ann", f"{address}/sitemap.xml", limit=50)
    real, calls = type(jobs.table())._call, 0

    def call(self: Any, *args: Any, **given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3 * kill_at:
            raise Killed
        return real(self, *args, **given)

    store = jobs.table()
    claimed = store.claim(job.id, "w", lease_ms=1, max_attempts=9)
    assert claimed is not None
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "_call", call)
        with contextlib.suppress(Killed):
            gathering.run(store, claimed, lambda _: contextlib.nullcontext())
    assert store.give_back(claimed)
    run()
    assert counts(corpus) == {"page": (5, 5), **{f"number{n}": (1, 1) for n in range(5)}}
    [(seen, ended)] = sources.of(corpus, "ann")
    assert (seen.progress.added, ended.state if ended else "") == (5, "succeeded")
    assert corpora.state(corpora.get(corpus, "ann"))["documents"]["total"] == 5
    assert source.id == seen.id
