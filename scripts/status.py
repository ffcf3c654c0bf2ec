"""What waits, what runs and for whom: of each queue its jobs by owner, the oldest, the workers (`make status`).

Of the stack that `make run` has started here, unless REDIS_URL names another Redis: an operator's on AWS, for which
QUEUE_NAME, and REDIS_IAM where it is used, are set as the workers have them.

usage: python -m scripts.status [--json]
"""

import argparse
import sys
import time

import msgspec

from chalicelib import queue

from .processes import join_stack


def in_words(name: str, found: queue.Status, now: float) -> list[str]:
    """A queue as lines of a table: owners with the most waiting jobs first."""
    waiting, running = sum(one.waiting for one in found.owners), sum(len(one.running) for one in found.owners)
    lines = [
        f"{name}: {waiting} waiting, {running} running, "
        f"{found.window} on their way to a worker, {found.workers} worker{'s' * (found.workers != 1)}"
    ]
    for one in sorted(found.owners, key=lambda one: (-one.waiting, -len(one.running), one.owner)):
        oldest = f", the oldest for {now - one.oldest / 1000:.0f} s" if one.oldest is not None else ""
        lines.append(f"  {one.owner:30} {one.waiting:>9} waiting, {len(one.running):>4} running{oldest}")
        lines += [f"    runs {job_id}" for job_id in one.running[:5]]
        if len(one.running) > 5:
            lines.append(f"    and {len(one.running) - 5} more")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.status", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    given = parser.parse_args()
    join_stack("REDIS_URL")
    now = time.time()
    try:
        found = {name: queue.status(name, now=int(now * 1000)) for name in queue.QUEUES}
    except queue.QueueError as error:
        sys.exit(f"Redis cannot be reached: {error}. Is the stack running? REDIS_URL names another one.")
    if given.json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        print("\n".join(line for name, one in found.items() for line in in_words(name, one, now)))


if __name__ == "__main__":
    main()
