"""Follow a corpus' source: read its sitemap, and add the pages that it leads to. A worker's job of kind ``source``.

One step reads one file, or adds what was read; each ends with a write of the progress, from which the next goes on.
What a step had begun when its worker died is done again, and changes nothing: a document's key is its address. The
sitemap's pages must be of its host, and its host's robots.txt must allow them.
"""

import hashlib
import random
import time
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from chalicelib import corpora, fetching, queue, urls
from chalicelib.aws import objects
from chalicelib.corpora import Corpus, Given
from chalicelib.errors import AttemptFailed, CorpusFull, ErrorKind, Gone, NoCorpus, Unavailable, problem_for
from chalicelib.fetch import robots, sitemaps
from chalicelib.store import records
from chalicelib.store.records import Job, Records
from chalicelib.store.sources import ERRORS_MOST, Progress, Source
from chalicelib.submissions import Submission

AGENT = "Wordcounts"
RUN_SECONDS = 15.0  # of one run, which then waits behind others' jobs; a fetch may take 20 more
SENT_BYTES = 20_000_000  # of a file as the site sends it
FILES_MOST = 500  # that a source reads
PENDING_BYTES = 300_000  # of their addresses: the source is one item of DynamoDB
TRIES = 3  # of a file
RETRY_AFTER_MOST = 600.0  # a server's Retry-After is honoured up to here, as for pages: other files wait for it too
AGAIN = 0.2  # seconds until the next run, where there is more to do
AWAY = 15.0  # and where a store does not serve

Gate = Callable[[int], AbstractContextManager[None]]  # held while so many bytes are parsed


class _Wait(Exception):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


def run(store: Records, job: Job, gate: Gate) -> float | None:
    """Follow a source for a while: None once all is done, else in how many seconds to go on; ``AttemptFailed``."""
    until = time.monotonic() + RUN_SECONDS
    try:
        corpus = corpora.get(job.options["corpus"], job.owner)
        if corpus.erasing:
            raise Gone
        source = store.source(corpus.id, job.id)
        if source is None:  # the request that made the job is about to write it, or is to be repeated
            raise _Wait(max(1.0, (store.now() - job.submitted_at) / 10_000))
        follower = _Follower(store, corpus, source, job, gate)
        while time.monotonic() < until:
            if not follower.step():
                return None
    except _Wait as wait:
        return wait.seconds
    except (Gone, NoCorpus):
        raise AttemptFailed(ErrorKind.CORPUS_GONE, "The corpus was erased or has expired.") from None
    except Unavailable:
        return AWAY
    except objects.ObjectError as error:
        if error.transient:
            return AWAY
        raise
    return AGAIN


class _Follower:
    def __init__(self, store: Records, corpus: Corpus, source: Source, job: Job, gate: Gate) -> None:
        self.store, self.corpus, self.source, self.job, self.gate = store, corpus, source, job, gate
        self.progress: Progress = source.progress
        self.asked = job.options
        self.sitemap = job.url or ""
        self.host = urls.host(self.sitemap)
        self.name = f"corpora/{corpus.id}/source-{source.id}"

    def step(self) -> bool:
        """One of the things that are to be done; whether there are more."""
        progress = self.progress
        before = progress.file
        if not progress.robots:
            self._put("robots", self._robots())
            progress.robots = True
        elif progress.taken < progress.addresses:
            self._add()
        elif progress.pending and progress.files + progress.failed_files < FILES_MOST and self._left():
            self._read()
        else:
            return self._end()
        self._save()
        if progress.file != before:
            objects.delete(f"{self.name}-{before}")
        return True

    def _end(self) -> bool:
        if not self.progress.files and self.progress.errors:
            error = self.progress.errors[0]
            raise AttemptFailed(error["type"], error["detail"], transient=False)
        for name in (self.progress.file, "robots"):
            objects.delete(f"{self.name}-{name}")
        return False

    def _left(self) -> int:
        return int(self.asked["limit"]) - self.progress.added

    def _save(self) -> None:
        made = self.store.save_source(self.corpus, self.source)
        if made is None:  # another worker follows it: this one's lease was over
            raise _Wait(AWAY)
        self.source = made

    # --- robots.txt ---

    def _robots(self) -> robots.Rules:
        """The host's rules. Where it has none, everything is allowed; where it cannot say, the source waits."""
        parts = urlsplit(self.sitemap)
        try:
            page = self._fetched(urlunsplit((parts.scheme, parts.netloc, "/robots.txt", "", "")), robots.MOST_BYTES)
        except fetching.FetchError as error:
            if error.status is not None and 400 <= error.status < 500 and error.status != 429:
                return robots.Rules()
            raise
        with self.gate(len(page.body)):
            rules = robots.read(page.body.decode("utf-8-sig", "replace"), AGENT)
        if rules is None:
            raise AttemptFailed(ErrorKind.TOO_LARGE, "The site's robots.txt has more rules than are read.")
        return rules

    # --- sitemaps ---

    def _read(self) -> None:
        """Read the next file: its further files come to those that are pending, its addresses are kept."""
        progress = self.progress
        url, tries = progress.pending.pop(0)
        try:
            page = self._fetched(url, SENT_BYTES)
            with self.gate(len(page.body)):
                pages, files = sitemaps.read(page.body)
        except AttemptFailed as error:
            if error.transient and tries + 1 < TRIES:
                progress.pending.append((url, tries + 1))
                self._save()
                pause = min(error.retry_after or 2.0**tries, RETRY_AFTER_MOST)
                raise _Wait(pause * random.uniform(1, 1.5)) from None  # noqa: S311
            progress.failed_files += 1
            self._note(url, error.kind.value, error.detail)
            return
        progress.files += 1
        self._further(files)
        found = self._wanted(pages)
        progress.over_limit += max(0, len(found) - self._left())
        found = found[: self._left()]
        progress.file = f"addresses-{records.new_token()}"
        self._put(progress.file, found)
        progress.addresses, progress.taken = len(found), 0

    def _further(self, files: list[str]) -> None:
        urls_there = [url for url, _ in self.progress.pending]
        known = dict.fromkeys([*self.progress.known, *map(_hash, [self.sitemap, *urls_there])])
        size = sum(map(len, urls_there))
        for text in files:
            url = self._usable(text)
            if url is None or _hash(url) in known:
                continue
            size += len(url)
            if len(known) > FILES_MOST or size > PENDING_BYTES:
                detail = f"The index names more sitemaps than the {FILES_MOST} that a source reads."
                self._note(self.sitemap, ErrorKind.TOO_LARGE.value, detail)
                break
            known[_hash(url)] = None
            self.progress.pending.append((url, 0))
        self.progress.known = [*known]

    def _wanted(self, pages: list[str]) -> list[str]:
        """The addresses that are to be added, each once, in their order."""
        progress, include, exclude = self.progress, self.asked["include"], self.asked["exclude"]
        rules = self._get("robots", robots.Rules)
        progress.listed += len(pages)
        found = dict.fromkeys(url for text in pages if (url := self._usable(text)) is not None)
        kept = []
        for url in found:
            path = robots.path_of(url)
            if (include and not robots.any_fits(include, path)) or robots.any_fits(exclude, path):
                progress.excluded += 1
            elif not rules.allow(path):
                progress.disallowed += 1
            else:
                kept.append(url)
        return kept

    def _usable(self, text: str) -> str | None:
        """An address in its usual form, where it is one of the sitemap's host."""
        try:
            url = urls.normalise(text)
        except urls.InvalidURL:
            url = ""
        if url and urls.host(url) == self.host:
            return url
        self.progress.refused += 1
        return None

    # --- documents ---

    def _add(self) -> None:
        """Add the next documents of the file that was read."""
        progress = self.progress
        some = self._get(progress.file, list[str])[progress.taken : progress.taken + corpora.BATCH_MOST]
        given = [Given(Submission("url", url=url)) for url in some]
        try:
            answers = corpora.add(self.corpus.id, self.job.owner, given, request_id=self.job.request_id)
        except CorpusFull as error:
            self._note(self.sitemap, ErrorKind.TOO_LARGE.value, str(error))
            progress.pending.clear()
            progress.taken = progress.addresses
            return
        for url, answer in zip(some, answers, strict=True):
            if isinstance(answer, Exception):
                progress.refused += 1
                refused = problem_for(answer)
                self._note(url, ErrorKind.INTERNAL.value, refused.detail if refused else str(answer))
        progress.added += sum(not isinstance(answer, Exception) for answer in answers)
        progress.taken += len(some)

    # --- what they need ---

    def _fetched(self, url: str, most: int) -> fetching.Fetched:
        def before_host(host: str, address: str) -> None:
            try:
                taken, wait = queue.host_slot(host, address, self.job.owner, bulk=True)
            except queue.QueueError:
                return
            if not taken:
                raise _Wait(wait + random.uniform(0, 1))  # noqa: S311
            time.sleep(wait)

        return fetching.fetch(url, before_host=before_host, file_bytes=most)

    def _note(self, url: str, kind: str, detail: str) -> None:
        if len(self.progress.errors) < ERRORS_MOST:
            self.progress.errors.append({"url": url, "type": kind, "detail": detail})

    def _put(self, name: str, what: object) -> None:
        objects.put(f"{self.name}-{name}", zlib.compress(msgspec.json.encode(what)))

    def _get(self, name: str, kind: Any) -> Any:
        return msgspec.json.decode(zlib.decompress(objects.get(f"{self.name}-{name}")), type=kind)


def _hash(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]
