"""The HTTP API on one machine: Chalice's local gateway behind waitress, so that it answers as API Gateway does.

    python -m scripts.serve 8000

waitress reads requests and keeps connections; here stand the adapter between the two and what API Gateway does besides:
path parameters are percent-decoded, unknown paths and methods and broken requests answer as problems, HEAD has no body,
framing that two readers may understand in two ways is refused, slow clients are cut off.
"""

import base64
import os
import re
import resource
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import waitress.channel
import waitress.parser
import waitress.server
import waitress.task
from chalice.app import CaseInsensitiveMapping, Chalice
from chalice.config import Config
from chalice.local import CustomLocalChalice, LocalChalice, LocalGateway
from waitress.utilities import BadRequest

from app import ALLOW_ORIGIN, METHODS, app, logger
from chalicelib.errors import Refused
from chalicelib.http import access, negotiation, page, responses

IDLE_SECONDS = 75  # a kept connection may say nothing for so long
REQUEST_SECONDS = 30  # a request's headers and body must have arrived
THREADS = 300  # the requests that the app lets wait for a job, and some that do not
MAX_HEADER_BYTES = 65_536
MAX_BODY_BYTES = 10_000_000  # as API Gateway; of a text or document the app takes less, and it says so itself

_NAMES = {408: "request-timeout", 413: "body-too-large", 431: "headers-too-large", 500: "internal"}
_DETAILS = {  # where waitress's own words are about its settings
    413: f"A request may have {MAX_BODY_BYTES // 1_000_000} MB at most.",
    431: f"The first line and the headers may have {MAX_HEADER_BYTES // 1024} KB together.",
}
_CODINGS = re.compile(rb"^transfer-encoding:[ \t]*(.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE)
Raw = tuple[int, dict[str, str], bytes]  # status, headers and body


class Gateway(LocalGateway):
    """Chalice's gateway with decoded path parameters, as API Gateway has them, and a refusal of unknown paths."""

    def _generate_lambda_event(self, method: str, path: str, headers: Any, body: bytes | None) -> Any:
        try:
            event = super()._generate_lambda_event(method, path, headers, body)
        except ValueError:
            raise Refused("not-found", "No such path.") from None
        event["pathParameters"] = {name: unquote(value) for name, value in event["pathParameters"].items()}
        return event


class Adapter:
    """Chalice's gateway as a WSGI application."""

    def __init__(self, served: Chalice) -> None:
        self.gateway = Gateway(served, Config.create(app_name="wordcounts", chalice_stage="local"))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """One request, as PEP 3333 has it."""
        method = environ["REQUEST_METHOD"]
        headers = {name[5:].replace("_", "-").title(): environ[name] for name in environ if name.startswith("HTTP_")}
        if "CONTENT_TYPE" in environ:  # which WSGI names without the prefix
            headers["Content-Type"] = environ["CONTENT_TYPE"]
        try:
            status, answered, body = self._answer(method, environ["REQUEST_URI"], headers, environ["wsgi.input"].read())
        except Refused as refused:
            status, answered, body = refusal(refused, method, headers)
        if status in (204, 304):
            answered.pop("Content-Type", None)
        else:
            answered["Content-Length"] = str(len(body))
        start_response(f"{status} {HTTPStatus(status).phrase}", list(answered.items()))
        return [] if method == "HEAD" or status in (204, 304) else [body]

    def _answer(self, method: str, uri: str, headers: dict[str, str], body: bytes) -> Raw:
        path, mark, query = uri.partition("?")
        # Chalice's gateway would cut the path at a ; or a #, which are as good as any other character of an id.
        target = quote(path, safe="/%", encoding="latin-1") + mark + query
        if target.startswith("//"):  # which Chalice takes for a host
            raise Refused("not-found", "No such path.")
        known = method in METHODS
        # HEAD is asked as GET, so that it has GET's length; of an unknown method only what is allowed is of interest.
        asked = {"HEAD": "GET"}.get(method, method) if known else "OPTIONS"
        returned = self.gateway.handle_request(method=asked, path=target, headers=headers, body=body or None)
        answered, content = dict(returned["headers"]), returned["body"]
        if not known:
            allow = answered.get("Allow", "")
            raise Refused("method-not-allowed", f"Allowed methods: {allow}.", headers={"Allow": allow})
        raw = base64.b64decode(content) if returned.get("isBase64Encoded") else content.encode()
        return returned["statusCode"], answered, raw


def refusal(refused: Refused, method: str, headers: Mapping[str, str]) -> Raw:
    """What never reaches the app, answered and logged as the app's own refusals are."""
    answer = _for_people(refused, headers) or responses.problem(refused)
    shared = access.cors(CaseInsensitiveMapping(dict(headers)), method, ALLOW_ORIGIN, METHODS)
    common = {**access.ALWAYS, "X-Request-Id": str(uuid.uuid4()), **shared}
    said = {"method": method, "status": answer.status, "problem": refused.name}
    logger.info("request", extra={**said, "request_id": common["X-Request-Id"]})
    return answer.status, {**common, **answer.headers}, answer.body


def _for_people(refused: Refused, headers: Mapping[str, str]) -> responses.Answer | None:
    """A path that is not served as a page, where the client would rather have one: somebody mistyped an address."""
    html = "text/html"
    if refused.name != "not-found" or negotiation.acceptable(headers.get("Accept"), (responses.JSON, html)) != html:
        return None
    try:
        made = page.refused("Page not found", "There is nothing at this address.", prefix="/")
    except FileNotFoundError:
        return None
    return responses.Answer(404, made.encode(), dict(page.HEADERS))


# --- what waitress lets through, and what API Gateway does not ---


class Parser(waitress.parser.HTTPRequestParser):  # type: ignore[misc]
    """Refuses a head that another reader could understand otherwise (RFC 9112)."""

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self.began = time.monotonic()

    def parse_header(self, header_plus: bytes) -> None:
        """As waitress, and stricter."""
        try:
            super().parse_header(header_plus)
            self._check(header_plus)
        except (waitress.parser.TransferEncodingNotImplemented, ValueError) as error:
            raise waitress.parser.ParsingError(str(error)) from None

    def _check(self, head: bytes) -> None:
        codings = [coding.lower() for coding in _CODINGS.findall(head.replace(b"\r\n", b"\n"))]
        length = self.headers.get("CONTENT_LENGTH", "")
        if codings and (codings != [b"chunked"] or length or self.version != "1.1"):
            raise ValueError("The request's framing is not understood.")
        if length.startswith("0") and length != "0":
            raise ValueError("The Content-Length is not a plain number.")
        if self.version not in ("1.0", "1.1"):
            raise ValueError("HTTP 1.0 and 1.1 are understood.")
        if not self.request_uri.startswith("/"):  # the absolute form, which a proxy's client sends, names the host
            target = urlsplit(self.request_uri)
            if target.scheme not in ("http", "https"):
                raise ValueError("The request's target is not a path.")
            self.headers["HOST"] = target.netloc
            self.request_uri = (target.path or "/") + (f"?{target.query}" if target.query else "")
        host = self.headers.get("HOST")
        if (host is None and self.version == "1.1") or "," in (host or ""):
            raise ValueError("One Host is expected.")


class Refusal(waitress.task.ErrorTask):  # type: ignore[misc]
    """What waitress refuses by itself, as a problem."""

    def execute(self) -> None:
        """Answer, and close the connection."""
        fault = self.request.error
        refused = Refused(_NAMES.get(fault.code, "invalid-request"), _DETAILS.get(fault.code, fault.body))
        headers = {name.replace("_", "-").title(): value for name, value in self.request.headers.items()}
        status, answered, body = refusal(refused, getattr(self.request, "command", ""), headers)
        self.status = f"{status} {HTTPStatus(status).phrase}"
        self.response_headers.extend(answered.items())
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Late(BadRequest):  # type: ignore[misc]
    """A request that does not arrive."""

    code = 408


class Task(waitress.task.WSGITask):  # type: ignore[misc]
    """One answer; after 204 and 304 the connection stays, though these have no length."""

    def set_close_on_finish(self) -> None:
        """As waitress, which closes for want of a length too."""
        if self.has_body or self.version != "1.1" or self.request.headers.get("CONNECTION", "").lower() == "close":
            super().set_close_on_finish()


class Channel(waitress.channel.HTTPChannel):  # type: ignore[misc]
    """A connection whose requests must arrive in time, however steadily they trickle."""

    parser_class = Parser
    task_class = Task
    error_task_class = Refusal

    def readable(self) -> bool:
        """Asked by waitress's loop at least once a second."""
        with self.requests_lock:
            late = self.request is not None and time.monotonic() - self.request.began > REQUEST_SECONDS
            if late and not self.requests:
                self.request.error = Late("The request did not arrive in time.")
                self.requests.append(self.request)
                self.request = None
                self.server.add_task(self)
        return bool(super().readable())

    def handle_close(self) -> None:
        """As waitress; a body that has not arrived may lie in a temporary file."""
        if self.request is not None:
            self.request.close()
        super().handle_close()


def make_server(port: int) -> Any:
    """The server, bound to the loopback and not yet serving.

    Its app keeps a current request for each thread, as Chalice's does.
    """
    if not isinstance(app, LocalChalice):
        CustomLocalChalice.__bases__ = (LocalChalice, app.__class__)
        app.__class__ = CustomLocalChalice
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    server = waitress.server.create_server(
        Adapter(app),
        map={},
        host="127.0.0.1",
        port=port,
        threads=THREADS,
        ident=None,
        connection_limit=max(50, min(2000, files // 2)),  # a waiting request holds a connection to Redis too
        channel_timeout=IDLE_SECONDS,
        cleanup_interval=10,
        max_request_header_size=MAX_HEADER_BYTES,
        max_request_body_size=MAX_BODY_BYTES,
        asyncore_use_poll=True,  # select ends at 1,024 files
    )
    server.channel_class = Channel
    return server


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192) if most > 0 else 8192, most))
    server = make_server(int(sys.argv[1]))

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: waitress lets what runs end, for 5 s
    server.run()
    sys.stdout.flush()
    os._exit(0)  # threads that wait for a job would hold the process for up to 20 s


if __name__ == "__main__":
    main()
