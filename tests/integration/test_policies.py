"""Each role allows what its code calls, on what it calls it, and nothing else.

Every function runs under Lambda's runtime client, the worker as its own process, all against a recording AWS (moto's
server). What was called is compared with the policies: no call is missing, no allowance is spare.
"""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import msgspec
import pytest
import redis
import requests
from moto import moto_api
from moto.emrserverless import models as emr

from chalicelib.aws import objects
from chalicelib.store import records
from chalicelib.store.corpora import Corpus
from chalicelib.store.job import item_of, key
from chalicelib.store.records import Packed
from infra import build, checks
from scripts import servers
from tests.conftest import ROOT, make_table
from tests.factories import a_job, records_by_boto3
from tests.lambda_runtime import Function, Gateway

pytestmark = pytest.mark.beside

# What Lambda itself does in the function's name, what Redis and EMR check, and what an AWS account has without names:
# infra/rights.py demands it at each `make package`.
OF_LAMBDA = {
    "elasticache:Connect", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage",
    "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator",
    "logs:CreateLogStream", "logs:PutLogEvents", "iam:PassRole", *checks.NAMELESS,
}  # fmt: skip
# S3 answers 403 instead of 404 for an object that is not there to who may not list: nothing calls it.
OF_S3 = {("s3:ListBucket", "bucket")}
# What the functions of the events call only where a job was made and erased between their look and their write.
IN_A_RACE = {("dynamodb:DeleteItem", "table")}
# And what the bucket's function takes back of a corpus that is erased while an object is added to it.
IN_AN_ERASE = {("dynamodb:Query", "table"), ("dynamodb:BatchWriteItem", "table")}
BUCKET, TEXTS, TOKEN = "documents", "long-texts", "secret-token"
Call = tuple[str, str]  # an IAM action, and the resource as the policies' statements name it


class Cloud:
    """Moto's server with a table, a bucket and a bus, a Redis with the template's user alone, and a recorder."""

    def __init__(self, endpoint: str, table: str, redis_url: str) -> None:
        self.endpoint, self.table, self.redis_url = endpoint, table, redis_url
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        session = boto3.session.Session(region_name="us-east-1", **keys)
        self.s3 = session.client("s3", endpoint_url=endpoint)
        self.s3.create_bucket(Bucket=BUCKET)
        self.s3.create_bucket(Bucket=TEXTS)
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        session.client("events", endpoint_url=endpoint).create_event_bus(Name="bus")
        made = session.client("emr-serverless", endpoint_url=endpoint).create_application(
            releaseLabel="emr-7.10.0", type="SPARK"
        )
        self.application = made["applicationId"]
        self.dynamodb = session.client("dynamodb", endpoint_url=endpoint)
        self.records = records_by_boto3(self.dynamodb, table)
        self.keys: set[Call] = set()

    def environment(self) -> dict[str, str]:
        return {
            "AUTH": "token",
            "TABLE_NAME": self.table,
            "REDIS_URL": self.redis_url,
            "REDIS_IAM": "wordcounts@cache",
            "EVENT_BUS": "bus",
            "OBJECT_STORE": f"s3://{TEXTS}",
            "SPARK_APPLICATION": self.application,
            "SPARK_ROLE": "arn:aws:iam::123456789012:role/spark",
            "SPARK_WORDS": "1",
            "DOCUMENTS_BUCKET": BUCKET,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "WORKER_PROCESSES": "interactive:1,bulk:1",
            "SWEEP_SECONDS": "1",
            "POWERTOOLS_SERVICE_NAME": "wordcounts",
            "POWERTOOLS_METRICS_NAMESPACE": "Wordcounts",
        }

    def recorder(self, action: str) -> str:
        send = requests.get if action == "download" else requests.post
        return send(f"{self.endpoint}/moto-api/recorder/{action}-recording", timeout=10).text

    def calls_during(self, run: Callable[[], None]) -> set[Call]:
        """What was called while ``run`` ran."""
        self.recorder("reset")
        self.recorder("start")
        run()
        self.recorder("stop")
        entries = [json.loads(line) for line in self.recorder("download").splitlines()]
        self.keys = {each for entry in entries for each in _keys(entry)}
        return {call for entry in entries for call in _calls(entry)}

    def beyond(self, statements: list[dict[str, Any]]) -> set[Call]:
        """Actions on keys of the table that were used in the last calls, and that the statements do not allow."""
        rights = [(set(checks.as_list(each["Action"])), checks.leading_keys(each)) for each in statements]
        return {
            (action, used)
            for action, used in self.keys
            if not any(action in actions and any(fnmatchcase(used, key) for key in keys) for actions, keys in rights)
        }

    def put(self, key: str, body: bytes) -> dict[str, Any]:
        """An object, and EventBridge's event of it."""
        version = self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)["VersionId"]
        given = {"key": key, "size": len(body), "version-id": version}
        detail = {"bucket": {"name": BUCKET}, "object": given}
        return {**_event("aws.s3", "Object Created"), "detail": detail}


def _event(source: str, kind: str) -> dict[str, Any]:
    about = {"account": "123456789012", "region": "us-east-1", "time": "2026-01-01T00:00:00Z", "resources": []}
    return {**about, "version": "0", "id": os.urandom(8).hex(), "source": source, "detail-type": kind, "detail": {}}


def _calls(entry: Mapping[str, Any]) -> Iterator[Call]:
    headers = {name.lower(): value for name, value in entry["headers"].items()}
    body = base64.b64decode(entry["body"]) if entry["body_encoded"] else entry["body"].encode()
    if "x-amz-target" in headers:
        service, operation = headers["x-amz-target"].split(".")
        given = json.loads(body or b"{}")
        if service.startswith("DynamoDB"):
            yield f"dynamodb:{operation}", f"index/{given['IndexName']}" if "IndexName" in given else "table"
        elif service == "AWSEvents":
            yield f"events:{operation}", "bus"
        return
    url = urlsplit(entry["url"])
    if url.path.startswith("/applications/"):
        if entry["method"] == "POST":
            yield "emr-serverless:StartJobRun", "application"
        else:
            action = "CancelJobRun" if entry["method"] == "DELETE" else "GetJobRun"
            yield f"emr-serverless:{action}", "application/jobruns/*"
        return
    if TEXTS in entry["url"] and "list-type" in parse_qs(url.query):
        yield "s3:ListBucket", "texts"
        return
    if TEXTS in entry["url"]:
        yield {"PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}.get(entry["method"], "s3:GetObject"), "texts/*"
        return
    prefix = "reports/*" if "/reports/" in url.path else "progress/*" if "/progress/" in url.path else "*"
    if "list-type" in parse_qs(url.query):
        yield "s3:ListBucket", "bucket"
    elif entry["method"] == "PUT":
        yield "s3:PutObject", f"documents/{prefix}"
    elif entry["method"] == "DELETE":
        yield "s3:DeleteObject", "documents/reports/.open/*" if "/.open/" in url.path else "documents/*"
    elif prefix == "reports/*":
        yield "s3:GetObject", "documents/reports/*"
    elif entry["method"] in ("GET", "HEAD"):
        yield "s3:GetObjectVersion" if "versionId" in parse_qs(url.query) else "s3:GetObject", "documents/*"


def _keys(entry: Mapping[str, Any]) -> Iterator[Call]:
    """Actions of a call on the table, with the first part of each key; none of an index."""
    headers = {name.lower(): value for name, value in entry["headers"].items()}
    service, _, operation = headers.get("x-amz-target", "").partition(".")
    body = base64.b64decode(entry["body"]) if entry["body_encoded"] else entry["body"].encode()
    given = json.loads(body or b"{}") if service.startswith("DynamoDB") else {"IndexName": ""}
    if "IndexName" in given or operation == "Scan":  # the scan is the tests' own look
        return
    items = [given.get("Key"), given.get("Item")]
    for asked in given.get("RequestItems", {}).values():
        requests_of = asked if isinstance(asked, list) else asked["Keys"]
        for one in requests_of:
            items += [one] if "pk" in one else [each.get("Key") or each.get("Item") for each in one.values()]
    found = [item["pk"]["S"] for item in items if item]
    if operation == "Query":
        found.append(given["ExpressionAttributeValues"][":pk"]["S"])
    assert found, f"no key is seen in {operation}"
    yield from ((f"dynamodb:{operation}", used) for used in found)


def allowed(statements: list[dict[str, Any]]) -> set[Call]:
    """A role's allowances in the form of the calls, without those that Lambda uses itself."""
    found = set()
    for statement in statements:
        for action in set(checks.as_list(statement["Action"])) - OF_LAMBDA:
            for resource in checks.as_list(statement["Resource"]):
                found.add((action, _resource(resource)))
    return found


def _resource(value: Any) -> str:
    text = json.dumps(value)
    for mark, name in (
        ("/index/", "index/"),
        ("Documents.Arn}/", "documents/"),
        ("Texts.Arn}/", "texts/"),
        ("SparkApplication.Arn}/", "application/"),
    ):
        if mark in text:
            return name + text.split(mark)[1].rstrip('"}')
    for mark, name in (
        ("Table", "table"),
        ("Redis", "redis"),
        ("Bus", "bus"),
        ("Documents", "bucket"),
        ("Texts", "texts"),
        ("SparkApplication", "application"),
    ):
        if mark in text:
            return name
    raise AssertionError(f"unknown resource {text}")


def policy(function: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads((ROOT / ".chalice" / "policies" / f"{function}.json").read_text())[
        "Statement"
    ]
    return statements


@pytest.fixture
def cloud(moto_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    requests.post(f"{moto_server}/moto-api/reset", timeout=10)
    monkeypatch.setattr(moto_api.recorder, "_location", str(tmp_path / "calls"))
    port = servers.free_port()
    child, _ = servers.start_redis(tmp_path, os.environ, tmp_path / "redis.log", port=port)
    with redis.Redis(port=port) as client:
        # Redis itself cannot check the token, but that one is sent, and what its user may do.
        access = build.load("data.yaml")["Resources"]["RedisUser"]["Properties"]["AccessString"]
        if client.info("server")["redis_version"] < "7.2":  # as in Debian 12: refuses the name of what it does not have
            access = access.replace("+client|setinfo", "")
        client.execute_command("ACL", "SETUSER", "wordcounts", "nopass", "resetchannels", *access.split())
        client.execute_command("ACL", "SETUSER", "default", "off")
    for made in make_table("moto", moto_server, monkeypatch):
        yield Cloud(moto_server, made.name, f"redis://127.0.0.1:{port}/0")
    child.stop(5)


def invoke(cloud: Cloud, handler: str, *events: dict[str, Any]) -> Callable[[], None]:
    def run() -> None:
        with Function(f"app.{handler}", env=cloud.environment()) as function:
            for event in events:
                function.invoke(event)

    return run


def test_the_api_may_do_what_its_routes_do(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    import app

    cloud.records.put_token(hashlib.sha256(TOKEN.encode()).hexdigest(), owner="alice", name="test")
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}

    def run() -> None:
        with Function("app.app", env=cloud.environment()) as function:
            gateway = Gateway(function, app.app)

            def ask(method: str, target: str, body: str = "") -> Any:
                answer = gateway.request(method, target, headers, body)
                assert answer.status < 300, answer
                return answer

            first = ask("POST", "/jobs", json.dumps({"text": "to be or not"})).json()["id"]
            second = ask("POST", "/jobs", json.dumps({"html": "<p>to be"})).json()["id"]
            assert ask("GET", "/health").json()["status"] == "ok"
            assert len(ask("GET", "/jobs").json()["jobs"]) == 2
            ask("POST", f"/jobs/{first}/cancel")
            ask("DELETE", f"/jobs/{first}")
            claimed = cloud.records.claim(second, "worker", lease_ms=60_000, max_attempts=3)
            assert claimed is not None
            made = {"words": Packed([b""]), "text": Packed([b""], large=True), "tokens": Packed([b""])}
            with pytest.MonkeyPatch.context() as patch:  # the worker's part
                patch.setenv("OBJECT_STORE", f"s3://{TEXTS}")
                patch.setattr(objects, "put", lambda name, data: cloud.s3.put_object(Bucket=TEXTS, Key=name, Body=data))
                cloud.records.finish(claimed, made, page={}, totals={}, top=[])
            gateway.request("GET", f"/jobs/{second}/words", headers)
            gateway.request("GET", f"/jobs/{second}/text", headers)
            ask("DELETE", f"/jobs/{second}")

    used = cloud.calls_during(run) - {("s3:PutObject", "texts/*")}
    assert used == allowed(policy("api_handler"))
    assert cloud.keys
    assert not cloud.beyond(policy("api_handler"))


def test_the_queue_s_function_may_do_what_it_does(cloud: Cloud) -> None:
    bodies = [{"text": "to be"}, {"url": "https://example.com/"}]
    messages = [{"messageId": str(n), "body": json.dumps(body)} for n, body in enumerate(bodies)]
    event = {"Records": [{**message, "eventSource": "aws:sqs"} for message in messages]}
    used = cloud.calls_during(invoke(cloud, "sqs", event, event))
    assert used | IN_A_RACE == allowed(policy("sqs"))
    assert cloud.keys
    assert not cloud.beyond(policy("sqs"))


def test_the_bucket_s_function_may_do_what_it_does(cloud: Cloud) -> None:
    document = cloud.put("inbox/page.html", b"<p>to be")
    unversioned = cloud.put("inbox/other.html", b"<p>or not")
    del unversioned["detail"]["object"]["version-id"]
    listed = cloud.put("inbox/list.urls", b"https://example.com/\nhttps://example.org/\n")
    now = cloud.records.now()
    cloud.records.create_corpus(Corpus(id="0" * 32, owner="events", created_at=now, expires_at=now // 1000 + 1_000))
    of_a_corpus = cloud.put(f"corpora/{'0' * 32}/page.html", b"<p>that is the question")

    def run() -> None:
        invoke(cloud, "s3", document, unversioned, document, of_a_corpus)()
        # A function that ends soon hands a list on.
        with Function("app.s3", env=cloud.environment()) as function:
            function.invoke(listed, timeout=12)

    used = cloud.calls_during(run)
    assert used | IN_A_RACE | IN_AN_ERASE | OF_S3 == allowed(policy("s3"))
    assert cloud.keys
    assert not cloud.beyond(policy("s3"))


def test_the_bus_s_function_may_do_what_it_does(cloud: Cloud) -> None:
    asked = [{"text": "to be"}, {"url": "https://example.com/"}]
    events = [{**_event("test", "Word Count Requested"), "detail": detail} for detail in asked]
    used = cloud.calls_during(invoke(cloud, "requested", *events, *events))
    assert used | IN_A_RACE == allowed(policy("requested"))
    assert cloud.keys
    assert not cloud.beyond(policy("requested"))


def test_the_sweep_may_do_what_it_does(cloud: Cloud) -> None:
    lost = a_job(owner="alice", submitted_at=1_000)
    cloud.records.submit(lost)
    given_up = {"state": records.RUNNING, "failures": 2, "kind": "text", "input_pieces": 1}
    cloud.records.submit(msgspec.structs.replace(lost, id=records.new_id(), **given_up), [b"text"])
    document = a_job(owner="alice", submitted_at=1_000)
    for name, body in (
        ("a.urls.report.jsonl", f'{{"line":1,"job_id":"{document.id}"}}\n'),
        (".open/a.urls.json", '{"key":"a.urls","reports":["reports/a.urls.report.jsonl"]}'),
    ):
        cloud.put(f"reports/{name}", body.encode())
    used = cloud.calls_during(invoke(cloud, "sweep", _event("aws.events", "Scheduled Event")))
    assert cloud.s3.head_object(Bucket=BUCKET, Key="reports/a.urls.results.csv")["ContentLength"] > 100
    assert used == allowed(policy("sweep"))
    assert cloud.keys
    assert not cloud.beyond(policy("sweep"))


def test_the_stream_s_function_may_do_what_it_does(cloud: Cloud) -> None:
    job = a_job(owner="alice", submitted_at=1_000, finished_at=2_000, state=records.CANCELED)
    image = {**key(f"job#{job.id}", "job"), **item_of(job)}
    stream = {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": "1", "NewImage": image}}
    used = cloud.calls_during(invoke(cloud, "ended", {"Records": [stream]}))
    assert used == allowed(policy("ended"))


def _wait_for(done: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not done():
        assert time.monotonic() < ends
        time.sleep(0.2)


def test_a_worker_may_do_what_it_does(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    import app

    role = {"Resources": build.load("workers.yaml")["Resources"] | build.load("spark.yaml")["Resources"]}
    monkeypatch.setattr(emr, "JOB_STATUS", "RUNNING")  # until there is an answer
    event = cloud.put("inbox/page.html", b"<p>to be")
    other = cloud.put("inbox/other.html", b"<p>or not")
    del other["detail"]["object"]["version-id"]
    invoke(cloud, "s3", event, other)()
    # A text of more than 1 MB, part of which goes to the bucket of texts.
    sent = [{"messageId": "1", "body": json.dumps({"text": "né " * 255_000})}]
    invoke(cloud, "sqs", {"Records": [{**message, "eventSource": "aws:sqs"} for message in sent]})()

    cloud.records.put_token(hashlib.sha256(TOKEN.encode()).hexdigest(), owner="alice", name="test")
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}

    def run() -> None:
        environment = os.environ | cloud.environment()
        worker = subprocess.Popen([sys.executable, "-m", "chalicelib.worker"], cwd=ROOT, env=environment)
        try:
            _wait_for(lambda: _states(cloud) == [records.SUCCEEDED] * 5)
            api("GET", f"/corpora/{corpus}/phrases")
            _answer_by_spark(cloud, corpus)
            _wait_for(lambda: _states(cloud) == [records.SUCCEEDED] * 6)
            api("DELETE", f"/corpora/{corpus}")
            _wait_for(lambda: cloud.s3.list_objects_v2(Bucket=TEXTS, Prefix="corpora/")["KeyCount"] == 0)
        finally:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0

    with Function("app.app", env=cloud.environment()) as function:
        gateway = Gateway(function, app.app)

        def api(method: str, target: str, body: str = "") -> Any:
            answer = gateway.request(method, target, headers, body)
            assert answer.status < 300, answer
            return answer

        corpus = api("POST", "/corpora", "{}").json()["id"]
        api("POST", f"/corpora/{corpus}/documents", json.dumps({"documents": [{"text": "to be"}]}))
        used = cloud.calls_during(run) - {("dynamodb:Scan", "table")}  # the test's own look
    assert used <= allowed(checks.statements(role, "WorkerRole")), "a call is missing"
    # The API's own look, for the erasing of the corpus.
    assert cloud.beyond(checks.statements(role, "WorkerRole")) <= {("dynamodb:GetItem", "tokens")}
    spare = allowed(checks.statements(role, "WorkerRole")) - used
    canceled = ("emr-serverless:CancelJobRun", "application/jobruns/*")
    lost = {("dynamodb:BatchGetItem", "table"), ("s3:DeleteObject", "texts/*"), canceled}
    assert spare <= lost, "which is called only when something was lost, or erased while Spark runs"
    assert lost <= allowed(checks.statements(role, "WorkerRole"))


def _answer_by_spark(cloud: Cloud, corpus: str) -> None:
    """The cluster's part: an answer in which nothing is found."""
    backend = emr.emrserverless_backends["123456789012"]["us-east-1"]
    _wait_for(lambda: cloud.application in backend.job_runs)
    [run] = backend.job_runs[cloud.application]
    folder = f"corpora/{corpus}/answers/{run.client_token}"
    cloud.s3.put_object(Bucket=TEXTS, Key=f"{folder}/answer.json", Body=b"[[]]")
    run.state = "SUCCESS"


def _states(cloud: Cloud) -> list[str]:
    items = cloud.dynamodb.scan(TableName=cloud.table)["Items"]
    return [item["state"]["S"] for item in items if item["sk"]["S"] == "job"]
