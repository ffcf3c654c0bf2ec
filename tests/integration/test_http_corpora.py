"""Corpora through the HTTP API, on a real store and a real queue."""

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from chalicelib import corpora
from tests import conftest
from tests.integration.counter import counting_at_once
from tests.integration.http_clients import LocalClient, local_client


@pytest.fixture
def api(
    redis_url: str, dynalite_table: conftest.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalClient]:
    monkeypatch.setenv("OBJECT_STORE", str(tmp_path))
    with local_client() as running, counting_at_once():
        yield running


JSON = {"Content-Type": "application/json"}


def make(api: LocalClient, **given: Any) -> str:
    got = api("POST", "/corpora", JSON, json.dumps({"options": {"language": "en"}, **given}).encode())
    assert got.status == 201, got
    assert got.headers["location"] == f"/corpora/{got.json()['id']}"
    return str(got.json()["id"])


def ready(api: LocalClient, corpus: str) -> dict[str, Any]:
    for _ in range(200):
        found = api("GET", f"/corpora/{corpus}").json()
        if found["complete"]:
            return dict(found)
        time.sleep(0.05)
    raise AssertionError(found)


def check_files(api: LocalClient, corpus: str) -> None:
    """Each table is a file too, with the columns of an empty one."""
    for target in ("words", "contexts?word=tree", "phrases", "collocates?word=tree&min_count=1"):
        name, _, query = target.partition("?")
        got = api("GET", f"/corpora/{corpus}/{name}.csv?{query}")
        assert got.headers["content-disposition"] == f'attachment; filename="{name}-{corpus[:8]}.csv"'
        plain = {"Accept": "text/csv", "Prefer": "wait=20"}
        assert got.body == b"\xef\xbb\xbf" + api("GET", f"/corpora/{corpus}/{name}?{query}", plain).body
    columns = "start,end,place,before,match,after,document_id,document_key,document_url,document_title"
    none = api("GET", f"/corpora/{corpus}/contexts.csv?word=nowhere").body.decode("utf-8-sig")
    assert none.splitlines() == [columns]


def test_a_corpus_from_its_making_to_its_erasing(api: LocalClient) -> None:
    corpus = make(api, name="Trees", metadata=["year"])
    assert api("GET", f"/corpora/{corpus}").json()["state"] == "empty"
    documents = [
        {"text": "The old tree stands by the river.", "key": "one", "metadata": {"year": "1900"}},
        {"text": "The river is old. A tree is a tree.", "key": "two"},
        {"text": "A price", "key": "three", "metadata": {"month": "May"}},
        {"url": "ftp://example.com"},
    ]
    got = api("POST", f"/corpora/{corpus}/documents", JSON, json.dumps({"documents": documents}).encode())
    assert (got.status, got.json()["accepted"]) == (202, 2)
    assert [(one["index"], one["errors"][0]["pointer"]) for one in got.json()["refused"]] == [
        (2, "/metadata"),
        (3, "/url"),
    ]
    lines = b"\n".join(json.dumps(one).encode() for one in documents[:2]) + b"\nnot json\n"
    again = api("POST", f"/corpora/{corpus}/documents", {"Content-Type": "application/x-ndjson"}, lines)
    assert (again.json()["accepted"], [one["index"] for one in again.json()["refused"]]) == (2, [2])
    found = ready(api, corpus)
    assert found["documents"] == {"total": 2, "waiting": 0, "running": 0, "succeeded": 2, "failed": 0}
    assert (found["state"], found["totals"]["words"], found["name"]) == ("ready", 16, "Trees")

    words = api("GET", f"/corpora/{corpus}/words?limit=2").json()
    assert [(row["word"], row["count"], row["documents"]) for row in words["words"]] == [("tree", 3, 2), ("old", 2, 2)]
    assert (words["complete"], words["version"]) == (True, found["version"])
    rest = api("GET", words["next"]).json()
    assert words["total"] == len(words["words"]) + len(rest["words"])
    table = api("GET", f"/corpora/{corpus}/words?sort=documents", {"Accept": "text/csv"})
    assert table.body.startswith(b"word,count,share,documents,dispersion,d_kl,tfidf,stop_word\r\n")

    contexts = api("GET", f"/corpora/{corpus}/contexts?word=Tree&sort=left", {"Prefer": "wait=20"}).json()
    assert (contexts["total"], contexts["documents"]) == (3, 2)
    assert {row["document"]["key"] for row in contexts["contexts"]} == {"one", "two"}
    phrases = api("GET", f"/corpora/{corpus}/phrases?stop_words=include", {"Prefer": "wait=20"}).json()
    assert ["A", "tree"] not in [row["phrase"] for row in phrases["phrases"]] or phrases["phrases"]
    near = api("GET", f"/corpora/{corpus}/collocates?word=tree&min_count=1", {"Prefer": "wait=20"})
    assert "old" in [row["word"] for row in near.json()["collocates"]]

    check_files(api, corpus)
    listed = api("GET", f"/corpora/{corpus}/documents").json()["documents"]
    assert [(row["key"], row["state"], row["metadata"]) for row in listed] == [
        ("one", "succeeded", {"year": "1900"}),
        ("two", "succeeded", {}),
    ]
    assert api("GET", "/jobs").json()["jobs"] == []
    other = make(api)
    keywords = api("GET", f"/corpora/{corpus}/keywords?against=corpus:{other}")
    assert keywords.json()["sizes"] == [16, 0]
    file = api("GET", f"/corpora/{corpus}/keywords.csv?against=corpus:{other}").body.decode("utf-8-sig")
    assert file.startswith("word,count,count_other,per_million,")
    assert api("DELETE", f"/corpora/{corpus}/documents?key=one").status == 204
    assert ready(api, corpus)["documents"]["total"] == 1
    assert api("DELETE", f"/corpora/{corpus}").status == 204
    assert [one["id"] for one in api("GET", "/corpora").json()["corpora"]][-1] in (other, corpus)


def test_a_document_whose_address_is_long_can_be_removed(api: LocalClient) -> None:
    corpus, url = make(api), "http://127.0.0.1:9/" + "a" * 1000
    body = json.dumps({"documents": [{"url": url}]}).encode()
    assert api("POST", f"/corpora/{corpus}/documents", JSON, body).json() == {"accepted": 1, "refused": []}
    assert api("DELETE", f"/corpora/{corpus}/documents?{urlencode({'key': url})}").status == 204
    assert api("GET", f"/corpora/{corpus}/documents").json()["documents"] == []


def test_the_pages_of_a_table_are_of_one_version(api: LocalClient) -> None:
    corpus, other = make(api), make(api)
    for which, texts in ((corpus, ["a tree, a river", "an old tree"]), (other, ["a tree"])):
        body = json.dumps({"documents": [{"text": text} for text in texts]}).encode()
        assert api("POST", f"/corpora/{which}/documents", JSON, body).status == 202
        ready(api, which)
    targets = [
        *("words?stop_words=include&", "contexts?word=tree&", "collocates?word=tree&min_count=1&stop_words=include&"),
        f"keywords?against=corpus:{other}&",
    ]
    wait = {"Prefer": "wait=20"}
    following = [api("GET", f"/corpora/{corpus}/{target}limit=1", wait).json()["next"] for target in targets]
    assert all(api("GET", one, wait).status == 200 for one in following)
    for which, changed in ((other, following[-1:]), (corpus, following)):
        added = json.dumps({"documents": [{"text": "one more tree"}]}).encode()
        assert api("POST", f"/corpora/{which}/documents", JSON, added).status == 202
        ready(api, which)
        assert [api("GET", one, wait).problem for one in changed] == ["corpus-changed"] * len(changed)


def test_corpora_of_very_many_words_are_not_compared(api: LocalClient, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, other = make(api), make(api)
    for which, text in ((corpus, "a tree"), (other, "an old tree")):
        assert (
            api(
                "POST", f"/corpora/{which}/documents", JSON, json.dumps({"documents": [{"text": text}]}).encode()
            ).status
            == 202
        )
        ready(api, which)
    monkeypatch.setattr(corpora, "COMPARED_MOST", 5)
    assert api("GET", f"/corpora/{corpus}/keywords?against=corpus:{other}").status == 200
    monkeypatch.setattr(corpora, "COMPARED_MOST", 4)
    answer = api("GET", f"/corpora/{corpus}/keywords?against=corpus:{other}")
    assert (answer.problem, answer.status) == ("answer-too-large", 413)
    assert "at most" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("/corpora/" + "0" * 32, "not-found"),
        ("/corpora/x", "not-found"),
        ("/corpora?limit=0", "invalid-parameter"),
        ("/corpora/{corpus}/contexts", "invalid-parameter"),
        ("/corpora/{corpus}/contexts?word=a&phrase=b", "invalid-parameter"),
        ("/corpora/{corpus}/contexts?phrase=" + "a+" * 10 + "a", "invalid-parameter"),
        ("/corpora/{corpus}/words?version=0", "invalid-parameter"),
        ("/corpora/{corpus}/words?version=7", "corpus-changed"),
        ("/corpora/{corpus}/words?sort=size", "invalid-parameter"),
        ("/corpora/{corpus}/keywords?against=job:1", "invalid-parameter"),
        ("/corpora/{corpus}/keywords?against=job:" + "0" * 32, "not-found"),
        ("/corpora/{corpus}/documents?cursor=x", "invalid-parameter"),
    ],
)
def test_what_cannot_be_answered_is_a_problem(api: LocalClient, target: str, problem: str) -> None:
    assert api("GET", target.replace("{corpus}", make(api))).problem == problem


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{", b'{"documents": 1}', b'{"documents": [], "more": 1}', b'{"documents": [' + b"{}," * 1000 + b"{}]}"],
)
def test_documents_that_cannot_be_read_are_a_problem(api: LocalClient, body: bytes) -> None:
    got = api("POST", f"/corpora/{make(api)}/documents", JSON, body)
    assert got.problem in ("invalid-json", "invalid-submission")


def test_documents_that_are_compressed_are_refused_as_a_whole(api: LocalClient) -> None:
    body = gzip.compress(b'{"text": "a word"}')
    for media_type in ("application/json", "application/x-ndjson"):
        headers = {"Content-Type": media_type, "Content-Encoding": "gzip"}
        got = api("POST", f"/corpora/{make(api)}/documents", headers, body)
        assert (got.status, got.problem) == (415, "unsupported-media-type")


def test_a_corpus_with_bad_options_is_not_made(api: LocalClient) -> None:
    for given in ({"options": {"colour": "red"}}, {"name": 1}, {"metadata": ["a b"]}, {"options": {"language": "?"}}):
        assert api("POST", "/corpora", JSON, json.dumps(given).encode()).problem == "invalid-submission"
