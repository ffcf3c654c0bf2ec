"""What the API takes and gives, without a server: bodies, queries, answers, access, the document."""

import csv
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from chalicelib import errors, submissions
from chalicelib.analysis import words
from chalicelib.http import access, examples, negotiation, openapi, responses, schemas
from chalicelib.http.evidence import PlacesQuery
from chalicelib.http.schemas import ListQuery, NoQuery, WordsQuery
from chalicelib.store import records

JOB = msgspec.convert(examples.JOB, schemas.Job)


def refused(name: str) -> Any:
    return pytest.raises(errors.WordcountsError, check=lambda error: errors.problem_for(error).name == name)


# --- headers ---


@pytest.mark.parametrize(
    ("accept", "best"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("text/csv, application/json", "application/json"),
        ("application/json;q=0.1, text/*", "text/csv"),
        ("APPLICATION/JSON; charset=utf-8", "application/json"),
        ("application/*;q=0, text/csv;q=0.001", "text/csv"),
        ("*/*;q=0", None),
        ("image/png", None),
        ("nonsense", "application/json"),
        ("text/csv;q=nonsense", "text/csv"),
    ],
)
def test_the_best_acceptable_type_is_chosen(accept: str | None, best: str | None) -> None:
    assert negotiation.acceptable(accept, ("application/json", "text/csv")) == best


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("wait=5", 5),
        ("WAIT = 7", 7),
        ('wait="8"', 8),
        ("respond-async, wait=9; x=1, wait=3", 9),
        ("respond-async;wait=4", None),
        ("wait=99999999999999", None),
        ("wait=1.5", None),
        ('handling="a, wait=1", wait=2', 2),
        ('handling=a; b="c, wait=1", wait=2', 2),
    ],
)
def test_a_preference_to_wait_is_read_as_rfc_7240_has_it(prefer: str | None, seconds: int | None) -> None:
    assert negotiation.wait_preference(prefer) == seconds


def test_entity_tags_are_compared_weakly() -> None:
    assert negotiation.matches('"a", W/"b"', '"b"')
    assert negotiation.matches('"b"', 'W/"b"')
    assert negotiation.matches("*", '"b"')
    assert not negotiation.matches('"a"', '"b"')
    assert not negotiation.matches(None, '"b"')


# --- bodies and queries ---


@pytest.mark.parametrize(
    ("fields", "pointer", "said"),
    [
        ({"url": "a.de", "language": "not a tag"}, "/language", "Use a language code such as en or pt-BR."),
        ({"url": "a.de", "select": "x" * 1001}, "/select", "is longer than 1000 characters"),
        ({"url": "a.de", "select": ""}, "/select", "must not be empty"),
        ({"url": "a.de", "ignore": 5}, "/ignore", "must be a string"),
        ({"url": "a.de", "words": "regex"}, "/words", "must be unicode or nltk"),
        ({"url": "a.de", "content": None}, "/content", "must be all or main"),
        ({"url": "a.de", "numbers": True}, "/numbers", "must be drop or keep"),
        ({"url": "a.de", "keep_text": "no"}, "/keep_text", "must be true or false"),
        ({"text": "a", "content": "main"}, "/content", "works on web pages and HTML only"),
    ],
)
def test_a_fault_is_said_in_words_and_not_in_the_validators(fields: dict[str, Any], pointer: str, said: str) -> None:
    with pytest.raises(errors.InvalidSubmission) as caught:
        submissions.read(fields)
    assert [(error.pointer, error.detail) for error in caught.value.faults] == [(pointer, said)]


def _faults(fields: dict[str, Any]) -> list[str]:
    with pytest.raises(errors.InvalidSubmission) as caught:
        submissions.read(fields)
    problem = errors.problem_for(caught.value)
    assert problem is not None
    answer = responses.problem(problem)
    assert len(answer.body) < 10_000
    return [fault["pointer"] for fault in json.loads(answer.body)["errors"]]


def test_each_of_several_faults_has_its_place() -> None:
    assert _faults({"text": 5, "language": "?", "color/~": 1}) == ["/text", "/language", "/color~1~0"]
    assert _faults({"url": "a\0", "select": "\ud800", "text": 5}) == ["/url", "/select"]


def test_fields_of_an_event_may_be_nested_as_deep_as_they_like() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert _faults({"text": "a", "other": deep}) == ["/other"]


def test_a_refusal_is_small_however_much_is_wrong() -> None:
    for value in ("\0", "\ud800", 1):
        assert len(_faults({f"field{n}": value for n in range(5000)})) == submissions.MAX_FAULTS
        assert _faults({"n" * 1_000_000: value}) == [""]


def test_json_that_is_nested_too_deep_is_refused_at_every_depth() -> None:
    responses.body(b"[" * 16 + b"]" * 16)
    for depth in (17, 500, 100_000):
        with refused("invalid-json"):
            responses.body(b"[" * depth + b"]" * depth)
    with refused("invalid-json"):
        responses.body(b'{"text":' + b"[" * 500_000)


def _cpu(work: Callable[[], Any]) -> float:
    """Seconds of CPU, the least of three tries."""
    tries = []
    for _ in range(3):
        began = time.process_time()
        work()
        tries.append(time.process_time() - began)
    return min(tries)


@pytest.mark.slow
@pytest.mark.parametrize(
    "made",
    [
        lambda: b"{" + b",".join(b'"%x":0' % (n % 50_000) for n in range(400_000)) + b"}",
        lambda: b"[" + b"0," * 2_000_000 + b"0]",
        lambda: b"[" * 4_000_000,
        lambda: b'{"text":' + b" " * 4_000_000 + b'"a"}',
        lambda: b'"' * 4_000_000,
    ],
    ids=["names", "numbers", "brackets", "blanks", "quotes"],
)
def test_a_large_body_that_is_no_text_is_refused_before_it_is_read(made: Callable[[], bytes]) -> None:
    raw = made()

    def refuse() -> None:
        with refused("invalid-json"):
            responses.body(raw)

    text = b'{"text":"' + b"a" * 1_000_000 + b'"}'
    assert _cpu(refuse) < 3 * _cpu(lambda: responses.body(text))


def test_a_text_may_hold_as_many_quotes_and_names_as_it_likes() -> None:
    text = json.dumps([{"a": 0}] * 20_000)
    assert responses.body(json.dumps({"text": text, "language": "en"}).encode()) == {"text": text, "language": "en"}


@pytest.mark.parametrize("part", ["\t", '"', '\\"y', "a ", '="', 'a=" ', "a,", ";"])
def test_a_header_costs_no_more_than_its_length(part: str) -> None:
    def read(times: int) -> None:
        value = "<" + part * times + "<"
        negotiation.wait_preference(value)
        negotiation.acceptable(value, ("application/json", "text/csv"))
        negotiation.takes("gzip", value)
        negotiation.matches(value, '"x"')

    short, long = (_cpu(lambda times=times: read(times)) for times in (2_000, 16_000))  # type: ignore[misc]
    assert long < 0.02 + 16 * short


def test_a_query_has_defaults_and_refuses_what_it_does_not_know() -> None:
    assert responses.query({}, WordsQuery) == WordsQuery()
    assert responses.query({"limit": ["7"], "case": ["fold"]}, WordsQuery) == WordsQuery(limit=7, case="fold")
    for parameters in ({"limit": ["７"]}, {"limit": ["7", "8"]}, {"case": ["FOLD"]}, {"nothing": ["1"]}):
        with refused("invalid-parameter"):
            responses.query(parameters, WordsQuery)
    with refused("invalid-parameter"):
        responses.query({"limit": ["7"]}, NoQuery)


@pytest.mark.parametrize(
    ("kind", "name", "given", "said"),
    [
        (WordsQuery, "limit", "99999999999", "must be at most 1000000"),
        (WordsQuery, "limit", "0", "must be at least 1"),
        (WordsQuery, "prefix", "x" * 201, "is longer than 200 characters"),
        (PlacesQuery, "words", "", "must not be empty"),
    ],
)
def test_a_parameter_that_cannot_be_used_says_so_in_words(kind: type[Any], name: str, given: str, said: str) -> None:
    with pytest.raises(errors.Refused) as caught:
        responses.query({name: [given]}, kind)
    assert [error.detail for error in caught.value.errors or ()] == [said]


def test_json_that_is_broken_says_where() -> None:
    with pytest.raises(errors.Unreadable, match="Invalid control character at line 1, column 11"):
        responses.body(b'{"text": "\n"}')


# --- answers ---


def record(**changes: Any) -> records.Job:
    given: dict[str, Any] = {
        "id": "0" * 32,
        "owner": "a",
        "kind": "url",
        "queue": "interactive",
        "request_hash": "",
        "submitted_at": 1_000_000_000_123,
        "expires_at": 1_002_592_000,
    }
    return records.Job(**given | changes)


def test_times_are_rfc_3339_in_utc_with_milliseconds() -> None:
    shown = responses.job(record())
    assert (shown.submitted_at, shown.expires_at) == ("2001-09-09T01:46:40.123Z", "2001-10-09T01:46:40.000Z")
    assert shown.started_at is None


def test_a_job_that_waits_for_its_next_try_says_when_by_the_clock_of_the_records() -> None:
    now = 1_000_000
    assert responses.retry_after(record(), now) == {"Retry-After": "1"}
    assert responses.retry_after(record(not_before=1_007_500), now) == {"Retry-After": "8"}
    assert responses.retry_after(record(not_before=9_000_000), now) == {"Retry-After": "60"}
    assert responses.retry_after(record(not_before=1), now) == {"Retry-After": "1"}
    assert responses.retry_after(record(state="failed"), now) == {}


def test_a_list_of_large_jobs_goes_on_in_the_next_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "MAX_ANSWER_BYTES", 100_000)
    found = [record(id=f"{n:032x}", submitted_at=10**12 - n, url="https://a.de/" + "x" * 8000) for n in range(30)]
    got = responses.jobs_answer(found, None, ListQuery(limit=30), "/p")
    shown = json.loads(got.body)
    assert 9 <= len(shown["jobs"]) <= 12
    assert len(got.body) < 100_000
    asked = responses.query({"cursor": [shown["next"].rpartition("=")[2]], "limit": ["30"]}, ListQuery)
    last = found[len(shown["jobs"]) - 1]
    assert responses.read_cursor(asked.cursor) == (last.submitted_at, last.id)
    assert got.headers["Link"] == f'<{shown["next"]}>; rel="next"'
    assert json.loads(responses.jobs_answer([], None, ListQuery(), "/p").body) == {"jobs": [], "next": None}


def test_the_entity_tag_changes_with_the_version_and_with_a_later_job_of_the_same_key() -> None:
    tags = {
        responses.job_answer(one, None, now=0, more={}).headers["ETag"]
        for one in (record(), record(version=2), record(submitted_at=2_000_000_000_000))
    }
    assert len(tags) == 3


def page(asked: WordsQuery, counts: dict[str, int], media_type: str = responses.JSON) -> responses.Answer:
    table = words.table(counts)
    return responses.words_answer(table, "", asked, responses.Place(JOB.id, f"/p/jobs/{JOB.id}/words", media_type))


def test_csv_is_rfc_4180_and_runs_no_formula() -> None:
    cells = dict(json.loads((Path(__file__).parents[1] / "cases.json").read_text("utf-8"))["csv"])
    content = page(WordsQuery(), dict.fromkeys(cells, 1), responses.CSV).body.decode()
    head, rows = content.split("\r\n", 1)
    assert head == "word,count,share,stop_word"
    assert rows == "".join(f"{cells[word]},1,{1 / len(cells):.8f},false\r\n" for word in sorted(cells))
    assert len(list(csv.reader(io.StringIO(content, newline="")))) == len(cells) + 1


def test_an_answer_ends_where_it_would_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "MAX_ANSWER_BYTES", 2000)
    counts = {f"{n:03}" + "w" * 100: 1 for n in range(100)}
    for media_type in (responses.JSON, responses.CSV):
        offset = seen = 0
        while True:
            got = page(WordsQuery(offset=offset, limit=100), counts, media_type)
            assert len(got.body) <= 2600
            seen += got.body.count(b"w" * 100)
            if "Link" not in got.headers:
                break
            offset = int(got.headers["Link"].partition("offset=")[2].partition("&")[0])
            assert offset == seen
        assert seen == 100


def test_an_offset_past_the_end_gives_nothing_and_no_next() -> None:
    assert json.loads(page(WordsQuery(offset=50), {"a": 1}).body)["words"] == []
    assert page(WordsQuery(offset=50), {"a": 1}, responses.CSV).body == b"word,count,share,stop_word\r\n"


def test_a_compressed_answer_is_the_same_each_time() -> None:
    assert (
        responses.compressed(responses.Answer(200, b"a" * 9000)).body
        == responses.compressed(responses.Answer(200, b"a" * 9000)).body
    )


# --- access ---


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "",
        "[::1",
        "localhost@evil",
        "a@localhost",
        "localhost, evil",
        "localhost:1, evil",
        "localhost/",
        "localhost\n",
        "localhost.",
        "2130706433",
        "0x7f.1",
    ],
)
def test_hosts_that_are_no_address_and_not_localhost_are_refused(host: str) -> None:
    with refused("misdirected"):
        access.check_local({"host": host}, "GET", allow_origin="")


def test_a_script_of_the_same_or_the_allowed_origin_may_change_things() -> None:
    given = {"host": "localhost:8000", "origin": "http://localhost:8000"}
    access.check_local(given, "POST", allow_origin="")
    access.check_local(given | {"origin": "https://app.example"}, "DELETE", allow_origin="https://app.example")
    access.check_local(given | {"origin": "https://evil.example"}, "GET", allow_origin="")
    with refused("forbidden"):
        access.check_local(given | {"origin": "https://localhost:8001"}, "DELETE", allow_origin="")
    with refused("forbidden"):
        access.check_local(given | {"origin": "http://["}, "POST", allow_origin="")
    with refused("forbidden"):
        access.check_local({"host": "localhost:8000", "sec-fetch-site": "cross-site"}, "POST", allow_origin="")
    access.check_local({"host": "localhost:8000", "sec-fetch-site": "same-origin"}, "POST", allow_origin="")


def test_no_owner_is_looked_up_for_what_cannot_be_a_token() -> None:
    asked: list[str] = []
    for sent in ("Bearer", "Bearer a b", f"Bearer {'a' * 300}", "Basic abc", "Bearer é"):
        with refused("unauthorized"):
            access.bearer({"authorization": sent}, lambda token: asked.append(token))
    assert asked == []


# --- the document ---


@pytest.mark.slow
def test_the_documents_examples_are_what_the_structs_take() -> None:
    for kind, example in examples.OF.items():
        assert json.loads(msgspec.json.encode(msgspec.convert(example, kind))) == example
    for example in examples.SUBMISSIONS.values():
        submissions.read(example["value"])


def test_every_problem_that_has_a_status_is_in_the_document() -> None:
    document = json.loads(openapi.document("/", auth="token"))
    said = json.dumps(document)
    for name, (status, *_) in errors.PROBLEMS.items():
        if status not in (408, 414, 431):  # the server's own, before a path is known
            assert f"urn:wordcounts:problem:{name}`" in said, name


def test_what_a_failed_job_said_becomes_its_problem() -> None:
    failed = record(state="failed", error={"type": "timeout", "title": "T", "detail": "D"})
    got = json.loads(responses.problem(responses.no_result(failed)).body)
    assert (got["type"], got["status"], got["detail"]) == ("urn:wordcounts:problem:timeout", 409, "D")
    assert SimpleNamespace(**got["error"]).type == "timeout"
