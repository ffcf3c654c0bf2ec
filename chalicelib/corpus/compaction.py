"""Compaction: documents that have ended become parts, and the parts' summaries the corpus' word table.

One run looks at a few batches, writes what has changed, and puts one new manifest in place of the one that it read, by
a conditional write. Readers open only what the manifest names, so a run that dies, or that another one overtakes,
leaves files that nobody reads: they bear a token of their own and are deleted by whoever loses.
"""

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from chalicelib.analysis import corpus_table, evidence
from chalicelib.aws import objects
from chalicelib.corpus import files, merging, parts, queries
from chalicelib.corpus.engine import holding, opened
from chalicelib.errors import Gone
from chalicelib.store import records
from chalicelib.store.corpora import Corpus, Document, Manifest, Part, Place, marked
from chalicelib.store.records import Job, Records

UNFINISHED_MOST = 10  # batches whose jobs one run looks at
PROBE_EVERY = 100  # documents of a batch, whose jobs say whether it has begun
GROWTH = 4  # times as many documents as are in a part's files make new ones, before the batch has ended
FILE_WORDS = 2_000_000  # of a file of rows: what is sorted in memory at once
READ_MOST, READ_WORDS = 32, 200_000  # documents whose artifacts are read in one call: a hundred pieces, and their words
STALE_MS = 3_600_000  # a query may still read files that were replaced so long ago
STALE_MOST = 2_000  # files that wait for their deletion; more would not fit into the manifest's item
UNWRITTEN_MS = 30_000  # a batch that nobody has written so long after the last change is closed


class _Run(NamedTuple):
    """One run: what it works on, the token in the names of its files, when it ends, the rules of its words if known."""

    store: Records
    corpus: Corpus
    token: str
    until: float  # by the clock
    cpu_until: float  # in CPU time of this process, of which a job has so much; two threads use it up sooner
    rules: list[str]

    def is_over(self) -> bool:
        return time.monotonic() > self.until or time.process_time() > self.cpu_until


def compact(store: Records, corpus: Corpus, *, seconds: float) -> bool | None:
    """One run of at most about ``seconds``, of CPU time too: whether all that there is has been taken in.

    None where the next run has something to do at once: to take in the rest of a large batch, to merge more, or to
    begin anew since the manifest has changed meanwhile, when the files of this run are deleted.
    """
    manifest = corpus.manifest
    rules = [manifest.rules] if manifest.rules else []
    ends = time.monotonic() + seconds, time.process_time() + seconds
    run = _Run(store, corpus, records.new_token(), *ends, rules)
    try:
        changed, done = _next(run)
    except BaseException:  # its time is over, too
        _discard(run)
        raise
    if changed == manifest:
        return done
    if store.put_manifest(corpus, changed):
        return done
    # It may have been put, and the answer lost; then another run has gone on from it, and names the same files.
    now = store.find_corpus(corpus.id)
    _discard(run, files.of_manifest(corpus.id, now.manifest) if now else ())
    if now is None:
        raise Gone
    return None


def _next(run: _Run) -> tuple[Manifest, bool | None]:
    """The manifest that takes in what has changed, and what ``compact`` answers once it is put."""
    corpus, manifest = run.corpus, run.corpus.manifest
    done = None
    if merging.comes_first(manifest.parts):
        changed, _ = merging.merged(corpus, manifest, run.token, run.is_over)
    else:
        changed, complete = _looked_at(run)
        if _rows(changed) != _rows(manifest):
            changed = _with_table(corpus, changed, run.token)
        changed, settled = merging.merged(corpus, changed, run.token, run.is_over)
        if complete and settled:
            changed = msgspec.structs.replace(changed, seen=corpus.changes)
        done = complete if settled else None
    if changed == manifest:
        return manifest, done
    replaced = set(files.of_manifest(corpus.id, manifest)) - set(files.of_manifest(corpus.id, changed))
    now = run.store.now()
    stale = [*changed.stale, *((name, now) for name in sorted(replaced))]
    return _without_stale(msgspec.structs.replace(changed, stale=stale, made_at=now), now), done


def _discard(run: _Run, kept: Iterable[str] = ()) -> None:
    """Delete the files of a run whose manifest was not taken, but for those that a manifest names."""
    with contextlib.suppress(objects.ObjectError):
        for name in set(objects.names(files.folder(run.corpus.id))) - set(kept):
            if run.token in name:
                objects.delete(name)


def _looked_at(run: _Run) -> tuple[Manifest, bool | None]:
    """The manifest with new parts for what has changed; and whether all that there is has been taken in.

    None where time was over before.
    """
    store, corpus = run.store, run.corpus
    there, found = list(_all(corpus)), list[Part]()
    # What a batch replaces was marked before it was written, so the marks are read after the batches: read before, the
    # old and the new document could both count.
    batches, complete = _unfinished(store, corpus, there)
    removed = store.removed(corpus.id)
    complete = complete and not _gathers(store, corpus)
    late = False
    for part in there:
        gone = {at for at in removed.get(part.batch, ()) if part.first <= at < part.last}
        away = merging.removed_of(part, removed) if part.span > 1 else []
        unchanged = part.seen == len(away) if part.span > 1 else part.gone == marked(gone)
        # A batch that is not looked at now leaves what was removed of it all the same: what replaces it may count now.
        if unchanged if part.ended else part.batch not in batches and (unchanged or not part.token):
            found.append(part)
        elif run.is_over():
            found.append(part)
            late = True
        elif part.span > 1:
            found.append(merging.rewritten(corpus.id, part, away, run.token))
        else:
            documents = batches[part.batch] if part.batch in batches else store.batch(corpus.id, part.batch)
            made = list(_parts(run, part, documents, gone))
            late = late or any(one.states.keys() <= records.TERMINAL and not one.ended for one in made)
            complete = complete and all(one.ended for one in made)
            found += made
    changed = msgspec.structs.replace(
        corpus.manifest,
        parts=[part for part in found if part.states or part.ended],
        rules=run.rules[0] if run.rules else "",
    )
    return changed, None if late else complete


def _all(corpus: Corpus) -> Iterator[Part]:
    """The parts of all batches, in order."""
    number = 0
    for part in corpus.manifest.parts:
        yield from (Part(batch=at) for at in range(number, part.batch))
        yield part
        number = part.batch + part.span
    yield from (Part(batch=at) for at in range(number, corpus.batches))


def _gathers(store: Records, corpus: Corpus) -> bool:
    """Whether a source still brings documents."""
    sources = store.sources(corpus.id)
    there = store.get_many([source.id for source in sources]) if sources else {}
    return any(job.state not in records.TERMINAL for job in there.values())


def _unfinished(store: Records, corpus: Corpus, there: Sequence[Part]) -> tuple[dict[int, Sequence[Document]], bool]:
    """Batches that have not ended, ``UNFINISHED_MOST`` that have documents at most; and whether these are all.

    Those that were looked at before take turns, and others come between them: a few slow ones keep none waiting.
    """
    found: dict[int, Sequence[Document]] = {}
    complete = True
    waiting = dict.fromkeys(part.batch for part in there if not part.ended)
    known = {part.batch for part in there if part.states}
    fresh, seen = [one for one in waiting if one not in known], [one for one in waiting if one in known]
    turn = store.now() % len(seen) if seen else 0
    pairs = itertools.zip_longest(fresh, seen[turn:] + seen[:turn])
    for number in (one for pair in pairs for one in pair if one is not None):
        if sum(map(bool, found.values())) >= UNFINISHED_MOST:
            return found, False
        documents = store.written(corpus.id, number)
        if documents is None and store.now() - corpus.changed_at > UNWRITTEN_MS:
            store.close_batch(corpus, number)
            documents = store.written(corpus.id, number)
        if documents is None:
            complete = False
        else:
            found[number] = documents
    return found, complete


def _waits(store: Records, part: Part, documents: Sequence[Document]) -> bool:
    """Whether a batch has not begun, as far as a few of its jobs say: an owner's jobs begin in their order.

    To read all jobs of all batches at each look would cost more than to count them.
    """
    if not documents or part.token or part.is_split or not part.states.keys() <= {records.QUEUED}:
        return False
    some = [document.job for document in (*documents[::PROBE_EVERY], documents[-1])]
    found = store.get_many(some)
    return all(job in found and found[job].state == records.QUEUED for job in some)


def _rows(manifest: Manifest) -> list[tuple[str, bytes]]:
    """What the word table depends on."""
    return [(part.token, part.gone) for part in manifest.parts if part.token]


def erase(store: Records, corpus: Corpus, *, seconds: float) -> bool:
    """Delete a corpus' documents with their jobs, its files and its items; whether that is all done by now."""
    until = time.monotonic() + seconds
    return all(time.monotonic() <= until for _ in _erased(store, corpus))


def _erased(store: Records, corpus: Corpus) -> Iterator[None]:
    """Erase a corpus step by step. What earlier runs erased takes few calls, so that each run gets further."""
    for number, documents in store.batches(corpus.id):
        for job_id in store.get_many([document.job for document in documents]):
            _erase_job(store, job_id, corpus.owner)
            yield
        store.drop_batch(corpus, number)
        yield
    for job_id in store.queries(corpus):
        _erase_job(store, job_id, corpus.owner)
        store.drop_query(corpus, job_id)
        yield
    for source in store.sources(corpus.id):
        _erase_job(store, source.id, corpus.owner)
    for name in objects.names(files.folder(corpus.id)):
        objects.delete(name)
        yield
    files.forget(corpus.id)
    yield from store.erase_corpus(corpus)


def _erase_job(store: Records, job_id: str, owner: str) -> None:
    if not store.erase(job_id, owner, expires_at=store.now() // 1000 + 86_400):
        store.cancel(job_id, owner)
        store.erase(job_id, owner, expires_at=store.now() // 1000 + 86_400)


def _without_stale(manifest: Manifest, now: int) -> Manifest:
    kept = [entry for entry in manifest.stale[-STALE_MOST:] if entry[1] >= now - STALE_MS]
    for name, _ in manifest.stale[: len(manifest.stale) - len(kept)]:
        objects.delete(name)
    return msgspec.structs.replace(manifest, stale=kept)


class _Live(NamedTuple):
    """A document that counts: its number in its batch, its job and its state."""

    at: int
    document: Document
    job: Job | None
    state: str


def _parts(run: _Run, part: Part, documents: Sequence[Document], gone: set[int]) -> Iterator[Part]:
    """A batch's part as it should be now, with new files where they have to change; several where it has many words.

    A run whose time ends in between leaves the rest of the documents to the next one, in a part that has not ended.
    """
    given = {at: one for at, one in enumerate(documents) if part.first <= at < part.last and at not in gone}
    if part.ended and part.token:  # only what was removed has changed
        part = msgspec.structs.replace(part, gone=marked(gone))
        yield merging.settled(merging.without(run.corpus.id, part, part.removed, run.token), len(given))
        return
    live = _live(run, given, waits=_waits(run.store, part, documents))
    ready: Sequence[_Live] = [one for one in live if one.state == records.SUCCEEDED]
    # Files are written anew when they would hold four times as many documents: each is written 1.3 times on average.
    # What was replaced or removed leaves them at once, since the document that replaces it may count by now.
    whole = _piece(part, part.first, part.last, live, gone)
    if not whole.ended and part.gone == marked(gone) and len(ready) < max(1, GROWTH * part.documents):
        yield whole
        return
    first = part.first
    while first < part.last:
        if first > part.first and run.is_over():
            rest = _piece(part, first, part.last, live, gone)
            yield msgspec.structs.replace(merging.empty(rest), ended=False)
            return
        group, ready = _group(run.store, part.batch, ready)
        last = ready[0].at if ready else part.last
        made = _piece(part, first, last, live, gone)
        yield merging.settled(_written(run, made, group), sum(first <= one.at < last for one in live))
        first = last


def _live(run: _Run, given: Mapping[int, Document], *, waits: bool) -> list[_Live]:
    """The documents that count, by their numbers, with their states: all wait, or their jobs say it."""
    if waits:
        return [_Live(at, document, None, records.QUEUED) for at, document in given.items()]
    jobs = run.store.get_many([document.job for document in given.values()])
    found = [(at, document, jobs.get(document.job)) for at, document in given.items()]
    return [_Live(at, document, job, _state(job, run.rules)) for at, document, job in found]


def _piece(part: Part, first: int, last: int, live: Sequence[_Live], gone: Iterable[int]) -> Part:
    """The part with its documents from ``first`` on and before ``last`` alone."""
    states = Counter(one.state for one in live if first <= one.at < last)
    return msgspec.structs.replace(
        part,
        first=first,
        last=last,
        span=part.span if last == part.last else 0,
        states=dict(states),
        ended=states.keys() <= records.TERMINAL,
        gone=marked(at for at in gone if first <= at < last),
    )


def _state(job: Job | None, rules: list[str]) -> str:
    """A document's state: its job's; one that was erased, has no text, or is counted by other rules counts as failed.

    The first document decides the rules of the corpus, since tables of different rules are never added.
    """
    if job is None:
        return records.FAILED
    if job.state == records.SUCCEEDED and evidence.ARTIFACTS.keys() <= job.artifacts.keys():
        if not rules and job.rules:
            rules.append(job.rules)
        return records.SUCCEEDED if [job.rules] == rules else records.FAILED
    return records.FAILED if job.state in records.TERMINAL else job.state


def _written(run: _Run, part: Part, group: list[parts.Document]) -> Part:
    """The part with new files of these documents."""
    if not group:
        return merging.empty(part)
    with holding(parts.arrays(group)) as engine:
        return merging.written(run.corpus.id, part, run.token, engine)


def _group(store: Records, batch: int, ready: Sequence[_Live]) -> tuple[list[parts.Document], Sequence[_Live]]:
    """The first documents, as many as have about ``FILE_WORDS`` words, and what is left: so many fit into memory."""
    group: list[parts.Document] = []
    size = at = 0
    while at < len(ready) and size <= FILE_WORDS:
        some = _together(ready[at : at + READ_MOST])
        kept = store.artifacts([one.job for one in some if one.job], evidence.ARTIFACTS)
        for one in some:
            if size > FILE_WORDS:
                break
            at += 1
            if one.job and one.job.id in kept:  # else it was erased meanwhile
                group.append(_document(batch, one, one.job, kept.pop(one.job.id)))
                size += group[-1].evidence.table.total
    return group, ready[at:]


def _together(ready: Sequence[_Live]) -> Sequence[_Live]:
    """The first documents, as many as have about ``READ_WORDS`` words: what is stored of them is read at once."""
    words = itertools.accumulate((one.job.totals or {}).get("words", 0) if one.job else 0 for one in ready)
    return ready[: 1 + sum(size <= READ_WORDS for size in words)]


def _document(batch: int, one: _Live, job: Job, kept: Mapping[str, Sequence[bytes]]) -> parts.Document:
    """A document with its words and text, out of its job's artifacts."""
    page = job.page or {}
    return parts.Document(
        doc=Place(batch, one.at).doc,
        id=job.id,
        key=one.document.key,
        evidence=evidence.read(kept, page.get("language") or ""),
        url=one.document.url or page.get("url"),
        title=page.get("title"),
        metadata=one.document.metadata,
    )


def _with_table(corpus: Corpus, manifest: Manifest, token: str) -> Manifest:
    """The manifest with a word table that adds up its parts' summaries."""
    summaries = files.views(corpus.id, manifest.parts, ("spellings", "folds"))
    documents = sum(part.documents for part in manifest.parts)
    with opened(summaries) as engine:
        packed = corpus_table.pack(engine.each(queries.TABLE_SPELLINGS), engine.each(queries.TABLE_FOLDS), documents)
    objects.put(files.table_name(corpus.id, token), packed)
    made = corpus_table.of_bytes(packed)
    return msgspec.structs.replace(
        manifest, table=token, documents=documents, words=made.total, distinct=made.length(fold_case=True)
    )
