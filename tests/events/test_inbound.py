"""Event handlers without their servers: what becomes of a message, an event, an object; ``submit`` remembers."""

import base64
import gzip
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chalicelib import errors
from chalicelib.aws import objects
from chalicelib.errors import Gone, KeyReused, Unavailable
from chalicelib.events import inbound
from chalicelib.events.inbound import Entry
from chalicelib.store import records
from chalicelib.store.records import Job
from tests.factories import a_job


class Submitted:
    """A ``submit`` that keeps what it got; ``answers`` are errors by key."""

    def __init__(self, **answers: Exception) -> None:
        self.entries: list[Entry] = []
        self.calls: list[int] = []
        self.answers = answers

    def __call__(self, entries: Sequence[Entry]) -> list[Job | Exception]:
        self.calls.append(len(entries))
        self.entries += entries
        return [self.answers.get(entry.key) or job(entry) for entry in entries]

    def __getitem__(self, key: str) -> Any:
        return next(entry.submission for entry in self.entries if entry.key == key)


def job(entry: Entry) -> Job:
    return a_job(id=records.key_id("o", entry.key), kind=entry.submission.kind, url=entry.submission.url)


def message(name: str, body: object) -> dict[str, Any]:
    return {"messageId": name, "body": body if isinstance(body, str) else json.dumps(body)}


def failures(answer: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def cloud_event(data: object, **more: object) -> dict[str, object]:
    return {"specversion": "1.0", "id": "1", "source": "/test", "type": "any", "data": data, **more}


POISON = [
    "nope",
    "",
    "[]",
    "null",
    '{"url": "a.de", "url": "b.de"}',
    '{"url": "ftp://a.de/"}',
    '{"url": "a.de", "owner": "me"}',
    '{"url": NaN}',
    '{"text": "\\ud800"}',
    "\ud800",
    json.dumps({"url": "https://a.de/" + "a" * 20_000}),
    json.dumps(cloud_event(None)),
    json.dumps(cloud_event({"url": "a.de"}, id="")),
    json.dumps(cloud_event({"url": "a.de"}, specversion="0.3")),
    json.dumps({**cloud_event(None), "data_base64": "%%%"}),
    json.dumps({**cloud_event(None), "data_base64": "ä"}),
    json.dumps({**cloud_event(None), "data_base64": ["e30="]}),
    json.dumps({**cloud_event(None), "data_base64": "e30="}),
    "[" * 100_000,
]


# --- SQS ---


def test_a_batch_is_one_submission_and_the_message_id_is_the_key() -> None:
    submit = Submitted()
    answer = inbound.from_queue([message(str(n), {"url": f"a{n}.de", "language": "de"}) for n in range(1000)], submit)
    assert answer == {"batchItemFailures": []}
    assert submit.calls == [1000]
    assert submit["7"].url == "https://a7.de/"
    assert submit["7"].options == {"language": "de"}


def test_a_cloud_event_carries_a_submission() -> None:
    submit = Submitted()
    packed = base64.b64encode(b'{"text": "hello"}').decode()
    given = [message("a", cloud_event({"url": "a.de"})), message("b", {**cloud_event(None), "data_base64": packed})]
    assert failures(inbound.from_queue(given, submit)) == []
    assert submit["a"].url == "https://a.de/"
    assert submit["b"].document == "hello"


@pytest.mark.parametrize("position", range(5))
@pytest.mark.parametrize("poison", POISON, ids=range(len(POISON)))
def test_a_poison_message_fails_alone_wherever_it_stands(poison: str, position: int) -> None:
    batch = [message(f"good{n}", {"url": "a.de"}) for n in range(4)]
    batch.insert(position, message("bad", poison))
    submit = Submitted()
    assert failures(inbound.from_queue(batch, submit)) == ["bad"]
    assert submit.calls == [4]


def test_a_batch_of_poison_submits_nothing() -> None:
    submit = Submitted()
    assert len(failures(inbound.from_queue([message(str(n), body) for n, body in enumerate(POISON)], submit))) == len(
        POISON
    )
    assert submit.calls == []


def test_what_may_pass_later_goes_back_and_what_was_erased_does_not() -> None:
    submit = Submitted(b=Unavailable("away"), c=Gone(), d=KeyReused())
    answer = inbound.from_queue([message(name, {"url": "a.de"}) for name in "abcd"], submit)
    assert failures(answer) == ["b", "d"]


# --- EventBridge ---


def test_an_event_asks_for_a_job_and_its_id_is_the_key() -> None:
    submit = Submitted()
    made = inbound.from_event_bus({"id": "e1", "detail": {"url": "a.de"}}, submit)
    assert made == records.key_id("o", "e1")
    inbound.from_event_bus({"id": "e2", "detail": cloud_event({"html": "<p>x"})}, submit)
    assert submit["e2"].kind == "html"


@pytest.mark.parametrize("detail", [None, {}, [], {"url": ""}, {"url": "a.de", "text": "b"}, {"specversion": 1}])
def test_an_event_that_is_no_submission_is_an_error_so_that_it_reaches_the_dead_letters(detail: object) -> None:
    with pytest.raises(errors.InvalidSubmission):
        inbound.from_event_bus({"id": "e1", "detail": detail}, Submitted())


def test_an_event_passes_on_why_there_is_no_job() -> None:
    with pytest.raises(Unavailable):
        inbound.from_event_bus({"id": "e1", "detail": {"url": "a.de"}}, Submitted(e1=Unavailable("away")))
    assert inbound.from_event_bus({"id": "e1", "detail": {"url": "a.de"}}, Submitted(e1=Gone())) is None


# --- objects, from a folder that stands for a bucket ---


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INBOX_DIR", str(tmp_path))
    return tmp_path


def drop(inbox: Path, key: str, data: bytes = b"", version: str = "v1") -> dict[str, Any]:
    path = inbox / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"detail": {"bucket": {"name": "inbox"}, "object": {"key": key, "size": len(data), "etag": version}}}


def forever() -> float:
    return math.inf


def report(inbox: Path, key: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (inbox / f"reports/{key}.report.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("key", ["a.html", "b/C.HTM", "ü x.txt", "a.xhtml", "README.md", "a.html.GZ"])
def test_a_document_is_one_job_that_reads_it(inbox: Path, key: str) -> None:
    submit = Submitted()
    data = gzip.compress(b"words") if key.endswith("GZ") else b"words"
    assert inbound.from_bucket(drop(inbox, key, data), submit, forever) == {"jobs": 1}
    [entry] = submit.entries
    assert entry.submission.kind == "object"
    found = objects.read(str(entry.submission.url), limit=100)
    assert found.body == b"words"
    assert found.content_type == objects.TYPES[objects.kind(key)[0]]


@pytest.mark.parametrize("key", ["a.png", "html", "a.gz", "reports/a.urls.report.jsonl", "reports/.open/a", "x/"])
def test_other_objects_and_our_reports_make_nothing(inbox: Path, key: str) -> None:
    submit = Submitted()
    event = drop(inbox, "some.txt")
    event["detail"]["object"]["key"] = key
    assert inbound.from_bucket(event, submit, forever) == {}
    assert submit.calls == []


def test_a_list_is_a_job_a_line_and_leaves_a_report(inbox: Path) -> None:
    submit = Submitted()
    done = inbound.from_bucket(drop(inbox, "x/a.urls", b"a.de\n\nfoo bar\nb.de\n"), submit, forever)
    assert done == {"jobs": 2, "refused": 1}
    assert [entry.key for entry in submit.entries] == ["s3://inbox/x/a.urls?v1#1", "s3://inbox/x/a.urls?v1#4"]
    first, bad, last = report(inbox, "x/a.urls")
    assert first == {"line": 1, "job_id": records.key_id("o", submit.entries[0].key), "url": "https://a.de/"}
    assert (bad["line"], bad["error"]["type"]) == (3, "invalid-submission")
    assert bad["error"]["errors"] == [
        {"pointer": "/url", "detail": "This does not look like a web address: its host is not a host name."}
    ]
    assert last["line"] == 4


@pytest.mark.parametrize(("key", "data"), [("a.csv", b"x,y\n"), ("a.urls", b"\xff\xfea\0"), ("a.csv", b"\xff\n")])
def test_a_list_that_cannot_be_read_says_so_in_its_report(inbox: Path, key: str, data: bytes) -> None:
    assert inbound.from_bucket(drop(inbox, key, data), Submitted(), forever)["refused"] == 1
    [line] = report(inbox, key)
    assert line["line"] == 1
    assert line["error"]["type"] in ("invalid-list", "invalid-submission")


def test_a_compressed_document_is_bounded_and_a_damaged_one_has_its_reason(inbox: Path) -> None:
    bomb, whole = gzip.compress(bytes(2_000_000)), gzip.compress(b"words " * 100)
    for data, kind in ((bomb, "too-large"), (whole[:-9], "not-text"), (whole[:20] + bytes(9), "not-text")):
        drop(inbox, "a.txt.gz", data)
        with pytest.raises(objects.ObjectError) as raised:
            objects.read((inbox / "a.txt.gz").as_uri(), limit=1_000_000)
        assert raised.value.kind == kind


@pytest.mark.parametrize("key", ["a.urls.gz", "a.csv.gz", "a.ndjson.gz"])
def test_a_compressed_list_is_the_list_also_where_another_call_continues_it(inbox: Path, key: str) -> None:
    rows = {"urls": b"# mine\na%d.de\n", "csv": b"a%d.de;x\n", "ndjson": b'{"url":"a%d.de"}\n'}[key.split(".")[1]]
    data = (b"url;note\n" if "csv" in key else b"") + b"".join(rows % number for number in range(700))
    submit = Submitted()
    # Two members, as `cat` makes of two files.
    packed = gzip.compress(data[:4000]) + gzip.compress(data[4000:])
    inbound.from_bucket(drop(inbox, key, packed), submit, lambda: 1.0)
    [note] = (inbox / "progress").iterdir()
    inbound.from_bucket(drop(inbox, f"progress/{note.name}", note.read_bytes()), submit, forever)
    assert [entry.submission.url for entry in submit.entries] == [f"https://a{number}.de/" for number in range(700)]


@pytest.mark.slow
def test_a_list_that_is_a_bomb_or_damaged_ends_with_a_line_that_says_so(inbox: Path) -> None:
    bomb = gzip.compress(b"a.de\n" + bytes(30_000_000))
    for data, reason in ((bomb, "100 times"), (gzip.compress(b"a.de\n" * 9)[:-3], "cut off"), (b"a.de", "damaged")):
        assert inbound.from_bucket(drop(inbox, "a.urls.gz", data), Submitted(), forever)["refused"] >= 1
        assert reason in report(inbox, "a.urls.gz")[-1]["error"]["detail"]


def test_an_empty_list_has_an_empty_report(inbox: Path) -> None:
    assert inbound.from_bucket(drop(inbox, "a.csv"), Submitted(), forever) == {"jobs": 0, "refused": 0}
    assert report(inbox, "a.csv") == []


@pytest.mark.slow
def test_batches_of_a_list_are_bounded_in_lines_and_in_bytes(inbox: Path) -> None:
    submit = Submitted()
    inbound.from_bucket(drop(inbox, "a.urls", b"a.de\n" * 1201), submit, forever)
    assert submit.calls == [500, 500, 201]
    submit = Submitted()
    line = json.dumps({"text": "a " * 500_000}).encode() + b"\n"
    inbound.from_bucket(drop(inbox, "a.jsonl", line * 9), submit, forever)
    assert submit.calls == [4, 4, 1]


def test_a_line_that_is_unavailable_is_tried_again_alone(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound, "PAUSES", (0.0, 0.0))
    flaky = Submitted()
    refusals = [Unavailable("away")] * 2

    def submit(entries: Sequence[Entry]) -> list[Job | Exception]:
        found = flaky(entries)
        if refusals:
            found[0] = refusals.pop()
        return found

    inbound.from_bucket(drop(inbox, "a.urls", b"a.de\nb.de\n"), submit, forever)
    assert flaky.calls == [2, 1, 1]
    assert [line["line"] for line in report(inbox, "a.urls")] == [1, 2]


def test_a_list_whose_records_stay_away_is_an_error_so_that_it_is_delivered_again(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "PAUSES", (0.0,))
    submit = Submitted(**{"s3://inbox/a.urls?v1#1": Unavailable("away")})
    with pytest.raises(Unavailable):
        inbound.from_bucket(drop(inbox, "a.urls", b"a.de\n"), submit, forever)


@pytest.mark.slow
def test_a_long_list_is_handed_on_in_parts_that_meet(inbox: Path) -> None:
    data = b"url,note\n" + b"".join(b"a%d.de,x\n" % number for number in range(1234))
    whole, parts = Submitted(), Submitted()
    inbound.from_bucket(drop(inbox, "a.csv", data), whole, forever)
    whole_report = report(inbox, "a.csv")
    inbound.from_bucket(drop(inbox, "a.csv", data), parts, lambda: 1.0)  # there is time for one batch only
    for line in (501, 1001, 1235):
        note = inbox / f"progress/a.csv.{line}.json"
        assert len(parts.entries) == line - 1
        inbound.from_bucket(drop(inbox, f"progress/{note.name}", note.read_bytes()), parts, lambda: 1.0)
    assert parts.entries == whole.entries
    assert [line for part in ("", ".502", ".1002") for line in report(inbox, f"a.csv{part}")] == whole_report


def test_a_rerun_of_a_list_asks_for_the_same_jobs(inbox: Path) -> None:
    event = drop(inbox, "a.jsonl", b'{"url":"a.de"}\n{"text":"x"}\n')
    first, again, other = Submitted(), Submitted(), Submitted()
    inbound.from_bucket(event, first, forever)
    inbound.from_bucket(event, again, forever)
    inbound.from_bucket(drop(inbox, "a.jsonl", b'{"url":"a.de"}\n{"text":"x"}\n', version="v2"), other, forever)
    assert first.entries == again.entries
    assert not {entry.key for entry in first.entries} & {entry.key for entry in other.entries}


def test_an_object_that_was_deleted_meanwhile_is_passed_over(inbox: Path) -> None:
    event = drop(inbox, "a.urls", b"a.de\n")
    (inbox / "a.urls").unlink()
    assert inbound.from_bucket(event, Submitted(), forever) == {}


def test_every_error_has_its_words() -> None:
    for error in (
        KeyReused(),
        Gone(),
        Unavailable("x"),
        objects.ObjectError("too-large", "y"),
        errors.InvalidList("z"),
    ):
        said = inbound.problem(error)
        assert said["type"]
        assert said["detail"]
    assert isinstance(KeyReused(), records.RecordError)
