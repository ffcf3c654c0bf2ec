"""A stack and a browser for the page's tests. Whatever the page does, its policy must hold and nobody else be asked."""

import subprocess
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import run, servers
from tests import websites
from tests.conftest import ROOT, require

PATIENCE = 30_000  # milliseconds that playwright waits: many times what is needed on two noisy cores
WORDS = "alpha " * 40 + "Beta " * 20 + "beta " * 10 + "gamma " * 15 + "the " * 30 + "once_only lonely "
PAGE = f"<!doctype html><html lang=en><title>A page of words</title><body><p>{WORDS}</p></body></html>"
HOSTILE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>&lt;script&gt;alert(1)&lt;/script&gt; \u202etitle</title>"
    "<p>&lt;img/src=x/onerror=alert(1)&gt; &lt;img/src=x/onerror=alert(1)&gt; =cmd() @SUM(1) a\u202egnp.exe "
    f"{'x' * 10_000} zero\u2063width می\u200cخواهم مرحبا مرحبا 日本語の単語 naïve Z{chr(0x301) * 200}</p>"
)


class Site:
    """A web site on loopback. ``release`` lets its slow pages end; ``seen`` are the paths that were asked for."""

    def __init__(self) -> None:
        self.pages = {"/page": PAGE, "/hostile": HOSTILE, "/empty": "<!doctype html><title>Nothing</title>"}
        self.release = threading.Event()
        self.seen: list[str] = []
        self.address = ""

    def page(self, address: str) -> tuple[int, str, bytes]:
        path = urllib.parse.urlsplit(address).path
        self.seen.append(path)
        if path.startswith("/slow"):
            self.release.wait(15)
            path = "/page"
        body = self.pages.get(path, "nothing here").encode()
        return 200 if path in self.pages else 404, "text/html; charset=utf-8", body


@pytest.fixture(scope="session")
def _site() -> Iterator[Site]:
    site = Site()

    class Pages(websites.Site):
        def page(self, path: str) -> tuple[int, str, bytes]:
            return site.page(path)

    with websites.serving(Pages) as site.address:
        yield site


@pytest.fixture
def site(_site: Site) -> Iterator[Site]:
    """The site, with its slow pages slow again."""
    _site.release.clear()
    yield _site
    _site.release.set()


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the built page, made from the sources as they are now."""
    require((ROOT / "node_modules" / "esbuild").is_dir(), "esbuild is missing: `make install` fetches it")
    subprocess.run([servers.NODE, "web/build.mjs"], cwd=ROOT, check=True, capture_output=True, timeout=60)
    return ROOT / "chalicelib" / "web"


@pytest.fixture(scope="session")
def stack(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address, with a slash at its end, of a stack of this session's own, started as `make run` does."""
    environment = {
        "REDIS_URL": "",  # its own, whatever the shell names
        "AWS_ENDPOINT_URL_DYNAMODB": "",
        "AUTH": "none",
        "FETCH_ALLOW_NETWORKS": "127.0.0.0/8",
        "FETCH_HOST_RATE": "1000",
        "WORKER_PROCESSES": "interactive:3,bulk:1",
    }
    try:
        servers.redis_program()
        with run.running_stack(environment=environment, output=tmp_path_factory.mktemp("stack") / "run.log") as url:
            yield f"{url}/"
    except servers.NoServer as missing:
        require(None, str(missing))


@pytest.fixture
def visit(browser: Any, stack: str) -> Iterator[Callable[..., Any]]:
    """``visit(path, **context options)`` opens a page of the stack and fails the test at its end where a policy was
    broken, a script failed, or another origin was asked."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE)
    contexts, faults = [], []

    def told(message: Any) -> None:
        # A refused request is logged as an error too, and is what many tests are about.
        if message.type == "error" and "Failed to load resource" not in message.text:
            faults.append(message.text)

    def asked(request: Any) -> None:
        if not request.url.startswith((stack, "data:", "blob:")):
            faults.append(f"asked {request.url}")

    def open_page(path: str = "", **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(PATIENCE)
        context.on("request", asked)
        contexts.append(context)
        page = context.new_page()
        page.on("console", told)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(stack + path)
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            page.unroute_all(behavior="ignoreErrors")  # an answer that a test no longer waits for
        context.close()
    assert not faults


@pytest.fixture
def submit(visit: Callable[..., Any], stack: str) -> Callable[..., Any]:
    """``submit(address, **context options)`` types an address on a new page and presses Enter."""

    def go(address: str, **options: Any) -> Any:
        page = visit(**options)
        page.fill("#input", address)
        page.press("#input", "Enter")
        return page

    return go


@pytest.fixture
def counted(submit: Callable[..., Any], site: Site) -> Callable[..., Any]:
    """``counted(path, **context options)``: a page of the site with its words shown."""

    def go(path: str = "/page", **options: Any) -> Any:
        page = submit(site.address + path, **options)
        page.wait_for_selector("[data-is=rank] svg")
        return page

    return go
