"""The page in use: from an address to its words and back, on a real stack in a real browser."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.beside


def job_of(page):
    return re.search(r"[?&]job=([0-9a-f]{32})", page.url)[1]


def tops(page):
    """The bars as (word, count)."""
    rows = page.locator(".bars tbody tr")
    rows.first.wait_for()
    return [(row.locator("th").inner_text(), row.locator("td.number").first.inner_text()) for row in rows.all()]


def test_an_address_becomes_words(submit, site):
    page = submit(f"{site.address}/page")
    expect(page.get_by_role("heading", level=2)).to_have_text("A page of words")
    page.wait_for_selector("svg[aria-label*=rank]")
    assert tops(page) == [
        ("alpha", "40"),
        ("Beta", "30"),
        ("gamma", "15"),
        ("lonely", "1"),
        ("once_only", "1"),
    ]
    assert len(job_of(page)) == 32
    assert page.title() == "A page of words – Wordcounts"


def test_who_types_the_next_address_keeps_the_keyboard(submit, site):
    page = submit(f"{site.address}/slow/typing")
    page.wait_for_selector(".waiting")
    field = page.locator("input[name=url]")
    field.fill("")
    field.press_sequentially("example.com/ne")
    site.release.set()
    page.wait_for_selector(".bars tbody tr")
    page.wait_for_selector("svg[aria-label*=rank]")
    page.keyboard.type("xt")
    expect(field).to_have_value("example.com/next")
    expect(field).to_be_focused()


def test_who_only_waits_is_taken_to_the_words(submit, site):
    page = submit(f"{site.address}/page")
    expect(page.get_by_role("heading", level=2)).to_be_focused()


def test_a_browser_that_blocks_cookies_counts_words_too(visit):
    page = visit()
    page.add_init_script(
        "for (const name of ['sessionStorage', 'localStorage']) Object.defineProperty(window, name, "
        "{ get() { throw new DOMException('Access is denied for this document.', 'SecurityError') } })"
    )
    page.reload()
    page.get_by_text("Paste a text instead").click()
    page.get_by_label("Text", exact=True).fill("Rose is a rose is a rose.")
    page.get_by_role("button", name="Count words").click()
    expect(page.locator(".bars tbody tr").first).to_contain_text("rose")


def test_an_address_needs_no_scheme(submit):
    page = submit("localhost.invalid/some page")
    expect(page.locator(".ended, #url-error")).not_to_have_count(0)


def test_a_pasted_text_is_counted(visit):
    page = visit()
    page.get_by_text("Paste a text instead").click()
    page.get_by_label("Text", exact=True).fill("Rose is a rose is a rose.")
    page.get_by_role("button", name="Count words").click()
    expect(page.locator(".bars tbody tr").first).to_contain_text("rose")
    expect(page.get_by_role("heading", level=2)).to_have_text("A pasted text")


def test_a_text_pasted_into_the_address_goes_where_texts_go(visit):
    page = visit()
    page.focus("input[name=url]")
    page.evaluate(
        """() => { const data = new DataTransfer(); data.setData('text/plain', 'three words here');
        document.activeElement.dispatchEvent(new ClipboardEvent('paste',
          {clipboardData: data, bubbles: true, cancelable: true})) }"""
    )
    expect(page.get_by_label("Text", exact=True)).to_have_value("three words here")


def test_a_failure_is_said_in_words(submit, site):
    page = submit(f"{site.address}/missing")
    expect(page.locator(".ended")).to_contain_text("404")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_a_refused_address_is_said_beside_the_field(submit):
    page = submit("ftp://example.com/")
    expect(page.locator("#url-error")).not_to_be_empty()
    expect(page.locator("input[name=url]")).to_be_focused()
    expect(page.locator("input[name=url]")).to_have_attribute("aria-invalid", "true")
    page.fill("input[name=url]", "ftp://example.org/")
    expect(page.locator("#url-error")).to_be_empty()


def test_nothing_and_both_are_refused_beside_the_field(visit):
    page = visit()
    page.press("input[name=url]", "Enter")
    expect(page.locator("#url-error")).to_contain_text("Type an address")
    page.fill("input[name=url]", "example.com")
    page.get_by_text("Paste a text instead").click()
    page.fill("textarea", "words")
    page.get_by_role("button", name="Count words").click()
    expect(page.locator("#text-error")).to_contain_text("Empty one")


def test_a_job_is_canceled(submit, site):
    page = submit(f"{site.address}/slow-cancel")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("This job was canceled")


def test_stages_and_time_are_shown_while_it_runs(submit, site):
    page = submit(f"{site.address}/slow-stages")
    expect(page.locator("[aria-current=step]")).to_have_text("Fetching and counting")
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"^[1-9]\d* s$"))
    expect(page.locator("#announce[role=status]")).to_contain_text("Fetching and counting")
    site.release.set()
    page.wait_for_selector("svg[aria-label*=histogram]")


def test_a_reload_in_the_middle_continues(submit, site):
    page = submit(f"{site.address}/slow-reload")
    page.wait_for_url("**/?job=*")
    job = job_of(page)
    page.reload()
    expect(page.locator(".waiting")).to_be_visible()
    site.release.set()
    page.wait_for_selector("svg[aria-label*=histogram]")
    assert job_of(page) == job


def test_a_link_shows_the_words_to_someone_else(counted, visit, site):
    first = counted()
    second = visit(f"?job={job_of(first)}")
    second.wait_for_selector("svg[aria-label*=histogram]")
    assert tops(second) == tops(first)
    expect(second.locator("input[name=url]")).to_have_value(f"{site.address}/page")
    third = visit(f"#/jobs/{job_of(first)}")
    third.wait_for_selector("svg[aria-label*=histogram]")
    assert job_of(third) == job_of(first)


def test_a_link_to_a_job_with_options_can_be_asked_again_with_them(visit, site):
    site.pages["/parts"] = "<title>Parts</title><nav>navigation</nav><main>wanted words wanted</main>"
    page = visit()
    page.get_by_text("Options").click()
    page.get_by_label("Leave out").fill("nav")
    page.fill("input[name=url]", f"{site.address}/parts")
    page.press("input[name=url]", "Enter")
    assert tops(page) == [("wanted", "2"), ("words", "1")]
    page.reload()
    assert tops(page) == [("wanted", "2"), ("words", "1")]
    expect(page.get_by_label("Leave out")).to_have_value("nav")
    page.get_by_role("link", name="Wordcounts").click()
    expect(page.get_by_label("Leave out")).to_be_hidden()
    expect(page.locator("input[name=url]")).to_have_value("")


def test_an_unknown_job_is_said_in_words(visit):
    page = visit(f"?job={'0' * 32}")
    expect(page.get_by_role("heading", level=2)).to_have_text("There is no such job")


def test_the_back_button_goes_back(counted):
    page = counted()
    page.go_back()
    expect(page.get_by_role("heading", name="My jobs")).to_be_visible()
    page.go_forward()
    page.wait_for_selector("svg[aria-label*=histogram]")


def test_the_keyboard_goes_where_the_view_goes(counted, visit):
    first = counted()
    page = visit()
    page.locator(f"a[href*='{job_of(first)}']").press("Enter")
    expect(page.get_by_role("heading", level=2)).to_be_focused()
    page.get_by_role("link", name="My jobs").press("Enter")
    expect(page.locator("#jobs")).to_be_focused()
    page = visit(f"?job={'0' * 32}")
    page.get_by_role("link", name="Count another page").press("Enter")
    expect(page.locator("input[name=url]")).to_be_focused()


def test_submitting_twice_does_nothing_twice(visit, site):
    page = visit()
    keys = []
    page.on("request", lambda sent: sent.method == "POST" and keys.append(sent.headers["idempotency-key"]))
    page.fill("input[name=url]", f"{site.address}/slow-twice")
    page.evaluate("for (let i = 0; i < 3; i++) document.forms[0].requestSubmit()")
    page.wait_for_url("**/?job=*")
    first = job_of(page)
    page.press("input[name=url]", "Enter")
    page.wait_for_timeout(300)
    assert job_of(page) == first
    assert len(set(keys)) == 1
    site.release.set()
    page.wait_for_selector("svg[aria-label*=histogram]")
    assert site.seen.count("/slow-twice") == 1
    page.get_by_role("button", name="Count words").click()
    expect(page).not_to_have_url(re.compile(first))  # finished: now it is counted anew


def test_everything_is_done_by_keyboard_alone(visit, site):
    page = visit()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the words")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#view")).to_be_focused()
    page.keyboard.press("Shift+Tab")  # back over the form's last part
    expect(page.get_by_text("Options")).to_be_focused()
    page.evaluate("document.activeElement.blur()")
    page.goto(page.url.partition("#")[0])
    page.keyboard.press("Tab")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.type(f"{site.address}/page")
    page.keyboard.press("Enter")
    page.wait_for_selector("svg[aria-label*=histogram]")
    expect(page.get_by_role("heading", level=2)).to_be_focused()
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.is || document.activeElement.ariaLabel || ''"))
    assert {"stop", "fold", "least", "many", "find", "csv", "json", "share", "erase"} <= reached
    assert any("histogram" in name for name in reached)
    assert any("rank" in name for name in reached)
    page.focus("svg[aria-label*=histogram]")
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-is=histogram] .readout")).to_have_text("Once: 2 words")
    page.keyboard.press("End")
    expect(page.locator("[data-is=histogram] .readout")).to_have_text("33–64 times: 1 word")
    page.focus("svg[aria-label*=rank]")
    page.keyboard.press("Home")
    expect(page.locator("[data-is=rank] .readout")).to_have_text("Rank 1: alpha, 40 times")


def test_the_pointer_gives_values_too(counted):
    page = counted()
    page.locator("[data-is=histogram] .bin").first.hover()
    expect(page.locator("[data-is=histogram] .readout")).to_have_text("Once: 2 words")


def test_switches_change_everything_without_a_request(counted):
    page = counted()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_label("Stop words").check()
    assert ("the", "30") in tops(page)
    assert tops(page)[:2] == [("alpha", "40"), ("Beta", "30")]
    page.get_by_label("Ignore case").uncheck()
    assert ("Beta", "20") in tops(page)
    assert ("beta", "10") in tops(page)
    page.get_by_label("Ignore case").check()
    page.get_by_label("At least").fill("20")
    assert [word for word, _ in tops(page)] == ["alpha", "Beta", "the"]
    expect(page.locator("table.words tbody tr")).to_have_count(3)
    expect(page.get_by_role("img", name=re.compile("histogram"))).to_have_accessible_name(re.compile("of 3 distinct"))
    assert not asked


def test_the_table_finds_and_sorts(counted):
    page = counted()
    words = page.locator("table.words tbody th")
    page.get_by_role("button", name="Word", exact=True).click()
    assert words.all_inner_texts() == ["alpha", "Beta", "gamma", "lonely", "once_only"]
    expect(page.locator("th[data-sort=word]")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("button", name="Word", exact=True).click()
    assert words.all_inner_texts()[0] == "once_only"
    page.get_by_label("Find").fill("ETA")
    assert words.all_inner_texts() == ["Beta"]
    page.get_by_label("Find").fill("nowhere")
    expect(page.locator("table.words tbody")).to_have_text("No word holds that.")


def test_the_tables_end_does_not_take_the_keyboard_away(counted, site):
    site.pages["/thirty"] = f"<title>Thirty</title>{' '.join(f'word{n}' for n in range(30))}"
    page = counted("/thirty")
    following = page.get_by_role("button", name="Next")
    following.press("Enter")
    expect(page.locator("[data-is=place]")).to_have_text("26–30 of 30")
    expect(page.locator("#announce")).to_have_text("26–30 of 30")
    expect(following).to_have_attribute("aria-disabled", "true")
    expect(following).to_be_focused()
    following.press("Enter")
    expect(page.locator("[data-is=place]")).to_have_text("26–30 of 30")


def test_words_and_charts_can_be_kept(counted):
    page = counted()

    def kept(name):
        with page.expect_download() as found:
            page.get_by_role("button", name=name, exact=True).click()
        return found.value.path().read_text("utf-8")

    assert kept("CSV").splitlines()[:2] == ["word,count,share,stop_word", f"alpha,40,{40 / 117:.8f},false"]
    assert '"word": "alpha"' in kept("JSON")
    for chart in ("bars", "histogram", "rank curve"):
        svg = kept(f"Download the {chart} as SVG")
        assert svg.startswith("<?xml")
        assert "http://www.w3.org/2000/svg" in svg
        assert "class=" not in svg
        assert len(set(re.findall(r'fill="([^"]+)"', svg))) >= 3  # paper, ink, data: it has its colours with it


def test_my_jobs_are_listed_and_erased(counted, visit):
    first = counted()
    page = visit()
    mine = page.locator("li", has=page.locator(f"a[href*='{job_of(first)}']"))
    expect(mine).to_contain_text("done")
    mine.get_by_role("button").click()
    expect(mine).to_contain_text("Really?")
    expect(mine.get_by_role("button")).to_have_accessible_name("Really? Erase A page of words")
    mine.get_by_role("button").click()
    expect(mine).to_have_count(0)
    first.reload()
    expect(first.get_by_role("heading", level=2)).to_have_text("There is no such job")


def test_a_page_of_no_words_says_so(submit, site):
    page = submit(f"{site.address}/empty")
    expect(page.locator("[data-is=caution]")).to_contain_text("There are no words on this page")
    expect(page.locator("[data-is=body]")).to_be_hidden()
