"""Sources of a corpus: a sitemap whose pages become its documents. Made here, followed by a worker (gathering.py)."""

from collections.abc import Sequence

from chalicelib import corpora, jobs
from chalicelib.errors import NoCorpus, TooManySources
from chalicelib.store import records
from chalicelib.store.job import own_key
from chalicelib.store.records import Job
from chalicelib.store.sources import Progress, Source
from chalicelib.submissions import Submission

SOURCES_MOST = 100  # of a corpus
ADDRESSES_MOST = 50_000  # that a source adds

__all__ = ["ADDRESSES_MOST", "Progress", "Source"]


def create(
    corpus_id: str,
    owner: str,
    sitemap: str,
    *,
    limit: int,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    key: str | None = None,
    request_id: str | None = None,
) -> tuple[Source, Job]:
    """A new source of a corpus, or the one that the same request made under this idempotency key; and its job.

    The job comes first, so that two requests at once have one source: that of its time. The change is noted last, so
    that no compaction takes the corpus for complete in between.
    """
    store, corpus = jobs.table(), corpora.get(corpus_id, owner)
    key = own_key("source", corpus.id, key or records.new_id())
    options = {"corpus": corpus.id, "limit": limit, "include": [*include], "exclude": [*exclude]}
    request = jobs.Request(Submission("source", url=sitemap, options=options), owner, key, jobs.BULK, request_id)
    known = {source.id: source for source in store.sources(corpus.id)}
    if len(known) >= SOURCES_MOST and records.key_id(owner, key) not in known:
        raise TooManySources
    job, _ = jobs.submit(request)
    source = known.get(job.id)
    if source is None:
        new = Source(id=job.id, created_at=job.submitted_at, progress=Progress(pending=[(sitemap, 0)]))
        source = store.create_source(corpus, new)
    corpora.compact(store.note_change(corpus.id))
    return source, job


def of(corpus_id: str, owner: str) -> list[tuple[Source, Job]]:
    """A corpus' sources, oldest first, each with its job, which has its state and its error."""
    store, corpus = jobs.table(), corpora.get(corpus_id, owner)
    found = store.sources(corpus.id)
    there = store.get_many([source.id for source in found])
    return [(source, there[source.id]) for source in found if source.id in there]


def get(corpus_id: str, source_id: str, owner: str) -> tuple[Source, Job]:
    """One of them; ``NoCorpus`` where there is none."""
    for source, job in of(corpus_id, owner):
        if source.id == source_id:
            return source, job
    raise NoCorpus(source_id)
