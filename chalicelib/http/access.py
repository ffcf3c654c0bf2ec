"""Access: known hosts and origins on one machine, bearer tokens and a rate on AWS; CORS. Pure."""

import ipaddress
import math
import re
from collections.abc import Callable, Mapping, Sequence

from chalicelib.dispatch.metering import Meter
from chalicelib.errors import Refused

Headers = Mapping[str, str]

ALWAYS = {
    "Cache-Control": "no-store",  # where nothing else is said
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",  # browsers ignore it over http
}
EXPOSED = (
    "Location, ETag, Link, Retry-After, Preference-Applied, Idempotency-Replayed, RateLimit, RateLimit-Policy, "
    "X-Request-Id"
)
CORS_ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-None-Match, Prefer"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([0-9a-z.-]+))(?::\d*)?", re.IGNORECASE | re.ASCII)
_BEARER = re.compile(r"bearer +([\x21-\x7e]{1,200})", re.IGNORECASE | re.ASCII)


def check_local(given: Headers, method: str, *, allow_origin: str) -> None:
    """Without tokens, a browser's other pages must not reach the service: Refused for them.

    A name that an attacker owns may resolve to this machine, so only names that nobody can own are hosts here; and a
    form or a script of another origin may not change anything.
    """
    host = given.get("host")
    if host is not None and not _is_local(host):
        raise Refused("misdirected", "The Host is not one of this service: use 127.0.0.1 or localhost.")
    origin = given.get("origin")
    if method in SAFE or (allow_origin and allow_origin in ("*", origin)):
        return
    if origin is None:
        foreign = given.get("sec-fetch-site", "none") not in ("none", "same-origin")
    else:
        foreign = not host or origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}")
    if foreign:
        raise Refused("forbidden", "Cross-origin requests are not allowed.")


def _is_local(host: str) -> bool:
    """Whether a Host header holds an IP address or localhost: names that need no DNS."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = (match[1] or match[2]).lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def bearer(given: Headers, owner_of: Callable[[str], str | None]) -> str:
    """The owner that the bearer token stands for; Refused with 401."""
    sent = given.get("authorization", "").strip()
    if sent.partition(" ")[0].lower() != "bearer":
        raise _unauthorized("Send a token: Authorization: Bearer …", 'Bearer realm="wordcounts"')
    match = _BEARER.fullmatch(sent)
    owner = owner_of(match[1]) if match else None
    if owner is None:
        raise _unauthorized("The token is not valid.", 'Bearer realm="wordcounts", error="invalid_token"')
    return owner


def _unauthorized(detail: str, challenge: str) -> Refused:
    return Refused("unauthorized", detail, headers={"WWW-Authenticate": challenge})


def enforce_rate_limit(meters: Sequence[Meter]) -> dict[str, str]:
    """The rate-limit headers, or Refused with 429. Nothing is limited while nobody counts."""
    if not meters:
        return {}
    after = [max(1, math.ceil(meter.wait)) if meter.wait else 0 for meter in meters]
    stated = {
        "RateLimit-Policy": ", ".join(f'"{meter.name}";q={meter.limit};w=60' for meter in meters),
        "RateLimit": ", ".join(
            f'"{meter.name}";r=0;t={seconds}' if seconds else f'"{meter.name}";r={meter.left}'
            for meter, seconds in zip(meters, after, strict=True)
        ),
    }
    if not any(after):
        return stated
    full = max(zip(after, meters, strict=True))[1]
    detail = (
        f"At most {full.limit} requests a minute are allowed."
        if full.name == "default"
        else f"Your jobs and answers have used their share of {full.limit} points a minute: a point is a second of "
        "computing or a part of a large answer."
    )
    raise Refused("rate-limited", detail, headers={**stated, "Retry-After": str(max(after))})


def cors(given: Headers, method: str, allow_origin: str, methods: Sequence[str]) -> dict[str, str]:
    """What lets the scripts of the allowed origin read the answer; nothing where none is allowed."""
    if not allow_origin:
        return {}
    found = {"Access-Control-Allow-Origin": allow_origin, "Access-Control-Expose-Headers": EXPOSED}
    found["Cross-Origin-Resource-Policy"] = "cross-origin"
    if allow_origin != "*":
        found["Vary"] = "Origin"
    if method == "OPTIONS" and "access-control-request-method" in given:
        found["Access-Control-Allow-Methods"] = ", ".join(methods)
        found["Access-Control-Allow-Headers"] = CORS_ALLOWED_HEADERS
        found["Access-Control-Max-Age"] = "7200"
    return found
