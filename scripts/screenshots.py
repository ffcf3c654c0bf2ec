"""Pictures of the page as a user gets it, into docs/screenshots: a real stack, a browser, this project's own words.

usage: python -m scripts.screenshots [--all]     --all: every view in every size, to look at, into build/screenshots
"""

import argparse
import functools
import html
import http.server
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from . import node, run

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "screenshots"
TO_LOOK_AT = ROOT / "build" / "screenshots"
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
CHART = "[data-is=rank] svg"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.screenshots")
    parser.add_argument("--all", action="store_true", help="every view in every size and scheme")
    options = parser.parse_args(arguments)
    take = take_all if options.all else take_few
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
    return 0


def take_few(browser: Browser, stack: str, site: str) -> None:
    """The pictures of the README."""
    page = opened(browser, stack, width=1440, height=900)
    words_of(page, f"{site}/wordcounts")
    page.wait_for_selector("button.context")
    save(page, "result-1440-light", until=".panels")
    link = page.url
    for width, scheme in ((1440, "dark"), (320, "light")):
        page = opened(browser, link, width=width, height=900, scheme=scheme)
        page.wait_for_selector(CHART)
        save(page, f"result-{width}-{scheme}", until=".panels" if width > 1000 else ".list")
    page = opened(browser, link, width=1440, height=760, scripts=False)
    save(page, "without-javascript-1440-light")
    page = opened(browser, stack, width=1440, height=560)
    submit(page, f"{site}/missing")
    page.wait_for_selector(".ended")
    save(page, "failed-1440-light")


def take_all(browser: Browser, stack: str, site: str) -> None:
    """Every view, to be looked at; not kept in the repository."""
    page = opened(browser, stack, width=800, height=600)
    words_of(page, f"{site}/wordcounts")
    link = page.url
    for width in (320, 768, 1440):
        for scheme in ("light", "dark"):
            size = {"width": width, "height": 900, "scheme": scheme}
            about = f"{width}-{scheme}"
            page = opened(browser, link, **size)
            page.wait_for_selector(CHART)
            save(page, f"all-words-{about}", whole=True)
            page = opened(browser, stack, **size)
            page.wait_for_selector(".history li")
            save(page, f"all-first-{about}", whole=True)
            page.get_by_text("Options").click()
            page.press("#input", "Enter")
            save(page, f"all-refused-{about}", whole=True)
            submit(page, f"{site}/missing")
            page.wait_for_selector(".ended")
            save(page, f"all-failed-{about}", whole=True)
            submit(page, f"{site}/slow")
            page.wait_for_selector("[data-stage=running][aria-current]")
            save(page, f"all-waiting-{about}", whole=True)
            page.get_by_role("button", name="Cancel").click()
            page = opened(browser, link, scripts=False, **size)
            save(page, f"all-plain-{about}")


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


def words_of(page: Page, address: str) -> None:
    submit(page, address)
    page.wait_for_selector(CHART)


def save(page: Page, name: str, *, until: str = "", whole: bool = False) -> None:
    """A picture of what is in view, of all down to the end of an element, or of the whole page."""
    page.wait_for_timeout(400)  # bars that grow
    clip = None
    if until and (box := page.locator(until).bounding_box()) and page.viewport_size:
        clip = {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": box["y"] + box["height"] + 24}
    folder = TO_LOOK_AT if name.startswith("all-") else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    page.screenshot(path=path, full_page=whole or clip is not None, clip=clip)
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
    """Files as HTML, and one page that takes its time."""

    def guess_type(self, path: Any) -> str:  # noqa: ARG002 - as the base class has it
        return "text/html; charset=utf-8"

    def do_GET(self) -> None:
        if self.path == "/slow":
            threading.Event().wait(15)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
