"""`make package`, really run without AWS: what it writes, twice the same, and the zip under Lambda's runtime client."""

import hashlib
import json
import os
import platform
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from benchmarks import coldstart
from infra import checks, rights
from tests.conftest import Table
from tests.factories import records_by_boto3
from tests.integration.packaging import PYTHON, ROOT, packaged
from tests.lambda_runtime import Function, Gateway

pytestmark = [pytest.mark.beside, pytest.mark.long]  # a minute; `make faults` and `make deploy-test` package
POLICIES = ("AWS::IAM::Role", "AWS::IAM::RolePolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy")
HANDLERS = ("app", "sqs", "s3", "requested", "sweep", "ended")


@pytest.mark.parametrize("stage", ["production", "staging"])
def test_a_stage_packages_clean_and_small(stage: str) -> None:
    folder = packaged(stage)
    report = json.loads((folder / "report.json").read_text())
    assert report["zip_bytes"] < 5_000_000
    for name in ("package/sam.json", "translated.json"):
        template = json.loads((folder / name).read_text())
        assert checks.faults(template) == []
        assert template["Parameters"]["Stage"]["AllowedValues"] == [stage]


def test_each_right_that_aws_uses_itself_would_be_missed() -> None:
    """One right after the other taken away: what test_policies.py sees nothing call, infra/rights.py asks for."""
    sam = json.loads((packaged("production") / "package" / "sam.json").read_text())
    assert rights.faults(sam) == []
    ours = ("dynamodb:", "s3:", "events:PutEvents", "emr-serverless:")
    for name, resource in sam["Resources"].items():
        if resource["Type"] not in POLICIES:
            continue
        given = resource["Properties"].get("Policies", [resource["Properties"]])
        for statement in (each for policy in given for each in policy["PolicyDocument"]["Statement"]):
            whole = checks.as_list(statement["Action"])
            for action in whole:
                of_aws = "Stream" in json.dumps(statement.get("Sid", "")) or name == "SparkRole"
                if statement["Effect"] == "Allow" and (of_aws or not action.startswith(ours)):
                    statement["Action"] = [each for each in whole if each != action]
                    assert [*rights.faults(sam), *checks.faults(sam)], f"{name}: {action}"
            statement["Action"] = whole


def test_the_zip_has_checked_bytecode_of_everything_and_nothing_of_the_worker() -> None:
    with zipfile.ZipFile(packaged("production") / "package" / "deployment.zip") as archive:
        names = set(archive.namelist())
        sources = [name for name in names if name.endswith(".py")]
        for source in sources:
            folder, _, name = source.rpartition("/")
            compiled = f"{folder}/__pycache__/".lstrip("/") + f"{name[:-3]}.cpython-313.pyc"
            assert compiled in names
            flags = int.from_bytes(archive.read(compiled)[4:8], "little")
            assert flags == 0b01, f"{compiled} is checked against its source at each import"
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist() == sorted(names)
    tops = {name.split("/")[0] for name in names}
    assert not tops & {"boto3", "botocore", "nltk", "lxml", "bs4", "pip"}
    assert not names & {
        f"chalicelib/{name}.py" for name in ("counting", "extracting", "fetching", "pipeline", "worker")
    }
    assert any(re.fullmatch(r"msgspec/_core\..*aarch64.*\.so", name) for name in names), "msgspec is not built for ARM"


@pytest.mark.long
def test_packaging_again_in_another_folder_without_any_aws_gives_the_same_bytes(tmp_path: Path) -> None:
    first = json.loads((packaged("production") / "report.json").read_text())["zip_sha256"]
    copy = tmp_path / "elsewhere"
    wanted = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    for name in [*wanted.stdout.decode().split("\n"), *map(str, page_files())]:
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    nobody = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [str(PYTHON), "-m", "scripts.package", "production"]
    run = subprocess.run(command, cwd=copy, env=nobody, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert json.loads((copy / "build" / "production" / "report.json").read_text())["zip_sha256"] == first
    assert not (copy / ".chalice" / "deployments").exists()


def page_files() -> list[Path]:
    """The built page, which git does not know."""
    return [path.relative_to(ROOT) for path in (ROOT / "chalicelib" / "web").rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip's content, with this machine's builds of its compiled parts."""
    assert platform.system() == "Linux"
    packaged("production")
    return coldstart.packaged(tmp_path_factory.mktemp("zip") / "task")


@pytest.mark.parametrize("handler", HANDLERS)
def test_each_handler_of_the_zip_starts_under_the_runtime_client(unpacked: Path, handler: str) -> None:
    with Function(f"app.{handler}", root=unpacked, env={"AUTH": "token"}, python=str(PYTHON)) as function:
        assert function.init_cpu > 0


def test_the_zip_serves_a_job_through_the_gateway(unpacked: Path, redis_url: str, dynalite_table: Table) -> None:
    import app

    digest = hashlib.sha256(b"secret").hexdigest()
    records_by_boto3(dynalite_table.client, dynalite_table.name).put_token(digest, owner="alice", name="test")
    environment = {
        "AUTH": "token",
        "REDIS_URL": redis_url,
        "TABLE_NAME": dynalite_table.name,
        "AWS_ENDPOINT_URL_DYNAMODB": dynalite_table.endpoint,
    }
    headers = {"Authorization": "Bearer secret", "Content-Type": "application/json"}
    with Function("app.app", root=unpacked, env=environment, python=str(PYTHON)) as function:
        gateway = Gateway(function, app.app, stage="production")
        assert gateway.request("POST", "/jobs", {"Content-Type": "application/json"}, "{}").status == 401
        answer = gateway.request("POST", "/jobs", headers, json.dumps({"text": "to be"}))
        assert answer.status == 202, function.log()
        assert answer.headers["location"].startswith("/production/jobs/")
        read = gateway.request("GET", answer.headers["location"].removeprefix("/production"), headers)
        assert read.json()["state"] == "queued"
        assert gateway.request("GET", "/", headers).body.startswith(b"<!"), "the page is in the zip"
