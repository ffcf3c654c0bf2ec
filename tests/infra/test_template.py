"""What infra/ says, without packaging: the merged template, the policies, the Dockerfile's promises."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from chalicelib import errors
from chalicelib.aws import emr
from chalicelib.corpus import handover
from chalicelib.http import schemas
from chalicelib.store.table import TABLE, TTL_ATTRIBUTE
from infra import build, checks

pytestmark = pytest.mark.slow  # the template is built again for each stage

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ("api_handler", "sqs", "s3", "requested", "sweep", "ended")
CONFIG = json.loads((ROOT / ".chalice" / "config.json").read_text())
POLICIES = {name: json.loads((ROOT / ".chalice" / "policies" / f"{name}.json").read_text()) for name in FUNCTIONS}


def template(stage: str = "production", **given: Any) -> dict[str, Any]:
    given |= {"table": TABLE, "ttl_attribute": TTL_ATTRIBUTE, "concurrency": reserved(stage)}
    return build.template(stage, functions=FUNCTIONS, **given)


def reserved(stage: str) -> dict[str, int]:
    functions = CONFIG["stages"][stage].get("lambda_functions", {})
    return {name: given["reserved_concurrency"] for name, given in functions.items()}


def test_every_function_has_a_policy_and_a_size_and_reserves_concurrency_in_production_alone() -> None:
    assert set(CONFIG["lambda_functions"]) == set(FUNCTIONS)
    assert set(reserved("production")) == set(FUNCTIONS)
    assert reserved("staging") == {}, "a new account has ten to share"
    for name, settings in CONFIG["lambda_functions"].items():
        assert settings["iam_policy_file"] == f"policies/{name}.json"
    assert CONFIG["autogen_policy"] is False


def test_the_stage_local_sets_nothing_that_would_beat_the_shell() -> None:
    assert CONFIG["stages"]["local"] == {}


@pytest.mark.parametrize("stage", build.STAGES)
def test_a_stage_on_aws_asks_for_a_token(stage: str) -> None:
    assert CONFIG["stages"][stage]["environment_variables"]["AUTH"] == "token"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_policy_allows_every_resource_where_resources_have_names(function: str) -> None:
    for statement in POLICIES[function]["Statement"]:
        actions = set(checks.as_list(statement["Action"]))
        assert not any("*" in action for action in actions)
        assert "*" not in checks.as_list(statement["Resource"]) or actions <= checks.NAMELESS


def test_the_checks_see_what_is_wrong() -> None:
    table = {"Fn::GetAtt": ["Table", "Arn"]}
    tokens = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["tokens"]}}
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "ManagedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"],
            "Policies": [
                {
                    "PolicyDocument": {
                        "Statement": [
                            {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket"},
                            {"Effect": "Allow", "Action": ["dynamodb:GetItem"], "Resource": ["*"]},
                            {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": table},
                            {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": table, "Condition": tokens},
                        ]
                    }
                }
            ],
        },
    }
    function = {
        "Type": "AWS::Serverless::Function",
        "Properties": {"Role": {"Fn::GetAtt": ["Role", "Arn"]}, "VpcConfig": {}, "Events": {"Typo": {}}},
    }
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {}}
    resources = {"Role": role, "One": function, "Two": function, "Bucket": bucket, "Nowhere": {}}
    found = checks.faults({"Resources": resources})
    for part in (
        "managed",
        "wildcard",
        "every resource",
        "every item",
        "make or list tokens",
        "shares",
        "ec2:",
        "own code",
        "log group",
        "arm64",
        "Typo",
        "Nowhere",
        "without TLS",
        "made public",
    ):
        assert any(part in fault for fault in found), (part, found)


def test_the_table_comes_from_the_records() -> None:
    properties = template()["Resources"]["Table"]["Properties"]
    assert {key: properties[key] for key in TABLE} == TABLE
    assert properties["TimeToLiveSpecification"] == {"AttributeName": TTL_ATTRIBUTE, "Enabled": True}
    for name in ("Table", "Documents", "Texts"):
        kept = template()["Resources"][name]
        # Not what a failed first deploy has made: it holds nothing, and the next one could not be told from it.
        assert (kept["DeletionPolicy"], kept["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


@pytest.mark.parametrize("stage", build.STAGES)
def test_no_more_readers_of_the_queue_than_functions_that_may_run(stage: str) -> None:
    resources = template(stage)["Resources"]
    source = resources["Sqs"]["Properties"]["Events"]["SqsSqsEventSource"]["Properties"]
    assert 2 <= source["ScalingConfig"]["MaximumConcurrency"] <= reserved(stage).get("sqs", build.UNRESERVED)
    queue = resources["Submissions"]["Properties"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5
    assert queue["VisibilityTimeout"] >= 6 * CONFIG["lambda_functions"]["sqs"]["lambda_timeout"]


def test_the_bucket_of_packages_is_closed_too() -> None:
    assert checks.faults(build.load("bootstrap.yaml")) == []


def test_no_image_and_no_package_expires_under_a_stage_that_runs_it() -> None:
    resources = build.load("bootstrap.yaml")["Resources"]
    assert "LifecyclePolicy" not in resources["Images"]["Properties"]
    assert "LifecycleConfiguration" not in resources["Packages"]["Properties"]


def test_each_pool_serves_one_queue() -> None:
    resources = template()["Resources"]
    processes = {
        variable["Value"]["Fn::Sub"]
        for pool in build.POOLS
        for variable in resources[f"{pool}Task"]["Properties"]["ContainerDefinitions"][0]["Environment"]
        if variable["Name"] == "WORKER_PROCESSES"
    }
    assert processes == {"interactive:${TaskProcesses},bulk:0", "interactive:0,bulk:${TaskProcesses}"}
    assert resources["BulkTarget"]["Properties"]["MinCapacity"] == 0
    assert resources["BulkService"]["Properties"]["DesiredCount"] == 0, "a deploy must not wait for Spot capacity"
    assert "DesiredCount" not in resources["InteractiveService"]["Properties"]
    for mark in ("_Pool_", "_pool_", "_Function_", *build.POOLS["Bulk"]):
        assert mark not in json.dumps(resources)


def test_workers_get_the_plain_settings_of_the_stage() -> None:
    task = template(variables={"LOG_LEVEL": "DEBUG"})["Resources"]["BulkTask"]["Properties"]
    assert {"Name": "LOG_LEVEL", "Value": "DEBUG"} in task["ContainerDefinitions"][0]["Environment"]


def test_what_the_gateway_says_by_itself_is_a_problem() -> None:
    api = template(allow_origin="https://example.com")["Resources"]["RestAPI"]["Properties"]
    responses = api["DefinitionBody"]["x-amazon-apigateway-gateway-responses"]
    statuses = {response.get("statusCode") for response in responses.values()}
    assert {"401", "403", "404", "413", "415", "429", "500", "503", "504"} <= statuses
    assert responses["MISSING_AUTHENTICATION_TOKEN"]["statusCode"] == "404"
    # What a throttled function is to the gateway.
    assert responses["INTEGRATION_FAILURE"]["statusCode"] == "503"
    assert responses["INTEGRATION_FAILURE"]["responseParameters"]["gatewayresponse.header.Retry-After"] == "'1'"
    for response in responses.values():
        [body] = response["responseTemplates"].values()
        problem = json.loads(body.replace("$context.error.messageString", '"why"'))
        assert problem.get("status") == (int(response["statusCode"]) if "statusCode" in response else None)
        assert {"type", "title", "detail"} <= set(problem)
        assert problem["type"].removeprefix(schemas.URN) in errors.PROBLEMS
        headers = response["responseParameters"]
        assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        assert headers["gatewayresponse.header.Access-Control-Allow-Origin"] == "'https://example.com'"
        assert headers["gatewayresponse.header.Access-Control-Expose-Headers"] == "'Retry-After'"


def test_without_an_allowed_origin_the_gateway_sends_no_cors_headers() -> None:
    assert "Access-Control" not in json.dumps(template())


def test_spark_is_there_where_it_is_asked_for_and_bounded() -> None:
    made = template()
    assert made["Parameters"]["Spark"]["Default"] == "no"
    names = {name for name, each in made["Resources"].items() if each.get("Condition") == "HasSpark"}
    assert names == {"SparkApplication", "SparkRole", "SparkOfWorkers"}
    properties = made["Resources"]["SparkApplication"]["Properties"]
    assert properties["AutoStopConfiguration"]["Enabled"]
    assert {"Cpu", "Memory", "Disk"} <= properties["MaximumCapacity"].keys()
    scheduler = properties["SchedulerConfiguration"]
    assert scheduler["MaxConcurrentRuns"] == 1
    # What a job gives up as late has ended by itself.
    assert (scheduler["QueueTimeoutMinutes"] + emr.RUN_MINUTES) * 60_000 < handover.LATE_MS
    for pool in build.POOLS:
        [container] = made["Resources"][f"{pool}Task"]["Properties"]["ContainerDefinitions"]
        told = {each["Name"]: each["Value"] for each in container["Environment"] if each["Name"].startswith("SPARK_")}
        assert {name: value["Fn::If"][0::2] for name, value in told.items()} == {
            "SPARK_APPLICATION": ["HasSpark", ""], "SPARK_ROLE": ["HasSpark", ""]
        }  # fmt: skip


def test_what_writes_answers_writes_nothing_else() -> None:
    rights = checks.statements(template(), "SparkRole")
    writes = [
        each["Resource"] for each in rights if set(checks.as_list(each["Action"])) - {"s3:GetObject", "s3:ListBucket"}
    ]
    assert writes == [{"Fn::Sub": "${Texts.Arn}/corpora/*/answers/*"}]


def test_every_parameter_has_a_default() -> None:
    for stage in build.STAGES:
        for name, parameter in template(stage)["Parameters"].items():
            assert "Default" in parameter, name


def test_two_files_that_name_one_resource_are_refused() -> None:
    with pytest.raises(ValueError, match="two places"):
        build._merge({"Resources": {"Table": {"Type": "a"}}}, {"Resources": {"Table": {"Type": "b"}}})


def test_every_alarm_is_explained_to_the_operator() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    functions = {f"{build.resource(name)}{kind}Alarm" for name in FUNCTIONS for kind in ("Errors", "Throttles")}
    assert functions <= alarms().keys()
    assert [name for name in alarms() if name not in functions and name not in text] == []


def alarms() -> dict[str, Any]:
    resources = template()["Resources"]
    return {name: each for name, each in resources.items() if each.get("Type") == "AWS::CloudWatch::Alarm"}


def test_every_alarm_is_one_plain_metric_and_says_when_it_is_over() -> None:
    for name, alarm in alarms().items():
        properties = alarm["Properties"]
        assert "Metrics" not in properties, f"{name} computes"
        if name not in ("InteractiveAsleep", "BulkAsleep"):
            assert properties["OKActions"] == properties["AlarmActions"] == [{"Ref": "AlarmTopic"}]


def test_the_dashboard_shows_metrics_that_exist_under_the_names_that_the_code_gives() -> None:
    body = template()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    shown = {tuple(metric[:2]) for widget in json.loads(body)["widgets"] for metric in widget["properties"]["metrics"]}
    # emit_job makes the names of its parts' seconds; the pipeline names the parts.
    code = (ROOT / "chalicelib" / "aws" / "metrics.py").read_text() + "".join(
        f'"{part.capitalize()}Seconds"' for part in ("waited", "fetch", "extract", "count", "store")
    )
    assert {name for namespace, name in shown if namespace == "Wordcounts" and f'"{name}"' not in code} == set()


def test_each_stage_of_the_dockerfile_starts_from_the_plain_python_image() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    froms = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert froms == ["python:${PYTHON_VERSION}-slim${BASE_DIGEST}"] * 2
    assert "ARG BASE_DIGEST=" in lines, "and nothing else unless asked"
    assert any(line.startswith('CMD ["python", "-m", "chalicelib.worker"]') for line in lines)
    assert any(re.fullmatch(r"USER \d+:\d+", line) for line in lines)


@pytest.mark.parametrize(("lock", "files"), [("lambda", [""]), ("worker", ["", "-worker"])])
def test_what_is_pinned_is_what_the_lock_names_by_hash(lock: str, files: list[str]) -> None:
    def pins(text: str) -> set[tuple[str, str]]:
        found = re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
        return {(re.sub(r"[._-]+", "-", name.lower()), version) for name, version in found}

    locked = (ROOT / "locks" / f"{lock}.txt").read_text()
    named = pins(locked)
    pinned = set().union(*(pins((ROOT / f"requirements{file}.txt").read_text()) for file in files))
    assert pinned - named == set(), "make lock"
    assert locked.count("--hash=sha256:") >= len(named)


def test_the_image_is_built_from_named_files_only() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for source in " ".join(copied).split():
        assert f"!{source}" in ignored, source
