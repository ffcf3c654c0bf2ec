"""What the Makefile passes on and refuses, with a stand-in for the Python in .venv that prints its arguments."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

FAKE = '#!/bin/sh\nprintf "%s\\n" "PORT=$PORT" "DATA_DIR=$DATA_DIR" "$@"\n'


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make at the project's root with programs from ``folder``; what is installed counts as new."""
    given = {name: value for name, value in os.environ.items() if name not in ("PORT", "DATA_DIR", "URL", "MAKEFLAGS")}
    command = ["make", "--no-print-directory", "-o", "install", "-o", ".venv/.local", f"BIN={folder}", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**given, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with a ``python`` that prints two settings and its arguments, one a line."""
    (tmp_path / "python").write_text(FAKE)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("url", ["http://h/price$100", "http://h/$(x)?a=1&b='2'#c", 'a "quoted" name.html', "$$$"])
def test_an_address_arrives_as_typed(programs: Path, url: str) -> None:
    expected = ["PORT=8000", "DATA_DIR=.local", "-m", "scripts.with_service", "count", url]
    assert make(programs, "count", f"URL={url}").stdout.splitlines() == expected
    assert make(programs, "count", URL=url).stdout.splitlines() == expected


def test_arguments_keep_what_the_shell_quotes(programs: Path) -> None:
    said = make(programs, "count", "URL=x", """ARGS=--select 'a[href$=".pdf"]' --csv""").stdout.splitlines()
    assert said[5:] == ["x", "--select", 'a[href$=".pdf"]', "--csv"]


def test_a_folder_and_a_token_name_arrive_as_typed(programs: Path) -> None:
    assert make(programs, "token", "NAME=ann$1").stdout.splitlines()[-2:] == ["make", "ann$1"]
    assert "DATA_DIR=/tmp/a$b c" in make(programs, "run", "DATA_DIR=/tmp/a$b c").stdout.splitlines()


def test_a_python_that_is_too_old_is_refused_with_the_way_to_a_newer_one(tmp_path: Path) -> None:
    old = tmp_path / "python3.old"
    old.write_text(f'#!/bin/sh\ncase "$2" in *version_info*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    old.chmod(0o755)
    said = make(tmp_path, "-B", ".venv/.made", f"PYTHON={old}")
    assert said.returncode == 2
    first, *rest = said.stderr.splitlines()
    assert "Python 3.11.5 or newer is needed" in first
    assert "make .venv/.made PYTHON=" in first
    assert len(rest) == 1  # make's own
    assert "no Python" not in said.stderr
    missing = make(tmp_path, "-B", ".venv/.made", "PYTHON=/nowhere/python3").stderr
    assert "/nowhere/python3 is missing" in missing
