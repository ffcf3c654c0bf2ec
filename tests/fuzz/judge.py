"""Chromium as the judge of what a reader sees: scripting off, nothing loaded but the document, style elements off."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scripts import servers

ADDRESS = "http://judge.test/"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def missing() -> str:
    """Why there is no judge on this machine, or nothing."""
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        return "chromium is not installed"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed"
    return ""


class Judge:
    def __init__(self, page: Any) -> None:
        self.page = page
        self.markup = ""
        page.route("**/*", self._answer)

    def _answer(self, route: Any) -> None:
        if route.request.url != ADDRESS:
            route.abort()
            return
        headers = {"content-type": "text/html; charset=utf-8", "content-security-policy": "style-src-elem 'none'"}
        route.fulfill(body=self.markup.encode(), headers=headers)

    def inner_text(self, markup: str) -> str:
        self.markup = markup
        self.page.goto(ADDRESS, wait_until="domcontentloaded")
        return str(self.page.evaluate("document.body ? document.body.innerText : ''"))


@contextmanager
def judge() -> Iterator[Judge]:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", servers.NODE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield Judge(browser.new_context(java_script_enabled=False).new_page())
        finally:
            browser.close()
