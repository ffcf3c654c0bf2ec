"""What AWS's events do, on one machine: feeds app.py's handler from a folder, and writes ended jobs down.

    python -m scripts.feed .local

Files dropped into ``<data>/inbox`` are processed like S3 objects, and the results of lists are written when their jobs
have ended. Each job that ends is appended as a CloudEvent to ``<data>/events.jsonl``, and posted to WEBHOOK_URL where
that is set. The environment is the stack's (scripts/run.py sets it). It may be stopped anywhere, in the middle of a
list too: that has no report yet, so the next start reads it again.
"""

import json
import logging
import os
import stat
import sys
import threading
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from chalicelib import jobs, queue, settings
from chalicelib.aws import objects
from chalicelib.corpus import files
from chalicelib.events import inbound, publisher, results

from .processes import rotate, visible
from .webhook import Webhook

SCAN_SECONDS = 0.5
SETTLED_SECONDS = 1.0  # a file that was written to more recently may still grow
RESULTS_SECONDS = 2.0  # between looks at lists whose jobs have not all ended
FILES_SECONDS = 3_600  # between looks for files that nobody reads any more
OURS = ("reports", "progress")  # folders of the inbox that the handlers write

logger = logging.getLogger("feed")


class Inbox:
    """The files of a folder; each is new until it was taken, and again when its content changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken: dict[str, str] = {}  # versions by key

    def new(self) -> Iterator[tuple[str, str, int]]:
        """Key, version and size of each file to take; hidden ones, links and what still grows are passed over."""
        for folder, inner, names in os.walk(self.folder):
            ours = OURS if folder == str(self.folder) else ()
            inner[:] = sorted(name for name in inner if not name.startswith(".") and name not in ours)
            for name in sorted(names):
                path = Path(folder, name)
                try:
                    about = path.lstat()
                except OSError:  # it was removed just now
                    continue
                if name.startswith(".") or not stat.S_ISREG(about.st_mode):
                    continue
                key, version = path.relative_to(self.folder).as_posix(), f"{about.st_mtime_ns}-{about.st_size}"
                # The time of the last change of any kind: unlike the content's it also tells of a file that was moved
                # here or copied with its old date, and it never lies in the future.
                settled = time.time() - about.st_ctime > SETTLED_SECONDS
                known = self.taken.get(key)
                if settled and known != version and (known or not self._read_already(key, about)):
                    yield key, version, about.st_size

    def _read_already(self, key: str, about: os.stat_result) -> bool:
        """Whether a list's report is younger than the list: then it was read before this process came."""
        report = self.folder / OURS[0] / f"{key}.report.jsonl"
        try:
            return report.stat().st_mtime > about.st_ctime
        except OSError:
            return False


def created(key: str, version: str, size: int) -> dict[str, Any]:
    """EventBridge's event of a new object, as S3 sends it."""
    detail = {"version": "0", "bucket": {"name": objects.INBOX}, "object": {"key": key, "size": size, "etag": version}}
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    about = {"version": "0", "id": str(uuid.uuid4()), "account": "000000000000", "region": "local", "resources": []}
    return {**about, "source": "aws.s3", "detail-type": "Object Created", "time": now, "detail": detail}


def feed(inbox: Inbox) -> int:
    """Hand each new file to the handler of S3's events; how many."""
    from app import s3

    count = 0
    for key, version, size in inbox.new():
        # What it may ask of Lambda, but for the time that is left: there is no end here.
        context = SimpleNamespace(aws_request_id=str(uuid.uuid4()))
        try:
            done = s3(created(key, version, size), context)
        except jobs.Unavailable as error:
            logger.warning("%s waits: %s", visible(key), error)
            continue
        except Exception:  # a file that nobody thought of must not end the stack, nor come again twice a second
            logger.exception("%s could not be taken", visible(key))
        else:
            logger.info("%s: %s", visible(key), told(key, done))
        inbox.taken[key] = version
        count += 1
    return count


def told(key: str, done: Mapping[str, int]) -> str:
    """What became of a file, in words."""
    if not done:
        known = sorted([*inbound.LISTS, *objects.TYPES])
        return f"passed over: neither a document nor a list ({' '.join(known)}, each also with .gz behind it)"
    jobs = f"{done['jobs']} job{'s' * (done['jobs'] != 1)}"
    if "refused" not in done:
        return jobs if done["jobs"] else "no job: it was counted, and erased since"
    refused = f", {done['refused']} refused" if done["refused"] else ""
    return f"{jobs}{refused}; line by line in {results.REPORTS}{visible(key)}.report.jsonl"


def write_endings(path: Path, webhook: Webhook) -> None:
    """Append and post each job that ends, prompted by the notice of its end, at most once; drop what was erased."""
    while True:
        try:
            drop_erased(path)
            for job_id in queue.endings():
                job = jobs.table().find(job_id)
                if job is None:
                    drop(path, {job_id})
                elif job.kind == "compaction" and jobs.table().find_corpus(job.options["corpus"]) is None:
                    drop(path, {job.options["corpus"]})
                elif job.finished_at is not None:
                    event = ready(job) if job.kind in jobs.INTERNAL else publisher.cloud_event(job)
                    if append(path, event):
                        webhook.send(json.dumps(event, ensure_ascii=False).encode())
        except Exception as error:  # noqa: BLE001 - whatever it is, the next one may pass
            logger.warning("endings: %r", error)
            time.sleep(1)


def ready(job: jobs.Job) -> dict[str, Any] | None:
    """The event of the corpus whose compaction has ended, if it is ready."""
    corpus = jobs.table().find_corpus(job.options["corpus"]) if job.kind == "compaction" else None
    return publisher.ready_event(corpus) if corpus else None


def append(path: Path, event: dict[str, Any] | None) -> bool:
    """Write an event and say so, or not if it is there: compactions that end together may find the same version."""
    if event is None:
        return False
    name = json.dumps(event["id"]).encode()
    if ".corpus." in event["type"] and name in path.read_bytes():
        return False
    rotate(path)
    with path.open("ab", buffering=0) as file:  # in one piece, wherever this process is stopped
        file.write((json.dumps(event, ensure_ascii=False) + "\n").encode())
    return True


def drop_erased(path: Path) -> None:
    """Take the events of jobs and corpora that are not there any more out of the file."""
    events = [json.loads(line) for line in path.read_bytes().splitlines()]
    of_corpora = {event["subject"] for event in events if ".corpus." in event["type"]}
    of_jobs = {event["subject"] for event in events} - of_corpora
    gone = of_jobs - jobs.table().get_many(list(of_jobs)).keys()
    drop(path, gone | {one for one in of_corpora if jobs.table().find_corpus(one) is None})


def drop(path: Path, job_ids: Collection[str]) -> None:
    """Take the events of these jobs and corpora out of the file."""
    lines = path.read_bytes().splitlines(keepends=True) if job_ids else []
    kept = [line for line in lines if json.loads(line)["subject"] not in job_ids]
    if len(kept) < len(lines):
        new = path.with_name(f".{path.name}")
        new.touch(mode=0o600)
        new.write_bytes(b"".join(kept))
        new.replace(path)


def main(arguments: list[str]) -> None:
    """The command: until it is stopped."""
    data = Path(arguments[0])
    logging.basicConfig(format="%(message)s")
    logger.setLevel(logging.INFO)
    inbox = Inbox(Path(settings.load().inbox_dir or data / "inbox"))
    inbox.folder.mkdir(parents=True, exist_ok=True)
    events = data / "events.jsonl"
    events.touch()  # so that it can be watched before the first job ends
    threading.Thread(target=write_endings, args=(events, Webhook(settings.load().webhook_url)), daemon=True).start()
    run(inbox)


def run(inbox: Inbox) -> None:
    """Feed, write the results of lists and delete what is left over, until it is stopped."""
    looked = dropped = 0.0
    while True:
        time.sleep(SCAN_SECONDS)
        feed(inbox)
        now = time.monotonic()
        try:
            if now - looked > RESULTS_SECONDS:
                looked = now
                for name in results.finish(objects.INBOX, jobs.table().get_many, lambda: 1.0):
                    logger.info("all jobs of a list have ended: %s", visible(name))
            if now - dropped > FILES_SECONDS and objects.is_configured():
                dropped = now
                files.drop_left(jobs.table(), time.time())
        except Exception as error:  # noqa: BLE001 - the next time is the retry
            logger.warning("the inbox's results wait: %r", error)


if __name__ == "__main__":
    main(sys.argv[1:])
