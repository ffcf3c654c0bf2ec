"""Who may import whom: DESIGN's four floors, and where third-party packages may be used.

A file imports only from floors below its own. Imports inside functions count like those at the top.
"""

import ast
import functools
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# DESIGN's table: module -> what it may import of ours; settings besides, on every floor above the ground.
FLOORS: dict[str, set[str]] = {
    # 4: doors
    "app": {"jobs", "api", "events", "words"},
    "worker": {"jobs", "queue", "records", "pipeline"},
    # 3: what happens
    "jobs": {"records", "queue", "submissions"},
    "pipeline": {"records", "queue", "objects", "fetching", "extracting", "counting", "words"},
    "api": {"submissions", "words"},
    "events": {"submissions", "objects", "records", "api"},
    # 2: edges
    "queue": {"records"},  # its client alone, for the password of Redis
    "submissions": {"urls"},
    "objects": set(),
    "fetching": {"urls"},
    # 1: ground
    "settings": set(),
    "urls": set(),
    "words": set(),
    "records": set(),
    "extracting": set(),
    "counting": set(),
}
GROUND = {"settings", "urls", "words", "records", "extracting", "counting"}

# A module that grew too long was split: its part lives by its rules, for what it imports and for who imports it.
PART_OF = {
    "access": "api",
    "answers": "fetching",
    "decoding": "extracting",
    "dynamodb": "records",
    "examples": "api",
    "headers": "api",
    "lists": "events",
    "markup": "extracting",
    "notices": "events",
    "openapi": "api",
    "page": "api",
    "refusals": "app",
    "schemas": "api",
    "walking": "extracting",
}

# Third-party package -> the only modules that may import it. What is in no row may be used anywhere.
ONLY_IN: dict[str, set[str]] = {
    "chalice": {"app"},
    "rq": {"queue", "worker"},
    "redis": {"queue", "worker"},
    # Where events leave; and queue, since the password of its Redis is kept in Secrets Manager.
    "boto3": {"records", "objects", "events", "queue"},
    "botocore": {"records", "objects", "events", "queue"},
    "requests": {"fetching"},
    "nltk": {"extracting", "counting"},
    "bs4": {"extracting", "counting"},
    "soupsieve": {"extracting", "counting"},
    "lxml": {"extracting", "counting"},
    "icu4py": {"extracting", "counting"},
}


def house(name: str) -> str:
    """The module of DESIGN's table that a module is or is a part of."""
    return PART_OF.get(name, name)


def name_of(path: Path) -> str:
    """A module's name as the tables have it; a package's modules go by the package's."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0] if len(parts) == 1 else parts[1]


def sources() -> list[Path]:
    inside = [path for path in (ROOT / "chalicelib").rglob("*.py") if path.name != "__init__.py"]
    return sorted(inside + [path for path in [ROOT / "app.py"] if path.exists()])


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@functools.cache
def imported(path: Path) -> tuple[str, ...]:
    """Dotted names of all that a file imports, at any depth; ours as `chalicelib.<module>`."""
    package = path.relative_to(ROOT).parent.parts
    names: list[str] = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            names += (f"{module}.{alias.name}" for alias in node.names)
    return tuple(names)


def ours(path: Path) -> set[str]:
    found = {name.split(".")[1] for name in imported(path) if name.startswith("chalicelib.")}
    return {name for name in found if name != name_of(path)}


def by_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", sources(), ids=by_name)
def test_a_module_imports_only_from_the_floors_below(path: Path) -> None:
    name = house(name_of(path))
    assert name in FLOORS, f"{by_name(path)} has no floor: say in this test what it is or is a part of"
    allowed = FLOORS[name] | ({"settings"} if name not in GROUND else set())
    astray = {module for module in ours(path) if house(module) not in allowed | {name}}
    assert not astray, f"{by_name(path)} must not import {sorted(astray)}; of ours it may {sorted(allowed)}"


@pytest.mark.parametrize("path", sources(), ids=by_name)
def test_a_third_party_package_is_used_only_where_it_belongs(path: Path) -> None:
    name = house(name_of(path))
    astray = {
        package
        for package in (dotted.split(".")[0] for dotted in imported(path))
        if package in ONLY_IN and name not in ONLY_IN[package]
    }
    assert not astray, f"{by_name(path)} must not import {sorted(astray)}"


@pytest.mark.parametrize("path", sources(), ids=by_name)
def test_only_settings_reads_the_environment(path: Path) -> None:
    readers = {"environ", "environb", "getenv", "getenvb", "putenv"}
    found = {
        node.attr if isinstance(node, ast.Attribute) else node.name
        for node in ast.walk(parsed(path))
        if (isinstance(node, ast.Attribute) and node.attr in readers)
        or (isinstance(node, ast.alias) and node.name in readers)
    }
    assert not found or name_of(path) == "settings", f"{by_name(path)} reads the environment: settings does"


def test_nothing_imports_upwards_in_a_circle() -> None:
    graphlib.TopologicalSorter({name_of(path): ours(path) for path in sources()}).prepare()  # CycleError names it


def test_the_import_reader_sees_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "chalicelib").mkdir()
    path = tmp_path / "chalicelib" / "queue.py"
    path.write_text("import redis.client\ndef f():\n    from . import jobs, words\n    from .urls import normalise\n")
    assert ours(path) == {"jobs", "words", "urls"}
    assert "redis.client" in set(imported(path))
