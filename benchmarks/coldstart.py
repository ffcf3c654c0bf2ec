"""Cold starts: the packaged zip beside a hello-world Chalice app, under Lambda's own runtime client, in one run.

    make package STAGE=production && python -m benchmarks.coldstart [rounds]

Both have bytecode that is not checked, as the zip has. Init is CPU time from the start of the process to its first
request for an event; the first request is the CPU time of `POST /jobs`, with everything that it has to import, against
hello's `GET /`. The record store is moto's on loopback, Redis a real one. Rounds alternate;
medians count.
"""

import functools
import hashlib
import json
import logging
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import report
from scripts import servers
from tests.lambda_runtime import Answer, Function, Gateway

ROOT = Path(__file__).resolve().parent.parent
PACKAGED = ROOT / "build" / "production" / "function"
PYTHON = ROOT / ".venv-package" / "bin" / "python"  # of the minor version that Lambda runs
HELLO = """
from chalice import Chalice

app = Chalice(app_name="hello")


@app.route("/")
def index():
    return {"hello": "world"}
"""
TOKEN = "coldstart"  # noqa: S105 - of a table that lives for this run
INIT_LIMIT = 2.3  # times hello-world's
FIRST_LIMIT = 0.130  # seconds of CPU more than hello-world's


def main(arguments: list[str]) -> int:
    """Write the table; 1 when a limit is broken."""
    rounds = int(arguments[0]) if arguments else 15
    if not PACKAGED.is_dir():
        print("There is no package: run `make package STAGE=production` first.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = measure(folder, packaged(folder / "ours"), hello(folder / "hello"), rounds)
    return write(found, rounds)


def packaged(folder: Path) -> Path:
    """What is in the zip; where this machine is not an ARM one, with its own builds of the compiled parts."""
    shutil.copytree(PACKAGED, folder)
    if platform.machine() != "aarch64":
        for part in folder.rglob("*aarch64*.so"):
            [package] = (ROOT / ".venv-package").glob("lib/python*/site-packages")
            [own] = (package / part.relative_to(folder).parent).glob(f"{part.name.split('.')[0]}.*.so")
            shutil.copy(own, part.with_name(own.name))
            part.unlink()
    return folder


def hello(folder: Path) -> Path:
    """The smallest Chalice app, packaged as Chalice does and compiled as ours is."""
    shutil.copytree(PACKAGED / "chalice", folder / "chalice")
    (folder / "app.py").write_text(HELLO)
    command = [str(PYTHON), "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", str(folder)]
    subprocess.run(command, check=True)
    return folder


def measure(folder: Path, ours: Path, theirs: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of CPU of init and of the first request, ours and theirs, a list of rounds each."""
    found: dict[str, list[float]] = {"init": [], "hello init": [], "first": [], "hello first": [], "memory": []}
    environment = stores(folder)
    sys.path.insert(0, str(ROOT))
    import app

    body = json.dumps({"text": "to be or not to be"})
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    for _ in range(rounds):
        with Function("app.app", root=theirs, python=str(PYTHON)) as function:
            found["hello init"].append(function.init_cpu)
            found["hello first"].append(cpu_of(function, functools.partial(get_root, function)))
        with Function("app.app", root=ours, env=environment, python=str(PYTHON)) as function:
            found["init"].append(function.init_cpu)
            submit = functools.partial(Gateway(function, app.app).request, "POST", "/jobs", headers, body)
            found["first"].append(cpu_of(function, submit))
            found["memory"].append(function.memory_bytes() / 1e6)
    return found


def get_root(function: Function) -> Answer:
    """Hello's only route."""

    class Routes:
        routes = {"/": {"GET": None}}  # noqa: RUF012 - read once

        class api:
            binary_types: tuple[str, ...] = ()

    return Gateway(function, Routes).request("GET", "/")


def cpu_of(function: Function, call: Callable[[], Answer]) -> float:
    before = function.cpu_seconds()
    answer = call()
    if answer.status not in (200, 202):
        raise RuntimeError(f"{answer.status} {answer.body!r}\n{function.log()}")
    return function.cpu_seconds() - before


def stores(folder: Path) -> dict[str, str]:
    """A table with a token, a Redis, and the settings that name them."""
    import os

    import boto3
    import redis
    from moto.server import ThreadedMotoServer

    from chalicelib.store import records
    from tests.factories import records_by_boto3

    logging.getLogger("werkzeug").setLevel("ERROR")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "region_name": "eu-central-1"}
    client = boto3.client("dynamodb", endpoint_url=endpoint, **keys)
    records.create_table(client, "wordcounts")
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    records_by_boto3(client, "wordcounts").put_token(digest, owner="bench", name="bench")
    port = servers.free_port()
    place = folder / "redis"
    place.mkdir()
    servers.start_redis(place, os.environ, folder / "redis.log", port=port)
    with redis.Redis(port=port) as connection:
        # Only ElastiCache can check the token; making it and sending it with the first command is what costs.
        connection.acl_setuser("bench", enabled=True, nopass=True, keys=["*"], channels=["*"], commands=["+@all"])
    return {
        "AUTH": "token",
        "TABLE_NAME": "wordcounts",
        "REDIS_URL": f"redis://127.0.0.1:{port}/0",
        "REDIS_IAM": "bench@cache",
        "AWS_ENDPOINT_URL": endpoint,
        "POWERTOOLS_SERVICE_NAME": "wordcounts",
        "POWERTOOLS_METRICS_NAMESPACE": "Wordcounts",
    }


def write(found: dict[str, list[float]], rounds: int) -> int:
    """Write medians into the document; 1 when a limit is broken."""
    middle = {name: statistics.median(values) for name, values in found.items()}
    ratio = middle["init"] / middle["hello init"]
    more = middle["first"] - middle["hello first"]
    fine = ratio <= INIT_LIMIT and more < FIRST_LIMIT
    runs = subprocess.run([PYTHON, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    row = lambda name, hello: [f"{middle[name] * 1e3:.0f}", f"{middle[hello] * 1e3:.0f}"]
    lines = [
        f"{report.machine()}; the functions on {runs}. Medians of {rounds} alternating rounds, CPU time.",
        "",
        *report.table(
            ["", "ours, ms", "hello-world, ms", "goal", "found"],
            [
                ["init", *row("init", "hello init"), f"at most {INIT_LIMIT} times", f"{ratio:.2f} times"],
                [
                    "first request",
                    *row("first", "hello first"),
                    f"less than {FIRST_LIMIT * 1e3:.0f} ms more",
                    f"{more * 1e3:.0f} ms more",
                ],
            ],
        ),
        "",
        f"Memory after the first request: {middle['memory']:.0f} MB.",
    ]
    print("\n".join(lines))
    report.write("coldstart", "\n".join(lines))
    print("within the goals" if fine else "NOT within the goals")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
