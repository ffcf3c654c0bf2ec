"""The doors of Wordcounts: every HTTP route and event handler. The only file that imports chalice.

A handler translates and decides nothing: it reads what came, calls ``jobs``, and says what happened as ``api`` has it.
"""

import functools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from aws_lambda_powertools import Logger
from chalice.app import (
    CaseInsensitiveMapping,
    Chalice,
    ChaliceUnhandledError,
    CloudWatchEvent,
    DynamoDBEvent,
    Rate,
    Request,
    SQSEvent,
)
from chalice.app import Response as ChaliceResponse

from chalicelib import corpora, errors, jobs, metering, settings, submissions, sweeping
from chalicelib.errors import Refused
from chalicelib.events import inbound, publisher
from chalicelib.http import access, evidence, negotiation, openapi, page, responses
from chalicelib.http import corpora as corpus_http
from chalicelib.http.responses import Answer
from chalicelib.http.schemas import Health, ListQuery, NoQuery, WordsQuery

AUTH, ALLOW_ORIGIN = settings.load().auth, settings.load().allow_origin
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
PUBLIC = frozenset({"/", "/assets/{name}", "/openapi.json", "/health"})
QUESTION_SECONDS = 2.0  # that a question about a corpus waits for its answer
REVALIDATE = "private, no-cache"  # a job that has ended does not change, but it may be erased

app = Chalice(app_name="wordcounts", configure_logs=False)
# Bodies arrive as they were sent, and leave as bytes, so that gzip may be among them; as base64 on their way.
app.api.binary_types = ["*/*"]
logger = Logger(service="wordcounts", level=settings.load().log_level, log_uncaught_exceptions=False)

Handler = Callable[..., Answer]
_served: dict[str, dict[str, Handler]] = {}


# --- what every request meets ---


def serve(method: str, path: str) -> Callable[[Handler], Handler]:
    """Route a method of a path. Every path takes all methods and types, so that 405 and 415 are ours to answer."""

    def register(handler: Handler) -> Handler:
        if path not in _served:
            _served[path] = {}
            app.route(path, methods=METHODS, content_types=["*/*"], name=f"http {path}")(_dispatch)
        _served[path][method] = handler
        return handler

    return register


def _dispatch(**parameters: str) -> ChaliceResponse:
    request = _request()
    method = "GET" if request.method == "HEAD" else request.method
    try:
        answer = _served[request.path][method](**parameters)
    except Exception as error:
        # Chalice would make a 500 of its own of anything else before the middleware saw it.
        raise ChaliceUnhandledError from error
    return ChaliceResponse(answer.body, {**answer.headers}, answer.status)


@app.middleware("http")
def complete(request: Request, get_response: Callable[[Request], ChaliceResponse]) -> ChaliceResponse:
    """Turn refusals and faults into problems; add what every answer has; write one line to the log."""
    began = time.perf_counter()
    # Chalice refuses to answer bytes to a client that says nothing about what it accepts; and of a field that comes
    # twice it takes the last, though both are one list (RFC 9110, 5.3).
    several = request.to_original_event().get("multiValueHeaders") or {}
    lists = {name.lower(): ", ".join(values) for name, values in several.items()}
    request.headers = CaseInsensitiveMapping({"accept": "*/*", **request.headers, **lists})
    try:
        response = get_response(request)
        answer = Answer(
            response.status_code, response.body, {name: str(value) for name, value in response.headers.items()}
        )
    except ChaliceUnhandledError as error:
        answer = _problem_of(error.__cause__ or error)
    except Exception as error:  # noqa: BLE001 - answered as a problem and, where it is our fault, logged
        answer = _problem_of(error)
    _finish(request, answer)
    _log(request, answer, time.perf_counter() - began)
    return ChaliceResponse(answer.body, {**answer.headers}, answer.status)


@app.middleware("http")
def admit(request: Request, get_response: Callable[[Request], ChaliceResponse]) -> ChaliceResponse:
    """Answer what is not served, and let in who may call; the handlers find the caller by ``_owner()``."""
    served = _served[request.path]
    allowed = ", ".join([*served, *(["HEAD"] if "GET" in served else []), "OPTIONS"])
    if AUTH == "none":
        access.check_local(request.headers, request.method, allow_origin=ALLOW_ORIGIN)
    if request.method == "OPTIONS":
        return ChaliceResponse(b"", {"Allow": allowed}, 204)
    if request.method not in allowed.split(", "):
        raise Refused("method-not-allowed", f"Allowed methods: {allowed}.", headers={"Allow": allowed})
    request.context["owner"] = "anonymous"
    if AUTH == "token" and request.path not in PUBLIC:
        request.context["owner"] = _bearer(request)
        request.context["limits"] = access.enforce_rate_limit(metering.take_request(request.context["owner"]))
    return get_response(request)


def _bearer(request: Request) -> str:
    """The caller that the request's token names; an address that sends too many that are not valid has to wait."""
    address = str((request.context.get("identity") or {}).get("sourceIp"))
    if metering.is_refused(address):
        raise access.refuse_address()
    try:
        return access.bearer(request.headers, jobs.owner_of_token)
    except Refused:
        metering.count_refusal(address)
        raise


def _problem_of(error: BaseException) -> Answer:
    refused = errors.problem_for(error)
    if refused is None:
        logger.error("internal error", exc_info=error)
        return responses.problem(Refused("internal", "Something went wrong on our side; it has been logged."))
    if refused.name == "unavailable":
        logger.warning("unavailable", extra={"reason": str(error)})
    return responses.problem(refused)


def _finish(request: Request, answer: Answer) -> None:
    """Compress, drop what HEAD must not have, and add the headers that every answer has."""
    if len(answer.body) >= responses.GZIP_FROM and negotiation.takes_gzip(request.headers.get("accept-encoding")):
        responses.compressed(answer)
    if request.method == "HEAD":
        answer.body = b""
    shared = access.cors(request.headers, request.method, ALLOW_ORIGIN, METHODS)
    kept = answer.headers.get("Cache-Control", "no-store") != "no-store"
    by = (answer.headers.get("Vary"), "Accept-Encoding" if kept else None, shared.get("Vary"))
    if vary := ", ".join(filter(None, by)):
        answer.headers["Vary"] = vary
    shared |= request.context.get("limits", {})
    answer.headers = {**access.SECURITY, "X-Request-Id": _request_id(request), **shared, **answer.headers}


def _log(request: Request, answer: Answer, seconds: float) -> None:
    asked = (request.uri_params or {}).get("job_id", "")
    given = {
        "method": request.method,
        "route": request.path,
        "status": answer.status,
        "ms": round(seconds * 1000, 1),
        "request_id": _request_id(request),
        "job_id": request.context.get("job_id") or (asked if responses.JOB_ID.fullmatch(asked) else None),
        "owner": request.context.get("owner"),
    }
    logger.info("request", extra={name: value for name, value in given.items() if value is not None})


def _request() -> Any:
    return app.current_request


def _request_id(request: Any) -> str:
    return str(request.context.get("requestId") or request.lambda_context.aws_request_id)


def _owner() -> str:
    return str(_request().context["owner"])


def _prefix() -> str:
    """The stage's path before our own, such as ``/production``; empty where there is none."""
    request = _request()
    segments = [part for part in request.path.split("/") if part]
    path = str(request.context["path"]).rstrip("/").split("/")
    return "/".join(path[: len(path) - len(segments)])


def _query(kind: Any) -> Any:
    return responses.query(dict(_parameters()), kind)


def _parameters() -> list[tuple[str, list[str]]]:
    found = _request().query_params
    return [] if found is None else [(name, found.getlist(name)) for name in found]


def _accept(*offered: str) -> str:
    best = negotiation.acceptable(_request().headers.get("accept"), offered)
    if best is None:
        raise Refused("not-acceptable", f"Available: {', '.join(offered)}.")
    return best


def _checked(job_id: str) -> str:
    """The id; what cannot be one costs no look at the records."""
    if not responses.JOB_ID.fullmatch(job_id):
        raise jobs.NotFound(job_id)
    return job_id


def _read(job_id: str) -> jobs.Job:
    return jobs.get(_checked(job_id), _owner())


def _wait(job: jobs.Job) -> tuple[jobs.Job, dict[str, str]]:
    """The job once it has ended, if the client prefers to wait and may wait; and what to say of that."""
    request = _request()
    wanted = negotiation.wait_preference(request.headers.get("prefer"))
    if wanted is None:
        return job, {}
    left = request.lambda_context.get_remaining_time_in_millis() / 1000 - 3
    seconds = min(wanted, jobs.MAX_WAIT)
    with metering.long_poll(job.owner, seconds, shared=AUTH == "token") as may_wait:
        if not may_wait:
            return job, {}
        return jobs.wait(job, max(0.0, min(seconds, left))), {"Preference-Applied": f"wait={seconds:.0f}"}


# --- jobs ---


@serve("POST", "/jobs")
def submit_job() -> Answer:
    """Accept a submission."""
    request = _request()
    _accept(responses.JSON)
    _query(NoQuery)
    responses.check_content(request.headers, responses.JSON)
    key = negotiation.idempotency_key(request.headers.get("idempotency-key"))
    submission = submissions.read(responses.body(request.raw_body))
    asked = jobs.Request(submission, _owner(), key=key, request_id=_request_id(request))
    job, created = jobs.submit(asked)
    request.context["job_id"] = job.id
    publisher.tell_submitted(job.queue, int(created))
    job, waited = _wait(job)
    replayed = {} if created else {"Idempotency-Replayed": "true"}
    return responses.accepted(job, prefix=_prefix(), now=jobs.now(), more={**waited, **replayed})


@serve("GET", "/jobs")
def list_jobs() -> Answer:
    """Some of the caller's jobs."""
    _accept(responses.JSON)
    asked = _query(ListQuery)
    found, after = jobs.owned(
        _owner(), limit=asked.limit, after=responses.read_cursor(asked.cursor), state=asked.state or None
    )
    return responses.jobs_answer(found, after, asked, _prefix())


@serve("GET", "/jobs/{job_id}")
def read_job(job_id: str) -> Answer:
    """One job, at once or when it has ended."""
    _accept(responses.JSON)
    _query(NoQuery)
    job, waited = _wait(_read(job_id))
    return responses.job_answer(job, _request().headers.get("if-none-match"), now=jobs.now(), more=waited)


@serve("DELETE", "/jobs/{job_id}")
def erase_job(job_id: str) -> Answer:
    """Delete a job that does not run, with its words."""
    _query(NoQuery)
    jobs.erase(_checked(job_id), _owner())
    return Answer(204)


@serve("POST", "/jobs/{job_id}/cancel")
def cancel_job(job_id: str) -> Answer:
    """End a job that waits or runs."""
    _accept(responses.JSON)
    _query(NoQuery)
    return responses.answer(200, responses.job(jobs.cancel(_checked(job_id), _owner())), {"Cache-Control": "no-store"})


@serve("GET", "/jobs/{job_id}/words")
def read_words(job_id: str) -> Answer:
    """The words of a job, as JSON or CSV."""

    def answer(record: jobs.Job, asked: WordsQuery, place: responses.Place) -> Answer:
        table = jobs.word_table(record, fold=asked.case == "fold")
        return responses.words_answer((responses.job(record), table), asked, place)

    return _result(job_id, WordsQuery, lambda record: record, answer)


@serve("GET", "/jobs/{job_id}/text")
def read_text(job_id: str) -> Answer:
    """The text of a job, as it was counted."""
    return _result(job_id, evidence.TextQuery, jobs.evidence_of, evidence.text_answer, offered=(evidence.TEXT,))


@serve("GET", "/jobs/{job_id}/contexts")
def read_contexts(job_id: str) -> Answer:
    """Where a word or a phrase of a job occurs."""
    return _result(job_id, evidence.ContextsQuery, jobs.evidence_of, evidence.contexts_answer)


@serve("GET", "/jobs/{job_id}/phrases")
def read_phrases(job_id: str) -> Answer:
    """Words of a job that follow each other again and again."""
    return _result(job_id, evidence.PhrasesQuery, jobs.evidence_of, evidence.phrases_answer)


@serve("GET", "/jobs/{job_id}/keywords")
def read_keywords(job_id: str) -> Answer:
    """Words that a job has relatively more or less often than another."""

    def answer(record: jobs.Job, asked: evidence.KeywordsQuery, place: responses.Place) -> Answer:
        other = _read(asked.against)
        if other.state != "succeeded":
            raise responses.no_result(other)
        return evidence.keywords_answer(jobs.word_tables(record, other), asked, place)

    return _result(job_id, evidence.KeywordsQuery, lambda record: record, answer)


def _result(
    job_id: str,
    kind: Any,
    read: Callable[[jobs.Job], Any],
    answer: Callable[..., Answer],
    *,
    offered: Sequence[str] = (responses.JSON, responses.CSV),
) -> Answer:
    """What was read of a succeeded job, as an answer; 202 while it has not ended, 304 where the client has it."""
    media_type = _accept(*offered)
    asked = _query(kind)
    record = _read(job_id)
    if record.state not in responses.ENDED:
        return responses.accepted(record, prefix=_prefix(), now=jobs.now())
    if record.state != "succeeded":
        raise responses.no_result(record)
    about = {"ETag": responses.words_etag(record, media_type), "Cache-Control": REVALIDATE, "Vary": "Accept"}
    if negotiation.matches(_request().headers.get("if-none-match"), about["ETag"]):
        return Answer(304, headers=about)
    path = f"{_prefix()}/jobs/{record.id}/{_request().path.rpartition('/')[2]}"
    made = answer(read(record), asked, responses.Place(record.id, path, media_type))
    made.headers |= about
    return made


# --- corpora ---


@serve("POST", "/corpora")
def make_corpus() -> Answer:
    """Make a corpus."""
    request = _request()
    _accept(responses.JSON)
    _query(NoQuery)
    responses.check_content(request.headers, responses.JSON)
    key = negotiation.idempotency_key(request.headers.get("idempotency-key"))
    asked = corpus_http.new_corpus(request.raw_body)
    made, created = corpora.create(_owner(), name=asked.name, options=asked.options, metadata=asked.metadata, key=key)
    more = {"Location": f"{_prefix()}/corpora/{made.id}", "Cache-Control": "no-store"}
    return responses.answer(201 if created else 200, corpus_http.corpus(made), more)


@serve("GET", "/corpora")
def list_corpora() -> Answer:
    """Some of the caller's corpora."""
    _accept(responses.JSON)
    asked = _query(corpus_http.CursorQuery)
    found, after = corpora.owned(_owner(), limit=asked.limit, after=responses.read_cursor(asked.cursor))
    return corpus_http.corpora_answer(found, after, asked, f"{_prefix()}/corpora")


@serve("GET", "/corpora/{corpus_id}")
def read_corpus(corpus_id: str) -> Answer:
    """One corpus."""
    _accept(responses.JSON)
    _query(NoQuery)
    return responses.answer(200, corpus_http.corpus(_corpus(corpus_id)), {"Cache-Control": "no-store"})


@serve("DELETE", "/corpora/{corpus_id}")
def erase_corpus(corpus_id: str) -> Answer:
    """Erase a corpus with its documents: begun when this answers."""
    _query(NoQuery)
    corpora.erase(_corpus(corpus_id).id, _owner())
    return Answer(204)


@serve("POST", "/corpora/{corpus_id}/documents")
def add_documents(corpus_id: str) -> Answer:
    """Take documents into a corpus."""
    request = _request()
    _accept(responses.JSON)
    _query(NoQuery)
    media_type = negotiation.media_type(request.headers.get("content-type"))
    if media_type != corpus_http.NDJSON:
        responses.check_content(request.headers, responses.JSON)
    corpus = _corpus(corpus_id)
    given, refused = corpus_http.documents(request.raw_body, media_type, corpus)
    corpora.add(corpus.id, _owner(), given, request_id=_request_id(request))
    body = responses.encoded({"accepted": len(given), "refused": refused})
    return Answer(202, body, {"Content-Type": responses.JSON, "Cache-Control": "no-store"})


@serve("GET", "/corpora/{corpus_id}/documents")
def list_documents(corpus_id: str) -> Answer:
    """A corpus' documents, with their states and errors."""
    _accept(responses.JSON)
    asked = _query(corpus_http.DocumentsQuery)
    corpus = _corpus(corpus_id)
    found, after = corpora.documents(
        corpus.id,
        _owner(),
        limit=asked.limit,
        after=corpus_http.read_cursor(asked.cursor),
        state=asked.state or None,
    )
    return corpus_http.documents_answer(found, after, asked, f"{_prefix()}/corpora/{corpus.id}/documents")


@serve("DELETE", "/corpora/{corpus_id}/documents")
def remove_document(corpus_id: str) -> Answer:
    """Take a document out of a corpus and erase it."""
    asked = _query(corpus_http.KeyQuery)
    corpora.remove(_corpus(corpus_id).id, _owner(), asked.key)
    return Answer(204)


@serve("GET", "/corpora/{corpus_id}/words")
def read_corpus_words(corpus_id: str) -> Answer:
    """The words of a corpus."""
    media_type = _accept(responses.JSON, responses.CSV)
    asked, corpus = _query(corpus_http.WordsQuery), _corpus(corpus_id)
    path = f"{_prefix()}/corpora/{corpus.id}/words"
    return corpus_http.words_answer(corpus, corpora.table(corpus), asked, path, media_type)


@serve("GET", "/corpora/{corpus_id}/keywords")
def read_corpus_keywords(corpus_id: str) -> Answer:
    """Words that a corpus has relatively more or less often than a job or another corpus."""
    media_type = _accept(responses.JSON, responses.CSV)
    asked, corpus = _query(corpus_http.KeywordsQuery), _corpus(corpus_id)
    tables = corpora.compared(corpus, asked.against, _owner())
    return corpus_http.keywords_answer(corpus, tables, asked, f"{_prefix()}/corpora/{corpus.id}/keywords", media_type)


@serve("GET", "/corpora/{corpus_id}/contexts")
def read_corpus_contexts(corpus_id: str) -> Answer:
    """Where a word or a phrase of a corpus occurs."""
    return _question(corpus_id, "contexts", corpus_http.ContextsQuery)


@serve("GET", "/corpora/{corpus_id}/phrases")
def read_corpus_phrases(corpus_id: str) -> Answer:
    """Words of a corpus that follow each other again and again."""
    return _question(corpus_id, "phrases", corpus_http.PhrasesQuery)


@serve("GET", "/corpora/{corpus_id}/collocates")
def read_corpus_collocates(corpus_id: str) -> Answer:
    """Words of a corpus that stand near a word."""
    return _question(corpus_id, "collocates", corpus_http.CollocatesQuery)


def _corpus(corpus_id: str) -> corpora.Corpus:
    if not responses.JOB_ID.fullmatch(corpus_id):
        raise errors.NoCorpus(corpus_id)
    return corpora.get(corpus_id, _owner())


def _question(corpus_id: str, name: str, kind: Any) -> Answer:
    """The answer to a question that a worker has to look for: 202 while it does, for more than two seconds."""
    media_type = _accept(responses.JSON, responses.CSV)
    asked, corpus = _query(kind), _corpus(corpus_id)
    path = f"{_prefix()}/corpora/{corpus.id}/{name}"
    job = corpora.ask(corpus, name, asked.asked(), request_id=_request_id(_request()))
    wanted = negotiation.wait_preference(_request().headers.get("prefer"))
    job = jobs.wait(job, QUESTION_SECONDS if wanted is None else min(wanted, jobs.MAX_WAIT))
    if job.state == "succeeded":
        return corpus_http.found_answer(corpus, name, corpora.answer(job), asked, path, media_type)
    if job.state in responses.ENDED:
        raise Refused(*corpora.why(job))
    more = {"Location": corpus_http.again(path, asked), "Retry-After": "1", "Cache-Control": "no-store"}
    return responses.answer(202, corpus_http.corpus(corpus), more)


# --- about the service ---


@serve("GET", "/openapi.json")
def describe() -> Answer:
    """The OpenAPI document."""
    _accept(responses.JSON)
    _query(NoQuery)
    return Answer(
        200,
        openapi.document(_prefix() or "/", auth=AUTH),
        {"Content-Type": responses.JSON, "Cache-Control": "public, max-age=300"},
    )


_health_lock = threading.Lock()
_health: tuple[float, Health] | None = None


@serve("GET", "/health")
def health() -> Answer:
    """What was checked within the last second, and whether the service serves."""
    global _health
    _accept(responses.JSON)
    _query(NoQuery)
    with _health_lock:
        if _health is None or time.monotonic() - _health[0] > 1:
            found = jobs.health()
            _name_fault(found["fault"])
            _health = time.monotonic(), Health(status=found["status"], checks=found["checks"])
    status = 503 if _health[1].status == "unavailable" else 200
    return responses.answer(status, _health[1], {"Cache-Control": "no-store"})


@functools.cache
def _name_fault(fault: str | None) -> None:
    """Log once what no waiting will mend."""
    if fault is not None:
        logger.error(fault)


# --- the page ---


@serve("GET", "/")
def show_page() -> Answer:
    """The page; with ``?job=`` a plain view of that job for those without JavaScript."""
    found: dict[str, Any] = {}
    job_id = dict(_parameters()).get("job", [""])[-1]
    if job_id and AUTH == "none":
        try:
            found = _plain_view(_read(job_id))
        except (jobs.NotFound, jobs.Gone, jobs.Unavailable) as error:
            refused = _problem_of(error)
            return _page(refused.status, problem=responses.plain(refused))
    return _page(200, **found)


def _plain_view(record: jobs.Job) -> dict[str, Any]:
    job = responses.job(record)
    if job.state != "succeeded":
        return {"job": responses.plain(job)}
    place = responses.Place(record.id, "", responses.JSON)
    answer = responses.words_answer((job, jobs.word_table(record)), WordsQuery(), place)
    return {"job": responses.plain(job), "words": responses.plain(answer)["words"]}


@serve("POST", "/")
def submit_form() -> Answer:
    """The page's form, for those without JavaScript: submit and go to the job's plain view."""
    request = _request()
    if AUTH != "none":
        raise Refused(
            "forbidden", "Forms are not taken here: the page's script or the API sends the token that is needed."
        )
    fields: dict[str, str] = {}
    try:
        fields, key = _form(request)
        asked = jobs.Request(submissions.read(fields), _owner(), key=negotiation.idempotency_key(key))
        job, created = jobs.submit(asked)
    except errors.WordcountsError as error:
        refused = _problem_of(error)
        return _page(refused.status, problem=responses.plain(refused), form=fields)
    publisher.tell_submitted(job.queue, int(created))
    return Answer(303, headers={"Location": f"{_prefix()}/?job={job.id}", "Cache-Control": "no-store"})


def _form(request: Any) -> tuple[dict[str, str], str | None]:
    responses.check_content(request.headers, responses.FORM)
    responses.check_form(request.raw_body)
    try:
        return page.read_form(request.raw_body)
    except ValueError as error:
        raise Refused("invalid-request", "The form cannot be read.") from error


def _page(status: int, **content: Any) -> Answer:
    try:
        html = page.render(prefix=f"{_prefix()}/", plain=AUTH == "none", **content)
    except FileNotFoundError:
        return responses.problem(
            Refused("unavailable", "The page was not built: the build puts it into chalicelib/web.")
        )
    return Answer(status, html.encode(), dict(page.HEADERS))


@serve("GET", "/assets/{name}")
def show_asset(name: str) -> Answer:
    """A built file of the page; its name has a hash of its content, so it may be kept for ever."""
    asset = page.asset(name)
    if asset is None:
        raise Refused("not-found", "There is no such file.")
    cache = "public, max-age=31536000, immutable"
    return Answer(200, asset.body.encode(), {"Content-Type": asset.content_type, "Cache-Control": cache})


# --- events ---


def _submitter(context: Any) -> Callable[[Sequence[inbound.Entry]], Sequence[jobs.Job | Exception]]:
    """What comes by events belongs to one owner and goes by the bulk queue; a message chooses neither."""
    owner = "anonymous" if AUTH == "none" else settings.load().event_owner
    request_id = getattr(context, "aws_request_id", None)

    def submit(entries: Sequence[inbound.Entry]) -> Sequence[jobs.Job | Exception]:
        asked = [jobs.Request(entry.submission, owner, entry.key, jobs.BULK, request_id) for entry in entries]
        answers = jobs.submit_many(asked)
        publisher.tell_submitted(jobs.BULK, sum(not isinstance(answer, Exception) for answer in answers))
        return answers

    return submit


@app.on_sqs_message(queue="submissions", batch_size=1000, maximum_batching_window_in_seconds=1)
def sqs(event: SQSEvent) -> Any:
    """Messages from the submissions queue."""
    return inbound.receive(event.to_dict()["Records"], _submitter(event.context))


_CREATED = {"source": ["aws.s3"], "detail-type": ["Object Created"]}
_OURS = {"anything-but": {"prefix": inbound.REPORTS}}


@app.on_cw_event({**_CREATED, "detail": {"object": {"key": [_OURS]}}})
def s3(event: CloudWatchEvent) -> Any:
    """An object was created in the documents bucket."""
    left = getattr(event.context, "get_remaining_time_in_millis", lambda: float("inf"))
    return inbound.stored(event.to_dict(), _submitter(event.context), lambda: left() / 1000)


@app.on_cw_event({"detail-type": [inbound.REQUESTED]})
def requested(event: CloudWatchEvent) -> Any:
    """An event that asks for a job."""
    return {"job_id": inbound.request(event.to_dict(), _submitter(event.context))}


@app.schedule(Rate(1, unit=Rate.MINUTES))
def sweep(_event: CloudWatchEvent) -> Any:
    """Every minute: what was lost goes on the queue again, and the autoscaler learns how much waits."""
    swept = sweeping.sweep(seconds=40)
    publisher.tell_swept(len(swept.requeued), len(swept.failed))
    publisher.tell_backlog(jobs.backlog())
    return {"requeued": len(swept.requeued), "failed": len(swept.failed), "complete": swept.complete}


@app.on_dynamodb_record("stream", batch_size=100, starting_position="TRIM_HORIZON")
def ended(event: DynamoDBEvent) -> Any:
    """Records of jobs that have ended, from the table's stream."""
    return publisher.leave(event.to_dict()["Records"])
