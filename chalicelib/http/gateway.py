"""From a request to its answer, without a web framework: routing, access, problems, headers, compression and the log.

``Gateway`` has the routes. app.py turns what Chalice has into a ``Call`` of plain values, and the ``Answer`` back.
"""

import codecs
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from aws_lambda_powertools import Logger

from chalicelib import errors, jobs
from chalicelib.dispatch import metering
from chalicelib.errors import Refused
from chalicelib.http import access, negotiation, responses
from chalicelib.http.responses import Answer
from chalicelib.http.schemas import NoQuery

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
PUBLIC = frozenset({"/", "/assets/{name}", "/docs", "/openapi.json", "/health"})

logger = Logger(service="wordcounts", child=True)
Query = TypeVar("Query", bound=msgspec.Struct)


@dataclass(slots=True)
class Call:
    """One request. ``route`` is the path with its parameters' names, ``path`` as it was asked for, with the stage."""

    method: str
    route: str
    path: str
    headers: Mapping[str, str]  # whatever the case of their names
    query: dict[str, list[str]]
    parameters: dict[str, str]
    body: Callable[[], bytes]
    request_id: str
    address: str  # of the client
    seconds_left: Callable[[], float]  # until the function is ended
    auth: str = "none"
    owner: str = ""  # of what is asked for, once access was checked
    job_id: str | None = None  # for the log
    subject: str | None = None  # what a table is of, where the answer is a file: CSV, whatever is accepted
    limits: dict[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """The stage's path before our own, such as ``/production``; empty where there is none."""
        segments = [part for part in self.route.split("/") if part]
        path = self.path.rstrip("/").split("/")
        return "/".join(path[: len(path) - len(segments)])

    def asked(self, kind: type[Query]) -> Query:
        """The query, checked."""
        return responses.query(self.query, kind)

    def accept(self, *offered: str) -> str:
        """The media type of the answer; Refused where the client accepts none that is offered."""
        if self.subject is not None:
            return responses.CSV
        best = negotiation.acceptable(self.headers.get("accept"), offered)
        if best is None:
            raise Refused("not-acceptable", f"Available: {', '.join(offered)}.")
        return best

    def json_only(self) -> None:
        """Refuse what asks for another representation than JSON, or has parameters."""
        self.accept(responses.JSON)
        self.asked(NoQuery)

    def wait(self, job: jobs.Job) -> tuple[jobs.Job, dict[str, str]]:
        """The job once it has ended, if the client prefers to wait and may wait; and the header that says so.

        For a file every client waits, since the programs that load one do not ask again.
        """
        wanted = negotiation.wait_preference(self.headers.get("prefer"))
        if wanted is None and self.subject is not None:
            wanted = int(jobs.MAX_WAIT)
        if wanted is None:
            return job, {}
        left = self.seconds_left() - 3
        seconds = min(wanted, jobs.MAX_WAIT)
        with metering.long_poll(job.owner, seconds, shared=self.auth == "token") as may_wait:
            if not may_wait:
                return job, {}
            return jobs.wait(job, max(0.0, min(seconds, left))), {"Preference-Applied": f"wait={seconds:.0f}"}


Handler = Callable[..., Answer]  # of a Call and the path's parameters


class Gateway:
    """The routes of a service with this kind of access (``none`` or ``token``)."""

    def __init__(self, auth: str, allow_origin: str) -> None:
        self.auth, self.allow_origin = auth, allow_origin
        self.routes: dict[str, dict[str, Handler]] = {}

    def serve(self, method: str, path: str, handler: Handler) -> None:
        """Have a handler answer a method of a path; HEAD is answered as GET is."""
        self.routes.setdefault(path, {})[method] = handler

    def serve_table(self, path: str, handler: Handler) -> None:
        """Have a handler answer GET of a table; with ``.csv`` behind the path the whole table is a file."""
        self.serve("GET", path, handler)
        self.serve("GET", f"{path}.csv", lambda call, **parameters: _file(handler, call, **parameters))

    def answer(self, call: Call) -> Answer:
        """The answer to a call, whatever happens, with the headers that every answer has; logged."""
        began = time.perf_counter()
        call.auth = self.auth
        try:
            answer = self._answer(call)
        except Exception as error:  # noqa: BLE001 - answered as a problem and, where it is our fault, logged
            answer = problem_of(error)
        self._finish(call, answer)
        _log(call, answer, time.perf_counter() - began)
        return answer

    def _answer(self, call: Call) -> Answer:
        served = self.routes[call.route]
        allowed = ", ".join([*served, *(["HEAD"] if "GET" in served else []), "OPTIONS"])
        if self.auth == "none":
            access.check_local(call.headers, call.method, allow_origin=self.allow_origin)
        if call.method == "OPTIONS":
            return Answer(204, headers={"Allow": allowed})
        if call.method not in allowed.split(", "):
            raise Refused("method-not-allowed", f"Allowed methods: {allowed}.", headers={"Allow": allowed})
        call.owner = "anonymous"
        if self.auth == "token" and call.route not in PUBLIC:
            call.owner = _bearer(call)
            call.limits = access.enforce_rate_limit(metering.take_request(call.owner))
        return served["GET" if call.method == "HEAD" else call.method](call, **call.parameters)

    def _finish(self, call: Call, answer: Answer) -> None:
        """Compress, drop what HEAD must not have, and add the headers that every answer has."""
        plain = "Content-Encoding" not in answer.headers and len(answer.body) >= responses.GZIP_FROM
        if plain and negotiation.takes("gzip", call.headers.get("accept-encoding")):
            responses.compressed(answer)
        if call.method == "HEAD":
            answer.body = b""
        shared = access.cors(call.headers, call.method, self.allow_origin, METHODS)
        kept = "Cache-Control" in answer.headers
        by = (answer.headers.get("Vary"), "Accept-Encoding" if kept else None, shared.get("Vary"))
        if vary := ", ".join(filter(None, by)):
            answer.headers["Vary"] = vary
        shared |= call.limits
        answer.headers = {**access.ALWAYS, "X-Request-Id": call.request_id, **shared, **answer.headers}


def _file(handler: Handler, call: Call, **parameters: str) -> Answer:
    """A table as a file that spreadsheets read: named, and with the mark by which Excel knows UTF-8."""
    table = call.route.rpartition("/")[2].removesuffix(".csv")
    call.subject = next(iter(parameters.values()))[:8]
    made = handler(call, **parameters)
    if made.status == 200:
        responses.check_whole(made, limited="limit" in call.query)
        made.body = codecs.BOM_UTF8 + made.body
        made.headers["Content-Disposition"] = f'attachment; filename="{table}-{call.subject}.csv"'
    return made


def _bearer(call: Call) -> str:
    """The caller that the request's token names; an address that sends too many that are not valid has to wait.

    Tokens that were valid before pass: others, behind the same address, send them.
    """
    wait = metering.is_refused(call.address)
    try:
        return access.bearer(
            call.headers, lambda token: None if wait and not jobs.was_used(token) else jobs.owner_of_token(token)
        )
    except Refused:
        if wait:
            detail = "Too many requests without a valid token came from this address."
            raise Refused("rate-limited", detail, headers={"Retry-After": "2"}) from None
        metering.count_refusal(call.address)
        raise


def problem_of(error: BaseException) -> Answer:
    """An exception as an answer; logged where it is our fault."""
    refused = errors.problem_for(error)
    if refused is None:
        logger.error("internal error", exc_info=error)
        return responses.problem(Refused("internal", "Something went wrong on our side; it has been logged."))
    if refused.name == "unavailable":
        logger.warning("unavailable", extra={"reason": str(error)})
    return responses.problem(refused)


def _log(call: Call, answer: Answer, seconds: float) -> None:
    asked = call.parameters.get("job_id", "")
    given: dict[str, Any] = {
        "method": call.method,
        "route": call.route,
        "status": answer.status,
        "ms": round(seconds * 1000, 1),
        "request_id": call.request_id,
        "job_id": call.job_id or (asked if responses.JOB_ID.fullmatch(asked) else None),
        "owner": call.owner or None,
    }
    logger.info("request", extra={name: value for name, value in given.items() if value is not None})
