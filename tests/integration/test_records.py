"""One contract for the records, held against two stores."""

import threading
from collections.abc import Iterator

import msgspec
import pytest

from chalicelib.aws import dynamodb
from chalicelib.errors import Gone, KeyReused, Unavailable
from chalicelib.store import access_tokens, records
from chalicelib.store.artifacts import packed
from chalicelib.store.clock import Clock
from chalicelib.store.job import key, values
from chalicelib.store.records import Job, Packed, Records, records_of
from tests import factories

LEASE = 1000


class SetClock(Clock):
    """A clock that a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.ms = 1_800_000_000_000

    @property
    def known(self) -> bool:
        return True

    def now(self) -> int:
        return self.ms

    def observe(self, date: str | None) -> None:
        """Time stands still until a test moves it."""


@pytest.fixture(params=["ours", "boto3"])
def store(table, request) -> Iterator[Records]:
    """The records by either client, on either store."""
    if request.param == "boto3":
        yield factories.records_by_boto3(table.client, table.name, SetClock())
        return
    client = dynamodb.Client(table.endpoint, "us-east-1", lambda: dynamodb.Keys("local", "local"))
    yield records_of(client, table.name, SetClock())
    client.close()


def a_job(store: Records, **changes: object) -> Job:
    new = {"submitted_at": store.now(), "expires_at": store.now() // 1000 + 86_400}
    return factories.a_job(**new | changes)


def submitted(store: Records, **changes: object) -> Job:
    job, created = store.submit(a_job(store, **changes))
    assert created
    return job


def claim(store: Records, job: Job, worker: str = "w") -> Job | None:
    return store.claim(job.id, worker, lease_ms=LEASE, max_attempts=3)


RESULT = {"page": {"title": "T"}, "totals": {"words": 2}, "top": [{"word": "a", "count": 2}]}


def test_a_submitted_job_reads_back_as_it_was_written(store):
    job = submitted(store, options={"select": "main"}, request_id="r-1")
    assert store.get(job.id) == msgspec.structs.replace(job, due_at=job.submitted_at + records.GRACE_MS)


def test_the_same_submission_finds_its_job_and_another_is_an_error(store):
    job = submitted(store)
    again, created = store.submit(msgspec.structs.replace(job, submitted_at=job.submitted_at + 5))
    assert (again.id, again.submitted_at, created) == (job.id, job.submitted_at, False)
    with pytest.raises(KeyReused):
        store.submit(msgspec.structs.replace(job, request_hash="other"))
    with pytest.raises(KeyReused):
        store.submit(msgspec.structs.replace(job, owner="ben"))


def test_two_submissions_of_one_id_at_once_make_one_job(store):
    job = a_job(store)
    made = []
    threads = [threading.Thread(target=lambda: made.append(store.submit(job)[1])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False] * 7 + [True]


def test_an_expired_job_makes_room_for_its_id(store):
    job = submitted(store, expires_at=store.now() // 1000 + 10)
    store.clock.ms += 20_000
    with pytest.raises(Gone):
        store.get(job.id)
    assert store.find(job.id) is None
    assert store.submit(msgspec.structs.replace(job, expires_at=job.expires_at + 1000))[1]


def test_an_expired_documents_key_is_free_and_an_erased_ones_is_not(store, table):
    def ask() -> tuple[Job, bool]:
        expires_at = store.now() // 1000 + 100
        return store.submit(
            a_job(store, id="0" * 32, kind="text", input_pieces=1, expires_at=expires_at), [b"x"], keyed=True
        )

    ask()
    store.clock.ms += 101_000
    job, created = ask()
    assert created
    assert store.erase(job.id, job.owner, expires_at=job.expires_at)
    with pytest.raises(Gone):
        ask()
    assert len(table.client.scan(TableName=table.name)["Items"]) == 1, "the text was not written"


def test_what_is_left_of_an_erased_job_stays_as_it_is_when_the_index_still_has_the_job(store, table):
    job = submitted(store)
    assert store.erase(job.id, job.owner, expires_at=store.now() // 1000 - 1)
    store.remove_expired_from_due_index(job.id)
    [left] = table.client.scan(TableName=table.name)["Items"]
    assert left.keys() == {"pk", "sk", "owner", "expires_at"}


def test_an_expired_job_leaves_the_due_index_and_one_that_is_not_stays(store):
    expired, waits = submitted(store, expires_at=store.now() // 1000 + 10), submitted(store)
    store.clock.ms += 20_000
    unknown = records.new_id()
    for job_id in (expired.id, waits.id, unknown):
        store.remove_expired_from_due_index(job_id)
    later = store.now() + records.GRACE_MS
    found = [store.due("interactive", shard, before=later, limit=5) for shard in range(records.SHARDS)]
    assert [job_id for entries in found for _, job_id in entries] == [waits.id]
    assert store.find(unknown) is None


def test_a_claim_takes_the_job_and_a_second_is_refused_while_the_lease_lives(store):
    job = submitted(store)
    mine = claim(store, job, "w1")
    assert (mine.state, mine.attempt, mine.version, mine.worker) == ("running", 1, 2, "w1")
    assert mine.lease_until == store.now() + LEASE == mine.due_at
    assert claim(store, job, "w2") is None


def test_of_many_claims_at_once_one_succeeds(store):
    job = submitted(store)
    won = []
    threads = [threading.Thread(target=lambda: won.append(claim(store, job))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(claimed is not None for claimed in won) == 1


def sent_twice(store: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write reaches the store twice, as when the answer to the first was lost and the client tried again."""
    real = store.send

    def send(operation: str, arguments: dict) -> dict:
        if operation in ("put_item", "update_item"):
            real(operation, arguments)
        return real(operation, arguments)

    monkeypatch.setattr(store, "send", send)


def test_a_claim_whose_answer_was_lost_is_had_all_the_same(store, monkeypatch):
    job = submitted(store)
    with monkeypatch.context() as lossy:
        sent_twice(store, lossy)
        mine = claim(store, job)
    assert (mine.state, mine.attempt, mine.failures) == ("running", 1, 0)
    assert claim(store, job) is None
    assert store.finish(mine, {"words": Packed([b"x"])}, **RESULT)


def test_every_ending_whose_answer_was_lost_counts_as_done(store, monkeypatch):
    done, failed, retried = (claim(store, submitted(store)) for _ in range(3))
    sent_twice(store, monkeypatch)
    assert store.finish(done, {"words": Packed([b"x"])}, **RESULT)
    assert store.fail(failed, {"type": "timeout"})
    assert store.retry(retried, not_before=store.now())
    states = store.get_many([done.id, failed.id, retried.id])
    assert {job_id: job.version for job_id, job in states.items()} == dict.fromkeys(states, 3), "done once, not twice"


def test_a_lapsed_lease_may_be_claimed_and_counts_a_failure_until_tries_are_used(store):
    job = submitted(store)
    first = claim(store, job)
    store.clock.ms += LEASE + 1
    second = claim(store, job)
    assert (second.attempt, second.failures) == (2, 1)
    assert not store.finish(first, {"words": Packed([b"x"])}, **RESULT), (
        "the lost claim must write nothing that anyone reads"
    )
    store.clock.ms += LEASE + 1
    third = claim(store, job)
    assert (third.attempt, third.failures) == (3, 2)
    store.clock.ms += LEASE + 1
    assert claim(store, job) is None, "its tries are used: the sweep fails it"


def test_finishing_writes_the_words_and_leaves_the_due_index(store):
    job = submitted(store)
    mine = claim(store, job)
    assert store.finish(mine, {"words": Packed([b"one", b"two"])}, **RESULT)
    done = store.get(job.id)
    assert (done.state, done.version, done.top, done.finished_at) == ("succeeded", 3, RESULT["top"], store.now())
    assert store.artifact(done, "words") == [b"one", b"two"]
    later = store.now() + 10**9
    for lane in (records.TIMED, "interactive"):
        assert all(not store.due(lane, n, before=later, limit=9) for n in range(records.SHARDS))


def test_a_finish_whose_answer_was_lost_is_known_for_ours(store):
    mine = claim(store, submitted(store))
    assert store.finish(mine, {"words": Packed([b"x"])}, **RESULT)
    assert store.finish(mine, {"words": Packed([b"x"])}, **RESULT)
    assert store.get(mine.id).version == 3
    assert not store.fail(mine, {"type": "internal"}), "another ending is not ours"


def test_a_retry_waits_for_its_time(store):
    job = submitted(store)
    mine = claim(store, job)
    assert store.retry(mine, not_before=store.now() + 5000)
    waiting = store.get(job.id)
    assert (waiting.state, waiting.failures, waiting.worker, waiting.claim) == ("queued", 1, None, None)
    assert claim(store, job) is None
    store.clock.ms += 5001
    assert claim(store, job).attempt == 2


def test_a_deferral_counts_no_failure_and_keeps_its_slot(store):
    mine = claim(store, submitted(store))
    assert store.retry(mine, not_before=store.now(), failed=False, slots=2, slot_at="a.de")
    again = claim(store, mine)
    assert (again.failures, again.slots, again.slot_at, again.attempt) == (0, 2, "a.de", 2)


def test_a_failure_ends_the_job_with_its_error(store):
    mine = claim(store, submitted(store))
    assert store.fail(mine, {"type": "not-text", "title": "t", "detail": "d"})
    done = store.get(mine.id)
    assert (done.state, done.error["type"], done.failures, done.due_at) == ("failed", "not-text", 1, None)
    assert claim(store, mine) is None


@pytest.mark.parametrize("running", [False, True])
def test_a_job_that_has_not_ended_can_be_canceled_once_by_its_owner(store, running):
    job = submitted(store)
    mine = claim(store, job) if running else None
    assert store.cancel(job.id, "ben") is None
    assert store.cancel(job.id, "anna").state == "canceled"
    assert store.cancel(job.id, "anna") is None
    if mine is not None:
        assert not store.finish(mine, {"words": Packed([b"x"])}, **RESULT)
    assert store.get(job.id).state == "canceled"


def test_an_erased_job_leaves_a_tombstone_and_nothing_else(store, table):
    job, _ = store.submit(a_job(store, kind="text", input_pieces=1), packed("some text"))
    mine = claim(store, job)
    assert not store.erase(job.id, "anna", expires_at=job.expires_at), "it runs"
    assert store.document(mine) == b"some text"
    store.finish(mine, {"words": Packed([b"w"] * 30)}, **RESULT)
    assert not store.erase(job.id, "ben", expires_at=job.expires_at)
    assert store.erase(job.id, "anna", expires_at=job.expires_at)
    with pytest.raises(Gone):
        store.get(job.id)
    items = table.client.scan(TableName=table.name)["Items"]
    assert [sorted(item) for item in items] == [["expires_at", "owner", "pk", "sk"]]
    with pytest.raises(Gone):
        store.submit(msgspec.structs.replace(job))


def test_a_lost_workers_job_goes_back_and_then_fails(store):
    job = submitted(store)
    error = {"type": "worker-lost"}
    for failures in (1, 2):
        running = claim(store, job)
        assert store.give_back(running, failed=True)
        back = store.get(job.id)
        assert (back.state, back.failures, back.not_before) == ("queued", failures, 0)
    running = claim(store, job)
    assert not store.fail_lost_job(back, error), "read before it changed"
    assert store.fail_lost_job(running, error)
    done = store.get(job.id)
    assert (done.state, done.error, done.failures) == ("failed", error, 3)


def test_a_lost_workers_job_whose_answer_was_lost_goes_back_and_loses_its_input_at_its_end(store, table, monkeypatch):
    job, _ = store.submit(a_job(store, kind="text", input_pieces=1), packed("some text"))
    running = claim(store, job)
    with monkeypatch.context() as lossy:
        sent_twice(store, lossy)
        assert store.give_back(running, failed=True)
        assert store.note_requeued(store.get(job.id))
        running = claim(store, job)
        assert store.fail_lost_job(running, {"type": "worker-lost"})
    assert (store.get(job.id).state, store.get(job.id).failures) == ("failed", 2)
    assert [item["sk"]["S"] for item in table.client.scan(TableName=table.name)["Items"]] == ["job"]


def test_what_is_due_is_found_in_its_lane(store):
    job = submitted(store)
    shard = int(job.id[:8], 16) % records.SHARDS
    late = store.now() + records.GRACE_MS
    assert store.due("interactive", shard, before=late - 1, limit=5) == []
    assert store.due("interactive", shard, before=late, limit=5) == [(late, job.id)]
    claim(store, job)
    assert store.due("interactive", shard, before=late, limit=5) == []
    assert store.due(records.TIMED, shard, before=late, limit=5) == [(store.now() + LEASE, job.id)]


def test_an_owners_jobs_come_newest_first_in_pages_that_neither_skip_nor_repeat(store):
    ids = []
    for _ in range(7):
        store.clock.ms += 1
        ids.append(submitted(store).id)
    submitted(store, owner="ben")
    seen, after = store.owned("anna", limit=3)
    store.clock.ms += 1
    submitted(store)  # arrives meanwhile
    while after is not None:
        page, after = store.owned("anna", limit=3, after=after)
        seen += page
    assert seen == ids[::-1]


def test_documents_and_words_of_any_size_fit(store):
    text = "".join(chr(0x4E00 + n * 7919 % 20000) for n in range(600_000))
    pieces = packed(text)
    assert len(pieces) > 2
    job, _ = store.submit(a_job(store, kind="text", input_pieces=len(pieces)), pieces)
    assert store.document(job).decode() == text


def test_tokens_are_found_listed_and_revoked(store):
    store.put_token("d1", owner="anna", name="laptop")
    assert store.token("d1") == {"owner": "anna", "name": "laptop"}
    [listed] = store.tokens()
    assert (listed["digest"], listed["name"], listed["expires_at"], listed["used_at"]) == ("d1", "laptop", None, None)
    for _ in range(2):
        store.note_use("d1")
    [listed] = store.tokens()
    assert 0 <= store.now() - listed["used_at"] < 2 * access_tokens.DAY
    store.delete_token("d1")
    assert store.token("d1") is None
    assert store.tokens() == []


def test_a_token_ends_on_its_day(store, monkeypatch):
    store.put_token("d1", owner="anna", name="laptop", days=2)
    assert store.token("d1") is not None
    later = store.now() + 2 * access_tokens.DAY + 1_000
    monkeypatch.setattr(store.clock, "now", lambda: later)
    assert store.token("d1") is None
    assert store.tokens() == []


def test_a_token_of_the_former_form_is_valid_and_can_be_moved_and_revoked(store):
    former = {"owner": "anna", "name": "old", "created_at": 1_700_000_000_000}
    for digest in ("d1", "d2"):
        store._call("put_item", Item={**key(f"token#{digest}", "token"), **values(former)})
    assert store.token("d1") == {"owner": "anna", "name": "old"}
    store.delete_token("d2")
    assert store.token("d2") is None
    assert store.move_tokens() == 1
    assert [(t["digest"], t["created_at"]) for t in store.tokens()] == [("d1", 1_700_000_000_000)]
    assert store.token("d1") == {"owner": "anna", "name": "old"}
    assert store.move_tokens() == 0


def test_a_store_that_is_away_says_so(table):
    import boto3
    from botocore.config import Config

    away = boto3.client(
        "dynamodb",
        endpoint_url="http://127.0.0.1:9",
        region_name="us-east-1",
        config=Config(connect_timeout=0.2, retries={"total_max_attempts": 1}),
    )
    with pytest.raises(Unavailable):
        factories.records_by_boto3(away, table.name).ping()


def test_the_clock_is_the_stores_when_ours_is_wrong():
    clock = Clock()
    assert not clock.known
    clock.observe("Mon, 23 Nov 2026 23:00:00 GMT")
    assert abs(clock.now() - 1795474800_000) < 2000
    clock.observe("yesterday")
    clock._looked = float("-inf")
    clock.observe("Mon, 23 Nov 2026 23:61:00 GMT")
    right = Clock()
    from email.utils import formatdate

    right.observe(formatdate(usegmt=True))
    assert right._offset == 0, "a second's rounding is no difference"


def test_a_cancel_whose_answer_was_lost_is_known_for_ours(store, monkeypatch):
    job = submitted(store)
    with monkeypatch.context() as lossy:
        sent_twice(store, lossy)
        assert store.cancel(job.id, "anna").state == "canceled"
    assert store.get(job.id).version == 2
    assert store.cancel(job.id, "anna") is None


def test_a_worker_that_comes_too_late_leaves_no_words(store, table):
    mine = claim(store, submitted(store))
    store.cancel(mine.id, "anna")
    assert store.erase(mine.id, "anna", expires_at=mine.expires_at)
    assert not store.finish(mine, {"words": Packed([b"one", b"two"])}, **RESULT)
    items = table.client.scan(TableName=table.name)["Items"]
    assert [sorted(item) for item in items] == [["expires_at", "owner", "pk", "sk"]]
