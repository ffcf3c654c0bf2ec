"""Corpora: many documents counted as one. A document is a job; compaction and queries are jobs too.

What a corpus counts is what its manifest names. Documents come into it by compaction (corpus/compaction.py), which a
job of kind ``compaction`` runs until everything has ended; questions that need rows are jobs of kind ``query``.
"""

import contextlib
import functools
import hashlib
import itertools
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from chalicelib import jobs, queue, settings
from chalicelib.analysis import corpus_table
from chalicelib.analysis.corpus_table import CorpusTable
from chalicelib.analysis.words import Table
from chalicelib.aws import objects
from chalicelib.errors import (
    AttemptFailed,
    CorpusFull,
    ErrorKind,
    Gone,
    KeyReused,
    NoCorpus,
    NoObjectStore,
    RulesDiffer,
    ServiceError,
    Unavailable,
)
from chalicelib.store import records
from chalicelib.store.corpora import (
    BATCH_MOST,
    BATCHES_MOST,
    PARTS_MOST,
    Corpus,
    Document,
    Place,
    compaction_key,
    fitting,
)
from chalicelib.store.job import own_key
from chalicelib.store.records import Job, Records
from chalicelib.submissions import Submission

COMPARED_MOST = 1_000_000  # different words of two corpora whose keywords are sought: some 300 bytes each
LISTED_BATCHES = 100  # that one page of documents reads at most
LISTED_BYTES = 3_000_000  # of its documents as JSON: with what stands around them an answer has room for so many
TRIES = 5  # of a document whose key others write at the same time

Known = Mapping[str, tuple[Place, str]]  # by key where its document is, and its job's id


class Busy(Unavailable):
    """The corpus cannot take documents just now."""

    sentence = "Too many documents of this corpus wait to be counted, or others are sent under the same keys: retry."


class Given(msgspec.Struct, frozen=True):
    """A document to add. Without a key its address is its key, or a hash of its text.

    ``version`` tells two contents of one address apart, where the address does not.
    """

    submission: Submission
    key: str | None = None
    metadata: dict[str, str] = {}
    version: str = ""

    @property
    def name(self) -> str:
        return self.key or self.submission.url or f"sha256:{_digest(self.submission.document or '')}"


def create(
    owner: str, *, name: str, options: dict[str, Any], metadata: list[str], key: str | None
) -> tuple[Corpus, bool]:
    """A new corpus, or the one that the same request made under this idempotency key and False."""
    if not objects.is_configured():
        raise NoObjectStore
    store = jobs.table()
    now = store.now()
    asked = _digest(json.dumps([name, options, metadata], sort_keys=True, ensure_ascii=False))
    corpus = Corpus(
        id=records.new_id() if key is None else records.key_id(owner, f"corpus:{key}"),
        owner=owner,
        created_at=now,
        expires_at=now // 1000 + settings.load().result_days * 86_400,
        name=name,
        options={**options, "keep_text": True},
        metadata=metadata,
        request_hash=asked,
    )
    made, created = store.create_corpus(corpus)
    if not created and (made.request_hash, made.owner) != (asked, owner):
        raise KeyReused
    return made, created


def get(corpus_id: str, owner: str) -> Corpus:
    """The owner's corpus; ``NoCorpus``, or ``Gone`` where it was erased or has expired."""
    corpus = jobs.table().corpus(corpus_id, owner)
    if corpus is None:
        raise NoCorpus(corpus_id)
    return corpus


def owned(
    owner: str, *, limit: int, after: tuple[int, str] | None = None
) -> tuple[list[Corpus], tuple[int, str] | None]:
    """A page of an owner's corpora, newest first, and where the next one starts."""
    return jobs.table().corpora_of(owner, limit=limit, after=after)


# --- documents ---


def add(corpus_id: str, owner: str, given: Sequence[Given], *, request_id: str | None = None) -> list[Job | Exception]:
    """Take documents into a corpus, ``BATCH_MOST`` at most; of each its job, or why it was not taken.

    The same key again replaces the document; the same document again changes nothing, so that a request whose answer
    was lost may be repeated. ``Unavailable`` where DynamoDB cannot serve.
    """
    store, corpus = jobs.table(), get(corpus_id, owner)
    _require_room(corpus)
    last = {one.name: one for one in given}  # of one key twice the later counts
    known = store.places(corpus.id, list(last))
    answers = dict(zip(last, _submitted(corpus, list(last.values()), known, request_id), strict=True))
    wanted = {
        name: Document(name, answer.id, last[name].submission.url, last[name].metadata)
        for name, answer in answers.items()
        if isinstance(answer, Job)
    }
    try:
        _write(store, corpus, wanted, known)
        corpus = get(corpus_id, owner)
        if corpus.erasing:
            raise Gone
    except Gone:
        _take_back(store, corpus, [answer.id for answer in answers.values() if isinstance(answer, Job)])
        raise
    compact(corpus)
    return [answers[one.name] for one in given]


def _write(store: Records, corpus: Corpus, wanted: Mapping[str, Document], known: Known) -> None:
    """Write these documents into batches, but for those that are there."""
    for _ in range(TRIES):
        there = _there(store, corpus.id, wanted, known)
        new = [document for name, document in wanted.items() if name not in there]
        some = fitting(new) if new else ()
        wanted = {one.key: one for documents in some for one in _put(store, corpus, documents, known)}
        if not wanted:
            return
        known = store.places(corpus.id, list(wanted))
    raise Busy


def _take_back(store: Records, corpus: Corpus, added: Sequence[str]) -> None:
    """Erase these jobs of a corpus that is erased meanwhile: the job that erases it may have passed by already."""
    for job_id in added:
        jobs.cancel_and_erase(job_id, corpus.owner)
    store.take_back(corpus.id, added)


def _require_room(corpus: Corpus) -> None:
    """``Busy`` while too many batches wait to be merged, ``CorpusFull`` where that would not help."""
    parts = corpus.manifest.parts
    if corpus.batches >= BATCHES_MOST or (len(parts) >= PARTS_MOST and is_complete(corpus)):
        raise CorpusFull
    if len(parts) + corpus.batches - sum(part.span for part in parts) >= PARTS_MOST:
        raise Busy


def _there(store: Records, corpus_id: str, wanted: Mapping[str, Document], known: Known) -> set[str]:
    """The keys of those documents that count just as they are wanted.

    A key may name one that does not: it was removed before an addition broke off, or its batch was never written.
    """
    found = set()
    for number in {place.batch for place, _ in known.values()}:
        batch = store.batch(corpus_id, number)
        gone = store.removed(corpus_id, number, number).get(number, set())
        of_batch = {name: place.at for name, (place, _) in known.items() if place.batch == number}
        found |= {name for name, at in of_batch.items() if batch[at : at + 1] == [wanted.get(name)] and at not in gone}
    return found


def _submitted(corpus: Corpus, given: Sequence[Given], known: Known, request_id: str | None) -> list[Job | Exception]:
    """The documents' jobs: those that the corpus has of the same requests, else new ones.

    One whose job has failed, or was erased with an earlier document, is submitted anew.
    """
    requests = [_request(corpus, one, request_id) for one in given]
    there = jobs.table().get_many([job_id for _, job_id in known.values()])
    answers: dict[int, Job | Exception] = {}
    for at, (one, request) in enumerate(zip(given, requests, strict=True)):
        job = there.get(known[one.name][1]) if one.name in known else None
        if job is not None and job.request_hash == jobs.request_hash(request.submission):
            answers[at] = job
    new = [at for at in range(len(given)) if at not in answers or _has_failed(answers[at])]
    answers |= zip(new, jobs.submit_many([requests[at] for at in new]), strict=True)
    ended = [at for at in new if isinstance(answers[at], Gone) or _has_failed(answers[at])]
    again = [msgspec.structs.replace(requests[at], key=None) for at in ended]
    answers |= zip(ended, jobs.submit_many(again), strict=True)
    for answer in answers.values():
        if isinstance(answer, Unavailable):
            raise answer
    return [answers[at] for at in range(len(given))]


def _request(corpus: Corpus, one: Given, request_id: str | None) -> jobs.Request:
    options = {**corpus.options, **one.submission.options, "corpus": corpus.id, "keep_text": True}
    if one.version:
        options["object_version"] = one.version
    submission = msgspec.structs.replace(one.submission, options=options)
    key = own_key("document", corpus.id, one.name, jobs.request_hash(submission))
    return jobs.Request(submission, corpus.owner, key, jobs.BULK, request_id)


def _has_failed(answer: Job | Exception) -> bool:
    return isinstance(answer, Job) and answer.state in (records.FAILED, records.CANCELED)


def _put(store: Records, corpus: Corpus, documents: Sequence[Document], known: Known) -> Sequence[Document]:
    """Write a batch; returns the documents that are to be tried again: somebody else wrote their keys meanwhile, or a
    compaction closed the batch, since nobody had written it for long.

    The order keeps the counts right wherever it breaks off: first what is replaced stops counting, then each key names
    its new place, then the batch is there. A key that names a batch that was never written is written anew.
    """
    replaced = {one.key: known[one.key][0] for one in documents if one.key in known}
    number = store.begin_batch(corpus.id, len(documents), len(replaced)).batches - 1
    store.remove(corpus, [*replaced.values()])
    lost = store.put_places(corpus, number, documents, replaced)
    store.remove(corpus, [Place(number, index) for index in lost])
    return [documents[index] for index in lost] if store.put_batch(corpus, number, documents) else documents


def remove(corpus_id: str, owner: str, key: str) -> None:
    """Take a document out of a corpus and erase it; ``NoCorpus`` where there is none of this key."""
    store, corpus = jobs.table(), get(corpus_id, owner)
    found = store.places(corpus.id, [key]).get(key)
    if found is None:
        raise NoCorpus(key)
    place, job_id = found
    store.remove(corpus, [place])
    corpus = store.note_change(corpus.id, removed=1)
    jobs.cancel_and_erase(job_id, owner)
    compact(corpus)
    store.drop_key(corpus.id, key, place)  # last, so that a removal that broke off can be repeated


def documents(
    corpus_id: str, owner: str, *, limit: int, after: Place | None = None, state: str | None = None
) -> tuple[list[tuple[Document, Job | None]], Place | None]:
    """A page of a corpus' documents with their jobs, in the order in which they came, and where the next one starts."""
    store, corpus = jobs.table(), get(corpus_id, owner)
    start = after or Place(0, 0)
    if start.batch >= corpus.batches:
        return [], None
    end = min(start.batch + LISTED_BATCHES, corpus.batches)
    found: list[tuple[Document, Job | None]] = []
    looked = size = 0
    live = _live(store, corpus, start, end)
    while some := list(itertools.islice(live, 100)):
        states = store.get_many([document.job for _, document in some])
        for place, document in some:
            job = _as_counted(corpus, states.get(document.job))
            looked += 1
            if state is None or (job.state if job else records.FAILED) == state:
                found.append((document, job))
                size += len(msgspec.json.encode((document, job and job.error)))
            if len(found) == limit or size > LISTED_BYTES or looked == 10 * max(limit, 100):
                return found, Place(place.batch, place.at + 1)
    return found, Place(end, 0) if end < corpus.batches else None


def _as_counted(corpus: Corpus, job: Job | None) -> Job | None:
    """A document's job, as failed where its words are not added to the corpus' since other rules made them."""
    rules = corpus.manifest.rules
    if job is None or job.state != records.SUCCEEDED or not rules or job.rules == rules:
        return job
    detail = f"The document was counted by the rules {job.rules}, the corpus by {rules}. Add it to a new corpus."
    error = AttemptFailed(ErrorKind.RULES_MISMATCH, detail).recorded()
    return msgspec.structs.replace(job, state=records.FAILED, error=error, totals=None)


def _live(store: Records, corpus: Corpus, start: Place, end: int) -> Iterator[tuple[Place, Document]]:
    """The documents that count, from ``start`` to before the batch ``end``."""
    removed = store.removed(corpus.id, start.batch, end)
    for number in range(start.batch, end):
        gone = removed.get(number, set())
        for at, document in enumerate(store.batch(corpus.id, number)):
            if at not in gone and (number, at) >= start:
                yield Place(number, at), document


# --- counts ---


def state(corpus: Corpus) -> dict[str, Any]:
    """What a caller sees of a corpus' progress: its state, and its documents by state.

    A document is ``waiting`` until a compaction has looked at it.
    """
    states = {"queued": 0, "running": 0, "succeeded": 0, "failed": 0}
    for part in corpus.manifest.parts:
        for name, number in part.states.items():
            states[name] += number
    complete = is_complete(corpus)
    looked_at = sum(states.values())
    total = looked_at if complete else max(corpus.added - corpus.removed, looked_at)
    waiting = total - states["running"] - states["succeeded"] - states["failed"]
    name = "erasing" if corpus.erasing else "empty" if not total else "ready" if complete else "counting"
    counts = {name: states[name] for name in ("running", "succeeded", "failed")}
    return {"state": name, "documents": {"total": total, "waiting": waiting, **counts}, "complete": complete}


def is_complete(corpus: Corpus) -> bool:
    """Whether the manifest has all that was added and removed."""
    return corpus.manifest.seen == corpus.changes


def compact(corpus: Corpus) -> None:
    """Have a corpus' changes taken in: one job for each change, of which all but the newest end at once.

    Where that job has failed, because its worker was killed again and again, the next one tries anew.
    """
    if _compaction(corpus).state == records.FAILED and not is_complete(corpus):
        with contextlib.suppress(Gone):  # which it is being erased
            corpus = jobs.table().note_change(corpus.id)
        _compaction(corpus)


def _compaction(corpus: Corpus) -> Job:
    options = {"corpus": corpus.id, "changes": corpus.changes}
    key = compaction_key(corpus.id, corpus.changes)
    return jobs.submit(jobs.Request(Submission("compaction", options=options), corpus.owner, key, jobs.BULK))[0]


def table(corpus: Corpus) -> CorpusTable:
    """The corpus' word table as of its last compaction."""
    if not corpus.manifest.table:
        return corpus_table.of_bytes(corpus_table.pack((), (), 0))
    return _table(f"corpora/{corpus.id}/table-{corpus.manifest.table}")


@functools.lru_cache(1)  # the last one: a page of a table is mostly followed by the next
def _table(name: str) -> CorpusTable:
    return CorpusTable(functools.partial(objects.get, name))


def ask(corpus: Corpus, question: str, asked: Mapping[str, Any], *, request_id: str | None = None) -> Job:
    """The job that answers a question about the corpus as it is now; the same question is the same job."""
    options = {"corpus": corpus.id, "version": corpus.version, "question": question, "asked": dict(asked)}
    key = own_key("query", _digest(json.dumps(options, sort_keys=True)))
    request = jobs.Request(Submission("query", options=options), corpus.owner, key, queue.INTERACTIVE, request_id)
    job = jobs.submit(request)[0]
    if job.state in (records.FAILED, records.CANCELED):  # one that failed is asked anew, once a minute
        job = jobs.submit(msgspec.structs.replace(request, key=f"{key}:{jobs.now() // 60_000}"))[0]
    return job


def answer(job: Job) -> dict[str, Any]:
    """What a query job that has succeeded found."""
    found: dict[str, Any] = msgspec.json.decode(zlib.decompress(b"".join(jobs.table().artifact(job, "answer"))))
    return found


class TooManyWords(ServiceError):
    """Corpora that have more words than can be compared in the memory of a function."""

    problem = "answer-too-large"
    sentence = f"Keywords compare corpora of at most {COMPARED_MOST:,} different words in all: these have more."


def compared(corpus: Corpus, against: str, owner: str) -> tuple[Table, Table, int | None]:
    """The folded words of a corpus, and of the corpus or job that ``against`` names: ``corpus:ID`` or ``job:ID``.

    A corpus that it names comes with its version.
    """
    kind, _, other_id = against.partition(":")
    other = get(other_id, owner) if kind == "corpus" else None
    if sum(one.manifest.distinct for one in (corpus, other) if one) > COMPARED_MOST:
        raise TooManyWords
    if other:
        rules, folded = other.manifest.rules, corpus_table.as_job_table(table(other))
    else:
        job = jobs.get(other_id, owner)
        if job.state != records.SUCCEEDED:
            raise NoCorpus(other_id)
        rules, folded = job.rules or "", jobs.word_table(job)
    if rules and corpus.manifest.rules and rules != corpus.manifest.rules:
        raise RulesDiffer(corpus.id, other_id)
    return corpus_table.as_job_table(table(corpus)), folded, other.version if other else None


# --- erase ---


def erase(corpus_id: str, owner: str) -> None:
    """Begin to erase a corpus with its documents; a compaction job does it. ``NoCorpus`` where there is none."""
    get(corpus_id, owner)
    corpus = jobs.table().begin_erasing(corpus_id)
    if corpus is not None:
        compact(corpus)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


__all__ = ["BATCH_MOST", "Corpus", "Given", "Place"]
