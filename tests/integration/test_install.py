"""The steps of the installation, as `make install` runs them, under a umask that lets the group write."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import nltk_data
from tests.conftest import ROOT

pytestmark = pytest.mark.beside
DATA = Path(sys.prefix) / "share" / "nltk_data"
# The installer of NLTK's data, which takes it from the tree here instead of the network.
INSTALL = f"""
import shutil, sys
from scripts import nltk_data
def copy(folder):
    shutil.copytree({str(DATA)!r}, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
nltk_data.fetch = copy
nltk_data.main(sys.argv[1:])
"""
DATA_AT = "import sys, nltk.data; nltk.data.path[:] = sys.argv[1:]; "
READ = DATA_AT + "from nltk.corpus import stopwords; print(*stopwords.words())"
# A worker of a service whose WORDS is nltk, and a job that asks for NLTK's words.
PRELOAD = DATA_AT + "from chalicelib.pool import parent; print(parent.preloaded())"
COUNT = f"""{DATA_AT}
from chalicelib import counting
try:
    counting.count("to be", words="nltk")
except LookupError as error:
    print(error, False, sep="\\n")
"""


def step(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a step of the installation in ``folder`` under umask 002."""
    command = [ROOT / "scripts" / "step.sh", "stamp", "Doing this", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, umask=0o002, capture_output=True, text=True, check=False
    )


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "WORDS": "nltk"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def writable_by_others(folder: Path) -> list[Path]:
    return [path for path in [folder, *folder.rglob("*")] if not path.is_symlink() and path.stat().st_mode & 0o022]


def test_what_a_step_writes_only_its_owner_may_change_whatever_the_umask(tmp_path: Path) -> None:
    made = step(tmp_path, sys.executable, "-m", "venv", "--without-pip", "environment")
    assert (made.returncode, made.stdout) == (0, "Doing this\n")
    assert (tmp_path / "environment" / "bin" / "python").exists()
    assert (tmp_path / "stamp").exists()
    assert writable_by_others(tmp_path / "environment") == []


def test_nltk_reads_its_data_after_an_installation_under_umask_002(tmp_path: Path) -> None:
    assert step(tmp_path, sys.executable, "-c", INSTALL, str(tmp_path / "data")).returncode == 0
    assert nltk_data.wrong_trees(tmp_path / "data") == []
    assert writable_by_others(tmp_path / "data") == []
    assert " the " in python(READ, tmp_path / "data").stdout


def test_data_that_is_not_the_expected_one_is_not_left_where_nltk_would_read_it(tmp_path: Path) -> None:
    other = INSTALL.replace(
        "nltk_data.fetch = copy", "nltk_data.TREES['corpora/stopwords'] = '0'; nltk_data.fetch = copy"
    )
    run = python(other, tmp_path)
    assert (run.returncode, "is not the expected one: corpora/stopwords" in run.stderr) == (1, True)
    assert not (tmp_path / "corpora" / "stopwords").exists()
    assert (tmp_path / "tokenizers" / "punkt_tab").exists()


@pytest.fixture
def loose(tmp_path: Path) -> Path:
    """A tree of NLTK's data that the group may write."""
    data = tmp_path / "loose"
    shutil.copytree(DATA, data)
    for path in [data, *data.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o020)
    return data


def test_the_installation_repairs_data_that_others_may_write(loose: Path, tmp_path: Path) -> None:
    assert "LookupError" in python(READ, loose).stderr
    assert step(tmp_path, sys.executable, "-m", "scripts.nltk_data", str(loose)).returncode == 0
    assert writable_by_others(loose) == []
    assert " the " in python(READ, loose).stdout


@pytest.mark.parametrize("code", [PRELOAD, pytest.param(COUNT, marks=pytest.mark.long)])
def test_nltks_refusal_of_its_data_is_one_line(loose: Path, tmp_path: Path, code: str) -> None:
    for folder, expected in (
        (loose, f"NLTK does not read {loose}: others may write it"),
        (tmp_path, "data is missing"),
    ):
        said = python(code, folder)
        *lines, last = said.stdout.splitlines()
        assert last == "False"
        assert [expected in line for line in lines] == [True]
        assert said.stderr == ""


def test_a_failed_step_shows_the_end_of_its_output_and_names_the_log(tmp_path: Path) -> None:
    failed = step(tmp_path, "sh", "-c", "seq 100; echo the reason >&2; exit 3")
    assert failed.returncode == 3
    assert "the reason" in failed.stderr
    assert str(tmp_path / ".venv" / "install.log") in failed.stderr
    assert len(failed.stderr.splitlines()) < 20
    assert "network" not in failed.stderr
    assert not (tmp_path / "stamp").exists()
    assert "\n1\n" in (tmp_path / ".venv" / "install.log").read_text()


def test_a_step_without_a_network_asks_whether_there_is_one(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--retries", "1", "--index-url", "http://127.0.0.1:9/"]
    assert "No network?" in step(tmp_path, *pip, "--no-cache-dir", "wordcounts-nowhere==1").stderr
