"""The jobs of corpora that a worker runs: compaction, erasing, and questions."""

import zlib
from typing import NamedTuple

import duckdb
import msgspec

from chalicelib.aws import objects
from chalicelib.corpus import answers, compaction, handover
from chalicelib.errors import AttemptFailed, ErrorKind, Gone, Unavailable
from chalicelib.store import records
from chalicelib.store.corpora import Corpus, compaction_key
from chalicelib.store.records import Job, Packed, Records

COMPACTION, QUERY = KINDS = "compaction", "query"
# Of a compaction, by the clock and of CPU time; it then begins again behind others' jobs. The file that it is at and
# the word table come on top, up to 25 seconds of CPU for a million documents, and a run has 60.
RUN_SECONDS = 12.0
PAUSES = (0.3, 15.0)  # seconds between two looks at documents that have not ended: at first, and at most


class Later(NamedTuple):
    """The job has more to do after so many seconds."""

    seconds: float


def run(store: Records, job: Job) -> dict[str, Packed] | Later:
    """Do one job, or one step of it. Returns its artifacts, or when the next step is due; raises ``AttemptFailed``."""
    try:
        return _answer(store, job) if job.kind == QUERY else _compact(store, job)
    except Gone:
        raise _gone() from None
    except Unavailable:
        return Later(PAUSES[1])  # that is no failure of the job
    except objects.ObjectError as error:
        if job.kind == COMPACTION and error.transient:
            return Later(PAUSES[1])
        if job.kind == QUERY and error.absent:
            raise _changed() from None
        detail = f"The corpus' files cannot be read or written: {error}"
        raise AttemptFailed(error.kind, detail, transient=error.transient) from None
    except (duckdb.Error, OSError):
        if not _is_erased(store, job):
            raise
        raise _gone() from None  # its files went while they were read


def _compact(store: Records, job: Job) -> dict[str, Packed] | Later:
    corpus = store.find_corpus(job.options["corpus"])
    if corpus is None:
        raise Gone
    if corpus.erasing:
        return {} if compaction.erase(store, corpus, seconds=RUN_SECONDS) else Later(PAUSES[0])
    if job.options["changes"] < corpus.changes and _newer(store, corpus):
        return {}
    complete = compaction.compact(store, corpus, seconds=RUN_SECONDS)
    if complete:
        return {}
    if complete is None:
        return Later(PAUSES[0])
    waited = (store.now() - job.submitted_at) / 1000
    return Later(min(max(waited / 10, PAUSES[0]), PAUSES[1]))


def _newer(store: Records, corpus: Corpus) -> bool:
    """Whether the job of the last change is there, which does all that there is.

    It is not where a handler died between the change and its job; what was accepted before is then this job's to do.
    """
    job_id = records.key_id(corpus.owner, compaction_key(corpus.id, corpus.changes))
    job = store.get_many([job_id]).get(job_id)
    return job is not None and job.state not in (records.FAILED, records.CANCELED)


def _is_erased(store: Records, job: Job) -> bool:
    """Whether the corpus is gone, or another job is erasing it."""
    corpus = store.find_corpus(job.options["corpus"])
    return corpus is None or (corpus.erasing and job.options.get("changes") != corpus.changes)


def _gone() -> AttemptFailed:
    return AttemptFailed(ErrorKind.CORPUS_GONE, "The corpus was erased or has expired.")


def _changed() -> AttemptFailed:
    return AttemptFailed(ErrorKind.CORPUS_CHANGED, "The corpus has changed since the question was asked. Ask again.")


def _answer(store: Records, job: Job) -> dict[str, Packed] | Later:
    corpus = store.find_corpus(job.options["corpus"])
    question, asked = job.options["question"], job.options["asked"]
    if corpus is None or corpus.erasing or corpus.version != job.options["version"]:
        if not handover.stopped(store, job):
            return Later(handover.PAUSE)
        raise _gone() if corpus is None or corpus.erasing else _changed()
    rows = None
    if handover.is_needed(corpus, question):
        rows = handover.fetched(store, corpus, job, *answers.phrases_query(asked))
        if rows is None:
            return Later(handover.PAUSE)
    found = answers.answer(corpus, question, asked, rows)
    # Whoever erases the corpus erases the answers that are noted: so it is noted before it is there, and whether the
    # corpus is being erased is looked at after that.
    store.note_query(corpus, job.id)
    now = store.find_corpus(corpus.id)
    if now is None or now.erasing:
        raise Gone
    return {"answer": Packed([zlib.compress(msgspec.json.encode(found), 1)], large=True)}
