"""The whole service on one machine: Redis, DynamoDB, the workers, the HTTP API and the page. `make run` ends here.

Started in the order in which they need each other, stopped in the reverse; nothing is restarted: when one ends, all do.

usage: python -m scripts.run [--port 8000] [--data .local]      (or PORT and DATA_DIR in the environment)
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chalicelib import queue, settings

from . import processes, servers
from .processes import CannotStart, Child, Signals

STOP_SECONDS = 30  # for what runs: a fetch may take 20, then it is counted and written
START_SECONDS = 60
PORT = 8000
# What could lead a child to somebody's real account instead of the DynamoDB of this machine.
FOREIGN = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")
QUIET_KEYS = {"location", "timestamp", "service", "exception_name", "xray_trace_id"}


@dataclass(slots=True)
class Stack:
    """What runs, and the environment that makes another process part of it."""

    data: Path
    port: int
    signals: Signals
    environment: dict[str, str]
    own: list[str] = field(default_factory=list)  # variables whose values were made for this run
    backs: list[Child] = field(default_factory=list)  # Redis and DynamoDB
    fronts: list[Child] = field(default_factory=list)  # the workers and the HTTP API

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> list[Child]:
        return [*self.backs, *self.fronts]


def say(text: str) -> None:
    """One line of the launcher's own."""
    tell(f"wordcounts | {text}")


def tell(line: str) -> None:
    """Print a line for people; when they have left (a closed terminal, `| tee` after Ctrl-C), what runs goes on."""
    try:
        print(processes.visible(line), flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# --- start ---


def start(stack: Stack) -> None:
    """Start everything and wait until the workers and the API are ready; ``CannotStart``."""
    say("starting Redis, DynamoDB, the workers and the API…")
    _start_redis(stack)
    _start_dynamodb(stack)
    _make_table(stack)
    stack.environment.setdefault("API_URL", stack.url)  # of the links in events
    alive = Path(stack.environment["TMPDIR"]) / settings.load().alive_file
    alive.unlink(missing_ok=True)
    _start_front(stack, "worker", "chalicelib.worker")
    _start_front(stack, "http", "scripts.serve", str(stack.port))
    _start_front(stack, "feed", "scripts.feed", str(stack.data))
    # For this user's scripts; keys only where they are made for this run.
    known = ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_DEFAULT_REGION", "TABLE_NAME", *stack.own)
    where = {name: stack.environment[name] for name in known if stack.environment.get(name)}
    (stack.data / "environment.json").unlink(missing_ok=True)  # 0.1 left it readable for others
    (stack.data / "environment.json").write_text(json.dumps({**where, "WORDCOUNTS_URL": stack.url}))

    def ready() -> bool:
        return alive.exists() and _healthy(stack.url)

    stop = stack.signals.stop
    if not processes.wait_for(ready, *stack.running, seconds=START_SECONDS, stop=stop) and not stop():
        processes.check(stack.running)
        raise CannotStart(f"It is not ready after {START_SECONDS} s; logs are in {stack.data}")


def _start_front(stack: Stack, name: str, module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    short = sys.stdout.isatty()

    def show(line: str) -> None:
        if (words := in_words(line, short=short)) is not None:
            tell(f"{name:10} | {words}")

    log = stack.data / f"{name}.log"
    stack.fronts.append(processes.start(name, command, environment=stack.environment, log=log, show=show))


def _start_redis(stack: Stack) -> None:
    if given := stack.environment.get("REDIS_URL"):
        if not processes.wait_for(lambda: not _redis_problem(), seconds=10):
            parts = urlsplit(given)
            host, port = parts.hostname or "", parts.port or 6379  # never the password that the address may hold
            away = f"No Redis answers at {host}:{port}" if host and not processes.answers(port, host) else ""
            raise CannotStart(f"{away or _redis_problem()}, where REDIS_URL points")
        return
    child, url = servers.start_redis(stack.data / "redis", stack.environment, stack.data / "redis.log")
    stack.backs.append(child)
    stack.own.append("REDIS_URL")
    stack.environment["REDIS_URL"] = url


def _redis_problem() -> str:
    try:
        queue.ping()
    except queue.QueueError as error:
        return str(error)
    return ""


def _start_dynamodb(stack: Stack) -> None:
    environment = stack.environment
    if not environment.get("AWS_DEFAULT_REGION"):
        environment["AWS_DEFAULT_REGION"] = environment.get("AWS_REGION") or "us-east-1"
    if environment.get("AWS_ENDPOINT_URL_DYNAMODB"):
        if not any(environment.get(name) for name in ("AWS_ACCESS_KEY_ID", *FOREIGN)):
            environment.update(servers.new_keys())  # it wants some
        return
    port, keys = servers.free_port(), servers.new_keys()
    child = servers.start_dynalite(stack.data / "dynamodb", port, environment, stack.data / "dynamodb.log", keys=keys)
    stack.backs.append(child)
    stack.own.extend(keys)
    for name in FOREIGN:
        environment.pop(name, None)
    environment.update(keys, AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    environment["AWS_ENDPOINT_URL_DYNAMODB"] = f"http://127.0.0.1:{port}"


def _make_table(stack: Stack) -> None:
    command = [sys.executable, "-m", "scripts.create_table"]
    if any(child.name == "dynamodb" for child in stack.backs):
        command.append("--recover")  # the folder's lock is held, so no worker of an earlier run lives
    made = subprocess.run(
        command, cwd=processes.ROOT, env=stack.environment, capture_output=True, text=True, check=False
    )
    if made.returncode and not stack.signals.stop():
        raise CannotStart(f"The table could not be made: {(made.stderr.strip() or 'no reason given').splitlines()[-1]}")


def _healthy(url: str) -> bool:
    try:
        with _direct.open(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:  # an HTTP error is one too
        return False


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy stands before the loopback


# --- run and stop ---


def watch(stack: Stack, parent: int | None) -> None:
    """Until somebody asks to stop, or the parent is gone; ``CannotStart`` where something has ended by itself."""
    while not stack.signals.stop() and parent in (None, os.getppid()):
        processes.check(stack.running)
        time.sleep(0.2)


def stop(stack: Stack) -> None:
    """First what takes jobs and runs them, which may finish; then what they are kept in."""
    for child in stack.fronts:
        child.ask_to_stop()
    if any(child.alive for child in stack.fronts):
        say("stopping; what runs may finish (again to stop at once)")
    until = time.monotonic() + STOP_SECONDS
    for child in reversed(stack.fronts):
        if not child.ended(max(0.0, until - time.monotonic()), stack.signals.hurry):
            say(f"{child.name} was killed; what it had in hand goes on at the next start")
    for child in stack.backs:
        child.stop(10)


def in_words(text: str, *, short: bool = False) -> str | None:
    """A JSON log line as level, message and what else it says; None for metrics, good health and empty lines.

    ``short`` is for a person at a terminal: of a request and a job what happened and how long it took.
    """
    if text.startswith('{"_aws"'):  # two threads may write theirs into one line
        return None
    try:
        entry = json.loads(text)
    except ValueError:
        entry = None
    if not isinstance(entry, dict):
        return text or None
    if entry.get("route") == "/health" and entry.get("status") == 200:
        return None
    with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):  # any other line, as it is
        if short and entry["level"] == "INFO":
            return _in_short(entry)
    level, message = entry.pop("level", "INFO"), entry.pop("message", "")
    words = [f"{key}={value}" for key, value in entry.items() if key not in QUIET_KEYS]
    return " ".join(map(str, [*([] if level == "INFO" else [level]), message, *words]))


def _in_short(entry: dict[str, Any]) -> str:
    if entry["message"] == "request":
        path = str(entry["route"]).replace("{job_id}", str(entry.get("job_id", "{job_id}")))
        return f"{entry['method']} {path}  {entry['status']}, {entry['ms']:.0f} ms"
    took = sum(entry["seconds"].values()) - entry["seconds"].get("waited", 0)  # of a job: nothing else has seconds
    why = f" ({entry['error']})" if "error" in entry else ""
    return f"{entry['kind']} {entry['job_id']}  {entry['state']}{why}, {took * 1000:.0f} ms"


# --- the command ---


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.run", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", default=os.environ.get("PORT") or str(PORT))
    parser.add_argument("--data", default=os.environ.get("DATA_DIR") or processes.DATA_DIR)
    parser.add_argument("--parent", type=int, help="stop when this process, which started it, is gone")
    options = parser.parse_args(arguments)
    os.umask(0o077)  # what is written here is this user's alone
    signals = Signals()
    data = Path(options.data).expanduser().resolve()
    try:
        port = _port(options.port)
        settings.load()
        with processes.sole_user(data, f"the stack on http://127.0.0.1:{port}"):
            _check_free(port)
            _run(Stack(data, port, signals, _environment(data)), options.parent)
    except (CannotStart, settings.SettingsError, OSError) as error:
        # What another program said may be in it.
        print("wordcounts:", "\n".join(map(processes.visible, str(error).splitlines())), file=sys.stderr)
        return 1
    return 0


def _run(stack: Stack, parent: int | None) -> None:
    try:
        start(stack)
        if not stack.signals.stop():
            _greet(stack)
        watch(stack, parent)
    finally:
        stop(stack)
    say("stopped")


def _greet(stack: Stack) -> None:
    say(f"ready: {stack.url}   (data and logs in {stack.data}; Ctrl-C stops)")
    if opened := stack.environment.get("FETCH_ALLOW_NETWORKS"):
        say(f"pages of {opened} are fetched too, until it stops: FETCH_ALLOW_NETWORKS is not remembered")
    say("try it in another terminal:")
    body = json.dumps({"url": "https://example.com/"})
    tell("")
    tell(f"  curl -s {stack.url}/jobs -H 'Content-Type: application/json' -H 'Prefer: wait=15' -d '{body}'")
    tell("")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
        raise CannotStart(f"PORT: expected a number from 1 to 65535, got {text!r}")
    return int(text)


def _check_free(port: int) -> None:
    if (problem := _why_not(port)) is not None:
        likely = [port + 8000] if port < 1024 else [port + 100 * step for step in range(1, 10)]  # 80 -> 8080
        free = next((one for one in likely if one < 65_536 and _why_not(one) is None), None) or servers.free_port()
        raise CannotStart(f"Port {port} cannot be had ({problem}); another: make run PORT={free}")


def _why_not(port: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what a killed stack left in TIME_WAIT is free
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError as error:
            return error.strerror
    return None


def _environment(data: Path) -> dict[str, str]:
    # TMPDIR has the worker's sign of life, which two stacks must not share; INBOX_DIR is what feed.py takes.
    folders = {"TMPDIR": data / "tmp", "INBOX_DIR": data / "inbox", "OBJECT_STORE": data / "objects"}
    for folder in folders.values():
        folder.mkdir(exist_ok=True)
    own = {name: str(folder) for name, folder in folders.items()}
    given = {name: value for name in ("OBJECT_STORE", "WORKER_PROCESSES") if (value := os.environ.get(name))}
    fixed = {processes.MARK: str(data), "PYTHONUNBUFFERED": "1", "WORKER_PROCESSES": "8"}  # a desk is not a server
    return {**os.environ, **fixed, **own, **given}


@contextlib.contextmanager
def running_stack(
    data: Path | None = None, environment: Mapping[str, str] | None = None, output: Path | None = None
) -> Iterator[str]:
    """The stack in a process of its own for as long as the block runs; yields its base URL.

    It stops by itself when the caller dies. Without ``data`` nothing is kept; ``output`` takes what it prints.
    ``CannotStart`` with its last lines.
    """
    with contextlib.ExitStack() as cleanup:
        if data is None:
            data = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="wordcounts-")))
        port = servers.free_port()
        printed = output or data / "run.log"
        command = [sys.executable, "-m", "scripts.run", "--port", str(port), "--data", str(data)]
        command += ["--parent", str(os.getpid())]
        child = processes.start("stack", command, environment={**os.environ, **(environment or {})}, log=printed)
        cleanup.callback(child.stop, STOP_SECONDS + 15)
        url = f"http://127.0.0.1:{port}"
        if not processes.wait_for(lambda: _healthy(url), child, seconds=START_SECONDS + 30):
            raise CannotStart(f"The stack did not start:\n{processes.last_lines(printed)}")
        yield url


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
