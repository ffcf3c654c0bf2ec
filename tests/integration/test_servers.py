"""The fixtures' own servers: real ones, empty, and as durable as a local stack needs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from chalicelib import queue
from scripts import processes, servers
from tests.conftest import ROOT, Table


def test_redis_keeps_what_was_written_through_kill_9(tmp_path: Path, leftovers: list[processes.Child]) -> None:
    port = servers.free_port()
    first = servers.start_redis(tmp_path / "redis", port, os.environ, tmp_path / "redis.log")
    leftovers.append(first)
    with redis.Redis(port=port) as client:
        client.set("kept", "yes")
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    leftovers.append(servers.start_redis(tmp_path / "redis", port, os.environ, tmp_path / "redis.log"))
    with redis.Redis(port=port) as client:
        assert client.get("kept") == b"yes"


def test_a_redis_behind_a_unix_socket_serves(
    tmp_path: Path, leftovers: list[processes.Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    socket, command = tmp_path / "redis.sock", [servers.redis_program(), "--port", "0", "--save", "", "--unixsocket"]
    leftovers.append(processes.start("redis", [*command, str(socket)], environment=os.environ, log=tmp_path / "log"))
    assert processes.wait_for(socket.exists, *leftovers, seconds=10)
    monkeypatch.setenv("REDIS_URL", f"unix://{socket}")
    queue.ping()


def test_the_servers_alone_keep_their_data_outside_the_project_and_say_what_is_in_their_way(
    tmp_path: Path, leftovers: list[processes.Child]
) -> None:
    redis_port, dynamodb_port = servers.free_port(), servers.free_port()
    ports = ["--redis-port", str(redis_port), "--dynamodb-port", str(dynamodb_port)]
    command = [sys.executable, "-m", "scripts.servers", *ports]
    environment, log = {**os.environ, "XDG_DATA_HOME": str(tmp_path)}, tmp_path / "log"
    first = processes.start("servers", command, environment=environment, log=log)
    leftovers.append(first)
    assert processes.wait_for(lambda: "AWS_ACCESS_KEY_ID" in log.read_text(), first, seconds=30)
    assert (tmp_path / "wordcounts" / "redis").is_dir()

    def refused(*data: str) -> str:
        ran = subprocess.run([*command, *data], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 1
        return ran.stderr

    assert "in use by python -m scripts.servers" in refused()
    assert f"Port {redis_port} is in use" in refused("--data", str(tmp_path / "other"))
    assert str(log) in refused("--data", str(log))
    assert first.stop(20)
    assert first.process.returncode == 0
    assert not processes.answers(redis_port)
    assert not processes.answers(dynamodb_port)


def test_each_test_gets_an_empty_redis_that_the_settings_name(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
    assert os.environ["REDIS_URL"] == redis_url


def test_both_stores_make_the_table_with_its_indexes(table: Table) -> None:
    description = table.client.describe_table(TableName=table.name)["Table"]
    assert description["TableStatus"] == "ACTIVE"
    assert {index["IndexName"] for index in description["GlobalSecondaryIndexes"]} == {"due", "owner"}
