"""The README's picture of the page as a user gets it: a real stack, a browser, this project's own documents."""

import html
import os
import re
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests import websites
from tests.conftest import chromium

from . import run, servers

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "screenshots" / "result-1440-light.png"


class Documents(websites.Site):
    """A page that holds the README and docs/."""

    def page(self, _path: str) -> tuple[int, str, bytes]:
        texts = [path.read_text("utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))]
        paragraphs = "".join(f"<p>{html.escape(part)}</p>" for text in texts for part in re.split(r"\n\s*\n", text))
        page = (
            f"<!doctype html><html lang=en><title>Wordcounts: its own documents</title><main>{paragraphs}</main></html>"
        )
        return 200, "text/html; charset=utf-8", page.encode()


def main() -> None:
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", servers.NODE)  # the Node that playwright brings wants libatomic1
    with (
        websites.serving(Documents) as site,
        run.running_stack(environment={"FETCH_ALLOW_NETWORKS": "127.0.0.0/8"}) as stack,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]) as browser,
    ):
        page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light", locale="en")
        page.goto(stack)
        page.fill("#input", f"{site}/wordcounts")
        page.press("#input", "Enter")
        page.wait_for_selector("button.context")
        page.wait_for_timeout(400)  # bars that grow
        if box := page.locator(".panels").bounding_box():
            shown = {"x": 0, "y": 0, "width": 1440, "height": box["y"] + box["height"] + 24}
            page.screenshot(path=PICTURE, full_page=True, clip=shown)
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
