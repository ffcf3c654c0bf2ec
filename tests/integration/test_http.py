"""The HTTP contract of docs/api.md, through every client: the test client, the local server, the Lambda runtime."""

import contextlib
import csv
import gzip
import io
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from chalicelib import jobs, pipeline, queue
from chalicelib.net import forks
from chalicelib.store import records
from tests import conftest
from tests.factories import a_job
from tests.integration.http_clients import CLIENTS, ChaliceClient, Got, HttpClient, lambda_client, local_client

JSON = {"Content-Type": "application/json"}
TOKEN = "a-token-of-these-tests"
TEXT = "the Cat and the hat and the cat sat =1a on the mat"


@pytest.fixture(scope="module")
def stack(dynalite: str, redis_server: str) -> Iterator[None]:
    """A table and a Redis for the whole module, named by the settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in conftest.LOCAL_AWS.items():
            patch.setenv(name, value)
        patch.setenv("REDIS_URL", redis_server)
        yield from (None for _ in conftest.make_table("dynalite", dynalite, patch))


@pytest.fixture(scope="module", params=CLIENTS)
def api(request: pytest.FixtureRequest, stack: None) -> Iterator[HttpClient]:
    if request.param == "client":
        yield ChaliceClient()
    elif request.param == "local":
        with local_client() as local:
            yield local
    else:
        jobs.table().put_token(jobs.token_digest(TOKEN), owner="tester", name="tests")
        names = ("TABLE_NAME", "REDIS_URL", "AWS_ENDPOINT_URL_DYNAMODB", *conftest.LOCAL_AWS)
        env = {name: os.environ[name] for name in names} | {"AUTH": "token", "RATE_PER_MINUTE": "100000"}
        with lambda_client(env, TOKEN) as remote:
            yield remote


def submit(api: HttpClient, headers: dict[str, str] | None = None, **submission: Any) -> Got:
    return api("POST", "/jobs", JSON | (headers or {}), json.dumps(submission or {"text": TEXT}).encode())


def ended(api: HttpClient, **submission: Any) -> str:
    """The id of a job that has ended."""
    job_id = str(submit(api, **submission).json()["id"])
    pipeline.count_page(job_id)
    return job_id


@contextlib.contextmanager
def soon(job_id: str, seconds: float = 0.3) -> Iterator[dict[str, float]]:
    """Count the job after a while, as a worker would; yields a dict that gets the time of the finish."""
    finished: dict[str, float] = {}

    def work() -> None:
        time.sleep(seconds)
        pipeline.count_page(job_id)
        finished["at"] = time.monotonic()
        with contextlib.suppress(queue.QueueError):
            queue.tell_ended(job_id)

    thread = threading.Thread(target=work)
    thread.start()
    yield finished
    thread.join()


# --- POST /jobs ---


def test_a_submission_is_accepted_with_where_and_when_to_look(api: HttpClient) -> None:
    got = submit(api)
    job = got.json()
    assert got.status == 202
    assert got.headers["location"] == f"{api.prefix}/jobs/{job['id']}"
    assert got.headers["retry-after"] == "1"
    assert (job["state"], job["version"], job["attempt"], job["kind"], job["url"]) == ("queued", 1, 0, "text", None)
    assert job["submitted_at"].endswith("Z")
    assert abs(datetime.fromisoformat(job["submitted_at"]).timestamp() - time.time()) < 10
    assert job["page"] is job["totals"] is job["top"] is job["error"] is job["started_at"] is job["finished_at"] is None


def test_a_page_is_accepted_with_its_address_normalised(api: HttpClient) -> None:
    job = submit(api, url="Example.COM/a b", select="main").json()
    assert job["url"] == "https://example.com/a%20b"
    assert job["options"] == {"select": "main"}


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        (b"", 400, "invalid-json"),
        (b"{", 400, "invalid-json"),
        (b'{"url":"https://example.com",}', 400, "invalid-json"),
        (b'{"text":"a","text":"b"}', 400, "invalid-json"),
        (b'{"text":NaN}', 400, "invalid-json"),
        (b'{"text":"\xff"}', 400, "invalid-json"),
        (b'{"text":1' + b"0" * 5000 + b"}", 400, "invalid-json"),
        (b"[" * 200 + b"]" * 200, 400, "invalid-json"),
        (b'{"a":' * 14_000, 400, "invalid-json"),
        (b"[]", 422, "invalid-submission"),
        (b"null", 422, "invalid-submission"),
        (b"{}", 422, "invalid-submission"),
        (b'{"url":null}', 422, "invalid-submission"),
        (b'{"url":["https://example.com"]}', 422, "invalid-submission"),
        (b'{"url":"https://example.com","text":"a"}', 422, "invalid-submission"),
        (b'{"url":"ftp://example.com"}', 422, "invalid-submission"),
        (b'{"url":"https://user@example.com"}', 422, "invalid-submission"),
        (b'{"text":"a","color":"red"}', 422, "invalid-submission"),
        (b'{"text":"a\\u0000b"}', 422, "invalid-submission"),
        (b'{"text":"\\ud800"}', 422, "invalid-submission"),
        (b'{"text":"a","language":"not a tag"}', 422, "invalid-submission"),
        (b'{"text":"a","language":"en\\n"}', 422, "invalid-submission"),
        (b'{"text":"a","select":"main"}', 422, "invalid-submission"),
        (b'{"url":"' + b"a" * 17_000 + b'"}', 413, "body-too-large"),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else None,
)
def test_a_bad_body_is_a_problem_of_its_own(api: HttpClient, body: bytes, status: int, name: str) -> None:
    got = api("POST", "/jobs", JSON, body)
    assert (got.status, got.problem) == (status, name)
    if status == 422:
        assert all(error["detail"] and error["pointer"][:1] in ("", "/") for error in got.json()["errors"])


def test_a_body_over_every_limit_is_refused(api: HttpClient) -> None:
    for body in (b"a" * 5_000_001, "é".encode() * 2_500_001):
        got = api("POST", "/jobs", JSON, b'{"text":"' + body + b'"}')
        assert got.status == 413  # by the gateway or by us


def test_a_text_of_exactly_the_limit_is_taken_however_it_is_escaped(api: HttpClient) -> None:
    most = 4_400_000 if api.prefix else 5_000_000  # bytes: Lambda takes no more
    assert submit(api, text="a" * most).status == 202
    assert submit(api, html="é" * (most // 6)).status == 202  # as \u00e9
    plain = json.dumps({"text": "é" * (most // 2)}, ensure_ascii=False).encode()
    job_id = api("POST", "/jobs", JSON, plain).json()["id"]
    pipeline.count_page(job_id)
    assert api("GET", f"/jobs/{job_id}").json()["totals"]["words"] == 1


def test_a_byte_order_mark_is_passed_over(api: HttpClient) -> None:
    assert api("POST", "/jobs", JSON, b'\xef\xbb\xbf{"text":"a"}').status == 202


def test_where_a_fault_is_stands_as_a_json_pointer(api: HttpClient) -> None:
    got = submit(api, url="https://example.com", select=7)
    assert [error["pointer"] for error in got.json()["errors"]] == ["/select"]
    assert [error["pointer"] for error in submit(api, url="::").json()["errors"]] == ["/url"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_another_content_type_is_415(api: HttpClient, content_type: str) -> None:
    got = api("POST", "/jobs", {"Content-Type": content_type}, b'{"text":"a"}')
    assert (got.status, got.problem) == (415, "unsupported-media-type")


def test_a_compressed_submission_is_415_with_what_is_taken(api: HttpClient) -> None:
    got = api("POST", "/jobs", JSON | {"Content-Encoding": "gzip"}, gzip.compress(b'{"text":"a"}'))
    assert (got.status, got.problem, got.headers["accept-encoding"]) == (415, "unsupported-media-type", "identity")
    assert api("POST", "/jobs", JSON | {"Content-Encoding": "identity"}, b'{"text":"a"}').status == 202


def test_no_content_type_is_415_since_a_strange_page_can_send_that(api: HttpClient) -> None:
    assert api("POST", "/jobs", {}, b'{"text":"a"}').status == 415


def test_a_charset_beside_the_content_type_does_not_matter(api: HttpClient) -> None:
    got = api("POST", "/jobs", {"Content-Type": "Application/JSON; charset=UTF-8"}, b'{"text":"a"}')
    assert got.status == 202


# --- Idempotency-Key ---


def test_the_same_key_and_submission_replay_the_job_as_it_is_now(api: HttpClient) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = submit(api, key, text="once")
    assert "idempotency-replayed" not in first.headers
    pipeline.count_page(first.json()["id"])
    again = submit(api, key, text="once")
    assert (again.status, again.headers["idempotency-replayed"]) == (202, "true")
    assert again.headers["location"] == first.headers["location"]
    assert again.json()["state"] == "succeeded"


def test_another_submission_under_a_key_is_422(api: HttpClient) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    submit(api, key, text="one")
    got = submit(api, key, text="two")
    assert (got.status, got.problem) == (422, "idempotency-key-reused")


def test_a_key_of_an_erased_job_is_410(api: HttpClient) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    job_id = submit(api, key, text="one").json()["id"]
    assert api("DELETE", f"/jobs/{job_id}").status == 204
    assert submit(api, key, text="one").status == 410


@pytest.mark.parametrize("key", ["", " ", "a" * 256, "ключ".encode().decode("latin-1")])
def test_a_bad_key_is_400_and_makes_no_job(api: HttpClient, key: str) -> None:
    got = submit(api, {"Idempotency-Key": key})
    assert (got.status, got.problem) == (400, "invalid-header")


def test_two_posts_with_one_key_at_once_make_one_job(api: HttpClient) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    got: list[Got] = []
    threads = [threading.Thread(target=lambda: got.append(submit(api, key, text="race"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.status for one in got} == {202}
    assert len({one.json()["id"] for one in got}) == 1
    assert sum("idempotency-replayed" not in one.headers for one in got) == 1


# --- Prefer: wait ---


def test_a_post_that_waits_gets_200_when_the_job_ends_in_time(api: HttpClient) -> None:
    late = 1.0
    for _ in range(3):  # the machine is shared with other tests
        key = uuid.uuid4().hex
        job_id = submit(api, {"Idempotency-Key": key}, text=f"wait {key}").json()["id"]
        with soon(job_id) as finished:
            got = submit(api, {"Idempotency-Key": key, "Prefer": "respond-async, wait=10"}, text=f"wait {key}")
            answered = time.monotonic()
        late = min(late, answered - finished["at"])
        assert (got.status, got.json()["state"]) == (200, "succeeded")
        assert got.headers["preference-applied"] == "wait=10"
        assert "retry-after" not in got.headers
        if late < 0.3:
            break
    assert late < 0.3


def test_a_get_that_waits_answers_within_300_ms_of_the_finish(api: HttpClient) -> None:
    late = 1.0
    for number in range(3):  # the machine is shared with other tests
        job_id = submit(api, text=f"text {number}").json()["id"]
        with soon(job_id) as finished:
            got = api("GET", f"/jobs/{job_id}", {"Prefer": "wait=10"})
            answered = time.monotonic()
        late = min(late, answered - finished["at"])
        assert got.json()["state"] == "succeeded"
        assert got.headers["preference-applied"] == "wait=10"
        if late < 0.3:
            break
    assert late < 0.3


def test_a_wait_ends_when_its_time_is_over(api: HttpClient) -> None:
    began = time.monotonic()
    got = submit(api, {"Prefer": "wait=1"}, text="nobody counts this")
    assert 0.9 < time.monotonic() - began < 2.5
    assert (got.status, got.json()["state"], got.headers["preference-applied"]) == (202, "queued", "wait=1")


@pytest.mark.parametrize("prefer", ["wait", "wait=", "wait=-1", "wait=soon", "handling=lenient", "wait=x, wait=9"])
def test_a_preference_that_is_not_understood_is_ignored(api: HttpClient, prefer: str) -> None:
    got = submit(api, {"Prefer": prefer}, text="nobody counts this")
    assert got.status == 202
    assert "preference-applied" not in got.headers


# --- GET /jobs/{id} ---


def test_a_job_that_has_ended_says_what_was_found(api: HttpClient) -> None:
    got = api("GET", f"/jobs/{ended(api)}")
    job = got.json()
    assert got.status == 200
    assert "retry-after" not in got.headers
    assert (job["state"], job["attempt"], job["error"]) == ("succeeded", 1, None)
    assert {"words": 13}.items() <= job["totals"].items()
    assert job["top"][0]["count"] >= job["top"][-1]["count"]
    assert job["page"]["language"] == "en"


def test_an_entity_tag_spares_the_body_until_the_job_changes(api: HttpClient) -> None:
    job_id = submit(api).json()["id"]
    first = api("GET", f"/jobs/{job_id}")
    etag = {"If-None-Match": first.headers["etag"]}
    assert first.headers["retry-after"] == "1"
    same = api("GET", f"/jobs/{job_id}", etag)
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", first.headers["etag"])
    pipeline.count_page(job_id)
    assert api("GET", f"/jobs/{job_id}", etag).status == 200


def test_head_has_the_headers_and_no_body(api: HttpClient) -> None:
    job_id = ended(api)
    got = api("HEAD", f"/jobs/{job_id}")
    assert (got.status, got.body) == (200, b"")
    assert got.headers["etag"] == api("GET", f"/jobs/{job_id}").headers["etag"]
    assert api("HEAD", f"/jobs/{'0' * 32}").status == 404
    assert api("HEAD", f"/jobs/{job_id}/cancel").status == 405


@pytest.mark.parametrize("job_id", ["0" * 32, "0" * 31, "A" * 32, "%00", "a%2Fb", "..%2f..", "é".encode().hex(), "%ff"])
def test_an_unknown_id_is_404(api: HttpClient, job_id: str) -> None:
    for method, rest in (("GET", ""), ("GET", "/words"), ("POST", "/cancel"), ("DELETE", "")):
        got = api(method, f"/jobs/{job_id}{rest}")
        assert (got.status, got.problem) == (404, "not-found"), (method, rest)


def test_another_owners_job_is_404_and_its_erased_one_too(api: HttpClient) -> None:
    store = jobs.table()
    theirs, _ = jobs.submit(jobs.Request(jobs_submission("theirs"), "somebody-else"))
    for method, rest in (("GET", ""), ("GET", "/words"), ("POST", "/cancel"), ("DELETE", "")):
        assert api(method, f"/jobs/{theirs.id}{rest}").status == 404
    assert store.get(theirs.id) is not None
    jobs.erase(theirs.id, "somebody-else")
    assert api("GET", f"/jobs/{theirs.id}").status == 404


def jobs_submission(text: str) -> Any:
    from chalicelib.submissions import Submission

    return Submission("text", document=text)


def test_an_expired_job_is_410_although_the_item_is_still_there(api: HttpClient) -> None:
    job_id = ended(api)
    store = jobs.table()
    store._call(
        "update_item",
        Key={"pk": {"S": f"job#{job_id}"}, "sk": {"S": "job"}},
        UpdateExpression="SET expires_at = :then",
        ExpressionAttributeValues={":then": {"N": str(int(time.time()) - 10)}},
    )
    for method, rest in (("GET", ""), ("GET", "/words"), ("POST", "/cancel"), ("DELETE", "")):
        got = api(method, f"/jobs/{job_id}{rest}")
        assert (got.status, got.problem) == (410, "gone"), (method, rest)
    assert job_id not in [job["id"] for job in api("GET", "/jobs?limit=100").json()["jobs"]]


# --- cancel and erase ---


def test_cancel_ends_a_job_once(api: HttpClient) -> None:
    job_id = submit(api).json()["id"]
    got = api("POST", f"/jobs/{job_id}/cancel")
    assert (got.status, got.json()["state"]) == (200, "canceled")
    again = api("POST", f"/jobs/{job_id}/cancel")
    assert (again.status, again.problem) == (409, "job-ended")
    words = api("GET", f"/jobs/{job_id}/words")
    assert (words.status, words.problem) == (409, "job-canceled")


def test_a_job_that_is_canceled_while_it_is_counted_stays_canceled(api: HttpClient) -> None:
    job_id = submit(api).json()["id"]
    claimed = jobs.table().claim(job_id, "w", lease_ms=60_000, max_attempts=3)
    assert claimed is not None
    assert api("GET", f"/jobs/{job_id}").json()["state"] == "running"
    assert api("DELETE", f"/jobs/{job_id}").problem == "job-running"
    assert api("POST", f"/jobs/{job_id}/cancel").status == 200
    assert not jobs.table().finish(claimed, {}, page={}, totals={}, top=[])
    assert api("GET", f"/jobs/{job_id}").json()["state"] == "canceled"


def test_an_erased_job_is_gone_with_its_words(api: HttpClient) -> None:
    job_id = ended(api)
    got = api("DELETE", f"/jobs/{job_id}")
    assert (got.status, got.body) == (204, b"")
    for method, rest in (("GET", ""), ("GET", "/words"), ("POST", "/cancel"), ("DELETE", "")):
        assert api(method, f"/jobs/{job_id}{rest}").problem == "gone"
    store = jobs.table()
    left = store._call(
        "query",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"job#{job_id}"}},
    )
    assert [item["sk"]["S"] for item in left["Items"]] == ["job"]


# --- GET /jobs ---


def test_the_list_neither_skips_nor_repeats_while_jobs_arrive(api: HttpClient) -> None:
    mine = [submit(api, text=f"listed {n}").json()["id"] for n in range(7)]
    seen: list[str] = []
    target = "/jobs?limit=3"
    for _ in range(50):
        got = api("GET", target)
        seen += [job["id"] for job in got.json()["jobs"]]
        submit(api, text="late")
        if set(mine) <= set(seen) or got.json()["next"] is None:
            break
        target = got.json()["next"].removeprefix(api.prefix)
        assert got.headers["link"] == f'<{got.json()["next"]}>; rel="next"'
    assert [job_id for job_id in seen if job_id in mine] == mine[::-1]
    assert len(seen) == len(set(seen))


def test_the_list_can_be_of_one_state(api: HttpClient) -> None:
    job_id = submit(api).json()["id"]
    api("POST", f"/jobs/{job_id}/cancel")
    found = api("GET", "/jobs?state=canceled&limit=5").json()["jobs"]
    assert found[0]["id"] == job_id
    assert {job["state"] for job in found} == {"canceled"}


def test_a_list_of_one_state_reads_a_bounded_number_of_records_and_goes_on(
    dynalite_table: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forks.clear()
    store, read = jobs.table(), []
    new = [a_job(id=f"{n:032x}", owner="o", submitted_at=n, expires_at=2**40) for n in range(450)]
    store.submit_many([(job, ()) for job in new])
    store.cancel(new[0].id, "o")
    many = records.Records.get_many
    monkeypatch.setattr(records.Records, "get_many", lambda self, ids: read.extend(ids) or many(self, ids))
    found, after = jobs.owned("o", limit=1, state="canceled")
    assert (found, len(read)) == ([], jobs.OWNED_READ)
    while after is not None:
        more, after = jobs.owned("o", limit=1, after=after, state="canceled")
        found += more
    assert [job.id for job in found] == [new[0].id]
    assert len(read) == len(set(read)) == 450
    some, after = jobs.owned("o", limit=3, state="queued")
    rest, _ = jobs.owned("o", limit=3, state="queued", after=after)
    assert [job.submitted_at for job in some + rest] == [449, 448, 447, 446, 445, 444]


@pytest.mark.parametrize(
    "target",
    [
        *("/jobs?limit=0", "/jobs?limit=101", "/jobs?limit=x", "/jobs?limit=", "/jobs?limit=1e1", "/jobs?state=done"),
        *("/jobs?cursor=xyz", "/jobs?cursor=", f"/jobs?cursor={'0' * 43}x", "/jobs?limit=1&limit=2", "/jobs?page=2"),
        "/jobs?cursor=" + "0" * 44 + "%0A",
        "/health?x=1",
        "/openapi.json?x=1",
    ],
)
def test_a_bad_parameter_is_400_and_named(api: HttpClient, target: str) -> None:
    got = api("GET", target)
    assert (got.status, got.problem) == (400, "invalid-parameter")
    assert got.json()["errors"][0]["parameter"] == target.partition("?")[2].partition("=")[0]


# --- GET /jobs/{id}/words ---


def test_words_come_most_frequent_first_and_ties_by_word(api: HttpClient) -> None:
    got = api("GET", f"/jobs/{ended(api)}/words?stop_words=include").json()
    assert [(row["word"], row["count"]) for row in got["words"]][:3] == [("the", 4), ("Cat", 2), ("and", 2)]
    assert got["words"][0] == {"word": "the", "count": 4, "share": round(4 / 13, 8), "stop_word": True}
    assert (got["total"], got["offset"], got["next"]) == (8, 0, None)


def test_words_are_filtered_folded_and_paged(api: HttpClient) -> None:
    job_id = ended(api)

    def words(query: str) -> list[tuple[str, int]]:
        found = api("GET", f"/jobs/{job_id}/words?{query}").json()
        return [(row["word"], row["count"]) for row in found["words"]]

    assert ("the", 4) not in words("")
    assert words("min_count=2") == words("case=fold&min_count=2") == [("Cat", 2)]
    assert words("prefix=ca") == words("prefix=CA") == [("Cat", 2)]
    assert words("case=keep&prefix=Ca") == [("Cat", 1)]
    assert words("offset=1000") == []
    assert words("limit=1&offset=1&stop_words=include") == [("Cat", 2)]
    assert words("stop_add=CAT,%20hat&prefix=ca") == []
    assert ("the", 4) in words("stop_remove=The")
    assert {len(word) for word, _ in words("min_length=3&stop_words=include")} == {3}
    assert words("min_length=4&stop_words=include") == []


def test_following_next_gives_every_word_once(api: HttpClient) -> None:
    text = " ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(60))
    target: str | None = f"/jobs/{ended(api, text=text)}/words?limit=25"
    seen: list[str] = []
    while target:
        got = api("GET", target)
        seen += [row["word"] for row in got.json()["words"]]
        link = got.json()["next"]
        assert (link is None) == ("link" not in got.headers)
        target = link and link.removeprefix(api.prefix)
    assert sorted(seen) == sorted(text.split())


def test_csv_is_rfc_4180_with_formulas_guarded(api: HttpClient) -> None:
    job_id = ended(api, text="the Cat and the =1a", words="nltk")  # by Unicode's rules no word begins so
    got = api("GET", f"/jobs/{job_id}/words?stop_words=include", {"Accept": "text/csv"})
    assert got.headers["content-type"].startswith("text/csv; charset=utf-8")
    assert got.body.count(b"\r\n") == got.body.count(b"\n") == 5
    rows = list(csv.reader(io.StringIO(got.body.decode())))
    assert rows[0] == ["word", "count", "share", "stop_word"]
    assert rows[1][:2] == ["the", "2"]
    assert "'=1a" in [row[0] for row in rows]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/json", "application/json"),
        ("text/csv;q=0.5, application/json;q=0.4", "text/csv"),
        ("text/*", "text/csv"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/json;q=0, */*", "text/csv"),
        ("", "application/json"),
    ],
)
def test_the_client_says_which_form_it_likes(api: HttpClient, accept: str, content_type: str) -> None:
    got = api("GET", f"/jobs/{ended(api)}/words", {"Accept": accept})
    assert got.headers["content-type"].partition(";")[0] == content_type


def test_what_is_not_offered_is_406(api: HttpClient) -> None:
    for method, target in (("GET", f"/jobs/{'0' * 32}/words"), ("GET", "/jobs"), ("POST", "/jobs"), ("GET", "/health")):
        got = api(method, target, JSON | {"Accept": "image/png"}, b'{"text":"a"}' if method == "POST" else b"")
        assert (got.status, got.problem) == (406, "not-acceptable")


def test_words_of_a_running_job_are_202_and_of_a_failed_one_409(api: HttpClient) -> None:
    job_id = submit(api).json()["id"]
    got = api("GET", f"/jobs/{job_id}/words")
    assert (got.status, got.headers["retry-after"], got.json()["state"]) == (202, "1", "queued")
    claimed = jobs.table().claim(job_id, "w", lease_ms=60_000, max_attempts=3)
    assert claimed is not None
    error = {"type": "http-status", "title": "No page", "detail": "The server said 404.", "status": 404}
    assert jobs.table().fail(claimed, error)
    got = api("GET", f"/jobs/{job_id}/words")
    assert (got.status, got.problem, got.json()["error"]) == (409, "http-status", error)
    assert api("GET", f"/jobs/{job_id}").json()["error"] == error


def test_words_have_an_entity_tag_for_each_form(api: HttpClient) -> None:
    target = f"/jobs/{ended(api)}/words"
    first = api("GET", target)
    table = api("GET", target, {"Accept": "text/csv"})
    assert first.headers["etag"] != table.headers["etag"]
    assert "accept" in first.headers["vary"].lower()
    assert first.headers["cache-control"] == "private, no-cache"
    assert api("GET", target, {"If-None-Match": f'"x", {first.headers["etag"]}'}).status == 304
    assert api("GET", target, {"If-None-Match": table.headers["etag"]}).status == 200


def test_a_large_answer_is_compressed_for_who_takes_it(api: HttpClient) -> None:
    text = " ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(600))
    target = f"/jobs/{ended(api, text=text)}/words?limit=1000"
    plain = api("GET", target)
    packed = api("GET", target, {"Accept-Encoding": "gzip, deflate"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert "accept-encoding" in packed.headers["vary"].lower()
    assert "content-encoding" not in api("GET", target, {"Accept-Encoding": "gzip;q=0"}).headers


def test_what_may_be_kept_says_that_compression_changes_it(api: HttpClient) -> None:
    job_id = ended(api, url="http://127.0.0.1:1/" + "a" * 5000)
    for target in ("/openapi.json", f"/jobs/{job_id}"):
        packed = api("GET", target, {"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert "Accept-Encoding" in packed.headers["vary"]
        assert "Accept-Encoding" in api("GET", target).headers["vary"]
    etag = packed.headers["etag"]  # one for different bytes, so a weak one
    assert etag.startswith("W/")
    assert api("GET", target, {"If-None-Match": etag}).headers["vary"] == packed.headers["vary"]


def test_a_page_of_words_stays_under_five_megabytes_and_goes_on(api: HttpClient) -> None:
    words = [f"{n:04}" + "w" * 9_000 for n in range(600)]
    job_id = ended(api, text="a")
    replace_words(job_id, words)
    for accept, total in (("application/json", 600), ("text/csv", 600)):
        target: str | None = f"/jobs/{job_id}/words?limit=10000"
        seen = 0
        while target:
            got = api("GET", target, {"Accept": accept})
            assert got.status == 200
            assert len(got.body) < 5_000_000
            seen += got.body.count(b"w" * 9_000)
            link = got.headers.get("link")
            target = link and link.partition(">")[0][1:].removeprefix(api.prefix)
        assert seen == total


def replace_words(job_id: str, found: list[str]) -> None:
    """Give a job that has ended other words, each once."""
    from chalicelib.analysis import words

    store = jobs.table()
    job = store.get(job_id)
    assert job is not None
    pieces = words.pack(words.table(dict.fromkeys(found, 1)))
    for number, piece in enumerate(pieces):
        store._put_piece(job_id, f"words#{job.claim}", number, {"data": piece}, job.expires_at)
    store._call(
        "update_item",
        Key={"pk": {"S": f"job#{job_id}"}, "sk": {"S": "job"}},
        UpdateExpression="SET artifacts = :n",
        ExpressionAttributeValues={":n": {"S": json.dumps({"words": {"claim": job.claim, "pieces": len(pieces)}})}},
    )


# --- what every answer has ---


def test_every_answer_has_the_security_headers_and_an_id(api: HttpClient) -> None:
    for method, target in (("GET", "/health"), ("GET", "/jobs"), ("GET", "/jobs?x=1"), ("PUT", "/jobs"), ("GET", "/")):
        got = api(method, target)
        assert got.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in got.headers["content-security-policy"]
        assert got.headers["x-request-id"]
        assert "access-control-allow-origin" not in got.headers


def test_a_method_that_is_not_served_is_405_with_those_that_are(api: HttpClient) -> None:
    got = api("PATCH", f"/jobs/{'0' * 32}")
    assert (got.status, got.problem) == (405, "method-not-allowed")
    assert {part.strip() for part in got.headers["allow"].split(",")} == {"GET", "HEAD", "DELETE", "OPTIONS"}
    assert api("DELETE", "/jobs").status == 405
    assert api("POST", "/health").status == 405


def test_options_says_what_is_served(api: HttpClient) -> None:
    got = api("OPTIONS", "/jobs")
    assert (got.status, got.body) == (204, b"")
    assert set(got.headers["allow"].split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}


def test_health_says_what_was_checked(api: HttpClient) -> None:
    got = api("GET", "/health")
    assert (got.status, got.json()) == (200, {"status": "ok", "checks": {"records": "ok", "queue": "ok"}})


def test_the_document_is_valid_and_names_its_server(api: HttpClient) -> None:
    from openapi_spec_validator import validate

    document = api("GET", "/openapi.json").json()
    validate(document)
    assert document["servers"] == [{"url": api.prefix or "/"}]
    assert ("securitySchemes" in document["components"]) == (api.name == "lambda")


def test_redis_away_means_polling_and_acceptance(
    api: HttpClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    if api.name == "lambda":
        pytest.skip("that process keeps its settings")
    job_id = submit(api).json()["id"]
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert submit(api).status == 202
    with soon(job_id) as finished:
        got = api("GET", f"/jobs/{job_id}", {"Prefer": "wait=10"})
        late = time.monotonic() - finished.get("at", time.monotonic())
    assert got.json()["state"] == "succeeded"
    assert late < 2


def test_the_states_of_the_schema_are_those_of_the_records() -> None:
    from typing import get_args

    from chalicelib.http import responses, schemas
    from chalicelib.store import job

    assert set(get_args(schemas.State)) == set(job.STATES)
    assert schemas.ENDED == records.TERMINAL
    assert queue._ENTRY.pattern.startswith(b"(%s)-" % responses.JOB_ID.pattern.encode())
