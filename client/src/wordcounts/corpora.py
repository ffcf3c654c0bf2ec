"""A corpus: many documents counted as one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .errors import CannotRead, Refused, WordcountsError
from .models import Case, Collocate, CorpusContext, CorpusPhrase, CorpusWord, Document, Job, Keyword, Sitemap, StopWords
from .rows import Rows

if TYPE_CHECKING:
    from .client import Client
    from .sources import Reading, Source

# Of one request: what the service takes. Sent together, since a corpus takes 10,000 requests.
DOCUMENTS, BYTES = 1_000, 4_000_000


class Corpus:
    """A corpus as it was when it was read; ``refresh`` reads it again. ``state`` is empty, counting, ready or erasing;
    ``complete`` says that everything that was added is counted."""

    def __init__(self, client: Client, given: Mapping[str, Any]) -> None:
        self._client = client
        self._take(given)

    def _take(self, given: Mapping[str, Any]) -> None:
        self.raw = dict(given)
        self.id: str = given["id"]
        self.name: str = given["name"]
        self.state: str = given["state"]
        self.complete: bool = given["complete"]
        self.documents: dict[str, int] = dict(given["documents"])
        self.totals: dict[str, int] = dict(given["totals"])

    def to_dict(self) -> dict[str, Any]:
        """The corpus as the API has it."""
        return dict(self.raw)

    def __repr__(self) -> str:
        return f"<Corpus {self.name or self.id}: {self.documents['total']} documents, {self.state}>"

    def refresh(self) -> Corpus:
        """Read again how it is."""
        self._take(self._client.transport.json("GET", self._path()))
        return self

    def add(
        self,
        documents: Iterable[Mapping[str, Any] | Source],
        *,
        progress: Callable[[int], None] | None = None,
        reading: Reading | None = None,
    ) -> list[dict[str, Any]]:
        """Add documents: addresses, files, folders and lists, or mappings with ``url``, ``text`` or ``html``, ``key``
        and ``metadata``. Returns those that were refused, each with ``key`` and ``errors``.

        ``progress`` is told how many were sent. The same key again replaces a document, so that the whole call may be
        repeated.
        """
        refused: list[dict[str, Any]] = []
        sent = 0
        for batch in _batches(_documents(documents, refused, reading)):
            answer = self._client.transport.json(
                "POST",
                self._path("documents"),
                data=b"\n".join(line for _, line in batch),
                headers={"Content-Type": "application/x-ndjson"},
            )
            refused += [{"key": batch[one["index"]][0], "errors": one["errors"]} for one in answer["refused"]]
            sent += len(batch)
            if progress is not None:
                progress(sent)
        return refused

    def add_sitemap(
        self,
        sitemap: str,
        *,
        limit: int | None = None,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        key: str | None = None,
    ) -> Sitemap:
        """Have the service add the pages of a sitemap, ``limit`` of them at most; ``include`` and ``exclude`` are
        beginnings of paths as robots.txt has them, such as ``/blog/*``."""
        sent: dict[str, Any] = {"sitemap": sitemap, "include": list(include), "exclude": list(exclude)}
        if limit is not None:
            sent["limit"] = limit
        headers = {"Idempotency-Key": key or os.urandom(16).hex()}
        answer = self._client.transport.json("POST", self._path("sources"), json=sent, headers=headers)
        return Sitemap.from_dict(answer)

    def sitemaps(self) -> list[Sitemap]:
        """The sitemaps that were given, and how far each was followed."""
        found = self._client.transport.json("GET", self._path("sources"))
        return [Sitemap.from_dict(one) for one in found["sources"]]

    def wait(self, *, timeout: float = 600, changed: Callable[[Corpus], None] | None = None) -> Corpus:
        """The corpus once everything is counted."""
        until, pause = time.monotonic() + timeout, 0.2
        while not self.refresh().complete:
            if time.monotonic() > until:
                raise WordcountsError(
                    f"The corpus is not complete after {timeout:g} s.",
                    type="still-running",
                    advice="It goes on: wait longer, or ask later.",
                )
            if changed is not None:
                changed(self)
            time.sleep(pause)
            pause = min(pause * 1.3, 5.0)
        return self

    def words(
        self, *, stop_words: StopWords = "exclude", case: Case = "fold", limit: int | None = None, **query: str | int
    ) -> Rows[CorpusWord]:
        """Words, most frequent first; besides ``sort`` (count, documents, tfidf), ``stop_add``, ``stop_remove``,
        ``prefix``, ``min_count``, ``min_length``."""
        asked = {"stop_words": stop_words, "case": case, **query}
        return self._rows("words", CorpusWord, asked, limit, page=10_000)

    def contexts(
        self, word: str | None = None, *, phrase: str | None = None, limit: int | None = None, **query: str | int
    ) -> Rows[CorpusContext]:
        """Where a word or a phrase occurs, with the document; besides ``window``, ``unit``, ``sort`` and ``case``."""
        from .client import word_or_phrase

        return self._rows("contexts", CorpusContext, {**word_or_phrase(word, phrase), **query}, limit, page=500)

    def phrases(self, *, n: int = 2, limit: int | None = None, **query: str | int) -> Rows[CorpusPhrase]:
        """Phrases of ``n`` words; besides ``min_count``, ``measure`` and ``stop_words``."""
        return self._rows("phrases", CorpusPhrase, {"n": n, **query}, limit)

    def collocates(self, word: str, *, limit: int | None = None, **query: str | int) -> Rows[Collocate]:
        """Words near a word; besides ``window``, ``min_count`` and ``stop_words``."""
        return self._rows("collocates", Collocate, {"word": word, **query}, limit)

    def keywords(self, against: Corpus | Job | str, *, limit: int | None = None, **query: str | float) -> Rows[Keyword]:
        """Words that it has relatively more or less often than another corpus or a job (or ``corpus:ID``, ``job:ID``);
        besides ``alpha``, ``sort``, ``sign`` and ``stop_words``."""
        if isinstance(against, Corpus):
            against = f"corpus:{against.id}"
        elif isinstance(against, Job):
            against = f"job:{against.id}"
        return self._rows("keywords", Keyword, {"against": against, **query}, limit)

    def read_documents(self, state: str | None = None) -> Iterator[Document]:
        """Its documents with their jobs' states and errors."""
        found = self._client.transport.listed(self._path("documents"), limit=1000, state=state)
        return map(Document.from_dict, found)

    def remove(self, key: str) -> None:
        """Take a document out and erase it."""
        try:
            self._client.transport.request("DELETE", self._path("documents"), params={"key": key})
        except Refused as refused:
            if refused.type != "gone":
                raise

    def erase(self) -> None:
        """Erase the corpus with its documents."""
        self._client.transport.request("DELETE", self._path())

    def _path(self, *parts: str) -> str:
        return "/".join(("corpora", self.id, *parts))

    def _rows(
        self, name: str, kind: type[Any], query: Mapping[str, Any], limit: int | None, page: int = 1000
    ) -> Rows[Any]:
        return Rows(self._client.transport.rows, self._path(name), kind, query, limit=limit, page=page)


def _documents(
    given: Iterable[Mapping[str, Any] | Source], refused: list[dict[str, Any]], reading: Reading | None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and fields of each; what cannot be read is refused here."""
    from .sources import AS_IT_IS, expand

    for one in given:
        if isinstance(one, Mapping):
            yield str(one.get("key") or one.get("url") or ""), one
            continue
        for source in expand([one], reading or AS_IT_IS):
            try:
                fields = dict(source.load())
            except CannotRead as error:
                refused.append({"key": source.name, "errors": [{"detail": str(error)}]})
                continue
            yield source.name, fields if "url" in fields else {"key": source.name[-300:], **fields}


def _batches(documents: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[list[tuple[str, bytes]]]:
    """The documents as lines, as many together as one request takes."""
    batch: list[tuple[str, bytes]] = []
    size = 0
    for name, document in documents:
        line = json.dumps(document).encode()
        if batch and (len(batch) == DOCUMENTS or size + len(line) > BYTES):
            yield batch
            batch, size = [], 0
        batch.append((name, line))
        size += len(line) + 1
    if batch:
        yield batch
