"""The fixtures' own servers: real ones, empty, and as durable as a local stack needs."""

import os
import signal
from pathlib import Path

import redis

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


def test_each_test_gets_an_empty_redis_that_the_settings_name(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
    assert os.environ["REDIS_URL"] == redis_url


def test_both_stores_make_the_table_with_its_indexes(table: Table) -> None:
    description = table.client.describe_table(TableName=table.name)["Table"]
    assert description["TableStatus"] == "ACTIVE"
    assert {index["IndexName"] for index in description["GlobalSecondaryIndexes"]} == {"due", "owner"}
