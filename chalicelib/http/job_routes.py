"""The routes of jobs: each reads the call, asks ``jobs``, and answers; nothing is decided here."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from chalicelib import jobs, submissions
from chalicelib.aws import metrics
from chalicelib.http import negotiation, responses
from chalicelib.http.gateway import Call
from chalicelib.http.responses import Answer
from chalicelib.http.schemas import ENDED, ListQuery, NoQuery, WordsQuery

REVALIDATE = "private, no-cache"  # a job that has ended does not change, but it may be erased


def _checked(job_id: str) -> str:
    """The id; what cannot be one costs no look at the records."""
    if not responses.JOB_ID.fullmatch(job_id):
        raise jobs.NotFound(job_id)
    return job_id


def read_record(call: Call, job_id: str) -> jobs.Job:
    """The caller's job."""
    return jobs.get(_checked(job_id), call.owner)


def submit_job(call: Call) -> Answer:
    """Accept a submission."""
    call.json_only()
    responses.check_content(call.headers, responses.JSON)
    key = negotiation.idempotency_key(call.headers.get("idempotency-key"))
    submission = submissions.read(responses.body(call.body()))
    asked = jobs.Request(submission, call.owner, key=key, request_id=call.request_id)
    job, created = jobs.submit(asked)
    call.job_id = job.id
    metrics.emit_submitted(job.queue, int(created))
    job, waited = call.wait(job)
    replayed = {} if created else {"Idempotency-Replayed": "true"}
    return responses.accepted(job, prefix=call.prefix, now=jobs.now(), more={**waited, **replayed})


def list_jobs(call: Call) -> Answer:
    """Some of the caller's jobs."""
    call.accept(responses.JSON)
    asked = call.asked(ListQuery)
    found, after = jobs.owned(
        call.owner, limit=asked.limit, after=responses.read_cursor(asked.cursor), state=asked.state or None
    )
    return responses.jobs_answer(found, after, asked, call.prefix)


def read_job(call: Call, job_id: str) -> Answer:
    """One job, at once or when it has ended."""
    call.json_only()
    job, waited = call.wait(read_record(call, job_id))
    return responses.job_answer(job, call.headers.get("if-none-match"), now=jobs.now(), more=waited)


def erase_job(call: Call, job_id: str) -> Answer:
    """Delete a job that does not run, with its words."""
    call.asked(NoQuery)
    jobs.erase(_checked(job_id), call.owner)
    return Answer(204)


def cancel_job(call: Call, job_id: str) -> Answer:
    """End a job that waits or runs."""
    call.json_only()
    return responses.answer(200, responses.job(jobs.cancel(_checked(job_id), call.owner)))


def read_words(call: Call, job_id: str) -> Answer:
    """The words of a job, as JSON or CSV."""

    def answer(record: jobs.Job, asked: WordsQuery, place: responses.Place) -> Answer:
        table = jobs.word_table(record, fold=asked.case == "fold")
        return responses.words_answer(table, jobs.language_of(record), asked, place)

    return result_of(call, job_id, WordsQuery, lambda record: record, answer)


def result_of(
    call: Call,
    job_id: str,
    kind: Any,
    read: Callable[[jobs.Job], Any],
    answer: Callable[..., Answer],
    *,
    offered: Sequence[str] = (responses.JSON, responses.CSV),
) -> Answer:
    """What was read of a succeeded job, as an answer; 202 while it has not ended, 304 where the client has it."""
    media_type = call.accept(*offered)
    asked = call.asked(kind)
    record = read_record(call, job_id)
    if call.subject is not None:
        host = urlsplit(record.url).hostname if record.kind == "url" and record.url else None
        call.subject = "-".join(filter(None, (host, call.subject)))
        record, _ = call.wait(record)
    elif record.state not in ENDED:
        return responses.accepted(record, prefix=call.prefix, now=jobs.now())
    if record.state != "succeeded":
        raise responses.no_result(record)
    about = {"ETag": responses.words_etag(record, media_type), "Cache-Control": REVALIDATE, "Vary": "Accept"}
    if negotiation.matches(call.headers.get("if-none-match"), about["ETag"]):
        return Answer(304, headers=about)
    path = f"{call.prefix}/jobs/{record.id}/{call.route.rpartition('/')[2]}"
    made = answer(read(record), asked, responses.Place(record.id, path, media_type))
    made.headers |= about
    return made
