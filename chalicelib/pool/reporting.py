"""What a pool says of its work: one log line and one metrics line a job, and what a sweep did."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from chalicelib import pipeline, sweeping

logger = Logger(service="wordcounts-worker")
metrics = Metrics(namespace="Wordcounts")


def report(job_id: str, outcome: pipeline.Outcome) -> None:
    """One log line and one metrics line a job, without page text and without the address's query."""
    if outcome.job is None:
        logger.info("not to be had", job_id=job_id)
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
    if outcome.error is not None:  # a dimension of this one alone: each combination of values is paid for
        metrics.add_dimension(name="error", value=str(outcome.error["type"]))
        metrics.add_dimension(name="state", value=outcome.state)
        metrics.add_metric(name="Jobs", unit=MetricUnit.Count, value=1)
        metrics.flush_metrics()
    metrics.add_dimension(name="state", value=outcome.state)
    metrics.add_metric(name="Jobs", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="Bytes", unit=MetricUnit.Bytes, value=outcome.bytes)
    for part, seconds in outcome.seconds.items():
        metrics.add_metric(name=f"{part.capitalize()}Seconds", unit=MetricUnit.Seconds, value=seconds)
    metrics.flush_metrics()


def report_swept(swept: sweeping.Swept) -> None:
    """Say what a sweep has put on the queue again and what it gave up; nothing of one that found nothing."""
    if swept.requeued or swept.failed:
        logger.info("swept", requeued=len(swept.requeued), failed=len(swept.failed), complete=swept.complete)
        metrics.add_metric(name="Requeued", unit=MetricUnit.Count, value=len(swept.requeued))
        metrics.add_metric(name="GivenUp", unit=MetricUnit.Count, value=len(swept.failed))
        metrics.flush_metrics()
