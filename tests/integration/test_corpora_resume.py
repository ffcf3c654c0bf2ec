"""A small corpus compacted by processes that are killed: benchmarks/resume.py, which does the same with a large one."""

import itertools
import random
from pathlib import Path

import pytest

from benchmarks import resume
from tests.conftest import Table


@pytest.mark.long
def test_a_compaction_that_is_killed_again_and_again_ends_with_every_row(
    dynalite_table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBJECT_STORE", str(tmp_path / "objects"))
    made = tmp_path / "made"
    made.mkdir()
    lives = itertools.chain([0.02, 0.2, 0.4], itertools.repeat(60))
    figures = dict(resume.compacted(made, resume.shaped(120, 3, random.Random(1)), lives, seconds=0.2))
    assert not figures["kills"].endswith(" 0 of them in a run"), figures
    assert figures["parts before and after"] == "40, 4"
