"""schemathesis for longer, with a new seed each time: 500 examples of each operation, 100 sequences."""

import secrets
from pathlib import Path

from scripts import run
from tests.integration.test_schemathesis import SETTINGS, schemathesis


def test_schemathesis_finds_nothing_in_a_long_run(dynalite: str, redis_server: str, tmp_path: Path) -> None:
    environment = SETTINGS | {"AWS_ENDPOINT_URL_DYNAMODB": dynalite, "REDIS_URL": redis_server}
    environment |= {"TABLE_NAME": "schemathesis-fuzz", "QUEUE_NAME": "schemathesis-fuzz", "WORKER_PROCESSES": "2"}
    seed = str(secrets.randbelow(2**32))
    print(f"seed {seed}")
    with run.running_stack(environment=environment, output=tmp_path / "stack.log") as url:
        phases = ("--phases", "examples,coverage,fuzzing", "--max-examples", "500")
        schemathesis(url, *phases, "--seed", seed, output=tmp_path / "fuzzing.log")
        stateful = ("--phases", "stateful", "--max-examples", "100")
        schemathesis(url, *stateful, "--seed", seed, output=tmp_path / "stateful.log")
