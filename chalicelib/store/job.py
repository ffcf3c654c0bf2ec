"""A job's record as a struct, its states, and how it stands in DynamoDB. Pure.

All times are in milliseconds since 1970, ``expires_at`` in seconds, as DynamoDB's TTL wants it.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

SHARDS = 8  # of the due index, so that a burst of submissions does not write to one partition
GRACE_MS = 10_000  # after this long on the queue somebody looks whether the queue still has the job

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELED = "queued", "running", "succeeded", "failed", "canceled"
STATES = (QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELED)
TERMINAL = frozenset({SUCCEEDED, FAILED, CANCELED})


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One job's record. ``page``, ``totals``, ``top`` and ``error`` are as the API shows them."""

    id: str
    owner: str
    kind: str
    queue: str
    request_hash: str
    submitted_at: int
    expires_at: int
    url: str | None = None
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    state: str = QUEUED
    version: int = 1
    attempt: int = 0  # claims; never falls
    failures: int = 0
    worker: str | None = None
    claim: str | None = None  # this claim's random token; a writer without it is refused
    lease_until: int | None = None
    not_before: int = 0  # a queued job may not be claimed earlier
    lost: int = 0  # workers that died with it
    slots: int = 0  # rate limit slots of hosts that it has taken since its last failure
    slot_at: str = ""  # a host where its next try has a slot
    due_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    input_pieces: int = 0
    page: dict[str, Any] | None = None
    totals: dict[str, Any] | None = None
    top: list[dict[str, Any]] | None = None
    error: dict[str, Any] | None = None
    rules: str | None = None  # by which the words were counted
    artifacts: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)  # by name: its claim, how many pieces
    request_id: str | None = None  # of the call that submitted it; travels into logs and events


_JSON_FIELDS = frozenset({"options", "page", "totals", "top", "error", "artifacts"})
_FIELDS = Job.__struct_fields__


def new_id() -> str:
    """128 random bits as 32 hexadecimal digits."""
    return secrets.token_hex(16)


def key_id(owner: str, key: str) -> str:
    """The id of the job that an owner makes under an idempotency key."""
    return hashlib.sha256(f"{len(owner)}:{owner}{key}".encode()).hexdigest()[:32]


def own_key(*parts: str | int) -> str:
    """An idempotency key of the service's own: no request's header can have one that begins so."""
    return "\0" + ":".join(map(str, parts))


def new_token() -> str:
    """What tells one claim from every other: 64 random bits as 16 hexadecimal digits."""
    return secrets.token_hex(8)


def pk(job_id: str) -> str:
    """The partition that holds all items of a job."""
    return f"job#{job_id}"


def key(pk: str, sk: str) -> dict[str, Any]:
    """The key of an item."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Python values as DynamoDB's; boto3's own serializer knows more types and costs more."""
    return {name: _value(value) for name, value in given.items() if value is not None}


def _value(value: str | int | bool | bytes) -> dict[str, Any]:
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"B": value}


def plain_values(item: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of an item's attributes that have these names, as Python's values."""
    found = {name: next(iter(item[name].items())) for name in names if name in item}
    return {name: int(value) if kind == "N" else value for name, (kind, value) in found.items()}


def plain(name: str, value: Any) -> Any:
    """A field's value as one that DynamoDB knows."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if name in _JSON_FIELDS else value


def item_of(job: Job) -> dict[str, Any]:
    """A job as an item's attributes, without its key."""
    given = ((name, getattr(job, name)) for name in _FIELDS if name != "id")
    return values({name: plain(name, value) for name, value in given if value is not None})


def job_of(item: Mapping[str, Any]) -> Job:
    """A record's item in DynamoDB's own JSON (as a stream delivers it) as a job."""
    known = plain_values(item, _FIELDS) | {"id": item["pk"]["S"].removeprefix("job#")}
    known |= {name: json.loads(known[name]) for name in _JSON_FIELDS & known.keys()}
    if "words_claim" in item and "artifacts" not in item:  # as 0.1 wrote it
        pieces = int(item.get("words_pieces", {"N": "0"})["N"])
        known["artifacts"] = {"words": {"claim": item["words_claim"]["S"], "pieces": pieces}}
    return Job(**known)
