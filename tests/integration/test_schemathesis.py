"""schemathesis over the running stack: all checks, good and bad data, and sequences of requests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import run
from tests import conftest

# Small waits and no patience for names that do not exist: these tests are about the API, not about fetching.
SETTINGS = {"FETCH_ALLOW_NETWORKS": "127.0.0.0/8", "FETCH_DEADLINE": "1", "MAX_ATTEMPTS": "1", "LOG_LEVEL": "ERROR"}


def schemathesis(url: str, *arguments: str, output: Path) -> str:
    """What it says of the API at ``url``; the test fails with its end where it found something."""
    program = str(Path(sys.executable).with_name("schemathesis"))
    command = [program, "run", f"{url}/openapi.json", "--checks", "all", "--no-color", *arguments]
    with output.open("wb") as file:
        made = subprocess.run(command, cwd=conftest.ROOT, stdout=file, stderr=subprocess.STDOUT, check=False)
    said = output.read_text()
    assert made.returncode == 0, said[said.find("= FAILURES") :][:20000] + said[-1500:]
    return said


@pytest.mark.long
def test_schemathesis_finds_nothing(dynalite: str, redis_server: str, tmp_path: Path) -> None:
    """A hundred examples of each operation, then sequences; ``make fuzz`` runs for longer, and with other seeds."""
    environment = SETTINGS | {"AWS_ENDPOINT_URL_DYNAMODB": dynalite, "REDIS_URL": redis_server}
    environment |= {"TABLE_NAME": "schemathesis", "QUEUE_NAME": "schemathesis", "WORKER_PROCESSES": "2"}
    with run.running_stack(environment=environment, output=tmp_path / "stack.log") as url:
        seed = os.environ.get("SCHEMATHESIS_SEED", "1")
        phases = ("--phases", "examples,coverage,fuzzing", "--max-examples", "100")
        # The files of corpora are made by the code of those of jobs; `make fuzz` asks for them too.
        phases += ("--exclude-path-regex", r"^/corpora/.*\.csv$")
        said = schemathesis(url, *phases, "--seed", seed, output=tmp_path / "fuzzing.log")
        phases = ("--phases", "stateful", "--max-examples", "20")
        schemathesis(url, *phases, "--seed", seed, output=tmp_path / "stateful.log")
    assert "No issues found" in said or " passed" in said
