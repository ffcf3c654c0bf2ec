"""MiniStack on loopback, with what it lacks: ``python emulator.py PORT``, in the environment of requirements.txt here.

It stands for one AWS account with IAM enforced. Functions run as processes of this Python, the schedule every minute.
"""

import asyncio
import json
import sys
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app
from ministack.core import iam_evaluator
from ministack.services import apigateway_v1, eventbridge, s3
from ministack.services.cloudformation import provisioners

# Types that MiniStack only records and refuses in a template: each needs no more than a name here.
LACKING = (
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::EC2::EIP",
    "AWS::EC2::NatGateway",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::Events::ApiDestination",
    "AWS::Events::Connection",
    "AWS::WAFv2::WebACLAssociation",
)


def create(logical_id: str, _properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
    """A name, and attributes that are names too."""
    name = f"{stack}-{logical_id}"
    return name, {"Arn": f"arn:aws:none:us-east-1:000000000000:{name}", "AllocationId": name, "Id": name}


imported = apigateway_v1._import_rest_api


def import_with_binary_types(body: dict[str, Any], data: dict[str, Any]) -> str:
    """An API's description with its binary media types, which MiniStack leaves out."""
    return str(imported(body, data | {"binaryMediaTypes": body.get("x-amazon-apigateway-binary-media-types", [])}))


resolved = iam_evaluator._resolve_condition_key


def resolve_as_by_tls(key: str, context: Any) -> Any:
    """A condition's value; all of loopback is plain HTTP, which a bucket's policy refuses."""
    return "true" if key.lower() == "aws:securetransport" else resolved(key, context)


dispatched = eventbridge._dispatch_event


def dispatch_with_version(event: dict[str, Any], *more: Any) -> Any:
    """An event; one of an object in a versioned bucket has its version, as from S3, which MiniStack leaves out.

    Without it a job would mean the object as it is when a worker reads it, which the worker's role may not read.
    """
    if event["Source"] == "aws.s3":
        detail = json.loads(event["Detail"])
        stored = s3._buckets.get(detail["bucket"]["name"])["objects"].get(detail["object"]["key"]) or {}
        if version := stored.get("version_id"):
            detail["object"]["version-id"] = version
            event = event | {"Detail": json.dumps(detail)}
    return dispatched(event, *more)


def main() -> None:
    eventbridge._dispatch_event = dispatch_with_version
    iam_evaluator._resolve_condition_key = resolve_as_by_tls
    apigateway_v1._import_rest_api = import_with_binary_types
    for kind in LACKING:
        provisioners._RESOURCE_HANDLERS.setdefault(kind, {"create": create, "delete": lambda *_: None})
    config = Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    config.loglevel = "WARNING"
    asyncio.run(serve(app, config))


if __name__ == "__main__":
    main()
