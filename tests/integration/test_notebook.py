"""docs/notebook.ipynb: what is committed is whole and small, and it runs, with files and with pages."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts import notebook, run, servers
from tests import conftest, websites

pytestmark = [pytest.mark.slow, pytest.mark.long]
TEA = "The tea is green. We pour the tea into a cup and the leaves unfold. " * 30
COFFEE = "The coffee is dark. We grind the beans for the coffee in a cup. " * 30


class Site(websites.Site):
    """Two pages."""

    def page(self, path: str) -> tuple[int, str, bytes]:
        return 200, "text/html", f"<html lang=en><p>{TEA if path == '/tea' else COFFEE}</p>".encode()


def outputs(path: Path) -> list[dict[str, Any]]:
    """All outputs of a notebook in which every cell ran, in order."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    found = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in found} == {"execute_result", "display_data"}
    return [output["data"] for output in found]


def test_what_is_committed_is_small_and_names_no_machine() -> None:
    assert any("image/png" in output for output in outputs(notebook.NOTEBOOK))
    text = notebook.NOTEBOOK.read_text()
    assert len(text) < 150_000
    machine = (str(Path.home()), "/home/", str(notebook.ROOT), "127.0.0.1")
    assert not [name for name in machine if name in text]


def test_every_cell_runs_with_files_and_with_pages(tmp_path: Path) -> None:
    conftest.require(notebook.PYTHON.exists(), "the notebook's environment is missing: make .venv-notebook/.made")
    environment = {"REDIS_URL": "", "AWS_ENDPOINT_URL_DYNAMODB": "", "AUTH": "none"}
    environment |= {"FETCH_ALLOW_NETWORKS": "127.0.0.0/8", "WORKER_PROCESSES": "4"}
    try:
        servers.redis_program()
        with run.running_stack(environment=environment) as url, websites.serving(Site) as site:
            notebook.execute(url, tmp_path / "files.ipynb")
            notebook.execute(url, tmp_path / "pages.ipynb", [f"{site}/tea", f"{site}/coffee"])
    except servers.NoServer as missing:
        conftest.require(None, str(missing))
    assert any("image/png" in output for output in outputs(tmp_path / "files.ipynb"))
    _, typical, plot, evidence = outputs(tmp_path / "pages.ipynb")
    assert "tea" in "".join(typical["text/plain"])
    assert "image/png" in plot
    assert "tea" in "".join(evidence["text/plain"])
