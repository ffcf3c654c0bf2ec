"""What leaves: events of ended jobs, judged by the CloudEvents SDK, and the backlog's metrics."""

import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event

from chalicelib.aws import metrics
from chalicelib.events import publisher
from chalicelib.store.job import item_of
from chalicelib.store.records import Job

DONE = Job(
    id="0123456789abcdef0123456789abcdef",
    owner="o",
    kind="url",
    queue="bulk",
    request_hash="h",
    submitted_at=1_700_000_000_000,
    expires_at=1_800_000_000,
    url="https://a.de/",
    state="succeeded",
    version=3,
    attempt=1,
    started_at=1_700_000_001_000,
    finished_at=1_700_000_002_345,
    page={
        "url": "https://a.de/",
        "status": 200,
        "title": "T",
        "language": "de",
        "encoding": "utf-8",
        "bytes": 5,
        "sha256": "x",
    },
    totals={"words": 2, "distinct": 1, "stop_words": 0, "stop_list": True},
    top=[{"word": "Wörter", "count": 2}],
    request_id="r-1",
)
ERROR = {"type": "timeout", "title": "The page took too long", "detail": "20 s"}


def changed(**fields: Any) -> Job:
    return Job(**{name: getattr(DONE, name) for name in Job.__struct_fields__} | fields)


ENDED = [
    DONE,
    changed(state="failed", page=None, totals=None, top=None, error=ERROR),
    changed(state="canceled", top=None),
]


def judged(event: dict[str, Any]) -> Any:
    """The event as the CloudEvents SDK reads it, strictly."""
    body = json.dumps(event).encode()
    return from_structured_event(HTTPMessage({"content-type": "application/cloudevents+json"}, body))


@pytest.mark.parametrize("job", ENDED, ids=lambda job: job.state)
def test_an_ended_job_is_a_cloud_event(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_URL", "https://api.example/production/")
    event = judged(publisher.cloud_event(job))
    assert event.get_specversion() == "1.0"
    assert event.get_type() == f"wordcounts.job.{job.state}"
    assert event.get_id() == f"{job.id}:3"
    assert event.get_time().isoformat() == "2023-11-14T22:13:22.345000+00:00"
    data = event.get_data()
    assert data["link"] == f"https://api.example/production/jobs/{job.id}"
    assert data["request_id"] == "r-1"
    assert data["top"] == job.top
    assert data["error"] == job.error
    assert "owner" not in data


def test_an_event_stays_below_its_bound_whatever_the_record_holds() -> None:
    monster = "\U0001f600" * 30_000
    job = changed(
        top=[{"word": monster, "count": 1}] * 10,
        page={**(DONE.page or {}), "title": monster},
        error={**ERROR, "detail": monster},
        url="https://a.de/" + "%C3" * 30_000,
        options={"select": "x" * 1000},
    )
    event = publisher.cloud_event(job)
    assert len(json.dumps(event, ensure_ascii=False).encode()) <= publisher.EVENT_BYTES
    assert event["data"]["totals"] == DONE.totals
    judged(event)


class Bus:
    """EventBridge's client as far as it is used; ``refuse`` names ids that it does not take."""

    def __init__(self, refuse: set[str] = frozenset(), away: bool = False) -> None:  # type: ignore[assignment]
        self.calls: list[list[dict[str, str]]] = []
        self.refuse, self.away = refuse, away

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:
        self.calls.append(Entries)
        if self.away:
            raise EndpointConnectionError(endpoint_url="x")
        ids = [json.loads(entry["Detail"])["id"].split(":")[0] for entry in Entries]
        return {
            "Entries": [
                {"ErrorCode": "ThrottlingException"} if name in self.refuse else {"EventId": "1"} for name in ids
            ]
        }


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Bus:
    made = Bus()
    monkeypatch.setattr(publisher, "client", lambda _service, _seconds: made)
    monkeypatch.setenv("EVENT_BUS", "wordcounts-test")
    return made


def streamed(number: int, job: Job, **image: Any) -> dict[str, Any]:
    item = {"pk": {"S": f"job#{job.id}"}, "sk": {"S": "job"}, **item_of(job), **image}
    return {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": str(number), "NewImage": item}}


def several(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [streamed(number, changed(id=f"{number:032x}", **fields)) for number in range(count)]


def test_ended_jobs_leave_in_batches_of_ten(bus: Bus) -> None:
    assert publisher.publish_events(several(25)) == {"batchItemFailures": []}
    assert [len(call) for call in bus.calls] == [10, 10, 5]
    entry = bus.calls[0][0]
    assert (entry["EventBusName"], entry["DetailType"], entry["Source"]) == (
        "wordcounts-test",
        "wordcounts.job.succeeded",
        "wordcounts",
    )
    judged(json.loads(entry["Detail"]))


def test_large_events_leave_in_smaller_batches(bus: Bus) -> None:
    top = [{"word": "\U0001f600" * 500, "count": 1}] * 10
    publisher.publish_events(
        several(20, top=top, url="https://a.de/" + "x" * 8000, page={**(DONE.page or {}), "title": "t" * 90_000})
    )
    assert all(sum(len(entry["Detail"].encode()) for entry in call) < 256_000 for call in bus.calls)
    assert sum(map(len, bus.calls)) == 20


def test_what_is_no_ended_job_stays(bus: Bus) -> None:
    others = [
        streamed(1, changed(state="running", finished_at=None)),
        streamed(2, DONE, sk={"S": "words#x#0000"}),
        {"eventName": "REMOVE", "dynamodb": {"SequenceNumber": "3", "Keys": {}}},
        {
            "dynamodb": {
                "SequenceNumber": "4",
                "NewImage": {"pk": {"S": "job#1"}, "sk": {"S": "job"}, "owner": {"S": "o"}},
            }
        },
    ]
    assert publisher.publish_events(others) == {"batchItemFailures": []}
    assert bus.calls == []


def test_only_what_the_bus_refused_is_delivered_again(bus: Bus) -> None:
    bus.refuse = {f"{number:032x}" for number in (3, 17)}
    assert publisher.publish_events(several(20)) == {
        "batchItemFailures": [{"itemIdentifier": "3"}, {"itemIdentifier": "17"}]
    }


@pytest.mark.parametrize("image", [{"owner": {"N": "x"}}, {"page": {"S": "{"}}, {"pk": {}}, {"top": {"S": "1"}}])
def test_a_record_that_cannot_be_read_fails_alone(bus: Bus, image: dict[str, Any]) -> None:
    stream = several(12)
    stream[5]["dynamodb"]["NewImage"] |= image
    del stream[7]["dynamodb"]["NewImage"]["submitted_at"]
    assert publisher.publish_events(stream) == {"batchItemFailures": [{"itemIdentifier": "5"}, {"itemIdentifier": "7"}]}
    assert sum(map(len, bus.calls)) == 10


def test_a_bus_that_is_away_refuses_all(bus: Bus) -> None:
    bus.away = True
    assert len(publisher.publish_events(several(20))["batchItemFailures"]) == 20


def test_the_backlog_leaves_as_embedded_metrics_one_for_each_queue(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "wordcounts-test")
    metrics.emit_backlog({"interactive": (0, 0.0, 2), "bulk": (20_000, 61.5, None)})
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["queue"], line["Backlog"], line["OldestDueSeconds"]) for line in found] == [
        ("interactive", [0.0], [0.0]),
        ("bulk", [20_000.0], [61.5]),
    ]
    [told] = found[1]["_aws"]["CloudWatchMetrics"]
    assert told["Namespace"] == "Wordcounts"
    assert sorted(told["Dimensions"][0]) == ["queue", "service"]
    assert found[1]["service"] == "wordcounts-test"


def test_what_was_submitted_and_swept_leaves_as_embedded_metrics(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "wordcounts-test")
    metrics.emit_submitted("interactive", 0)  # a replay is no submission
    metrics.emit_submitted("bulk", 3)
    metrics.emit_swept(2, 1)
    submitted, swept = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (submitted["queue"], submitted["Submitted"]) == ("bulk", [3.0])
    assert (swept["Requeued"], swept["GivenUp"]) == ([2.0], [1.0])
    assert swept["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
