"""docs/cli.md, docs/python.md and each command's --help: every example is run, and prints what the page says."""

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts import docs
from tests import conftest, websites
from tests.integration.counter import counting_at_once
from tests.integration.http_clients import local_client
from wordcounts import cli
from wordcounts.cli.options import Session

DOCS = conftest.ROOT / "docs"
SOURCE = str(conftest.ROOT / "client" / "src")
FILES = {
    "docs/a.md": "A rose is a rose. The rose is red.",
    "docs/b.md": "Another rose, and a river.",
    "page.html": "<p>rose <b>rose</b></p>",
    "poem.txt": "A rose is a rose is a rose.",
    "report.txt": "The old oak tree falls. The old oak tree grows.",
    "chapter1.txt": "rose",
    "chapter2.txt": "river",
    "moby-dick.txt": "The white whale dives. A white whale!",
    "new.txt": "rose " * 40 + "river",
    "old.txt": "river " * 40 + "rose",
    "logs/today.txt": "error: no rose",
    "articles/1.txt": "The climate changes. Climate change is here.",
    "pages.urls": "{site}/one\n{site}/two\n",
    "more.urls": "# more\n{site}/three\n",
    "answers.jsonl": '{"text": "A rose", "key": "1"}\n',
}


class Said(NamedTuple):
    """How a line ended."""

    code: int
    out: str
    err: str


class Site(websites.Site):
    """A page at every address but one."""

    def page(self, path: str) -> tuple[int, str, bytes]:
        if path == "/sitemap.xml":
            return 200, "text/plain", f"http://{self.headers['Host']}/blog/1\n".encode()
        body = f"<title>Example</title><p>An old rose and a white whale at {path}. An old rose is red.</p>"
        return (404 if path in ("/nope", "/robots.txt") else 200), "text/html", body.encode()


@pytest.fixture
def known(
    redis_url: str, dynalite_table: conftest.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """A folder with files, a service that counts, and a web site instead of the addresses of the examples."""
    monkeypatch.setenv("OBJECT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("FETCH_ALLOW_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("FETCH_HOST_RATE", "1000")
    folder = tmp_path / "work"
    with local_client() as api, counting_at_once(), websites.serving(Site) as site:
        for name, text in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text.replace("{site}", site))
        program = tmp_path / "bin" / "wordcounts"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m wordcounts "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("WORDCOUNTS_URL", f"http://127.0.0.1:{api.port}")
        monkeypatch.setenv("PYTHONPATH", SOURCE)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(folder)
        yield {"site": site}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def here(text: str, site: str) -> str:
    """An example with addresses of the site instead of those of the world."""
    text = text.replace("http://127.0.0.1/private", f"{site}/nope")
    return re.sub(r"https://(?:example\.(?:com|org)|www\.gutenberg\.org)", site, text)


def shell(line: str) -> Said:
    """A line by bash."""
    made = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return Said(made.returncode, made.stdout, made.stderr)


@pytest.fixture
def typed(known: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Callable[[str], Said]:
    """Runs a line: in this process, unless it needs a shell."""

    def run(line: str) -> Said:
        line = here(line, known["site"])
        if set("|><*$;") & set(line) or not line.startswith("wordcounts "):
            return shell(line)
        capsys.readouterr()
        code = cli.run(shlex.split(line)[1:], Session())
        return Said(code, *capsys.readouterr())

    return run


def test_the_reference_is_what_the_command_says_of_itself() -> None:
    assert (DOCS / "cli.md").read_text() == docs.reference((DOCS / "cli.md").read_text())


@pytest.mark.long
def test_every_line_for_the_shell_works_and_prints_what_the_page_says(typed: Callable[[str], Said]) -> None:
    conftest.require(shutil.which("curl"), "curl is missing")
    wrong = []
    for block in blocks("cli.md", "sh"):
        for line in block.strip().splitlines():
            said = typed(line)
            none_failed = "--state failed" in line  # which is no success
            silent = "> " in line or " rm " in line
            if said.code != none_failed or not (silent or said.out + said.err):
                wrong.append((line, said))
    assert not wrong, wrong
    for block in blocks("cli.md", "console"):
        command, _, wanted = block.removeprefix("$ ").partition("\n")
        assert typed(command).out == wanted
    assert Path("words.csv").read_text().startswith("word,count,share,documents,stop_word\n")


@pytest.mark.long
def test_every_example_of_help_works(typed: Callable[[str], Said]) -> None:
    for line in ("create news", "create last-year", "add news articles report.txt", "add last-year old.txt"):
        assert typed(f"wordcounts corpus {line}").code == 0
    lines = [line.strip() for _, said in docs.commands() for line in said.splitlines() if " wordcounts " in line]
    examples = [line for line in dict.fromkeys(lines) if not line.startswith(("Usage:", "Try"))]
    assert len(examples) > 30
    wrong = []
    for line in sorted(examples, key=lambda line: " rm " in line):
        if "--server" in line or "completion" in line or "corpus create" in line:
            continue  # another service; files of the shell; it is there already
        said = typed(line)
        if said.code != ("--state failed" in line):
            wrong.append((line, said))
    assert not wrong, wrong


def test_every_line_of_python_works(known: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in blocks("python.md", "python"):
        exec(here(block, known["site"]), names)  # noqa: S102 - our own page
    said = capsys.readouterr().out
    for wanted in (
        "2 rose",
        "4 of 4",
        "/nope",
        "('white', 'rose')",
        "['word', 'count', 'share', 'stop_word']",
        "docs/a.md",
        "http-status |",
    ):
        assert wanted in said
