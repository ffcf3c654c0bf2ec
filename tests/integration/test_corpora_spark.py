"""Phrases that Spark looks for: moto is EMR Serverless and the bucket, the test is the cluster.

Moto ends a run as soon as it is started, runs nothing, and knows no client token: runs are kept running here, the
program's part is played by DuckDB, and moto is taught that the same token is the same run. The program in a real
Spark is tests/scale.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from moto.emrserverless import models

from chalicelib import corpora, jobs, pipeline
from chalicelib.aws import emr, objects
from chalicelib.aws.clients import client
from chalicelib.corpus import answers, handover, spark
from chalicelib.corpus.engine import opened
from chalicelib.http import corpora as corpus_http
from chalicelib.store.records import Job, Records
from tests.conftest import make_table
from tests.integration.corpora import Run, new, some_text, text, worked_off

BUCKET, ROLE = "spark-texts", "arn:aws:iam::123456789012:role/spark"
PAGE = {"limit": 20, "offset": 0}
QUESTIONS: list[dict[str, Any]] = [
    {"n": 2, "min_count": 2, "measure": "g2", "stop_words": "edges", **PAGE},
    {"n": 3, "min_count": 2, "measure": "npmi", "stop_words": "any", **PAGE},
    {"n": 2, "min_count": 2, "measure": "logdice", "stop_words": "include", "limit": 4, "offset": 3},
]


class Cluster:
    """EMR Serverless with one application, and what a cluster does with its runs."""

    def __init__(self, endpoint: str, folder: Path) -> None:
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "endpoint_url": endpoint}
        session = boto3.session.Session(region_name="us-east-1")
        self.s3 = session.client("s3", **keys)
        self.s3.create_bucket(Bucket=BUCKET)
        made = session.client("emr-serverless", **keys).create_application(releaseLabel="emr-7.10.0", type="SPARK")
        self.application, self.folder = made["applicationId"], folder

    @property
    def runs(self) -> list[models.JobRun]:
        return models.emrserverless_backends["123456789012"]["us-east-1"].job_runs.get(self.application, [])

    def object(self, address: str) -> bytes:
        bucket, _, key = address.removeprefix("s3://").partition("/")
        found: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return found

    def files(self, prefix: str) -> list[str]:
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())]

    def answer(self) -> None:
        """What the last run's program writes."""
        given = self.runs[-1].job_driver["sparkSubmit"]  # type: ignore[index]
        assert self.object(str(given["entryPoint"])) == Path(spark.__file__).read_bytes()
        asked = json.loads(self.object(given["entryPointArguments"][0]))
        paths = {kind: [self.fetched(address) for address in files] for kind, files in asked["files"].items()}
        with opened(paths, asked["removed"]) as engine:
            found = json.dumps([engine.rows(each["sql"], **each["values"]) for each in asked["queries"]]).encode()
        self.s3.put_object(Bucket=BUCKET, Key=asked["output"].removeprefix(f"s3://{BUCKET}/"), Body=found)

    def fetched(self, address: str) -> Path:
        path = self.folder / address.replace("/", "-")
        path.write_bytes(self.object(address))
        return path

    def end(self, state: str = "SUCCESS") -> None:
        self.runs[-1].state = state


@pytest.fixture
def cluster(moto_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    requests.post(f"{moto_server}/moto-api/reset", timeout=10)
    real = models.EMRServerlessBackend.start_job_run

    def start(
        self: models.EMRServerlessBackend, application_id: str, client_token: str, *more: Any, **given: Any
    ) -> Any:
        same = [run for run in self.job_runs.get(application_id, []) if run.client_token == client_token]
        return same[0] if same else real(self, application_id, client_token, *more, **given)

    monkeypatch.setattr(models.EMRServerlessBackend, "start_job_run", start)
    monkeypatch.setattr(models, "JOB_STATUS", "RUNNING")
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    client.cache_clear()  # type: ignore[attr-defined]
    for _ in make_table("moto", moto_server, monkeypatch):
        made = Cluster(moto_server, tmp_path)
        monkeypatch.setenv("SPARK_APPLICATION", made.application)
        monkeypatch.setenv("SPARK_ROLE", ROLE)
        monkeypatch.setenv("SPARK_WORDS", "20")
        yield made
    client.cache_clear()  # type: ignore[attr-defined]


@pytest.fixture
def run(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    made = worked_off(tmp_path, monkeypatch)
    monkeypatch.setenv("OBJECT_STORE", f"s3://{BUCKET}/kept")
    return made


@pytest.fixture
def corpus(run: Run) -> str:
    made = new()
    corpora.add(made, "ann", [text(some_text(at), f"k{at}") for at in range(5)])
    run()
    corpora.remove(made, "ann", "k4")
    run()
    return made


def test_some_bytes_of_an_object_in_a_bucket_are_read(run: Run) -> None:
    objects.put("some", b"0123456789")
    found = [objects.get("some", *part) for part in ((), (3,), (3, 5), (8, 99))]
    assert found == [b"0123456789", b"3456789", b"34", b"89"]


def asked(corpus: str, number: int = 0) -> Job:
    return corpora.ask(corpora.get(corpus, "ann"), "phrases", QUESTIONS[number])


def attempt(job: Job) -> str:
    """What comes of the job's next attempt; ``state kind`` where it fails."""
    jobs.table()._change(job.id, {"not_before": 0}, "#version > :none", {":none": 0})
    outcome = pipeline.count_page(job.id)
    assert outcome.fault is None, outcome.fault
    assert outcome.error is None or "EMR" not in outcome.error["detail"]
    return outcome.state if outcome.error is None else f"{outcome.state} {outcome.error['type']}"


def left(cluster: Cluster, job: Job) -> list[str]:
    """What the job has in the bucket."""
    return cluster.files(f"kept/corpora/{job.options['corpus']}/answers/{job.id}/")


def test_spark_gives_the_answers_that_duckdb_gives(cluster: Cluster, corpus: str) -> None:
    for number, question in enumerate(QUESTIONS):
        job = asked(corpus, number)
        assert attempt(job) == attempt(job) == "deferred"
        assert len(cluster.runs) == number + 1
        cluster.answer()
        cluster.end()
        assert attempt(job) == "succeeded"
        found = jobs.table().get(job.id)
        assert found is not None
        assert found.failures == 0
        assert corpora.answer(found) == answers.answer(corpora.get(corpus, "ann"), "phrases", question)
        assert left(cluster, job) == []
    assert {run.execution_timeout_minutes for run in cluster.runs} == {emr.RUN_MINUTES}
    assert len(cluster.files("kept/programs/")) == 1


def test_what_a_worker_can_hold_it_answers_itself(
    cluster: Cluster, corpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"word": "price", "window": 4, "min_count": 2, "stop_words": "exclude", **PAGE}
    assert attempt(corpora.ask(corpora.get(corpus, "ann"), "collocates", wanted)) == "succeeded"
    monkeypatch.setenv("SPARK_WORDS", "240")  # as many as the corpus has
    assert attempt(asked(corpus)) == "succeeded"
    monkeypatch.setenv("SPARK_WORDS", "239")
    monkeypatch.setenv("SPARK_APPLICATION", "")
    assert attempt(asked(corpus, 1)) == "succeeded"
    assert cluster.runs == []
    monkeypatch.setenv("SPARK_APPLICATION", cluster.application)
    assert attempt(asked(corpus, 2)) == "deferred"


def test_a_run_that_leaves_no_answer_fails_the_question_which_may_be_asked_anew(
    cluster: Cluster, corpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, state in enumerate(["FAILED", "CANCELLED", "SUCCESS"]):
        job = asked(corpus, number)
        assert attempt(job) == "deferred"
        cluster.end(state)
        assert attempt(job) == "failed spark-failed"
        assert left(cluster, job) == []
    ended = jobs.table().get(job.id)
    assert ended is not None
    refused = corpus_http.no_answer(ended)
    assert (refused.name, refused.error.type) == ("job-failed", "spark-failed")
    again = asked(corpus, number)
    assert again.id != job.id
    assert attempt(again) == "deferred"
    assert len(cluster.runs) == 4
    monkeypatch.setattr(emr, "state", lambda run: emr.UNKNOWN)
    assert attempt(again) == "deferred"
    monkeypatch.setattr(handover, "LATE_MS", -1)  # what never ends is given up
    assert attempt(again) == "failed spark-failed"
    assert left(cluster, again) == []


def test_a_worker_that_dies_after_the_start_has_started_one_run(
    cluster: Cluster, corpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = asked(corpus)
    with monkeypatch.context() as patch:
        patch.setattr(Records, "note_run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pipeline.count_page(job.id)
    held = jobs.table().get(job.id)
    assert held is not None
    jobs.table().give_back(held, failed=True)
    assert attempt(job) == "deferred"
    assert len(cluster.runs) == 1
    cluster.answer()
    cluster.end()
    assert attempt(job) == "succeeded"


def test_a_run_of_an_erased_corpus_is_canceled_and_leaves_nothing(cluster: Cluster, corpus: str, run: Run) -> None:
    job = asked(corpus)
    assert attempt(job) == "deferred"
    cluster.answer()  # which no look has found yet
    corpora.erase(corpus, "ann")
    assert attempt(job) == "deferred"
    assert cluster.runs[0].state == "CANCELLED"
    cluster.end("CANCELLING")
    run_all(run)
    cluster.s3.put_object(Bucket=BUCKET, Key=f"kept/corpora/{corpus}/answers/{job.id}/answer.json", Body=b"late")
    assert attempt(job) == "deferred", "it may write until it has ended"
    cluster.end("CANCELLED")
    assert attempt(job) == "failed corpus-gone"
    assert cluster.files("kept/corpora/") == []


def run_all(run: Run) -> None:
    """All jobs but the question, whose run goes on."""
    with pytest.MonkeyPatch.context() as patch:
        real = pipeline.count_page

        def without_queries(job_id: str) -> pipeline.Outcome:
            job = jobs.table().get(job_id)
            return pipeline.Outcome() if job is not None and job.kind == "query" else real(job_id)

        patch.setattr(pipeline, "count_page", without_queries)
        run()


def test_a_run_for_a_corpus_that_has_changed_is_canceled(cluster: Cluster, corpus: str, run: Run) -> None:
    job = asked(corpus)
    assert attempt(job) == "deferred"
    corpora.add(corpus, "ann", [text(some_text(50), "k50")])
    run_all(run)
    assert attempt(job) == "deferred"
    assert cluster.runs[0].state == "CANCELLED"
    assert attempt(job) == "failed corpus-changed"
    assert left(cluster, job) == []


def test_what_cannot_be_started_fails_and_an_outage_is_met_again(
    cluster: Cluster, corpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = asked(corpus)
    monkeypatch.setenv("AWS_ENDPOINT_URL_EMR_SERVERLESS", "http://127.0.0.1:9")
    client.cache_clear()  # type: ignore[attr-defined]
    assert attempt(job) == "retried spark-failed"
    monkeypatch.delenv("AWS_ENDPOINT_URL_EMR_SERVERLESS")
    client.cache_clear()  # type: ignore[attr-defined]
    assert attempt(job) == "deferred"
    monkeypatch.setenv("SPARK_APPLICATION", "00none")
    other = asked(corpus, 1)
    assert attempt(other) == "failed spark-failed"
    monkeypatch.setenv("SPARK_APPLICATION", cluster.application)
    assert [run.client_token for run in cluster.runs] == [job.id]
    assert emr.state("00gone") == "FAILED", "which no run has: it has left nothing to wait for"
    emr.cancel("00gone")
