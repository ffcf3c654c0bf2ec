"""The local inbox: which files are new, and that none of them ends the stack."""

import json
import os
import time
from pathlib import Path

import pytest

import app
from chalicelib import jobs
from scripts import feed
from scripts.feed import Inbox, created


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is dropped has settled at once: no program can set a file's time of change back."""
    monkeypatch.setattr(feed, "SETTLED_SECONDS", -1.0)


def drop(folder: Path, key: str, text: str = "x") -> Path:
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def report(folder: Path, key: str, age: float) -> None:
    """A list's report, ``age`` seconds older than now."""
    path = drop(folder, f"reports/{key}.report.jsonl")
    os.utime(path, (time.time() - age, time.time() - age))


def keys(inbox: Inbox) -> list[str]:
    return [key for key, _, _ in inbox.new()]


def test_a_file_is_new_until_it_is_taken_and_again_when_it_changes(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    path = drop(tmp_path, "sub/a.urls")
    [(key, version, size)] = list(inbox.new())
    assert (key, size) == ("sub/a.urls", 1)
    assert keys(inbox) == ["sub/a.urls"]
    inbox.taken[key] = version
    assert keys(inbox) == []
    path.write_text("xy")
    assert keys(inbox) == ["sub/a.urls"]


def test_what_still_grows_is_hidden_is_ours_or_a_link_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in (".hidden.txt", ".git/a.txt", "reports/a.urls.report.jsonl", "progress/a.urls.5.json"):
        drop(tmp_path, key)
    (tmp_path / "link.txt").symlink_to("/etc/hostname")
    (tmp_path / "links").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe.txt")
    drop(tmp_path, "sub/reports/a.txt")
    assert keys(Inbox(tmp_path)) == ["sub/reports/a.txt"]
    monkeypatch.setattr(feed, "SETTLED_SECONDS", 60.0)
    assert keys(Inbox(tmp_path)) == []


@pytest.mark.parametrize("age", [-86_400, 86_400])
def test_a_file_may_bring_any_date(tmp_path: Path, age: float, monkeypatch: pytest.MonkeyPatch) -> None:
    path = drop(tmp_path, "a.txt")
    os.utime(path, (time.time() - age, time.time() - age))
    assert keys(Inbox(tmp_path)) == ["a.txt"]
    monkeypatch.setattr(feed, "SETTLED_SECONDS", 60.0)
    assert keys(Inbox(tmp_path)) == [], "it may still grow, whatever its date says"


def test_a_list_with_a_younger_report_was_read_before(tmp_path: Path) -> None:
    for key in ("a.urls", "b.urls"):
        drop(tmp_path, key)
    report(tmp_path, "a.urls", age=-5)
    report(tmp_path, "b.urls", age=5)
    assert keys(Inbox(tmp_path)) == ["b.urls"]


def test_a_list_that_grew_while_it_was_read_is_read_again(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    drop(tmp_path, "a.urls")
    [(key, version, _)] = list(inbox.new())
    drop(tmp_path, "a.urls", "more")
    report(tmp_path, "a.urls", age=-5)
    inbox.taken[key] = version
    assert keys(inbox) == ["a.urls"]


def test_a_list_that_replaces_one_that_was_read_is_new_even_with_an_older_date(tmp_path: Path) -> None:
    other = drop(tmp_path, ".another", "other lines")
    os.utime(other, (1, 1))
    report(tmp_path, "a.urls", age=0.5)
    other.rename(tmp_path / "a.urls")
    assert keys(Inbox(tmp_path)) == ["a.urls"]


def test_a_file_that_cannot_be_taken_keeps_nothing_from_those_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    def s3(event: dict[str, dict[str, dict[str, str]]], _: object) -> dict[str, int]:
        key = event["detail"]["object"]["key"]
        if key == "away.txt":
            raise jobs.Unavailable("away")
        taken.append(key.encode())  # no UTF-8, no key
        return {"jobs": 1}

    monkeypatch.setattr(app, "s3", s3)
    for key in ("a.txt", "away.txt", os.fsdecode(b"b\xff.txt"), "c.txt"):
        drop(tmp_path, key)
    inbox = Inbox(tmp_path)
    assert feed.feed(inbox) == 3
    assert feed.feed(inbox) == 0
    assert taken == [b"a.txt", b"c.txt"]
    assert keys(inbox) == ["away.txt"]


def test_a_folder_that_is_gone_has_nothing_new(tmp_path: Path) -> None:
    assert keys(Inbox(tmp_path / "absent")) == []


def test_the_event_is_like_the_one_of_s3() -> None:
    event = created("a b.urls", "v", 3)
    assert event["source"] == "aws.s3"
    assert event["detail-type"] == "Object Created"
    assert event["detail"]["object"] == {"key": "a b.urls", "size": 3, "etag": "v"}


def test_the_events_of_an_erased_job_leave_the_file_and_the_others_stay(tmp_path: Path) -> None:
    lines = [json.dumps({"subject": subject, "data": "é"}, ensure_ascii=False) + "\n" for subject in "abca"]
    path = drop(tmp_path, "events.jsonl", "".join(lines))
    feed.drop(path, {"a"})
    assert path.read_text() == lines[1] + lines[2]
    assert sorted(tmp_path.iterdir()) == [path]
    feed.drop(path, {"z"})
    feed.drop(path, set())
    assert path.read_text() == lines[1] + lines[2]
