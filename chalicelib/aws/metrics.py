"""Every metric of the service, written into the log in CloudWatch's embedded metric format."""

from collections.abc import Mapping


def emit_backlog(backlog: Mapping[str, tuple[int, float, int | None]]) -> None:
    """Write what the scaling and the alarms follow as CloudWatch metrics, into the log.

    Of each queue: jobs that wait, seconds since the oldest was due, and living tasks, or None where nobody can tell:
    then the metrics of tasks have no data and the scaling leaves all as it is.
    """
    for queue, (waiting, oldest, tasks) in backlog.items():
        values: dict[str, tuple[str, float]] = {"Backlog": ("Count", waiting), "OldestDueSeconds": ("Seconds", oldest)}
        if tasks is not None:
            values["Tasks"] = ("Count", tasks)
            values["BacklogPerTask"] = ("Count", waiting / max(1, tasks))
            values["Asleep"] = ("Count", int(waiting > 0 and tasks == 0))
        _emit({"queue": queue}, values)


def emit_submitted(queue: str, count: int) -> None:
    """Write how many jobs were accepted for a queue as a metric."""
    if count:
        _emit({"queue": queue}, {"Submitted": ("Count", count)})


def emit_swept(requeued: int, failed: int) -> None:
    """Write what a sweep has put on the queue again, and what it gave up, as metrics."""
    _emit({}, {"Requeued": ("Count", requeued), "GivenUp": ("Count", failed)})


def emit_job(state: str, size: int, seconds: Mapping[str, float], error: str | None) -> None:
    """Write how an attempt at a job ended, its page's bytes, and what each of its parts took."""
    if error is not None:  # a dimension of this one alone: each combination of values is paid for
        _emit({"error": error, "state": state}, {"Jobs": ("Count", 1)})
    took = {f"{part.capitalize()}Seconds": ("Seconds", passed) for part, passed in seconds.items()}
    _emit({"state": state}, {"Jobs": ("Count", 1), "Bytes": ("Bytes", size), **took})


def _emit(dimensions: Mapping[str, str], values: Mapping[str, tuple[str, float]]) -> None:
    from aws_lambda_powertools.metrics import EphemeralMetrics

    metrics = EphemeralMetrics(namespace="Wordcounts")
    for name, value in dimensions.items():
        metrics.add_dimension(name=name, value=value)
    for name, (unit, number) in values.items():
        metrics.add_metric(name=name, unit=unit, value=number)
    metrics.flush_metrics()
