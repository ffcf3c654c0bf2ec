"""Runs of Spark on EMR Serverless: start one, ask how it is, cancel it."""

import contextlib

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import settings
from chalicelib.aws.clients import client
from chalicelib.errors import AttemptFailed, ErrorKind

RUN_MINUTES = 20  # that a run may take; what it waits for before is the application's to bound
SUCCESS, UNKNOWN = "SUCCESS", "UNKNOWN"
ENDED = frozenset({SUCCESS, "FAILED", "CANCELLED"})


def start(token: str, program: str, request: str) -> str:
    """Start a run of a program in the object store, with its request, and return its id.

    The same token again is the same run. ``AttemptFailed`` where EMR Serverless refuses it or does not answer.
    """
    load = settings.load()
    try:
        answer = client("emr-serverless").start_job_run(
            applicationId=load.spark_application,
            executionRoleArn=load.spark_role,
            clientToken=token,
            name=token,
            executionTimeoutMinutes=RUN_MINUTES,
            jobDriver={"sparkSubmit": {"entryPoint": program, "entryPointArguments": [request]}},
        )
    except ClientError as error:
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        raise _not_started(error.response["Error"]["Code"], transient=status >= 500 or status == 429) from error
    except BotoCoreError as error:
        raise _not_started(type(error).__name__, transient=True) from error
    return str(answer["jobRunId"])


def _not_started(why: str, *, transient: bool) -> AttemptFailed:
    detail = f"Spark could not be started: {why}. Ask again in a minute."
    return AttemptFailed(ErrorKind.SPARK_FAILED, detail, transient=transient)


def state(run: str) -> str:
    """A run's state as EMR Serverless names it; ``UNKNOWN`` where it does not say now."""
    try:
        answer = client("emr-serverless").get_job_run(applicationId=settings.load().spark_application, jobRunId=run)
    except ClientError as error:
        return "FAILED" if error.response["Error"]["Code"] == "ResourceNotFoundException" else UNKNOWN
    except BotoCoreError:
        return UNKNOWN
    return str(answer["jobRun"]["state"])


def cancel(run: str) -> None:
    """Ask for a run's end, which its state will tell."""
    with contextlib.suppress(BotoCoreError, ClientError):  # it has ended meanwhile, or is asked again
        client("emr-serverless").cancel_job_run(applicationId=settings.load().spark_application, jobRunId=run)
