"""A model of a record's life: no order of claims, endings, retries, cancels, sweeps and lapsed leases breaks it."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from chalicelib.store import records
from chalicelib.store.records import Job, Packed, Records
from tests.factories import records_by_boto3

from .test_records import LEASE, RESULT, SetClock, a_job

MAX = 3
ERROR = {"type": "worker-lost"}


class Life(RuleBasedStateMachine):
    """Every claim ever handed out may still act, however late: that is what a stopped and woken worker does."""

    store: Records
    claims = Bundle("claims")
    reads = Bundle("reads")

    def __init__(self) -> None:
        super().__init__()
        self.job, _ = self.store.submit(a_job(self.store))
        self.last = self.store.get(self.job.id)
        self.holder: Job | None = None  # the claim that is valid now
        self.endings = 0

    def now(self) -> Job:
        return self.store.get(self.job.id)

    @rule(target=claims)
    def claim(self) -> Job | None:
        before = self.now()
        got = self.store.claim(self.job.id, "w", lease_ms=LEASE, max_attempts=MAX)
        waits = before.state == "queued" and before.not_before <= self.store.now() + 500
        lapsed = before.state == "running" and before.lease_until < self.store.now() and before.failures < MAX - 1
        assert (got is not None) == (waits or lapsed)
        if got is not None:
            self.holder = got
        return got

    @rule(claim=claims, how=st.sampled_from(["finish", "fail", "retry", "defer"]), pause=st.integers(0, 2000))
    def act(self, claim: Job | None, how: str, pause: int) -> None:
        if claim is None:
            return
        before = self.now()
        valid = before.state == "running" and before.claim == claim.claim
        if how == "finish":
            did = self.store.finish(claim, {"words": Packed([b"words"])}, **RESULT)
        elif how == "fail":
            did = self.store.fail(claim, {"type": "not-text"})
        else:
            did = self.store.retry(claim, not_before=self.store.now() + pause, failed=how == "retry")
        changed = self.now().version != before.version
        assert changed == valid
        assert did or not valid

    @rule(target=reads)
    def read(self) -> Job:
        return self.now()

    @rule(job=consumes(reads))
    def sweep(self, job: Job) -> None:
        """As the sweep does: with a record read at any time before."""
        now = self.store.now()
        if job.state == "running" and job.lease_until <= now:
            if job.failures + 1 >= MAX:
                self.store.fail_lost_job(job, ERROR)
            else:
                self.store.give_back(job, failed=True)
        elif job.state == "queued" and job.due_at <= now:
            self.store.note_requeued(job)

    @rule()
    def cancel(self) -> None:
        open_before = self.now().state not in records.TERMINAL
        assert (self.store.cancel(self.job.id, "anna") is not None) == open_before

    @rule(ms=st.sampled_from([1, 600, LEASE + 1, 20_000]))
    def time_passes(self, ms: int) -> None:
        self.store.clock.ms += ms

    @invariant()
    def the_promise_holds(self) -> None:
        job, last = self.now(), self.last
        assert job.version >= last.version
        assert job.attempt >= last.attempt
        assert job.failures <= MAX
        if last.state in records.TERMINAL:
            assert job == last, "a terminal state changed"
        if last.version != job.version and last.state == "queued":
            assert job.state in ("queued", "running", "canceled")
        ended = job.state in records.TERMINAL
        assert (job.due_at is None) == ended, "an open job is always due some time, an ended one never"
        if job.state == "succeeded":
            assert self.store.artifact(job, "words") == [b"words"]
        self.last = job


@pytest.mark.usefixtures("table")
def test_no_order_of_events_breaks_a_jobs_life(table):
    class LifeHere(Life):
        store = records_by_boto3(table.client, table.name, SetClock())

    run_state_machine_as_test(
        LifeHere,
        settings=settings(
            max_examples=8, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
