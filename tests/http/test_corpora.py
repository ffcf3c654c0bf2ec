"""What the API says of corpora, without servers."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.errors import Gone, InvalidSubmission, KeyReused, Refused, Unreadable
from chalicelib.http import corpora, openapi, responses, schemas, sources
from chalicelib.store.corpora import Corpus
from tests.factories import a_job


def test_each_document_that_was_not_taken_is_named_with_the_reason() -> None:
    refused = [{"index": 1, "errors": [{"pointer": "/url", "detail": "no"}]}]
    said = corpora.accepted([0, 2, 3], [a_job(), KeyReused(), a_job()], refused)
    assert said["accepted"] == 2
    assert [(row["index"], row["errors"][0]["detail"]) for row in said["refused"]] == [
        (1, "no"),
        (2, KeyReused.sentence),
    ]
    assert corpora.accepted([0], [Gone()], [])["accepted"] == 0


@pytest.mark.parametrize(
    ("error", "problem", "status"),
    [
        (None, "job-canceled", 409),
        ({"type": "corpus-changed", "title": "", "detail": "It changed."}, "corpus-changed", 409),
        ({"type": "connection-failed", "title": "", "detail": "S3 is away."}, "unavailable", 503),
        ({"type": "internal", "title": "", "detail": "The service failed."}, "internal", 409),
        ({"type": "http-status", "title": "", "detail": "S3 answered AccessDenied."}, "http-status", 409),
    ],
)
def test_a_question_that_has_failed_is_unavailable_only_where_it_may_go_better(
    error: dict[str, str] | None, problem: str, status: int
) -> None:
    refused = corpora.no_answer(a_job(state="failed", error=error))
    shown = responses.problem(refused)
    assert (shown.status, json.loads(shown.body)["type"].removeprefix(schemas.URN)) == (status, problem)


@pytest.mark.parametrize(
    ("read", "fields", "pointer", "said"),
    [
        (corpora.new_corpus, {"name": 1}, "/name", "must be a string"),
        (corpora.new_corpus, {"name": "x" * 201}, "/name", "is longer than 200 characters"),
        (corpora.new_corpus, {"name": "\0"}, "/name", "contains a NUL character"),
        (corpora.new_corpus, {"name": "\ud800"}, "/name", "contains an unpaired surrogate"),
        (
            corpora.new_corpus,
            {"metadata": ["a b"]},
            "/metadata/0",
            "must begin with a letter or _ and have at most 50 ",
        ),
        (corpora.new_corpus, {"metadata": ["a"] * 21}, "/metadata", "has more than 20 entries"),
        (corpora.new_corpus, {"options": {"url": "a.de"}}, "/options/url", "is not a known field"),
        (corpora.new_corpus, {"options": {"select": "\0"}}, "/options/select", "contains a NUL character"),
        (corpora.new_corpus, [], "", "must be an object"),
        (sources.new_source, {}, "/sitemap", "is required"),
        (sources.new_source, {"sitemap": "ftp://a.de"}, "/sitemap", "Only http and https addresses are fetched."),
        (sources.new_source, {"sitemap": "a.de", "limit": 0}, "/limit", "must be at least 1"),
        (sources.new_source, {"sitemap": "a.de", "limit": "5"}, "/limit", "must be a whole number"),
        (sources.new_source, {"sitemap": "a.de", "include": ["x"]}, "/include/0", "must begin with / or *"),
        (
            sources.new_source,
            {"sitemap": "a.de", "exclude": ["/\ud800"]},
            "/exclude/0",
            "contains an unpaired surrogate",
        ),
    ],
)
def test_a_fault_is_said_in_words_and_at_its_place(
    read: Callable[[bytes], Any], fields: object, pointer: str, said: str
) -> None:
    with pytest.raises(InvalidSubmission) as caught:
        read(json.dumps(fields).encode())
    [fault] = caught.value.faults
    assert fault.pointer == pointer
    assert fault.detail.startswith(said)


def test_what_is_read_of_a_request_about_a_corpus_is_described() -> None:
    paths = json.loads(openapi.document("/", auth="none"))["paths"]

    def headers(method: str, path: str) -> list[str]:
        return [one["name"] for one in paths[path][method].get("parameters", []) if one["in"] == "header"]

    assert headers("post", "/corpora") == headers("post", "/corpora/{corpus_id}/sources") == ["Idempotency-Key"]
    for name in ("contexts", "phrases", "collocates", "contexts.csv"):
        assert headers("get", f"/corpora/{{corpus_id}}/{name}") == ["Prefer"]
    assert "410" in paths["/corpora"]["post"]["responses"]
    assert "409" in paths["/corpora/{corpus_id}/documents"]["post"]["responses"]


def _refused(rows: bytes, media_type: str = corpora.NDJSON) -> list[dict[str, str]]:
    _, refused = corpora.documents(rows, media_type, SimpleNamespace(metadata=["year"]))
    return [error for row in refused for error in row["errors"]]


@pytest.mark.parametrize(
    ("document", "pointer", "said"),
    [
        (b'{"text": "a", "key": 1}', "/key", "must be a string"),
        (b'{"text": "a", "key": "\\u0000"}', "/key", "contains a NUL character"),
        (b'{"text": "a", "metadata": {"year": 1}}', "/metadata", "must be a string"),
        (b'{"text": "a", "text": "b"}', "", "The body is not usable JSON: duplicate key 'text'."),
        (b'{"text": "\xff"}', "", "The body is not UTF-8: byte 10 cannot be read."),
    ],
)
def test_a_document_that_cannot_be_taken_says_what_is_wrong_with_it(document: bytes, pointer: str, said: str) -> None:
    assert _refused(document) == [{"pointer": pointer, "detail": said}]


def test_a_name_twice_in_a_list_of_documents_is_refused() -> None:
    with pytest.raises(Unreadable, match="duplicate key 'text'"):
        _refused(b'{"documents": [{"text": "a", "text": "b"}]}', responses.JSON)


@pytest.mark.parametrize(
    "body",
    [b'{"documents": [' + b"[], " * 2_000_000 + b"1]}", b'{"documents": [{%s"text": "a"}]}' % (b'"a": 1, ' * 10**6)],
)
def test_a_list_that_is_large_without_texts_is_refused_before_it_is_read(body: bytes) -> None:
    with pytest.raises(Unreadable, match="too many names"):
        _refused(body, responses.JSON)


def test_a_thousand_documents_with_all_their_metadata_are_taken() -> None:
    row = {"text": "a", "metadata": dict.fromkeys((f"f{n}" for n in range(corpora.METADATA_MOST)), "value")}
    body = json.dumps({"documents": [row] * 1000}, indent=2).encode()
    given, refused = corpora.documents(body, responses.JSON, SimpleNamespace(metadata=[*row["metadata"]]))
    assert (len(given), refused) == (1000, [])


@pytest.mark.parametrize("media_type", [responses.JSON, responses.CSV])
def test_what_was_found_is_no_larger_than_an_answer_may_be(media_type: str) -> None:
    """On AWS the caller would get a 502 without a reason."""
    row = dict.fromkeys(corpora.COLUMNS["collocates"], 1) | {"word": "x" * 16_384}
    record = Corpus(id="0" * 32, owner="ann", created_at=0, expires_at=0)
    found = {"total": 1, "documents": 1, "collocates": [row] * 250, "next": None}
    place = responses.Place(record.id, "/", media_type)
    with pytest.raises(Refused) as refused:
        corpora.found_answer(record, "collocates", found, corpora.CollocatesQuery(word="a"), place)
    assert refused.value.name == "answer-too-large"
