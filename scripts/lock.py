"""Print the version of every package that the pins bring along, for constraints.txt; `make lock` writes it.

Asks pip to resolve requirements-dev.txt anew, so that what is merely installed here does not come in.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# What the pins in requirements*.txt bring along, at the versions that were tested. Made by `make lock`."
TOOLS = {"pip", "setuptools", "wheel"}  # an environment comes with its own
COMMAND = ["install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-", "-r", "requirements-dev.txt"]


def normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def pinned() -> set[str]:
    """What the requirement files pin themselves: a version stands in one place."""
    lines = (line for path in ROOT.glob("requirements*.txt") for line in path.read_text().splitlines())
    return {normal(line.split("==")[0].split("[")[0]) for line in lines if "==" in line and not line.startswith("#")}


def main() -> int:
    found = subprocess.run([sys.executable, "-m", "pip", *COMMAND], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if found.returncode:
        return found.returncode
    packages = {
        normal(entry["metadata"]["name"]): entry["metadata"]["version"] for entry in json.loads(found.stdout)["install"]
    }
    print(HEADER)
    for name in sorted(packages.keys() - pinned() - TOOLS):
        print(f"{name}=={packages[name]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
