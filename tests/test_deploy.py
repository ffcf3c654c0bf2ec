"""scripts/deploy.sh against a stand-in for the AWS command line: what it asks for, in which state of a stack."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # each call of the stand-in is a process

ROOT = Path(__file__).resolve().parent.parent
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
]


class Command:
    """A copy of what the script reads, a stand-in for aws and podman, and what was called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "deploy.sh", folder / "scripts")
        built = folder / "build" / "staging"
        built.mkdir(parents=True)
        (built / "report.json").write_text('{"page": true}')
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

    def parameters(self) -> list[dict[str, Any]]:
        [call] = self.calls("create-change-set")
        found: list[dict[str, Any]] = json.loads(call[call.index("--parameters") + 1])
        return found


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.mark.parametrize("state", [(254, ""), (0, "REVIEW_IN_PROGRESS")])
def test_a_stack_of_which_nothing_was_made_is_created(command: Command, state: tuple[int, str]) -> None:
    run = command.run("deploy", answers=[[["StackStatus"], *state]])
    assert run.returncode == 0, run.stderr
    [call] = command.calls("create-change-set")
    assert call[call.index("--change-set-type") + 1] == "CREATE"
    assert command.calls("wait", "stack-create-complete")
    image = "1.dkr.ecr.eu-central-1.amazonaws.com/wordcounts@sha256:0"
    assert command.parameters() == [{"ParameterKey": "WorkerImage", "ParameterValue": image}]


def test_an_update_keeps_what_is_not_given_and_leaves_out_what_the_template_no_longer_has(command: Command) -> None:
    former = [["Parameters[].ParameterKey", "describe-stacks"], 0, "AlarmEmail\tGone\tBulkMax\tStage\tWorkerImage"]
    run = command.run(
        "deploy",
        'WebhookAuthorization=Bearer "a",[b]\\c=',
        "BulkMax=3",
        answers=[[["StackStatus"], 0, "UPDATE_COMPLETE"], former],
        IMAGE="repository@sha256:1",
    )
    assert run.returncode == 0, run.stderr
    assert command.parameters() == [
        {"ParameterKey": "WorkerImage", "ParameterValue": "repository@sha256:1"},
        {"ParameterKey": "WebhookAuthorization", "ParameterValue": 'Bearer "a",[b]\\c='},
        {"ParameterKey": "BulkMax", "ParameterValue": "3"},
        {"ParameterKey": "AlarmEmail", "UsePreviousValue": True},
    ]
    assert command.calls("execute-change-set")
    assert not command.calls("describe-images"), "an image that is given is not built"


@pytest.mark.parametrize("words", [["Parameters[].ParameterKey", "describe-stacks"], ["get-template-summary"]])
def test_an_update_that_cannot_ask_for_the_former_parameters_resets_none(command: Command, words: list[str]) -> None:
    run = command.run("deploy", answers=[[["StackStatus"], 0, "UPDATE_COMPLETE"], [words, 254, ""]])
    assert run.returncode != 0
    assert not command.calls("create-change-set")


def test_nothing_to_change_is_no_failure(command: Command) -> None:
    answers = [
        [["StackStatus"], 0, "UPDATE_COMPLETE"],
        [["wait", "change-set-create-complete"], 255, ""],
        [["StatusReason"], 0, "The submitted information didn't contain changes."],
    ]
    run = command.run("deploy", answers=answers)
    assert run.returncode == 0, run.stderr
    assert command.calls("delete-change-set")
    assert not command.calls("execute-change-set")


@pytest.mark.parametrize(
    "answers",
    [
        [[["StackStatus"], 0, "ROLLBACK_COMPLETE"]],
        [[["StackStatus"], 254, ""], [["wait", "change-set-create-complete"], 255, ""], [["StatusReason"], 0, "Bad."]],
    ],
)
def test_what_cannot_be_deployed_changes_nothing_and_says_so(command: Command, answers: list[Any]) -> None:
    run = command.run("deploy", answers=answers)
    assert run.returncode == 1
    assert "delete-stack" in run.stderr or "Bad." in run.stderr
    assert not command.calls("execute-change-set")


def test_nothing_is_applied_without_agreement(command: Command) -> None:
    run = command.run("deploy", answers=[[["StackStatus"], 0, "UPDATE_COMPLETE"]], YES="")
    assert run.returncode == 1
    assert not command.calls("execute-change-set")


def test_destroying_keeps_the_data_unless_told(command: Command) -> None:
    outputs = [[["'TableName'"], 0, "table"], [["'DocumentsBucket'"], 0, "documents"], [["'TextsBucket'"], 0, "texts"]]
    assert command.run("destroy", answers=outputs).returncode == 0
    assert command.calls("delete-stack")
    assert not command.calls("delete-table")
    assert not command.calls("delete-bucket")


def test_destroying_the_data_too_empties_the_bucket_of_every_version(command: Command) -> None:
    listed = command.folder / "listed"
    listed.write_text(json.dumps({"Objects": [{"Key": "k" * 900, "VersionId": str(n)} for n in range(500)]}))
    # The second listing finds nothing: the stand-in's answer is moved away by the deletion.
    aws = command.folder / "bin" / "aws"
    aws.write_text(
        aws.read_text()
        + f"""
if "list-object-versions" in arguments and not (folder / "deleted").exists():
    print(Path({str(listed)!r}).read_text())
"""
    )
    outputs = [[["'TableName'"], 0, "table"], [["'DocumentsBucket'"], 0, "documents"], [["'TextsBucket'"], 0, "texts"]]
    run = command.run("destroy", answers=outputs, DATA="delete")
    assert run.returncode == 0, run.stderr
    assert (command.folder / "deleted").read_text() == listed.read_text()
    assert command.calls("delete-table", "table")
    assert command.calls("delete-bucket", "documents")
    assert command.calls("delete-bucket", "texts")
