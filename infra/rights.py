"""What AWS does by the rights of our roles and the policies of our queues and topics: that all of it is allowed.

Nothing of ours makes these calls, so no test can record them (tests/integration/test_policies.py does that for our own
code's); an emulator makes them without asking. Each is from the page of AWS's documentation on that part.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.checks import as_list, role_of, statements

Need = tuple[str, tuple[str, ...], Any]  # whose rights, actions, the resource as a policy names it

HERE = "${AWS::Partition}:%s:${AWS::Region}:${AWS::AccountId}"
LOGS = ("logs:CreateLogStream", "logs:PutLogEvents")
TRACES = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
# What the event sources of a function read, and the property that names it.
SOURCES = {
    "SQS": ("Queue", ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")),
    "DynamoDB": ("Stream", ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")),
}
LAYERS = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability")
ACCESS_LOG = (
    *("CreateLogGroup", "CreateLogStream", "DescribeLogStreams"),
    *("PutLogEvents", "GetLogEvents", "FilterLogEvents"),
)


def faults(sam: Mapping[str, Any]) -> list[str]:
    """What is not allowed of it in a template with SAM's types."""
    found = []
    for role, actions, resource in _needs(sam):
        given = statements(sam, role)
        found += [f"{role}: may not {each} on {resource}" for each in actions if not _allows(given, each, resource)]
    for policy, service, action, resource in _posts(sam):
        if not _lets(sam, policy, service, action, resource):
            found.append(f"no {policy} lets {service} {action} on {resource}")
    return found


def _allows(given: list[dict[str, Any]], action: str, resource: Any) -> bool:
    return any(
        statement["Effect"] == "Allow"
        and action in as_list(statement["Action"])
        and _plain(resource) in map(_plain, as_list(statement["Resource"]))
        for statement in given
    )


def _plain(resource: Any) -> str:
    """One form of an ARN: ``Fn::Sub`` of nothing but an attribute is ``Fn::GetAtt``."""
    if isinstance(resource, dict) and "Fn::GetAtt" in resource:
        resource = {"Fn::Sub": f"${{{'.'.join(resource['Fn::GetAtt'])}}}"}
    return json.dumps(resource, sort_keys=True)


def _needs(sam: Mapping[str, Any]) -> Iterator[Need]:
    for name, resource in sam["Resources"].items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::Serverless::Function":
                yield from _of_function(sam, role_of(sam, name), properties)
            case "AWS::ECS::TaskDefinition":
                yield from _of_task(sam, properties)
            case "AWS::EMRServerless::Application":
                yield from _of_spark()
            case "AWS::Events::Rule":
                for target in properties["Targets"]:
                    if "RoleArn" in target:
                        yield _role(target["RoleArn"]), ("events:InvokeApiDestination",), target["Arn"]
            case "AWS::ApiGateway::Account":
                role = _role(properties["CloudWatchRoleArn"])
                yield role, tuple(f"logs:{each}" for each in ACCESS_LOG), _arn("logs", "log-group:*")
                yield role, ("logs:DescribeLogGroups",), "*"


def _of_function(sam: Mapping[str, Any], role: str, properties: Mapping[str, Any]) -> Iterator[Need]:
    yield role, LOGS, _log_group(sam, properties["LoggingConfig"]["LogGroup"])
    yield role, TRACES, "*"
    if "VpcConfig" in properties:  # which needs Redis; what the network needs, checks.py asks for
        yield from _of_redis(role)
    targets = [properties.get("EventInvokeConfig", {})]
    for event in properties.get("Events", {}).values():
        if event["Type"] in SOURCES:
            source, actions = SOURCES[event["Type"]]
            yield role, actions, event["Properties"][source]
            targets.append(event["Properties"])
        if event["Type"] == "DynamoDB":
            yield role, ("dynamodb:ListStreams",), "*"
    for target in targets:
        if "DestinationConfig" in target:
            yield role, ("sqs:SendMessage",), target["DestinationConfig"]["OnFailure"]["Destination"]


def _of_task(sam: Mapping[str, Any], properties: Mapping[str, Any]) -> Iterator[Need]:
    start = _role(properties["ExecutionRoleArn"])
    yield start, ("ecr:GetAuthorizationToken",), "*"
    yield start, LAYERS, _arn("ecr", "repository/wordcounts")
    [container] = properties["ContainerDefinitions"]
    yield start, LOGS, _log_group(sam, container["LogConfiguration"]["Options"]["awslogs-group"])
    yield from _of_redis(_role(properties["TaskRoleArn"]))


def _of_spark() -> Iterator[Need]:
    """A run reads its program, its request and the corpus, and looks for what it is to write before it does."""
    for folder in ("corpora", "programs"):
        yield "SparkRole", ("s3:GetObject",), {"Fn::Sub": f"${{Texts.Arn}}/{folder}/*"}
    yield "SparkRole", ("s3:PutObject",), {"Fn::Sub": "${Texts.Arn}/corpora/*/answers/*"}
    yield "SparkRole", ("s3:ListBucket",), {"Fn::GetAtt": ["Texts", "Arn"]}
    yield "WorkerRole", ("iam:PassRole",), {"Fn::GetAtt": ["SparkRole", "Arn"]}


def _of_redis(role: str) -> Iterator[Need]:
    for part in ("replicationgroup:${Redis}", "user:${RedisUser}"):
        yield role, ("elasticache:Connect",), _arn("elasticache", part)


def _role(arn: Mapping[str, Any]) -> str:
    return str(arn["Fn::GetAtt"][0])


def _arn(service: str, part: str) -> dict[str, str]:
    return {"Fn::Sub": f"arn:{HERE % service}:{part}"}


def _log_group(sam: Mapping[str, Any], group: Mapping[str, str]) -> dict[str, str]:
    name = sam["Resources"][group["Ref"]]["Properties"]["LogGroupName"]["Fn::Sub"]
    return _arn("logs", f"log-group:{name}:*")


def _posts(sam: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Any]]:
    """What services send by themselves: the type of the policy that lets them, the service, its action and where to."""
    queue, topic = "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"
    for resource in sam["Resources"].values():
        properties = resource.get("Properties", {})
        rules = properties.get("Targets", []) if resource["Type"] == "AWS::Events::Rule" else []
        for event in [*rules, *(each["Properties"] for each in properties.get("Events", {}).values())]:
            if "DeadLetterConfig" in event:
                yield queue, "events.amazonaws.com", "sqs:SendMessage", event["DeadLetterConfig"]["Arn"]
        for target in rules:
            if "Ref" in target["Arn"]:
                yield topic, "events.amazonaws.com", "sns:Publish", target["Arn"]
        for action in properties.get("OKActions", []):
            yield topic, "cloudwatch.amazonaws.com", "sns:Publish", action


def _lets(sam: Mapping[str, Any], policy: str, service: str, action: str, resource: Any) -> bool:
    return any(
        statement["Principal"] == {"Service": service} and _allows([statement], action, resource)
        for each in sam["Resources"].values()
        if each["Type"] == policy
        for statement in each["Properties"]["PolicyDocument"]["Statement"]
    )
