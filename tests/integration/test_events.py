"""One contract: the same submissions by HTTP, SQS, S3 and EventBridge end in the same jobs and errors."""

import contextlib
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from chalice.test import Client

from chalicelib import errors, jobs, pipeline, queue
from chalicelib.events import inbound
from chalicelib.store import records
from tests import websites
from tests.conftest import Table

PAGES: dict[str, tuple[int, str, bytes]] = {
    "/en": (200, "text/html; charset=utf-8", b"<main>The cat sat. The cat ran.</main><footer>About cats</footer>"),
    "/ru": (200, "text/html; charset=koi8-r", "<p>Кошка и кошка, собака".encode("koi8-r")),
    "/zh": (
        200,
        "text/html",
        '<meta charset="gb18030"><p lang="zh">我们喜欢阅读书籍。我们喜欢书籍。'.encode("gb18030"),
    ),
    "/ja": (200, "text/html", "<p>猫が好きです。猫と犬。".encode("utf-8-sig")),
    "/ar": (200, "text/plain; charset=utf-8", "القط والكلب والقط".encode()),
    "/none": (200, "text/html", b""),
    "/gone": (404, "text/html", b"<p>not here"),
    "/image": (200, "image/png", b"\x89PNG\r\n"),
}


class _Pages(websites.Site):
    def page(self, path: str) -> tuple[int, str, bytes]:
        return PAGES[path]


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with websites.serving(_Pages) as address:
        yield address


@pytest.fixture
def client(dynalite_table: Table, redis_url: str, moto_server: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Chalice's test client, on a fresh table, an empty Redis and moto's other services."""
    for service in ("S3", "SQS", "EVENTBRIDGE"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", moto_server)
    monkeypatch.setenv("FETCH_ALLOW_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("FETCH_HOST_RATE", "10000")
    import app

    return Client(app.app)


@pytest.fixture
def bucket(client: Client) -> Iterator[str]:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="docs")
    s3.put_bucket_versioning(Bucket="docs", VersioningConfiguration={"Status": "Enabled"})
    yield "docs"
    there = s3.list_object_versions(Bucket="docs")
    for version in there.get("Versions", []) + there.get("DeleteMarkers", []):
        s3.delete_object(Bucket="docs", Key=version["Key"], VersionId=version["VersionId"])
    s3.delete_bucket(Bucket="docs")


def submissions(site: str) -> list[dict[str, Any]]:
    """Good, bad, twice the same, huge, in foreign scripts."""
    return [
        *({"url": f"{site}{path}"} for path in PAGES),
        {"url": f"{site}/en", "select": "main"},
        {"url": f"{site}/en", "ignore": "footer", "language": "de"},
        {"url": f"{site}/en"},
        {"url": f"{site}/en", "select": "p[["},
        {"text": "It is what it is."},
        {"text": "ភាសាខ្មែរ ສະບາຍດີ สวัสดีชาวโลก"},
        {"text": ""},
        {"html": "<ul><li>Ένα<li>δύο<li>Ένα</ul>", "select": "li"},
        {"html": "<p>" + "word " * 209_000 + "</p>"},
        {"url": "https://example.com/" + "x" * 17_000},
        {"url": "https://a.de/" + "a" * 9000},
        {"url": "https://a.de/" + "a" * 20_000},
        {"url": "https://a.de/" + "ä" * 3000},  # 18 KB as JSON writes it to be safe, 6 KB as UTF-8
        {"url": "https://a.de/", "select": "猫" * 1000, "ignore": "犬" * 1000, "language": "x" * 5000},
        {"url": "ftp://a.de/"},
        {"url": "foo bar"},
        {"url": ""},
        {"url": 1},
        {"url": "a.de", "text": "b"},
        {},
        {"url": "a.de", "owner": "somebody"},
        {"text": "a", "select": "p"},
        {"url": "a.de", "language": "klingon!"},
        {"text": "a\0b"},
    ]


# --- the entry points: each takes submissions with keys, and tells of each the job's id or the error ---

Told = dict[str, Any]


def by_http(client: Client, asked: Sequence[dict[str, Any]], _: pytest.MonkeyPatch) -> list[Told]:
    told = []
    for number, fields in enumerate(asked):
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"http-{number}"}
        answer = client.http.post("/jobs", headers=headers, body=json.dumps(fields).encode())
        body = answer.json_body
        if answer.status_code == 202:
            told.append({"job_id": body["id"]})
        else:
            told.append({"error": {**body, "type": body["type"].rpartition(":")[2]}})
    return told


def by_sqs(client: Client, asked: Sequence[dict[str, Any]], patch: pytest.MonkeyPatch) -> list[Told]:
    reasons: dict[str, Any] = {}

    def hear(_: str, extra: dict[str, Any]) -> None:
        reasons[extra["message_id"]] = extra["reason"]

    patch.setattr(inbound.logger, "warning", hear)
    told = []
    for start in range(0, len(asked), 10):
        batch = {f"sqs-{start + at}": fields for at, fields in enumerate(asked[start : start + 10])}
        failed = deliver(client, {name: json.dumps(fields) for name, fields in batch.items()})
        for name in batch:
            told.append({"error": reasons[name]} if name in failed else {"job_id": records.key_id("anonymous", name)})
    return told


def deliver(client: Client, messages: dict[str, str]) -> list[str]:
    """Invoke the SQS handler with messages of their own ids; the ids that it gives back."""
    event = client.events.generate_sqs_event(list(messages.values()), queue_name="submissions")
    for record, name in zip(event["Records"], messages, strict=True):
        record["messageId"] = name
    answer = client.lambda_.invoke("sqs", event).payload
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def by_s3(client: Client, asked: Sequence[dict[str, Any]], _: pytest.MonkeyPatch) -> list[Told]:
    body = "".join(json.dumps(fields) + "\n" for fields in asked).encode()
    put(client, "in/all.jsonl", body)
    return report("in/all.jsonl")


def by_eventbridge(client: Client, asked: Sequence[dict[str, Any]], _: pytest.MonkeyPatch) -> list[Told]:
    told: list[Told] = []
    for number, fields in enumerate(asked):
        event = client.events.generate_cw_event("test", inbound.REQUESTED, fields, [])
        event["id"] = f"event-{number}"
        try:
            told.append(client.lambda_.invoke("requested", event).payload)
        except errors.InvalidSubmission as error:
            told.append({"error": inbound.problem(error)})
    return told


def created(client: Client, key: str, *, version: str = "", etag: str = "", bucket: str = "docs") -> dict[str, Any]:
    there = {"key": key, "size": 1, "etag": etag, **({"version-id": version} if version else {})}
    event: dict[str, Any] = client.events.generate_cw_event(
        "aws.s3", "Object Created", {"version": "0", "bucket": {"name": bucket}, "object": there}, []
    )
    return event


def put(client: Client, key: str, body: bytes, **more: str) -> Any:
    """Put an object and deliver its event; what the handler says."""
    made = boto3.client("s3").put_object(Bucket="docs", Key=key, Body=body, **more)
    return client.lambda_.invoke("s3", created(client, key, version=made["VersionId"])).payload


def report(key: str) -> list[Told]:
    body = boto3.client("s3").get_object(Bucket="docs", Key=f"reports/{key}.report.jsonl")["Body"].read()
    return [json.loads(line) for line in body.splitlines()]


def run_all() -> None:
    """What the workers do, here and now."""
    while True:
        due = [job_id for name in queue.QUEUES for job_id in waiting(name)]
        if not due:
            return
        for job_id in due:
            pipeline.count_page(job_id)


def waiting(name: str) -> list[str]:
    """Ids of the jobs on a queue, which is emptied."""
    found: list[tuple[str, str]] = []
    while (entry := queue.next_entry(name, "test", found[-1:], now=jobs.table().now(), was_idle=True)) is not None:
        job = queue.job_of(entry)
        assert job is not None
        found.append(job)
    queue.connection().delete(f"wordcounts:{name}:idle")
    return [job_id for job_id, _ in found]


@dataclass
class Ended:
    """What can be told of a submission in the end, whichever entry point it came by."""

    state: str
    about: list[Any] = field(default_factory=list)


def ended(told: Told) -> Ended:
    if "error" in told:
        error = told["error"]
        return Ended("refused", [error["type"], error.get("errors") or error["detail"]])
    job = jobs.table().get(told["job_id"])
    assert job is not None
    error = (job.error or {}).get("type"), (job.error or {}).get("detail")
    return Ended(job.state, [job.kind, job.url, job.options, job.owner, job.page, job.totals, job.top, *error])


def test_the_same_submissions_end_in_the_same_jobs_and_errors_by_every_door(
    client: Client, bucket: str, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = submissions(site)
    assert len(asked) >= 30
    entry_points: dict[str, Callable[..., list[Told]]] = {
        "http": by_http,
        "sqs": by_sqs,
        "s3": by_s3,
        "eventbridge": by_eventbridge,
    }
    told = {name: api(client, asked, monkeypatch) for name, api in entry_points.items()}
    queues = {
        jobs.table().get(one["job_id"]).queue: name for name in entry_points for one in told[name] if "job_id" in one
    }
    assert queues["interactive"] == "http"
    run_all()
    outcomes = {name: [ended(one) for one in told[name]] for name in entry_points}
    for at, fields in enumerate(asked):
        expected = outcomes["http"][at]
        for name in entry_points:
            assert outcomes[name][at] == expected, f"{name}: {str(fields)[:100]}"
    states = [outcome.state for outcome in outcomes["http"]]
    assert (states.count("succeeded"), states.count("failed"), states.count("refused")) == (14, 3, 15)
    assert {"word": "собака", "count": 1} in outcomes["s3"][1].about[6]
    ids = {one["job_id"] for name in entry_points for one in told[name] if "job_id" in one}
    assert len(ids) == 4 * 17  # the same page submitted twice is two jobs


# --- SQS ---


def owned() -> list[jobs.Job]:
    """Every job of the owner of what comes by events."""
    found, after = jobs.owned("anonymous", limit=100)
    while after:
        more, after = jobs.owned("anonymous", limit=100, after=after)
        found += more
    return found


def test_messages_delivered_again_and_in_another_order_make_no_second_job(client: Client) -> None:
    messages = {f"m{n}": json.dumps({"text": f"word {n}"}) for n in range(300)}
    assert deliver(client, messages) == []
    assert deliver(client, dict(reversed(messages.items()))) == []
    assert deliver(client, dict(list(messages.items())[5:9])) == []
    assert len(owned()) == 300
    assert queue.depth("bulk") == 300
    assert queue.depth("interactive") == 0


def test_a_message_twice_in_one_batch_makes_one_job(client: Client) -> None:
    event = client.events.generate_sqs_event([json.dumps({"url": "https://a.de/"})] * 5, queue_name="submissions")
    assert client.lambda_.invoke("sqs", event).payload == {"batchItemFailures": []}  # all with the same messageId
    assert len(owned()) == 1
    assert queue.depth("bulk") == 1


@pytest.mark.parametrize("position", range(10))
def test_a_poison_message_is_moved_to_the_dead_letters_and_blocks_nothing(client: Client, position: int) -> None:
    sqs = boto3.client("sqs")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "3"})
    url = sqs.create_queue(QueueName="live", Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "0"})["QueueUrl"]
    try:
        for number in range(10):
            body = "{poison" if number == position else json.dumps({"text": f"good {number}"})
            sqs.send_message(QueueUrl=url, MessageBody=body)
        for _ in range(5):  # what Lambda's event source does
            got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            if not got:
                break
            failed = deliver(client, {message["MessageId"]: message["Body"] for message in got})
            for message in got:
                if message["MessageId"] not in failed:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        given_up = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10).get("Messages", [])
        assert [message["Body"] for message in given_up] == ["{poison"]
        assert len(owned()) == 9
    finally:
        sqs.delete_queue(QueueUrl=url)
        sqs.delete_queue(QueueUrl=dead)


def test_with_dynamodb_away_all_goes_back_and_nothing_is_on_the_queue(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")
    messages = {f"m{n}": json.dumps({"text": "x"} if n % 2 else {"url": "a.de"}) for n in range(100)}
    assert deliver(client, messages) == list(messages)
    assert queue.depth("bulk") == 0


def test_with_redis_away_the_jobs_are_accepted_and_the_sweep_finds_them(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
        assert deliver(client, {"a": '{"text": "x"}'}) == []
        assert jobs.backlog()["bulk"][0] == 1
    [job] = owned()
    assert (job.state, queue.depth("bulk")) == ("queued", 0)


# --- S3 ---


def test_a_document_is_counted_from_its_bucket_by_its_version(client: Client, bucket: str) -> None:
    put(client, "a/Ünï #1+2%20.html", "<p>größe Größe".encode("iso-8859-1"), ContentType="text/html; charset=latin1")
    put(client, "b.txt", "größe größe".encode())
    boto3.client("s3").put_object(Bucket="docs", Key="b.txt", Body=b"replaced")
    run_all()
    found = {job.url: job for job in owned()}
    assert sorted(job.state for job in found.values()) == ["succeeded", "succeeded"]
    by_name = {url.partition("?")[0]: job for url, job in found.items() if url}
    assert by_name["s3://docs/a/%C3%9Cn%C3%AF%20%231%2B2%2520.html"].totals["words"] == 2
    assert by_name["s3://docs/b.txt"].top == [{"word": "größe", "count": 2}]


@pytest.mark.parametrize(
    ("stored", "told"), [("a b+c.txt", "a+b%2Bc.txt"), ("a+b%2Bc.txt", "a+b%2Bc.txt"), ("a b.txt", "a b.txt")]
)
def test_a_key_is_taken_as_it_is_and_decoded_where_that_is_meant(
    client: Client, bucket: str, stored: str, told: str
) -> None:
    made = boto3.client("s3").put_object(Bucket="docs", Key=stored, Body=b"some words")
    client.lambda_.invoke("s3", created(client, told, version=made["VersionId"]))
    run_all()
    [job] = owned()
    assert job.state == "succeeded"


def test_a_bucket_without_versions_goes_by_the_etag(client: Client) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="plain")
    try:
        for body in (b"a.de\nb.de\n", b"c.de\n"):
            made = s3.put_object(Bucket="plain", Key="x.urls", Body=body)
            for etag in (made["ETag"], made["ETag"].strip('"')):
                client.lambda_.invoke("s3", created(client, "x.urls", etag=etag, bucket="plain"))
        assert len(owned()) == 3
    finally:
        for there in s3.list_objects_v2(Bucket="plain").get("Contents", []):
            s3.delete_object(Bucket="plain", Key=there["Key"])
        s3.delete_bucket(Bucket="plain")


def test_a_document_over_the_limit_fails_with_a_reason(
    client: Client, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FETCH_MAX_BYTES", "1000")
    put(client, "big.txt", b"w " * 501)
    put(client, "fits.txt", b"w " * 500)
    put(client, "packed.txt", b"\x1f\x8b", ContentEncoding="gzip")
    run_all()
    ended = {job.url.partition("?")[0][10:]: (job.error or {}).get("type") for job in owned() if job.url}
    assert ended == {"big.txt": "too-large", "fits.txt": None, "packed.txt": "not-text"}


def test_a_document_that_was_deleted_before_it_was_read_fails_with_a_reason(client: Client, bucket: str) -> None:
    s3 = boto3.client("s3")
    made = s3.put_object(Bucket="docs", Key="a.txt", Body=b"x")
    client.lambda_.invoke("s3", created(client, "a.txt", version=made["VersionId"]))
    s3.delete_object(Bucket="docs", Key="a.txt", VersionId=made["VersionId"])
    run_all()
    [job] = owned()
    assert (job.state, job.error["type"]) == ("failed", "http-status")
    event = created(client, "never.urls", version=made["VersionId"])
    assert client.lambda_.invoke("s3", event).payload == {}


def test_a_list_over_many_ranges_is_read_to_its_last_line(client: Client, bucket: str) -> None:
    line = json.dumps({"text": "word " * 3000}).encode() + b"\n"
    count = 2 * 1_048_576 // len(line) + 7
    put(client, "x.jsonl", line * count)
    assert [told["line"] for told in report("x.jsonl")] == list(range(1, count + 1))


@pytest.mark.parametrize("packed", [False, True])
def test_a_list_has_its_results_when_its_jobs_have_ended(
    client: Client, bucket: str, site: str, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    monkeypatch.setenv("DOCUMENTS_BUCKET", bucket)
    data = f"url;language\r\n{site}/en;en\r\nfoo bar;\r\n".encode()
    key = "in/my list.csv" + ".gz" * packed
    assert put(client, key, gzip.compress(data) if packed else data) == {"jobs": 1, "refused": 1}
    # The test client's functions have little time: another call finds that nothing is left.
    assert client.lambda_.invoke("s3", created(client, f"progress/{key}.3.json")).payload == {"jobs": 0, "refused": 0}
    schedule = client.events.generate_cw_event("aws.events", "Scheduled Event", {}, [])
    client.lambda_.invoke("sweep", schedule)
    assert "results" not in str(boto3.client("s3").list_objects_v2(Bucket=bucket))
    run_all()
    client.lambda_.invoke("sweep", schedule)
    there = boto3.client("s3").get_object(Bucket=bucket, Key=f"reports/{key}.results.csv")
    table = list(csv.DictReader(io.StringIO(there["Body"].read().decode("utf-8-sig"), newline="")))
    assert [(row["line"], row["state"]) for row in table] == [("2", "succeeded"), ("3", "refused")]
    assert table[0]["address"] == f"{site}/en"
    assert int(table[0]["words"]) > 0
    assert ".open" not in str(boto3.client("s3").list_objects_v2(Bucket=bucket))


def test_what_is_stored_as_gzip_is_read_as_what_it_is(client: Client, bucket: str) -> None:
    put(client, "a.html", gzip.compress(b"<p>one two three"), ContentEncoding="gzip")
    put(client, "b.md.gz", gzip.compress(b"# one two three"))
    put(client, "c.txt", b"one", ContentEncoding="br")
    run_all()
    assert sorted((job.state, (job.totals or {}).get("words")) for job in owned()) == [
        ("failed", None),
        *[("succeeded", 3)] * 2,
    ]


# --- the schedule ---


def test_the_schedule_sweeps_and_tells_how_much_waits(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(client, {f"m{n}": json.dumps({"text": str(n)}) for n in range(20)})
    queue.connection().flushall()  # Redis forgets everything
    with contextlib.ExitStack() as later:
        now = jobs.table().clock.now
        later.callback(setattr, jobs.table().clock, "now", now)
        jobs.table().clock.now = lambda: now() + 60_000  # type: ignore[method-assign]
        capsys.readouterr()
        answer = client.lambda_.invoke(
            "sweep", client.events.generate_cw_event("aws.events", "Scheduled Event", {}, [])
        )
        assert answer.payload == {"requeued": 20, "failed": 0, "complete": True}
    swept, *lines = (json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line)
    assert (swept["Requeued"], swept["GivenUp"]) == ([20.0], [0.0])
    assert {line["queue"]: line["Backlog"] for line in lines} == {"interactive": [0.0], "bulk": [20.0]}
    assert queue.depth("bulk") == 20
