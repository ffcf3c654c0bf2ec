"""Jobs and stores for tests: each test says only what matters to it."""

import time
from typing import Any

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


def records_by_boto3(client: Any, table_name: str, clock: Clock | None = None) -> Records:
    """The records of a table through a client of boto3."""
    clock = clock or Clock()
    return Records(boto3_dynamodb.sender(client, clock.observe), table_name, clock)
