"""What a job holds besides its record: the submitted document, and the artifacts that its worker made.

Both are pieces, items of the job's partition that expire with it. An artifact's pieces bear the token of the claim that
wrote them, and are read only by a record that names that claim: pieces of a worker that was lost mean nothing.
"""

import contextlib
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from chalicelib.aws import objects
from chalicelib.errors import Gone, NotKept, Unavailable
from chalicelib.store.job import Job, key, pk, values
from chalicelib.store.table import Table, under

PIECE_BYTES = 350_000  # DynamoDB's items end at 400 KB


class Packed(NamedTuple):
    """An artifact as its worker made it: pieces of at most ``PIECE_BYTES``, unless it is ``large``.

    A large one has a single piece of any size and goes to the object store, where there is one.
    """

    pieces: Sequence[bytes]
    large: bool = False


def packed(document: str) -> list[bytes]:
    """A submitted document as compressed pieces, each small enough for an item."""
    return cut(zlib.compress(document.encode(), 6))


def cut(data: bytes) -> list[bytes]:
    """The data in pieces, each small enough for an item."""
    return [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]


class Pieces(Table):
    """The pieces of the jobs of a table."""

    def document(self, job: Job) -> bytes:
        """The submitted text or HTML of a job, as UTF-8; no longer than what may be submitted."""
        return zlib.decompress(b"".join(self._pieces(job.id, f"input#{job.request_hash}", job.input_pieces)))

    def _delete_input(self, job: Job, pieces: int) -> None:
        """Delete the submitted document of a job that has ended: nobody reads it again.

        An outage just then leaves it until the job is erased or expires; the job has ended all the same.
        """
        with contextlib.suppress(Unavailable):
            for number in range(pieces):
                self._call("delete_item", Key=key(pk(job.id), f"input#{job.request_hash}#{number:04}"))

    def artifact(self, job: Job, name: str) -> list[bytes]:
        """The pieces of a succeeded job's artifact, in order; ``NotKept`` where it has none of this name."""
        if (known := job.artifacts.get(name)) is None:
            raise NotKept(name)
        return list(self._pieces(job.id, f"{name}#{known['claim']}", known["pieces"]))

    def artifacts(self, jobs: Sequence[Job], names: Collection[str]) -> dict[str, dict[str, list[bytes]]]:
        """The pieces of these artifacts by job and name, in few calls; a job that lacks one of them is left out."""
        found = {job.id: {name: list[bytes]() for name in names} for job in jobs if job.artifacts.keys() >= set(names)}
        keys = {
            (pk(job.id), f"{name}#{job.artifacts[name]['claim']}#{number:04}"): (job.id, name)
            for job in jobs
            if job.id in found
            for name in names
            for number in range(job.artifacts[name]["pieces"])
        }
        held: dict[tuple[str, str], bytes] = {}
        for item in self._items([key(*one) for one in keys]):
            with contextlib.suppress(Gone):
                held[item["pk"]["S"], item["sk"]["S"]] = _held(item)
        for one, (job_id, name) in keys.items():
            if one not in held:  # erased between the record's reading and this
                found.pop(job_id, None)
            elif job_id in found:
                found[job_id][name].append(held[one])
        return found

    def _put_artifacts(self, job: Job, made: Mapping[str, Packed]) -> dict[str, dict[str, Any]]:
        """Write a claim's artifacts; returns what the record says of them."""
        return {
            name: {"claim": job.claim, "pieces": self._put_artifact(job, f"{name}#{job.claim}", packed)}
            for name, packed in made.items()
        }

    def _put_artifact(self, job: Job, kind: str, packed: Packed) -> int:
        if packed.large and objects.is_configured():
            # The item that names the object is written before it: whoever deletes a job's items finds its objects.
            place = f"jobs/{job.id}/{kind.replace('#', '-')}"
            self._put_piece(job.id, kind, 0, {"object": place}, job.expires_at)
            with _object_errors():
                objects.put(place, packed.pieces[0])
            return 1
        pieces = cut(packed.pieces[0]) if packed.large else packed.pieces
        for number, piece in enumerate(pieces):
            self._put_piece(job.id, kind, number, {"data": piece}, job.expires_at)
        return len(pieces)

    def note_run(self, job: Job, run: str) -> None:
        """Keep which run on Spark answers a job, and since when; two attempts that write it have the same run."""
        self._put_piece(job.id, "run", 0, {"run": run, "started_at": self.clock.now()}, job.expires_at)

    def run_of(self, job: Job) -> tuple[str, int] | None:
        """The job's run on Spark and when it was noted."""
        found = self._item(key(pk(job.id), "run#0000"))
        return None if found is None else (found["run"]["S"], int(found["started_at"]["N"]))

    def delete_pieces(self, job_id: str, claim: str = "") -> None:
        """Delete every piece that a job has, with its objects, or those that a claim wrote."""
        for page in self._pages(
            "query",
            **under(pk(job_id)),
            ConsistentRead=True,
            ProjectionExpression="pk, sk, #object",
            ExpressionAttributeNames={"#object": "object"},
        ):
            names = [(item["sk"]["S"], item) for item in page["Items"]]
            found = [item for name, item in names if (f"#{claim}#" in name if claim else name != "job")]
            for item in found:
                if "object" in item:
                    with _object_errors():
                        objects.delete(item["object"]["S"])
            self._delete_items([{"pk": item["pk"], "sk": item["sk"]} for item in found])

    def _put_piece(self, job_id: str, kind: str, number: int, holds: Mapping[str, Any], expires_at: int) -> None:
        item = {**key(pk(job_id), f"{kind}#{number:04}"), **values({**holds, "expires_at": expires_at})}
        self._call("put_item", Item=item)

    def _pieces(self, job_id: str, kind: str, count: int) -> Iterator[bytes]:
        for number in range(count):
            item = self._item(key(pk(job_id), f"{kind}#{number:04}"))
            if item is None:
                raise Gone  # erased between the record's reading and this
            yield _held(item)


def _held(item: Mapping[str, Any]) -> bytes:
    """What a piece's item holds, or the object that it names."""
    if "object" not in item:
        return bytes(item["data"]["B"])
    with _object_errors():
        try:
            return objects.get(item["object"]["S"])
        except objects.ObjectError as error:
            if error.absent:
                raise Gone from None
            raise


@contextlib.contextmanager
def _object_errors() -> Iterator[None]:
    """The object store's errors as the table's. What is absent where something is put is the bucket itself."""
    try:
        yield
    except (objects.ObjectError, OSError) as error:
        raise Unavailable(f"the object store does not serve: {error}") from error
