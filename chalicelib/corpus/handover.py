"""Phrases of a corpus that one worker cannot look for: handed over to Spark, and their rows fetched when it is done.

The job starts one run, puts itself off, and looks for the run again and again. All that it leaves in the object store
is in a folder of its own below the corpus' files, so that erasing the corpus deletes it. A run may outlive the corpus:
the job then waits for the run's end before it ends itself, and deletes what was written meanwhile.
"""

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from chalicelib import settings
from chalicelib.aws import emr, objects
from chalicelib.corpus import files, spark
from chalicelib.errors import AttemptFailed, ErrorKind
from chalicelib.store.corpora import Corpus
from chalicelib.store.records import Job, Records

PAUSE = 10.0  # seconds between two looks at a run, which takes a minute to start
LATE_MS = 3_600_000  # longer than a run may wait and take: what has not ended by then is given up


def is_needed(corpus: Corpus, question: str) -> bool:
    """Whether Spark is there and the corpus too large for a worker, which phrases need most of."""
    load = settings.load()
    return question == "phrases" and bool(load.spark_application) and corpus.manifest.words > load.spark_words


def fetched(store: Records, corpus: Corpus, job: Job, sql: str, values: Mapping[str, Any]) -> list[list[Any]] | None:
    """The rows of a query, or None while the run that looks for them has not ended.

    ``AttemptFailed`` where it could not be started, failed, or has not ended in time.
    """
    found = store.run_of(job)
    if found is None:
        store.note_run(job, _start(corpus, job, sql, values))
        return None
    state = _state(store, *found)
    if state not in emr.ENDED:
        return None
    rows: list[list[Any]] | None = None
    try:
        if state == emr.SUCCESS:
            [rows] = msgspec.json.decode(objects.get(_folder(job) + "answer.json"), type=list[list[list[Any]]])
    except objects.ObjectError as error:
        if not error.absent:
            raise
    with contextlib.suppress(objects.ObjectError):  # what is left goes with the corpus; the rows would be lost
        _drop(job)
    if rows is None:
        raise AttemptFailed(ErrorKind.SPARK_FAILED, f"The run on Spark ended as {state}, without an answer. Ask again.")
    return rows


def stopped(store: Records, job: Job) -> bool:
    """Whether no run of the job can write any more, when what it wrote is deleted; else its run is canceled."""
    if job.options["question"] != "phrases" or not settings.load().spark_application:
        return True
    found = store.run_of(job)
    if found is not None and (state := _state(store, *found)) not in emr.ENDED:
        if state != "CANCELLING":
            emr.cancel(found[0])
        return False
    _drop(job)
    return True


def _state(store: Records, run: str, started_at: int) -> str:
    return "FAILED" if store.now() - started_at > LATE_MS else emr.state(run)


def _start(corpus: Corpus, job: Job, sql: str, values: Mapping[str, Any]) -> str:
    """Start the run and return its id. What it is started with depends on the job alone: so it is only started once."""
    parts = corpus.manifest.parts
    names = [name for part in parts for name in files.of_part(corpus.id, part)["words"]]
    request = {
        "files": {"words": list(map(objects.address, names))},
        "removed": [doc for part in parts for doc in part.removed],
        "queries": [{"sql": sql, "values": values}],
        "output": objects.address(_folder(job) + "answer.json"),
    }
    objects.put(_folder(job) + "request.json", msgspec.json.encode(request))
    program = Path(spark.__file__).read_bytes()
    name = f"programs/spark-{hashlib.sha256(program).hexdigest()[:16]}.py"
    objects.put_once(name, program)
    return emr.start(job.id, objects.address(name), objects.address(_folder(job) + "request.json"))


def _folder(job: Job) -> str:
    return f"{files.folder(job.options['corpus'])}answers/{job.id}/"


def _drop(job: Job) -> None:
    for name in objects.names(_folder(job)):
        objects.delete(name)
