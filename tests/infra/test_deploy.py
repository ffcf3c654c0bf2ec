"""scripts/deploy.sh with a stand-in for the AWS command line: what it refuses to begin. tests/deploy runs the rest."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # each call of the stand-in is a process

ROOT = Path(__file__).resolve().parents[2]
AWS = f"""#!{sys.executable} -IS
import json, os, sys
from pathlib import Path
folder = Path(os.environ["AWS_STAND_IN"])
arguments = sys.argv[1:]
with (folder / "calls").open("a") as file:
    file.write(json.dumps(arguments) + "\\n")
if "--delete" in arguments:
    (folder / "deleted").write_text(Path(arguments[arguments.index("--delete") + 1].removeprefix("file://")).read_text())
answers = json.loads((folder / "answers").read_text())
for words, status, output in answers:
    if all(word in " ".join(arguments) for word in words):
        print(output, end="")
        sys.exit(status)
"""
BOOTSTRAP = [
    [["wordcounts-bootstrap", "'Packages'"], 0, "packages"],
    [["wordcounts-bootstrap", "'Repository'"], 0, "1.dkr.ecr.eu-central-1.amazonaws.com/wordcounts"],
    [["get-template-summary"], 0, "AlarmEmail\tBulkMax\tStage\tWebhookAuthorization\tWorkerImage"],
    [["describe-images"], 0, "sha256:0"],
    [["get-caller-identity"], 0, "123456789012"],
    [["get-account-settings"], 0, "1000"],
    [["describe-addresses"], 0, "0"],
    [["get-service-quota"], 0, "5.0"],
]


class Command:
    """A copy of what the script reads, a stand-in for aws and podman, and what was called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "deploy.sh", folder / "scripts")
        built = folder / "build" / "staging"
        built.mkdir(parents=True)
        (built / "report.json").write_text('{\n  "page": true,\n  "reserved_concurrency": 251\n}')
        (built / "deploy.json").write_text("{}")
        (folder / "bin").mkdir()
        for name, text in (("aws", AWS), ("podman", "#!/bin/sh\ncat >/dev/null\n")):
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)

    def run(self, action: str, *more: str, answers: list[Any], **environment: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "answers").write_text(json.dumps([*answers, *BOOTSTRAP]))
        (self.folder / "calls").write_text("")
        given = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "AWS_STAND_IN": str(self.folder)}
        given |= {"AWS_REGION": "eu-central-1", "ENGINE": "podman", "YES": "1", **environment}
        command = ["sh", "scripts/deploy.sh", action, "staging", *more]
        return subprocess.run(
            command, cwd=self.folder, env=given, input="", capture_output=True, text=True, check=False, timeout=60
        )

    def calls(self, *words: str) -> list[list[str]]:
        made: list[list[str]] = [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]
        return [call for call in made if set(words) <= set(call)]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.mark.parametrize(
    ("answers", "more", "said"),
    [
        ([[["get-account-settings"], 0, "10"]], (), "10 concurrent executions"),
        ([[["describe-addresses"], 0, "4"]], (), "4 of 5 Elastic IPs"),
        ([[["StackStatus"], 0, "ROLLBACK_COMPLETE"]], (), "delete-stack"),
        ([[["get-caller-identity"], 255, ""]], (), ""),
    ],
)
def test_what_would_fail_later_is_refused_before_anything_is_made(
    command: Command, answers: list[Any], more: tuple[str, ...], said: str
) -> None:
    run = command.run("deploy", *more, answers=[*answers, [["StackStatus"], 254, ""]])
    assert run.returncode != 0
    assert said in run.stderr
    assert not command.calls("deploy")
    assert not command.calls("create-change-set")


@pytest.mark.parametrize("engine", ["", "false"])
def test_without_an_engine_that_runs_the_image_s_platform_nothing_is_made(command: Command, engine: str) -> None:
    (command.folder / "bin" / "podman").unlink()
    tools = command.folder / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "grep", "sed", "date"):
        (tools / name).symlink_to(str(shutil.which(name)))
    path = f"{command.folder / 'bin'}:{tools}"
    run = command.run(
        "deploy", answers=[[["StackStatus"], 254, ""]], PATH=path, **({"ENGINE": engine} if engine else {})
    )
    assert run.returncode == 1
    assert "IMAGE=" in run.stderr
    assert not command.calls("deploy")


def test_a_first_deploy_makes_the_service_roles_and_names_the_image_by_digest(command: Command) -> None:
    run = command.run("deploy", answers=[[["StackStatus"], 254, ""], [["get-template-summary"], 0, "WorkerImage"]])
    assert run.returncode == 0, run.stderr
    assert len(command.calls("create-service-linked-role")) == 3
    [call] = command.calls("create-change-set")
    assert call[call.index("--change-set-type") + 1] == "CREATE"
    image = "1.dkr.ecr.eu-central-1.amazonaws.com/wordcounts@sha256:0"
    assert json.loads(call[call.index("--parameters") + 1]) == [
        {"ParameterKey": "WorkerImage", "ParameterValue": image}
    ]


@pytest.mark.parametrize("words", [["Parameters[].ParameterKey", "describe-stacks"], ["get-template-summary"]])
def test_an_update_that_cannot_ask_for_the_former_parameters_resets_none(command: Command, words: list[str]) -> None:
    run = command.run("deploy", answers=[[["StackStatus"], 0, "UPDATE_COMPLETE"], [words, 254, ""]])
    assert run.returncode != 0
    assert not command.calls("create-change-set")


def test_nothing_is_built_or_made_without_agreement_to_the_account_and_region(command: Command) -> None:
    run = command.run("deploy", answers=[[["StackStatus"], 0, "UPDATE_COMPLETE"]], YES="")
    assert run.returncode == 1
    assert "account 123456789012 in eu-central-1" in run.stdout
    assert not command.calls("deploy")
