"""AWS Lambda without AWS: the real runtime client (``awslambdaric``), a small Runtime API, a gateway before it.

    with Function("app.app", env={...}) as function:
        function.invoke({"Records": [...]})            # the handler's return value, as Lambda would pass it on
        gateway = Gateway(function, app.app)
        gateway.request("GET", "/jobs/1")              # what API Gateway (REST, proxy, v1) would answer
        with gateway.serve() as url: ...               # the same by HTTP on loopback

The gateway does what API Gateway is known to do and ``chalice local`` does not: it decodes path parameters, sends an
unrouted request away by itself, caps the payload at 6 MB, renames headers that it keeps for itself.
"""

import base64
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
MAX_PAYLOAD = 6 * 1024 * 1024  # bytes of JSON that a synchronous invocation takes or gives
REMAPPED = {"date", "server", "www-authenticate", "connection", "content-length", "x-amzn-trace-id"}


class FunctionError(Exception):
    """The handler raised: ``type`` and the message are what Lambda reports."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.type = kind


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A runtime that ends while it waits for its next event is no error."""


class Function:
    """One Lambda execution environment: a process that handles one event at a time.

    ``root`` is the folder that the handler is imported from (LAMBDA_TASK_ROOT), ``python`` the interpreter; the child
    gets PATH, ``env`` and what Lambda sets, nothing else. ``init_seconds`` and ``init_cpu`` are the wall and CPU time
    from the start of the process to its first request for an event.
    """

    def __init__(
        self,
        handler: str = "app.app",
        *,
        root: Path = ROOT,
        env: Mapping[str, str] | None = None,
        name: str = "wordcounts-test",
        memory: int = 512,
        python: str = sys.executable,
    ) -> None:
        self.name = name
        self._events: queue.Queue[tuple[str, bytes, float]] = queue.Queue()
        self._answers: queue.Queue[tuple[str, str, bytes]] = queue.Queue()
        self._ready = threading.Event()
        self._lock = threading.Lock()
        self.init_seconds = self.init_cpu = 0.0
        self._server = _Server(("127.0.0.1", 0), self._runtime_api())
        threading.Thread(target=self._server.serve_forever, daemon=True, args=(0.05,)).start()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the function
        self._began = time.perf_counter()
        variables = {
            "PATH": os.environ["PATH"],
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "test",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info[0]}.{sys.version_info[1]}",
            "_HANDLER": handler,
            **(env or {}),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            "LAMBDA_TASK_ROOT": str(root),
        }
        self.process = subprocess.Popen(
            [python, "-m", "awslambdaric", handler], cwd=root, env=variables, stdout=self._log, stderr=self._log
        )

    def __enter__(self) -> "Function":
        try:
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Until the handler is imported; RuntimeError with the log when the import fails."""
        ends = time.monotonic() + timeout
        while not self._ready.wait(0.02):
            if self.process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"the handler did not start:\n{self.log()}")

    def invoke(self, event: Any, timeout: float = 29.0) -> Any:
        """What the handler returns, through JSON; FunctionError when it raises, TimeoutError after ``timeout`` s."""
        with self._lock:
            self.wait_ready()
            request_id = str(uuid.uuid4())
            self._events.put((request_id, json.dumps(event).encode(), time.time() + timeout))
            ends = time.monotonic() + timeout
            while True:
                try:
                    answered, outcome, body = self._answers.get(timeout=0.1)
                except queue.Empty:
                    if self.process.poll() is not None:
                        raise RuntimeError(f"the runtime ended:\n{self.log()}") from None
                    if time.monotonic() > ends:
                        self.process.kill()
                        raise TimeoutError(f"{self.name} timed out after {timeout} s") from None
                    continue
                if answered != request_id:
                    continue
                answer = json.loads(body) if body else None
                if outcome == "error":
                    raise FunctionError(answer.get("errorType", ""), answer.get("errorMessage", ""))
                return answer

    def cpu_seconds(self) -> float:
        """CPU time of the process's living threads until now; the kernel's nanoseconds, not its 10 ms ticks."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def memory_bytes(self) -> int:
        """The most memory that the process ever held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def log(self) -> str:
        """What the function printed: its log."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def kill(self) -> None:
        """SIGKILL, as when an environment is lost in the middle of an event."""
        self.process.send_signal(signal.SIGKILL)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._server.shutdown()
        self._server.server_close()
        self._log.close()

    def _runtime_api(self) -> type[BaseHTTPRequestHandler]:
        function = self

        class RuntimeAPI(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # headers and body in one segment: without it each answer waits 44 ms for an ACK

            def do_GET(self) -> None:
                if not function._ready.is_set():
                    function.init_seconds = time.perf_counter() - function._began
                    function.init_cpu = function.cpu_seconds()
                    function._ready.set()
                request_id, body, deadline = function._events.get()
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", request_id)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int(deadline * 1000)))
                arn = f"arn:aws:lambda:eu-central-1:123456789012:function:{function.name}"
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", arn)
                self.send_header("Lambda-Runtime-Trace-Id", f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}")
                self._finish(body)

            def do_POST(self) -> None:
                body = self._body()
                parts = self.path.split("/")  # /2018-06-01/runtime/invocation/<id>/response or .../error
                if parts[3] == "invocation":
                    function._answers.put((parts[4], parts[5], body))
                self.send_response(202)
                self._finish(b"{}")

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def _finish(self, body: bytes) -> None:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return RuntimeAPI


@dataclass(frozen=True)
class Answer:
    """What a client of the gateway receives; header names are lower case, the last of several wins."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: list[str] = field(default_factory=list)

    def json(self) -> Any:
        return json.loads(self.body)


class Gateway:
    """API Gateway's REST proxy integration (payload v1) before a Function, with the routes of a Chalice app."""

    def __init__(self, function: Function, app: Any, stage: str = "api") -> None:
        self.function = function
        self.stage = stage
        self.routes: dict[str, set[str]] = {path: set(methods) for path, methods in app.routes.items()}
        self.binary = set(app.api.binary_types)

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        source_ip: str = "192.0.2.1",
    ) -> Answer:
        """One request; ``target`` is path and query as a client writes them, without the stage."""
        sent = {"Host": "example.execute-api.eu-central-1.amazonaws.com", **(headers or {})}
        raw = body.encode() if isinstance(body, str) else body
        url = urlsplit(target)
        found = self._match(url.path)
        if found is None or method not in self.routes[found[0]]:
            return _gateway_response(
                403, "Missing Authentication Token"
            )  # infra/gateway.yaml turns it into a 404 problem
        event = self._event(method, url.path, url.query, found, sent, raw, source_ip)
        if len(raw) > 10 * 1024 * 1024 or len(json.dumps(event)) > MAX_PAYLOAD:
            return _gateway_response(413, "Request Too Long")
        try:
            return _answer(self.function.invoke(event))
        except FunctionError:
            return _gateway_response(502, "Internal server error")
        except TimeoutError:
            return _gateway_response(504, "Endpoint request timed out")

    @contextlib.contextmanager
    def serve(self) -> Iterator[str]:
        """The gateway on loopback; yields its address with the stage's prefix, without a final slash."""
        gateway = self

        class Front(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536

            def handle_any(self) -> None:
                prefix = f"/{gateway.stage}"
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                target = self.path.removeprefix(prefix) or "/"
                if not self.path.startswith(prefix):
                    answer = _gateway_response(403, "Forbidden")
                else:
                    answer = gateway.request(self.command, target, dict(self.headers.items()), body)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                for cookie in answer.cookies:
                    self.send_header("set-cookie", cookie)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = _Server(("127.0.0.1", 0), Front)
        threading.Thread(target=server.serve_forever, daemon=True, args=(0.05,)).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{self.stage}"
        finally:
            server.shutdown()
            server.server_close()

    def _match(self, path: str) -> tuple[str, dict[str, str]] | None:
        """The route and its parameters, decoded; a literal segment beats a parameter, a final slash does not count."""
        asked = path.strip("/").split("/")
        best: tuple[int, str, dict[str, str]] | None = None
        for route in self.routes:
            parts = route.strip("/").split("/")
            if len(parts) != len(asked):
                continue
            parameters = {
                part[1:-1]: unquote(given) for part, given in zip(parts, asked, strict=True) if part[:1] == "{"
            }
            literal = all(part[:1] == "{" or part == given for part, given in zip(parts, asked, strict=True))
            filled = all(parameters.values())
            if literal and filled and (best is None or len(parameters) < best[0]):
                best = (len(parameters), route, parameters)
        return None if best is None else best[1:]

    def _event(
        self,
        method: str,
        path: str,
        query: str,
        found: tuple[str, dict[str, str]],
        headers: Mapping[str, str],
        body: bytes,
        source_ip: str,
    ) -> dict[str, Any]:
        route, parameters = found
        sent = {**headers, "X-Forwarded-For": source_ip, "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"}
        pairs = parse_qsl(query, keep_blank_values=True)
        many: dict[str, list[str]] = {}
        for name, value in pairs:
            many.setdefault(name, []).append(value)
        content_type = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
        binary = bool(self.binary & {content_type.split(";")[0].strip(), "*/*"})
        return {
            "resource": route,
            "path": unquote(path),
            "httpMethod": method,
            "headers": sent,
            "multiValueHeaders": {name: [value] for name, value in sent.items()},
            "queryStringParameters": dict(pairs) or None,
            "multiValueQueryStringParameters": many or None,
            "pathParameters": parameters or None,
            "stageVariables": None,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "example",
                "stage": self.stage,
                "requestId": str(uuid.uuid4()),
                "extendedRequestId": uuid.uuid4().hex[:15],
                "requestTimeEpoch": int(time.time() * 1000),
                "identity": {"sourceIp": source_ip, "userAgent": "test"},
                "resourcePath": route,
                "httpMethod": method,
                "path": f"/{self.stage}{path}",
                "protocol": "HTTP/1.1",
                "domainName": headers["Host"],
            },
            "body": _text(body, binary),
            "isBase64Encoded": binary and bool(body),
        }


def _text(body: bytes, binary: bool) -> str | None:
    if not body:
        return None
    return base64.b64encode(body).decode() if binary else body.decode(errors="replace")


def _answer(returned: Any) -> Answer:
    """A proxy integration's return value as an answer; a malformed one is a 502, as on AWS."""
    if not isinstance(returned, dict) or "statusCode" not in returned:
        return _gateway_response(502, "Internal server error")
    pairs = [(name, str(value)) for name, value in (returned.get("headers") or {}).items()]
    pairs += [
        (name, str(value)) for name, values in (returned.get("multiValueHeaders") or {}).items() for value in values
    ]
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in pairs:
        lower = name.lower()
        if lower == "set-cookie":
            cookies.append(value)
        else:
            headers[f"x-amzn-remapped-{lower}" if lower in REMAPPED else lower] = value
    headers.setdefault("content-type", "application/json")
    body = returned.get("body") or ""
    raw = base64.b64decode(body) if returned.get("isBase64Encoded") else str(body).encode()
    return Answer(int(returned["statusCode"]), headers, raw, cookies)


def _gateway_response(status: int, message: str) -> Answer:
    """What the gateway says by itself, before the template's GatewayResponses; the marker header tells them apart."""
    headers = {"content-type": "application/json", "x-amzn-errortype": "gateway"}
    return Answer(status, headers, json.dumps({"message": message}).encode())
