"""scripts/restore.py between two tables: what was lost comes back, what was erased or revoked does not."""

from collections.abc import Iterator

import pytest

from chalicelib.errors import Gone
from chalicelib.store import records
from chalicelib.store.records import Packed, Records
from scripts import restore
from tests.conftest import Table, make_table
from tests.factories import a_job, records_by_boto3

NOW = 1_800_000_000_000


@pytest.fixture
def other(dynalite: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """A second table, which stands for the restored one."""
    yield from make_table("dynalite", dynalite, monkeypatch)


def finished(store: Records) -> records.Job:
    expires = store.now() // 1000 + 86_400
    job = a_job(kind="text", input_pieces=1, submitted_at=NOW, expires_at=expires)
    store.submit(job, [b"document"])
    claimed = store.claim(job.id, "w", lease_ms=60_000, max_attempts=3)
    assert claimed is not None
    assert store.finish(claimed, {"words": Packed([b"words"])}, page={}, totals={"words": 1}, top=[])
    found = store.get(job.id)
    assert found is not None
    return found


def test_a_restore_brings_back_what_was_lost_and_nothing_that_was_taken_away(
    dynalite_table: Table, other: Table
) -> None:
    live = records_by_boto3(dynalite_table.client, dynalite_table.name)
    old = records_by_boto3(other.client, other.name)
    lost, erased = finished(old), finished(old)
    old.put_token("0" * 64, owner="anna", name="revoked")
    # The live table has lost one job, the other was erased since, the token was revoked, and a job has come.
    for item in other.client.scan(TableName=other.name)["Items"]:
        if item["pk"]["S"] == f"job#{erased.id}":
            dynalite_table.client.put_item(TableName=dynalite_table.name, Item=item)
    assert live.erase(erased.id, "anna", expires_at=erased.expires_at)
    later = finished(live)

    found = restore.copy(dynalite_table.client, other.name, dynalite_table.name)

    assert found == {"copied": 2, "there": 0, "erased": 2, "tokens left out": 1}
    assert live.get(lost.id) == lost
    assert live.artifact(lost, "words") == [b"words"]
    assert live.get(later.id) == later
    with pytest.raises(Gone):
        live.get(erased.id)
    left = dynalite_table.client.scan(TableName=dynalite_table.name)["Items"]
    assert [item["sk"]["S"] for item in left if item["pk"]["S"] == f"job#{erased.id}"] == ["job"]
    assert live.tokens() == []
    again = restore.copy(dynalite_table.client, other.name, dynalite_table.name, tokens=True)
    assert again == {"copied": 1, "there": 2, "erased": 2, "tokens left out": 0}
