"""What the benchmark programs share: tables in Markdown, and their places in docs/benchmarks.md."""

import datetime
import os
import platform
from collections.abc import Sequence
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def machine() -> str:
    """On what and when."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    today = datetime.datetime.now(datetime.UTC).date()
    return f"{today}, {os.cpu_count()} cores ({model}), Python {platform.python_version()}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, numbers to the right."""
    return [
        "| " + " | ".join(head) + " |",
        "|---|" + "---:|" * (len(head) - 1),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def write(name: str, text: str, path: Path = DOCUMENT, *, by: str = "make bench") -> None:
    """Put a program's figures between its own marks in a document, which say what made them."""
    begin, end = f"<!-- {name}: made by {by} -->", f"<!-- end of {name} -->"
    document = path.read_text(encoding="utf-8")
    head, found, rest = document.partition(begin)
    if not found:
        raise LookupError(f"{path.name} has no place for {name}")
    tail = rest.partition(end)[2]
    path.write_text(f"{head}{begin}\n\n{text.strip()}\n\n{end}{tail}", encoding="utf-8")
