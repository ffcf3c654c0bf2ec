"""A list of 100,000 lines through the S3 handler under Lambda's runtime client; 20,000 jobs before a person's."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib import jobs, queue, submissions
from tests.conftest import Table
from tests.lambda_runtime import ROOT, Function

LINES = 100_000
pytestmark = pytest.mark.slow


@pytest.fixture
def aws(dynalite_table: Table, redis_url: str, moto_server: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A bucket on moto, a table on dynalite, a real Redis; returns a function's environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto_server)
    names = {"REDIS_URL": redis_url, "TABLE_NAME": dynalite_table.name, "AWS_ENDPOINT_URL_S3": moto_server}
    names |= {"AWS_ENDPOINT_URL_DYNAMODB": dynalite_table.endpoint, "AUTH": "token"}
    return {**names, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}


def put_list(lines: int) -> dict[str, Any]:
    """A list in a bucket of its own, and the event of its creation."""
    bucket, s3 = f"lists-{uuid.uuid4().hex[:8]}", boto3.client("s3")
    s3.create_bucket(Bucket=bucket)
    body = "".join(f"https://site{n % 997}.example/page/{n}?of=list\n" for n in range(lines))
    etag = s3.put_object(Bucket=bucket, Key="big.urls", Body=body.encode())["ETag"].strip('"')
    about = {"version": "0", "account": "1", "region": "r", "resources": [], "time": "2026-01-01T00:00:00Z", "id": "e"}
    there = {"bucket": {"name": bucket}, "object": {"key": "big.urls", "etag": etag, "size": len(body)}}
    return {**about, "source": "aws.s3", "detail-type": "Object Created", "detail": there}


def report(event: dict[str, Any]) -> list[dict[str, Any]]:
    where = {"Bucket": event["detail"]["bucket"]["name"], "Key": "reports/big.urls.report.jsonl"}
    body = boto3.client("s3").get_object(**where)["Body"].read()
    return [json.loads(line) for line in body.splitlines()]


def ids_in(table: Table) -> list[str]:
    """The id of every job in the table."""
    pages = table.client.get_paginator("scan").paginate(TableName=table.name, ProjectionExpression="pk")
    return [item["pk"]["S"].removeprefix("job#") for page in pages for item in page["Items"]]


def test_a_list_killed_half_way_and_run_again_loses_and_doubles_nothing(
    dynalite_table: Table, aws: dict[str, str]
) -> None:
    killed_half_way(dynalite_table, aws, LINES)


def killed_half_way(table: Table, aws: dict[str, str], count: int) -> None:
    """Run a list, kill the function in the middle, run it again, and look for what is lost or there twice."""
    event = put_list(count)
    with Function("app.s3", env=aws) as function, contextlib.ExitStack() as waiting:
        killer = threading.Thread(target=kill_at, args=(function, count // 2))
        killer.start()
        waiting.callback(killer.join)
        with pytest.raises(RuntimeError, match="the runtime ended"):
            function.invoke(event, timeout=600)
    left = len(ids_in(table))
    assert count // 2 <= left < count
    with Function("app.s3", env=aws) as function:
        assert function.invoke(event, timeout=1800) == {"jobs": count, "refused": 0}
    lines = report(event)
    assert [line["line"] for line in lines] == list(range(1, count + 1))
    ids = {line["job_id"] for line in lines}
    assert len(ids) == count
    assert sorted(ids) == sorted(ids_in(table))
    # What the killed function had written and not put on the queue yet is the sweep's: at most one batch.
    assert count - 500 <= queue.depth("bulk") <= count


def kill_at(function: Function, jobs_made: int) -> None:
    """SIGKILL the function once so many jobs are on the queue, or after ten minutes."""
    until = time.monotonic() + 600
    while queue.depth("bulk") < jobs_made and time.monotonic() < until:
        time.sleep(0.02)
    function.kill()


def test_100_000_lines_pass_within_256_mb_and_at_a_thousand_a_second_of_processor_time(
    aws: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    event = put_list(LINES)
    with Function("app.s3", env=aws, memory=256) as function:
        before = function.cpu_seconds()
        assert function.invoke(event, timeout=1800) == {"jobs": LINES, "refused": 0}
        rate = LINES / (function.cpu_seconds() - before)
        memory = function.memory_bytes() / 2**20
    with capsys.disabled():
        print(f"\n{rate:.0f} submissions a second of CPU, {memory:.0f} MiB at most")
    assert rate >= 1000
    assert memory < 256


def test_a_persons_job_starts_within_a_second_while_20_000_bulk_jobs_wait(
    dynalite_table: Table, redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        jobs.Request(submissions.read({"url": f"http://site.example/{n}"}), "anonymous", f"bulk-{n}", jobs.BULK)
        for n in range(20_000)
    ]
    for start in range(0, len(asked), 1000):
        assert not any(isinstance(one, Exception) for one in jobs.submit_many(asked[start : start + 1000]))
    environment = {**os.environ, "WORKER_PROCESSES": "interactive:2,bulk:1", "TMPDIR": str(tmp_path)}
    worker = subprocess.Popen([sys.executable, "-m", "chalicelib.worker"], cwd=ROOT, env=environment)
    try:
        warm, _ = jobs.submit(jobs.Request(submissions.read({"text": "warm"}), "anonymous"))
        until = time.monotonic() + 60
        while jobs.get(warm.id, "anonymous").state != "succeeded" and time.monotonic() < until:
            time.sleep(0.1)  # the workers are there once this has ended
        waits = []
        for number in range(10):
            job, _ = jobs.submit(jobs.Request(submissions.read({"text": f"person {number}"}), "anonymous"))
            done = jobs.wait(job, 20)
            assert done.state == "succeeded"
            assert done.started_at is not None
            waits.append((done.started_at - done.submitted_at) / 1000)
            time.sleep(0.2)
        assert queue.depth("bulk") > 15_000, "the bulk jobs still wait"
    finally:
        worker.terminate()
        worker.wait(60)
    with capsys.disabled():
        print(f"\nstarted after {', '.join(f'{wait * 1000:.0f}' for wait in waits)} ms")
    assert sorted(waits)[-1] < 1
