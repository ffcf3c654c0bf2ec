"""The table that `make faults` writes, after half an hour of breaking things."""

import json
from pathlib import Path

import pytest

from scripts import reliability
from tests.faults import harness


def test_a_row_has_the_worst_of_all_runs_and_a_dash_for_what_was_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "figures.jsonl"
    monkeypatch.setenv("FAULTS_REPORT", str(report))
    for recovery in (1.0, 3.26, 2.0):
        harness.note(tmp_path, "Redis flushed", jobs=60, lost=0, doubled=0, claims=61, recovery=recovery)
    harness.note(tmp_path, "two compactions", jobs=15, lost=0, doubled=0)

    written = reliability.table([json.loads(line) for line in report.read_text().splitlines()], times=3)

    assert written.splitlines()[-2:] == [
        "| Redis flushed | 60 | 3 | 0 | 0 | 61 | 3.3 |",
        "| two compactions | 15 | 1 | 0 | 0 | - | - |",
    ]
