"""Child processes of a launcher: each in a group of its own, waited for by its port, stopped for certain.

On Linux the kernel kills them when the launcher is killed; elsewhere the next start does.

Why not honcho or circus: docs/adr says.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

import psutil

from chalicelib import settings

ROOT = Path(__file__).resolve().parent.parent
DATA_DIR = ".local"
MARK = "WORDCOUNTS_DATA"  # in the environment of every child: whose it is, so that leftovers can be found
LOG_BYTES = 10_000_000
# Before a command: the kernel then kills the child when this process is killed. setpriv is a part of Linux alone.
TIED = [setpriv, "--pdeathsig", "KILL"] if (setpriv := shutil.which("setpriv")) else []


class CannotStart(Exception):
    """What was asked for cannot be started here, or not go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Child:
    """A started program, the leader of its own process group."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    reader: threading.Thread | None = field(default=None, compare=False)

    @property
    def alive(self) -> bool:
        """Whether the leader still runs."""
        return self.process.poll() is None

    def ask_to_stop(self) -> None:
        """SIGTERM to the leader only: its own children are its own to stop."""
        if self.alive:
            self.process.terminate()

    def ended(self, seconds: float, hurry: Callable[[], bool] = lambda: False) -> bool:
        """Wait so long for one that was asked, then kill its whole group; whether the leader ended by itself."""
        by_itself = wait_for(lambda: not self.alive, seconds=seconds, stop=hurry)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)  # also what a leader left behind
        self.process.wait()
        if self.reader is not None:
            self.reader.join(1)
        return by_itself

    def stop(self, seconds: float) -> bool:
        """Ask once, wait, kill; whether it ended by itself."""
        self.ask_to_stop()
        return self.ended(seconds)


class Signals:
    """SIGINT, SIGTERM and SIGHUP as a flag that a launcher looks at, so that none unwinds it in the middle."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._again = False
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:  # nohup wants it ignored
                signal.signal(signum, self._note)

    def _note(self, _signum: int, _frame: FrameType | None) -> None:
        if self._first is None:
            self._first = time.monotonic()
        elif time.monotonic() - self._first > 1.0:  # make and a terminal send one signal twice
            self._again = True

    def stop(self) -> bool:
        """Whether to stop."""
        return self._first is not None

    def hurry(self) -> bool:
        """Whether somebody asked a second time and does not want to wait."""
        return self._again


def start(
    name: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    show: Callable[[str], None] | None = None,
) -> Child:
    """Start a program at the project's root; its output goes to ``log``, and line by line to ``show``.

    Call it in the main thread: the kernel takes the end of the thread that started a child for its parent's end.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    rotate(log)
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*TIED, *command],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file if show is None else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the launcher alone, which then stops things in order
        )
    reader = None
    if show is not None:
        reader = threading.Thread(target=_read, args=(process.stdout, log, show), daemon=True)
        reader.start()
    return Child(name, process, log, reader)


def visible(text: str) -> str:
    """A line without what would steer a terminal or forge another line."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _read(output: IO[bytes], log: Path, show: Callable[[str], None]) -> None:
    with output:
        for line in output:
            rotate(log)
            with log.open("ab", buffering=0) as file:
                file.write(line)
            show(line.decode(errors="replace").rstrip())


def rotate(log: Path) -> None:
    """Put a file that has grown large aside, as ``….1``; the one that was there before goes."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES:
            log.replace(log.with_name(log.name + ".1"))


def last_lines(log: Path) -> str:
    """The last twelve lines of a log, indented."""
    with contextlib.suppress(OSError):
        lines = log.read_text(errors="replace").splitlines()[-12:]
        return "\n".join(f"  {visible(line)}" for line in lines)
    return ""


def check(children: Iterable[Child]) -> None:
    """``CannotStart`` says which of them has ended by itself, and how."""
    for child in children:
        if not child.alive:
            status = child.process.returncode
            how = f"was ended by signal {-status}" if status < 0 else f"has ended with status {status}"
            raise CannotStart(f"{child.name} {how}. Its last lines ({child.log}):\n{last_lines(child.log)}")


def wait_for(
    ready: Callable[[], bool], *children: Child, seconds: float, stop: Callable[[], bool] = lambda: False
) -> bool:
    """Poll until ``ready()``; False when the time is over, a child has died, or ``stop()`` says so."""
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until or stop() or not all(child.alive for child in children):
            return False
        time.sleep(0.02)
    return True


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def sole_user(data: Path, who: str) -> Iterator[None]:
    """Hold a data folder, or ``CannotStart`` where another launcher has it; what a killed one left running is ended."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        opened = (data / "lock").open("a+")
    except OSError as error:
        raise CannotStart(f"DATA_DIR: expected a folder that can be written, got {data}: {error.strerror}") from None
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotStart(f"{data} is in use by {lock.read().strip() or 'another stack'}") from None
        lock.truncate(0)
        lock.write(f"{who}, process {os.getpid()}\n")
        lock.flush()
        end_leftovers(data)
        try:
            yield
        finally:
            end_leftovers(data)


def join_stack(*names: str) -> None:
    """Take the settings of the stack that runs here, where the environment has none of these; exits on a bad one."""
    file = Path(os.environ.get("DATA_DIR") or DATA_DIR) / "environment.json"
    if not any(map(os.environ.get, names)) and file.is_file():
        os.environ.update(json.loads(file.read_text()))
    try:
        settings.load()
    except settings.SettingsError as error:
        sys.exit(str(error))


def end_leftovers(data: Path) -> None:
    """Kill what a launcher started for this folder. Only for the holder of the folder's lock."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and _belongs(process, data):
                process.kill()
                found.append(process)
    psutil.wait_procs(found, timeout=5)


def _belongs(process: psutil.Process, data: Path) -> bool:
    # Redis writes its title over its environment, but works in its folder.
    if process.name() in ("redis-server", "valkey-server"):
        return Path(process.cwd()) == data / "redis"
    return process.environ().get(MARK) == str(data)
