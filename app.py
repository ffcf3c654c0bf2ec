"""The entry points of Wordcounts: the table of HTTP routes and the event handlers. Only this file imports chalice.

An entry point translates and decides nothing: it hands what came to ``http/`` or ``events/`` as plain values.
"""

import functools
import time
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from chalice.app import CaseInsensitiveMapping, Chalice, CloudWatchEvent, DynamoDBEvent, Rate, Response, SQSEvent

from chalicelib import jobs, settings, sweeping
from chalicelib.aws import metrics
from chalicelib.events import inbound, results
from chalicelib.http import job_routes
from chalicelib.http.gateway import METHODS, Call, Gateway
from chalicelib.http.later import Later

if TYPE_CHECKING:
    from chalicelib.events import publisher
    from chalicelib.http import corpus_routes, evidence_routes, page_routes
else:  # a fifth of the imports at a cold start, for requests that most starts do not meet
    publisher = Later("chalicelib.events.publisher")
    corpus_routes, evidence_routes, page_routes = (
        Later(f"chalicelib.http.{name}_routes") for name in ("corpus", "evidence", "page")
    )

AUTH, ALLOW_ORIGIN = settings.load().auth, settings.load().allow_origin

app = Chalice(app_name="wordcounts", configure_logs=False)
# Bodies arrive as they were sent, and leave as bytes, so that gzip may be among them; as base64 on their way.
app.api.binary_types = ["*/*"]
logger = Logger(service="wordcounts", level=settings.load().log_level, log_uncaught_exceptions=False)
gateway = Gateway(AUTH, ALLOW_ORIGIN)

# --- routes ---

gateway.serve("POST", "/jobs", job_routes.submit_job)
gateway.serve("GET", "/jobs", job_routes.list_jobs)
gateway.serve("GET", "/jobs/{job_id}", job_routes.read_job)
gateway.serve("DELETE", "/jobs/{job_id}", job_routes.erase_job)
gateway.serve("POST", "/jobs/{job_id}/cancel", job_routes.cancel_job)
gateway.serve_table("/jobs/{job_id}/words", job_routes.read_words)
gateway.serve("GET", "/jobs/{job_id}/text", evidence_routes.read_text)
gateway.serve_table("/jobs/{job_id}/contexts", evidence_routes.read_contexts)
gateway.serve("GET", "/jobs/{job_id}/places", evidence_routes.read_places)
gateway.serve_table("/jobs/{job_id}/phrases", evidence_routes.read_phrases)
gateway.serve_table("/jobs/{job_id}/keywords", evidence_routes.read_keywords)
gateway.serve("POST", "/corpora", corpus_routes.make_corpus)
gateway.serve("GET", "/corpora", corpus_routes.list_corpora)
gateway.serve("GET", "/corpora/{corpus_id}", corpus_routes.read_corpus)
gateway.serve("DELETE", "/corpora/{corpus_id}", corpus_routes.erase_corpus)
gateway.serve("POST", "/corpora/{corpus_id}/documents", corpus_routes.add_documents)
gateway.serve("GET", "/corpora/{corpus_id}/documents", corpus_routes.list_documents)
gateway.serve("DELETE", "/corpora/{corpus_id}/documents", corpus_routes.remove_document)
gateway.serve("POST", "/corpora/{corpus_id}/sources", corpus_routes.add_source)
gateway.serve("GET", "/corpora/{corpus_id}/sources", corpus_routes.list_sources)
gateway.serve("GET", "/corpora/{corpus_id}/sources/{source_id}", corpus_routes.read_source)
gateway.serve_table("/corpora/{corpus_id}/words", corpus_routes.read_corpus_words)
gateway.serve_table("/corpora/{corpus_id}/keywords", corpus_routes.read_corpus_keywords)
gateway.serve_table("/corpora/{corpus_id}/contexts", corpus_routes.read_corpus_contexts)
gateway.serve_table("/corpora/{corpus_id}/phrases", corpus_routes.read_corpus_phrases)
gateway.serve_table("/corpora/{corpus_id}/collocates", corpus_routes.read_corpus_collocates)
gateway.serve("GET", "/openapi.json", page_routes.describe)
gateway.serve("GET", "/docs", page_routes.show_docs)
gateway.serve("GET", "/health", page_routes.health)
gateway.serve("GET", "/", page_routes.show_page)
gateway.serve("POST", "/", page_routes.submit_form)
gateway.serve("GET", "/assets/{name}", page_routes.show_asset)


def _dispatch(**parameters: str) -> Response:
    """Answer a request that Chalice has routed."""
    request: Any = app.current_request
    # Chalice refuses to answer bytes to a client that says nothing about what it accepts; and of a field that comes
    # twice it takes the last, though both are one list (RFC 9110, 5.3).
    several = request.to_original_event().get("multiValueHeaders") or {}
    lists = {name.lower(): ", ".join(values) for name, values in several.items()}
    request.headers = CaseInsensitiveMapping({"accept": "*/*", **request.headers, **lists})
    query = request.query_params
    context = request.context
    answer = gateway.answer(
        Call(
            method=request.method,
            route=request.path,
            path=str(context["path"]),
            headers=request.headers,
            query={} if query is None else {name: query.getlist(name) for name in query},
            parameters=parameters,
            body=lambda: request.raw_body,
            request_id=str(context.get("requestId") or request.lambda_context.aws_request_id),
            address=str((context.get("identity") or {}).get("sourceIp")),
            seconds_left=lambda: request.lambda_context.get_remaining_time_in_millis() / 1000,
        )
    )
    return Response(answer.body, {**answer.headers}, answer.status)


for _path in gateway.routes:
    # Every path takes all methods and types, so that 405 and 415 are ours to answer.
    app.route(_path, methods=METHODS, content_types=["*/*"], name=f"http {_path}")(_dispatch)


# --- events ---


def _submitter(context: Any) -> inbound.Submit:
    owner = settings.load().owner_of_events
    return functools.partial(inbound.submit, owner=owner, request_id=getattr(context, "aws_request_id", None))


@app.on_sqs_message(queue="submissions", batch_size=1000, maximum_batching_window_in_seconds=1)
def sqs(event: SQSEvent) -> Any:
    """Messages from the submissions queue."""
    return inbound.from_queue(event.to_dict()["Records"], _submitter(event.context))


_CREATED = {"source": ["aws.s3"], "detail-type": ["Object Created"]}
_OURS = {"anything-but": {"prefix": results.REPORTS}}


@app.on_cw_event({**_CREATED, "detail": {"object": {"key": [_OURS]}}})
def s3(event: CloudWatchEvent) -> Any:
    """An object was created in the documents bucket."""
    left = getattr(event.context, "get_remaining_time_in_millis", lambda: float("inf"))
    return inbound.from_bucket(event.to_dict(), _submitter(event.context), lambda: left() / 1000)


@app.on_cw_event({"detail-type": [inbound.REQUESTED]})
def requested(event: CloudWatchEvent) -> Any:
    """An event that asks for a job."""
    return {"job_id": inbound.from_event_bus(event.to_dict(), _submitter(event.context))}


@app.schedule(Rate(1, unit=Rate.MINUTES))
def sweep(_event: CloudWatchEvent) -> Any:
    """Every minute: what was lost goes on the queue again, and the autoscaler learns how much waits."""
    swept = sweeping.sweep(seconds=40)
    metrics.emit_swept(len(swept.requeued), len(swept.failed))
    metrics.emit_backlog(jobs.backlog())
    if bucket := settings.load().documents_bucket:
        until = time.monotonic() + 10
        results.finish(bucket, jobs.table().get_many, lambda: until - time.monotonic())
    return {"requeued": len(swept.requeued), "failed": len(swept.failed), "complete": swept.complete}


@app.on_dynamodb_record("stream", batch_size=100, starting_position="TRIM_HORIZON")
def ended(event: DynamoDBEvent) -> Any:
    """Records of jobs that have ended and of corpora, from the table's stream."""
    return publisher.publish_events(event.to_dict()["Records"])
