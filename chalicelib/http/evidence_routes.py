"""The routes of what is read of a job's evidence: its text, contexts, places, phrases and keywords."""

from functools import partial

from chalicelib import jobs
from chalicelib.analysis import words
from chalicelib.http import evidence, responses
from chalicelib.http.gateway import Call
from chalicelib.http.job_routes import read_record, result_of
from chalicelib.http.responses import JSON, Answer

_read = partial(result_of, read=jobs.evidence_of)
read_text = partial(_read, kind=evidence.TextQuery, answer=evidence.text_answer, offered=(evidence.TEXT,))
read_contexts = partial(_read, kind=evidence.ContextsQuery, answer=evidence.contexts_answer)
read_places = partial(_read, kind=evidence.PlacesQuery, answer=evidence.places_answer, offered=(JSON,))
read_phrases = partial(_read, kind=evidence.PhrasesQuery, answer=evidence.phrases_answer)


def read_keywords(call: Call, job_id: str) -> Answer:
    """Words that a job has relatively more or less often than another."""

    def answer(record: jobs.Job, asked: evidence.KeywordsQuery, place: responses.Place) -> Answer:
        other = read_record(call, asked.against)
        if other.state != "succeeded":
            raise responses.no_result(other)
        about = {"id": record.id, "against": asked.against}
        prefix = words.fold(asked.prefix, jobs.language_of(record))
        return evidence.keywords_answer(jobs.word_tables(record, other), about, asked, place, prefix)

    return result_of(call, job_id, evidence.KeywordsQuery, lambda record: record, answer)
