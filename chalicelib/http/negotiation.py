"""Request headers as the standards read them: Accept, Prefer, If-None-Match, Idempotency-Key. Pure.

What a standard says to ignore is ignored; nothing here raises but ``Refused``.
"""

import re
from collections.abc import Sequence

from chalicelib.errors import Refused

_Q = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII)
# No white space before the name: findall would look through a long run of it from each of its characters.
_PREFERENCE = re.compile(
    r'([!#$%&\'*+.^_`|~\w-]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s;,"]*))?(?:"(?:[^"\\]|\\.)*"|[^,"])*', re.ASCII
)
_LONGEST = 1000  # characters of Prefer that are read; what it may hold takes twenty
_ETAG = re.compile(r'(?:W/)?("[^"]*")')
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def acceptable(accept: str | None, offered: Sequence[str]) -> str | None:
    """The media type of ``offered`` that the client likes best (the first of equals), or None (RFC 9110, 12.5.1)."""
    if accept is None or not accept.strip():
        return offered[0]
    ranges = [parsed for part in accept.split(",") if (parsed := _range(part))]
    if not ranges:
        return offered[0]
    best = max(offered, key=lambda media_type: _quality(media_type, ranges))
    return best if _quality(best, ranges) > 0 else None


def _range(part: str) -> tuple[str, float] | None:
    media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
    if "/" not in media_range:
        return None
    quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    return media_range, float(quality) if _Q.fullmatch(quality) else 1.0


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality that the most specific range gives."""
    for wanted in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        for media_range, quality in ranges:
            if media_range == wanted:
                return quality
    return 0.0


def takes(coding: str, accept_encoding: str | None) -> bool:
    """Whether that coding (``gzip``, ``br``) is named, or everything is."""
    weights = {}
    for part in (accept_encoding or "").lower().split(","):
        name, _, quality = part.partition(";")
        weights[name.strip()] = quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return weights.get(coding, weights.get("*", False))


def wait_preference(prefer: str | None) -> int | None:
    """Seconds of ``Prefer: wait=N``, or None; the first of several counts and a bad one does not (RFC 7240)."""
    for name, value in _PREFERENCE.findall((prefer or "")[:_LONGEST]):
        if name.lower() == "wait":
            seconds = value.strip('"')
            return int(seconds) if re.fullmatch(r"\d{1,9}", seconds, re.ASCII) else None
    return None


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the client already has what this entity tag stands for: the weak comparison of RFC 9110."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return etag.removeprefix("W/") in _ETAG.findall(if_none_match)


def idempotency_key(value: str | None) -> str | None:
    """The key, or None when none was sent. ``Refused`` unless it is 1 to 255 printable ASCII characters."""
    if value is None:
        return None
    if not _KEY.fullmatch(value) or not value.strip():
        raise Refused("invalid-header", "Idempotency-Key: expected 1 to 255 printable ASCII characters")
    return value


def media_type(content_type: str | None) -> str:
    """The media type without its parameters, in lower case; empty where there is none."""
    return (content_type or "").partition(";")[0].strip().lower()
