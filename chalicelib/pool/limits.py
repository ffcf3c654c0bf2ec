"""What a worker process may use: CPU time, memory, and how many of them fit into a container."""

import contextlib
import ctypes
import os
import resource
import signal
from pathlib import Path

from chalicelib import queue

CPU_SECONDS = 30  # of one job; the kernel ends a process that uses more
MEMORY_BYTES = 1 << 30  # that a worker may map beyond what it was born with
PR_SET_PDEATHSIG = 1  # Linux's number for it
WORKERS_A_CORE = 14
WORKER_BYTES = 40_000_000


def limit_cpu(seconds: int | None) -> None:
    """Let the kernel end this process after so much more CPU time: C code does not hear Python's alarm."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (hard if seconds is None else int(used) + seconds + 1, hard))


def limit_memory(more: int) -> None:
    """Bound what this process may map to so much more than it has mapped now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more,) * 2)


def end_with_parent() -> None:
    """Let the kernel kill this process when its parent is killed: nobody else would give its job to another."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def sizes(text: str, cores: int, memory_bytes: int) -> dict[str, int]:
    """How many workers each queue gets: ``8`` is eight interactive ones and a small bulk pool, empty is by measurement.

    By benchmarks/throughput a core keeps 14 workers busy when pages take 200 ms to come, and each holds 40 MB at most
    beside what they share; the machine's other half is for others.
    """
    if text.startswith(queue.INTERACTIVE):
        parts = dict(part.split(":") for part in text.split(","))
        return {name: int(parts[name]) for name in queue.QUEUES}
    number = int(text) if text else max(1, min(WORKERS_A_CORE * cores, memory_bytes // 2 // WORKER_BYTES))
    return {queue.INTERACTIVE: number, queue.BULK: max(1, number // 8)}


def memory() -> int:
    """Bytes that this container, or else this machine, may use."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            return min(whole, int(Path(limit).read_text()))
    return whole
