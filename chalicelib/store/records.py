"""The life of a job's record in DynamoDB, the source of truth about every job.

States: ``queued -> running -> succeeded | failed | canceled``; ``running -> queued`` only by a retry. Every write to
a job's record is one conditional update, and ``version`` rises by one with each. A write whose condition does not hold
changes nothing and says so: ``claim`` returns None, the others False or an exception of the store's tree.
"""

import atexit
import contextlib
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chalicelib.aws import credentials, dynamodb
from chalicelib.errors import Gone, KeyReused, RecordError, Unavailable
from chalicelib.net.forks import cached_in_process
from chalicelib.store.access_tokens import AccessTokens
from chalicelib.store.artifacts import Packed, Pieces
from chalicelib.store.clock import Clock
from chalicelib.store.corpora import Corpora
from chalicelib.store.job import (
    CANCELED,
    FAILED,
    GRACE_MS,
    QUEUED,
    RUNNING,
    SHARDS,
    SUCCEEDED,
    TERMINAL,
    Job,
    item_of,
    job_of,
    key,
    key_id,
    new_id,
    new_token,
    pk,
    values,
)
from chalicelib.store.sources import Sources
from chalicelib.store.table import ConditionFailed, create_table

__all__ = [
    "CANCELED",
    "FAILED",
    "GRACE_MS",
    "QUEUED",
    "RUNNING",
    "SHARDS",
    "SUCCEEDED",
    "TERMINAL",
    "TIMED",
    "Job",
    "Packed",
    "RecordError",
    "Records",
    "create_table",
    "key_id",
    "new_id",
    "new_token",
    "open_records",
    "records_of",
]

TIMED = "timed"  # the lane of the due index for jobs that hold a lease or wait for their time
_DUE = ("due_shard", "due_at")
_OPEN = (*_DUE, "lease_until", "worker")  # what a job that ended has no more: it leaves the due index
_HELD = ("lease_until", "worker", "claim")  # what a claim holds and a retry gives back


class Records(Pieces, AccessTokens, Corpora, Sources):
    """The job records of one table. Methods raise ``Unavailable`` when DynamoDB cannot serve them now."""

    # --- a job's life, in its order ---

    def submit(self, job: Job, document: Sequence[bytes] = (), *, keyed: bool = False) -> tuple[Job, bool]:
        """Put a new job; returns it and True, or the job that is already there for the same request and False.

        ``document`` holds the pieces of a submitted text or HTML, written first, since a job that exists may be run
        at once. ``keyed`` says that the id may be taken: then one looks before, so that nothing is written in vain.
        ``KeyReused`` where another request holds the id; ``Gone`` where that job was erased.
        """
        if document and keyed and (item := self._item(key(pk(job.id), "job"))) is not None:
            if not self._is_gone(item):
                return _same(job_of(item), job), False
            if not self._is_over(item):
                raise Gone
        for number, piece in enumerate(document):
            self._put_piece(job.id, f"input#{job.request_hash}", number, {"data": piece}, job.expires_at)
        try:
            self._call("put_item", **self._new(job))
        except ConditionFailed:
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

    def submit_many(self, new: Sequence[tuple[Job, Sequence[bytes]]]) -> list[tuple[Job, bool] | RecordError]:
        """Put many new jobs, each with its document, whose ids may be taken; of each what ``submit`` returns or raises.

        Those without a document go at once; what came of one is asked for by ``submit`` where that is not plain. After
        the first ``Unavailable`` the others need not wait for it too.
        """
        puts = iter(
            self._put_many([{"TableName": self.table_name, **self._new(job)} for job, document in new if not document])
        )
        done = [None if document else next(puts) for _, document in new]
        answers: list[tuple[Job, bool] | RecordError] = []
        away: Unavailable | None = None
        try:
            there = self.get_many([job.id for (job, _), written in zip(new, done, strict=True) if written is False])
        except Unavailable as error:
            there, away = {}, error
        for (job, document), written in zip(new, done, strict=True):
            try:
                if written:
                    answers.append((job, True))
                elif existing := there.get(job.id):
                    answers.append((_same(existing, job), False))
                else:
                    answers.append(away or self.submit(job, document, keyed=True))
            except RecordError as error:
                answers.append(error)
                away = error if isinstance(error, Unavailable) else away
        return answers

    def _new(self, job: Job) -> dict[str, Any]:
        """The put that makes a job where there is none, or only an expired one."""
        due = {"due_shard": _waiting(job.queue, job.id), "due_at": job.submitted_at + GRACE_MS}
        return {
            "Item": {**key(pk(job.id), "job"), **item_of(job), **values(due)},
            "ConditionExpression": "attribute_not_exists(pk) OR expires_at <= :now",
            "ExpressionAttributeValues": values({":now": self.clock.now() // 1000}),
        }

    def claim(
        self, job_id: str, worker: str, *, lease_ms: int, max_attempts: int, token: str | None = None
    ) -> Job | None:
        """Take a job that waits, or one whose lease has lapsed; None when neither is so.

        Of two workers that have the same entry, the first one's update makes the job ``running``; the condition of the
        second one's then fails. A worker that died holds the job until its lease is over: from then on the second
        condition lets another worker in and counts a failure, so a job that kills its workers runs out of attempts.
        A caller that asks again after ``Unavailable`` makes a ``new_token`` once and asks with the same one: by it the
        claim is recognised that the first try made although its answer was lost.
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
        waits = "#state = :queued AND #not_before <= :soon", {":queued": QUEUED, ":soon": now + 500}
        with contextlib.suppress(ConditionFailed):
            return self._change(job_id, taken, *waits, add={"attempt": 1, "failures": 0})
        return self._transition(
            job_id,
            taken,
            (
                "#state = :running AND #lease_until < :now AND #failures < :last",
                {":running": RUNNING, ":now": now, ":last": max_attempts - 1},
            ),
            is_mine=lambda seen: seen.state == RUNNING and seen.claim == token,
            add={"attempt": 1, "failures": 1},
        )

    def finish(
        self,
        job: Job,
        artifacts: Mapping[str, Packed],
        *,
        page: dict[str, Any],
        totals: dict[str, Any],
        top: list[dict[str, Any]],
        rules: str | None = None,
    ) -> bool:
        """End a claimed job well: its artifacts first, under the claim's token, then the record that names them."""
        done = {"page": page, "totals": totals, "top": top, "artifacts": self._put_artifacts(job, artifacts)}
        if rules is not None:
            done["rules"] = rules
        if self._end(job, SUCCEEDED, done):
            return True
        self.delete_pieces(job.id, str(job.claim))  # nobody reads them, and the job may have been canceled and erased
        return False

    def fail(self, job: Job, error: dict[str, Any]) -> bool:
        """End a claimed job with its error; False when the claim is not ours any more."""
        return self._end(job, FAILED, {"error": error}, add={"failures": 1})

    def _end(self, job: Job, state: str, result: dict[str, Any], add: Mapping[str, int] | None = None) -> bool:
        changed = {"state": state, "finished_at": self.clock.now(), **result}
        ended = self._transition(
            job.id,
            changed,
            _held(job),
            is_mine=lambda seen: seen.state == state and seen.claim == job.claim,
            add=add,
            drop=_OPEN,
        )
        if ended is None:
            return False
        self._delete_input(job, job.input_pieces)
        return True

    def retry(self, job: Job, *, not_before: int, failed: bool = True, slots: int = 0, slot_at: str = "") -> bool:
        """Give a claimed job back to be claimed again from ``not_before`` on; False when the claim is not ours."""
        again = {
            "state": QUEUED,
            "not_before": not_before,
            "due_shard": _timed(job.id),
            "due_at": not_before,
            "slots": slots,
            "slot_at": slot_at,
        }
        given_back = self._transition(
            job.id,
            again,
            _held(job),
            is_mine=lambda seen: seen.attempt == job.attempt and seen.state == QUEUED,
            add={"failures": int(failed)},
            drop=_HELD,
        )
        return given_back is not None

    def note_requeued(self, job: Job) -> bool:
        """Note that a waiting job is being put on the queue again; False when it has changed since it was read."""
        return self._as_read(job, self._queued_now(job))

    # The callers of these two know that the worker is dead or that its lease is over. False: the job changed meanwhile.

    def fail_lost_job(self, job: Job, error: dict[str, Any]) -> bool:
        """End a running job whose worker is gone."""
        ended = {"state": FAILED, "finished_at": self.clock.now(), "error": error}
        if not self._as_read(job, ended, add={"failures": 1}, drop=_OPEN):
            return False
        self._delete_input(job, job.input_pieces)
        return True

    def give_back(self, job: Job, *, failed: bool = False, not_before: int = 0) -> bool:
        """Let a running job whose worker is gone be claimed again, at once or later."""
        due = {"due_shard": _timed(job.id), "due_at": not_before} if not_before else self._queued_now(job)
        again = {"state": QUEUED, "not_before": not_before, "slots": 0, "slot_at": "", **due}
        return self._as_read(job, again, add={"failures": int(failed), "lost": int(failed)}, drop=_HELD)

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
        """Change a record that nobody has changed since it was read; False where somebody has."""

        def is_mine(seen: Job) -> bool:
            same = (getattr(seen, name, value) == value for name, value in changes.items())
            return seen.version == job.version + 1 and all(same)

        condition = "#version = :read", {":read": job.version}
        return self._transition(job.id, changes, condition, is_mine=is_mine, add=add, drop=drop) is not None

    def cancel(self, job_id: str, owner: str) -> Job | None:
        """End a job that has not ended; the job, or None when it has ended, is unknown or is another's."""
        now, token = self.clock.now(), new_token()
        job = self._transition(
            job_id,
            {"state": CANCELED, "finished_at": now, "claim": token},
            (
                "#owner = :owner AND #state IN (:queued, :running) AND #expires_at > :now",
                {":owner": owner, ":queued": QUEUED, ":running": RUNNING, ":now": now // 1000},
            ),
            is_mine=lambda seen: seen.claim == token,
            drop=_OPEN,
        )
        if job is not None:
            self._delete_input(job, job.input_pieces)
        return job

    def remove_expired_from_due_index(self, job_id: str) -> None:
        """Take a job that expired without having ended out of the index of what is due, before its TTL does."""
        with contextlib.suppress(ConditionFailed):  # it is not there any more, or is there anew
            expired = "attribute_exists(#state) AND #expires_at <= :now", {":now": self.clock.now() // 1000}
            self._change(job_id, {}, *expired, drop=_DUE)

    def erase(self, job_id: str, owner: str, *, expires_at: int) -> bool:
        """Leave a tombstone in the job's place and delete its words and input; False while it runs or is not there."""
        item = {**key(pk(job_id), "job"), **values({"owner": owner, "expires_at": expires_at})}
        try:
            self._call(
                "put_item",
                Item=item,
                ConditionExpression="#owner = :owner AND attribute_exists(#state) AND #state <> :running",
                ExpressionAttributeNames={"#owner": "owner", "#state": "state"},
                ExpressionAttributeValues=values({":owner": owner, ":running": RUNNING}),
            )
        except ConditionFailed:
            return False
        self.delete_pieces(job_id)
        return True

    # --- reading ---

    def get(self, job_id: str, owner: str | None = None) -> Job | None:
        """The job as it is now, or None, also where it is not this owner's; ``Gone`` when it is expired or erased."""
        item = self._item(key(pk(job_id), "job"))
        if item is None or owner not in (None, item["owner"]["S"]):  # a tombstone and an expired record have it too
            return None
        if self._is_gone(item):
            raise Gone
        return job_of(item)

    def get_many(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """The jobs that are there, by id."""
        items = self._items([key(pk(job_id), "job") for job_id in dict.fromkeys(job_ids)])
        return {job.id: job for job in (job_of(item) for item in items if not self._is_gone(item))}

    def owned(
        self, owner: str, *, limit: int, after: tuple[int, str] | None = None
    ) -> tuple[list[str], tuple[int, str] | None]:
        """Ids of an owner's jobs, newest first, and where the next page starts: (submitted_at, id), or None."""
        return self._newest(owner, "job", limit=limit, after=after)

    def due(
        self, lane: str, shard: int, *, before: int, limit: int, after: tuple[int, str] | None = None
    ) -> list[tuple[int, str]]:
        """(due_at, id) of jobs that are due, the oldest first, from behind ``after`` on.

        ``lane`` is a queue's name for jobs that should be on it, or ``TIMED`` for those that hold a lease or wait for
        their time.
        """
        start: dict[str, Any] = {}
        if after is not None:
            place = {"due_shard": f"{lane}#{shard}", "due_at": after[0]}
            start = {"ExclusiveStartKey": key(pk(after[1]), "job") | values(place)}
        answer = self._call(
            "query",
            IndexName="due",
            KeyConditionExpression="due_shard = :shard AND due_at <= :before",
            ExpressionAttributeValues=values({":shard": f"{lane}#{shard}", ":before": before}),
            Limit=limit,
            **start,
        )
        return [(int(item["due_at"]["N"]), item["pk"]["S"].removeprefix("job#")) for item in answer["Items"]]


@cached_in_process
def open_records(table_name: str, aws: Any = None) -> Records:
    """This process's records of a table, made on first use.

    ``aws`` says where DynamoDB is (settings.AWS); None lets boto3 find it and its keys.
    """
    clock = _clock(table_name)
    if aws is None:
        from chalicelib.aws import boto3_dynamodb

        return Records(boto3_dynamodb.sender(boto3_dynamodb.client(), clock.observe), table_name, clock)
    keys = (lambda: dynamodb.Keys(*aws.keys)) if aws.keys else credentials.by_boto3
    client = dynamodb.Client(aws.url, aws.region, keys, aws.ca_bundle)
    atexit.register(client.close)
    return records_of(client, table_name, clock)


def records_of(client: dynamodb.Client, table_name: str, clock: Clock | None = None) -> Records:
    """The records of a table through a client, whose answers set the clock and which signs by it."""
    clock = clock or Clock()
    client.on_date = clock.observe
    client.now = lambda: clock.now() / 1000
    return Records(client.call, table_name, clock, client.put_many)


@functools.cache  # what is known of DynamoDB's time holds in a forked child too
def _clock(_table_name: str) -> Clock:
    return Clock()


def _same(existing: Job, job: Job) -> Job:
    """The job that is already there, if it is the same request's."""
    if existing.request_hash != job.request_hash or existing.owner != job.owner:
        raise KeyReused
    return existing


def _held(job: Job) -> tuple[str, dict[str, Any]]:
    """The condition that this claim still holds the job."""
    return "#state = :held AND #claim = :mine", {":held": RUNNING, ":mine": job.claim}


def _waiting(queue: str, job_id: str) -> str:
    return f"{queue}#{int(job_id[:8], 16) % SHARDS}"


def _timed(job_id: str) -> str:
    return _waiting(TIMED, job_id)
