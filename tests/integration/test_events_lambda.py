"""The event handlers under Lambda's real runtime client, and the way out from the table's stream to the bus."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event

from chalicelib import jobs, queue, submissions
from chalicelib.store import records
from chalicelib.store.records import Packed
from chalicelib.store.table import TABLE
from tests.lambda_runtime import Function, FunctionError

REGION = "us-east-1"


@pytest.fixture
def aws(moto_server: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A table with its stream, a bucket with versions and a bus on moto; yields a function's environment."""
    name = f"wordcounts-{uuid.uuid4().hex[:8]}"
    services = ("DYNAMODB", "DYNAMODB_STREAMS", "S3", "SQS", "EVENTBRIDGE")
    environment = {f"AWS_ENDPOINT_URL_{service}": moto_server for service in services}
    environment |= {"TABLE_NAME": name, "EVENT_BUS": name, "REDIS_URL": redis_url, "AWS_REGION": REGION}
    environment |= {"AWS_DEFAULT_REGION": REGION, "API_URL": "https://api.example/staging"}
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    dynamodb = boto3.client("dynamodb")
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    dynamodb.create_table(TableName=name, **TABLE, StreamSpecification=stream)
    boto3.client("s3").create_bucket(Bucket=name)
    boto3.client("events").create_event_bus(Name=name)
    yield {**environment, "AUTH": "token"}  # a function refuses to start without
    dynamodb.delete_table(TableName=name)
    boto3.client("events").delete_event_bus(Name=name)


def event_of(kind: str, detail: object, name: str = "e1") -> dict[str, Any]:
    """EventBridge's envelope."""
    about = {"version": "0", "account": "1", "region": REGION, "resources": [], "time": "2026-01-01T00:00:00Z"}
    return {**about, "id": name, "source": "test", "detail-type": kind, "detail": detail}


def test_messages_come_in(aws: dict[str, str]) -> None:
    bodies = ['{"text": "one"}', "{poison", '{"url": "https://a.de/"}', "{}"]
    event = {
        "Records": [{"messageId": f"m{at}", "body": body, "eventSource": "aws:sqs"} for at, body in enumerate(bodies)]
    }
    with Function("app.sqs", env=aws) as function:
        for _ in range(2):
            answer = function.invoke(event)
            assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m3"}]}
        log = function.log()
    assert queue.depth("bulk") == 2
    job = jobs.table().get(records.key_id("events", "m2"))
    assert job is not None
    assert job.request_id  # of the invocation: it travels into logs and events
    assert '"message_id":"m1"' in log
    assert '"type":"invalid-json"' in log


def test_a_request_comes_in_from_the_bus_and_belongs_to_the_owner_of_events(aws: dict[str, str]) -> None:
    event = event_of("Word Count Requested", {"text": "hello"})
    with Function("app.requested", env={**aws, "EVENT_OWNER": "the-shop"}) as function:
        made = function.invoke(event)
        assert function.invoke(event) == made
        with pytest.raises(FunctionError, match="must have exactly one of url"):
            function.invoke({**event, "id": "e2", "detail": {}})
    job = jobs.table().get(made["job_id"])
    assert job is not None
    assert (job.owner, job.queue) == ("the-shop", "bulk")


def test_a_list_comes_in_from_the_bucket(aws: dict[str, str]) -> None:
    s3, bucket = boto3.client("s3"), aws["TABLE_NAME"]
    etag = s3.put_object(Bucket=bucket, Key="in/x.urls", Body=b"a.de\nb.de\nnot one\n")["ETag"].strip('"')
    there = {"bucket": {"name": bucket}, "object": {"key": "in/x.urls", "etag": etag}}
    with Function("app.s3", env=aws) as function:
        assert function.invoke(event_of("Object Created", there)) == {"jobs": 2, "refused": 1}
    body = s3.get_object(Bucket=bucket, Key="reports/in/x.urls.report.jsonl")["Body"].read()
    lines = [json.loads(line) for line in body.splitlines()]
    assert [line["line"] for line in lines] == [1, 2, 3]
    assert "error" in lines[2]


def test_the_event_that_a_bucket_sends_passes_the_rule_and_is_understood(aws: dict[str, str]) -> None:
    s3, bucket = boto3.client("s3"), aws["TABLE_NAME"]
    inbox = subscribed("default", bucket, the_rule_of("s3"))
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    for key in ("in/a b+ü.urls", "reports/in/x.urls"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"a.de\n")
    [event] = received(inbox)
    with Function("app.s3", env=aws) as function:
        assert function.invoke(event) == {"jobs": 1, "refused": 0}
    boto3.client("events").remove_targets(Rule=bucket, Ids=["1"])
    boto3.client("events").delete_rule(Name=bucket)
    assert s3.get_object(Bucket=bucket, Key="reports/in/a b+ü.urls.report.jsonl")


def the_rule_of(function: str) -> dict[str, Any]:
    """The pattern that the handler is registered with."""
    import app

    [found] = [one for one in app.app.event_sources if getattr(one, "name", "") == function]
    pattern: dict[str, Any] = found.event_pattern
    return pattern


def test_a_list_that_outlasts_its_function_is_handed_on(aws: dict[str, str]) -> None:
    s3, bucket = boto3.client("s3"), aws["TABLE_NAME"]
    body = (json.dumps({"text": "word " * 205_000}) + "\n") * 6  # four of them are a batch
    etag = s3.put_object(Bucket=bucket, Key="x.jsonl", Body=body.encode())["ETag"].strip('"')
    there = {"bucket": {"name": bucket}, "object": {"key": "x.jsonl", "etag": etag}}
    with Function("app.s3", env=aws) as function:
        assert function.invoke(event_of("Object Created", there), timeout=14.5) == {"jobs": 4, "refused": 0}
        note = {"key": "progress/x.jsonl.4.json", "etag": "n"}
        answer = function.invoke(event_of("Object Created", {**there, "object": note}), timeout=100)
        assert answer == {"jobs": 2, "refused": 0}
    assert queue.depth("bulk") == 6
    keys = {there["Key"] for there in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert keys > {"reports/x.jsonl.report.jsonl", "reports/x.jsonl.5.report.jsonl"}


def test_the_schedule_tells_the_backlog(aws: dict[str, str]) -> None:
    named = {"POWERTOOLS_SERVICE_NAME": "wordcounts-staging"}
    with Function("app.sweep", env={**aws, **named}) as function:
        assert function.invoke(event_of("Scheduled Event", {}))["complete"] is True
        lines = [json.loads(line) for line in function.log().splitlines() if '"Backlog"' in line]
    assert [(line["queue"], line["service"], line["Backlog"]) for line in lines] == [
        ("interactive", "wordcounts-staging", [0.0]),
        ("bulk", "wordcounts-staging", [0.0]),
    ]


# --- out ---


def test_every_ending_leaves_once_as_a_cloud_event(aws: dict[str, str]) -> None:
    bus = aws["EVENT_BUS"]
    inbox = subscribed(bus, bus, {"detail-type": [{"prefix": "wordcounts.job."}]})
    ended = ends_of_all_kinds()
    event = {"Records": stream_records(aws["TABLE_NAME"])}
    assert len(event["Records"]) == 4, "of all changes only what ended passes the stream's filter"
    with Function("app.ended", env=aws, memory=256) as function:
        assert function.invoke(event) == {"batchItemFailures": []}
        first = [one["detail"] for one in received(inbox)]
        assert function.invoke(event) == {"batchItemFailures": []}  # delivered again
        again = [one["detail"] for one in received(inbox)]
    assert sorted(event["id"] for event in first) == sorted(event["id"] for event in again)
    assert {event["id"].partition(":")[0]: event["type"].rpartition(".")[2] for event in first} == ended
    for found in first:
        judged: Any = from_structured_event(
            HTTPMessage({"content-type": "application/cloudevents+json"}, json.dumps(found).encode())
        )
        assert judged.get_data()["link"] == f"https://api.example/staging/jobs/{judged.get_subject()}"
        assert judged.get_data()["request_id"] == "r-7"


def test_a_bus_that_is_away_gets_its_events_later(aws: dict[str, str]) -> None:
    ends_of_all_kinds()
    event = {"Records": stream_records(aws["TABLE_NAME"])}
    with Function("app.ended", env={**aws, "AWS_ENDPOINT_URL_EVENTBRIDGE": "http://127.0.0.1:1"}) as function:
        failed = function.invoke(event)["batchItemFailures"]
    assert [one["itemIdentifier"] for one in failed] == [one["dynamodb"]["SequenceNumber"] for one in event["Records"]]


def ends_of_all_kinds() -> dict[str, str]:
    """Jobs that succeed, fail, are canceled, and succeed with much to tell; and one that does not end. State by id."""
    store, ended = jobs.table(), {}
    for state in ("succeeded", "failed", "canceled", "large", "queued"):
        submission = submissions.read({"url": f"https://a.de/{state}"})
        job, _ = jobs.submit(jobs.Request(submission, "anonymous", request_id="r-7"))
        if state == "queued":
            continue
        if state == "canceled":
            jobs.cancel(job.id, "anonymous")
            ended[job.id] = state
            continue
        claimed = store.claim(job.id, "w", lease_ms=60_000, max_attempts=3)
        assert claimed is not None
        if state == "failed":
            store.fail(claimed, {"type": "timeout", "title": "The page took too long", "detail": "20 s"})
            ended[job.id] = state
            continue
        word = "\U0001f600" * 500 if state == "large" else "cat"
        page = {
            "url": "https://a.de/",
            "status": 200,
            "title": None,
            "language": "en",
            "encoding": "utf-8",
            "bytes": 1,
            "sha256": "0",
        }
        totals = {"words": 1, "distinct": 1, "stop_words": 0, "stop_list": True}
        store.finish(
            claimed, {"words": Packed([b"x" * 1000])}, page=page, totals=totals, top=[{"word": word, "count": 1}] * 10
        )
        ended[job.id] = "succeeded"
    return ended


def stream_records(table: str) -> list[dict[str, Any]]:
    """What the event source would hand over: the stream's records that pass the template's filter."""
    streams = boto3.client("dynamodbstreams")
    arn = boto3.client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
    found = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        start = {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = streams.get_shard_iterator(StreamArn=arn, **start)["ShardIterator"]
        found += streams.get_records(ShardIterator=iterator, Limit=1000)["Records"]
    patterns = the_filter()
    return [
        json.loads(json.dumps(one, default=str)) for one in found if any(matches(one_of, one) for one_of in patterns)
    ]


def the_filter() -> list[dict[str, Any]]:
    from infra import build

    events = build.load("functions.yaml")["ended"]["Events"]["EndedDynamodbEventSource"]["Properties"]
    return [json.loads(one["Pattern"]) for one in events["FilterCriteria"]["Filters"]]


def matches(pattern: Any, value: Any) -> bool:
    """Whether a record passes an event filter, as far as ours goes."""
    if isinstance(pattern, list):
        return value in pattern
    return isinstance(value, dict) and all(
        name in value and matches(part, value[name]) for name, part in pattern.items()
    )


def subscribed(bus: str, name: str, pattern: dict[str, Any]) -> str:
    """The URL of an SQS queue that a rule of the bus feeds."""
    sqs, events = boto3.client("sqs"), boto3.client("events")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "1", "Arn": arn}])
    return str(url)


def received(url: str) -> list[dict[str, Any]]:
    """The events that came to the subscriber."""
    sqs, found = boto3.client("sqs"), []
    while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in got:
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found
