"""All tests that `make test` has: the slow parts beside the others, on the second core.

usage: python -m scripts.test [pytest's arguments]

What is marked `beside` (packaging, schemathesis, whole stacks, how the page looks) takes minutes of CPU and no notice
of the time, so it runs in a process of its own that yields to the tests which do. With arguments there is one process,
and they are pytest's.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

APART = ("faults", "fuzz", "container")  # with targets of their own
ROOT = Path(__file__).resolve().parent.parent
PYTEST = [sys.executable, "-m", "pytest", "-rs", *(f"--ignore=tests/{part}" for part in APART)]


def main(arguments: list[str]) -> int:
    """Run the tests; pytest's worst exit status."""
    if arguments:
        return subprocess.run([*PYTEST, *arguments], cwd=ROOT, check=False).returncode
    with tempfile.TemporaryFile() as output:
        beside = subprocess.Popen(
            [*PYTEST, "-m", "beside and not long"], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.nice(10),
        )  # fmt: skip
        try:
            status = subprocess.run([*PYTEST, "-m", "not beside and not long"], cwd=ROOT, check=False).returncode
            print("beside these: packaging, schemathesis, whole stacks, how the page looks", flush=True)
            status_beside = beside.wait()
        except BaseException:
            beside.terminate()
            beside.wait()
            raise
        output.seek(0)
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    return max(status, status_beside)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
