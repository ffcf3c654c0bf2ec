"""What the API says of corpora, without servers."""

import json

import pytest

from chalicelib.errors import Gone, KeyReused
from chalicelib.http import corpora, responses, schemas
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
