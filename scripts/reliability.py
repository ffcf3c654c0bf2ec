"""Break everything on purpose and write what came of it into docs/reliability.md (`make faults`).

usage: python -m scripts.reliability [--times 1] [pytest's arguments]

Runs tests/faults as often as asked (the lists of 100,000 lines only once), every time with new servers, and puts the
figures of all runs between the marks in the document: jobs, what was lost or doubled, and the slowest recovery after
the fault.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks import report

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "reliability.md"
HEAD = ("what was broken", "jobs a run", "runs", "lost", "doubled", "claims a run", "slowest recovery")
FIGURES = ("lost", "doubled", "claims", "recovery")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.reliability", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=1, help="how many times in a row")
    options, rest = parser.parse_known_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        noted = Path(folder) / "figures.jsonl"
        for turn in range(options.times):
            print(f"faults: run {turn + 1} of {options.times}", flush=True)
            where = "tests/faults" if turn == 0 else "tests/faults/test_faults.py"  # the long lists once
            command = [sys.executable, "-m", "pytest", where, "--durations=5", *rest]
            if status := subprocess.run(command, cwd=ROOT, env={**os.environ, "FAULTS_REPORT": str(noted)}).returncode:
                return status
        if not rest:
            figures = [json.loads(line) for line in noted.read_text().splitlines()]
            report.write("figures", table(figures, options.times), DOCUMENT, by="make faults")
    return 0


def table(figures: Iterable[dict[str, Any]], times: int) -> str:
    """A Markdown table: one row a scenario, the worst of all runs, a dash where a scenario has no such figure."""
    scenarios: dict[str, list[dict[str, Any]]] = {}
    for figure in figures:
        scenarios.setdefault(figure["scenario"], []).append(figure)

    def worst(seen: list[dict[str, Any]], name: str) -> str:
        values = [run[name] for run in seen]
        return "-" if None in values else f"{max(values):.{1 if name == 'recovery' else 0}f}"

    rows = [
        [scenario, worst(seen, "jobs"), str(len(seen)), *(worst(seen, name) for name in FIGURES)]
        for scenario, seen in scenarios.items()
    ]
    said = f"{times} run{'s' * (times > 1)} on {report.machine()}; times in seconds after the fault, the work itself"
    return "\n".join([f"{said} included, the slowest of all runs.", "", *report.table(HEAD, rows)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
