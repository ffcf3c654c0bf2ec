"""Lists and documents under ``corpora/<id>/`` in the bucket or the inbox become documents of that corpus."""

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from chalicelib import corpora, jobs
from chalicelib.events import inbound
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
        return inbound.stored(event, SUBMIT, lambda: 900.0)

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
