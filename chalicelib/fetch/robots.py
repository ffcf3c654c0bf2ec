"""Which addresses of a site a robots.txt lets a program ask for (RFC 9309). Pure.

Every path is compared in time that grows with its length and the number of patterns, whatever these are: a pattern's
pieces are looked for from left to right, and no regular expression is made of it.
"""

from collections.abc import Iterable
from urllib.parse import quote, urlsplit

import msgspec

MOST_BYTES = 512_000  # of a robots.txt that are read; RFC 9309 asks for 500 KiB at least
MOST_RULES = 5_000  # of a group
_SAFE = "!#$%&'()*+,/:;=?@[]-._~"


class Rules(msgspec.Struct, frozen=True):
    """The rules for one program: patterns of paths with whether they allow, the longest first."""

    patterns: list[tuple[str, bool]] = []

    def allow(self, path: str) -> bool:
        """Whether a path with its query may be asked for: by the longest pattern that fits, and by any of none."""
        path = _escaped(path)
        return next((allowed for pattern, allowed in self.patterns if fits(pattern, path)), True)


def read(text: str, agent: str) -> Rules | None:
    """The rules for a program of this name, else those for all; None where there are more than can be kept.

    A line that is none of ``user-agent``, ``allow`` and ``disallow`` says nothing here and ends no group.
    """
    groups: dict[str, list[tuple[str, bool]]] = {}
    named: list[str] = []
    begun = False  # whether the group that is read has rules by now
    for line in text.splitlines():
        name, colon, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if colon and name == "user-agent":
            if begun:
                named, begun = [], False
            named.append(value.partition("/")[0].lower())
            groups.setdefault(named[-1], [])
        elif colon and name in ("allow", "disallow"):
            begun = True
            for group in set(named) if value else ():
                groups[group].append((_escaped(value), name == "allow"))
    found = groups.get(agent.lower(), groups.get("*", []))
    if len(found) > MOST_RULES:
        return None
    # Of two as long as each other the one that allows counts.
    return Rules(sorted(set(found), key=lambda rule: (-len(rule[0]), not rule[1])))


def fits(pattern: str, path: str) -> bool:
    """Whether a path begins as the pattern says: ``*`` stands for anything, ``$`` at the end for the path's end."""
    anchored = pattern.endswith("$")
    first, *rest = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    if anchored and not rest:
        return at == len(path)
    last = rest.pop() if anchored else ""
    for piece in rest:
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return not anchored or (len(path) - len(last) >= at and path.endswith(last))


def any_fits(patterns: Iterable[str], path: str) -> bool:
    """Whether one of the patterns fits a path."""
    path = _escaped(path)
    return any(fits(_escaped(pattern), path) for pattern in patterns)


def path_of(url: str) -> str:
    """What of an address the rules speak of."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _escaped(path: str) -> str:
    """In one form: other than ASCII is escaped, so that both ways to write it are the same."""
    return path if path.isascii() and " " not in path else quote(path, safe=_SAFE)
