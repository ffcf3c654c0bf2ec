"""The local inbox: which files are new."""

import os
import time
from pathlib import Path

from scripts.feed import Inbox, created


def drop(folder: Path, key: str, age: float = 10.0) -> Path:
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


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
    os.utime(path, (time.time() - 5, time.time() - 5))
    assert keys(inbox) == ["sub/a.urls"]


def test_what_still_grows_is_hidden_is_ours_or_a_link_is_passed_over(tmp_path: Path) -> None:
    drop(tmp_path, "growing.txt", age=0)
    for key in (".hidden.txt", ".git/a.txt", "reports/a.urls.report.jsonl", "progress/a.urls.5.json"):
        drop(tmp_path, key)
    (tmp_path / "link.txt").symlink_to("/etc/hostname")
    assert keys(Inbox(tmp_path)) == []


def test_a_list_with_a_younger_report_was_read_before(tmp_path: Path) -> None:
    drop(tmp_path, "a.urls", age=10)
    drop(tmp_path, "reports/a.urls.report.jsonl", age=5)
    drop(tmp_path, "b.urls", age=5)
    drop(tmp_path, "reports/b.urls.report.jsonl", age=10)
    assert keys(Inbox(tmp_path)) == ["b.urls"]


def test_the_event_is_like_the_one_of_s3() -> None:
    event = created("a b.urls", "v", 3)
    assert event["source"] == "aws.s3"
    assert event["detail-type"] == "Object Created"
    assert event["detail"]["object"] == {"key": "a b.urls", "size": 3, "etag": "v"}
