"""The client: submit, wait, and read what was counted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack

from .corpora import Corpus
from .errors import JobFailed, Refused, StillRunning, WordcountsError
from .models import Case, Context, Job, Keyword, Phrase, State, StopWords, Word
from .rows import Rows
from .transport import LONGEST_WAIT, Transport

if TYPE_CHECKING:
    from .many import Counts, Progress
    from .sources import Source

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
        from .many import count_many

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
    from .sources import single

    return single(source).load()
