"""scripts/deploy.sh and what it deploys, really run: the life of a stage from its first deploy to its end.

The tests are one story and run in their order. What the emulator lacks is in emulator.py.
"""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.conftest import require
from tests.deploy.cloud import EMULATOR, KEYS, PACKAGING, ROOT, Cloud, running, until


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
    run = cloud.script("deploy", "AlarmEmail=ops@example.com")
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
    [task] = [
        cloud.client("ecs").describe_task_definition(taskDefinition=f"wordcounts-staging-{pool}")["taskDefinition"]
        for pool in ("interactive",)
    ]
    role = cloud.client("sts").assume_role(RoleArn=task["taskRoleArn"], RoleSessionName="worker")["Credentials"]
    given = {each["name"]: each["value"] for each in task["containerDefinitions"][0]["environment"]}
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


def ended(api: API, seconds: float = 60) -> list[dict[str, Any]]:
    """All of the owner's jobs, once there are some and all have ended."""

    def found() -> list[dict[str, Any]] | None:
        jobs = api.jobs()
        return jobs if jobs and all(job["state"] in ("succeeded", "failed", "canceled") for job in jobs) else None

    return list(until(found, seconds))


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
    cloud: Cloud, api: API, outside: API, events: str
) -> None:
    wanted = {job["id"] for owner in (api, outside) for job in ended(owner)}
    seen: list[str] = []

    def arrived() -> bool:
        client = cloud.client("sqs")
        answer = client.receive_message(QueueUrl=events, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", ()):
            event = json.loads(message["Body"])
            assert event["detail-type"] == "wordcounts.job.succeeded"
            assert event["detail"]["data"]["link"].endswith(f"/staging/jobs/{event['detail']['subject']}")
            seen.append(event["detail"]["subject"])
            client.delete_message(QueueUrl=events, ReceiptHandle=message["ReceiptHandle"])
        return wanted <= set(seen)

    until(arrived)
    assert sorted(seen) == sorted(wanted)
    [stream] = [each for each in sources(cloud) if "stream" in each["EventSourceArn"]]
    wished = [json.loads(each["Pattern"])["dynamodb"]["NewImage"] for each in stream["FilterCriteria"]["Filters"]]
    assert {"S": ["job"]} in [image["sk"] for image in wished]


def sources(cloud: Cloud) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cloud.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    return found


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
    for function in ("api_handler", "sqs", "s3", "requested", "sweep", "ended"):
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
    assert cloud.script("deploy", "NatGateways=0", "InteractiveMin=0").returncode == 0
    outputs = cloud.outputs()
    for number in range(3):
        cloud.client("s3").put_object(Bucket=outputs["DocumentsBucket"], Key="reports/x", Body=str(number).encode())
    run = cloud.script("destroy", DATA="delete")
    assert run.returncode == 0, run.stderr[-2000:]
    assert cloud.status() == ""
    assert not [name for name in cloud.client("dynamodb").list_tables()["TableNames"] if "staging" in name]
    left = [each["Name"] for each in cloud.client("s3").list_buckets()["Buckets"]]
    assert left == [name for name in left if "documents" not in name]
