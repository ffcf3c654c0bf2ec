"""The client: submit, wait, and read what was counted; a corpus: many documents counted as one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, Self, TypedDict, Unpack

from . import sources
from .errors import JobFailed, Refused, StillRunning, WordcountsError
from .many import Counts, Progress, count_many
from .models import (
    Case,
    Collocate,
    Context,
    CorpusContext,
    CorpusPhrase,
    CorpusWord,
    Document,
    Job,
    Keyword,
    Phrase,
    Sitemap,
    State,
    StopWords,
    Word,
)
from .rows import Rows
from .sources import Reading, Source
from .transport import LONGEST_WAIT, Transport

DEFAULT_URL = "http://127.0.0.1:8000"


class Options(TypedDict, total=False):
    """How a text is read: the options of a submission."""

    select: str  # CSS selector: count only inside
    ignore: str  # CSS selector: leave out
    language: str  # such as en or pt-BR
    content: Literal["all", "main"]
    words: Literal["unicode", "nltk"]
    numbers: Literal["drop", "keep"]
    keep_text: bool


class Client:
    """The service at ``url`` (else ``WORDCOUNTS_URL``, else this machine's) with ``token`` (else ``WORDCOUNTS_TOKEN``).

    A request is repeated up to ``retries`` times where that can help; submissions carry an idempotency key, so that
    nothing is counted twice. ``at_once`` is how many texts ``count_many`` has under way. Threads may share a client.
    """

    def __init__(self, url: str | None = None, token: str | None = None, *, retries: int = 4, at_once: int = 8) -> None:
        address = url or os.environ.get("WORDCOUNTS_URL") or DEFAULT_URL
        secret = (token or os.environ.get("WORDCOUNTS_TOKEN") or "").strip()
        self.at_once = at_once
        self.transport = Transport(address, secret, retries=retries, connections=max(at_once, 1))

    @property
    def url(self) -> str:
        """The service's address, with a slash at its end."""
        return self.transport.address

    def close(self) -> None:
        """Close its connections."""
        self.transport.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<wordcounts.Client {self.url}>"

    # --- jobs ---

    def submit(
        self,
        source: Source | None = None,
        *,
        text: str | None = None,
        html: str | None = None,
        key: str | None = None,
        wait: float = 0,
        **options: Unpack[Options],
    ) -> Job:
        """Submit an address or a file (``source``), a ``text`` or an ``html`` document; the job, maybe ended.

        The same ``key`` (1 to 255 printable ASCII characters) with the same submission gives the same job. The service
        answers when the job has ended, or after ``wait`` seconds (20 at most).
        """
        return self.submit_fields({**_submission(source, text, html), **options}, key=key, wait=wait)

    def submit_fields(self, fields: Mapping[str, Any], *, key: str | None = None, wait: float = LONGEST_WAIT) -> Job:
        """Submit the fields of a submission as the API takes them; those that are None are left out."""
        sent = {name: value for name, value in fields.items() if value is not None}
        return self._job("POST", "jobs", json=sent, headers={"Idempotency-Key": key or os.urandom(16).hex()}, wait=wait)

    def count(
        self,
        source: Source | None = None,
        *,
        text: str | None = None,
        html: str | None = None,
        key: str | None = None,
        timeout: float = 300,
        changed: Callable[[Job], None] | None = None,
        **options: Unpack[Options],
    ) -> Job:
        """Submit and wait: the job that has succeeded. ``JobFailed`` says why not, ``StillRunning`` that it goes on."""
        job = self.submit(source, text=text, html=html, key=key, wait=min(timeout, LONGEST_WAIT), **options)
        return self.wait(job, timeout=timeout, changed=changed)

    def count_many(
        self,
        sources: Iterable[Source],
        *,
        progress: Progress | None = None,
        timeout: float = 300,
        **options: Unpack[Options],
    ) -> Counts:
        """Count addresses, files, folders and lists, ``at_once`` at a time, into one table.

        ``progress`` is told of each that ended: how many have, how many there are, and which it was. One that cannot be
        counted does not stop the others: see ``failed`` of what is returned.
        """
        return count_many(self, sources, progress=progress, timeout=timeout, options=options)

    def get(self, job_id: str, *, wait: float = 0) -> Job:
        """The job as it is, or as soon as it has ended, ``wait`` seconds (20 at most) from now at the latest."""
        return self._job("GET", f"jobs/{job_id}", wait=wait)

    def wait(self, job: Job | str, *, timeout: float = 300, changed: Callable[[Job], None] | None = None) -> Job:
        """The job once it has succeeded; ``changed`` is told of each new version."""
        until = time.monotonic() + timeout
        found = self.get(job) if isinstance(job, str) else job
        while not found.ended:
            left = until - time.monotonic()
            if left <= 0:
                raise StillRunning(found, timeout)
            asked, seen = time.monotonic(), found.version
            found = self.get(found.id, wait=min(left, LONGEST_WAIT))
            if changed is not None and found.version != seen:
                changed(found)
            if not found.ended and time.monotonic() - asked < 0.5:
                time.sleep(0.5)  # the service holds nobody back now
        if found.state != "succeeded":
            raise JobFailed(found)
        return found

    def jobs(self, state: State | None = None) -> Iterator[Job]:
        """Your jobs, newest first."""
        return (Job.from_dict(one, _client=self) for one in self.transport.listed("jobs", limit=100, state=state))

    def cancel(self, job: Job | str) -> Job:
        """Cancel a job; ``Refused`` of type job-ended when it is too late."""
        try:
            return self._job("POST", f"jobs/{_id(job)}/cancel")
        except Refused as refused:
            # An earlier try may have canceled it, and its answer was lost.
            if refused.type != "job-ended" or (found := self.get(_id(job))).state != "canceled":
                raise
            return found

    def erase(self, job: Job | str) -> None:
        """Erase a job with its words, if it is still there."""
        try:
            self.transport.request("DELETE", f"jobs/{_id(job)}")
        except Refused as refused:
            if refused.type != "gone":  # which it is, too, where the answer of an earlier try was lost
                raise

    # --- what was counted ---

    def words(
        self,
        job: Job | str,
        *,
        stop_words: StopWords = "exclude",
        case: Case = "fold",
        limit: int | None = None,
        **query: str | int,
    ) -> Rows[Word]:
        """Words, frequent first; besides ``stop_add``, ``stop_remove``, ``prefix``, ``min_count``, ``min_length``."""
        asked = {"stop_words": stop_words, "case": case, **query}
        return Rows(self.transport.rows, f"jobs/{_id(job)}/words", Word, asked, limit=limit, page=10_000)

    def contexts(
        self,
        job: Job | str,
        word: str | None = None,
        *,
        phrase: str | None = None,
        limit: int | None = None,
        **query: str | int,
    ) -> Rows[Context]:
        """Where a ``word`` or a ``phrase`` occurs; besides ``window``, ``unit`` (words, sentence, characters), ``sort``
        (place, left, right) and ``case``."""
        asked = {**word_or_phrase(word, phrase), **query}
        return Rows(self.transport.rows, f"jobs/{_id(job)}/contexts", Context, asked, limit=limit)

    def phrases(self, job: Job | str, *, n: int = 2, limit: int | None = None, **query: str | int) -> Rows[Phrase]:
        """Phrases of ``n`` words (2 to 5), the strongest first; besides ``min_count``, ``measure`` (logdice, npmi,
        count, g2) and ``stop_words`` (edges, any, include)."""
        return Rows(self.transport.rows, f"jobs/{_id(job)}/phrases", Phrase, {"n": n, **query}, limit=limit)

    def keywords(
        self, job: Job | str, against: Job | str, *, limit: int | None = None, **query: str | float
    ) -> Rows[Keyword]:
        """Words that a job has relatively more (scores above 0) or less often than the job ``against``; besides
        ``alpha``, ``sort`` (lrc, log_ratio, g2), ``sign`` (both, positive, negative), ``stop_words``, ``prefix``."""
        asked = {**query, "against": _id(against)}
        return Rows(self.transport.rows, f"jobs/{_id(job)}/keywords", Keyword, asked, limit=limit)

    def text(self, job: Job | str) -> str:
        """The text that was counted; ``Refused`` of type text-not-kept where it was not kept."""
        parts, target = [], f"jobs/{_id(job)}/text"
        while True:
            answer = self.transport.request("GET", target)
            parts.append(answer.content.decode())
            if "next" not in answer.links:
                return "".join(parts)
            target = answer.links["next"]["url"]

    # --- corpora ---

    def create_corpus(
        self, name: str = "", *, metadata: Iterable[str] = (), key: str | None = None, **options: Unpack[Options]
    ) -> Corpus:
        """A new corpus: many documents counted as one. ``options`` are those of its documents; a ``name`` need not be
        unique."""
        sent = {"name": name, "metadata": list(metadata), "options": dict(options)}
        headers = {"Idempotency-Key": key or os.urandom(16).hex()}
        return Corpus(self, self.transport.json("POST", "corpora", json=sent, headers=headers))

    def corpora(self) -> Iterator[Corpus]:
        """Your corpora, newest first."""
        return (Corpus(self, one) for one in self.transport.listed("corpora", limit=100))

    def corpus(self, corpus: str) -> Corpus:
        """The corpus of an id, or the one of a name."""
        if is_id(corpus):
            return Corpus(self, self.transport.json("GET", f"corpora/{corpus}"))
        found = [one for one in self.corpora() if one.name == corpus and one.state != "erasing"]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(one.id for one in found)
            raise WordcountsError(
                f"{len(found)} corpora are named {corpus!r}.", type="ambiguous", advice=f"Give an id: {ids}."
            )
        raise WordcountsError(
            f"There is no corpus {corpus!r}.",
            type="not-found",
            advice=f"`wordcounts corpus list` shows yours; `wordcounts corpus create {corpus}` makes it.",
        )

    # --- the service ---

    def health(self) -> dict[str, Any]:
        """What the service says of itself: ``status`` (ok, degraded, unavailable) and ``checks``."""
        return self.transport.health()

    def _job(self, method: str, target: str, **arguments: Any) -> Job:
        return Job.from_dict(self.transport.json(method, target, **arguments), _client=self)


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
        for batch in sources.batches(sources.documents(documents, refused, reading or sources.AS_IT_IS)):
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


def is_id(text: str) -> bool:
    """Whether a text is a job's or a corpus' id."""
    return len(text) == 32 and not text.strip("0123456789abcdef")


def word_or_phrase(word: str | None, phrase: str | None) -> dict[str, str]:
    """The parameter of contexts: a word, or a phrase where there are several."""
    if (word is None) == (phrase is None):
        raise ValueError("give either a word or a phrase")
    if phrase is None and word is not None and " " not in word.strip():
        return {"word": word.strip()}
    return {"phrase": (phrase or word or "").strip()}


def _id(job: Job | str) -> str:
    return job if isinstance(job, str) else job.id


def _submission(source: Source | None, text: str | None, html: str | None) -> Mapping[str, Any]:
    if [source, text, html].count(None) != 2:
        raise ValueError("give one of: an address or a file, text=, html=")
    if source is None:
        return {"text": text} if html is None else {"html": html}

    return sources.single(source).load()
