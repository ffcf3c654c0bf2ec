"""Packages a stage once for all the tests of a session."""

import functools
import subprocess
from pathlib import Path

from tests.conftest import require

ROOT = Path(__file__).resolve().parent.parent.parent


PYTHON = ROOT / ".venv-package" / "bin" / "python"  # of the minor version that Lambda runs


@functools.cache
def packaged(stage: str) -> Path:
    """The folder of a stage's package, freshly made; fails with what the packaging said."""
    require(PYTHON.exists(), "packaging needs the Python that Lambda runs: `make .venv-package/.made` says which")
    run = subprocess.run(
        [str(PYTHON), "-m", "scripts.package", stage], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return ROOT / "build" / stage
