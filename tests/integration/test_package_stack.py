"""The translated template as a stack in moto: every resource whose type moto knows, wired as it will be."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.cloudformation.parsing import get_model_map

from infra import build
from tests.integration.packaging import packaged

# What moto does not know, or knows without the import of a REST API's body; docs/operations.md lists it as unchecked.
UNCHECKED = {
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGateway::Stage",
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::CloudWatch::Alarm",
    "AWS::ElastiCache::ParameterGroup",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::ElastiCache::SubnetGroup",
    "AWS::ElastiCache::User",
    "AWS::ElastiCache::UserGroup",
    "AWS::Events::ApiDestination",
    "AWS::Events::Connection",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SQS::QueuePolicy",
}
REGION = "us-east-1"
pytestmark = pytest.mark.beside


@pytest.fixture(params=["production", pytest.param("staging", marks=pytest.mark.long)])
def stack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """The template that was made of a stage's, and the logical names of what moto made of it."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB", raising=False)
    folder = packaged(request.param)
    template = known(json.loads((folder / "translated.json").read_text()))
    with mock_aws():
        storage = boto3.client("s3", region_name=REGION)
        storage.create_bucket(Bucket="packages")
        archive = (folder / "package" / "deployment.zip").read_bytes()
        storage.put_object(Bucket="packages", Key="deployment.zip", Body=archive)
        storage.put_object(Bucket="packages", Key="stack.json", Body=json.dumps(template))
        client = boto3.client("cloudformation", region_name=REGION)
        parameters = [{"ParameterKey": "AlarmEmail", "ParameterValue": "ops@example.com"}]
        client.create_stack(
            StackName="wordcounts",
            TemplateURL="https://packages.s3.amazonaws.com/stack.json",
            Parameters=parameters,
            Capabilities=["CAPABILITY_IAM"],
        )
        assert client.describe_stacks(StackName="wordcounts")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
        pages = client.get_paginator("list_stack_resources").paginate(StackName="wordcounts")
        yield template, {each["LogicalResourceId"] for page in pages for each in page["StackResourceSummaries"]}


def known(template: dict[str, Any]) -> dict[str, Any]:
    """The template without what moto does not know; what pointed there gets a word in its place."""
    dropped = {name for name, resource in template["Resources"].items() if resource["Type"] in UNCHECKED}

    def kept(node: Any) -> Any:
        if isinstance(node, dict):
            if node.get("Ref") in dropped or (node.get("Fn::GetAtt") or [""])[0] in dropped:
                return "unchecked"
            return {key: kept(value) for key, value in node.items() if key != "DependsOn"}
        if isinstance(node, list):
            return [kept(item) for item in node]
        if isinstance(node, str):
            return re.sub(r"\$\{(\w+)[^}]*\}", lambda at: "unchecked" if at[1] in dropped else at[0], node)
        return node

    resources = {name: kept(resource) for name, resource in template["Resources"].items() if name not in dropped}
    return {**kept({key: value for key, value in template.items() if key != "Resources"}), "Resources": resources}


def test_every_resource_that_moto_knows_is_made(stack: tuple[dict[str, Any], set[str]]) -> None:
    template, made = stack
    conditional = {name for name, each in template["Resources"].items() if each.get("Condition") == "HasWebhook"}
    second_nat = {name for name, each in template["Resources"].items() if each.get("Condition") == "MakesTwoNats"}
    assert set(template["Resources"]) - conditional - second_nat <= made


def test_what_is_unchecked_is_what_moto_lacks_and_the_rest_api(stack: tuple[dict[str, Any], set[str]]) -> None:
    del stack
    imported = {"AWS::ApiGateway::Deployment", "AWS::ApiGateway::RestApi", "AWS::ApiGateway::Stage"}
    wrongly = (UNCHECKED - imported) & set(get_model_map())
    assert not wrongly, f"moto knows {wrongly} by now"


def test_the_table_is_the_one_of_the_code(stack: tuple[dict[str, Any], set[str]]) -> None:
    from chalicelib.store import records

    del stack
    client = boto3.client("dynamodb", region_name=REGION)
    [name] = client.list_tables()["TableNames"]
    table = client.describe_table(TableName=name)["Table"]
    for part in ("KeySchema", "AttributeDefinitions"):
        assert sorted(map(str, table[part])) == sorted(map(str, records.TABLE[part]))
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {"due", "owner"}
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}


def test_unchecked_types_stand_in_the_documentation() -> None:
    text = (Path(build.HERE).parent / "docs" / "operations.md").read_text()
    assert [kind for kind in sorted(UNCHECKED) if kind not in text] == []
