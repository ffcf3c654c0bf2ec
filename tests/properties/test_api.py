"""Headers, bodies, queries and pages of words: whatever comes is taken or refused, and nothing else happens."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib import errors, submissions
from chalicelib.http import negotiation, responses
from chalicelib.http.schemas import ListQuery, WordsQuery
from tests.http.test_responses import page


@given(st.text())
def test_any_header_can_be_read(text: str) -> None:
    negotiation.acceptable(text, ("application/json",))
    negotiation.takes("gzip", text)
    negotiation.matches(text, '"x"')
    negotiation.media_type(text)
    wait = negotiation.wait_preference(text)
    assert wait is None or wait >= 0


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_any_body_is_json_or_refused(raw: bytes) -> None:
    problems: list[responses.Answer] = []
    try:
        responses.body(raw)
    except errors.Unreadable as error:
        problems.append(responses.problem(errors.problem_for(error)))
    assert all(problem.status in (400, 413) for problem in problems)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["url", "text", "html", *submissions.OPTIONS, "x"]), JSON))
def test_any_object_is_a_submission_or_refused_with_places(fields: dict[str, Any]) -> None:
    problems: list[dict[str, Any]] = []
    try:
        submissions.read(fields)
    except errors.InvalidSubmission as error:
        problems.append(json.loads(responses.problem(errors.problem_for(error)).body))
    for problem in problems:
        assert problem["status"] == 422
        assert all(fault["pointer"] == "" or fault["pointer"].startswith("/") for fault in problem["errors"])


@given(st.integers(0, 2**44 - 1), st.text("0123456789abcdef", min_size=32, max_size=32))
def test_a_cursor_comes_back_as_it_was(submitted_at: int, job_id: str) -> None:
    link = responses.address("/stage/jobs", ListQuery(state="failed"), cursor=responses.cursor((submitted_at, job_id)))
    assert link.startswith("/stage/jobs?state=failed&limit=20&cursor=")
    asked = responses.query({"cursor": [link.rpartition("=")[2]]}, ListQuery)
    assert responses.read_cursor(asked.cursor) == (submitted_at, job_id)


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.integers(1, 9), max_size=30), st.integers(1, 7))
def test_pages_of_words_join_to_the_whole(counts: dict[str, int], limit: int) -> None:
    whole = json.loads(page(WordsQuery(limit=1000), counts).body)
    seen: list[Any] = []
    offset = 0
    while True:
        got = json.loads(page(WordsQuery(limit=limit, offset=offset), counts).body)
        assert got["total"] == whole["total"]
        seen += got["words"]
        if got["next"] is None:
            break
        offset = int(got["next"].rpartition("offset=")[2].partition("&")[0])
        assert offset == len(seen)
    assert seen == whole["words"]
