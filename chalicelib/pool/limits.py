"""What a worker process may use: CPU time, memory, and how many of them fit into a container."""

import contextlib
import ctypes
import fcntl
import os
import random
import resource
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from chalicelib import jobs, pipeline, queue, settings
from chalicelib.memory import mapped
from chalicelib.store.job import Job

CPU_SECONDS = 30  # of one job; the kernel ends a process that uses more
COMPACTION_SECONDS = 60  # of a run of a compaction: of a million documents the word table alone takes 20
AGAIN_PART = 10  # of that time a job has that has lost a worker
MEMORY_LEAST, MEMORY_MOST = 320 << 20, 1 << 30  # that a worker may map beyond what it was born with
GATES_A_CORE = 2  # jobs that extract and count at once
GATE_BYTES = 200_000  # of a page that needs no gate
GATE_SECONDS = 20.0  # that a job waits for its gate before it goes back
CORPUS_BYTES = 512 << 20  # that a job of a corpus uses at most
CORPUS_MAPPED = 4 << 30  # that it may map: libraries, stacks and arenas of threads, of which it uses little
KEPT_BYTES = 48_000_000  # that a process may keep from a page before it is replaced
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
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped() + more, hard))


def no_core_dumps() -> None:
    """The kernel's limit of CPU time ends a process by a signal that dumps core: a page's text on a disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def share_of_memory(memory_bytes: int, cores: int) -> int:
    """What a job may map: half of the container's memory, over the jobs that may use much of it at once."""
    return max(MEMORY_LEAST, min(MEMORY_MOST, memory_bytes // 2 // (GATES_A_CORE * cores)))


def resident() -> int:
    """Bytes of memory that this process has in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def claimed(job: Job) -> None:
    """A job that has lost a worker gets a tenth of the CPU time; a compaction more, whose work is the service's own."""
    if job.kind == "compaction":
        limit_cpu(COMPACTION_SECONDS)
    elif job.lost:
        limit_cpu(CPU_SECONDS // AGAIN_PART)


@contextlib.contextmanager
def gate(job: Job, size: int) -> Iterator[None]:
    """Held while a page is extracted and counted: two large ones a core at once, and one alone that has lost a worker.

    So the sum of their memory is bounded, and it costs no time: more at once would only share the cores. The gates are
    locks of files, which the kernel gives back when a process dies. A job that finds none goes back without a failure.
    """
    with contextlib.ExitStack() as held:
        if job.kind in jobs.INTERNAL:
            # Of compactions and questions as many at once as a quarter of the memory holds.
            _hold([_locks("corpus", max(1, min(cores(), memory() // 4 // CORPUS_BYTES)))], held)
            if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
                # DuckDB and Arrow map far more than they use; what they use is bounded by their own limit.
                limit_memory(CORPUS_MAPPED)
                held.callback(lambda: limit_memory(share_of_memory(memory(), cores())))
        elif size >= GATE_BYTES or job.lost:
            locks = _locks("gate", GATES_A_CORE * cores())
            # Later each time: the page is fetched again, from a host that has done nothing.
            # All of them are taken in one order, or two such jobs would wait for each other.
            choices = [[path] for path in locks] if job.lost else [random.sample(locks, len(locks))]
            _hold(choices, held, longer=min(job.attempt, 6))
        yield


def _locks(kind: str, number: int) -> list[Path]:
    return [Path(tempfile.gettempdir()) / f"{settings.load().queue_name}-{kind}-{n}" for n in range(number)]


def _hold(choices: Sequence[Sequence[Path]], held: contextlib.ExitStack, *, longer: int = 1) -> None:
    """Lock one file of each choice, or give the job back when that takes too long."""
    until = time.monotonic() + GATE_SECONDS
    for choice in choices:
        while not any(_lock(path, held) for path in choice):
            if time.monotonic() > until:
                raise pipeline.Defer(random.uniform(1, 5) * longer)  # noqa: S311
            time.sleep(0.03)


def _lock(path: Path, held: contextlib.ExitStack) -> bool:
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return False
    held.enter_context(file)
    return True


def cores() -> int:
    """Processors that this container, or else this machine, may use."""
    there = os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(there, round(int(quota) / int(period))))
    return there


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
