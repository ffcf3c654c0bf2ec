"""The routes of corpora: each reads the call, asks ``corpora``, and answers; nothing is decided here."""

from functools import partial
from typing import Any

import msgspec

from chalicelib import corpora, errors, jobs
from chalicelib.errors import Refused
from chalicelib.http import corpora as corpus_http
from chalicelib.http import evidence, negotiation, responses
from chalicelib.http import sources as source_http
from chalicelib.http.gateway import Call
from chalicelib.http.responses import Answer
from chalicelib.http.schemas import ENDED, NoQuery
from chalicelib.sources import resource as sources

QUESTION_SECONDS = 2.0  # that a question about a corpus waits for its answer


def make_corpus(call: Call) -> Answer:
    """Make a corpus."""
    call.json_only()
    responses.check_content(call.headers, responses.JSON)
    key = negotiation.idempotency_key(call.headers.get("idempotency-key"))
    asked, options = corpus_http.new_corpus(call.body())
    made, created = corpora.create(call.owner, name=asked.name, options=options, metadata=asked.metadata, key=key)
    more = {"Location": f"{call.prefix}/corpora/{made.id}"}
    return responses.answer(201 if created else 200, corpus_http.corpus(made), more)


def list_corpora(call: Call) -> Answer:
    """Some of the caller's corpora."""
    call.accept(responses.JSON)
    asked = call.asked(corpus_http.CursorQuery)
    found, after = corpora.owned(call.owner, limit=asked.limit, after=responses.read_cursor(asked.cursor))
    return corpus_http.corpora_answer(found, after, asked, f"{call.prefix}/corpora")


def read_corpus(call: Call, corpus_id: str) -> Answer:
    """One corpus."""
    call.json_only()
    return responses.answer(200, corpus_http.corpus(_corpus(call, corpus_id)))


def erase_corpus(call: Call, corpus_id: str) -> Answer:
    """Erase a corpus with its documents: begun when this answers."""
    call.asked(NoQuery)
    corpora.erase(_checked(corpus_id), call.owner)
    return Answer(204)


def add_documents(call: Call, corpus_id: str) -> Answer:
    """Take documents into a corpus."""
    call.json_only()
    media_type = negotiation.media_type(call.headers.get("content-type"))
    responses.check_content(call.headers, media_type if media_type == corpus_http.NDJSON else responses.JSON)
    corpus = _corpus(call, corpus_id)
    given, refused = corpus_http.documents(call.body(), media_type, corpus)
    answers = corpora.add(corpus.id, call.owner, [*given.values()], request_id=call.request_id)
    body = responses.encoded(corpus_http.accepted([*given], answers, refused))
    return Answer(202, body, {"Content-Type": responses.JSON})


def list_documents(call: Call, corpus_id: str) -> Answer:
    """A corpus' documents, with their states and errors."""
    call.accept(responses.JSON)
    asked = call.asked(corpus_http.DocumentsQuery)
    start = corpus_http.read_cursor(asked.cursor)
    found, after = corpora.documents(
        _checked(corpus_id), call.owner, limit=asked.limit, after=start, state=asked.state or None
    )
    return corpus_http.documents_answer(found, after, asked, f"{call.prefix}/corpora/{corpus_id}/documents")


def remove_document(call: Call, corpus_id: str) -> Answer:
    """Take a document out of a corpus and erase it."""
    asked = call.asked(corpus_http.KeyQuery)
    corpora.remove(_checked(corpus_id), call.owner, asked.key)
    return Answer(204)


def add_source(call: Call, corpus_id: str) -> Answer:
    """Have the pages of a sitemap taken into a corpus."""
    call.json_only()
    responses.check_content(call.headers, responses.JSON)
    key = negotiation.idempotency_key(call.headers.get("idempotency-key"))
    corpus, asked = _corpus(call, corpus_id), source_http.new_source(call.body())
    fields = msgspec.structs.asdict(asked)
    source, job = sources.create(corpus.id, call.owner, **fields, key=key, request_id=call.request_id)
    more = {"Location": f"{call.prefix}/corpora/{corpus.id}/sources/{source.id}"}
    return responses.answer(202, source_http.source(source, job), more)


def list_sources(call: Call, corpus_id: str) -> Answer:
    """A corpus' sources, with their states and errors."""
    call.json_only()
    found = sources.of(_checked(corpus_id), call.owner)
    body = source_http.Sources(sources=[source_http.source(*one) for one in found])
    return responses.answer(200, body)


def read_source(call: Call, corpus_id: str, source_id: str) -> Answer:
    """One source of a corpus."""
    call.json_only()
    found = sources.get(_checked(corpus_id), _checked(source_id), call.owner)
    return responses.answer(200, source_http.source(*found))


def read_corpus_words(call: Call, corpus_id: str) -> Answer:
    """The words of a corpus."""
    media_type = call.accept(responses.JSON, responses.CSV)
    asked, corpus = call.asked(corpus_http.WordsQuery), _corpus(call, corpus_id)
    asked = corpus_http.of_version(asked, version=corpus.version)
    return corpus_http.words_answer(corpus, corpora.table(corpus), asked, _place(call, corpus, media_type))


def read_corpus_keywords(call: Call, corpus_id: str) -> Answer:
    """Words that a corpus has relatively more or less often than a job or another corpus."""
    media_type = call.accept(responses.JSON, responses.CSV)
    asked, corpus = call.asked(corpus_http.KeywordsQuery), _corpus(call, corpus_id)
    *tables, other_version = corpora.compared(corpus, asked.against, call.owner)
    asked = corpus_http.of_version(asked, version=corpus.version, against_version=other_version)
    return evidence.keywords_answer(tables, corpus_http.about(corpus), asked, _place(call, corpus, media_type))


def _checked(given: str) -> str:
    """The id; what cannot be one costs no look at the records."""
    if not responses.JOB_ID.fullmatch(given):
        raise errors.NoCorpus(given)
    return given


def _corpus(call: Call, corpus_id: str) -> corpora.Corpus:
    return corpora.get(_checked(corpus_id), call.owner)


def _place(call: Call, corpus: corpora.Corpus, media_type: str) -> responses.Place:
    path = f"{call.prefix}/corpora/{corpus.id}/{call.route.rpartition('/')[2]}"
    return responses.Place(corpus.id, path, media_type)


def _question(call: Call, corpus_id: str, name: str, kind: Any) -> Answer:
    """The answer to a question that a worker has to look for: 202 while it does, for more than two seconds."""
    media_type = call.accept(responses.JSON, responses.CSV)
    asked, corpus = call.asked(kind), _corpus(call, corpus_id)
    place, bound = _place(call, corpus, media_type), corpus_http.of_version(asked, version=corpus.version)
    is_file = call.subject is not None
    if is_file and "limit" not in call.query:
        bound = msgspec.structs.replace(bound, limit=corpus_http.MOST[name])
    job = corpora.ask(corpus, name, corpus_http.question(bound), request_id=call.request_id)
    wanted = negotiation.wait_preference(call.headers.get("prefer"))
    usual = jobs.MAX_WAIT if is_file else QUESTION_SECONDS
    job = jobs.wait(job, usual if wanted is None else min(wanted, jobs.MAX_WAIT))
    if job.state == "succeeded":
        return corpus_http.found_answer(corpus, name, corpora.answer(job), bound, place)
    if job.state in ENDED:
        raise corpus_http.no_answer(job)
    if is_file:
        raise Refused("job-running", "The answer is still being looked for: ask again.", headers={"Retry-After": "1"})
    more = {"Location": responses.address(place.path, asked), "Retry-After": "1"}
    return responses.answer(202, corpus_http.corpus(corpus), more)


read_corpus_contexts = partial(_question, name="contexts", kind=corpus_http.ContextsQuery)
read_corpus_phrases = partial(_question, name="phrases", kind=corpus_http.PhrasesQuery)
read_corpus_collocates = partial(_question, name="collocates", kind=corpus_http.CollocatesQuery)
