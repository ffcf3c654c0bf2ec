"""The files of corpora in the object store, and copies of them on this machine for an engine that opens paths.

A name bears the token of the compaction that wrote it and is never written again, so a copy is as good as the original.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from chalicelib.aws import objects
from chalicelib.store.corpora import Manifest, Part
from chalicelib.store.records import Records

CACHE_BYTES = 4_000_000_000  # of copies; the least recently used go first
LEFT_SECONDS = 7_200  # a question may still read a file that was replaced, and a compaction name one that it wrote
IN_USE_SECONDS = 300  # for so long after its last use a copy may be read; a job ends earlier
KEPT_SECONDS = 86_400  # after its last use; of an erased corpus nothing may stay for ever
KINDS = ("words", "documents", "spellings", "folds")


def name(corpus_id: str, part: Part, kind: str, number: int = 0) -> str:
    """A part's file: ``kind`` is one of KINDS; the first two have several where the documents are large."""
    return f"corpora/{corpus_id}/{part.batch:06}-{part.token}-{number}.{kind}.parquet"


def table_name(corpus_id: str, token: str) -> str:
    """The corpus' word table."""
    return f"corpora/{corpus_id}/table-{token}"


def folder(corpus_id: str) -> str:
    """What the names of all files of a corpus begin with."""
    return f"corpora/{corpus_id}/"


def of_part(corpus_id: str, part: Part) -> dict[str, list[str]]:
    """By kind all files of a part."""
    several = dict.fromkeys(KINDS[:2], part.files) | {kind: int(bool(part.token)) for kind in KINDS[2:]}
    return {kind: [name(corpus_id, part, kind, n) for n in range(number)] for kind, number in several.items()}


def of_manifest(corpus_id: str, manifest: Manifest) -> list[str]:
    """All files that a manifest names, and those that wait for their deletion."""
    files = [file for part in manifest.parts for some in of_part(corpus_id, part).values() for file in some]
    files += [file for file, _ in manifest.stale]
    return [*files, table_name(corpus_id, manifest.table)] if manifest.table else files


def views(corpus_id: str, parts: Iterable[Part], kinds: Iterable[str]) -> dict[str, list[Path]]:
    """By kind the paths of the parts' files, fetched where they are not on this machine yet."""
    every = [of_part(corpus_id, part) for part in parts]
    return {kind: [_local(file) for own in every for file in own[kind]] for kind in kinds}


def forget(corpus_id: str) -> None:
    """Delete the copies that this machine has of a corpus' files."""
    if objects.path("") is None:
        for copy in _cache().glob(f"{_copy(folder(corpus_id))}*"):
            copy.unlink(missing_ok=True)


def _local(stored: str) -> Path:
    if (path := objects.path(stored)) is not None:
        return path
    copy = _cache() / _copy(stored)
    with contextlib.suppress(FileNotFoundError):  # it is not there, or goes just now
        os.utime(copy)
        return copy
    data = objects.get(stored)
    _make_room(len(data))
    unfinished = copy.with_name(f".{os.getpid()}-{copy.name}")
    unfinished.write_bytes(data)
    unfinished.replace(copy)
    return copy


def _copy(stored: str) -> str:
    return stored.replace("/", "-")


def _cache() -> Path:
    folder = Path(tempfile.gettempdir()) / "wordcounts-corpora"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user of this machine")
    return folder


def _make_room(size: int) -> None:
    """Delete copies that were not used for long, and of the others as many as leave this room; none that may be read.

    So a question over more than ``CACHE_BYTES`` takes what it needs.
    """
    now = time.time()
    copies = []
    for entry in _cache().iterdir():
        with contextlib.suppress(FileNotFoundError):  # another worker makes room too
            there = entry.stat()
            copies.append((there.st_mtime, there.st_size, entry))
    total = size + sum(size for _, size, _ in copies)
    for used, freed, entry in sorted(copies):
        if used > now - IN_USE_SECONDS or (used > now - KEPT_SECONDS and total <= CACHE_BYTES):
            return
        entry.unlink(missing_ok=True)
        total -= freed


def drop_left(store: Records, now: float) -> int:
    """Delete what nobody reads any more in the object store of this machine; how many files.

    These are the files of corpora that have expired, and of those that are there what a newer manifest has replaced or
    a worker that died has left, each ``LEFT_SECONDS`` after it was written. A bucket has a rule for what has expired.
    """
    dropped = 0
    kept: dict[str, set[str]] = {}
    for stored in objects.names("corpora/") if objects.path("") is not None else ():
        path, corpus_id = objects.path(stored), stored.split("/")[1]
        if corpus_id not in kept:
            kept[corpus_id] = _named(store, corpus_id, now)
        with contextlib.suppress(FileNotFoundError):
            if path is not None and stored not in kept[corpus_id] and path.stat().st_mtime < now - LEFT_SECONDS:
                objects.delete(stored)
                dropped += 1
    return dropped


def _named(store: Records, corpus_id: str, now: float) -> set[str]:
    """The files of a corpus that somebody may read."""
    if (corpus := store.find_corpus(corpus_id)) is None:
        return set()
    fresh = [(stored, at) for stored, at in corpus.manifest.stale if at > (now - LEFT_SECONDS) * 1000]
    manifest = msgspec.structs.replace(corpus.manifest, stale=fresh)
    begin = f"{folder(corpus_id)}source-"
    of_sources = {
        f"{begin}{one.id}-{kind}" for one in store.sources(corpus_id) for kind in ("robots", one.progress.file)
    }
    return of_sources.union(of_manifest(corpus_id, manifest))
