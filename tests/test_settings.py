import ipaddress
import os

import pytest

from chalicelib.settings import Settings, SettingsError, load
from tests.conftest import ROOT


def test_an_empty_environment_gives_the_defaults():
    assert load({}) == Settings()


def test_an_empty_value_means_the_default():
    assert load({"RESULT_DAYS": ""}).result_days == 30


def test_values_are_read_with_their_types():
    got = load(
        {
            "FETCH_ALLOW_NETWORKS": "127.0.0.0/8, ::1/128",
            "MAX_ATTEMPTS": "5",
            "FETCH_DEADLINE": "1.5",
            "KEEP_TEXT": "false",
        }
    )
    assert got.fetch_allow_networks == (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
    assert (got.max_attempts, got.fetch_deadline, got.keep_text) == (5, 1.5, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_IAM", "wordcounts"),
        ("RESULT_DAYS", "0"),
        ("RESULT_DAYS", "many"),
        ("WORDS", "regex"),
        ("KEEP_TEXT", "maybe"),
        ("AUTH", "maybe"),
        ("FETCH_ALLOW_NETWORKS", "everything"),
        ("WORKER_PROCESSES", "bulk:1"),
        ("WORKER_PROCESSES", "0"),
        ("WORKER_PROCESSES", "interactive:0,bulk:0"),
        ("FETCH_DEADLINE", "nan"),
        ("FETCH_DEADLINE", "inf"),
        ("FETCH_CONTACT", "a b"),
        ("LOG_LEVEL", "LOUD"),
        ("EVENT_BUS", "a bus"),
        ("API_URL", "example.com"),
        ("INBOX_DIR", "in/box"),
        ("WEBHOOK_URL", "https://ann:secret@example.com/"),
        ("DOCUMENTS_BUCKET", "s3://documents"),
        ("LEASE_SECONDS", "20"),
        ("SPARK_APPLICATION", "arn:aws:emr-serverless"),
        ("SPARK_APPLICATION", "00f1"),
        ("SPARK_ROLE", "spark"),
        ("SPARK_WORDS", "0"),
    ],
)
def test_a_bad_value_is_refused_with_its_name(name, value):
    with pytest.raises(SettingsError, match=f"^{name}: expected "):
        load({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("REDIS_URL", "http://ann:secret@cache:6379"), ("WEBHOOK_URL", "https://ann:secret@example.com/")],
)
def test_a_refused_address_is_told_without_its_password(name, value):
    with pytest.raises(SettingsError) as refused:
        load({name: value})
    assert "secret" not in str(refused.value)
    assert value.partition("@")[2] in str(refused.value)


def test_every_setting_stands_in_the_readme():
    table = (ROOT / "README.md").read_text().partition("## Settings")[2]
    assert [name for name in Settings.__struct_fields__ if f"`{name.upper()}`" not in table] == []


def test_a_variable_that_changes_is_read_anew(monkeypatch):
    for owner in ("ann", "bob"):
        monkeypatch.setenv("EVENT_OWNER", owner)
        assert load().event_owner == owner
    assert load() is load()
    monkeypatch.setenv("EVENT_OWNER", "!")
    for _ in range(2):
        with pytest.raises(SettingsError):
            load()
    monkeypatch.delenv("EVENT_OWNER")
    assert load().event_owner == "events"


def test_settings_are_read_of_a_plain_dict_too(monkeypatch):
    """Chalice's test client replaces ``os.environ`` by one."""
    monkeypatch.setattr(os, "environ", {"QUEUE_NAME": "plain"})
    assert load().queue_name == "plain"
    os.environ["QUEUE_NAME"] = "other"
    assert load().queue_name == "other"
