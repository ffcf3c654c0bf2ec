"""Every policy of the template as AWS's own list of actions, resources and conditions sees it."""

import functools
import json
import re
import warnings
from typing import Any

import pytest

from infra import checks
from tests.infra.test_template import FUNCTIONS, POLICIES, template

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its data files stay open while it is imported, and pkg_resources is going away
    import parliament

HERE = "eu-central-1:123456789012"
ARNS = {
    "Table": f"arn:aws:dynamodb:{HERE}:table/wordcounts",
    "Table.StreamArn": f"arn:aws:dynamodb:{HERE}:table/wordcounts/stream/2026",
    "Documents": "arn:aws:s3:::documents",
    "Texts": "arn:aws:s3:::texts",
    "Bus": f"arn:aws:events:{HERE}:event-bus/wordcounts",
    "Webhook": f"arn:aws:events:{HERE}:api-destination/webhook/1",
    "Submissions": f"arn:aws:sqs:{HERE}:submissions",
    "SubmissionsDead": f"arn:aws:sqs:{HERE}:submissions-dead",
    "EventsDead": f"arn:aws:sqs:{HERE}:events-dead",
    "SparkApplication": f"arn:aws:emr-serverless:{HERE}:/applications/00abc",
    "SparkRole": "arn:aws:iam::123456789012:role/spark",
    "StreamDead": f"arn:aws:sqs:{HERE}:stream-dead",
}
WORDS = {"AWS::Partition": "aws", "AWS::Region": "eu-central-1", "AWS::AccountId": "123456789012", "Stage": "staging"}


def filled(node: Any) -> Any:
    """The policy with ARNs in place of what CloudFormation fills in."""
    if isinstance(node, list):
        return [filled(item) for item in node]
    if not isinstance(node, dict):
        return node
    match node:
        case {"Ref": name}:
            return WORDS.get(name, name.lower())
        case {"Fn::GetAtt": [name, "Arn"]}:
            return ARNS[name]
        case {"Fn::GetAtt": [name, attribute]}:
            return ARNS[f"{name}.{attribute}"]
        case {"Fn::Sub": text}:
            text = re.sub(r"\$\{(\w+)\.Arn\}", lambda at: ARNS[at[1]], text)
            return re.sub(r"\$\{([\w:]+)\}", lambda at: WORDS.get(at[1], at[1].lower()), text)
    return {name: filled(value) for name, value in node.items()}


@functools.cache
def roles() -> dict[str, list[dict[str, Any]]]:
    found = {name: POLICIES[name]["Statement"] for name in FUNCTIONS}
    for name, resource in template()["Resources"].items():
        if resource.get("Type") == "AWS::IAM::Role":
            found[name] = checks.statements(template(), name)
    return found


@pytest.mark.parametrize("role", sorted(roles()))
def test_no_policy_has_a_wrong_action_resource_or_condition(role: str) -> None:
    document = {"Version": "2012-10-17", "Statement": filled(roles()[role])}
    assert "!" not in json.dumps(document)
    found = parliament.analyze_policy_string(json.dumps(document)).findings
    assert [str(finding) for finding in found if not accepted(finding)] == []


def accepted(finding: Any) -> bool:
    """What has no name stands on every resource; and a condition of Lambda's is not in the list."""
    if finding.issue == "RESOURCE_STAR":
        return set(finding.detail) <= checks.NAMELESS
    return finding.issue == "UNKNOWN_CONDITION_FOR_ACTION" and "lambda:SourceFunctionArn" in str(finding.detail)


def test_parliament_sees_what_is_wrong() -> None:
    statement = {"Effect": "Allow", "Action": "dynamodb:PutItems", "Resource": ARNS["Documents"]}
    found = parliament.analyze_policy_string(json.dumps({"Version": "2012-10-17", "Statement": [statement]})).findings
    assert found
