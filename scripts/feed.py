"""What AWS's events do, on one machine: feeds app.py's handlers from a folder and a clock, and writes ended jobs down.

    python -m scripts.feed --data .local

Files dropped into ``<data>/inbox`` go the road of S3 objects; every minute the schedule's handler runs; each job that
ends is appended as a CloudEvent to ``<data>/events.jsonl``. The environment is the stack's (scripts/run.py sets it).
"""

import argparse
import json
import logging
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from chalicelib import jobs, notices, objects, queue, settings

SCAN_SECONDS = 0.5
SETTLED_SECONDS = 0.3  # a file that was written to more recently may still grow
SWEEP_SECONDS = 60
OURS = ("reports", "progress")  # folders of the inbox that the handlers write

logger = logging.getLogger("feed")


class Inbox:
    """The files of a folder; each is new until it was taken, and again when its content changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken: dict[str, str] = {}  # versions by key

    def new(self) -> Iterator[tuple[str, str, int]]:
        """Key, version and size of each file to take; hidden ones, links and what still grows are passed over."""
        for path in sorted(self.folder.rglob("*")):
            parts = path.relative_to(self.folder).parts
            if parts[0] in OURS or any(part.startswith(".") for part in parts):
                continue
            if path.is_symlink() or not path.is_file():
                continue
            about = path.stat()
            key, version = "/".join(parts), f"{about.st_mtime_ns}-{about.st_size}"
            settled = time.time() - about.st_mtime > SETTLED_SECONDS
            if settled and self.taken.get(key) != version and not self._read_already(path, about.st_mtime):
                yield key, version, about.st_size

    def _read_already(self, path: Path, changed: float) -> bool:
        """Whether a list's report is younger than the list: then it was read before this process came."""
        report = self.folder / OURS[0] / f"{path.relative_to(self.folder)}.report.jsonl"
        return report.exists() and report.stat().st_mtime > changed


def created(key: str, version: str, size: int) -> dict[str, Any]:
    """EventBridge's event of a new object, as S3 sends it."""
    detail = {"version": "0", "bucket": {"name": objects.INBOX}, "object": {"key": key, "size": size, "etag": version}}
    return _event("aws.s3", "Object Created", detail)


def _event(source: str, kind: str, detail: dict[str, Any]) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    about = {"version": "0", "id": str(uuid.uuid4()), "account": "000000000000", "region": "local", "resources": []}
    return {**about, "source": source, "detail-type": kind, "time": now, "detail": detail}


class Context:
    """What a handler may ask of Lambda; there is no end here."""

    function_name = "feed"

    def __init__(self) -> None:
        self.aws_request_id = str(uuid.uuid4())

    def get_remaining_time_in_millis(self) -> float:
        """Always enough."""
        return float("inf")


def feed(inbox: Inbox) -> int:
    """Hand each new file to the handler of S3's events; how many."""
    from app import s3

    count = 0
    for key, version, size in inbox.new():
        try:
            done = s3(created(key, version, size), Context())
        except jobs.Unavailable as error:
            logger.warning("%s waits: %s", key, error)
            continue
        inbox.taken[key] = version
        logger.info("%s: %s", key, done or "passed over")
        count += 1
    return count


def write_endings(path: Path, stopped: threading.Event) -> None:
    """Append each job that ends, prompted by the notice of its end: at most once."""
    while not stopped.is_set():
        try:
            for job_id in queue.endings(5.0):
                job = jobs.table().get(job_id, gone=False)
                if job is not None and job.finished_at is not None:
                    with path.open("a") as file:
                        file.write(json.dumps(notices.cloud_event(job), ensure_ascii=False) + "\n")
        except (queue.QueueError, jobs.Unavailable) as error:
            logger.warning("endings: %s", error)
            stopped.wait(1)


def main(arguments: list[str]) -> int:
    """The command: until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m scripts.feed", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args(arguments).data.resolve()
    logging.basicConfig(format="%(message)s")
    logger.setLevel(logging.INFO)
    stopped = threading.Event()

    def stop(_signum: int, _frame: FrameType | None) -> None:
        stopped.set()

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, stop)
    inbox = Inbox(Path(settings.load().inbox_dir or data / "inbox"))
    inbox.folder.mkdir(parents=True, exist_ok=True)
    threading.Thread(target=write_endings, args=(data / "events.jsonl", stopped), daemon=True).start()
    run(inbox, stopped)
    return 0


def run(inbox: Inbox, stopped: threading.Event) -> None:
    """Feed and sweep until it is stopped."""
    from app import sweep

    swept = time.monotonic()
    while not stopped.wait(SCAN_SECONDS):
        feed(inbox)
        if time.monotonic() - swept > SWEEP_SECONDS:
            swept = time.monotonic()
            try:
                sweep(_event("aws.events", "Scheduled Event", {}), Context())
            except jobs.Unavailable as error:
                logger.warning("sweep: %s", error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
