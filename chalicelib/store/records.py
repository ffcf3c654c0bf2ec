"""The job record and its life in DynamoDB: the truth about every job. Takes the client and the table's name.

States: ``queued -> running -> succeeded | failed | canceled``; ``running -> queued`` only by a retry. Every write to
a job's record is one conditional update, and ``version`` rises by one with each. A write whose condition does not hold
changes nothing and says so: ``claim`` returns None, the others False or an exception of the tree below.

All times are DynamoDB's, in milliseconds since 1970 (``expires_at`` in seconds, as its TTL wants it).
"""

import atexit
import contextlib
import functools
import json
import os
import re
import secrets
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from chalicelib.aws import credentials, dynamodb

SCHEMA = 1
SHARDS = 8  # of the due index, so that a burst of submissions does not write to one partition
GRACE_MS = 10_000  # after this long on the queue somebody looks whether the queue still has the job
PIECE_BYTES = 350_000  # DynamoDB's items end at 400 KB

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELED = "queued", "running", "succeeded", "failed", "canceled"
STATES = (QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELED)
TERMINAL = frozenset({SUCCEEDED, FAILED, CANCELED})

_KEYS_ONLY = {"ProjectionType": "KEYS_ONLY"}
# The table in create_table's form. The script that makes it locally and the AWS template both take it from here.
TABLE: dict[str, Any] = {
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
        {"AttributeName": "due_shard", "AttributeType": "S"},
        {"AttributeName": "due_at", "AttributeType": "N"},
        {"AttributeName": "owner", "AttributeType": "S"},
        {"AttributeName": "submitted_at", "AttributeType": "N"},
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "due",
            "KeySchema": [
                {"AttributeName": "due_shard", "KeyType": "HASH"},
                {"AttributeName": "due_at", "KeyType": "RANGE"},
            ],
            "Projection": _KEYS_ONLY,
        },
        {
            "IndexName": "owner",
            "KeySchema": [
                {"AttributeName": "owner", "KeyType": "HASH"},
                {"AttributeName": "submitted_at", "KeyType": "RANGE"},
            ],
            "Projection": _KEYS_ONLY,
        },
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
TTL_ATTRIBUTE = "expires_at"


class RecordError(Exception):
    """What keeps a record from being read or written as asked."""


class Unavailable(RecordError):
    """DynamoDB throttles, is away or did not answer in time: the same call may go through later."""


class Gone(RecordError):
    """The job was here and is expired or erased."""


class KeyReused(RecordError):
    """Another request was made under this idempotency key."""


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
    turns: list[str] = msgspec.field(default_factory=list)  # hosts where its turn is reserved: it does not ask again
    due_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    input_pieces: int = 0
    page: dict[str, Any] | None = None
    totals: dict[str, Any] | None = None
    top: list[dict[str, Any]] | None = None
    error: dict[str, Any] | None = None
    rules: str | None = None  # by which the words were counted
    words_claim: str | None = None
    words_pieces: int = 0
    request_id: str | None = None  # of the call that submitted it; travels into logs and events


_JSON_FIELDS = frozenset({"options", "turns", "page", "totals", "top", "error"})
_JOB_FIELDS = Job.__struct_fields__


def packed(document: str) -> list[bytes]:
    """A submitted document as compressed pieces, each small enough for an item."""
    data = zlib.compress(document.encode(), 6)
    return [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]


def new_id() -> str:
    """128 random bits as 32 hexadecimal digits."""
    return secrets.token_hex(16)


def new_token() -> str:
    """What tells one claim from every other: 64 random bits as 16 hexadecimal digits."""
    return secrets.token_hex(8)


_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Clock:
    """DynamoDB's time, learned from the ``Date`` of its answers, so that a wrong clock here steals no lease.

    ``Date`` has whole seconds, so a difference under two seconds is taken for none.
    """

    def __init__(self) -> None:
        self._offset = 0
        self._looked = float("-inf")

    @property
    def known(self) -> bool:
        """Whether an answer has been seen yet."""
        return self._looked > float("-inf")

    def now(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000 + self._offset

    def observe(self, date: str | None) -> None:
        """Take a ``Date`` header (as HTTP writes it today) into account; at most once a second, since it costs."""
        if date is None or time.monotonic() - self._looked < 1:
            return
        found = _DATE.fullmatch(date)
        if found is None or found[2] not in _MONTHS:
            return
        day, year, hour, minute, second = map(int, found.group(1, 3, 4, 5, 6))
        try:
            moment = datetime(year, _MONTHS.index(found[2]) + 1, day, hour, minute, min(second, 59), tzinfo=UTC)
        except ValueError:
            return
        theirs = int(moment.timestamp() * 1000) + 500
        if abs(theirs - self.now()) > 2000:
            self._offset = theirs - time.time_ns() // 1_000_000
        self._looked = time.monotonic()


class Records:
    """The job records of one table. Methods raise ``Unavailable`` when DynamoDB cannot serve them now.

    ``client`` is the module dynamodb's or boto3's.
    """

    def __init__(self, client: Any, table_name: str, clock: Clock | None = None) -> None:
        self.client = client
        self.table_name = table_name
        self.clock = clock or Clock()
        if isinstance(client, dynamodb.Client):
            client.on_date = self.clock.observe
            self._send, self._put_many = client.call, client.put_many
        else:
            client.meta.events.register("after-call.dynamodb", self._observe)
            self._send = functools.partial(dynamodb.by_boto3, client)
            self._put_many = lambda puts: [None for _ in puts]

    def _observe(self, http_response: Any, **_: object) -> None:
        self.clock.observe(http_response.headers.get("date"))

    def now(self) -> int:
        """DynamoDB's time in milliseconds; asks once where no answer has been seen yet."""
        if not self.clock.known:
            self.ping()
        return self.clock.now()

    def ping(self) -> None:
        """One cheap read: ``Unavailable`` when the table does not answer."""
        self._call("get_item", Key=_key("ping", "ping"), ProjectionExpression="pk")

    # --- a job's life, in its order ---

    def submit(self, job: Job, document: Sequence[bytes] = (), *, keyed: bool = False) -> tuple[Job, bool]:
        """Put a new job; returns it and True, or the job that is already there for the same request and False.

        ``document`` holds the pieces of a submitted text or HTML, written first, since a job that exists may be run
        at once. ``keyed`` says that the id may be taken: then one looks before, so that nothing is written in vain.
        ``KeyReused`` where another request holds the id; ``Gone`` where that job was erased.
        """
        if document and keyed and (existing := self.get(job.id)) is not None:
            return _same(existing, job), False
        for number, piece in enumerate(document):
            self._put_piece(job.id, f"input#{job.request_hash}", number, piece, job.expires_at)
        try:
            self._call("put_item", **self._new(job))
        except _ConditionFailed:
            return self._found(job, document), False
        return job, True

    def _found(self, job: Job, document: Sequence[bytes]) -> Job:
        """The job that holds the id; the document that was written in vain is deleted."""
        try:
            existing = self.get(job.id)
        except Gone:
            self._delete_input(job, len(document))
            raise
        if existing is None:
            raise Unavailable("the record changed while it was written")
        if existing.request_hash != job.request_hash or existing.state in TERMINAL:
            self._delete_input(job, len(document))
        return _same(existing, job)

    def submit_many(self, new: Sequence[Job]) -> list[tuple[Job, bool] | RecordError]:
        """Put many new jobs without documents; of each what ``submit`` returns or raises."""
        answers: list[tuple[Job, bool] | RecordError] = [(job, True) for job in new]
        done = self._put_many([{"TableName": self.table_name, **self._new(job)} for job in new])
        away: Unavailable | None = None
        try:
            there = self.get_many([job.id for job, written in zip(new, done, strict=True) if written is False])
        except Unavailable as error:
            there, away = {}, error
        for at, (job, written) in enumerate(zip(new, done, strict=True)):
            existing = there.get(job.id)
            try:
                if existing is not None:
                    answers[at] = _same(existing, job), False
                elif not written:
                    answers[at] = away or self.submit(job)
            except RecordError as error:
                answers[at] = error
                away = error if isinstance(error, Unavailable) else away
        return answers

    def _new(self, job: Job) -> dict[str, Any]:
        """The put that makes a job where there is none, or only an expired one."""
        due = {"due_shard": _waiting(job.queue, job.id), "due_at": job.submitted_at + GRACE_MS, "schema": SCHEMA}
        return {
            "Item": {**_key(_pk(job.id), "job"), **_item(job), **_values(due)},
            "ConditionExpression": "attribute_not_exists(pk) OR expires_at <= :now",
            "ExpressionAttributeValues": _values({":now": self.clock.now() // 1000}),
        }

    def claim(
        self, job_id: str, worker: str, *, lease_ms: int, max_attempts: int, token: str | None = None
    ) -> Job | None:
        """Take a job that waits, or one whose worker let its lease lapse; None when it is not to be had.

        The lapsed lease counts as a failure here as in the sweep, so a job that kills its workers runs out of tries.
        Who means to ask again after ``Unavailable`` gives a ``new_token`` and asks with the same one.
        """
        now, token = self.now(), token or new_token()
        taken = {
            "state": RUNNING,
            "worker": worker,
            "claim": token,
            "lease_until": now + lease_ms,
            "due_shard": _timed(job_id),
            "due_at": now + lease_ms,
            "started_at": now,
        }
        lapsed = "#state = :running AND #lease_until < :now AND #failures < :last"
        for condition, values, failures in (
            ("#state = :queued AND #not_before <= :soon", {":queued": QUEUED, ":soon": now + 500}, 0),
            (lapsed, {":running": RUNNING, ":now": now, ":last": max_attempts - 1}, 1),
        ):
            try:
                return self._change(job_id, taken, condition, values, add={"attempt": 1, "failures": failures})
            except _ConditionFailed:
                continue
        # A try whose answer was lost may have been the one that did it.
        seen = self.get(job_id, gone=False)
        return seen if seen is not None and seen.state == RUNNING and seen.claim == token else None

    def finish(
        self,
        job: Job,
        words: Sequence[bytes],
        *,
        page: dict[str, Any],
        totals: dict[str, Any],
        top: list[dict[str, Any]],
        rules: str | None = None,
    ) -> bool:
        """End a claimed job well: its word table first, under the claim's token, then the record."""
        for number, piece in enumerate(words):
            self._put_piece(job.id, f"words#{job.claim}", number, piece, job.expires_at)
        done = {"page": page, "totals": totals, "top": top, "words_claim": job.claim, "words_pieces": len(words)}
        if rules is not None:
            done["rules"] = rules
        if self._end(job, SUCCEEDED, done):
            return True
        for number in range(len(words)):  # nobody reads them, and the job may have been canceled and erased
            self._call("delete_item", Key=_key(_pk(job.id), f"words#{job.claim}#{number:04}"))
        return False

    def fail(self, job: Job, error: dict[str, Any], *, page: dict[str, Any] | None = None) -> bool:
        """End a claimed job with its error; False when the claim is not ours any more."""
        failed = {"error": error} if page is None else {"error": error, "page": page}
        return self._end(job, FAILED, failed, add={"failures": 1})

    def _end(self, job: Job, state: str, result: dict[str, Any], add: Mapping[str, int] | None = None) -> bool:
        changed = {"state": state, "finished_at": self.clock.now(), **result}
        try:
            self._change(job.id, changed, *_held(job), add=add, drop=_OPEN)
        except _ConditionFailed:
            # A try whose answer was lost may have been the one that did it.
            seen = self.get(job.id, gone=False)
            if seen is None or seen.state != state or seen.claim != job.claim:
                return False
        self._delete_input(job, job.input_pieces)
        return True

    def retry(self, job: Job, *, not_before: int, failed: bool = True, turns: Sequence[str] = ()) -> bool:
        """Give a claimed job back to be claimed again from ``not_before`` on; False when the claim is not ours."""
        again = {
            "state": QUEUED,
            "not_before": not_before,
            "due_shard": _timed(job.id),
            "due_at": not_before,
            "turns": turns,
        }
        try:
            self._change(job.id, again, *_held(job), add={"failures": int(failed)}, drop=_HELD)
        except _ConditionFailed:
            seen = self.get(job.id, gone=False)
            return seen is not None and seen.attempt == job.attempt and seen.state == QUEUED
        return True

    def requeue(self, job: Job) -> bool:
        """Note that a waiting job is being put on the queue again; False when it has changed since it was read."""
        return self._as_read(job, self._queued_now(job))

    def take_back(self, job: Job, *, max_attempts: int, error: dict[str, Any]) -> bool:
        """Take a running job from a worker that is lost: to be claimed again, or failed when its tries are used.

        The caller knows that the worker is dead or that its lease is over; False when the job changed meanwhile.
        """
        if job.failures + 1 >= max_attempts:
            ended = {"state": FAILED, "finished_at": self.clock.now(), "error": error}
            if not self._as_read(job, ended, add={"failures": 1}, drop=_OPEN):
                return False
            self._delete_input(job, job.input_pieces)
            return True
        again = {"state": QUEUED, "not_before": 0, "turns": [], **self._queued_now(job)}
        return self._as_read(job, again, add={"failures": 1}, drop=_HELD)

    def _queued_now(self, job: Job) -> dict[str, Any]:
        return {"due_shard": _waiting(job.queue, job.id), "due_at": self.clock.now() + GRACE_MS}

    def _as_read(
        self,
        job: Job,
        changes: dict[str, Any],
        *,
        add: Mapping[str, int] | None = None,
        drop: Iterable[str] = (),
    ) -> bool:
        try:
            self._change(job.id, changes, "#version = :read", {":read": job.version}, add=add, drop=drop)
        except _ConditionFailed:
            return False
        return True

    def cancel(self, job_id: str, owner: str) -> Job | None:
        """End a job that has not ended; the job, or None when it has ended, is unknown or is another's."""
        now, token = self.clock.now(), new_token()
        try:
            job: Job | None = self._change(
                job_id,
                {"state": CANCELED, "finished_at": now, "claim": token},
                "#owner = :owner AND #state IN (:queued, :running) AND #expires_at > :now",
                {":owner": owner, ":queued": QUEUED, ":running": RUNNING, ":now": now // 1000},
                drop=_OPEN,
            )
        except _ConditionFailed:
            # A try whose answer was lost may have been the one that did it.
            seen = self.get(job_id, gone=False)
            job = seen if seen is not None and seen.claim == token else None
        if job is not None:
            self._delete_input(job, job.input_pieces)
        return job

    def pass_over(self, job_id: str) -> None:
        """Take a job that expired without having ended out of the index of what is due, before its TTL does."""
        with contextlib.suppress(_ConditionFailed):  # it is not there any more, or is there anew
            self._change(job_id, {}, "#expires_at <= :now", {":now": self.clock.now() // 1000}, drop=_DUE)

    def erase(self, job_id: str, owner: str, *, expires_at: int) -> bool:
        """Leave a tombstone in the job's place and delete its words and input; False while it runs or is not there."""
        item = {**_key(_pk(job_id), "job"), **_values({"owner": owner, "expires_at": expires_at})}
        try:
            self._call(
                "put_item",
                Item=item,
                ConditionExpression="#owner = :owner AND attribute_exists(#state) AND #state <> :running",
                ExpressionAttributeNames={"#owner": "owner", "#state": "state"},
                ExpressionAttributeValues=_values({":owner": owner, ":running": RUNNING}),
            )
        except _ConditionFailed:
            return False
        self.delete_pieces(job_id)
        return True

    def delete_pieces(self, job_id: str) -> None:
        """Delete every piece of words and input that a job has, whichever claim wrote it."""
        for page in self._pages("query", **_under(_pk(job_id)), ProjectionExpression="pk, sk"):
            keys = [{"pk": item["pk"], "sk": item["sk"]} for item in page["Items"] if item["sk"]["S"] != "job"]
            for start in range(0, len(keys), 25):
                requests = [{"DeleteRequest": {"Key": key}} for key in keys[start : start + 25]]
                for _ in self._batch("batch_write_item", {self.table_name: requests}, "UnprocessedItems"):
                    pass

    def _delete_input(self, job: Job, pieces: int) -> None:
        """Delete the submitted document of a job that has ended: nobody reads it again.

        An outage just then leaves it until the job is erased or expires; the job has ended all the same.
        """
        with contextlib.suppress(Unavailable):
            for number in range(pieces):
                self._call("delete_item", Key=_key(_pk(job.id), f"input#{job.request_hash}#{number:04}"))

    # --- reading ---

    def get(self, job_id: str, *, gone: bool = True) -> Job | None:
        """The job as it is now, or None; ``Gone`` when it is expired or erased (None too with ``gone=False``)."""
        answer = self._call("get_item", Key=_key(_pk(job_id), "job"), ConsistentRead=True)
        item = answer.get("Item")
        if item is None:
            return None
        if self._is_gone(item):
            if gone:
                raise Gone
            return None
        return job_of(item)

    def owner_of(self, job_id: str) -> str | None:
        """Whose job this is or was: a tombstone and an expired record still say it."""
        answer = self._call("get_item", Key=_key(_pk(job_id), "job"), ConsistentRead=True)
        item = answer.get("Item")
        return None if item is None else str(item["owner"]["S"])

    def get_many(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """The jobs that are there, by id."""
        found: dict[str, Job] = {}
        for start in range(0, len(job_ids), 100):
            keys = [_key(_pk(job_id), "job") for job_id in dict.fromkeys(job_ids[start : start + 100])]
            request = {self.table_name: {"Keys": keys, "ConsistentRead": True}}
            for answer in self._batch("batch_get_item", request, "UnprocessedKeys"):
                for item in answer["Responses"].get(self.table_name, ()):
                    if not self._is_gone(item):
                        job = job_of(item)
                        found[job.id] = job
        return found

    def document(self, job: Job) -> bytes:
        """The submitted text or HTML of a job, as UTF-8; no longer than what may be submitted."""
        return zlib.decompress(b"".join(self._pieces(job.id, f"input#{job.request_hash}", job.input_pieces)))

    def words(self, job: Job) -> list[bytes]:
        """The pieces of a succeeded job's word table, in order."""
        return list(self._pieces(job.id, f"words#{job.words_claim}", job.words_pieces))

    def owned(
        self, owner: str, *, limit: int, after: tuple[int, str] | None = None
    ) -> tuple[list[str], tuple[int, str] | None]:
        """Ids of an owner's jobs, newest first, and where the next page starts: (submitted_at, id), or None."""
        start: dict[str, Any] = {}
        if after is not None:
            key = _key(_pk(after[1]), "job") | _values({"owner": owner, "submitted_at": after[0]})
            start = {"ExclusiveStartKey": key}
        answer = self._call(
            "query",
            IndexName="owner",
            KeyConditionExpression="#owner = :owner",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues=_values({":owner": owner}),
            ScanIndexForward=False,
            Limit=limit,
            **start,
        )
        ids = [item["pk"]["S"].removeprefix("job#") for item in answer["Items"]]
        last = answer.get("LastEvaluatedKey")
        cursor = (int(last["submitted_at"]["N"]), last["pk"]["S"].removeprefix("job#")) if last else None
        return ids, cursor

    def due(self, lane: str, shard: int, *, before: int, limit: int) -> list[tuple[int, str]]:
        """(due_at, id) of jobs that are due, the oldest first.

        ``lane`` is a queue's name for jobs that should be on it, or ``TIMED`` for those that hold a lease or wait for
        their time.
        """
        answer = self._call(
            "query",
            IndexName="due",
            KeyConditionExpression="due_shard = :shard AND due_at <= :before",
            ExpressionAttributeValues=_values({":shard": f"{lane}#{shard}", ":before": before}),
            Limit=limit,
        )
        return [(int(item["due_at"]["N"]), item["pk"]["S"].removeprefix("job#")) for item in answer["Items"]]

    # --- tokens ---

    def put_token(self, digest: str, *, owner: str, name: str) -> None:
        """Let the bearer of the token with this SHA-256 act as ``owner``."""
        values = _values({"owner": owner, "name": name, "created_at": self.clock.now()})
        self._call("put_item", Item={**_key(f"token#{digest}", "token"), **values})

    def token(self, digest: str) -> dict[str, str] | None:
        """``owner`` and ``name`` of a token, or None when there is no such token."""
        item = self._call("get_item", Key=_key(f"token#{digest}", "token")).get("Item")
        return None if item is None else {"owner": item["owner"]["S"], "name": item["name"]["S"]}

    def tokens(self) -> list[dict[str, Any]]:
        """Every token: digest, owner, name, created_at. A scan of the table: for the operator's script only."""
        pages = self._pages(
            "scan",
            FilterExpression="sk = :token",
            ExpressionAttributeValues=_values({":token": "token"}),
        )
        return [
            {
                "digest": item["pk"]["S"].removeprefix("token#"),
                "owner": item["owner"]["S"],
                "name": item["name"]["S"],
                "created_at": int(item["created_at"]["N"]),
            }
            for page in pages
            for item in page["Items"]
        ]

    def delete_token(self, digest: str) -> None:
        """Revoke a token."""
        self._call("delete_item", Key=_key(f"token#{digest}", "token"))

    # --- DynamoDB ---

    def _is_gone(self, item: Mapping[str, Any]) -> bool:
        # DynamoDB deletes expired items days late, and some stand-ins never.
        return "state" not in item or int(item["expires_at"]["N"]) <= self.clock.now() // 1000

    def _change(
        self,
        job_id: str,
        changes: dict[str, Any],
        condition: str,
        values: dict[str, Any],
        *,
        add: Mapping[str, int] | None = None,
        drop: Iterable[str] = (),
    ) -> Job:
        """One conditional update that raises ``version``; returns the job after it."""
        steps = {"version": 1, **(add or {})}
        sets = [f"#{name} = :{name}" for name in changes]
        sets += [f"#{name} = #{name} + :add_{name}" for name in steps]
        expression = "SET " + ", ".join(sets)
        if drop:
            expression += " REMOVE " + ", ".join(f"#{name}" for name in drop)
        names = set(re.findall(r"#(\w+)", expression + " " + condition))
        all_values = {f":{name}": _plain(name, value) for name, value in changes.items()}
        all_values |= {f":add_{name}": step for name, step in steps.items()} | values
        answer = self._call(
            "update_item",
            Key=_key(_pk(job_id), "job"),
            UpdateExpression=expression,
            ConditionExpression=condition,
            ExpressionAttributeNames={f"#{name}": name for name in names},
            ExpressionAttributeValues=_values(all_values),
            ReturnValues="ALL_NEW",
        )
        return job_of(answer["Attributes"])

    def _put_piece(self, job_id: str, kind: str, number: int, piece: bytes, expires_at: int) -> None:
        values = _values({"data": piece, "expires_at": expires_at})
        self._call("put_item", Item={**_key(_pk(job_id), f"{kind}#{number:04}"), **values})

    def _pieces(self, job_id: str, kind: str, count: int) -> Iterator[bytes]:
        for number in range(count):
            answer = self._call("get_item", Key=_key(_pk(job_id), f"{kind}#{number:04}"), ConsistentRead=True)
            if "Item" not in answer:
                raise Gone  # erased between the record's reading and this
            yield answer["Item"]["data"]["B"]

    def _batch(self, operation: str, request: dict[str, Any], left: str) -> Iterator[Any]:
        """A batch call, repeated for what DynamoDB left out: at most five times."""
        for pause in (0, 0.05, 0.1, 0.2, 0.4):
            time.sleep(pause)
            answer = self._call(operation, table=False, RequestItems=request)
            yield answer
            request = answer.get(left) or {}
            if not request:
                return
        raise Unavailable("DynamoDB left a part of the batch out each time")

    def _pages(self, operation: str, **arguments: Any) -> Iterator[Any]:
        while True:
            answer = self._call(operation, **arguments)
            yield answer
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _call(self, operation: str, *, table: bool = True, **arguments: Any) -> Any:
        if table:
            arguments["TableName"] = self.table_name
        try:
            return self._send(operation, arguments)
        except dynamodb.Failed as error:
            if error.code == "ConditionalCheckFailedException":
                raise _ConditionFailed from None
            if error.passing:
                raise Unavailable(f"DynamoDB does not serve: {error}") from error
            raise


def open_records(table_name: str, aws: Any = None) -> Records:
    """This process's records of a table, made on first use.

    ``aws`` says where DynamoDB is (settings.AWS); None lets boto3 find it and its keys.
    """
    return _open(table_name, aws, os.getpid())


@functools.cache
def _open(table_name: str, aws: Any, _pid: int) -> Records:
    # By process, since a connection must not be shared over a fork; the session's models and the clock may.
    clock = _clock(table_name)
    if aws is None:
        return Records(_boto3_client(), table_name, clock)
    keys = (lambda: dynamodb.Keys(*aws.keys)) if aws.keys else credentials.by_boto3
    client = dynamodb.Client(aws.url, aws.region, keys, aws.ca_bundle)
    client.now = lambda: clock.now() / 1000
    atexit.register(client.close)
    return Records(client, table_name, clock)


def _boto3_client() -> Any:
    from botocore.config import Config

    # A job's reader waits for this: three tries of at most three seconds, and an error that says so.
    config = Config(
        connect_timeout=1,
        read_timeout=3,
        retries={"mode": "standard", "total_max_attempts": 3},
        tcp_keepalive=True,
        max_pool_connections=50,  # the local server answers many at once; ten would be opened anew each time
        parameter_validation=False,  # what is sent is typed here already; checking it again costs a tenth of a call
    )
    return credentials.session().client("dynamodb", config=config)


@functools.cache
def _clock(_table_name: str) -> Clock:
    return Clock()


def create_table(client: Any, name: str) -> bool:
    """Make the table where it is not there yet, and wait until it can be used; whether it was made."""
    try:
        client.create_table(TableName=name, **TABLE)
    except client.exceptions.ResourceInUseException:
        return False
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
    return True


class _ConditionFailed(Exception):
    pass


TIMED = "timed"  # the lane of the due index for jobs that hold a lease or wait for their time
_DUE = ("due_shard", "due_at")
_OPEN = (*_DUE, "lease_until", "worker")  # what a job that ended has no more: it leaves the due index
_HELD = ("lease_until", "worker", "claim")  # what a claim holds and a retry gives back


def _same(existing: Job, job: Job) -> Job:
    """The job that is already there, if it is the same request's."""
    if existing.request_hash != job.request_hash or existing.owner != job.owner:
        raise KeyReused
    return existing


def _held(job: Job) -> tuple[str, dict[str, Any]]:
    """The condition that this claim still holds the job."""
    return "#state = :held AND #claim = :mine", {":held": RUNNING, ":mine": job.claim}


def _pk(job_id: str) -> str:
    return f"job#{job_id}"


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _under(pk: str) -> dict[str, Any]:
    return {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": pk}}}


def _waiting(queue: str, job_id: str) -> str:
    return f"{queue}#{int(job_id[:8], 16) % SHARDS}"


def _timed(job_id: str) -> str:
    return _waiting(TIMED, job_id)


def _plain(name: str, value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if name in _JSON_FIELDS else value


def _values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Python values as DynamoDB's; boto3's own serializer knows more types and costs more."""
    return {name: _value(value) for name, value in values.items() if value is not None}


def _value(value: str | int | bool | bytes) -> dict[str, Any]:
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"B": value}


def _item(job: Job) -> dict[str, Any]:
    given = {name: getattr(job, name) for name in _JOB_FIELDS if name != "id"}
    return _values({name: _plain(name, value) for name, value in given.items() if value is not None})


def job_of(item: Mapping[str, Any]) -> Job:
    """A record's item in DynamoDB's own JSON (as a stream delivers it) as a job."""
    known: dict[str, Any] = {"id": item["pk"]["S"].removeprefix("job#")}
    for name in _JOB_FIELDS:
        if name not in item:
            continue
        [(kind, value)] = item[name].items()
        if kind == "N":
            value = int(value)
        known[name] = json.loads(value) if name in _JSON_FIELDS else value
    return Job(**known)
