"""Pictures of the page as a user gets it, into docs/screenshots: a real stack, a browser, this project's own words."""

import functools
import html
import http.server
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from . import node, run

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "screenshots"
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def main() -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", node.node())  # the Node that playwright brings wants libatomic1
    with (
        our_words() as site,
        run.running_stack(environment={"FETCH_ALLOW_NETWORKS": "127.0.0.0/8"}) as stack,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=[*CHROMIUM, "--no-first-run"])
        take(browser, stack, site)
        browser.close()


def take(browser: Browser, stack: str, site: str) -> None:
    """The pictures of the README."""
    page = opened(browser, stack, width=1440, height=900)
    submit(page, f"{site}/wordcounts")
    page.wait_for_selector("button.context")
    save(page, "result-1440-light", until=".panels")
    link = page.url
    for width, scheme in ((1440, "dark"), (320, "light")):
        page = opened(browser, link, width=width, height=900, scheme=scheme)
        page.wait_for_selector("[data-is=rank] svg")
        save(page, f"result-{width}-{scheme}", until=".panels" if width > 1000 else ".list")
    page = opened(browser, link, width=1440, height=760, scripts=False)
    save(page, "without-javascript-1440-light")
    page = opened(browser, stack, width=1440, height=560)
    submit(page, f"{site}/missing")
    page.wait_for_selector(".ended")
    save(page, "failed-1440-light")


def opened(
    browser: Browser, address: str, *, width: int, height: int, scheme: str = "light", scripts: bool = True
) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=scripts,
        locale="en",
    )
    page = context.new_page()
    page.goto(address)
    return page


def submit(page: Page, address: str) -> None:
    page.fill("#input", address)
    page.press("#input", "Enter")


def save(page: Page, name: str, *, until: str = "") -> None:
    """A picture of what is in view, or of all down to the end of an element."""
    page.wait_for_timeout(400)  # bars that grow
    clip = None
    if until and (box := page.locator(until).bounding_box()) and page.viewport_size:
        clip = {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": box["y"] + box["height"] + 24}
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, full_page=clip is not None, clip=clip)
    print(path.relative_to(ROOT))


@contextmanager
def our_words() -> Iterator[str]:
    """The address of a page that holds this project's own documents, on loopback."""
    texts = [
        path.read_text("utf-8")
        for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
        if path.exists()
    ]
    paragraphs = "".join(f"<p>{html.escape(part)}</p>" for text in texts for part in re.split(r"\n\s*\n", text))
    page = f"<!doctype html><html lang=en><title>Wordcounts: its own documents</title><main>{paragraphs}</main></html>"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "wordcounts").write_text(page, "utf-8")
        handler = functools.partial(Handler, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files as HTML."""

    def guess_type(self, path: object) -> str:  # noqa: ARG002 - as the base class has it
        return "text/html; charset=utf-8"

    def log_message(self, *_: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    main()
