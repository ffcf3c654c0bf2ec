"""A worker pool that breaks at one named point, once: ``FAULT`` says where, ``FAULT_ONCE`` is the mark that it did.

The real worker's code runs; only the named function is wrapped so that the process is killed (or stopped) there.
"""

import os
import signal
import sys
import time
from pathlib import Path

from chalicelib import counting, fetching, pipeline, worker
from chalicelib.aws import objects
from chalicelib.store import records

MARK = Path(os.environ["FAULT_ONCE"])


def once() -> bool:
    """Whether this process is the one to break."""
    try:
        MARK.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: object, name: str) -> None:
    real = getattr(owner, name)

    def broken(*args: object, **kwargs: object) -> object:
        if once():
            die()
        return real(*args, **kwargs)

    setattr(owner, name, broken)


def after(owner: object, name: str) -> None:
    real = getattr(owner, name)

    def broken(*args: object, **kwargs: object) -> object:
        result = real(*args, **kwargs)
        if once():
            die()
        return result

    setattr(owner, name, broken)


def kill_on_page() -> None:
    """A page that takes every worker down with it."""
    real = counting.segment

    def broken(text: str, *args: object, **kwargs: object) -> object:
        if "killer" in text:
            die()
        return real(text, *args, **kwargs)

    counting.segment = broken


def stop_in_fetch() -> None:
    """Stopped past the lease and woken: then goes on as if nothing were."""
    real = fetching.fetch

    def broken(url: str, **named: object) -> object:
        if once():
            MARK.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGSTOP)
        return real(url, **named)

    fetching.fetch = broken


def kill_between_files() -> None:
    """After a compaction has written some of its files."""
    real = objects.put

    def broken(name: str, data: bytes) -> None:
        real(name, data)
        if name.startswith("corpora/") and once():
            die()

    objects.put = broken


def wrong_clock() -> None:
    """Five minutes ahead in every process of this pool."""
    real_time, real_ns = time.time, time.time_ns
    time.time = lambda: real_time() + 300
    time.time_ns = lambda: real_ns() + 300_000_000_000


FAULTS = {
    "between pop and claim": lambda: before(records.Records, "claim"),
    "in mid-fetch": lambda: before(fetching, "fetch"),
    "between two artifacts": lambda: after(records.Records, "_put_artifact"),
    "after the words and before the finish": lambda: before(records.Records, "_end"),
    "after the finish and before the acknowledgement": lambda: after(records.Records, "finish"),
    "a page that kills": kill_on_page,
    "stopped past the lease": stop_in_fetch,
    "clock ahead": wrong_clock,
    "between two files of a compaction": kill_between_files,
    "before a compaction's manifest": lambda: before(records.Records, "put_manifest"),
    "after a compaction's manifest": lambda: after(records.Records, "put_manifest"),
}

if __name__ == "__main__":
    FAULTS[os.environ["FAULT"]]()
    assert pipeline.fetching is fetching
    sys.exit(worker.main())
