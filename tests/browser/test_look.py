"""How the page looks and to whom: axe, both colour schemes, narrow screens, hostile words, no JavaScript, print."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.axe import violations

pytestmark = pytest.mark.beside


def test_axe_finds_nothing_on_the_first_page(visit, counted):
    counted()
    page = visit()
    page.wait_for_selector(".history li")
    page.get_by_text("Options").click()
    page.press("#input", "Enter")
    assert violations(page) == []


def test_axe_finds_nothing_while_a_job_runs_and_when_it_failed(submit, site):
    page = submit(f"{site.address}/slow", reduced_motion="reduce")
    expect(page.locator("[aria-current=step]")).to_have_text("Counting")
    assert violations(page) == []
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector(".ended")
    assert violations(page) == []


def test_axe_finds_nothing_on_the_words(counted):
    page = counted("/hostile")
    page.get_by_label("Hide common words").uncheck()
    for summary in page.locator("figure summary").all():
        summary.click()
    page.focus("[data-is=rank] svg")
    page.keyboard.press("ArrowRight")
    assert violations(page) == []
    page.set_viewport_size({"width": 320, "height": 800})
    assert violations(page) == []


@pytest.mark.long
def test_the_reference_of_the_api_is_read_and_tried(visit):
    page = visit("docs")
    assert violations(page) == []
    page.locator("#submitJob .try summary").click()
    page.locator("#submitJob .try button").click()
    expect(page.locator("#submitJob .try [role=status]")).to_contain_text("202")
    page.set_viewport_size({"width": 320, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_the_first_view_is_light(visit):
    page = visit()
    page.wait_for_selector(".history [data-is=loading][hidden]", state="attached")
    sizes = []
    page.on("response", lambda response: sizes.append(int(response.headers["content-length"])))
    page.reload()
    page.wait_for_selector(".history [data-is=loading][hidden]", state="attached")
    assert len(sizes) <= 6
    assert sum(sizes) <= 40_000


def test_axe_finds_nothing_without_javascript(visit, counted):
    """axe itself is a script: the plain view is taken out of its noscript and looked at in a page with scripts."""
    job = counted().url.partition("?")[2]
    page = visit(f"?{job}")
    page.wait_for_selector("[data-is=often] svg")
    page.evaluate("document.getElementById('view').innerHTML = document.querySelector('main > noscript').textContent")
    expect(page.locator("meter").first).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize("path", ["/page", "/hostile", "/wide"])
def test_nothing_is_wider_than_a_narrow_screen(counted, site, path):
    site.pages["/wide"] = f"<title>{'A' * 500}</title>{'W' * 60} {'x' * 10_000} {'W' * 60}"  # shares of many digits
    page = counted(path, viewport={"width": 320, "height": 640})
    for summary in page.locator("figure summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    ends = page.locator("table").evaluate_all("tables => tables.map(one => one.getBoundingClientRect().right)")
    assert max(ends) <= 320
    page.goto(page.url.partition("?")[0])
    page.wait_for_selector(".history li")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_dark_is_dark_and_light_is_light(visit):
    def ground(scheme):
        colour = visit(color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    assert ground("dark") < 150
    assert ground("light") > 600


def test_nothing_moves_where_less_motion_is_wanted(submit, site):
    page = submit(f"{site.address}/slow-motion", reduced_motion="reduce")
    page.wait_for_selector(".progress")
    assert page.evaluate("document.getAnimations().length") == 0


def test_controls_are_not_printed_and_words_are(counted):
    page = counted()
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    expect(page.locator("#submit")).to_be_hidden()
    expect(page.locator(".chips")).to_be_hidden()
    expect(page.locator("#words tr[data-place]").first).to_be_visible()
    expect(page.locator("[data-is=often] svg")).to_be_visible()


def test_hostile_words_stay_text(counted):
    page = counted("/hostile")
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    shown = page.locator("#words").inner_text()
    assert page.locator("img").count() == 0
    assert "onerror" in shown
    assert "‹U+" in shown
    assert not re.search("[\u202a-\u202e\u2060-\u2069\u200b]", page.locator("body").inner_text())
    assert "می\u200cخواهم" in shown  # how it is spelt
    assert "10,000 characters" in shown
    assert len(max(shown.split(), key=len)) < 200
    page.locator("#words .where .strip").first.wait_for()  # whatever word is too long to be asked for
    heights = page.locator("#words tr[data-place]").evaluate_all("rows => rows.map(row => row.offsetHeight)")
    assert max(heights) < 120
    page.get_by_text("Download", exact=True).click()
    with page.expect_download() as found:
        page.get_by_role("button", name="CSV (spreadsheet)").click()
    csv = found.value.path().read_text("utf-8")
    assert not re.search(r"^\"?[=+@-]", csv, re.MULTILINE)


def test_right_to_left_and_chinese_words_are_set_as_they_are_read(counted):
    page = counted("/hostile")
    arabic = page.locator("#words bdi", has_text=re.compile("^مرحبا$"))
    assert arabic.evaluate("element => getComputedStyle(element).direction") == "rtl"
    expect(page.locator("#words bdi", has_text="日本語").first).to_be_visible()


def test_a_right_to_left_word_does_not_turn_the_sentence_around(counted, site):
    site.pages["/rtl"] = "<meta charset=utf-8><title>RTL</title>مرحبا مرحبا مرحبا word"
    page = counted("/rtl")
    expect(page.locator("[data-is=rank-text] bdi")).to_have_text("مرحبا")
    page.focus("[data-is=rank] svg")
    page.keyboard.press("ArrowRight")
    readout = page.locator("[data-is=rank] .readout")
    expect(readout).to_have_text("Rank 1: مرحبا, 3 times")
    expect(readout.locator("bdi")).to_have_text("مرحبا")
    page.locator("[data-is=rank-table]").evaluate("table => (table.closest('details').open = true)")
    expect(page.locator("[data-is=rank-table] bdi").first).to_have_text("مرحبا")


@pytest.mark.parametrize(
    ("before", "word", "after"),
    [
        ("דף ראשון one two three five six", "target", "four five six seven eight"),
        ("one two three four five six", "הדף", "four five six seven eight nine"),
        ("אחת שתיים שלוש ארבע חמש", "target", "שש שבע שמונה תשע עשר"),
    ],
)
def test_a_line_is_cut_at_its_ends_and_not_beside_its_word(visit, before, word, after):
    """A line that begins in the other direction was turned, and showed what is far from the word."""
    page = visit()
    page.fill("#input", f"{before} {word} {after}")
    page.press("#input", "Enter")
    page.wait_for_selector("[data-is=rank] svg")
    page.set_viewport_size({"width": 900, "height": 900})
    page.locator("#words tr", has_text=word).click()
    expect(page.locator("button.context mark").first).to_have_text(word)
    gaps = page.evaluate(
        """() => { const [before, word, after] = document.querySelector('button.context').children
        const letter = (node, at) => { const range = document.createRange(), text = node.firstChild
          range.setStart(text, at); range.setEnd(text, at + 1)
          return range.getBoundingClientRect() }
        const box = word.getBoundingClientRect()
        const gap = one => Math.min(Math.abs(one.right - box.left), Math.abs(one.left - box.right))
        const [end, start] = [before.textContent.trimEnd().length - 1, after.textContent.search(/\\S/)]
        return [gap(letter(before, end)), gap(letter(after, start))] }"""
    )
    assert max(gaps) < 20


def test_a_text_with_more_space_between_its_letters_is_all_there(counted):
    page = counted(viewport={"width": 320, "height": 640})
    page.evaluate(
        """() => { const sheet = new CSSStyleSheet(); document.adoptedStyleSheets = [sheet]
        sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: .12em !important;
          word-spacing: .16em !important }`) }"""
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    cut = "[...document.querySelectorAll('.readout')].filter(line => line.scrollWidth > line.clientWidth).length"
    assert page.evaluate(cut) == 0


def test_without_javascript_the_words_come_as_a_table(visit, site):
    page = visit(java_script_enabled=False)
    page.fill("#input", f"{site.address}/slow-plain")
    page.click("button[type=submit]")
    page.wait_for_url("**/?job=*")
    expect(page.locator(".waiting")).to_be_visible()
    site.release.set()
    page.wait_for_selector("meter")  # by its own refresh
    expect(page.locator("table.words tbody tr").first).to_contain_text("alpha")
    expect(page.locator("meter").first).to_have_attribute("value", "40")
    with page.expect_download() as found:
        page.get_by_role("link", name="All words as CSV").click()
    rows = found.value.path().read_text("utf-8-sig").splitlines()
    assert rows[0] == "word,count,share,stop_word"
    assert rows[1].startswith("alpha,40,")
    assert any(row.startswith("the,") for row in rows)


def test_without_javascript_errors_are_said_in_words(visit, site):
    page = visit(java_script_enabled=False)
    page.fill("#input", "ftp://example.com/")
    page.click("button[type=submit]")
    expect(page.locator("#input-error")).not_to_be_empty()
    expect(page.locator("#input")).to_have_value("ftp://example.com/")
    page.fill("#input", f"{site.address}/missing")
    page.click("button[type=submit]")
    page.wait_for_selector(".ended")
    expect(page.locator(".ended")).to_contain_text("404")


def test_without_javascript_nothing_is_wider_than_a_narrow_screen(visit, counted):
    job = counted("/hostile").url.partition("?")[2]
    page = visit(f"?{job}", java_script_enabled=False, viewport={"width": 320, "height": 640})
    table = page.locator("table.words").bounding_box()
    assert table["x"] + table["width"] <= 320
    assert "‹U+" in page.locator("table.words").inner_text()
