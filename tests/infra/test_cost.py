"""docs/cost.md computed again: its prices, what the template makes of each stage, and its own sums."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import settings
from chalicelib.aws import emr, metrics
from chalicelib.queue import QUEUES
from chalicelib.store import records
from chalicelib.store.table import TABLE
from infra import build
from tests.infra.test_template import FUNCTIONS, ROOT, reserved

pytestmark = pytest.mark.slow

HOURS = 730
TEXT = (ROOT / "docs" / "cost.md").read_text()
HOBBY = {"NatGateways": 0, "InteractiveMin": 0, "TaskCpu": 256, "TaskMemory": 512}
MONTHS = {"production": ("production", {}), "staging": ("staging", {}), "hobby": ("staging", HOBBY)}


def rows(heading: str, number: int = 0) -> dict[str, list[str]]:
    """A table under a heading, by its first column."""
    blocks = TEXT.split(f"\n## {heading}")[1].split("\n## ")[0].split("\n\n")
    lines = [block.strip().splitlines() for block in blocks if block.lstrip().startswith("|")][number]
    cells = [[cell.strip().replace("**", "") for cell in line.strip("|").split("|")] for line in lines[2:]]
    return {first: more for first, *more in cells}


def price(what: str, pattern: str) -> float:
    """A number of the table of prices: what stands before or after some words in the row of a service."""
    row = re.search(rf"^\| {re.escape(what)}[^|]*\| ([^|]*) \|", TEXT, re.MULTILINE)
    assert row, what
    found = re.search(pattern, row[1])
    assert found, (what, pattern)
    return float(found[1])


NUMBER = r"(\d+(?:\.\d+)?)"
WRITES = price("DynamoDB", rf"{NUMBER} a million write units") / 1e6
READS = price("DynamoDB", rf"{NUMBER} a million read units") / 1e6
KEPT = price("DynamoDB", rf"{NUMBER} a GB-month, recovery") + price("DynamoDB", rf"recovery {NUMBER}")
RUNS = price("Lambda", rf"{NUMBER} a million calls") / 1e6
GB_SECONDS = price("Lambda", rf"{NUMBER} a GB-second")
CPU, MEMORY = price("Fargate", rf"{NUMBER} a vCPU-hour"), price("Fargate", rf"{NUMBER} a GB-hour")
NAT, ADDRESS = price("NAT", rf"{NUMBER} an hour"), price("NAT", rf"address {NUMBER} an hour")
TRAFFIC = price("NAT", rf"{NUMBER} a GB")
LOGS, METRIC = price("CloudWatch", rf"logs {NUMBER} a GB"), price("CloudWatch", rf"own {NUMBER} a month")
ALARM = price("CloudWatch", rf"alarm {NUMBER} a month")
TRACES = price("X-Ray", rf"{NUMBER} a million traces") / 20 / 1e6
LISTS, IMAGES = price("S3", rf"{NUMBER} a thousand") / 1e3, price("S3", rf"images {NUMBER} a GB-month")


class Made:
    """The resources that a stage has with some parameters, their conditions decided."""

    def __init__(self, stage: str, given: dict[str, Any]) -> None:
        template = build.template(
            stage, functions=FUNCTIONS, table=TABLE, ttl_attribute="x", concurrency=reserved(stage)
        )
        self.values = {name: each["Default"] for name, each in template["Parameters"].items()} | given
        self.conditions = template["Conditions"]
        self.resources = {name: each for name, each in template["Resources"].items() if self.holds(each)}

    def holds(self, resource: dict[str, Any]) -> bool:
        return "Condition" not in resource or self.decide({"Condition": resource["Condition"]})

    def decide(self, node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        [(kind, of)] = node.items()
        match kind:
            case "Ref":
                return self.values[of]
            case "Condition":
                return self.decide(self.conditions[of])
            case "Fn::Not":
                return not self.decide(of[0])
            case "Fn::And":
                return all(map(self.decide, of))
            case "Fn::Equals":
                return str(self.decide(of[0])) == str(self.decide(of[1]))
        raise AssertionError(f"unknown: {kind}")

    def count(self, kind: str) -> int:
        return sum(each.get("Type") == kind for each in self.resources.values())

    def alarms(self) -> int:
        """The template's, and the two that each policy of target tracking makes."""
        policies = [
            each["Properties"] for each in self.resources.values() if "PolicyType" in each.get("Properties", {})
        ]
        tracking = sum(policy["PolicyType"] == "TargetTrackingScaling" for policy in policies)
        return self.count("AWS::CloudWatch::Alarm") + 2 * tracking


def metrics_of_a_sweep(capsys: pytest.CaptureFixture[str]) -> int:
    """How many metrics the schedule writes while nothing happens."""
    metrics.emit_backlog(dict.fromkeys(QUEUES, (0, 0.0, 0)))
    metrics.emit_swept(0, 0)
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return sum(len(each["Metrics"]) for line in lines for each in line["_aws"]["CloudWatchMetrics"])


def idle(made: Made, emitted: int) -> Iterator[tuple[str, float]]:
    """Dollars of a month, in the order of the table's rows."""
    nats, tasks = made.count("AWS::EC2::NatGateway"), made.values["InteractiveMin"]
    assert nats == made.count("AWS::EC2::EIP")
    yield "NAT gateways", HOURS * nats * (NAT + ADDRESS)
    task = made.values["TaskCpu"] / 1024 * CPU + made.values["TaskMemory"] / 1024 * MEMORY
    yield "interactive tasks", HOURS * tasks * task
    node = price("ElastiCache", rf"`{made.values['RedisNodeType']}` {NUMBER}")
    yield "Redis", HOURS * made.values["RedisNodes"] * node
    yield "metrics", emitted * METRIC + made.alarms() * ALARM
    queries = records.SHARDS * (1 + len(QUEUES))
    sweep = queries / 2 * READS
    yield "the workers' sweep", (tasks > 0) * HOURS * 3600 / settings.load({}).sweep_seconds * sweep
    runs = HOURS * 60
    run = sweep + RUNS + 0.2 * 0.5 * GB_SECONDS + LISTS + 1500 / 1e9 * LOGS + TRACES
    yield "the schedule", runs * run + 1.0 * IMAGES


def test_an_idle_month_costs_what_the_template_makes(capsys: pytest.CaptureFixture[str]) -> None:
    table = rows("An idle month")
    emitted = metrics_of_a_sweep(capsys)
    [(named, _)] = [(name, row) for name, row in table.items() if name.startswith("metrics")]
    said = [int(number) for number in re.findall(r"\d+", named)]
    assert said == [emitted, *(Made(*given).alarms() for given in MONTHS.values())], "metrics, and alarms of each stage"
    for column, (name, given) in enumerate(MONTHS.items()):
        total = 0.0
        for (part, dollars), (row, cells) in zip(idle(Made(*given), emitted), table.items(), strict=False):
            assert row.startswith(part), f"{row} is not {part}"
            assert float(cells[column].replace("–", "0")) == pytest.approx(dollars, abs=0.0051), f"{name}: {part}"
            total += dollars
        assert table["together"][column] == f"about {total:.0f}", name


def test_the_hobby_stage_is_the_one_that_operations_md_deploys() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    command = re.search(r'make deploy STAGE=staging PARAMETERS="(NatGateways=0[^"]*)"', text)
    assert command
    given = dict(pair.split("=") for pair in command[1].split())
    assert {name: str(value) for name, value in HOBBY.items()}.items() <= given.items()
    cost = rows("An idle month")["together"][2]
    assert f"costs {cost} dollars a month idle" in text


def test_a_million_pages_cost_what_their_arithmetic_says() -> None:
    table = rows("A million pages")
    n = 1e6
    hours = 0.050 * n / 3600
    wanted = {
        "DynamoDB writes": 19 * WRITES * n,
        "DynamoDB reads": 4 * READS * n,
        "DynamoDB, kept 30 days": 11 * KEPT,
        "API Gateway": 2 * price("API Gateway", NUMBER),
        "Lambda": n * (2 * RUNS + (2 * 0.030 + 1) * 0.5 * GB_SECONDS),
        "NAT": 100 * TRAFFIC,
        "Fargate": hours * (CPU + 2 * MEMORY),
        "Logs": 3.4 * LOGS,
        "X-Ray": 2 * TRACES * n,
        "Events out": price("EventBridge", NUMBER) + 0.10,
    }
    for part, dollars in wanted.items():
        assert float(table[part][1]) == pytest.approx(dollars, abs=0.0051), part
    total = sum(float(table[part][1]) for part in wanted)
    assert float(table["by HTTP, with waiting"][1]) == pytest.approx(total, abs=0.001)
    without = total - 5 * WRITES * n - 5 * KEPT
    assert float(table["the same with `KEEP_TEXT=false`"][1]) == pytest.approx(without, abs=0.0051)
    spot = hours * (CPU + 2 * MEMORY) * 0.3
    waiting = n * (0.5 * GB_SECONDS + RUNS)
    messages = price("EventBridge", rf"{NUMBER} a million messages") * 3 / 10
    by_queue = total - wanted["API Gateway"] - waiting - wanted["X-Ray"] + messages - wanted["Fargate"] + spot
    assert table["by SQS instead of HTTP"][1] == f"about {by_queue:.2f}"


def test_a_million_documents_of_corpora_cost_what_their_arithmetic_says() -> None:
    table = rows("A million pages", 1)
    wanted = {
        "DynamoDB writes": 1.5e6 * WRITES,
        "DynamoDB reads": 4e6 * READS,
        "DynamoDB reads of jobs": 2e6 * READS,
        "S3, a month": 5.2 * price("S3", rf"{NUMBER} a GB-month") + 5300 * LISTS,
        "Fargate": 1.3 * 2.9 * 1000 / 3600 * (CPU + 2 * MEMORY),
    }
    assert {part: float(table[part][1]) for part in wanted} == pytest.approx(wanted, abs=0.0051)
    assert float(table["together"][1]) == pytest.approx(sum(float(table[part][1]) for part in wanted), abs=0.001)


def test_a_question_to_spark_costs_what_its_capacity_does() -> None:
    capacity = Made("staging", {"Spark": "yes"}).resources["SparkApplication"]["Properties"]["MaximumCapacity"]
    cores, memory = (int(capacity[name].split()[0]) for name in ("Cpu", "Memory"))
    cpu, gigabyte = price("EMR Serverless", rf"{NUMBER} a vCPU-hour"), price("EMR Serverless", rf"{NUMBER} a GB-hour")
    hour = cores * cpu + memory * gigabyte
    said = f"{cores} vCPUs and {memory} GB at most: {hour:.2f} dollars an hour,"
    said += f" {hour / 30:.2f} for two minutes, {hour * emr.RUN_MINUTES / 60:.2f} for the longest run"
    assert said in " ".join(TEXT.split())
