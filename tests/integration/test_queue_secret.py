"""The password of Redis, from a stand-in for Secrets Manager that answers, changes, refuses or is away."""

import json
from typing import Any

import boto3
import pytest
import redis
from botocore.exceptions import ClientError, EndpointConnectionError

from chalicelib import queue

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:redis"
REFUSALS = [
    ClientError({"Error": {"Code": "AccessDeniedException"}, "ResponseMetadata": {}}, "GetSecretValue"),
    EndpointConnectionError(endpoint_url="https://secretsmanager.eu-central-1.amazonaws.com"),
]


class Secrets:
    """Answers with ``says``, or raises it."""

    def __init__(self) -> None:
        self.says: str | Exception = "one"
        self.asked = 0

    def get_secret_value(self, **_: Any) -> dict[str, str]:
        self.asked += 1
        if isinstance(self.says, Exception):
            raise self.says
        return {"SecretString": self.says}


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Secrets:
    stand_in = Secrets()
    monkeypatch.setattr(boto3, "client", lambda *_, **__: stand_in)
    return stand_in


def test_a_secret_is_a_password_or_json_with_one(secrets: Secrets) -> None:
    for says, wanted in (
        ("12345678", ("12345678",)),
        (json.dumps({"password": "p"}), ("p",)),
        (json.dumps({"username": "u", "auth_token": "t"}), ("u", "t")),
    ):
        secrets.says = says
        assert queue._Secret(ARN).get_credentials() == wanted


def test_a_changed_password_is_read_again_after_a_minute(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(queue.time, "monotonic", lambda: now)
    secret = queue._Secret(ARN)
    assert secret.get_credentials() == ("one",)
    secrets.says = "two"
    assert secret.get_credentials() == ("one",)
    now += 61
    assert secret.get_credentials() == ("two",)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_without_secrets_manager_a_known_password_stays(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    now = 1000.0
    monkeypatch.setattr(queue.time, "monotonic", lambda: now)
    secret = queue._Secret(ARN)
    secret.get_credentials()
    secrets.says = refusal
    now += 61
    assert [secret.get_credentials() for _ in range(3)] == [("one",)] * 3
    assert secrets.asked == 2, "not once for each connection"


def test_without_any_password_it_is_asked_for_every_five_seconds_not_by_each_connection(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(queue.time, "monotonic", lambda: now)
    secret = queue._Secret(ARN)
    secrets.says = REFUSALS[1]
    for _ in range(3):
        with pytest.raises(redis.ConnectionError, match="NoAnswer"):
            secret.get_credentials()
    assert secrets.asked == 1
    now += 6
    secrets.says = "one"
    assert secret.get_credentials() == ("one",)


@pytest.mark.usefixtures("redis_url")
@pytest.mark.parametrize("refusal", REFUSALS)
def test_without_secrets_manager_and_password_redis_is_away_and_nothing_else(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    secrets.says = refusal
    monkeypatch.setenv("REDIS_SECRET_ARN", f"{ARN}-{type(refusal).__name__}")  # a connection of its own
    with pytest.raises(queue.QueueError):
        queue.enqueue([("interactive", "0" * 32)], stamp=1_800_000_000_000)
