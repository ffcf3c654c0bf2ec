"""docs/api.md, line by line: every curl line is run and answers, and what is said of it is so."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import conftest
from tests.integration.counter import counting_at_once
from tests.integration.http_clients import local_client

PAGE = conftest.ROOT / "docs" / "api.md"


@pytest.fixture
def url(redis_url: str, dynalite_table: conftest.Table) -> Iterator[str]:
    with local_client() as api, counting_at_once():
        yield f"http://127.0.0.1:{api.port}"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_every_line_for_the_shell_works(url: str, tmp_path: Path) -> None:
    conftest.require(shutil.which("curl"), "curl is missing")
    script = "set -ex\n" + "".join(blocks("sh")).replace("http://127.0.0.1:8000", url)
    script = script.replace("https://example.com/", f"{url}/health")
    made = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    said = re.sub(r'"detail":"[^"]*"', "", made.stdout)
    wanted = ('"state":"succeeded"', '"word":"To","count":2', "HTTP/1.1 202", "Location: /jobs/", "Retry-After: 1")
    wanted += (
        "Idempotency-Replayed: true",
        "idempotency-key-reused",
        "word,count,share,stop_word",
        '"word":"question"',
    )
    wanted += ('"match":"be"', "start,end,place,before,match,after", '"windows":', '"phrase":["', '"log_ratio":')
    wanted += ('"next":', "problem:job-ended", "HTTP/1.1 204", "problem:gone", '"status":"ok"', "method-not-allowed")
    assert [text for text in wanted if text not in said] == []


def test_the_lines_of_python_work(url: str, capsys: Any) -> None:
    [program] = blocks("python")
    program = program.replace("http://127.0.0.1:8000", url).replace('"https://example.com/"', 'text="Hello, hello"')
    exec(program, {})  # noqa: S102 - our own page
    assert capsys.readouterr().out.splitlines()[-1:] == ["2 Hello"]


def test_every_problem_is_described_once() -> None:
    from chalicelib import errors
    from scripts import docs

    text = (conftest.ROOT / "docs" / "problems.md").read_text()
    assert text == docs.problems(), "make docs"
    for name in (*errors.PROBLEMS, *errors.ErrorKind):
        assert f"### {name}" in text


def test_what_the_page_names_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE.read_text()):
        assert os.path.exists(PAGE.parent / target), target
