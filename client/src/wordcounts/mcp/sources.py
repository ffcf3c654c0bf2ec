"""What a tool's ``of`` names: a job, a page, or a corpus; pages that were counted once are not fetched again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from wordcounts.client import Client, is_id
from wordcounts.corpora import Corpus
from wordcounts.errors import WordcountsError
from wordcounts.models import Job

KNOWN = 200  # addresses whose jobs are remembered


class Sources:
    """Finds what is named, waiting ``seconds`` at most for a page. Files are never read: a page could ask for them."""

    def __init__(self, client: Client, seconds: float) -> None:
        self.client = client
        self.seconds = seconds
        self._known: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, of: str, until: float | None = None) -> Job | Corpus:
        """The job that has succeeded, or the corpus."""
        of = of.strip()
        if of.startswith("corpus:"):
            return self.client.corpus(of.removeprefix("corpus:").strip())
        job_id = of.removeprefix("job:").strip()
        until = time.monotonic() + self.seconds if until is None else until
        if is_id(job_id):
            return self.wait(job_id, until)
        if not of.startswith(("http://", "https://")):
            raise WordcountsError(
                f"{of[:100]!r} is no source.",
                type="no-source",
                advice="Give an address that begins with https://, a job's id, or corpus: and a name or id. "
                "For a text of your own call count with text, and give the id that it answers.",
            )
        with self._lock:
            known = self._known.get(of)
        try:
            return self.wait(known or self.submit(url=of), until)
        except WordcountsError as error:
            if known is None or error.type not in ("gone", "not-found", "job-canceled"):
                raise
        return self.wait(self.submit(url=of), until)  # the job that was remembered is no more

    def submit(self, **fields: str | None) -> str:
        """Submit anew what the fields of a submission say; the job's id."""
        job = self.client.submit_fields(fields, wait=0)
        if url := fields.get("url"):
            with self._lock:
                self._known[url] = job.id
                self._known.move_to_end(url)
                while len(self._known) > KNOWN:
                    self._known.popitem(last=False)
        return job.id

    def wait(self, job_id: str, until: float) -> Job:
        """The job once it has succeeded. One that failed is not remembered, so that it can be tried again."""
        try:
            return self.client.wait(job_id, timeout=round(max(until - time.monotonic(), 0), 1))
        except WordcountsError as error:
            if error.type != "still-running":
                with self._lock:
                    for url in [url for url, known in self._known.items() if known == job_id]:
                        del self._known[url]
            raise
