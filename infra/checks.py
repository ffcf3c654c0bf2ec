"""What lint does not see in a template: policies that allow too much, functions that lack what they need.

Each check takes a template (Chalice's with SAM's types, or the translated one) and returns its faults as sentences.
"""

from collections.abc import Iterator, Mapping
from typing import Any

# Actions on what has no name, or none yet (a network interface to be made); only these may be allowed on "*".
NAMELESS = {
    "dynamodb:ListStreams",
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
    "ecr:GetAuthorizationToken",
    "logs:DescribeLogGroups",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
ITEMS = {
    f"dynamodb:{action}"
    for action in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "BatchGetItem", "BatchWriteItem", "Query")
}
INTERFACES = {action for action in NAMELESS if action.startswith("ec2:")}
FUNCTIONS = ("AWS::Serverless::Function", "AWS::Lambda::Function")


def faults(template: Mapping[str, Any]) -> list[str]:
    """Every fault of the template; an empty list when it is clean."""
    return [*_policies(template), *_functions(template), *_buckets(template), *_merged(template)]


def statements(template: Mapping[str, Any], role: str) -> list[dict[str, Any]]:
    """The statements of a role's policies, its own and those that stand beside it."""
    beside = [policy for _, policy in _of(template, "AWS::IAM::RolePolicy") if policy["RoleName"] == {"Ref": role}]
    policies = [*template["Resources"][role]["Properties"].get("Policies", []), *beside]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def as_list(value: Any) -> list[Any]:
    """A policy's one or many, as many."""
    return value if isinstance(value, list) else [value]


def role_of(template: Mapping[str, Any], function: str) -> str:
    """The logical name of a function's role."""
    name: str = template["Resources"][function]["Properties"]["Role"]["Fn::GetAtt"][0]
    return name


def _of(template: Mapping[str, Any], *types: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in template["Resources"].items():
        if resource.get("Type") in types:
            yield name, resource["Properties"]


def _policies(template: Mapping[str, Any]) -> Iterator[str]:
    for role, properties in _of(template, "AWS::IAM::Role"):
        if properties.get("ManagedPolicyArns"):
            yield f"{role}: a managed policy allows more than its role needs"
        for statement in statements(template, role):
            actions = set(as_list(statement["Action"]))
            if any("*" in action for action in actions):
                yield f"{role}: an action with a wildcard in {sorted(actions)}"
            if "*" in as_list(statement["Resource"]) and not actions <= NAMELESS:
                yield f"{role}: {sorted(actions - NAMELESS)} on every resource, though these have names"
            if actions & ITEMS and {"Fn::GetAtt": ["Table", "Arn"]} in as_list(statement["Resource"]):
                yield from _items(role, actions, leading_keys(statement))


def leading_keys(statement: Mapping[str, Any]) -> set[str]:
    """The patterns of the keys on which a statement allows something in the table; empty where it allows all."""
    condition = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
    return set(as_list(condition.get("dynamodb:LeadingKeys", [])))


def _items(role: str, actions: set[str], keys: set[str]) -> Iterator[str]:
    if not keys or "*" in keys:
        yield f"{role}: every item of the table, its tokens among them"
    if any(key.startswith(("tokens", "token#")) for key in keys) and actions != {"dynamodb:GetItem"}:
        yield f"{role}: may make or list tokens"


def _functions(template: Mapping[str, Any]) -> Iterator[str]:
    roles: dict[str, str] = {}
    for name, properties in _of(template, *FUNCTIONS):
        role = role_of(template, name)
        if role in roles:
            yield f"{name}: shares its role with {roles[role]}"
        roles[role] = name
        given = [each for each in statements(template, role) if each["Effect"] == "Allow"]
        allowed = {action for statement in given for action in as_list(statement["Action"])}
        if "VpcConfig" in properties and not allowed >= INTERFACES:
            yield f"{name}: is in the VPC, but {role} may not {sorted(INTERFACES - allowed)}"
        denied = {
            action for each in statements(template, role) if each not in given for action in as_list(each["Action"])
        }
        if "VpcConfig" in properties and not denied >= INTERFACES:
            yield f"{name}: its own code may make network interfaces, which Lambda alone should"
        if "LoggingConfig" not in properties:
            yield f"{name}: writes to a log group of Lambda's own naming, which its role does not allow"
        if properties.get("Architectures") != ["arm64"]:
            yield f"{name}: is not arm64, but the package is"


def _buckets(template: Mapping[str, Any]) -> Iterator[str]:
    by_tls = {
        policy["Bucket"]["Ref"]
        for _, policy in _of(template, "AWS::S3::BucketPolicy")
        for each in policy["PolicyDocument"]["Statement"]
        if each["Effect"] == "Deny" and each.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
    }
    for name, properties in _of(template, "AWS::S3::Bucket"):
        if name not in by_tls:
            yield f"{name}: answers without TLS"
        if set(properties.get("PublicAccessBlockConfiguration", {}).values()) != {True}:
            yield f"{name}: may be made public"


def _merged(template: Mapping[str, Any]) -> Iterator[str]:
    """What was merged into something that Chalice did not make stays without a type."""
    for name, resource in template["Resources"].items():
        if "Type" not in resource:
            yield f"{name}: app.py has no such part, so infra/ merges into nothing"
        for event, source in resource.get("Properties", {}).get("Events", {}).items():
            if "Type" not in source:
                yield f"{name}: app.py has no event source that becomes {event}"
