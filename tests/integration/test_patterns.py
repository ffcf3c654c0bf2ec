"""Every regular expression of chalicelib on strings made to pump it: time grows with the length, not with its square.

The strings come from the pattern itself: what leads to each of its open repeats, then what that repeats, many times,
then what does not match.
"""

import ast
import importlib
import math
import pkgutil
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from re import _constants as code  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest
import regex

import chalicelib
from chalicelib.text import words
from tests.conftest import ROOT

SIZES = (10, 16, 22, 400, 2_000, 8_000, 32_000, 128_000)
STEEPEST, NOISE, LONG = 1.5, 0.02, 0.3  # the exponent; seconds below which nothing is judged, above which none is tried
OTHERS = "x0 <>&\"'-\n"
REPEATS = (code.MAX_REPEAT, code.MIN_REPEAT, code.POSSESSIVE_REPEAT)
CATEGORIES = {code.CATEGORY_SPACE: " ", code.CATEGORY_DIGIT: "0", code.CATEGORY_WORD: "a",
              code.CATEGORY_NOT_SPACE: "x", code.CATEGORY_NOT_DIGIT: "x", code.CATEGORY_NOT_WORD: "-"}  # fmt: skip
# Used where the input is short: the most characters it is given.
BOUNDED: dict[str, int] = {}
MATCHED = {"_ELISION": {"match"}}  # by another name


def patterns() -> Iterator[tuple[str, Any, bool]]:
    """Name, compiled pattern, and whether it is searched for: those that only match begin once."""
    source = {path: path.read_text("utf-8") for path in sorted((ROOT / "chalicelib").rglob("*.py"))}
    for module in pkgutil.walk_packages(chalicelib.__path__, "chalicelib."):
        loaded = importlib.import_module(module.name)
        text = source.get(Path(str(loaded.__file__)), "")
        for name, value in vars(loaded).items():
            for pattern in value.values() if isinstance(value, dict) else (value,):
                if isinstance(pattern, re.Pattern | type(regex.compile(""))):
                    uses = MATCHED.get(name) or set(re.findall(rf"\b{name}\.(\w+)\(", text)) or {"search"}
                    yield f"{module.name}.{name}", pattern, not uses <= {"match", "fullmatch"}
    for colon in (False, True):
        for astral in (False, True):
            yield f"words._pattern({colon}, {astral})", words._pattern(colon, astral), True
    for path, text in source.items():
        for call in ast.walk(ast.parse(text)):
            match call:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="re"), attr=method), args=[ast.Constant(value=pattern), *_]
                ) if method not in ("escape", "compile"):  # a compiled one has a name, and is among those above
                    yield f"{path.name}:{call.lineno}", re.compile(pattern), method not in ("match", "fullmatch")


def holds(items: list[Any], character: str) -> bool:
    def one(kind: Any, value: Any) -> bool:
        if kind is code.LITERAL:
            return bool(ord(character) == value)
        if kind is code.RANGE:
            return bool(value[0] <= ord(character) <= value[1])
        return kind is code.CATEGORY and character == CATEGORIES[value]

    negated = items[0][0] is code.NEGATE
    return any(one(*item) for item in items[negated:]) != negated


def members(items: list[Any]) -> list[str]:
    """Some characters of a class."""
    own = [
        chr(value if kind is code.LITERAL else value[0]) for kind, value in items if kind in (code.LITERAL, code.RANGE)
    ]
    own += [CATEGORIES[value] for kind, value in items if kind is code.CATEGORY]
    return [character for character in [*own[:5], *own[-1:], *OTHERS] if holds(items, character)][:6] or ["x"]


def shortest(tree: Any) -> str:
    """A short string that the pattern matches, but for what it looks at around it."""
    made = ""
    for kind, value in tree:
        if kind is code.LITERAL:
            made += chr(value)
        elif kind is code.IN:
            made += members(value)[0]
        elif kind in (code.ANY, code.NOT_LITERAL):
            made += "x"
        elif kind in REPEATS:
            made += shortest(value[2]) * min(value[0], 300)
        elif kind is code.BRANCH:
            made += shortest(value[1][0])
        elif kind is code.SUBPATTERN:
            made += shortest(value[3])
        elif kind is code.ATOMIC_GROUP:
            made += shortest(value)
    return made


def inner(kind: Any, value: Any) -> list[Any]:
    """The patterns within a part of one."""
    if kind is code.BRANCH:
        return list(value[1])
    if kind is code.SUBPATTERN:
        return [value[3]]
    if kind in (code.ASSERT, code.ASSERT_NOT):
        return [value[1]]
    return [value] if kind is code.ATOMIC_GROUP else []


def pumps(tree: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """What leads to each open repeat, and what it repeats."""
    for kind, value in tree:
        if kind in REPEATS:
            if value[1] is code.MAXREPEAT:
                for item in value[2]:
                    yield from ((before, character) for character in (members(item[1]) if item[0] is code.IN else []))
                yield before, shortest(value[2])
            yield from pumps(value[2], before)
        for part in inner(kind, value):
            yield from pumps(part, before)
        before += shortest([(kind, value)])


def attacks(pattern: Any) -> list[tuple[str, str, str]]:
    """Beginnings, what is repeated, and ends."""
    if not isinstance(pattern, re.Pattern):
        return [("", unit, "\0") for unit in ("a", " ", "\u0301", "a\u0301")]
    wide = isinstance(pattern.pattern, str)
    found = dict.fromkeys(pumps(parser.parse(pattern.pattern, pattern.flags & ~(0 if wide else re.UNICODE))))
    pool = sorted({character for before, unit in found for character in (before + unit)[-3:]})
    pairs = ["".join(random.Random(seed).choices(pool, k=2)) for seed in range(8)] if pool else []
    made = [(before, unit, end) for before, unit in found for end in ("", "\0")]
    made += [("", before + unit, "\0") for before, unit in found]
    return list(dict.fromkeys([*made, *[("", pair, "\0") for pair in pairs]]))


def seconds(pattern: Any, text: Any, searched: bool) -> float:
    started = time.process_time()
    if searched:
        for _ in pattern.finditer(text):
            pass
    else:
        pattern.fullmatch(text)
        pattern.match(text)
    return time.process_time() - started


def grows_too_fast(pattern: Any, attack: tuple[str, str, str], searched: bool, most: int = SIZES[-1]) -> bool:
    """Whether an attack costs more than its length; the best of three, as machines are busy."""
    before, unit, end = attack
    last = 0.0
    for small, size in zip((1, *SIZES), SIZES, strict=False):
        text: Any = before + unit * (min(size, most) // max(1, len(unit))) + end
        text = text if isinstance(pattern.pattern, str) else text.encode("latin-1", "replace")
        spent = seconds(pattern, text, searched)
        if spent > NOISE and math.log(spent / max(last, 1e-6), size / small) > STEEPEST:
            spent = min(spent, *(seconds(pattern, text, searched) for _ in range(2)))
            if spent > NOISE and math.log(spent / max(last, 1e-6), size / small) > STEEPEST:
                return True
        if spent > LONG or size >= most:
            break
        last = spent
    return False


@pytest.mark.parametrize(
    "planted",
    [r"\s*,\s*$", r"[a-z]*[,:]?[a-z]*;", r"<!--.*?-->", r"(?:a|a)+$", r"<a(?:\s*\w+)*\s*>", r"\s++,", r"x*+y|\w+@"],
)
def test_a_planted_quadratic_pattern_is_found(planted: str) -> None:
    pattern = re.compile(planted, re.S)
    assert any(grows_too_fast(pattern, attack, True) for attack in attacks(pattern))


@pytest.mark.parametrize("sound", [r"(?<!\w)\w++@", r"<[^<>]*+>", r"[a-z]++(?:-[a-z]++)*+"])
def test_a_linear_pattern_passes(sound: str) -> None:
    pattern = re.compile(sound)
    assert not any(grows_too_fast(pattern, attack, True) for attack in attacks(pattern))
