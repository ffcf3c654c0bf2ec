"""The complete stack as `make run` starts it: real pages in, words out; killed, started again, stopped."""

import contextlib
import functools
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from chalicelib import counting, extracting
from scripts import processes, run, servers
from tests.conftest import ROOT, others_may

pytestmark = [pytest.mark.slow, pytest.mark.beside]
SIGNALS = [
    pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.long),
    pytest.param(signal.SIGINT, id="Ctrl-C"),
]

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(url: str, data: bytes | None, headers: dict[str, str]) -> Any:
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - an address of this machine
    with DIRECT.open(request, timeout=30) as answer:
        return json.load(answer)


class Stack:
    """`make run` in a process of its own, and what a client does with it."""

    def __init__(self, data: Path, port: int) -> None:
        self.data, self.port, self.url = data, port, f"http://127.0.0.1:{port}"
        self.make: subprocess.Popen[bytes]
        self.family: list[psutil.Process] = []

    def start(self) -> None:
        settings = {
            "FETCH_ALLOW_NETWORKS": "127.0.0.0/8",
            "FETCH_HOST_RATE": "1000",
            "FETCH_DEADLINE": "5",
            "WORKER_PROCESSES": "3",
        }
        environment = {**os.environ, **settings, "PORT": str(self.port), "DATA_DIR": str(self.data)}
        for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "REDIS_URL", "AWS_ENDPOINT_URL_DYNAMODB", "TABLE_NAME"):
            environment.pop(name, None)
        output = self.data.with_suffix(".out")
        with output.open("ab") as file:
            command = ["make", "--no-print-directory", "run"]
            self.make = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=file, stderr=file, start_new_session=True
            )
        until = time.monotonic() + 90
        while not self.healthy():
            assert self.make.poll() is None, output.read_text()
            assert time.monotonic() < until, output.read_text()
            time.sleep(0.1)
        self.family = [psutil.Process(self.make.pid), *psutil.Process(self.make.pid).children(recursive=True)]
        assert len(self.family) >= 6  # make, the launcher, two servers, HTTP, the workers' parent

    def healthy(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.ask("/health")["status"] == "ok")
        return False

    def ask(self, path: str, body: Any = None, **headers: str) -> Any:
        data = None if body is None else json.dumps(body).encode()
        return ask(self.url + path, data, {**headers, "Content-Type": "application/json"})

    def submit(self, url: str) -> str:
        return str(self.ask("/jobs", {"url": url})["id"])

    def ended(self, job_id: str, seconds: float = 60) -> Any:
        until = time.monotonic() + seconds
        while True:
            job = self.ask(f"/jobs/{job_id}", Prefer="wait=10")
            if job["state"] in ("succeeded", "failed", "canceled") or time.monotonic() > until:
                return job

    def words(self, job_id: str) -> Counter[str]:
        counts: Counter[str] = Counter()
        path = f"/jobs/{job_id}/words?stop_words=include&case=keep&limit=10000"
        while path:
            answer = self.ask(path)
            counts.update({entry["word"]: entry["count"] for entry in answer["words"]})
            following = answer["next"]
            path = following[following.index("/jobs/") :] if following else ""
        return counts

    def kill_everything(self) -> None:
        family = [psutil.Process(self.make.pid), *psutil.Process(self.make.pid).children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.make.wait()

    def stop(self, signum: int = signal.SIGTERM) -> None:
        self.family += psutil.Process(self.make.pid).children(recursive=True)
        self.make.send_signal(signum)
        self.make.wait(60)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    running = Stack(tmp_path / "data", servers.free_port())
    running.data.mkdir(0o700)
    (running.data / "environment.json").touch(0o644)  # as 0.1 left it
    try:
        running.start()
        yield running
    finally:
        if running.make.poll() is None:
            running.kill_everything()


def test_real_pages_are_counted_as_the_counter_counts_them_and_outlive_kill_9(
    stack: Stack, pages: Path, page_server: str
) -> None:
    names = sorted(path.name for path in pages.glob("*.html"))
    with ThreadPoolExecutor(8) as pool:
        ids = dict(zip(names, pool.map(stack.submit, [f"{page_server}/{name}" for name in names]), strict=True))
        jobs = dict(zip(names, pool.map(stack.ended, ids.values()), strict=True))
        assert {name: job["error"] for name, job in jobs.items() if job["state"] != "succeeded"} == {}
        counted = dict(zip(names, pool.map(stack.words, ids.values()), strict=True))
        for name in names:
            page, language = (
                extracting.extract((pages / name).read_bytes(), "text/html"),
                jobs[name]["page"]["language"],
            )
            assert counted[name] == counting.count(page.text, language), name

        # Now the same pages again, with everything killed while they are on their way.
        more = list(pool.map(stack.submit, [f"{page_server}/{name}?again" for name in names]))
        stack.kill_everything()
        stack.start()
        again = list(pool.map(stack.ended, more))
    assert [job["state"] for job in again] == ["succeeded"] * len(names)
    assert {name: stack.ask(f"/jobs/{ids[name]}") for name in names} == jobs
    assert stack.words(ids[names[0]]) == counted[names[0]]


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_to_make_leaves_no_process_and_no_port(stack: Stack, signum: int) -> None:
    job = stack.ask("/jobs", {"text": "kept for tomorrow"}, Prefer="wait=10")
    assert job["state"] == "succeeded"
    listening = {c.laddr.port for process in stack.family for c in process.net_connections() if c.status == "LISTEN"}
    assert stack.port in listening
    assert len(listening) >= 2  # and DynamoDB; Redis has a unix socket
    assert others_may(stack.data) == []
    if signum == signal.SIGINT:  # a terminal signals the whole group
        stack.family += psutil.Process(stack.make.pid).children(recursive=True)
        os.killpg(stack.make.pid, signal.SIGINT)
        stack.make.wait(60)
    else:
        stack.stop()
    assert [process for process in stack.family if process.is_running()] == []
    for port in listening:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    stack.start()  # a second start finds yesterday's job
    assert stack.ask(f"/jobs/{job['id']}") == job


def test_a_foreign_page_reads_and_writes_nothing_at_any_port(stack: Stack) -> None:
    job = stack.ask("/jobs", {"text": "nobody else's"}, Prefer="wait=10")
    listening = {c.laddr.port for process in stack.family for c in process.net_connections() if c.status == "LISTEN"}
    scan = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.ListTables"}
    signed = {**scan, "Authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request"}
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-amz-target"}
    for port in listening:
        for origin in ({"Origin": "https://attacker.example"}, {"Origin": "null"}, {"Host": "attacker.example"}):
            for method, target, headers, body in (
                ("OPTIONS", "/", preflight, None),
                ("POST", "/", scan, b"{}"),
                ("POST", "/", signed, b"{}"),
                ("POST", "/jobs", {"Content-Type": "text/plain"}, b'{"text": "written"}'),
                ("POST", "/jobs", {"Content-Type": "application/json"}, b'{"text": "written"}'),
                ("GET", f"/jobs/{job['id']}", {}, None),
                ("DELETE", f"/jobs/{job['id']}", {}, None),
            ):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request(method, target, body, {**headers, **origin})
                answer = connection.getresponse()
                # A browser shows a page of another origin nothing without this header; by a foreign Host it is the same
                # origin, and nothing may be answered at all.
                assert not any(name.lower().startswith("access-control-allow") for name in answer.headers)
                read = answer.status < 300 and method != "OPTIONS"
                assert not read or (method == "GET" and "Origin" in origin), (port, method, target, headers, origin)
                connection.close()
    assert [one["id"] for one in stack.ask("/jobs")["jobs"]] == [job["id"]]


def test_files_in_the_inbox_become_jobs_and_their_ends_events(stack: Stack) -> None:
    inbox, told = stack.data / "inbox", stack.data / "events.jsonl"
    assert told.read_text() == ""
    (inbox / "sub").mkdir()
    (inbox / "sub" / "ä b%20.HTML").write_text("<p>one two one")
    (inbox / os.fsdecode(b"\xff.txt")).write_text("a name that is not UTF-8 ends nothing")
    (inbox / "all.jsonl").write_text('{"text": "three"}\n{"text": "three", "x": 1}\n{"html": "<p>four"}\n')
    assert ended_in(told, 3) == ["four", "one", "three"]
    report = [json.loads(line) for line in (inbox / "reports" / "all.jsonl.report.jsonl").read_text().splitlines()]
    assert [sorted(line) for line in report] == [
        ["job_id", "line", "url"],
        ["error", "line"],
        ["job_id", "line", "url"],
    ]
    stack.stop()
    stack.start()
    (inbox / "new.txt").write_text("five")
    assert ended_in(told, 4) == ["five", "four", "one", "three"], "after a second start only the new file is a job"
    listed = stack.ask("/jobs")["jobs"]
    assert len(listed) == 4
    erased = listed[0]["id"]
    requests.delete(f"{stack.url}/jobs/{erased}", timeout=10).raise_for_status()
    until = time.monotonic() + 10
    while erased in told.read_text() and time.monotonic() < until:
        time.sleep(0.1)
    assert [erased in told.read_text(), len(told.read_text().splitlines())] == [False, 3]


def ended_in(told: Path, count: int) -> list[str]:
    """The first word of each succeeded job that was told, once there are so many."""
    until = time.monotonic() + 60
    while len(lines := told.read_text().splitlines()) < count and time.monotonic() < until:
        time.sleep(0.1)
    return sorted(json.loads(line)["data"]["top"][0]["word"] for line in lines)


@pytest.mark.long
def test_the_stack_stops_when_make_is_killed(stack: Stack) -> None:
    stack.make.kill()
    _, alive = psutil.wait_procs([process for process in stack.family if process.pid != stack.make.pid], 30)
    for process in alive:
        process.kill()
    assert alive == []


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends a killed launcher's children on Linux alone")
def test_a_killed_launcher_takes_everything_with_it(stack: Stack) -> None:
    [launcher] = [process for process in stack.family if "scripts.run" in process.cmdline()]
    launcher.kill()
    _, alive = psutil.wait_procs(stack.family, 5)
    assert alive == []


def test_what_a_killed_launcher_left_is_ended_by_the_next_start(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]  # as where the kernel does not end it
    with subprocess.Popen(command, env={**os.environ, processes.MARK: str(tmp_path)}) as left:
        until = time.monotonic() + 10
        while processes.MARK not in psutil.Process(left.pid).environ() and time.monotonic() < until:
            time.sleep(0.02)
        with processes.sole_user(tmp_path, "the next one"):
            assert not psutil.pid_exists(left.pid)


@pytest.mark.long
def test_a_reader_that_goes_away_and_a_hangup_under_nohup_end_nothing(tmp_path: Path) -> None:
    port = servers.free_port()
    command = ["nohup", sys.executable, "-m", "scripts.run", "--port", str(port), "--data", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as launcher:
        assert launcher.stdout is not None
        assert launcher.stderr is not None
        try:
            while b"ready" not in (line := launcher.stdout.readline()):
                assert line, launcher.stderr.read()
            launcher.stdout.close()
            launcher.send_signal(signal.SIGHUP)
            body, headers = json.dumps({"text": "one two"}).encode(), {"Content-Type": "application/json"}
            for _ in range(3):
                assert ask(f"http://127.0.0.1:{port}/jobs", body, {**headers, "Prefer": "wait=10"})["totals"]
            log, ends = tmp_path / "http.log", time.monotonic() + 10
            while log.read_text().count("POST") < 3:  # its lines go through the launcher
                assert time.monotonic() < ends, log.read_text()
                time.sleep(0.05)
        finally:
            launcher.terminate()
        errors = launcher.stderr.read().decode()
        assert (launcher.wait(60), errors.replace("nohup: ignoring input\n", "")) == (0, "")


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_count_that_is_stopped_takes_its_own_stack_along(tmp_path: Path, signum: int) -> None:
    environment = {**os.environ, "PORT": str(servers.free_port()), "TMPDIR": str(tmp_path), "PYTHONPATH": "client/src"}
    command = [sys.executable, "-m", "scripts.with_service", "count", "README.md"]
    heeded = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore Ctrl-C
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=heeded
    ) as count:
        assert count.stderr is not None
        assert "starting one for this call" in count.stderr.readline()
        until = time.monotonic() + 30
        while not list(tmp_path.glob("*/lock")) and time.monotonic() < until:
            time.sleep(0.05)
        family = psutil.Process(count.pid).children(recursive=True)
        assert family
        count.send_signal(signum)
        assert (count.wait(60), count.stderr.read()) == (130, "")
    assert [process for process in family if process.is_running()] == []
    assert list(tmp_path.iterdir()) == []


def test_a_count_finds_the_stack_of_its_data_folder_by_its_notes(page_server: str, tmp_path: Path) -> None:
    from scripts import with_service

    note = tmp_path / "environment.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_DIR", str(tmp_path))
        patch.setenv("PORT", "8000")
        assert list(with_service._addresses()) == ["http://127.0.0.1:8000"]
        note.write_text(json.dumps({"REDIS_URL": "redis://h"}))  # of an earlier version
        assert list(with_service._addresses()) == ["http://127.0.0.1:8000"]
        note.write_text(json.dumps({"WORDCOUNTS_URL": page_server}))
        assert list(with_service._addresses()) == ["http://127.0.0.1:8000", page_server]
        assert not with_service._runs(page_server)  # which is another service
        patch.setenv("PORT", "8777")
        assert list(with_service._addresses()) == ["http://127.0.0.1:8777"]


def launch(**environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "scripts.run"]
    settings = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60, check=False)


def test_a_port_in_use_a_bad_setting_and_a_missing_redis_are_said_in_words(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        taken = launch(PORT=str(port), DATA_DIR=str(tmp_path))
    assert taken.returncode == 1
    assert f"Port {port} cannot be had" in taken.stderr
    bad = launch(PORT=str(servers.free_port()), DATA_DIR=str(tmp_path), MAX_ATTEMPTS="many")
    assert "MAX_ATTEMPTS: expected a whole number" in bad.stderr
    away = f"redis://:secret@127.0.0.1:{servers.free_port()}/0"
    alone = launch(PORT=str(servers.free_port()), DATA_DIR=str(tmp_path), REDIS_URL=away)
    assert "No Redis answers at 127.0.0.1" in alone.stderr
    assert "secret" not in alone.stderr
    assert not any("Traceback" in ran.stderr for ran in (taken, bad, alone))


@pytest.mark.long
def test_servers_that_serve_something_else_and_a_folder_that_is_none_are_said_in_words(
    tmp_path: Path, page_server: str
) -> None:
    port, file = str(servers.free_port()), tmp_path / "file"
    file.touch()
    data = {"PORT": port, "DATA_DIR": str(tmp_path / "data")}
    page = page_server.removeprefix("http://")
    wrong = [
        (launch(**data, REDIS_URL=f"redis://{page}/0"), "Redis does not serve: "),
        (launch(**data, REDIS_URL="unix:///nowhere"), "Redis does not serve: "),
        (launch(**data, AWS_ENDPOINT_URL_DYNAMODB=page_server), "The table could not be made: An error occurred (501)"),
        (launch(PORT=port, DATA_DIR=str(file)), f"DATA_DIR: expected a folder that can be written, got {file}"),
    ]
    for ran, message in wrong:
        assert ran.returncode == 1
        assert ran.stderr.splitlines()[-1].startswith(f"wordcounts: {message}")


@pytest.mark.long
def test_servers_that_already_run_are_used_and_the_table_is_made_there(
    tmp_path: Path, redis_url: str, dynalite: str, moto_server: str
) -> None:
    for endpoint in (dynalite, moto_server):
        settings = {"REDIS_URL": redis_url, "AWS_ENDPOINT_URL_DYNAMODB": endpoint, "TABLE_NAME": "outside"}
        with run.running_stack(tmp_path / "data", environment={**settings, "WORKER_PROCESSES": "1"}) as url:
            body = json.dumps({"text": "one two one"}).encode()
            headers = {"Content-Type": "application/json", "Prefer": "wait=20"}
            job = ask(f"{url}/jobs", body, headers)
        assert job["totals"]["words"] == 3
        assert not (tmp_path / "data" / "redis").exists()
        assert not (tmp_path / "data" / "dynamodb").exists()


@pytest.mark.long
def test_two_stacks_cannot_share_their_data(stack: Stack) -> None:
    second = launch(PORT=str(servers.free_port()), DATA_DIR=str(stack.data))
    assert second.returncode == 1
    assert f"in use by the stack on http://127.0.0.1:{stack.port}" in second.stderr
    assert stack.healthy()
