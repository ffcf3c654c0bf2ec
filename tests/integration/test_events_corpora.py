"""Lists and documents under ``corpora/<id>/`` in the bucket or the inbox become documents of that corpus."""

import base64
import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib import corpora, jobs
from chalicelib.events import inbound, publisher
from chalicelib.store.job import item_of, key
from chalicelib.submissions import Submission
from scripts import feed
from tests import websites
from tests.conftest import Table
from tests.integration.corpora import Run, counts, new, worked_off

Drop = Callable[[str, str], dict[str, int]]
SUBMIT = functools.partial(inbound.submit, owner="ann", request_id=None)


@pytest.fixture
def run(dynalite_table: Table, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("FETCH_ALLOW_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("FETCH_HOST_RATE", "1000")
    return worked_off(tmp_path / "objects", monkeypatch)


@pytest.fixture(params=["inbox", "s3"])
def drop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drop:
    """Put an object and hand its event to the handler's code."""
    if request.param == "s3":
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", request.getfixturevalue("moto_server"))
        name = f"docs-{os.getpid()}-{request.node.name.partition('[')[0].replace('_', '-')[-20:]}"
        boto3.client("s3").create_bucket(Bucket=name)
    else:
        name = "inbox"
        monkeypatch.setenv("INBOX_DIR", str(tmp_path / "inbox"))
        (tmp_path / "inbox").mkdir()

    def put(key: str, text: str) -> dict[str, int]:
        version = str(len(text))
        if request.param == "s3":
            version = boto3.client("s3").put_object(Bucket=name, Key=key, Body=text.encode())["ETag"]
        else:
            path = tmp_path / "inbox" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        event = feed.created(key, version, len(text))
        event["detail"]["bucket"]["name"] = name
        return inbound.from_bucket(event, SUBMIT, lambda: 900.0)

    return put


class Pages(websites.Site):
    def page(self, path: str) -> tuple[int, str, bytes]:
        return 200, "text/html", f"<p>page number{path[-1]}".encode()


def test_the_lines_of_a_list_and_documents_are_of_the_corpus_that_their_prefix_names(run: Run, drop: Drop) -> None:
    corpus = new()
    with websites.serving(Pages) as site:
        listed = f"{site}/1\n{site}/2\nftp://no\n"
        assert drop(f"corpora/{corpus}/some.urls", listed) == {"jobs": 2, "refused": 1}
        lines = "\n".join(map(json.dumps, [{"text": "one more"}, {"url": f"{site}/2"}]))
        assert drop(f"corpora/{corpus}/deep/more.jsonl", lines) == {"jobs": 2, "refused": 0}
        assert drop(f"corpora/{corpus}/a.txt", "first words") == {"jobs": 1}
        assert drop("b.txt", "of no corpus") == {"jobs": 1}
        run()
    expected = {"page": 2, "number1": 1, "number2": 1, "one": 1, "more": 1, "first": 1, "words": 1}
    assert {word: count for word, (count, _) in counts(corpus).items()} == expected
    drop(f"corpora/{corpus}/a.txt", "other words altogether")  # the same key replaces
    drop(f"corpora/{corpus}/a.txt", "other words altogether")  # told twice
    run()
    assert counts(corpus).keys() == {*expected, "other", "altogether"} - {"first"}
    assert corpora.state(corpora.get(corpus, "ann"))["documents"]["total"] == 4
    assert [job.kind for job in jobs.owned("ann", limit=10)[0]] == ["object"]


@pytest.mark.parametrize("versioning", [False, True])
def test_an_event_that_comes_late_does_not_bring_an_older_document_back(
    run: Run, moto_server: str, monkeypatch: pytest.MonkeyPatch, versioning: bool
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto_server)
    corpus, s3, bucket = new(), boto3.client("s3"), f"late-{os.getpid()}-{versioning}".lower()
    s3.create_bucket(Bucket=bucket)
    if versioning:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    name, events = f"corpora/{corpus}/a.txt", []
    for text in ("first words", "second words"):
        put = s3.put_object(Bucket=bucket, Key=name, Body=text.encode())
        event = feed.created(name, put["ETag"], len(text))
        event["detail"]["bucket"]["name"] = bucket
        event["detail"]["object"] |= {"version-id": put["VersionId"]} if versioning else {}
        events.append(event)
        inbound.from_bucket(event, SUBMIT, lambda: 900.0)
        run()
    assert inbound.from_bucket(events[0], SUBMIT, lambda: 900.0) == {"jobs": 1}
    run()
    assert counts(corpus).keys() == {"second", "words"}

    def replaced(entries: Any) -> Any:
        if not calls:  # while the first is taken the object is replaced, and that event is handled
            calls.append(s3.put_object(Bucket=bucket, Key=name, Body=b"third words"))
            assert inbound.from_bucket(events[1], SUBMIT, lambda: 900.0) == {"jobs": 1}
        return SUBMIT(entries)

    calls: list[Any] = []
    inbound.from_bucket(events[1], replaced, lambda: 900.0)
    run()
    assert counts(corpus).keys() == {"third", "words"}


def test_what_names_no_corpus_of_the_owner_is_refused_line_by_line(run: Run, drop: Drop) -> None:
    corpus = new()
    jobs.table()._call(
        "update_item",
        Key={"pk": {"S": f"corpus#{corpus}"}, "sk": {"S": "corpus"}},
        UpdateExpression="SET #owner = :bob",
        ExpressionAttributeNames={"#owner": "owner"},
        ExpressionAttributeValues={":bob": {"S": "corpora:bob"}},
    )
    for name in (corpus, "0" * 32):
        assert drop(f"corpora/{name}/some.urls", "https://a.de/\nhttps://b.de/\n") == {"jobs": 0, "refused": 2}
        assert drop(f"corpora/{name}/a.txt", "words") == {"jobs": 0, "refused": 1}
    assert jobs.table().batch(corpus, 0) == []


def images(corpus: str) -> dict[str, object]:
    """The corpus' item as a stream delivers it."""
    item = jobs.table()._call("get_item", Key=key(f"corpus#{corpus}", "corpus"), ConsistentRead=True)["Item"]
    packed = base64.b64encode(item["manifest"]["B"]).decode()
    return {**item, "manifest": {"B": packed}}


def test_each_version_of_a_corpus_that_is_ready_is_told_once(run: Run, tmp_path: Path) -> None:
    corpus, path = new(name="Trees"), tmp_path / "events.jsonl"
    path.touch()
    assert publisher._event_of(images(corpus)) is None
    told = []
    for words in ("one word", "and another"):
        corpora.add(corpus, "ann", [corpora.Given(Submission("text", document=words))])
        assert publisher._event_of(images(corpus)) is None
        run()
        event = publisher._event_of(images(corpus))
        assert event is not None
        told.append(event)
        compaction = corpora._compaction(corpora.get(corpus, "ann"))
        for _ in range(2):
            feed.append(path, feed.ready(compaction))
    assert [event["data"]["totals"]["documents"] for event in told] == [1, 2]
    assert (told[0]["type"], told[0]["subject"]) == ("wordcounts.corpus.ready", corpus)
    assert told[0]["id"] != told[1]["id"] == f"{corpus}:{corpora.get(corpus, 'ann').version}"
    assert [json.loads(line) for line in path.read_text().splitlines()] == told
    feed.drop_erased(path)
    assert len(path.read_text().splitlines()) == 2
    corpora.erase(corpus, "ann")
    assert publisher._event_of(images(corpus)) is None
    run()
    assert feed.ready(compaction) is None
    feed.drop_erased(path)
    assert path.read_text() == ""


def test_the_service_s_own_jobs_are_no_events(run: Run) -> None:
    corpus = new()
    corpora.add(corpus, "ann", [corpora.Given(Submission("text", document="one word"))])
    run()
    job = jobs.table().get(corpora._compaction(corpora.get(corpus, "ann")).id)
    assert job is not None
    assert job.state == "succeeded"
    assert publisher._event_of({**key(f"job#{job.id}", "job"), **item_of(job)}) is None
