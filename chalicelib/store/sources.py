"""Sources of corpora in DynamoDB: what leads to documents, and how far it was followed. And the answers to questions.

An item ``source#<time>-<id>`` of the corpus' partition for each source, whose state is that of its job; and an item
``query#<job>`` for each answer, which is erased with the corpus.
"""

import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from chalicelib.store.corpora import Corpus
from chalicelib.store.job import key, values
from chalicelib.store.table import ConditionFailed, Table, under

ERRORS_MOST = 20  # that a source keeps
_json = msgspec.json.Encoder().encode


class Progress(msgspec.Struct, kw_only=True):
    """How far a source was followed. ``pending`` has files that are still to be read, with how often each was tried."""

    pending: list[tuple[str, int]] = []
    files: int = 0  # that were read
    failed_files: int = 0
    listed: int = 0  # addresses in them
    excluded: int = 0  # by include and exclude
    disallowed: int = 0  # by robots.txt
    refused: int = 0  # no usable address, or one of another host
    over_limit: int = 0
    added: int = 0
    robots: bool = False  # whether the host's robots.txt was read; its rules are in the object store
    addresses: int = 0  # of the file that is taken in; they are in the object store
    file: str = "addresses"  # there in the object of this name: of two workers that follow a source each writes its own
    known: list[str] = []  # hashes of all files' addresses that were met, so that none is read twice
    taken: int = 0  # how many of these were added
    errors: list[dict[str, str]] = []  # of files and documents, the first ones


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """How far a sitemap was followed that leads to documents. ``id`` is that of its job, which has what was asked."""

    id: str
    created_at: int  # with its job
    version: int = 1
    progress: Progress = msgspec.field(default_factory=Progress)

    @property
    def sk(self) -> str:
        return f"source#{self.created_at:013}-{self.id}"


class Sources(Table):
    """The sources of corpora. Methods raise ``Unavailable`` when DynamoDB cannot serve them now."""

    def create_source(self, corpus: Corpus, source: Source) -> Source:
        """Put a new source; returns it, or the one that the same request has put meanwhile."""
        try:
            self._call("put_item", Item=_item(corpus, source), ConditionExpression="attribute_not_exists(pk)")
        except ConditionFailed:
            return self.source(corpus.id, source.id) or source
        return source

    def save_source(self, corpus: Corpus, source: Source) -> Source | None:
        """Replace a source as it was read; the new one, or None where another worker did."""
        made = msgspec.structs.replace(source, version=source.version + 1)
        try:
            self._call(
                "put_item",
                Item=_item(corpus, made),
                ConditionExpression="#version = :seen",
                ExpressionAttributeNames={"#version": "version"},
                ExpressionAttributeValues=values({":seen": source.version}),
            )
        except ConditionFailed:
            return None
        return made

    def sources(self, corpus_id: str) -> list[Source]:
        """A corpus' sources, oldest first."""
        return [
            msgspec.json.decode(zlib.decompress(item["data"]["B"]), type=Source)
            for item in self._within(under(f"corpus#{corpus_id}", "source#"))
        ]

    def note_query(self, corpus: Corpus, job_id: str) -> None:
        """Note a job that answers a question about a corpus, before its answer is there."""
        self._call("put_item", Item={**_query(corpus, job_id), **values({"expires_at": corpus.expires_at})})

    def queries(self, corpus: Corpus) -> Iterator[str]:
        """The jobs that were noted."""
        return (item["sk"]["S"].removeprefix("query#") for item in self._within(under(f"corpus#{corpus.id}", "query#")))

    def drop_query(self, corpus: Corpus, job_id: str) -> None:
        """Forget a job that was erased."""
        self._call("delete_item", Key=_query(corpus, job_id))

    def source(self, corpus_id: str, source_id: str) -> Source | None:
        """One of them."""
        return next((one for one in self.sources(corpus_id) if one.id == source_id), None)


def _query(corpus: Corpus, job_id: str) -> dict[str, Any]:
    return key(f"corpus#{corpus.id}", f"query#{job_id}")


def _item(corpus: Corpus, source: Source) -> dict[str, Any]:
    packed = {"data": zlib.compress(_json(source)), "version": source.version, "expires_at": corpus.expires_at}
    return {**key(f"corpus#{corpus.id}", source.sk), **values(packed)}
