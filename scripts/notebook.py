"""Runs docs/notebook.ipynb in .venv-notebook against a service: ``make notebook`` keeps what it shows."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from . import run

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
PYTHON = ROOT / ".venv-notebook" / "bin" / "python"
# In the other environment, which has nbclient: the cell tagged `parameters` may be given other sources.
PROGRAM = """
import json, sys, nbclient, nbformat
source, target, sources = sys.argv[1:]
notebook = nbformat.read(source, 4)
if json.loads(sources):
    [cell] = [one for one in notebook.cells if "parameters" in one.metadata.get("tags", ())]
    cell.source = "sources = " + sources
nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", record_timing=False).execute()
notebook.metadata.pop("language_info", None)  # it would name this machine's version of Python
nbformat.write(notebook, target)
"""


def execute(url: str, target: Path, sources: Sequence[str] = ()) -> None:
    """Run every cell in the notebook's folder with the service at ``url``, and write what came out to ``target``."""
    environment = {**os.environ, "WORDCOUNTS_URL": url, "PYTHONPATH": str(ROOT / "client" / "src")}
    environment.pop("MPLBACKEND", None)  # the notebook has its own
    subprocess.run(
        [PYTHON, "-c", PROGRAM, NOTEBOOK, target, json.dumps(list(sources))],
        cwd=NOTEBOOK.parent, env=environment, check=True, timeout=300,
    )  # fmt: skip


if __name__ == "__main__":
    if not PYTHON.exists():
        sys.exit("The notebook's environment is missing: make notebook")
    with run.running_stack(environment={"REDIS_URL": "", "AWS_ENDPOINT_URL_DYNAMODB": ""}) as service:
        execute(service, NOTEBOOK)
