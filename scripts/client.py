"""A client of Wordcounts in one file, to copy into a script of your own; it needs requests and nothing else.

    from client import Wordcounts

    service = Wordcounts("http://127.0.0.1:8000")
    job = service.count(url="https://example.com/")
    for row in service.words(job["id"], limit=10):
        print(row["count"], row["word"])

Each submission carries an idempotency key, so that every call may be repeated, and is, when the connection fails or
the service asks for patience. Jobs and words are dictionaries as the API answers them.
"""

import json
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

Job = dict[str, Any]

ENDED = ("succeeded", "failed", "canceled")
LONGEST_WAIT = 20  # seconds that the service holds a request back
CORPUS_DOCUMENTS, CORPUS_BYTES = 1_000, 4_000_000  # of one request
# No connection, no answer in time, or one that ended in the middle.
_MAY_PASS = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class WordcountsError(Exception):
    """What keeps the service from doing as asked."""


class Unreachable(WordcountsError):
    """The service did not answer, however often it was asked."""


class Problem(WordcountsError):
    """The service refused: ``type`` is the problem's short name, ``status`` the HTTP status, ``body`` all it said."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body.get("detail") or body.get("title") or f"the service answered {status}")
        self.status = status
        self.type = str(body.get("type", "")).rpartition(":")[2]
        self.errors: list[dict[str, str]] = body.get("errors", [])
        self.body = body


class JobFailed(WordcountsError):
    """The job ended without words; ``job`` says why."""

    def __init__(self, job: Job) -> None:
        error = job["error"] or {"type": "job-canceled", "title": "The job was canceled", "detail": ""}
        super().__init__(": ".join(filter(None, (error["title"], error["detail"]))))
        self.type = error["type"]
        self.job = job


class Wordcounts:
    """The service at an address (with its stage, if it has one). ``retries`` counts repeated tries of one request."""

    def __init__(self, address: str = "http://127.0.0.1:8000", token: str | None = None, *, retries: int = 5) -> None:
        self.address = address.rstrip("/") + "/"
        self.retries = retries
        self.session = requests.Session()
        if urlsplit(self.address).hostname in ("127.0.0.1", "localhost", "::1"):
            self.session.trust_env = False  # no proxy stands before this machine
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def submit(self, *, key: str | None = None, wait: float = 0, **submission: str | None) -> Job:
        """Submit ``url``, ``text`` or ``html``, with ``select``, ``ignore``, ``language``; the job, maybe ended.

        The same ``key`` (up to 255 characters) with the same submission gives the same job, for weeks.
        """
        headers = {"Idempotency-Key": key or uuid.uuid4().hex, **_prefer(wait)}
        given = {name: value for name, value in submission.items() if value is not None}
        return self._read("POST", "jobs", json=given, headers=headers)

    def job(self, job_id: str, *, wait: float = 0) -> Job:
        """The job as it is, or as soon as it has ended, ``wait`` seconds (20 at most) from now at the latest."""
        return self._read("GET", f"jobs/{job_id}", headers=_prefer(wait))

    def wait(self, job: Job, *, timeout: float | None = None, changed: Callable[[Job], None] | None = None) -> Job:
        """The job once it has ended, or as it is after ``timeout`` seconds; ``changed`` is told of each new version."""
        until = None if timeout is None else time.monotonic() + timeout
        while job["state"] not in ENDED:
            left = LONGEST_WAIT if until is None else until - time.monotonic()
            if left <= 0:
                break
            asked, seen = time.monotonic(), job["version"]
            job = self.job(job["id"], wait=min(left, LONGEST_WAIT))
            if changed is not None and job["version"] != seen:
                changed(job)
            if job["state"] not in ENDED and time.monotonic() - asked < 0.5:
                time.sleep(0.5)  # the service holds nobody back now
        return job

    def count(self, *, timeout: float | None = None, changed: Callable[[Job], None] | None = None, **given: Any) -> Job:
        """Submit and wait: the job that has succeeded. ``JobFailed`` when it failed, TimeoutError when it goes on."""
        job = self.wait(self.submit(**given), timeout=timeout, changed=changed)
        if job["state"] not in ENDED:
            raise TimeoutError(f"the job {job['id']} is {job['state']} after {timeout} s")
        if job["state"] != "succeeded":
            raise JobFailed(job)
        return job

    def words(self, job_id: str, *, limit: int | None = None, **query: str | int) -> Iterator[dict[str, Any]]:
        """Words with ``count``, ``share`` and ``stop_word``, most frequent first; all of them without ``limit``.

        ``query``: ``stop_words`` (exclude or include), ``stop_add``, ``stop_remove``, ``case`` (fold or keep),
        ``prefix``, ``min_count``, ``min_length``, ``offset``.
        """
        yield from self._rows(f"jobs/{job_id}/words", limit, query)

    def text(self, job_id: str) -> str:
        """The text that was counted; ``Problem`` of type text-not-kept where it was not kept."""
        parts, target = [], f"jobs/{job_id}/text"
        while True:
            answer = self._request("GET", target)
            parts.append(answer.content.decode())
            if "next" not in answer.links:
                return "".join(parts)
            target = answer.links["next"]["url"]

    def contexts(self, job_id: str, *, limit: int | None = None, **query: str | int) -> Iterator[dict[str, Any]]:
        """Where a ``word`` or a ``phrase`` occurs: ``before``, ``match``, ``after``, ``start``, ``end``, ``place``.

        ``query``: ``window``, ``unit`` (words, sentence or characters), ``sort`` (place, left or right), ``case``.
        """
        yield from self._rows(f"jobs/{job_id}/contexts", limit, query)

    def phrases(self, job_id: str, *, limit: int | None = None, **query: str | int) -> Iterator[dict[str, Any]]:
        """Phrases with ``count``, ``logdice``, ``g2`` and ``npmi``, the strongest first.

        ``query``: ``n`` (2 to 5), ``min_count``, ``measure``, ``stop_words`` (edges, any or include).
        """
        yield from self._rows(f"jobs/{job_id}/phrases", limit, query)

    def keywords(
        self, job_id: str, against: str, *, limit: int | None = None, **query: str | float
    ) -> Iterator[dict[str, Any]]:
        """Words that a job has relatively more (scores above 0) or less often than the job ``against``.

        ``query``: ``alpha``, ``sort`` (lrc, log_ratio or g2), ``sign``, ``stop_words``, ``prefix``.
        """
        yield from self._rows(f"jobs/{job_id}/keywords", limit, {**query, "against": against})

    def _rows(
        self, target: str | None, limit: int | None, query: Mapping[str, Any], *, most: int = 10_000
    ) -> Iterator[dict[str, Any]]:
        name = str(target).rpartition("/")[2]
        params: dict[str, Any] | None = {**query, "limit": min(limit or most, most)}
        given = 0
        while target and given != limit:
            page = self._read("GET", target, params=params, headers=_prefer(LONGEST_WAIT))
            if name not in page:
                continue  # the question is still being answered: the same request asks for the same answer
            for row in page[name]:
                yield row
                given += 1
                if given == limit:
                    return
            target, params = page["next"], None

    def csv(self, job_id: str, **query: str | int) -> Iterator[bytes]:
        """All words as CSV, in pieces with one header in front; the service guards formulas."""
        target, params, header = f"jobs/{job_id}/words", dict(query), True
        while True:
            answer = self._request("GET", target, params=params, headers={"Accept": "text/csv"})
            yield answer.content if header else answer.content.partition(b"\r\n")[2]
            if "next" not in answer.links:
                return
            target, params, header = answer.links["next"]["url"], {}, False

    def corpus(self, corpus_id: str | None = None, *, key: str | None = None, **given: Any) -> "Corpus":
        """The corpus of an id, or a new one with ``name``, ``options`` and the names of its ``metadata``."""
        if corpus_id is None:
            headers = {"Idempotency-Key": key or uuid.uuid4().hex}
            corpus_id = self._read("POST", "corpora", json=given, headers=headers)["id"]
        return Corpus(self, corpus_id)

    def jobs(self, state: str | None = None) -> Iterator[Job]:
        """Your jobs, newest first."""
        target: str | None = "jobs"
        params = {"state": state} if state else None
        while target:
            page = self._read("GET", target, params=params)
            yield from page["jobs"]
            target, params = page["next"], None

    def cancel(self, job_id: str) -> Job:
        """Cancel a job; ``Problem`` of type job-ended when it is too late."""
        try:
            return self._read("POST", f"jobs/{job_id}/cancel")
        except Problem as problem:
            # An earlier try may have canceled it, and its answer was lost.
            if problem.type != "job-ended" or (job := self.job(job_id))["state"] != "canceled":
                raise
            return job

    def erase(self, job_id: str) -> None:
        """Erase a job with its words, if it is still there."""
        try:
            self._request("DELETE", f"jobs/{job_id}")
        except Problem as problem:
            if problem.type != "gone":  # which it is, too, where the answer of an earlier try was lost
                raise

    def health(self) -> dict[str, Any]:
        """What the service says of itself; asked once."""
        answer = self.session.get(urljoin(self.address, "health"), timeout=10)
        return dict(answer.json())

    def _read(self, method: str, target: str, **arguments: Any) -> dict[str, Any]:
        found = _body(self._request(method, target, **arguments))
        if not found:
            raise Unreachable(f"{self.address} is another service: its answer is no JSON")
        return found

    def _request(self, method: str, target: str, **arguments: Any) -> requests.Response:
        """One request, repeated where that can help: ``Problem`` or ``Unreachable`` where it does not."""
        url = urljoin(self.address, target)  # a link of the service begins with its stage, and a slash
        for tries in range(self.retries + 1):
            last = tries == self.retries
            try:
                answer = self.session.request(method, url, timeout=(5, LONGEST_WAIT + 15), **arguments)
            except requests.RequestException as error:
                if last or not isinstance(error, _MAY_PASS):
                    raise Unreachable(f"{self.address} does not answer: {type(error).__name__}") from error
                time.sleep(_pause(tries))
                continue
            if answer.ok:
                return answer
            if last or answer.status_code not in (429, 500, 502, 503, 504):
                raise Problem(answer.status_code, _body(answer))
            time.sleep(max(_pause(tries), _seconds(answer.headers.get("Retry-After"))))
        raise AssertionError("the last try returns or raises")


class Corpus:
    """Many documents counted as one. Rows are read like a job's; those of contexts have their ``document`` too."""

    def __init__(self, service: Wordcounts, corpus_id: str) -> None:
        self._service, self.id, self._path = service, corpus_id, f"corpora/{corpus_id}"

    def state(self) -> dict[str, Any]:
        """The corpus as it is: ``state``, ``documents``, ``totals``, ``complete``."""
        return self._service._read("GET", self._path)

    def add(
        self, documents: Iterable[Mapping[str, Any]], *, progress: Callable[[int], None] | None = None
    ) -> list[dict[str, Any]]:
        """Add documents (``url``, ``text`` or ``html``; ``key``; ``metadata``); those that were refused, with why.

        ``progress`` is told after each request how many were sent. The same key again replaces a document, so that
        the whole call may be repeated.
        """
        refused: list[dict[str, Any]] = []
        sent = 0
        for lines in _requests_of(documents):
            answer = self._service._read(
                "POST",
                f"{self._path}/documents",
                data=b"\n".join(lines),
                headers={"Content-Type": "application/x-ndjson"},
            )
            refused += [{**one, "index": one["index"] + sent} for one in answer["refused"]]
            sent += len(lines)
            if progress is not None:
                progress(sent)
        return refused

    def add_sitemap(self, sitemap: str, *, key: str | None = None, **given: Any) -> dict[str, Any]:
        """Have the pages of a sitemap added by the service, with ``limit``, ``include`` and ``exclude``: the source."""
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return self._service._read("POST", f"{self._path}/sources", json={"sitemap": sitemap, **given}, headers=headers)

    def sources(self) -> list[dict[str, Any]]:
        """The sitemaps that were given, with their states and errors."""
        return list(self._service._read("GET", f"{self._path}/sources")["sources"])

    def wait(
        self, *, timeout: float | None = None, changed: Callable[[dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """The corpus once it is complete, or as it is after ``timeout`` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        pause, found = 0.2, self.state()
        while not found["complete"] and (until is None or time.monotonic() < until):
            if changed is not None:
                changed(found)
            time.sleep(pause)
            pause, found = min(pause * 1.3, 5.0), self.state()
        return found

    def words(self, *, limit: int | None = None, **query: str | int) -> Iterator[dict[str, Any]]:
        """Words with ``count``, ``documents``, ``dispersion``, ``d_kl``, ``tfidf``, the most frequent first."""
        yield from self._service._rows(f"{self._path}/words", limit, query)

    def contexts(self, *, limit: int | None = None, **query: str | int) -> Iterator[dict[str, Any]]:
        """Where a ``word`` or a ``phrase`` occurs, with the document."""
        yield from self._service._rows(f"{self._path}/contexts", limit, query, most=500)

    def keywords(self, against: str, *, limit: int | None = None, **query: str | float) -> Iterator[dict[str, Any]]:
        """Words that the corpus has relatively more or less often than ``corpus:ID`` or ``job:ID``."""
        yield from self._service._rows(f"{self._path}/keywords", limit, {**query, "against": against})

    def erase(self) -> None:
        """Erase the corpus with its documents."""
        self._service._request("DELETE", self._path)


def _requests_of(documents: Iterable[Mapping[str, Any]]) -> Iterator[list[bytes]]:
    """The documents as lines, as many together as one request takes."""
    lines: list[bytes] = []
    size = 0
    for document in documents:
        line = json.dumps(document).encode()
        if lines and (len(lines) == CORPUS_DOCUMENTS or size + len(line) > CORPUS_BYTES):
            yield lines
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield lines


def _prefer(wait: float) -> dict[str, str]:
    return {"Prefer": f"wait={max(1, round(wait))}"} if wait else {}


def _pause(tries: int) -> float:
    return min(0.2 * 2.0**tries, 5.0) * random.uniform(0.5, 1.5)  # noqa: S311 - it spreads tries, it hides nothing


def _seconds(retry_after: str | None) -> float:
    return min(float(retry_after), 60.0) if retry_after and retry_after.isdigit() else 0.0


def _body(answer: requests.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
