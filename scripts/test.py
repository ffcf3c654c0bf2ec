"""All tests that `make test` has: the slow parts beside the others, where these leave the cores alone.

usage: python -m scripts.test [pytest's arguments]

What is marked `beside` (packaging, whole stacks, the page in a browser) takes minutes and no notice of
the time, so it runs in processes of its own that yield to the tests which do; a half of the integration tests, which
mostly wait, runs beside the other. With arguments there is one process, and they are pytest's.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

APART = ("faults", "fuzz", "container", "deploy", "scale")  # with targets of their own
ROOT = Path(__file__).resolve().parent.parent
HALF = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/integration/test_[a-f]*.py"))
# Each about as long as the others: how much they yield, and what they are.
BESIDE = (
    (10, ["-m", "beside and not long", "tests/browser"]),
    (10, ["-m", "beside and not long", "tests/integration"]),
    (0, ["-m", "not beside and not long", *HALF]),
)
PYTEST = [sys.executable, "-m", "pytest", "-rs", *(f"--ignore=tests/{part}" for part in APART)]


def main(arguments: list[str]) -> int:
    """Run the tests; pytest's worst exit status."""
    if arguments:
        return subprocess.run([*PYTEST, *arguments], cwd=ROOT, check=False).returncode
    with contextlib.ExitStack() as stack:
        beside = []
        for yields, part in BESIDE:
            output = stack.enter_context(tempfile.TemporaryFile())
            child = subprocess.Popen(
                [*PYTEST, *part], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
                preexec_fn=lambda yields=yields: os.nice(yields),
            )  # fmt: skip
            stack.callback(child.wait)
            stack.callback(child.terminate)
            beside.append((" ".join(part[:5]), child, output))
        others = [*PYTEST, "-m", "not beside and not long", *(f"--ignore={path}" for path in HALF)]
        worst = subprocess.run(others, cwd=ROOT, check=False).returncode
        for what, child, output in beside:
            print(f"beside these: {what}", flush=True)
            worst = max(worst, child.wait())
            output.seek(0)
            sys.stdout.buffer.write(output.read())
            sys.stdout.flush()
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
