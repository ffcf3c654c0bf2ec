"""Corpora in DynamoDB: what a corpus is, which documents it has, and which files count.

A corpus' partition (``corpus#<id>``) holds

- ``corpus``: the corpus with its manifest, changed by conditional writes on ``version`` alone;
- ``batch#<n>``: the documents of one request, written once, compressed;
- ``key#<hash>``: where the document of a key is, so that the same key replaces it;
- ``removed#<n>``: which documents of a batch do not count any more.

A document's state is its job's. The items expire with the corpus.
"""

import base64
import contextlib
import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from chalicelib.errors import Gone
from chalicelib.store.job import key, own_key, plain_values, values
from chalicelib.store.table import ConditionFailed, Table, under

BATCH_MOST = 1_000  # documents of one request, and of one part
BATCHES_MOST = 10_000  # of a corpus
PARTS_MOST = 1_000  # of a manifest, one item of DynamoDB; batches that are not merged yet count too
_ITEM_MOST = 380_000  # bytes of a batch; DynamoDB takes 400 KB
_json = msgspec.json.Encoder().encode


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a batch. ``token`` is in their names; ``states`` counts the batch's documents by state.

    A batch with more words than a file takes is several parts, each with its documents from ``first`` on and before
    ``last``; all but the last have no ``span``.

    A merged part has ``span`` batches, ``batch`` the first. Its files hold only what counts: of its batches ``seen``
    documents were removed when they were written, not counting those of ``dead`` ones, a bit for each.
    """

    batch: int
    span: int = 1
    token: str = ""  # empty: no document has succeeded yet
    files: int = 0  # of words and of documents each: one, or none
    documents: int = 0  # in the files
    gone: bytes = b""  # a bit for each document of the batch that does not count: small however many there are
    words: int = 0  # of those that count
    states: dict[str, int] = msgspec.field(default_factory=dict)
    ended: bool = False  # all documents have ended and are in the files, or failed
    seen: int = 0
    dead: bytes = b""
    first: int = 0
    last: int = BATCH_MOST

    @property
    def is_split(self) -> bool:
        """Whether this is a part of a batch."""
        return (self.first, self.last) != (0, BATCH_MOST)

    @property
    def removed(self) -> list[int]:
        """The numbers in the corpus of the documents in the files that do not count."""
        return [Place(self.batch, at).doc for at in marks(self.gone)]


def marked(places: Iterable[int]) -> bytes:
    """A bit for each of these numbers."""
    bits = sum(1 << at for at in set(places))
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def marks(bits: bytes) -> list[int]:
    """The numbers that are ``marked``."""
    return [at for at in range(8 * len(bits)) if bits[at // 8] >> at % 8 & 1]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Which files count. ``table`` is the token of the merged word table; ``stale`` files are deleted a while later."""

    parts: list[Part] = msgspec.field(default_factory=list)
    table: str = ""
    documents: int = 0
    words: int = 0
    distinct: int = 0
    rules: str = ""
    seen: int = 0  # of the corpus' changes: how many are in it, once everything that they brought has ended
    made_at: int = 0  # in milliseconds
    stale: list[tuple[str, int]] = msgspec.field(default_factory=list)  # name, time in milliseconds


class Corpus(msgspec.Struct, frozen=True, kw_only=True):
    """A corpus as it stands. ``batches`` counts those that were begun, ``changes`` all that asks for compaction."""

    id: str
    owner: str
    created_at: int
    expires_at: int
    name: str = ""
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    metadata: list[str] = msgspec.field(default_factory=list)
    request_hash: str = ""
    version: int = 1
    batches: int = 0
    added: int = 0  # documents of all batches
    removed: int = 0
    changes: int = 0
    changed_at: int = 0  # when the last batch was begun
    erasing: bool = False
    manifest: Manifest = msgspec.field(default_factory=Manifest)


class Document(msgspec.Struct, frozen=True, array_like=True):
    """A document of a batch: its key, its job, where it is from, and its metadata."""

    key: str
    job: str
    url: str | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict)


class Place(NamedTuple):
    """Where a document is: its batch and its number in it. ``doc`` is its number in the corpus."""

    batch: int
    at: int

    @property
    def doc(self) -> int:
        return self.batch * BATCH_MOST + self.at


class Corpora(Table):
    """The corpora of a table. Methods raise ``Unavailable`` when DynamoDB cannot serve them now."""

    def create_corpus(self, corpus: Corpus) -> tuple[Corpus, bool]:
        """Put a new corpus; returns it and True, or the one that has this id and False."""
        item = {**_key(corpus.id, "corpus"), **_item(corpus)}
        try:
            self._call("put_item", Item=item, ConditionExpression="attribute_not_exists(pk)")
        except ConditionFailed:
            existing = self.corpus(corpus.id)
            if existing is None:
                raise Gone from None
            return existing, False
        return corpus, True

    def corpus(self, corpus_id: str, owner: str | None = None) -> Corpus | None:
        """The corpus as it is now, or None, also where it is another owner's; ``Gone`` when it is expired or erased."""
        item = self._item(_key(corpus_id, "corpus"))
        if item is None or owner not in (None, _plain_owner(item["owner"]["S"])):  # an erased one has it too
            return None
        if self._is_gone(item, "manifest"):
            raise Gone
        return corpus_of(item)

    def find_corpus(self, corpus_id: str) -> Corpus | None:
        """The corpus as it is now; None where it is not there, expired or erased."""
        with contextlib.suppress(Gone):
            return self.corpus(corpus_id)
        return None

    def corpora_of(
        self, owner: str, *, limit: int, after: tuple[int, str] | None = None
    ) -> tuple[list[Corpus], tuple[int, str] | None]:
        """A page of an owner's corpora, newest first, and where the next one starts: (created_at, id), or None."""
        ids, after = self._newest(_owner(owner), "corpus", limit=limit, after=after)
        items = self._items([_key(corpus_id, "corpus") for corpus_id in ids])
        there = [corpus_of(item) for item in items if not self._is_gone(item, "manifest")]
        return sorted(there, key=lambda one: ids.index(one.id)), after

    def begin_batch(self, corpus_id: str, documents: int, replaced: int = 0) -> Corpus:
        """The corpus with the number of a new batch taken: ``batches`` - 1. ``Gone`` where it is being erased."""
        return self._count(corpus_id, {"batches": 1, "added": documents, "removed": replaced, "changes": 1})

    def note_change(self, corpus_id: str, removed: int = 0) -> Corpus:
        """The corpus, noted as changed: a later compaction must look again."""
        return self._count(corpus_id, {"changes": 1, "removed": removed})

    def _count(self, corpus_id: str, steps: Mapping[str, int]) -> Corpus:
        stays = "attribute_exists(#manifest) AND #erasing = :no", {":no": False}
        try:
            item = self._update(_key(corpus_id, "corpus"), {"changed_at": self.clock.now()}, stays, add=steps)
        except ConditionFailed:
            raise Gone from None
        return corpus_of(item)

    def put_batch(self, corpus: Corpus, number: int, documents: Sequence[Document]) -> bool:
        """Write the documents of a batch, which count from the next compaction on; False where it was closed."""
        given = values({"data": _batch(documents), "expires_at": corpus.expires_at})
        item = {**_key(corpus.id, f"batch#{number:06}"), **given}
        try:
            self._call("put_item", Item=item, ConditionExpression="attribute_not_exists(pk)")
        except ConditionFailed:
            # A try whose answer was lost may have been the one that did it.
            return self.batch(corpus.id, number) == list(documents)
        return True

    def close_batch(self, corpus: Corpus, number: int) -> None:
        """Let nobody write a batch that was begun long ago, so that it need not be looked for any more."""
        self.put_batch(corpus, number, [])

    def drop_batch(self, corpus: Corpus, number: int) -> None:
        """Forget the documents of a batch, which are erased."""
        self._call("delete_item", Key=_key(corpus.id, f"batch#{number:06}"))

    def batches(self, corpus_id: str) -> Iterator[tuple[int, list[Document]]]:
        """The batches that are there by their numbers."""
        for item in self._within(under(f"corpus#{corpus_id}", "batch#")):
            yield int(item["sk"]["S"].removeprefix("batch#")), _documents(item)

    def batch(self, corpus_id: str, number: int) -> list[Document]:
        """The documents of a batch; none where it was begun and never written."""
        return self.written(corpus_id, number) or []

    def written(self, corpus_id: str, number: int) -> list[Document] | None:
        """The same, and None where it may still be written."""
        item = self._item(_key(corpus_id, f"batch#{number:06}"))
        return None if item is None else _documents(item)

    def places(self, corpus_id: str, keys: Sequence[str]) -> dict[str, tuple[Place, str]]:
        """By key where its document is, and its job's id; only keys that are there."""
        names = {f"key#{_hash(one)}": one for one in keys}
        items = self._items([_key(corpus_id, name) for name in names])
        return {names[item["sk"]["S"]]: (_place(item), item["job"]["S"]) for item in items}

    def put_places(
        self, corpus: Corpus, number: int, documents: Sequence[Document], known: Mapping[str, Place]
    ) -> list[int]:
        """Note for each key of a batch where its document is, if it is still where it was ``known`` to be.

        Returns the numbers of those that somebody else has noted meanwhile.
        """
        puts = []
        for index, document in enumerate(documents):
            given = {"batch": number, "index": index, "job": document.job, "expires_at": corpus.expires_at}
            item = {**_key(corpus.id, f"key#{_hash(document.key)}"), **values(given)}
            puts.append({"TableName": self.table_name, "Item": item, **_still_at(known.get(document.key))})
        done = self._put_many(puts)
        return [at for at, put in enumerate(puts) if not done[at] and not self._put_place(put, Place(number, at))]

    def _put_place(self, put: dict[str, Any], place: Place) -> bool:
        try:
            self._call("put_item", table=False, **put)
        except ConditionFailed:
            # A try whose answer was lost may have been the one that did it.
            seen = self._item({name: put["Item"][name] for name in ("pk", "sk")})
            return seen is not None and _place(seen) == place
        return True

    def drop_key(self, corpus_id: str, name: str, place: Place) -> None:
        """Forget where the document of a key is, unless another has taken its place meanwhile."""
        with contextlib.suppress(ConditionFailed):
            self._call("delete_item", Key=_key(corpus_id, f"key#{_hash(name)}"), **_still_at(place))

    def remove(self, corpus: Corpus, places: Sequence[Place]) -> None:
        """Note that documents do not count any more. Noted twice is noted once."""
        for number in sorted({place.batch for place in places}):
            indexes = {"NS": [str(place.at) for place in set(places) if place.batch == number]}
            self._call(
                "update_item",
                Key=_key(corpus.id, f"removed#{number:06}"),
                UpdateExpression="ADD #indexes :indexes SET #expires_at = :expires_at",
                ExpressionAttributeNames={"#indexes": "indexes", "#expires_at": "expires_at"},
                ExpressionAttributeValues={":indexes": indexes, **values({":expires_at": corpus.expires_at})},
            )

    def removed(self, corpus_id: str, first: int = 0, last: int = 999_999) -> dict[int, set[int]]:
        """By batch, from the first to the last, the numbers in it of documents that do not count any more."""
        ends = {":first": f"removed#{first:06}", ":last": f"removed#{last:06}"}
        query = {
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": values({":pk": f"corpus#{corpus_id}", **ends}),
        }
        return {
            int(item["sk"]["S"].removeprefix("removed#")): set(map(int, item["indexes"]["NS"]))
            for item in self._within(query)
        }

    def put_manifest(self, corpus: Corpus, manifest: Manifest) -> bool:
        """Replace the manifest that was read with the corpus; False when somebody else has, or it is being erased."""
        try:
            as_read = "#version = :seen AND #erasing = :no", {":seen": corpus.version, ":no": False}
            self._update(_key(corpus.id, "corpus"), {"manifest": _packed(manifest)}, as_read, add={"version": 1})
        except ConditionFailed:
            # A try whose answer was lost may have been the one that did it.
            seen = self.find_corpus(corpus.id)
            return seen is not None and seen.version == corpus.version + 1 and seen.manifest == manifest
        return True

    def begin_erasing(self, corpus_id: str) -> Corpus | None:
        """The corpus, which takes no document and no manifest any more; None where it is gone already."""
        is_there: tuple[str, dict[str, Any]] = ("attribute_exists(#manifest)", {})
        try:
            item = self._update(_key(corpus_id, "corpus"), {"erasing": True}, is_there, add={"changes": 1})
        except ConditionFailed:
            return None
        return corpus_of(item)

    def erase_corpus(self, corpus: Corpus) -> Iterator[None]:
        """Delete all items of a corpus step by step, and leave a tombstone until it would have expired."""
        for keys in self._corpus_keys(corpus.id):
            self._delete_items(keys)
            yield
        given = values({"owner": f"erased:{corpus.owner}", "expires_at": corpus.expires_at})
        self._call("put_item", Item={**_key(corpus.id, "corpus"), **given})

    def take_back(self, corpus_id: str, erased: Sequence[str]) -> None:
        """Delete the batches of these jobs of a corpus that is being erased, and what keys and marks it has.

        Other batches stay for the job that erases the corpus, since they name the jobs that it erases.
        """
        batches = [number for number, some in self.batches(corpus_id) if {one.job for one in some} <= {*erased}]
        own = ("key#", "removed#", *(f"batch#{number:06}" for number in batches))
        for keys in self._corpus_keys(corpus_id):
            self._delete_items([one for one in keys if one["sk"]["S"].startswith(own)])

    def _corpus_keys(self, corpus_id: str) -> Iterator[list[dict[str, Any]]]:
        own = under(f"corpus#{corpus_id}")
        for page in self._pages("query", **own, ProjectionExpression="pk, sk", ConsistentRead=True):
            yield [item for item in page["Items"] if item["sk"]["S"] != "corpus"]


_JSON_FIELDS = {"options": dict[str, Any], "metadata": list[str]}


def _item(corpus: Corpus) -> dict[str, Any]:
    given = {name: getattr(corpus, name) for name in Corpus.__struct_fields__ if name not in ("id", "created_at")}
    given |= {name: _json(given[name]).decode() for name in _JSON_FIELDS}
    given |= {"owner": _owner(corpus.owner), "submitted_at": corpus.created_at, "manifest": _packed(corpus.manifest)}
    return values(given)


def corpus_of(item: Mapping[str, Any]) -> Corpus:
    """A corpus' item in DynamoDB's own JSON as a corpus; bytes may be as a stream delivers them, in Base64."""
    given = plain_values(item, Corpus.__struct_fields__) | {"id": item["pk"]["S"].removeprefix("corpus#")}
    given |= {name: msgspec.json.decode(given[name], type=kind) for name, kind in _JSON_FIELDS.items()}
    given |= {"owner": _plain_owner(given["owner"]), "created_at": int(item["submitted_at"]["N"])}
    packed = given["manifest"]
    packed = base64.b64decode(packed) if isinstance(packed, str) else packed
    given["manifest"] = msgspec.json.decode(zlib.decompress(packed), type=Manifest)
    return Corpus(**given)


def compaction_key(corpus_id: str, changes: int) -> str:
    """The idempotency key of the job that takes in a corpus' changes."""
    return own_key("compaction", corpus_id, changes)


def fitting(documents: Sequence[Document]) -> Iterator[Sequence[Document]]:
    """The documents in batches that an item can hold."""
    if len(documents) == 1 or len(_batch(documents)) <= _ITEM_MOST:
        yield documents
        return
    half = len(documents) // 2
    yield from fitting(documents[:half])
    yield from fitting(documents[half:])


def _batch(documents: Sequence[Document]) -> bytes:
    return zlib.compress(_json(documents), 6)


def _documents(item: Mapping[str, Any]) -> list[Document]:
    return msgspec.json.decode(zlib.decompress(item["data"]["B"]), type=list[Document])


def _packed(manifest: Manifest) -> bytes:
    return zlib.compress(_json(manifest), 6)


def _owner(owner: str) -> str:
    """In the owner index corpora stand apart from jobs."""
    return f"corpora:{owner}"


def _plain_owner(owner: str) -> str:
    return owner.partition(":")[2]


def _place(item: Mapping[str, Any]) -> Place:
    """Where a key's item says that its document is."""
    return Place(int(item["batch"]["N"]), int(item["index"]["N"]))


def _still_at(place: Place | None) -> dict[str, Any]:
    """The condition of a write, that a key's document is still there, or that the key has none."""
    if place is None:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "ConditionExpression": "#batch = :batch AND #index = :index",
        "ExpressionAttributeNames": {"#batch": "batch", "#index": "index"},
        "ExpressionAttributeValues": values({":batch": place.batch, ":index": place.at}),
    }


def _key(corpus_id: str, sk: str) -> dict[str, Any]:
    return key(f"corpus#{corpus_id}", sk)


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]
