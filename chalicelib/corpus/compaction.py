"""Compaction: documents that have ended become parts, and the parts' summaries the corpus' word table.

One run looks at a few batches, writes what has changed, and puts one new manifest in place of the one that it read, by
a conditional write. Readers open only what the manifest names, so a run that dies, or that another one overtakes,
leaves files that nobody reads: they bear a token of their own and are deleted by whoever loses.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from chalicelib.analysis import corpus_words, evidence
from chalicelib.aws import objects
from chalicelib.corpus import files, merging, parts, queries
from chalicelib.corpus.engine import opened
from chalicelib.errors import Gone, NotKept
from chalicelib.store import records
from chalicelib.store.corpora import BATCH_MOST, Corpus, Document, Manifest, Part, marked
from chalicelib.store.records import Job, Records

UNFINISHED_MOST = 10  # batches whose jobs one run looks at
FILE_WORDS = 2_000_000  # of a file of rows: what is sorted in memory at once
STALE_MS = 3_600_000  # a query may still read files that were replaced so long ago
STALE_MOST = 2_000  # files that wait for their deletion; more would not fit into the manifest's item
UNWRITTEN_MS = 30_000  # a batch that nobody has written so long after the last change is closed


def compact(store: Records, corpus: Corpus, *, seconds: float) -> bool | None:
    """One run of at most about ``seconds``: whether all that there is has been taken in.

    None where the next run has something to do at once: to merge more, or to begin anew since the manifest has changed
    meanwhile, when the files of this run are deleted.
    """
    until = time.monotonic() + seconds
    token, manifest = records.new_token(), corpus.manifest
    changed, complete = _looked_at(store, corpus, token, until)
    if _rows(changed) != _rows(manifest):
        changed = _with_table(corpus, changed, token)
    changed, settled = merging.merged(corpus, changed, until=until)
    if complete and settled:
        changed = msgspec.structs.replace(changed, seen=corpus.changes)
    if changed == manifest:
        return complete if settled else None
    replaced = set(files.of_manifest(corpus.id, manifest)) - set(files.of_manifest(corpus.id, changed))
    now = store.now()
    stale = [*changed.stale, *((name, now) for name in sorted(replaced))]
    changed = msgspec.structs.replace(changed, stale=stale, made_at=now)
    changed = _without_stale(changed, now)
    if store.put_manifest(corpus, changed):
        return complete if settled else None
    _delete_new(store, corpus, changed)
    return None


def _looked_at(store: Records, corpus: Corpus, token: str, until: float) -> tuple[Manifest, bool]:
    """The manifest with new parts for what has changed; and whether all that there is has been taken in."""
    manifest = corpus.manifest
    known = {part.batch: part for part in _all(corpus)}
    rules = [manifest.rules] if manifest.rules else []
    # What a batch replaces was marked before it was written, so the marks are read after the batches: read before, the
    # old and the new document could both count.
    batches, complete = _unfinished(store, corpus, known)
    removed = store.removed(corpus.id)
    complete = complete and not _gathers(store, corpus)
    for number, part in known.items():
        gone = removed.get(number, set())
        away = merging.removed_of(part, removed) if part.span > 1 else []
        unchanged = part.seen == len(away) if part.span > 1 else part.gone == marked(gone)
        if number not in batches and (not part.ended or unchanged):
            continue
        if time.monotonic() > until:
            complete = False
            break
        if part.span > 1:
            known[number] = merging.rewritten(corpus.id, part, away)
            continue
        documents = batches[number] if number in batches else store.batch(corpus.id, number)
        known[number] = _part(store, corpus, part, documents, gone, token, rules)
        complete &= known[number].ended
    changed = msgspec.structs.replace(
        manifest,
        parts=[part for part in known.values() if part.states or part.ended],
        rules=rules[0] if rules else "",
    )
    return changed, complete


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


def _delete_new(store: Records, corpus: Corpus, changed: Manifest) -> None:
    """Delete the files of a run whose manifest was not taken.

    It may have been, and its answer lost: then another run has gone on from it, and names the same files.
    """
    now = store.corpus(corpus.id)
    kept = {name for one in (corpus, now) if one for name in files.of_manifest(corpus.id, one.manifest)}
    for name in set(files.of_manifest(corpus.id, changed)) - kept:
        objects.delete(name)


def _unfinished(
    store: Records, corpus: Corpus, known: Mapping[int, Part]
) -> tuple[dict[int, Sequence[Document]], bool]:
    """Batches that have not ended, ``UNFINISHED_MOST`` that have documents at most; and whether these are all."""
    found: dict[int, Sequence[Document]] = {}
    complete = True
    for number, part in known.items():
        if part.ended:
            continue
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


def _rows(manifest: Manifest) -> list[tuple[str, bytes]]:
    """What the word table depends on."""
    return [(part.token, part.gone) for part in manifest.parts if part.token]


def erase(store: Records, corpus: Corpus, *, seconds: float) -> bool:
    """Delete a corpus' documents with their jobs, its files and its items; whether that is all done by now."""
    until = time.monotonic() + seconds
    for number in range(corpus.batches):
        for document in store.batch(corpus.id, number):
            if time.monotonic() > until:
                return False
            _erase_job(store, document.job, corpus.owner)
        store.drop_batch(corpus, number)
    for source in store.sources(corpus.id):
        _erase_job(store, source.id, corpus.owner)
    for name in objects.names(files.folder(corpus.id)):
        objects.delete(name)
    store.erase_corpus(corpus)
    return True


def _erase_job(store: Records, job_id: str, owner: str) -> None:
    if not store.erase(job_id, owner, expires_at=store.now() // 1000 + 86_400):
        store.cancel(job_id, owner)
        store.erase(job_id, owner, expires_at=store.now() // 1000 + 86_400)


def _without_stale(manifest: Manifest, now: int) -> Manifest:
    kept = [entry for entry in manifest.stale[-STALE_MOST:] if entry[1] >= now - STALE_MS]
    for name, _ in manifest.stale[: len(manifest.stale) - len(kept)]:
        objects.delete(name)
    return msgspec.structs.replace(manifest, stale=kept)


def _part(
    store: Records,
    corpus: Corpus,
    part: Part,
    documents: Sequence[Document],
    gone: set[int],
    token: str,
    rules: list[str],
) -> Part:
    """A batch's part as it should be now, with new files where they have to change."""
    jobs = store.get_many([document.job for document in documents])
    live = [(at, document, jobs.get(document.job)) for at, document in enumerate(documents) if at not in gone]
    states = Counter(_state(job, rules) for _, _, job in live)
    was_ended, ended = part.ended, states.keys() <= records.TERMINAL
    part = msgspec.structs.replace(part, states=dict(states), ended=ended)
    if was_ended and part.token:  # only what was removed has changed
        part = msgspec.structs.replace(part, gone=marked(gone))
        return _settled(merging.without(corpus.id, part, part.removed), len(live))
    ready = [(at, document, job) for at, document, job in live if job and _state(job, rules) == records.SUCCEEDED]
    # Files are written anew when they would hold twice as many documents: each document is written twice on average.
    # What was replaced or removed leaves them at once, since the document that replaces it may count by now.
    if not ended and part.gone == marked(gone) and len(ready) < max(1, 2 * part.documents):
        return part
    if not ready:
        return msgspec.structs.replace(part, token="", files=0, documents=0, gone=marked(gone), words=0)
    return _settled(_written(store, corpus, msgspec.structs.replace(part, gone=marked(gone)), ready, token), len(live))


def _settled(part: Part, live: int) -> Part:
    """The part, where it has ended with the states of what is in its files: what was erased meanwhile has failed."""
    if not part.ended:
        return part
    states = {records.SUCCEEDED: part.documents, records.FAILED: live - part.documents}
    return msgspec.structs.replace(part, states={name: number for name, number in states.items() if number})


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


def _written(store: Records, corpus: Corpus, part: Part, ready: list[tuple[int, Document, Job]], token: str) -> Part:
    """The part with new files of all documents that are ready."""
    made = msgspec.structs.replace(part, token=token)
    paths: dict[str, list[Path]] = {"words": [], "documents": []}
    documents = total = 0
    with tempfile.TemporaryDirectory(prefix="compaction-") as folder:
        for number, group in enumerate(_groups(_documents(store, part.batch, ready))):
            documents, total = documents + len(group), total + sum(one.evidence.table.total for one in group)
            for kind, data in zip(paths, parts.write(group), strict=True):
                objects.put(files.name(corpus.id, made, kind, number), data)
                paths[kind].append(Path(folder) / f"{number}.{kind}")
                paths[kind][-1].write_bytes(data)
        made = msgspec.structs.replace(made, files=len(paths["words"]), documents=documents, words=total)
        merging.summarise(corpus.id, made, paths)
    return made


def _groups(documents: Iterator[parts.Document]) -> Iterator[list[parts.Document]]:
    """The documents in groups of about ``FILE_WORDS`` words: so many are in memory at once."""
    group: list[parts.Document] = []
    size = 0
    for document in documents:
        group.append(document)
        size += document.evidence.table.total
        if size > FILE_WORDS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _documents(store: Records, batch: int, ready: list[tuple[int, Document, Job]]) -> Iterator[parts.Document]:
    for at, document, job in ready:
        try:
            kept = {name: store.artifact(job, name) for name in reversed(evidence.ARTIFACTS)}
        except (Gone, NotKept):
            continue  # erased while this ran; the next run counts it as failed
        page = job.page or {}
        yield parts.Document(
            doc=batch * BATCH_MOST + at,
            id=job.id,
            key=document.key,
            evidence=evidence.read(kept, page.get("language") or ""),
            url=document.url or page.get("url"),
            title=page.get("title"),
            rules=job.rules or "",
            metadata=document.metadata,
        )


def _with_table(corpus: Corpus, manifest: Manifest, token: str) -> Manifest:
    """The manifest with a word table that adds up its parts' summaries."""
    summaries = files.views(corpus.id, manifest.parts, ("spellings", "folds"))
    documents = sum(part.documents for part in manifest.parts)
    with opened(summaries, parts.SCHEMAS) as engine:
        made = corpus_words.build(
            engine.columns(queries.MERGED_SPELLINGS),
            engine.columns(queries.MERGED_FOLDS),
            documents,
        )
    objects.put(files.table_name(corpus.id, token), corpus_words.pack(made))
    return msgspec.structs.replace(
        manifest, table=token, documents=documents, words=made.total, distinct=len(made.shown)
    )
