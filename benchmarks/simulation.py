"""A hundred million pages a day on paper: how many workers, what waiting, where Redis ends, and what sharding does.

usage: python -m benchmarks.simulation

Plain Python, one step a second, two days of which the second counts. Arrivals follow the hour of the day with bursts on
top; workers follow the backlog as the template's scaling does, with its delays. The assumptions stand in one table,
from docs/benchmarks.md's measurements where they are measured. Writes its part of docs/benchmarks.md.
"""

import collections
import math
import random
import sys
from dataclasses import dataclass

from benchmarks import report

DAY = 86_400


@dataclass(frozen=True)
class World:
    """Everything that is assumed. Times in seconds."""

    pages_a_day: int = 100_000_000
    daily_swing: float = 0.5  # the busiest hour is 1.5 times the mean, the quietest half
    burst_factor: float = 3.0  # while a burst lasts, so many times the usual
    burst_seconds: int = 300
    bursts_a_day: int = 12
    fetch_seconds: float = 0.6  # of a page on the open web, waiting, median with the long tail in it
    cpu_seconds: float = 0.020  # a page on a Graviton core: 9 to 13 ms measured here, rounded up
    processes_a_task: int = 20  # TaskProcesses
    cores_a_task: float = 1.0
    target_backlog_seconds: float = 20.0  # waiting work per worker that the scaling aims at
    metric_delay: int = 60  # the backlog is published once a minute
    start_delay: int = 60  # from the decision to a task that works: image pull and preload
    cooldown: int = 120  # before tasks are taken away
    most_tasks: int = 4000
    commands_a_job: float = 23.0  # measured for pages of one owner, with enqueueing, host slots and heartbeats
    commands_a_second: float = 90_000.0  # of one Redis node, a core, pipelined as measured by others: stay below half
    dynamodb_writes_a_job: float = 5.0  # put, claim, words, finish, and the indexes' share

    @property
    def jobs_a_second_of_a_task(self) -> float:
        """What fits into a task: its processes wait for pages, its cores count them."""
        waiting = self.processes_a_task / (self.fetch_seconds + self.cpu_seconds)
        return min(waiting, self.cores_a_task / self.cpu_seconds)


def arrivals(world: World, seed: int = 7) -> list[float]:
    """Pages of each second over two days."""
    random.seed(seed)
    mean = world.pages_a_day / DAY
    bursts = [random.randrange(DAY) + day * DAY for day in (0, 1) for _ in range(world.bursts_a_day)]
    factor = [1.0] * (2 * DAY)
    for start in bursts:
        for second in range(start, min(start + world.burst_seconds, 2 * DAY)):
            factor[second] = world.burst_factor
    usual = [mean * (1 + world.daily_swing * math.sin(2 * math.pi * second / DAY)) for second in range(2 * DAY)]
    scale = 2 * world.pages_a_day / sum(u * f for u, f in zip(usual, factor, strict=True))
    return [u * f * scale for u, f in zip(usual, factor, strict=True)]


def simulate(world: World) -> dict[str, float]:
    """Waiting times and workers of the second day."""
    load = arrivals(world)
    each = world.jobs_a_second_of_a_task
    tasks, backlog, last_down = math.ceil(load[0] / each), 0.0, 0
    starting: collections.deque[tuple[int, int]] = collections.deque()
    seen = 0.0
    waits, counts, rates = [], [], []
    for second, coming in enumerate(load):
        while starting and starting[0][0] <= second:
            tasks += starting.popleft()[1]
        done = min(backlog + coming, tasks * each)
        backlog += coming - done
        if second % world.metric_delay == 0:
            # Backlog per worker, published a minute ago, decides: the work that waits, and the work that comes.
            wanted = math.ceil(coming / each * 1.1 + seen / (each * world.target_backlog_seconds))
            coming_up = sum(number for _, number in starting)
            if wanted > tasks + coming_up:
                starting.append((second + world.start_delay, min(wanted, world.most_tasks) - tasks - coming_up))
            elif wanted < tasks and second - last_down >= world.cooldown:
                tasks, last_down = max(wanted, math.ceil(tasks * 0.9)), second
            seen = backlog
        if second >= DAY:
            waits.append(backlog / (tasks * each))
            counts.append(tasks)
            rates.append(coming)
    waits.sort()
    return {
        "mean": sum(rates) / DAY,
        "peak": max(rates),
        "tasks": sum(counts) / DAY,
        "tasks_peak": max(counts),
        "p50": waits[DAY // 2],
        "p99": waits[int(DAY * 0.99)],
        "most": waits[-1],
    }


def main() -> int:
    world = World()
    rows = []
    for pages in (1_000_000, 10_000_000, 100_000_000):
        this = World(pages_a_day=pages)
        got = simulate(this)
        commands = got["peak"] * this.commands_a_job
        rows.append(
            [
                f"{pages:,}",
                f"{got['mean']:.0f} / {got['peak']:.0f}",
                f"{got['tasks']:.1f} / {got['tasks_peak']:.0f}",
                f"{got['p50']:.1f} / {got['p99']:.0f} / {got['most']:.0f}",
                f"{commands:,.0f}",
                str(math.ceil(commands / (this.commands_a_second / 2))),
                f"{got['peak'] * this.dynamodb_writes_a_job:,.0f}",
            ]
        )
    head = [
        "pages a day", "pages/s, mean / peak", "tasks, mean / peak", "waiting s, p50 / p99 / most",
        "Redis commands/s, peak", "queues (shards)", "DynamoDB writes/s, peak",
    ]  # fmt: skip
    assumed = [[name.replace("_", " "), f"{value:g}"] for name, value in vars(world).items()]
    text = [
        *report.table(head, rows),
        "",
        f"A task does {world.jobs_a_second_of_a_task:.0f} pages a second. One Redis node is held below half of its "
        f"commands a second, which ends at {world.commands_a_second / 2 / world.commands_a_job:,.0f} pages a second; "
        "beyond that the service is sharded: a Redis node, a table and pools of its own per shard, which is a stack of "
        "its own, and a submission goes to the shard of its id. Shards share nothing, so nothing else grows.",
        "",
        "What is assumed:",
        "",
        *report.table(["assumption", "value"], assumed),
    ]
    print("\n".join(text))
    report.write("simulation", "\n".join(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
