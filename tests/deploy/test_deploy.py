"""scripts/deploy.sh and what it deploys, really run: the life of a stage from its first deploy to its end.

The tests are one story and run in their order. What the emulator lacks is in emulator.py.
"""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.conftest import require
from tests.deploy.cloud import EMULATOR, KEYS, PACKAGING, REGION, ROOT, Cloud, running, until

FUNCTIONS = ("api_handler", "sqs", "s3", "requested", "sweep", "ended")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    for made in (EMULATOR, PACKAGING, ROOT / "build" / "staging" / "report.json"):
        require(made.exists(), f"{made.relative_to(ROOT)} is missing: `make deploy-test` makes it")
    with running(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


class API:
    """The deployed REST API, as the stack's outputs name it, with a caller's token."""

    def __init__(self, cloud: Cloud, owner: str = "alice") -> None:
        outputs = cloud.outputs()
        self.url = f"{cloud.endpoint}/staging"
        self.host = f"{outputs['RestAPIId']}.execute-api.localhost"
        command = [sys.executable, "-m", "scripts.tokens", "make", f"of-{owner}", "--owner", owner]
        given = cloud.environment | {"TABLE_NAME": outputs["TableName"]}
        made = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=True)
        self.token = made.stdout.strip()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        given = {"Host": self.host, "Authorization": f"Bearer {self.token}", **headers}
        return requests.request(method, f"{self.url}{path}", json=body, headers=given, timeout=40)

    def jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", "/jobs").json()["jobs"]
        return found


# --- deploying ---


def test_a_first_deploy_that_fails_says_why_and_cleans_up_after_itself(cloud: Cloud) -> None:
    broken = cloud.checkout / "build" / "staging" / "package" / "sam.json"
    whole = broken.read_text()
    template = json.loads(whole)
    template["Resources"]["Broken"] = {
        "Type": "AWS::SQS::QueuePolicy",
        "DependsOn": "Submissions",
        "Properties": {"Queues": ["http://localhost/none"], "PolicyDocument": {"Fn::GetAtt": ["Bus", "NoSuch"]}},
    }
    broken.write_text(json.dumps(template))
    run = cloud.script("deploy")
    broken.write_text(whole)
    assert run.returncode == 1
    assert "Broken" in run.stderr, "which resource failed"
    assert "what it had made is deleted" in run.stderr
    assert cloud.status() == ""
    assert not [name for name in cloud.client("dynamodb").list_tables()["TableNames"] if "staging" in name]


def test_a_stage_is_deployed(cloud: Cloud) -> None:
    run = cloud.script("deploy", "AlarmEmail=ops@example.com", "ResultDays=7")
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    assert cloud.status() == "CREATE_COMPLETE"
    assert "EndpointURL" in run.stdout


def test_a_second_deploy_has_nothing_to_change(cloud: Cloud) -> None:
    run = cloud.script("deploy")
    assert run.returncode == 0, run.stderr[-2000:]
    assert "Nothing to change." in run.stdout


def test_an_update_keeps_the_parameters_that_are_not_given(cloud: Cloud) -> None:
    awkward = 'Bearer "a",[b]\\c='
    run = cloud.script("deploy", "BulkMax=3", f"WebhookAuthorization={awkward}")
    assert run.returncode == 0, run.stderr[-2000:]
    assert cloud.status() == "UPDATE_COMPLETE"
    found = cloud.parameters()
    assert (found["BulkMax"], found["AlarmEmail"]) == ("3", "ops@example.com")


def test_an_update_that_fails_goes_back_and_says_why(cloud: Cloud) -> None:
    broken = cloud.checkout / "build" / "staging" / "package" / "sam.json"
    whole = broken.read_text()
    template = json.loads(whole)
    template["Resources"]["Broken"] = {
        "Type": "AWS::SQS::QueuePolicy",
        "Properties": {"Queues": ["http://localhost/none"], "PolicyDocument": {"Fn::GetAtt": ["Bus", "NoSuch"]}},
    }
    broken.write_text(json.dumps(template))
    run = cloud.script("deploy", "BulkMax=4")
    broken.write_text(whole)
    assert run.returncode == 1
    assert "Broken" in run.stderr
    assert cloud.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.parameters()["BulkMax"] == "3"


# --- what was deployed ---


def test_functions_and_tasks_are_told_where_everything_is(cloud: Cloud) -> None:
    outputs = cloud.outputs()
    every = {
        "TABLE_NAME": outputs["TableName"],
        "REDIS_URL": f"rediss://127.0.0.1:{cloud.redis_port}/0",
        "REDIS_IAM": f"wordcounts-staging@{outputs['RedisGroupId']}",
        "RESULT_DAYS": "7",
        "OBJECT_STORE": f"s3://{outputs['TextsBucket']}",
        "LOG_LEVEL": "INFO",
        "POWERTOOLS_SERVICE_NAME": "wordcounts-staging",
        "POWERTOOLS_METRICS_NAMESPACE": "Wordcounts",
    }
    functions = every | {"AUTH": "token", "WORDS": "unicode", "KEEP_TEXT": "true"}
    functions |= {"RATE_PER_MINUTE": "600", "LONG_POLLS": "5"}
    url = f"https://{outputs['RestAPIId']}.execute-api.{REGION}.amazonaws.com/staging"
    of_one = {
        "sweep": {"DOCUMENTS_BUCKET": outputs["DocumentsBucket"]},
        "ended": {"EVENT_BUS": outputs["BusName"], "API_URL": url},
    }
    found = {}
    for function in cloud.client("lambda").list_functions()["Functions"]:
        given = function["Environment"]["Variables"]
        name = function["LoggingConfig"]["LogGroup"].rpartition("/")[2]
        found[name] = {each: value for each, value in given.items() if value}
    assert found == {name: functions | of_one.get(name, {}) for name in FUNCTIONS}
    tasks = every | {"AWS_DEFAULT_REGION": REGION, "FETCH_CONTACT": "https://github.com/wordcounts/wordcounts"}
    tasks |= {"SPARK_APPLICATION": "", "SPARK_ROLE": ""}
    for pool, processes in (("interactive", "interactive:20,bulk:0"), ("bulk", "interactive:0,bulk:20")):
        assert task_of(cloud, pool)[1] == tasks | {"WORKER_PROCESSES": processes}


def task_of(cloud: Cloud, pool: str) -> tuple[str, dict[str, str]]:
    """The role of a pool's task, and its environment."""
    found = cloud.client("ecs").describe_task_definition(taskDefinition=f"wordcounts-staging-{pool}")["taskDefinition"]
    environment = found["containerDefinitions"][0]["environment"]
    return found["taskRoleArn"], {each["name"]: each["value"] for each in environment}


def takers(cloud: Cloud, bus: str, source: str, kind: str, detail: Any) -> list[str]:
    """The stack's rules that take an event of this kind on a bus, by what they are called in the template."""
    about = {"id": "1", "account": "0" * 12, "time": "2026-01-01T00:00:00Z", "region": REGION, "resources": []}
    event = json.dumps({**about, "source": source, "detail-type": kind, "detail": detail})
    client = cloud.client("events")
    taken = []
    for rule in client.list_rules(EventBusName=bus)["Rules"]:
        pattern = rule.get("EventPattern")
        if pattern and client.test_event_pattern(EventPattern=pattern, Event=event)["Result"]:
            taken.append(rule["Name"].removeprefix("wordcounts-staging-").partition("-")[0])
    return taken


def test_each_rule_takes_its_own_events_and_no_others(cloud: Cloud) -> None:
    outputs = cloud.outputs()

    def of_object(key: str, bucket: str = outputs["DocumentsBucket"], kind: str = "Object Created") -> list[str]:
        return takers(cloud, "default", "aws.s3", kind, {"bucket": {"name": bucket}, "object": {"key": key}})

    assert of_object("inbox/a.html") == of_object("progress/a.urls.1.json") == ["S3S3Event"]
    assert of_object("reports/a.urls.report.jsonl") == []
    assert of_object("inbox/a.html", bucket="another") == of_object("inbox/a.html", kind="Object Deleted") == []
    assert takers(cloud, outputs["BusName"], "anyone", "Word Count Requested", {}) == ["RequestedRequestedEvent"]
    assert takers(cloud, outputs["BusName"], "anyone", "Something Else", {}) == []

    def of_scan(repository: str, severity: str) -> list[str]:
        detail = {"repository-name": repository, "finding-severity-counts": {severity: 1}}
        return takers(cloud, "default", "aws.ecr", "ECR Image Scan", detail)

    assert of_scan("wordcounts", "CRITICAL") == ["ImageFindings"]
    assert of_scan("wordcounts", "LOW") == of_scan("another", "CRITICAL") == []
    rules = cloud.client("events").list_rules()["Rules"]
    assert [rule["ScheduleExpression"] for rule in rules if "ScheduleExpression" in rule] == ["rate(1 minute)"]


@pytest.fixture(scope="module")
def api(cloud: Cloud) -> API:
    return API(cloud)


@pytest.fixture(scope="module")
def events(cloud: Cloud) -> str:
    """A queue to which a rule of the test's own brings every event of ours; its URL."""
    queues, bus = cloud.client("sqs"), cloud.client("events")
    url = str(queues.create_queue(QueueName="seen")["QueueUrl"])
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [allow]})})
    name, pattern = cloud.outputs()["BusName"], json.dumps({"source": ["wordcounts"]})
    bus.put_rule(Name="seen", EventBusName=name, EventPattern=pattern)
    bus.put_targets(Rule="seen", EventBusName=name, Targets=[{"Id": "seen", "Arn": arn}])
    return url


@pytest.fixture(scope="module")
def worker(cloud: Cloud, api: API, events: str) -> Iterator[subprocess.Popen[bytes]]:
    """A pool of both queues with the environment of the deployed task and the rights of its role."""
    del api, events
    arn, given = task_of(cloud, "interactive")
    role = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="worker")["Credentials"]
    environment = {name: value for name, value in cloud.environment.items() if name not in KEYS} | given
    environment |= {"WORKER_PROCESSES": "interactive:1,bulk:1", "TMPDIR": str(cloud.folder)}
    environment |= {
        "AWS_ACCESS_KEY_ID": role["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": role["SecretAccessKey"],
        "AWS_SESSION_TOKEN": role["SessionToken"],
    }
    log = cloud.folder / "worker.log"
    with log.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "chalicelib.worker"], cwd=ROOT, env=environment, stdout=file, stderr=file
        )
    yield child
    child.kill()
    child.wait(10)


def arriving(cloud: Cloud, queue: str, kinds: str, seconds: float = 60) -> Iterator[dict[str, Any]]:
    """Events of ours as they come; AssertionError when none does. Those of other kinds stay in the queue."""
    client = cloud.client("sqs")
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for message in client.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=1).get(
            "Messages", ()
        ):
            event = json.loads(message["Body"])
            assert event["detail-type"] == event["detail"]["type"]
            if event["detail-type"].startswith(kinds):
                client.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                yield event["detail"]
        time.sleep(0.25)
    raise AssertionError(f"no event of {kinds} within {seconds} s")


def ended(api: API, seconds: float = 60) -> list[dict[str, Any]]:
    """All of the owner's jobs, once there are some and all have ended."""

    def found() -> list[dict[str, Any]] | None:
        jobs = api.jobs()
        return jobs if jobs and all(job["state"] in ("succeeded", "failed", "canceled") for job in jobs) else None

    return list(until(found, seconds))


@pytest.fixture(scope="module")
def other(cloud: Cloud) -> API:
    """The API for an owner whose jobs end in other ways."""
    return API(cloud, owner="bob")


@pytest.mark.usefixtures("events")
def test_a_job_is_canceled_before_a_worker_takes_it(other: API) -> None:
    made = other.ask("POST", "/jobs", {"text": "never counted"})
    assert made.status_code == 202, made.text
    assert other.ask("POST", f"/jobs/{made.json()['id']}/cancel").json()["state"] == "canceled"


@pytest.mark.usefixtures("worker")
def test_a_job_fails_where_its_address_may_not_be_fetched(other: API) -> None:
    made = other.ask("POST", "/jobs", {"url": "http://localhost/"}, Prefer="wait=20")
    assert made.status_code in (200, 202), made.text
    assert sorted(job["state"] for job in ended(other)) == ["canceled", "failed"]


@pytest.mark.usefixtures("worker")
def test_the_api_takes_a_job_and_gives_its_words(api: API) -> None:
    assert api.ask("GET", "/jobs", Authorization="Bearer wc_wrong").status_code == 401
    made = api.ask("POST", "/jobs", {"text": "whales, and again whales"}, Prefer="wait=20")
    assert made.status_code in (200, 202), made.text
    [job] = ended(api)
    assert job["state"] == "succeeded", job
    words = api.ask("GET", f"/jobs/{job['id']}/words?limit=1").json()["words"]
    assert (words[0]["word"], words[0]["count"]) == ("whales", 2)
    assert api.ask("GET", "/health").json() == {"status": "ok", "checks": {"records": "ok", "queue": "ok"}}
    assert api.ask("GET", "/").text.startswith("<!"), "the page is there"


@pytest.fixture(scope="module")
def outside(cloud: Cloud) -> API:
    """The API for the owner of what comes by messages, objects and events."""
    return API(cloud, owner="events")


@pytest.mark.usefixtures("worker")
def test_an_object_becomes_a_job(cloud: Cloud, outside: API) -> None:
    bucket = cloud.outputs()["DocumentsBucket"]
    cloud.client("s3").put_object(Bucket=bucket, Key="inbox/page.html", Body=b"<title>O</title><p>an object")
    job = until(lambda: next((job for job in outside.jobs() if job["kind"] == "object"), None))
    found = {each["id"]: each for each in ended(outside)}[job["id"]]
    assert found["state"] == "succeeded", (found, cloud.client("s3").list_object_versions(Bucket=bucket)["Versions"])


@pytest.mark.usefixtures("worker")
def test_a_message_becomes_a_job(cloud: Cloud, outside: API) -> None:
    before = {job["id"] for job in outside.jobs()}
    cloud.client("sqs").send_message(QueueUrl=cloud.outputs()["SubmissionsUrl"], MessageBody='{"text": "a message"}')
    until(lambda: {job["id"] for job in outside.jobs()} - before)
    assert all(job["state"] == "succeeded" for job in ended(outside))


@pytest.mark.usefixtures("worker")
def test_an_event_becomes_a_job_and_another_does_not(cloud: Cloud, outside: API) -> None:
    before = {job["id"] for job in outside.jobs()}
    bus = cloud.outputs()["BusName"]
    for kind in ("Something Else", "Word Count Requested"):
        detail = json.dumps({"text": f"an event of {kind}"})
        entry = {"EventBusName": bus, "Source": "test", "DetailType": kind, "Detail": detail}
        cloud.client("events").put_events(Entries=[entry])
    until(lambda: {job["id"] for job in outside.jobs()} - before)
    assert len({job["id"] for job in ended(outside)} - before) == 1


@pytest.mark.usefixtures("worker")
def test_each_job_that_ended_left_as_one_event_and_nothing_else_did(
    cloud: Cloud, api: API, other: API, outside: API, events: str
) -> None:
    wanted = {job["id"]: job["state"] for owner in (api, other, outside) for job in ended(owner)}
    assert set(wanted.values()) == {"succeeded", "failed", "canceled"}
    seen: list[tuple[str, str]] = []
    for event in arriving(cloud, events, "wordcounts.job."):
        assert event["data"]["link"].endswith(f"/staging/jobs/{event['subject']}")
        seen.append((event["subject"], event["type"].removeprefix("wordcounts.job.")))
        if set(seen) >= set(wanted.items()):
            break
    assert sorted(seen) == sorted(wanted.items())


@pytest.mark.usefixtures("worker")
def test_a_corpus_is_counted_asked_and_erased(cloud: Cloud, other: API, events: str) -> None:
    corpus = other.ask("POST", "/corpora", {}).json()["id"]
    texts = [{"key": str(number), "text": f"whales, and {number} whales"} for number in range(2)]
    added = other.ask("POST", f"/corpora/{corpus}/documents", {"documents": texts})
    assert added.status_code in (200, 202), added.text
    told = next(event for event in arriving(cloud, events, "wordcounts.corpus.ready"))
    assert told["subject"] == corpus
    assert told["data"]["link"].endswith(f"/staging/corpora/{corpus}")
    words = other.ask("GET", f"/corpora/{corpus}/words?limit=1").json()["words"]
    assert (words[0]["word"], words[0]["count"]) == ("whales", 4)
    contexts = other.ask("GET", f"/corpora/{corpus}/contexts?word=whales")
    assert contexts.status_code == 200, contexts.text
    assert other.ask("DELETE", f"/corpora/{corpus}").status_code in (202, 204)
    store, bucket = cloud.client("s3"), cloud.outputs()["TextsBucket"]
    until(lambda: store.list_objects_v2(Bucket=bucket, Prefix="corpora/")["KeyCount"] == 0)


@pytest.mark.usefixtures("worker")
def test_the_schedule_sweeps_and_says_how_many_tasks_live(cloud: Cloud) -> None:
    def told() -> dict[str, Any] | None:
        log = cloud.log("sweep")  # its lines may follow Lambda's own without an end of line
        for found in re.finditer(r'\{"_aws"', log):
            metrics: dict[str, Any] = json.JSONDecoder().raw_decode(log, found.start())[0]
            if metrics.get("queue") == "interactive" and metrics.get("Tasks") == [1.0]:
                return metrics
        return None

    line = until(told, 150)
    assert line["BacklogPerTask"] == line["Asleep"] == [0.0]
    assert line["service"] == "wordcounts-staging"


@pytest.mark.usefixtures("worker")
def test_the_smoke_script_counts_and_erases_by_each_way_in(cloud: Cloud, api: API, outside: API) -> None:
    before = [job["id"] for job in outside.jobs()]
    given = cloud.environment | {"URL": api.url, "HOST": api.host}
    command = ["sh", "scripts/smoke.sh", "staging"]
    run = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    assert [line for line in run.stdout.splitlines() if line.endswith(": counted and erased")] == [
        f"{way}: counted and erased" for way in ("HTTP", "SQS", "S3", "EventBridge")
    ]
    assert [job["id"] for job in outside.jobs()] == before


def test_a_job_is_erased(api: API) -> None:
    [job] = api.jobs()
    assert api.ask("DELETE", f"/jobs/{job['id']}").status_code == 204
    assert api.ask("GET", f"/jobs/{job['id']}").status_code == 410
    assert api.jobs() == []


def test_the_worker_stops_when_it_is_told_to(cloud: Cloud, worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0, (cloud.folder / "worker.log").read_text()[-3000:]


def test_nothing_was_given_up_and_no_function_raised(cloud: Cloud) -> None:
    outputs, client = cloud.outputs(), cloud.client("sqs")
    for name in ("SubmissionsDeadUrl", "EventsDeadUrl", "StreamDeadUrl"):
        answer = client.get_queue_attributes(QueueUrl=outputs[name], AttributeNames=["ApproximateNumberOfMessages"])
        assert answer["Attributes"]["ApproximateNumberOfMessages"] == "0", name
    for function in FUNCTIONS:
        assert "Traceback" not in cloud.log(function), cloud.log(function)


# --- the end ---


def test_destroying_keeps_the_data_and_names_it(cloud: Cloud) -> None:
    outputs = cloud.outputs()
    run = cloud.script("destroy")
    assert run.returncode == 0, run.stderr[-2000:]
    assert cloud.status() == ""
    assert (
        f"Kept: table {outputs['TableName']}, buckets {outputs['DocumentsBucket']} and {outputs['TextsBucket']}."
        in run.stdout
    )
    assert outputs["TableName"] in cloud.client("dynamodb").list_tables()["TableNames"]
    kept = cloud.client("s3").list_object_versions(Bucket=outputs["DocumentsBucket"])
    assert kept["Versions"]
    run = cloud.script("delete-data", *(outputs[name] for name in ("TableName", "DocumentsBucket", "TextsBucket")))
    assert run.returncode == 0, run.stderr[-2000:]
    assert outputs["TableName"] not in cloud.client("dynamodb").list_tables()["TableNames"]


def test_a_stage_is_destroyed_with_its_data(cloud: Cloud) -> None:
    """With everything that a parameter can add to it or take from it."""
    optional = ("NatGateways=0", "InteractiveMin=0", "AccessLogs=yes", "FirewallRate=1000", "RedisNodes=2")
    run = cloud.script("deploy", *optional, "WebhookUrl=https://example.com/hook")
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    outputs = cloud.outputs()
    for kind in ("wordcounts.job.succeeded", "wordcounts.corpus.ready"):
        assert takers(cloud, outputs["BusName"], "wordcounts", kind, {}) == ["WebhookRule"]
    for number in range(3):
        cloud.client("s3").put_object(Bucket=outputs["DocumentsBucket"], Key="reports/x", Body=str(number).encode())
    run = cloud.script("destroy", DATA="delete")
    assert run.returncode == 0, run.stderr[-2000:]
    assert cloud.status() == ""
    assert not [name for name in cloud.client("dynamodb").list_tables()["TableNames"] if "staging" in name]
    left = [each["Name"] for each in cloud.client("s3").list_buckets()["Buckets"]]
    assert left == [name for name in left if "documents" not in name]
