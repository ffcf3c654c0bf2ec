"""The page in Firefox: what another engine may do otherwise, in one walk. Everything else is tried in Chromium."""

import json
import shutil
import time

import pytest

from tests.browser import firefox
from tests.browser.axe import AXE
from tests.conftest import require

pytestmark = pytest.mark.long  # a Firefox starts for ten seconds and more


@pytest.fixture(scope="module")
def _page(tmp_path_factory):
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    require(program, "no firefox")
    with firefox.running(program, tmp_path_factory.mktemp("firefox")) as page:
        yield page


@pytest.fixture
def page(_page):
    yield _page
    assert _page.faults == []


def counted(page, stack, site):
    page.goto(stack)
    page.until("document.querySelector('.history [data-is=loading]')?.hidden")
    page.evaluate("document.getElementById('input').focus()")
    page.type(f"{site.address}/page")
    page.press("Enter")
    assert "alpha" in page.text("#words tr[data-place='0']")
    page.until("document.activeElement.localName === 'h1'")
    page.until("document.querySelector('[data-is=often] svg')")


def test_a_word_is_found_by_keys_and_its_contexts_stay_over_a_reload(page, stack, site):
    counted(page, stack, site)
    page.press("/")
    page.type("GÁMM")
    page.until("document.querySelectorAll('#words tr[data-place]').length === 1")
    page.press("Enter")
    page.until("document.activeElement.id === 'words'")
    page.press("Enter")
    page.until("document.querySelector('.context mark')?.textContent === 'gamma'")
    page.until("document.querySelector('[data-is=strip] path')")
    assert page.evaluate("location.search").endswith("&find=G%C3%81MM&word=gamma")
    page.reload()
    assert page.text("[data-is=inspector-title]") == "gamma"
    assert page.evaluate("document.querySelector('[data-is=find]').value") == "GÁMM"
    page.evaluate("document.querySelector('[data-is=find]').select()")
    page.press("Escape", "\ue003")
    page.until("document.querySelectorAll('#words tr[data-place]').length > 3")


def test_what_is_shown_is_chosen_kept_and_compared(page, stack, site):
    site.pages["/second"] = f"<title>Second</title>{'delta ' * 300}"
    counted(page, stack, site)
    page.click("[data-is=common]")
    page.until("[...document.querySelectorAll('#words th')].some(cell => cell.textContent.includes('the'))")
    page.click("[data-is=rank] svg")
    page.until("document.querySelector('[data-is=rank] .readout').textContent.includes('Rank')")

    page.evaluate(AXE.read_text("utf-8").join(("(() => {", "})()")))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations)")
    assert [one["id"] for one in found] == []

    for kind in ("csv", "png"):
        page.click("[data-is=download-menu] > summary")
        page.click(f"[data-is={kind}]")
        assert saved(page.downloads, kind)
    page.click("[data-is=compare-menu] > summary")
    page.evaluate("document.getElementById('compare-input').focus()")
    page.type(f"{site.address}/second")
    page.press("Enter")
    assert "0 : 300" in page.until(
        "[...document.querySelectorAll('.butterfly tr')].map(row => row.textContent).find(row => /delta/.test(row))"
    )
    page.resize(320, 700)
    page.until("document.querySelector('[data-is=rank] svg').clientWidth < 320")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert json.loads(page.evaluate("JSON.stringify(document.cookie)")) == ""


def saved(folder, kind):
    """The bytes of the downloaded file of that kind, once they are there."""
    for _ in range(100):
        if (files := list(folder.glob(f"*.{kind}"))) and files[0].stat().st_size and not list(folder.glob("*.part")):
            return files[0].read_bytes()
        time.sleep(0.1)
    return b""
