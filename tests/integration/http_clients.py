"""One call, three clients: chalice's test client, the local server over a socket, and Lambda's real runtime client."""

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

CLIENTS = ("client", "local", "lambda")


@dataclass(frozen=True)
class Got:
    """An answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The problem's short name, after checking that it is one."""
        assert self.headers["content-type"] == "application/problem+json", self
        found = self.json()
        assert found["status"] == self.status
        assert found["title"]
        assert found["detail"]
        return str(found["type"].removeprefix("urn:wordcounts:problem:"))


class HttpClient(Protocol):
    name: str
    prefix: str  # of links: the stage's path

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Got: ...


class ChaliceClient:
    name, prefix = "client", ""

    def __init__(self) -> None:
        from chalice.test import Client

        import app

        self.http = Client(app.app).http
        # It puts another os.environ in place for each request; two at once would leave the wrong one behind.
        self.http._patched_env_vars = lambda _variables: contextlib.nullcontext()

    def __call__(self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Got:
        found = self.http.request(method, target, headers=dict(headers or {}), body=body)
        return Got(found.status_code, {name.lower(): value for name, value in found.headers.items()}, found.body)


class LocalClient:
    name, prefix = "local", ""

    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Got:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, target, body=body or None, headers=dict(headers or {}))
            found = connection.getresponse()
            return Got(found.status, {name.lower(): value for name, value in found.getheaders()}, found.read())


class LambdaClient:
    name, prefix = "lambda", "/api"

    def __init__(self, gateway: Any, token: str) -> None:
        self.gateway = gateway
        self.token = token

    def __call__(self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Got:
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        found = self.gateway.request(method, target, sent, body)
        names = {name.removeprefix("x-amzn-remapped-"): value for name, value in found.headers.items()}
        return Got(found.status, names, found.body)


@contextlib.contextmanager
def local_client() -> Iterator[LocalClient]:
    """The local server in this process."""
    from scripts import serve

    server = serve.make_server(0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield LocalClient(server.effective_port)
    finally:
        # In the loop's own thread: it ends when nothing is open any more, the trigger itself included.
        with contextlib.suppress(OSError):
            server.trigger.pull_trigger(lambda: server.asyncore.close_all(server._map))
        thread.join()
        server.task_dispatcher.shutdown(timeout=1)


@contextlib.contextmanager
def lambda_client(env: Mapping[str, str], token: str) -> Iterator[LambdaClient]:
    """The app as Lambda runs it, behind a gateway of the stage ``api``."""
    import app
    from tests import lambda_runtime

    with lambda_runtime.Function("app.app", env=env) as function:
        yield LambdaClient(lambda_runtime.Gateway(function, app.app), token)
