"""What is meant to be read stays short: a module has at most 450 lines, a function at most 40."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODULE, FUNCTION = 450, 40


def test_no_module_and_no_function_is_too_long_to_be_read_at_once() -> None:
    long = []
    folders = ("chalicelib", "client/src", "scripts", "infra")
    for path in (ROOT / "app.py", *(path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))):
        text = path.read_text()
        if text.count("\n") > MODULE:
            long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > FUNCTION:
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {lines} lines")
    assert long == []


def test_no_test_measures_memory_by_what_a_child_inherits() -> None:
    """A process begins with the peak of the one that started it, so ``ru_maxrss`` of a child is pytest's own."""
    own = Path(__file__).resolve()
    assert [path for path in (ROOT / "tests").rglob("*.py") if path != own and "RUSAGE_SELF" in path.read_text()] == []
