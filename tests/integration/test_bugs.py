"""Bugs that were found from outside: every case of ../shared/cases/bugs.json, of every kind, by the way it came in."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chalicelib import counting
from chalicelib.extracting import extract
from chalicelib.fetching import fetch
from tests.conftest import ROOT, SHARED, require
from tests.hostile import PAGE, Hostile, say, whole

CASES = SHARED / "cases" / "bugs.json"
UTF8 = "text/html; charset=utf-8"


def page_bytes(case: dict[str, Any], _: Path) -> object:
    return extract(bytes.fromhex(case["input"]["hex"]), case["input"]["content_type"]).text.split()


def html(case: dict[str, Any], _: Path) -> object:
    given = case["input"]
    page = extract(given["html"].encode(), UTF8, select=given.get("select"), ignore=given.get("ignore"))
    return page.text.split()


def xml(case: dict[str, Any], _: Path) -> object:
    given = case["input"]
    page = extract(given["body"].encode(), given["content_type"], select=given.get("select"))
    assert page.title == case.get("title", page.title) or given.get("select")
    return page.text.split()


def raw_answer(case: dict[str, Any], _: Path) -> object:
    given = case["input"]
    with Hostile({}) as server:

        def moved(text: str) -> bytes:  # the cases name an address of their own
            return text.replace("127.0.0.2:8214", f"127.0.0.1:{server.port}").encode("latin-1")

        answers = {given["path"]: given["answer"], **given["then"]}
        server.routes.update({path.partition("?")[0]: say(moved(answer)) for path, answer in answers.items()})
        page = fetch(server.url(given["path"]))
    return extract(page.body, page.content_type).text.split()


def page_by_http(case: dict[str, Any], _: Path) -> object:
    name, _, value = case["input"]["answer"].partition(": ")
    body = case["input"]["html"].encode()
    with Hostile({"/": say(whole(body, **{name.replace("-", "_"): value}))}) as server:
        fetched = fetch(server.url())
    page = extract(fetched.body, fetched.content_type, content_language=fetched.content_language)
    return f"language {counting.languages_of(page.text, page.language).language}"


def command(case: dict[str, Any], folder: Path) -> object:
    """The command as typed, with a Python that asks for the address which it is given."""
    asks = "import sys, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(sys.argv[-1])"
    (folder / "python").write_text(f"#!/bin/sh\nexec {sys.executable} -c '{asks}' \"$@\"\n")
    (folder / "python").chmod(0o755)
    path = case["right"].split()[1]
    with Hostile({path: say(whole(PAGE))}) as server:
        typed = case["input"]["command"].replace("127.0.0.1:8211", f"127.0.0.1:{server.port}")
        make = typed.replace("make ", f"make --no-print-directory -o install -o .venv/.local BIN={folder} ", 1)
        subprocess.run(["sh", "-c", make], cwd=ROOT, timeout=60, check=True)
        return server.heads[0].decode().partition(" HTTP")[0]


def fresh_process(case: dict[str, Any], _: Path) -> object:
    calls = case["input"]["call"].split("; ")
    watched = [f"said.append({call})" if call == calls[-1] else call for call in calls]
    program = "; ".join(["from chalicelib import counting", "said = []", *watched, "print(said[0] == said[1])"])
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return "the same twice" if run.stdout == "True\n" else run.stdout


KINDS = {
    "page bytes": page_bytes,
    "html": html,
    "html with select/ignore": html,
    "xml": xml,
    "raw HTTP answer on loopback": raw_answer,
    "page": page_by_http,
    "command": command,
    "python, fresh process": fresh_process,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_shared_bug_is_mended(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require(CASES.is_file(), "../shared/cases/bugs.json is not there")
    monkeypatch.setenv("FETCH_ALLOW_NETWORKS", "127.0.0.0/8")
    cases = json.loads(CASES.read_text("utf-8"))
    assert {case["door"] for case in cases} <= set(KINDS)
    these = [case for case in cases if case["door"] == kind]
    assert these
    for case in these:
        assert KINDS[kind](case, tmp_path) == case["right"], case
