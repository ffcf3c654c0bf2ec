"""The copies of a corpus' files on a worker's disk, over an object store that is elsewhere."""

import os
import time
from pathlib import Path

import pytest

from chalicelib.aws import objects
from chalicelib.corpus import files
from chalicelib.store.corpora import Part


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(objects, "path", lambda _: None)
    monkeypatch.setattr(objects, "get", lambda _: b"0123456789")
    return tmp_path / "wordcounts-corpora"


def fetched(corpus: str, batch: int = 0) -> Path:
    [path] = files.views(corpus, [Part(batch=batch, token="t", files=1)], ["words"])["words"]
    return path


def unused(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_a_copy_that_goes_just_now_is_fetched_again(copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = fetched("a"), os.utime

    def utime(given: Path) -> None:
        path.unlink()  # by another worker, right after this one has looked
        real(given)

    monkeypatch.setattr(os, "utime", utime)
    assert fetched("a").read_bytes() == b"0123456789"


def test_room_is_made_by_what_was_not_used_for_longest_and_never_by_what_may_be_read(
    copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "CACHE_BYTES", 25)
    paths = [fetched("a", batch) for batch in range(2)]
    unused(paths[1], files.IN_USE_SECONDS + 1)
    assert fetched("a", 2).exists()
    assert [path.exists() for path in paths] == [True, False]
    fetched("a", 3)
    assert len(list(copies.iterdir())) == 3  # a question reads them all


def test_another_worker_may_make_room_at_the_same_time(copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, stat = fetched("a"), Path.stat

    def gone(self: Path, **named: bool) -> os.stat_result:
        if self == path:
            path.unlink(missing_ok=True)
        return stat(self, **named)

    monkeypatch.setattr(Path, "stat", gone)
    assert fetched("b").exists()


def test_copies_go_a_day_after_their_last_use_and_with_their_corpus(copies: Path) -> None:
    old, other = fetched("a"), fetched("b")
    unused(old, files.KEPT_SECONDS + 1)
    fetched("c")
    assert not old.exists()
    files.forget("b")
    assert not other.exists()
    assert fetched("c").exists()
