"""The routes of the page and of the service itself: health and the OpenAPI document."""

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from aws_lambda_powertools import Logger

from chalicelib import errors, jobs, submissions
from chalicelib.analysis import words
from chalicelib.aws import metrics
from chalicelib.errors import Refused
from chalicelib.http import negotiation, openapi, page, responses
from chalicelib.http.gateway import Call, problem_of
from chalicelib.http.job_routes import read_record
from chalicelib.http.responses import Answer
from chalicelib.http.schemas import Health, NoQuery

logger = Logger(service="wordcounts", child=True)


def describe(call: Call) -> Answer:
    """The OpenAPI document."""
    call.json_only()
    return Answer(
        200,
        openapi.document(call.prefix or "/", auth=call.auth),
        {"Content-Type": responses.JSON, "Cache-Control": "public, max-age=300"},
    )


_health_lock = threading.Lock()
_health: tuple[float, Health] | None = None


def health(call: Call) -> Answer:
    """What was checked within the last second, and whether the service serves."""
    global _health
    call.json_only()
    with _health_lock:
        if _health is None or time.monotonic() - _health[0] > 1:
            found = jobs.health()
            _name_fault(found["fault"])
            _health = time.monotonic(), Health(status=found["status"], checks=found["checks"])
    status = 503 if _health[1].status == "unavailable" else 200
    return responses.answer(status, _health[1])


@functools.cache
def _name_fault(fault: str | None) -> None:
    """Log once what will not pass by itself."""
    if fault is not None:
        logger.error(fault)


def show_page(call: Call) -> Answer:
    """The page; with ``?job=`` a plain view of that job for those without JavaScript."""
    found: dict[str, Any] = {}
    job_id = call.query.get("job", [""])[-1].partition(",")[0]  # of several the first
    if job_id and call.auth == "none":
        try:
            found = _plain_view(read_record(call, job_id))
        except (jobs.NotFound, jobs.Gone, jobs.Unavailable) as error:
            refused = problem_of(error)
            return _page(call, refused.status, problem=responses.plain(refused))
    return _page(call, 200, **found)


def _plain_view(record: jobs.Job) -> dict[str, Any]:
    job = responses.job(record)
    if job.state != "succeeded":
        return {"job": job}
    wanted = words.Query(stop_words=False)
    found = words.query(jobs.word_table(record), wanted, jobs.language_of(record))
    return {"job": job, "words": words.rows(found, 0, min(responses.WORDS_LIMIT, len(found)))}


def submit_form(call: Call) -> Answer:
    """The page's form, for those without JavaScript: submit and go to the job's plain view."""
    if call.auth != "none":
        raise Refused(
            "forbidden", "Forms are not taken here: the page's script or the API sends the token that is needed."
        )
    fields: dict[str, str] = {}
    try:
        fields, key = _form(call)
        asked = jobs.Request(submissions.read(fields), call.owner, key=negotiation.idempotency_key(key))
        job, created = jobs.submit(asked)
    except errors.WordcountsError as error:
        refused = problem_of(error)
        return _page(call, refused.status, problem=responses.plain(refused), form=fields)
    metrics.emit_submitted(job.queue, int(created))
    return Answer(303, headers={"Location": f"{call.prefix}/?job={job.id}"})


def _form(call: Call) -> tuple[dict[str, str], str | None]:
    responses.check_content(call.headers, responses.FORM)
    raw = call.body()
    if len(raw) > submissions.MAX_BODY_BYTES:  # larger than can hold a submission
        raise Refused("body-too-large", f"The form is too large: {submissions.MAX_BODY_BYTES // 1_000_000} MB at most.")
    try:
        return page.read_form(raw)
    except ValueError as error:
        raise Refused("invalid-request", "The form cannot be read.") from error


def show_docs(call: Call) -> Answer:
    """The API's reference, to be read."""
    call.asked(NoQuery)
    document = msgspec.json.decode(openapi.document(call.prefix or "/", auth=call.auth))
    return _html(200, lambda: page.docs(document, prefix=f"{call.prefix}/"))


def _page(call: Call, status: int, **content: Any) -> Answer:
    return _html(status, lambda: page.render(prefix=f"{call.prefix}/", plain=call.auth == "none", **content))


def _html(status: int, render: Callable[[], str]) -> Answer:
    try:
        html = render()
    except FileNotFoundError:
        return responses.problem(
            Refused("unavailable", "The page was not built: the build puts it into chalicelib/web.")
        )
    return Answer(status, html.encode(), dict(page.HEADERS))


def show_asset(call: Call, name: str) -> Answer:
    """A built file of the page; its name has a hash of its content, so it may be kept for ever."""
    asset = page.asset(name)
    if asset is None:
        raise Refused("not-found", "There is no such file.")
    headers = {"Content-Type": asset.content_type, "Cache-Control": "public, max-age=31536000, immutable"}
    if asset.brotli and negotiation.takes("br", call.headers.get("accept-encoding")):
        return Answer(200, asset.brotli, {**headers, "Content-Encoding": "br"})
    return Answer(200, asset.body, headers)
