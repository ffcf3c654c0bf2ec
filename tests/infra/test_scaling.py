"""How many tasks the sweep's metrics, the policies and the alarms of the template ask for, minute by minute.

Application Auto Scaling is stood in for by its documented rules: a target is tracked by ceil(capacity * metric /
target)
after three minutes above it, and fifteen below; a step adds to the capacity; a missing point changes nothing.
"""

import json
import math
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib.aws import metrics
from infra import build

Metrics = dict[str, float]
POOL = {
    name: build.load("pool.yaml", {"_Pool_": name, "_pool_": name.lower(), **build.POOLS[name]})["Resources"]
    for name in build.POOLS
}
START = 2  # minutes until a task that was asked for notes itself


def written(capsys: pytest.CaptureFixture[str], waiting: int, tasks: int | None) -> Metrics:
    metrics.emit_backlog({"bulk": (waiting, 0.0, tasks)})
    line = json.loads(capsys.readouterr().out)
    return {name: line[name][0] for name in ("Backlog", "Tasks", "BacklogPerTask", "Asleep") if name in line}


@pytest.mark.parametrize(
    ("waiting", "tasks", "wanted"),
    [
        (0, 0, {"Backlog": 0, "Tasks": 0, "BacklogPerTask": 0, "Asleep": 0}),
        (0, 3, {"Backlog": 0, "Tasks": 3, "BacklogPerTask": 0, "Asleep": 0}),
        (1, 0, {"Backlog": 1, "Tasks": 0, "BacklogPerTask": 1, "Asleep": 1}),
        (9000, 0, {"Backlog": 9000, "Tasks": 0, "BacklogPerTask": 9000, "Asleep": 1}),
        (100, 3, {"Backlog": 100, "Tasks": 3, "BacklogPerTask": 100 / 3, "Asleep": 0}),
        (100, None, {"Backlog": 100}),  # Redis is away: nobody can tell, so nothing is told
    ],
)
def test_the_sweep_says_what_the_policies_follow(
    capsys: pytest.CaptureFixture[str], waiting: int, tasks: int | None, wanted: Metrics
) -> None:
    assert written(capsys, waiting, tasks) == wanted


@dataclass
class Scaling:
    """The service of one pool under its own target, policies and alarm, as the template has them."""

    name: str
    capsys: pytest.CaptureFixture[str]
    most: int = 40
    late: int = 2  # minutes until a metric of the log can be seen
    desired: int = 0
    seen: list[Metrics] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)  # desired, by minute
    waits: dict[str, int] = field(default_factory=dict)  # a policy's cooldown, in minutes

    def properties(self, part: str) -> Any:
        return POOL[self.name][f"{self.name}{part}"]["Properties"]

    def running(self) -> int:
        return min([self.desired, *self.asked[-START:]]) if len(self.asked) >= START else 0

    def minute(self, waiting: int, *, told: bool = True) -> None:
        tasks = self.running()
        self.seen.append(written(self.capsys, waiting, tasks if told else None))
        self.waits = {name: left - 1 for name, left in self.waits.items() if left > 1}
        self.asked.append(self.desired)
        known = self.seen[: -self.late]
        self.desired = max(self.desired, self._wake(known), self._out(known))
        if self.desired == self.asked[-1]:
            self.desired = self._in(known)

    def _wake(self, known: list[Metrics]) -> int:
        alarm, step = self.properties("Asleep"), self.properties("Wake")["StepScalingPolicyConfiguration"]
        points = [each.get(alarm["MetricName"]) for each in known[-alarm["EvaluationPeriods"] :]]
        if "wake" in self.waits or not points or any(point is None or point < alarm["Threshold"] for point in points):
            return self.desired
        self.waits["wake"] = step["Cooldown"] // 60
        return min(self.most, self.desired + step["StepAdjustments"][0]["ScalingAdjustment"])

    def _out(self, known: list[Metrics]) -> int:
        track, points = self._points(known, 3)
        if "out" in self.waits or len(points) < 3 or min(points) <= track["TargetValue"]:
            return self.desired
        self.waits["out"] = track["ScaleOutCooldown"] // 60
        return min(self.most, math.ceil(self.desired * points[-1] / track["TargetValue"]))

    def _in(self, known: list[Metrics]) -> int:
        track, points = self._points(known, 15)
        if "in" in self.waits or len(points) < 15 or max(points) >= 0.9 * track["TargetValue"]:
            return self.desired
        self.waits["in"] = track["ScaleInCooldown"] // 60
        return math.ceil(self.desired * max(points) / track["TargetValue"])

    def _points(self, known: list[Metrics], periods: int) -> tuple[dict[str, Any], list[float]]:
        track = self.properties("Backlog")["TargetTrackingScalingPolicyConfiguration"]
        name = track["CustomizedMetricSpecification"]["MetricName"]
        # Where points are missing, an alarm looks at a few more, and takes the newest that are there.
        return track, [each[name] for each in known[-periods - 2 :] if name in each][-periods:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "waiting", "wanted"),
    [
        ("Bulk", 0, 0),
        ("Bulk", 1, 1),
        ("Bulk", 2_999, 1),
        ("Bulk", 12_000, 4),
        ("Bulk", 10_000_000, 40),
        ("Interactive", 100, 5),
        ("Interactive", 10_000, 40),
    ],
)
@pytest.mark.parametrize("late", [1, 2, 3])
@pytest.mark.parametrize("absent", [0, 2, 5], ids=lambda every: f"each {every}th absent" if every else "all there")
def test_a_backlog_that_stays_asks_for_its_number_of_tasks_and_no_more(
    capsys: pytest.CaptureFixture[str], name: str, waiting: int, wanted: int, late: int, absent: int
) -> None:
    scaling = Scaling(name, capsys, late=late)
    for minute in range(90):
        scaling.minute(waiting, told=not absent or minute % absent > 0)
    assert scaling.desired == wanted
    assert max(scaling.asked) == wanted, "and none too many on the way"


def test_tasks_go_when_nothing_waits_and_stay_while_nobody_can_tell(capsys: pytest.CaptureFixture[str]) -> None:
    scaling = Scaling("Bulk", capsys)
    for _ in range(40):
        scaling.minute(12_000)
    for _ in range(60):
        scaling.minute(12_000, told=False)
    assert scaling.desired == 4, "absent metrics change nothing"
    for _ in range(60):
        scaling.minute(0)
    assert scaling.desired == 0
    for _ in range(10):
        scaling.minute(5)
    assert scaling.desired == 1


def test_no_policy_and_no_alarm_of_a_pool_computes_with_metrics() -> None:
    for pool in POOL.values():
        text = json.dumps(pool)
        for word in ("Expression", "FILL", "MetricStat", "AWS/ECS"):
            assert word not in text
