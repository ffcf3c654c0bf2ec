"""What several tests share: the servers, the folder of real pages, a browser, and the rule about missing parts.

A test takes its servers as fixtures; what is missing skips the test with its reason, and fails it where CI=true.
"""

import contextlib
import functools
import gc
import mimetypes
import os
import shutil
import socket
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts import processes, servers
from tests import websites

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
# No load leaves this machine, and no key of its owner is used.
KEYS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
LOCAL_AWS = {
    **KEYS,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
SLOW_FOLDERS = ("integration", "browser", "container", "deploy", "faults", "fuzz", "scale")
SERVER_FIXTURES = {"redis_server", "dynalite", "moto_server", "page_server", "browser"}


def require(condition: object, reason: str) -> None:
    """Skip the test with the reason where a part is missing; fail instead where CI=true."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing in CI: {reason}", pytrace=False)
    pytest.skip(reason)


def others_may(folder: Path) -> list[Path]:
    """What of a folder others than its owner may read, write or enter."""
    paths = [folder, *folder.rglob("*")]
    return [path for path in paths if not path.is_symlink() and path.stat().st_mode & 0o077]


# --- order and the network ---


def _folder(item: pytest.Item) -> str:
    """The folder below tests/ that a test is in; empty for the unit tests' own place."""
    first, *rest = item.nodeid.partition("::")[0].removeprefix("tests/").split("/")  # pathlib would cost a tenth
    return first if rest else ""


def _is_unit(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    return _folder(item) not in SLOW_FOLDERS and not fixtures & SERVER_FIXTURES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Unit tests first, then the folders in their order: what is quick to fail fails first."""
    items.sort(
        key=lambda item: (not _is_unit(item), _folder(item) in SLOW_FOLDERS and SLOW_FOLDERS.index(_folder(item)))
    )


def pytest_collection_finish() -> None:
    gc.freeze()  # what was imported stays; to look at it again and again costs a tenth of the unit tests


_is_alone = False  # whether the test that runs is a unit test


def pytest_runtest_setup(item: pytest.Item) -> None:
    global _is_alone  # a hook and not a fixture, which would cost a thousand tests a tenth of their time
    _is_alone = _is_unit(item)


def _guarded(real: Callable[..., Any]) -> Callable[..., Any]:
    def guard(*args: Any, **named: Any) -> Any:
        first = args[0]
        if _is_alone and not (isinstance(first, socket.socket) and first.family == socket.AF_UNIX):
            target = args[1] if isinstance(first, socket.socket) else first
            raise AssertionError(f"a unit test wanted {target}: put it under tests/integration")
        return real(*args, **named)

    return guard


@pytest.fixture(autouse=True, scope="session")
def _no_network_in_unit_tests() -> Iterator[None]:
    """A unit test that opens a connection or resolves a name has a bug."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((socket.socket, "connect"), (socket.socket, "connect_ex"), (socket, "getaddrinfo")):
            patch.setattr(owner, name, _guarded(getattr(owner, name)))
        yield


@pytest.fixture(autouse=True, scope="session")
def _local_aws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"):
            patch.delenv(name, raising=False)
        for name, value in LOCAL_AWS.items():
            patch.setenv(name, value)
        yield


# --- Redis ---


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Redis of this session's own."""
    try:
        servers.redis_program()
    except servers.NoServer as missing:
        require(None, str(missing))
    folder = tmp_path_factory.mktemp("redis")
    # By TCP, since a container and a wire that is cut must reach it too.
    child, url = servers.start_redis(folder, os.environ, folder / "redis.log", port=servers.free_port())
    yield url
    child.stop(5)


@pytest.fixture
def redis_url(redis_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty Redis, which the settings name too."""
    import redis

    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    monkeypatch.setenv("REDIS_URL", redis_server)
    return redis_server


# --- DynamoDB: two implementations ---


@pytest.fixture(scope="session")
def dynalite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a dynalite of this session's own, with its data on disk."""
    require((ROOT / "node_modules" / "dynalite").is_dir(), "dynalite is missing: `make install` fetches it")
    folder, port = tmp_path_factory.mktemp("dynamodb"), servers.free_port()
    child = servers.start_dynalite(folder / "data", port, os.environ, folder / "dynamodb.log", keys=KEYS)
    yield f"http://127.0.0.1:{port}"
    child.stop(5)


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """The URL of moto's server, in memory: all of AWS that the tests need besides DynamoDB."""
    from moto.moto_server.werkzeug_app import MotoRequestHandler
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    application, one = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def atomic(environ: dict[str, Any], start_response: Any) -> Any:
        # DynamoDB's conditional writes are atomic; moto's look and then write, so that of two at once both may succeed.
        theirs = environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB_")
        with one if theirs else contextlib.nullcontext():
            return application(environ, start_response)

    server = make_server("127.0.0.1", 0, atomic, threaded=True, request_handler=MotoRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass(frozen=True)
class Table:
    """A table that is there and empty, on one of the stores."""

    store: str  # dynalite or moto
    endpoint: str
    name: str
    client: Any


@functools.cache  # a session reads boto3's model of DynamoDB anew, which would be most of the time of a small test
def dynamodb(endpoint: str) -> Any:
    """A client of a store on this machine."""
    import boto3

    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    return boto3.session.Session(region_name="us-east-1", **keys).client("dynamodb", endpoint_url=endpoint)


def make_table(store: str, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """A fresh table with a name of its own, which the settings name too; dropped afterwards."""
    from chalicelib.store import records

    name = f"test-{uuid.uuid4().hex[:12]}"
    client = dynamodb(endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
    monkeypatch.setenv("TABLE_NAME", name)
    records.create_table(client, name)
    yield Table(store, endpoint, name, client)
    client.delete_table(TableName=name)


@pytest.fixture(params=["dynalite", "moto"])
def table(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """One suite, two stores: a fresh table on dynalite, then on moto."""
    endpoint = request.getfixturevalue("dynalite" if request.param == "dynalite" else "moto_server")
    yield from make_table(request.param, endpoint, monkeypatch)


@pytest.fixture
def dynalite_table(dynalite: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """A fresh table on dynalite only, for tests of what stands above the records."""
    yield from make_table("dynalite", dynalite, monkeypatch)


# --- real pages ---


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test data beside the checkout."""
    require(SHARED.is_dir(), "the test data folder ../shared is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def pages(shared: Path) -> Path:
    """Real pages in many languages, and what a browser showed of them."""
    require((shared / "pages").is_dir(), "the folder ../shared/pages is not beside this checkout")
    return shared / "pages"


@pytest.fixture(scope="session")
def page_server(pages: Path) -> Iterator[str]:
    """The base URL, without a slash at its end, of the real pages on loopback."""

    class Pages(websites.Site):
        def page(self, path: str) -> tuple[int, str, bytes]:
            name = Path(urllib.parse.unquote(urllib.parse.urlsplit(path).path)).name
            if not name or not (pages / name).is_file():
                return 404, "text/plain", b"no such page"
            return 200, mimetypes.guess_type(name)[0] or "text/plain", (pages / name).read_bytes()

    with websites.serving(Pages) as address:
        yield address


# --- a browser ---


def chromium() -> str | None:
    """The path of an installed Chromium or Chrome, or None where playwright's own must serve."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A running Chromium for playwright's synchronous interface: the installed one, else playwright's own."""
    from playwright.sync_api import Error, sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", servers.NODE)  # the Node that playwright brings wants libatomic1
    with contextlib.ExitStack() as stack:
        try:
            playwright = stack.enter_context(sync_playwright())
        except Exception as error:  # noqa: BLE001 - whatever a driver raises that does not start
            require(None, f"playwright's driver does not start: {error}")
        program = chromium()
        own = Path(playwright.chromium.executable_path).exists()
        require(program or own, "no chromium: install it, or run `.venv/bin/playwright install chromium`")
        try:
            running = playwright.chromium.launch(
                executable_path=program, args=[*quiet, "--disable-sync", "--no-first-run"], timeout=60_000
            )
        except Error as error:
            require(None, f"{program or 'the chromium of playwright'} does not start: {error.message.splitlines()[0]}")
        yield running
        running.close()


@pytest.fixture
def leftovers() -> Iterator[list[processes.Child]]:
    """A list for what a test starts itself; whatever still runs at its end is killed."""
    children: list[processes.Child] = []
    yield children
    for child in children:
        child.stop(0)
