"""Joins the YAML files of this folder into the template that Chalice merges into its own.

Pure: what depends on app.py (its functions), on records.py (the table) and on the stage is passed in. YAML's short
forms (``!Ref``, ``!Sub``, ``!GetAtt``) are read by SAM's own parser.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from chalicelib import errors
from chalicelib.http import schemas

HERE = Path(__file__).parent
STAGES = ("staging", "production")
PARTS = ("network.yaml", "data.yaml", "events.yaml", "workers.yaml")
API = "api_handler"  # Chalice's name of the function behind the routes; its resource is APIHandler
OUTSIDE = ("ended",)  # needs no Redis and talks to EventBridge, so it stays out of the VPC
POOLS = {
    # A person waits: a task for each 20 jobs, one for each of its processes, always some running.
    "Interactive": {
        "_PROCESSES_": "interactive:32,bulk:0",
        "_CAPACITY_": "FARGATE",
        "_MIN_": {"Ref": "InteractiveMin"},
        "_TARGET_": 20,
    },
    # Nobody waits: about ten minutes' work of a task, none running without work, on spare capacity.
    "Bulk": {"_PROCESSES_": "interactive:0,bulk:32", "_CAPACITY_": "FARGATE_SPOT", "_MIN_": 0, "_TARGET_": 3000},
}


def template(
    stage: str,
    *,
    functions: Sequence[str],
    table: Mapping[str, Any],
    ttl_attribute: str,
    concurrency: Mapping[str, int],
    allow_origin: str = "",
    variables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The template to merge: ``functions`` are Chalice's names, ``table`` is in create_table's form.

    ``concurrency`` is what is reserved for each function, ``variables`` are the stage's plain settings, which the
    workers are to have as well.
    """
    merged: dict[str, Any] = {}
    for part in ("parameters.yaml", *PARTS):
        _merge(merged, load(part))
    for name, values in POOLS.items():
        _merge(merged, _pool(name, values, variables or {}))
    _merge(merged, _alarms(functions))
    _merge(merged, _gateway(allow_origin))
    _merge(merged, {"Resources": _functions(functions, concurrency)})
    for name, default in load("stages.yaml")[stage].items():
        merged["Parameters"][name]["Default"] = default
    merged["Parameters"]["Stage"] |= {"Default": stage, "AllowedValues": [stage]}
    properties = merged["Resources"]["Table"]["Properties"]
    properties |= {**table, "TimeToLiveSpecification": {"AttributeName": ttl_attribute, "Enabled": True}}
    return merged


def load(part: str, replace: Mapping[str, Any] | None = None) -> Any:
    """One file of this folder, with the given marks replaced: inside text by text, a whole value by any value."""
    return _replaced(yaml_parse((HERE / part).read_text()), replace or {})


def resource(function: str) -> str:
    """The logical name that Chalice gives a function's resource."""
    if function == API:
        return "APIHandler"
    return "".join(part[0].upper() + part[1:] for part in function.split("_") if part)


def _pool(name: str, values: Mapping[str, Any], variables: Mapping[str, str]) -> Any:
    pool = load("pool.yaml", {"_Pool_": name, "_pool_": name.lower(), **values})
    container = pool["Resources"][f"{name}Task"]["Properties"]["ContainerDefinitions"][0]
    container["Environment"] += [{"Name": key, "Value": value} for key, value in sorted(variables.items()) if value]
    return pool


def _alarms(functions: Sequence[str]) -> Any:
    alarms = load("alarms.yaml")
    alarms.pop("EachFunction")
    for function in functions:
        name = resource(function)
        alarms["Resources"][f"{name}ErrorsAlarm"] = load("alarms.yaml", {"_Function_": name})["EachFunction"]
    return alarms


def _gateway(allow_origin: str) -> Any:
    gateway = load("gateway.yaml")
    responses = {}
    for kind, (name, status, *detail) in gateway.pop("Problems").items():
        # The values in quotes are literals to API Gateway; $context.error.messageString is a JSON string already.
        headers = {"gatewayresponse.header.Content-Type": "'application/problem+json'"}
        if allow_origin:
            headers["gatewayresponse.header.Access-Control-Allow-Origin"] = f"'{allow_origin}'"
            headers["gatewayresponse.header.Access-Control-Expose-Headers"] = "'Retry-After'"
            headers["gatewayresponse.header.Vary"] = "'Origin'"
        if status in (429, 504):
            headers["gatewayresponse.header.Retry-After"] = "'1'"
        if status == 401:
            headers["gatewayresponse.header.WWW-Authenticate"] = "'Bearer'"
        problem = {"type": schemas.URN + name, "title": errors.PROBLEMS[name].title}
        problem |= {"status": status} if status else {}
        said = json.dumps(detail[0]) if detail else "$context.error.messageString"
        body = f'{json.dumps(problem)[:-1]}, "detail": {said}}}'
        responses[kind] = {"responseParameters": headers, "responseTemplates": {"application/json": body}}
        if status:
            responses[kind]["statusCode"] = status
    definition = {"x-amazon-apigateway-gateway-responses": responses}
    gateway["Resources"]["RestAPI"]["Properties"]["DefinitionBody"] = definition
    return gateway


def _functions(functions: Sequence[str], concurrency: Mapping[str, int]) -> dict[str, Any]:
    """Properties and log groups of each function. Its log's name is ours, so that its role can be written before it."""
    resources: dict[str, Any] = {}
    for function in functions:
        given = load(
            "functions.yaml",
            {"_CONCURRENCY_": concurrency[function], "_LONG_POLLS_": str(max(1, concurrency[function] // 2))},
        )
        properties = given["Every"]
        if function in OUTSIDE:
            del properties["VpcConfig"]
        _merge(properties, given.get(function, {}))
        logs = f"{resource(function) if function != API else 'ApiHandler'}LogGroup"
        properties["LoggingConfig"] = {"LogGroup": {"Ref": logs}}
        resources[resource(function)] = {"Properties": properties}
        resources[logs] = {"Properties": {"LogGroupName": {"Fn::Sub": f"/wordcounts/${{Stage}}/{function}"}}}
    return resources


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif key in into:
            raise ValueError(f"{key} stands in two places")
        else:
            into[key] = value


def _replaced(node: Any, marks: Mapping[str, Any]) -> Any:
    if isinstance(node, dict):
        return {_replaced(key, marks): _replaced(value, marks) for key, value in node.items()}
    if isinstance(node, list):
        return [_replaced(item, marks) for item in node]
    if not isinstance(node, str):
        return node
    if node in marks:
        return marks[node]
    for mark, value in marks.items():
        if isinstance(value, str):
            node = node.replace(mark, value)
    return node
