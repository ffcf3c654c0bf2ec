"""Breaks the packaged stage in one place at a time, and says which test sees it: ``python -m tests.deploy.mutations``.

After `make deploy-test`, whose package it changes and puts back. About two minutes for each; 1 if a test sees nothing.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tests.deploy.cloud import ROOT

TEMPLATE = ROOT / "build" / "staging" / "package" / "sam.json"
# One deploy, then what was deployed.
TESTS = (
    "is_deployed or told or rule or canceled or fails_where or becomes or api_takes or ended_left or corpus or sweeps"
)
Resources = dict[str, Any]


def handler(stage: Resources) -> None:
    """The name of a function's handler."""
    stage["Sqs"]["Properties"]["Handler"] = "app.sqss"


def variable(stage: Resources) -> None:
    """An environment variable: the bus that events of ended jobs go to."""
    del stage["Ended"]["Properties"]["Environment"]["Variables"]["EVENT_BUS"]


def pattern(stage: Resources) -> None:
    """The pattern of a rule: the events that ask for a job."""
    [event] = stage["Requested"]["Properties"]["Events"].values()
    event["Properties"]["Pattern"] = {"detail-type": ["Word Counts Requested"]}


def stream(stage: Resources) -> None:
    """The filter of the stream: records of another kind."""
    [event] = stage["Ended"]["Properties"]["Events"].values()
    event["Properties"]["FilterCriteria"]["Filters"] = [{"Pattern": '{"dynamodb": {"NewImage": {"sk": {"S": ["x"]}}}}'}]


def permission(stage: Resources) -> None:
    """A permission: a worker may not change records."""
    for policy in stage["WorkerRole"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if isinstance(statement["Action"], list) and "dynamodb:UpdateItem" in statement["Action"]:
                statement["Action"].remove("dynamodb:UpdateItem")


def failed(mutation: Callable[[Resources], None]) -> str:
    """The test that fails with this mutation, and what it says; empty when all pass."""
    whole = TEMPLATE.read_text()
    template = json.loads(whole)
    mutation(template["Resources"])
    try:
        TEMPLATE.write_text(json.dumps(template))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-k", TESTS, "tests/deploy"]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    finally:
        TEMPLATE.write_text(whole)
    found = re.search(r"^(?:FAILED|ERROR) \S+::(\S+)", run.stdout, re.MULTILINE)
    said = re.findall(r"^E +(.+)$", run.stdout, re.MULTILINE)
    return "\n    ".join([found[1], *said[:6]]) if found else ""


def main(names: list[str]) -> int:
    """All mutations, or those that are named."""
    blind = 0
    for mutation in (handler, variable, pattern, stream, permission):
        if names and mutation.__name__ not in names:
            continue
        seen = failed(mutation)
        blind += not seen
        print(f"{mutation.__doc__}\n    {seen or 'NOT SEEN'}", flush=True)
    return 1 if blind else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
