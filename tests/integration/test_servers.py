"""The fixtures' own servers: real ones, empty, and as durable as a local stack needs."""

import os
import signal
from pathlib import Path

import pytest
import redis

from chalicelib import queue
from scripts import processes, servers
from tests.conftest import Table


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


def test_each_test_gets_an_empty_redis_that_the_settings_name(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
    assert os.environ["REDIS_URL"] == redis_url


def test_both_stores_make_the_table_with_its_indexes(table: Table) -> None:
    description = table.client.describe_table(TableName=table.name)["Table"]
    assert description["TableStatus"] == "ACTIVE"
    assert {index["IndexName"] for index in description["GlobalSecondaryIndexes"]} == {"due", "owner"}
