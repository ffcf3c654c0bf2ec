"""The fixtures' own servers: real ones, empty, and as durable as a local stack needs."""

import contextlib
import http.client
import itertools
import os
import shlex
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import psutil
import pytest
import redis
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError

from chalicelib import queue
from chalicelib.store import records
from scripts import processes, servers
from tests.conftest import KEYS, ROOT, Table, dynamodb, others_may


def test_redis_keeps_what_was_written_through_kill_9_and_has_no_config(
    tmp_path: Path, leftovers: list[processes.Child]
) -> None:
    first, url = servers.start_redis(tmp_path / "redis", os.environ, tmp_path / "redis.log")
    leftovers.append(first)
    with redis.Redis.from_url(url) as client:
        client.set("kept", "yes")
        assert client.info("memory")["maxmemory_policy"] == "noeviction"
        with pytest.raises(redis.ResponseError, match="unknown command"):
            client.config_set("dir", str(tmp_path))
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    second, url = servers.start_redis(tmp_path / "redis", os.environ, tmp_path / "redis.log")
    leftovers.append(second)
    with redis.Redis.from_url(url) as client:
        assert client.get("kept") == b"yes"
        assert psutil.Process(second.process.pid).net_connections("inet") == []
    [path] = (tmp_path / "redis").glob("*.sock")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_redis_in_a_folder_with_a_long_and_odd_name_serves_the_queue(
    tmp_path: Path, leftovers: list[processes.Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a b?ü#%20", "long" * 40):
        folder = tmp_path / name
        for _ in range(2):  # the second start finds what the first has left
            child, url = servers.start_redis(folder, os.environ, tmp_path / "log")
            leftovers.append(child)
            monkeypatch.setenv("REDIS_URL", url)
            queue.ping()
            assert queue.connection().client_list()  # as RQ asks where a worker starts
            child.process.kill()
            child.process.wait()
        short = (folder / "socket").resolve()
        assert stat.S_IMODE(short.stat().st_mode) == 0o700
        shutil.rmtree(short)


def test_the_servers_alone_keep_their_data_outside_the_project_and_say_what_is_in_their_way(
    tmp_path: Path, leftovers: list[processes.Child]
) -> None:
    port = servers.free_port()
    command = [sys.executable, "-m", "scripts.servers", "--dynamodb-port", str(port)]
    environment, log = {**os.environ, "XDG_DATA_HOME": str(tmp_path)}, tmp_path / "log"
    first = processes.start("servers", command, environment=environment, log=log)
    leftovers.append(first)
    assert processes.wait_for(lambda: "AWS_DEFAULT_REGION" in log.read_text(), first, seconds=30)
    known = dict(shlex.split(line)[1].split("=", 1) for line in log.read_text().splitlines())
    with redis.Redis.from_url(known["REDIS_URL"]) as client:
        assert client.ping()
    keys = {name.lower(): value for name, value in known.items() if name.startswith("AWS_") and "KEY" in name}
    session = boto3.session.Session(region_name="us-east-1", **keys)
    client = session.client("dynamodb", endpoint_url=known["AWS_ENDPOINT_URL_DYNAMODB"])
    assert client.list_tables()["TableNames"] == []
    assert others_may(tmp_path / "wordcounts") == []

    def refused(*data: str) -> str:
        ran = subprocess.run([*command, *data], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 1
        return ran.stderr

    assert "in use by python -m scripts.servers" in refused()
    assert f"Port {port} is in use" in refused("--data", str(tmp_path / "other"))
    assert str(log) in refused("--data", str(log))
    assert first.stop(20)
    assert first.process.returncode == 0
    assert not processes.answers(port)


KEY = "AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {}),
        ("POST", {"Authorization": KEY.format("x")}),
        ("POST", {"Authorization": KEY.format("locals")}),
        ("POST", {"Authorization": KEY.format("local"), "Origin": "http://localhost:8222"}),
        ("POST", {"Authorization": KEY.format("local"), "Origin": "null"}),
        ("POST", {"Authorization": KEY.format("local"), "Host": "attacker.example:4567"}),
        ("POST", {"Authorization": KEY.format("local"), "Host": "127.0.0.1.attacker.example"}),
        ("POST", {"Authorization": KEY.format("local"), "Host": ""}),
        ("GET", {}),
        ("OPTIONS", {"Origin": "http://a.example", "Access-Control-Request-Method": "POST"}),
        ("OPTIONS", {"Authorization": KEY.format("local"), "Origin": "http://a.example"}),
    ],
)
def test_dynalite_answers_nobody_but_the_bearer_of_its_key(dynalite: str, method: str, headers: dict[str, str]) -> None:
    sent = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.ListTables", **headers}
    connection = http.client.HTTPConnection(dynalite.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        connection.request(method, "/", b"{}", sent)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (403, b"forbidden\n")
        assert not any(name.lower().startswith("access-control") for name in answer.headers)


def test_a_client_that_goes_away_in_the_middle_does_not_end_dynalite(dynalite: str, dynalite_table: Table) -> None:
    host, port = dynalite.removeprefix("http://").split(":")
    head = f"POST / HTTP/1.1\r\nHost: {host}\r\nAuthorization: {KEY.format('local')}\r\nContent-Length: 99\r\n\r\n{{"
    for _ in range(5):
        with socket.create_connection((host, int(port))) as wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed by a reset
            wire.sendall(head.encode())
            time.sleep(0.05)
    assert dynalite_table.client.describe_table(TableName=dynalite_table.name)


def test_a_killed_dynalite_has_each_item_and_its_index_entries_or_neither(
    tmp_path: Path, leftovers: list[processes.Child]
) -> None:
    port, name = servers.free_port(), "killed"
    client = dynamodb(f"http://127.0.0.1:{port}")

    def start() -> processes.Child:
        child = servers.start_dynalite(tmp_path / "data", port, os.environ, tmp_path / "log", keys=KEYS)
        leftovers.append(child)
        return child

    def move(job: int) -> None:
        with contextlib.suppress(EndpointConnectionError, ConnectionClosedError):
            for at in itertools.count():  # until it is killed
                due = {"due_shard": {"S": "timed#0"}, "due_at": {"N": str(at % 97)}} if at % 3 else {}
                key = {"pk": {"S": f"job#{job}"}, "sk": {"S": "job"}}
                client.put_item(TableName=name, Item={**key, **due, "data": {"S": "x" * 2000}})

    child = start()
    records.create_table(client, name)
    for _ in range(4):
        with ThreadPoolExecutor(8) as pool:
            moving = [pool.submit(move, job) for job in range(8)]
            time.sleep(0.4)
            child.process.kill()
            child.process.wait()
            assert [task.exception() for task in moving] == [None] * 8
        child = start()
        fields = ("pk", "due_shard", "due_at")
        stored = [one for one in client.scan(TableName=name)["Items"] if "due_at" in one]
        indexed = client.scan(TableName=name, IndexName="due")["Items"]
        of_both = [sorted(str([one[field] for field in fields]) for one in some) for some in (stored, indexed)]
        assert of_both[0] == of_both[1]


def test_each_test_gets_an_empty_redis_that_the_settings_name(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
    assert os.environ["REDIS_URL"] == redis_url


def test_both_stores_make_the_table_with_its_indexes(table: Table) -> None:
    description = table.client.describe_table(TableName=table.name)["Table"]
    assert description["TableStatus"] == "ACTIVE"
    assert {index["IndexName"] for index in description["GlobalSecondaryIndexes"]} == {"due", "owner"}
