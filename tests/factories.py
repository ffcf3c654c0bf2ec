"""Jobs and stores for tests: each test says only what matters to it."""

import time
from collections.abc import Mapping
from typing import Any

import pytest

from chalicelib.aws import boto3_dynamodb
from chalicelib.store import records
from chalicelib.store.clock import Clock
from chalicelib.store.records import Job, Records


def a_job(**fields: Any) -> Job:
    """A new job of Anna's."""
    given = {
        "id": records.new_id(),
        "owner": "anna",
        "kind": "url",
        "queue": "interactive",
        "url": "https://example.com/",
        "request_hash": "abc",
        "submitted_at": int(time.time() * 1000),
        "expires_at": int(time.time()) + 86_400,
    }
    return Job(**given | fields)


def noted_calls(store: Records, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the operations that a store sends from now on."""
    calls: list[str] = []
    send = store.send

    def noted(operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        calls.append(operation)
        return send(operation, arguments)

    monkeypatch.setattr(store, "send", noted)
    return calls


def records_by_boto3(client: Any, table_name: str, clock: Clock | None = None) -> Records:
    """The records of a table through a client of boto3."""
    clock = clock or Clock()
    return Records(boto3_dynamodb.sender(client, clock.observe), table_name, clock)
