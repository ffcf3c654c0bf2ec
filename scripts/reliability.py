"""Break everything on purpose and write what came of it into docs/reliability.md (`make faults`).

usage: python -m scripts.reliability [--times 1] [pytest's arguments]

Runs tests/faults as often as asked (the lists of 100,000 lines only once), every time with new servers, and puts the
figures of all runs between the marks in the document: jobs, what was lost or doubled, and the slowest recovery after
the fault.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- figures: made by make faults -->", "<!-- end of figures -->"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.reliability", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=1, help="how many times in a row")
    options, rest = parser.parse_known_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "figures.jsonl"
        for turn in range(options.times):
            print(f"faults: run {turn + 1} of {options.times}", flush=True)
            where = "tests/faults" if turn == 0 else "tests/faults/test_faults.py"  # the long lists once
            command = [sys.executable, "-m", "pytest", where, "--durations=5", *rest]
            if status := subprocess.run(command, cwd=ROOT, env={**os.environ, "FAULTS_REPORT": str(report)}).returncode:
                return status
        if not rest:
            write(table([json.loads(line) for line in report.read_text().splitlines()], options.times))
    return 0


def table(figures: Iterable[dict[str, Any]], times: int) -> str:
    """A Markdown table: one row a scenario, the worst of all runs, a dash where a scenario has no such figure."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for figure in figures:
        rows.setdefault(figure["scenario"], []).append(figure)
    lines = [
        f"{times} run{'s' * (times > 1)} on {datetime.datetime.now(datetime.UTC):%Y-%m-%d}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores; times in seconds after the fault, the work itself "
        "included, the slowest of all runs.",
        "",
        "| what was broken | jobs a run | runs | lost | doubled | claims a run | slowest recovery |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for scenario, seen in rows.items():
        worst = {
            name: "-" if None in values else f"{max(values):.{1 if name == 'recovery' else 0}f}"
            for name in ("jobs", "lost", "doubled", "claims", "recovery")
            for values in [[run[name] for run in seen]]
        }
        lines.append(
            f"| {scenario} | {worst['jobs']} | {len(seen)} | {worst['lost']} | {worst['doubled']} "
            f"| {worst['claims']} | {worst['recovery']} |"
        )
    return "\n".join(lines)


def write(text: str) -> None:
    """Put the figures between the document's marks."""
    document = DOCUMENT.read_text()
    head, _, rest = document.partition(BEGIN)
    _, _, tail = rest.partition(END)
    DOCUMENT.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}")
    print(f"wrote {DOCUMENT.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
