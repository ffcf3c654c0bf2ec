"""What a pool says of its work: one log line a job, and what a sweep did."""

from typing import Any

from aws_lambda_powertools import Logger

from chalicelib import pipeline, sweeping
from chalicelib.aws import metrics

logger = Logger(service="wordcounts-worker")


def report(job_id: str, outcome: pipeline.Outcome) -> None:
    """One log line and one metrics line a job, without page text and without the address's query."""
    if outcome.job is None:
        logger.info("not claimed", job_id=job_id)
        return
    job, took = outcome.job, {part: round(seconds, 4) for part, seconds in outcome.seconds.items()}
    said: dict[str, Any] = {"job_id": job.id, "request_id": job.request_id, "state": outcome.state, "seconds": took}
    said |= {"attempt": job.attempt, "bytes": outcome.bytes, "kind": job.kind, "owner": job.owner}
    if outcome.error is not None:
        said["error"] = outcome.error["type"]
    if outcome.fault is not None:
        fault = outcome.fault
        logger.error("job", exc_info=(type(fault), fault, fault.__traceback__), **said)
    else:
        logger.info("job", **said)
    error = None if outcome.error is None else str(outcome.error["type"])
    metrics.emit_job(outcome.state, outcome.bytes, outcome.seconds, error)


def report_swept(swept: sweeping.Swept) -> None:
    """Say what a sweep has put on the queue again and what it gave up; nothing of one that found nothing."""
    if swept.requeued or swept.failed:
        logger.info("swept", requeued=len(swept.requeued), failed=len(swept.failed), complete=swept.complete)
        metrics.emit_swept(len(swept.requeued), len(swept.failed))
