"""The routes of what is read of a job's evidence: its text, contexts, places, phrases and keywords."""

from chalicelib import jobs
from chalicelib.analysis import words
from chalicelib.http import evidence, responses
from chalicelib.http.gateway import Call
from chalicelib.http.job_routes import read_record, result_of
from chalicelib.http.responses import Answer


def read_text(call: Call, job_id: str) -> Answer:
    """The text of a job, as it was counted."""
    return result_of(call, job_id, evidence.TextQuery, jobs.evidence_of, evidence.text_answer, offered=(evidence.TEXT,))


def read_contexts(call: Call, job_id: str) -> Answer:
    """Where a word or a phrase of a job occurs."""
    return result_of(call, job_id, evidence.ContextsQuery, jobs.evidence_of, evidence.contexts_answer)


def read_places(call: Call, job_id: str) -> Answer:
    """In which parts of a job's text some words are."""
    read = jobs.evidence_of
    return result_of(call, job_id, evidence.PlacesQuery, read, evidence.places_answer, offered=(responses.JSON,))


def read_phrases(call: Call, job_id: str) -> Answer:
    """Words of a job that follow each other again and again."""
    return result_of(call, job_id, evidence.PhrasesQuery, jobs.evidence_of, evidence.phrases_answer)


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
