"""Packages a stage once for all the tests of a session."""

import functools
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@functools.cache
def packaged(stage: str) -> Path:
    """The folder of a stage's package, freshly made; fails with what the packaging said."""
    run = subprocess.run(
        [sys.executable, "scripts/package.py", stage], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return ROOT / "build" / stage
