"""Joins the YAML files of this folder into the template that Chalice merges into its own.

Pure: what depends on app.py (its functions), on chalicelib/store/table.py (the table) and on the stage is passed in.
YAML's short forms (``!Ref``, ``!Sub``, ``!GetAtt``) are read by SAM's own parser.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from chalicelib import errors
from chalicelib.http import schemas

HERE = Path(__file__).parent
STAGES = ("staging", "production")
PARTS = ("network.yaml", "data.yaml", "events.yaml", "workers.yaml", "spark.yaml", "edge.yaml")
API = "api_handler"  # Chalice's name of the function behind the routes; its resource is APIHandler
OUTSIDE = ("ended",)  # needs no Redis and talks to EventBridge, so it stays out of the VPC
UNRESERVED = 5  # readers of the queue, and long polls, where nothing is reserved: half of a new account's ten
POOLS = {
    # A person waits: a task for each 20 jobs, one for each of its processes, always some running.
    "Interactive": {
        "_PROCESSES_": {"Fn::Sub": "interactive:${TaskProcesses},bulk:0"},
        "_CAPACITY_": "FARGATE",
        "_MIN_": {"Ref": "InteractiveMin"},
        "_TARGET_": 20,
        "_ALARM_": "OldestDueAlarm",
    },
    # Nobody waits: about ten minutes' work of a task, none running without work, on spare capacity.
    "Bulk": {
        "_PROCESSES_": {"Fn::Sub": "interactive:0,bulk:${TaskProcesses}"},
        "_CAPACITY_": "FARGATE_SPOT",
        "_MIN_": 0,
        "_TARGET_": 3000,
        "_ALARM_": "BulkOldestDueAlarm",
    },
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
    merged["Resources"]["FirewallAssociation"]["DependsOn"] = f"RestAPI{stage}Stage"  # SAM's name of it
    for name, default in load("stages.yaml")[stage].items():
        merged["Parameters"][name]["Default"] = default
    merged["Parameters"]["Stage"] |= {"Default": stage, "AllowedValues": [stage]}
    properties = merged["Resources"]["Table"]["Properties"]
    properties |= {**table, "TimeToLiveSpecification": {"AttributeName": ttl_attribute, "Enabled": True}}
    return merged


def load(part: str, replace: Mapping[str, Any] | None = None) -> Any:
    """One file of this folder, with the given marks replaced: inside text by text, a whole value by any value."""
    return _replaced(_parsed(part), replace or {})


@functools.cache  # alarms.yaml's parts are read many times
def _parsed(part: str) -> Any:
    """One file as it is: what is made of it is copied."""
    return yaml_parse((HERE / part).read_text())


def resource(function: str) -> str:
    """The logical name that Chalice gives a function's resource."""
    if function == API:
        return "APIHandler"
    return "".join(part[0].upper() + part[1:] for part in function.split("_") if part)


def _pool(name: str, values: Mapping[str, Any], variables: Mapping[str, str]) -> Any:
    pool = load("pool.yaml", {"_Pool_": name, "_pool_": name.lower(), **values})
    container = pool["Resources"][f"{name}Task"]["Properties"]["ContainerDefinitions"][0]
    if values["_MIN_"] == 0:
        # None at the first deploy, and after each that changes the service: a deploy would wait for Spot capacity,
        # for hours where there is none. What waits wakes the pool again.
        pool["Resources"][f"{name}Service"]["Properties"]["DesiredCount"] = 0
    container["Environment"] += [{"Name": key, "Value": value} for key, value in sorted(variables.items()) if value]
    return pool


def _alarms(functions: Sequence[str]) -> Any:
    """Alarms and the dashboard, from the short form in which alarms.yaml has them."""
    alarms = load("alarms.yaml")
    wanted, dashboard, _ = alarms.pop("Alarms"), alarms.pop("Dashboard"), alarms.pop("EachFunction")
    for function in map(resource, functions):
        each = load("alarms.yaml", {"_Function_": function})["EachFunction"]
        wanted |= {f"{function}{name}": given for name, given in each.items()}
    alarms["Resources"] |= {name: _alarm(given) for name, given in wanted.items()}
    # The words in ${} are replaced by CloudFormation.
    body = {"Fn::Sub": json.dumps({"widgets": [_widget(at, *one) for at, one in enumerate(dashboard.items())]})}
    name = {"Fn::Sub": "wordcounts-${Stage}"}
    properties = {"DashboardName": name, "DashboardBody": body}
    alarms["Resources"]["Dashboard"] = {"Type": "AWS::CloudWatch::Dashboard", "Properties": properties}
    return alarms


def _alarm(given: Mapping[str, Any]) -> dict[str, Any]:
    namespace, metric, statistic = given["metric"]
    topic = [{"Ref": "AlarmTopic"}]
    properties = {
        "AlarmDescription": given["says"],
        "AlarmActions": topic,
        "OKActions": topic,
        "Namespace": namespace,
        "MetricName": metric,
        "ExtendedStatistic" if statistic.startswith("p") else "Statistic": statistic,
        "Dimensions": [{"Name": name, "Value": value} for name, value in given["of"].items()],
        "Period": given.get("period", 60),
        "EvaluationPeriods": given.get("for", 1),
        "Threshold": given.get("over", given.get("under")),
        "ComparisonOperator": f"{'Greater' if 'over' in given else 'Less'}ThanThreshold",
        "TreatMissingData": given.get("missing", "notBreaching"),
    }
    condition = {"Condition": given["if"]} if "if" in given else {}
    return {"Type": "AWS::CloudWatch::Alarm", **condition, "Properties": properties}


def _widget(at: int, title: str, lines: Sequence[Sequence[str]]) -> dict[str, Any]:
    """A graph, two in a row of 24 columns."""
    metrics = [[*line[:2], *line[3:], {"stat": line[2]}] for line in lines]
    place = {"x": 12 * (at % 2), "y": 6 * (at // 2), "width": 12, "height": 6}
    shown = {"title": title, "region": "${AWS::Region}", "view": "timeSeries", "period": 60, "metrics": metrics}
    return {"type": "metric", **place, "properties": shown}


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
        if status in (429, 503, 504):
            headers["gatewayresponse.header.Retry-After"] = "'1'"
        if status == 401:
            headers["gatewayresponse.header.WWW-Authenticate"] = "'Bearer'"
        problem = {"type": schemas.URN + name, "title": errors.PROBLEMS[name].title}
        problem |= {"status": status} if status else {}
        said = json.dumps(detail[0]) if detail else "$context.error.messageString"
        body = f'{json.dumps(problem)[:-1]}, "detail": {said}}}'
        responses[kind] = {"responseParameters": headers, "responseTemplates": {"application/json": body}}
        if status:
            responses[kind]["statusCode"] = str(status)
    definition = {"x-amazon-apigateway-gateway-responses": responses}
    gateway["Resources"]["RestAPI"]["Properties"]["DefinitionBody"] = definition
    return gateway


def _functions(functions: Sequence[str], concurrency: Mapping[str, int]) -> dict[str, Any]:
    """Properties and log groups of each function. Its log's name is ours, so that its role can be written before it."""
    resources: dict[str, Any] = {}
    for function in functions:
        reserved = concurrency.get(function)
        polls = str(max(1, reserved // 2) if reserved else UNRESERVED)
        given = load("functions.yaml", {"_CONCURRENCY_": reserved or UNRESERVED, "_LONG_POLLS_": polls})
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
