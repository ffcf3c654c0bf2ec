"""The page in use: from an address to its words and back, on a real stack in a real browser."""

import json
import re
import time

import pytest
from playwright.sync_api import expect

from tests.browser.axe import violations

pytestmark = pytest.mark.beside
SPOKEN = "Rose is a rose is a rose. A rose by another name smells sweet."


def job_of(page):
    return re.search(r"[?&]job=([0-9a-f]{32})", page.url)[1]


def tops(page):
    """The rows in view as (word, count)."""
    rows = page.locator("#words tbody tr[data-place]")
    rows.first.wait_for()
    return [(row.locator("th bdi").inner_text(), row.locator("td.number").nth(1).inner_text()) for row in rows.all()]


def count(page, text):
    page.fill("#input", text)
    page.press("#input", "Enter")
    page.wait_for_selector("[data-is=rank] svg")


def kept(page, press):
    with page.expect_download() as found:
        press()
    return found.value.path().read_bytes()


def test_an_address_becomes_words(submit, site):
    page = submit(f"{site.address}/page")
    expect(page.get_by_role("heading", level=1)).to_have_text("A page of words")
    page.wait_for_selector("[data-is=rank] svg")
    assert tops(page) == [("alpha", "40"), ("Beta", "30"), ("gamma", "15"), ("lonely", "1"), ("once_only", "1")]
    expect(page.locator("[data-is=sentence]")).to_have_text(
        "117 words, 6 different, about 1 minute to read. It says alpha, Beta and gamma most. "
        "The 2 most frequent words make up half of the text; 2 words occur once."
    )
    assert len(job_of(page)) == 32
    assert page.title() == "A page of words – Wordcounts"


def test_who_types_the_next_address_keeps_the_keyboard(submit, site):
    page = submit(f"{site.address}/slow/typing")
    page.wait_for_selector(".waiting")
    field = page.locator("#input")
    field.fill("")
    field.press_sequentially("example.com/ne")
    site.release.set()
    page.wait_for_selector("[data-is=rank] svg")
    page.keyboard.type("xt")
    expect(field).to_have_value("example.com/next")
    expect(field).to_be_focused()


def test_who_only_waits_is_taken_to_the_words(submit, site):
    page = submit(f"{site.address}/page")
    expect(page.get_by_role("heading", level=1, name="A page of words")).to_be_focused()


def test_a_browser_that_blocks_cookies_counts_words_too(visit):
    page = visit()
    page.add_init_script(
        "for (const name of ['sessionStorage', 'localStorage']) Object.defineProperty(window, name, "
        "{ get() { throw new DOMException('Access is denied for this document.', 'SecurityError') } })"
    )
    page.reload()
    count(page, SPOKEN)
    assert tops(page)[0] == ("rose", "4")


@pytest.mark.parametrize("typed", ["localhost.invalid/page", "localhost.invalid"])
def test_an_address_needs_no_scheme_and_can_be_counted_as_a_text(submit, typed):
    page = submit(typed)
    expect(page.get_by_role("heading", level=1)).to_have_text("Site not found")
    expect(page.locator("[data-is=detail]")).to_contain_text("There is no site called localhost.invalid.")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()
    page.get_by_role("button", name="Count it as text").click()
    expect(page.locator("#words")).to_contain_text("invalid")


def test_a_text_in_the_one_field_is_counted_and_can_be_edited(visit):
    page = visit()
    count(page, SPOKEN)
    expect(page.get_by_role("heading", level=1)).to_have_text("Pasted text")
    page.get_by_role("button", name="Edit text").click()
    expect(page.locator("#input")).to_have_value(SPOKEN)
    expect(page.locator("#input")).to_be_focused()


def test_a_line_can_be_broken_and_control_enter_counts(visit):
    page = visit()
    page.fill("#input", "one")
    page.press("#input", "End")
    page.press("#input", "Shift+Enter")
    page.keyboard.type("two words")
    expect(page.locator("#input")).to_have_value("one\ntwo words")
    page.press("#input", "Control+Enter")
    expect(page.locator("#words")).to_contain_text("words")


def test_an_example_opens_at_once(visit):
    page = visit()
    page.get_by_role("button", name="The lighthouse book").click()
    expect(page.locator("#words")).to_contain_text("ships")


def drop(page, files):
    """Drops files, (name, content), on the page."""
    page.evaluate(
        """files => { const data = new DataTransfer()
        for (const [name, content] of files) data.items.add(new File([content], name))
        for (const kind of ['dragover', 'drop']) document.body.dispatchEvent(
          new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true})) }""",
        files,
    )


def test_dropped_files_are_counted_each_as_what_it_is(visit, site):
    page = visit()
    drop(page, [("a.html", "<title>Doc</title><p>seen<script>unseen</script>"), ("list.txt", f"{site.address}/page\n")])
    expect(page.locator(".rows li")).to_have_count(2)
    expect(page.locator("#words tbody tr[data-place]").first).to_contain_text("alpha")
    expect(page.locator("#words")).to_contain_text("seen")
    expect(page.locator("#words")).not_to_contain_text("unseen")
    page.locator("#words tr[data-place]").first.click()
    expect(page.locator(".of-page a")).to_have_text("A page of words")
    expect(page.locator("button.context")).to_have_count(5)


def test_a_file_of_something_else_is_refused_in_words(visit):
    page = visit()
    drop(page, [("a.png", "\x89PNG\x00\x00")])
    expect(page.locator("#input-error")).to_have_text("“a.png” is no text. Use .txt, .md or .html files.")


def test_several_addresses_are_several_jobs_and_one_list(visit, site):
    page = visit()
    site.pages["/other"] = "<title>Other</title>alpha alpha delta"
    page.fill("#input", f"{site.address}/page\n{site.address}/other\n{site.address}/gone")
    page.press("#input", "Enter")
    page.wait_for_selector("[data-is=rank] svg")
    expect(page.locator(".rows li")).to_have_count(3)
    expect(page.locator(".rows li").nth(2)).to_contain_text("Page not found (404)")
    expect(page.locator("[data-is=count]")).to_have_text("2 pages counted, 1 not")
    assert tops(page)[:2] == [("alpha", "42"), ("Beta", "30")]
    expect(page.locator("[data-is=what]").last).to_contain_text("in the order of the pages: 1 A page of words, 2 Other")
    find = page.get_by_label("Find a word")
    for typed, times in (("gamma gamma", "14 times"), ("alpha delta", "1 time"), ("delta gamma", "0 times")):
        find.fill(typed)
        find.press("Enter")
        expect(page.locator("[data-is=about]")).to_have_text(times)
    expect(page.locator("[data-is=problem]")).to_have_text("This is not in the text.")
    page.get_by_role("button", name="Close").press("Enter")
    expect(find).to_be_focused()
    find.fill("")
    bars = page.locator("#words tr[data-place]").first.locator(".strip path").last.get_attribute("d")
    heights = [float(height) for height in re.findall(r"v-([\d.]+)", bars)]
    assert heights[1] == 19  # two of its three words: the highest bar is of the page of which it is the most
    assert heights[0] == pytest.approx(19 * (40 / 117) / (2 / 3), abs=0.1)
    page.get_by_role("button", name="most pages").click()
    assert "sort=pages" in page.url
    page.reload()
    page.wait_for_selector("[data-is=rank] svg")
    assert tops(page)[0] == ("alpha", "42")


def test_a_failure_is_said_in_words_with_nothing_to_try_that_cannot_help(submit, site):
    page = submit(f"{site.address}/missing")
    expect(page.get_by_role("heading", level=1)).to_have_text("Page not found (404)")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()
    expect(page.get_by_role("link", name="Count another page")).to_be_visible()


def test_a_refused_address_is_said_beside_the_field(submit):
    page = submit("ftp://example.com/")
    expect(page.locator("#input-error")).not_to_be_empty()
    expect(page.locator("#input")).to_be_focused()
    expect(page.locator("#input")).to_have_attribute("aria-invalid", "true")
    page.fill("#input", "ftp://example.org/")
    expect(page.locator("#input-error")).to_be_empty()


def test_nothing_and_options_that_do_not_fit_are_refused_beside_the_field(visit):
    page = visit()
    page.press("#input", "Enter")
    expect(page.locator("#input-error")).to_have_text("Enter an address, or paste some text.")
    page.get_by_text("Options").click()
    page.get_by_label("Skip").fill("nav")
    page.fill("#input", "just a text")
    page.press("#input", "Enter")
    expect(page.locator("#input-error")).to_have_text("Selectors work on web pages only, not on pasted text.")


def test_a_job_is_canceled(submit, site):
    page = submit(f"{site.address}/slow-cancel")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Canceled")


def test_stages_and_time_are_shown_while_it_runs(submit, site):
    page = submit(f"{site.address}/slow-stages")
    expect(page.locator("[aria-current=step]")).to_have_text("Counting")
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"^[1-9]\d* s$"))
    expect(page.locator("#announce[role=status]")).to_contain_text("Counting")
    site.release.set()
    page.wait_for_selector("[data-is=rank] svg")


def test_a_reload_in_the_middle_continues(submit, site):
    page = submit(f"{site.address}/slow-reload")
    page.wait_for_url("**/?job=*")
    job = job_of(page)
    page.reload()
    expect(page.locator(".waiting")).to_be_visible()
    site.release.set()
    page.wait_for_selector("[data-is=rank] svg")
    assert job_of(page) == job


def test_a_link_shows_the_same_view_to_someone_else(counted, visit, site):
    first = counted()
    first.get_by_label("Hide common words").uncheck()
    first.get_by_label("Merge upper and lower case").uncheck()
    expect(first.locator("#words")).to_contain_text("beta")
    first.get_by_label("Minimum count").fill("10")
    first.get_by_label("Find a word").fill("a")
    first.get_by_role("button", name="word", exact=True).click()
    first.locator("#words tr", has_text="gamma").click()
    wanted = [("alpha", "40"), ("beta", "10"), ("Beta", "20"), ("gamma", "15")]
    assert tops(first) == wanted
    second = visit(first.url.rpartition("/")[2])
    second.wait_for_selector("[data-is=rank] svg")
    assert tops(second) == wanted
    expect(second.locator("[data-is=inspector-title]")).to_have_text("gamma")
    expect(second.locator("#input")).to_have_value(f"{site.address}/page")
    first.get_by_role("link", name="Wordcounts").click()
    first.go_back()
    first.wait_for_selector("[data-is=rank] svg")
    assert tops(first) == wanted
    third = visit(f"#/jobs/{job_of(first)}")
    third.wait_for_selector("[data-is=rank] svg")
    assert job_of(third) == job_of(first)


def test_a_link_to_a_job_with_options_can_be_asked_again_with_them(visit, site):
    site.pages["/parts"] = "<title>Parts</title><nav>navigation</nav><main>wanted words wanted</main>"
    page = visit()
    page.get_by_text("Options").click()
    page.get_by_label("Skip").fill("nav")
    count(page, f"{site.address}/parts")
    assert tops(page) == [("wanted", "2"), ("words", "1")]
    page.reload()
    assert tops(page) == [("wanted", "2"), ("words", "1")]
    expect(page.get_by_label("Skip")).to_have_value("nav")
    page.get_by_role("link", name="Wordcounts").click()
    expect(page.get_by_label("Skip")).to_be_hidden()
    expect(page.locator("#input")).to_have_value("")


def test_an_unknown_job_is_said_in_words(visit):
    page = visit(f"?job={'0' * 32}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Result not found")


def test_an_address_that_is_not_served_is_said_in_words(visit):
    page = visit("nope")
    expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")
    assert violations(page) == []
    page.get_by_role("link", name="Count a page").click()
    expect(page.locator("#input")).to_be_visible()


def test_a_selector_that_is_none_is_said_with_its_reason(visit, site):
    page = visit()
    page.get_by_text("Options").click()
    page.get_by_label("Skip").fill("p..x")
    page.fill("#input", f"{site.address}/page")
    page.press("#input", "Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("The selector doesn’t work")
    expect(page.locator("[data-is=detail]")).to_contain_text("“p..x”: Malformed class selector")
    expect(page.get_by_text("Options (set)")).to_be_visible()


def test_a_reload_and_the_back_button_keep_the_place(counted, site):
    site.pages["/long"] = f"<!doctype html><title>Long</title>{' '.join(f'word{n}' for n in range(500))}"
    page = counted("/long")
    where = "() => [scrollY, document.querySelector('[data-is=scroller]')?.scrollTop]"
    page.evaluate("() => document.querySelector('[data-is=scroller]').scrollTo(0, 2000)")
    page.evaluate("() => scrollTo(0, 300)")
    page.wait_for_function("() => history.state?.page === 300 && history.state.list === 2000")
    page.reload()
    page.wait_for_selector("[data-is=rank] svg")
    page.wait_for_function("() => scrollY === 300")
    assert page.evaluate(where) == [300, 2000]
    page.evaluate("() => document.querySelector('.brand').click()")  # a click of Playwright's scrolls there first
    page.wait_for_selector(".history li")
    assert page.evaluate("() => scrollY") == 0
    page.go_back()
    page.wait_for_function("() => scrollY === 300")
    assert page.evaluate(where) == [300, 2000]


def test_the_field_shows_the_beginning_of_a_long_text(visit):
    page = visit()
    page.fill("#input", "one rose\n" * 60)
    page.press("#input", "ControlOrMeta+End")
    page.press("#input", "Enter")
    page.wait_for_selector("[data-is=rank] svg")
    assert page.evaluate("() => document.querySelector('#input').scrollTop") == 0


def test_the_back_button_goes_back(counted):
    page = counted()
    page.go_back()
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    page.go_forward()
    page.wait_for_selector("[data-is=rank] svg")


def test_the_keyboard_goes_where_the_view_goes(counted, visit):
    first = counted()
    page = visit()
    page.locator(f"a[href*='{job_of(first)}']").press("Enter")
    expect(page.get_by_role("heading", level=1, name="A page of words")).to_be_focused()
    page.get_by_role("link", name="History").press("Enter")
    expect(page.locator("#history")).to_be_focused()
    page = visit(f"?job={'0' * 32}")
    page.get_by_role("link", name="Count another page").press("Enter")
    expect(page.locator("#input")).to_be_focused()


def test_submitting_twice_does_nothing_twice(visit, site):
    page = visit()
    keys = []
    page.on("request", lambda sent: sent.method == "POST" and keys.append(sent.headers["idempotency-key"]))
    page.fill("#input", f"{site.address}/slow-twice")
    page.evaluate("for (let i = 0; i < 3; i++) document.forms[0].requestSubmit()")
    page.wait_for_url("**/?job=*")
    first = job_of(page)
    page.press("#input", "Enter")
    page.wait_for_timeout(300)
    assert job_of(page) == first
    assert len(set(keys)) == 1
    site.release.set()
    page.wait_for_selector("[data-is=rank] svg")
    assert site.seen.count("/slow-twice") == 1
    page.get_by_role("button", name="Count", exact=True).click()
    expect(page).not_to_have_url(re.compile(first))  # finished: now it is counted anew


def test_a_word_opens_its_contexts_and_a_line_its_paragraph(visit):
    page = visit()
    count(page, f"{SPOKEN}\nAnother paragraph has Rose and thorns.")
    page.locator("#words tr", has_text="rose").click()
    lines = page.locator("button.context")
    expect(lines).to_have_count(5)
    expect(lines.nth(4)).to_contain_text("Another paragraph has Rose and thorns")
    expect(page.locator("[data-is=forms]")).to_have_text("Forms: rose 3, Rose 2")
    lines.nth(4).click()
    expect(page.locator(".paragraph")).to_have_text("Another paragraph has Rose and thorns.")
    lines.nth(4).click()
    expect(page.locator(".paragraph")).to_have_count(0)
    assert "word=rose" in page.url
    expect(page.locator("[data-is=strip]")).to_have_attribute("aria-label", re.compile("From 0% to .* of the text"))


def test_own_common_words_are_hidden_and_named_by_the_address(counted):
    page = counted()
    page.locator("#words tr", has_text="gamma").click()
    page.get_by_role("button", name="Hide as common").click()
    expect(page.locator("#words")).not_to_contain_text("gamma")
    assert "add=gamma" in page.url
    page.get_by_text("Edit list").click()
    page.get_by_label("Hide more words").fill("ALPHA, lonely")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#words")).not_to_contain_text("alpha")  # in any case: the API's rule
    page.get_by_role("button", name=re.compile("^the 30")).click()
    expect(page.locator("#words")).to_contain_text("the")
    page.reload()
    page.wait_for_selector("[data-is=rank] svg")
    assert tops(page) == [("Beta", "30"), ("the", "30"), ("once_only", "1")]


def test_phrases_are_listed_and_have_contexts(visit):
    page = visit()
    count(page, "New York is big. New York is loud. I like New York pizza.")
    page.locator("[data-is=n]").select_option("phrases of 2")
    expect(page.locator("#words tbody tr[data-place]").first).to_contain_text("New York")
    expect(page.locator("#words thead")).to_contain_text("phrase")
    expect(page.locator("#words thead .where")).to_be_hidden()
    page.locator("#words tbody tr[data-place]").first.click()
    expect(page.locator("button.context")).to_have_count(3)
    page.reload()
    expect(page.locator("#words tbody tr[data-place]").first).to_contain_text("New York")


def test_two_pages_are_compared_by_their_counts(counted, visit, site):
    site.pages["/more"] = f"<title>More</title>{'alpha ' * 20}{'delta ' * 200}{'filler other ' * 200}"
    first = counted()
    counted("/more")
    page = visit()
    for title in ("A page of words", "More"):
        page.get_by_label(f"Compare {title}").first.check()
    page.get_by_role("button", name="Compare 2 pages").click()
    rows = page.locator(".butterfly tbody tr")
    expect(rows.filter(has_text="delta")).to_contain_text("only there")
    expect(rows.filter(has_text="delta")).to_contain_text("0 : 200")
    bars = page.eval_on_selector_all(
        ".butterfly .fill", "bars => bars.map(bar => [Number(bar.style.getPropertyValue('--size')), bar.offsetWidth])"
    )
    widest = max(width for _, width in bars)
    assert all(abs(width - size * widest) <= 1 for size, width in bars), bars
    drawn = kept(page, page.get_by_role("button", name="Download the comparison as SVG").click).decode()
    for text in ("A page of words compared with More", "delta", "0 : 200", "only there"):
        assert f">{text}<" in drawn
    png = kept(page, page.get_by_role("button", name="Download the comparison as PNG").click)
    assert png.startswith(b"\x89PNG")
    expect(rows.filter(has_text="alpha")).to_contain_text("40 : 20")
    expect(page.get_by_role("heading", name="Compared with More")).to_be_visible()
    expect(page.locator("[data-is=only-mine]")).to_contain_text("Beta 30, gamma 15")
    expect(page.locator("[data-is=only-theirs]")).to_contain_text("delta 200")
    assert "vs=" in page.url
    assert job_of(first) in page.url or "job=" in page.url
    page.get_by_role("link", name="Stop comparing").click()
    expect(page.locator(".compared")).to_be_hidden()
    assert "vs=" not in page.url


def test_a_text_is_compared_with_a_text_and_two_pages_sent_at_once_with_each_other(visit, site):
    page = visit()
    count(page, SPOKEN)
    page.locator("[data-is=compare-menu] > summary").click()
    page.fill("#compare-input", "A daisy is no rose.\nA daisy smells of grass.")
    page.press("#compare-input", "Enter")
    expect(page.locator("[data-is=only-mine]")).to_contain_text("Only on this page: 2 words: name 1, sweet 1")
    expect(page.locator("[data-is=only-theirs]")).to_contain_text("Not on this page: 2 words: daisy 2, grass 1")

    site.pages["/other"] = "<title>Other</title>alpha alpha delta"
    count(page, f"{site.address}/page {site.address}/other")
    page.get_by_role("link", name="Compare the two").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A page of words")
    expect(page.locator("[data-is=only-theirs]")).to_contain_text("delta 1")


def test_the_word_as_it_was_typed_is_found_before_longer_ones_and_though_it_is_hidden(visit):
    page = visit()
    count(page, "Others gather there: the weather bothers others. The art of parts is a part of art of parts, parts.")
    find = page.get_by_label("Find a word")
    for typed in ("the", "art"):  # hidden as common; after the more frequent "parts"
        find.fill(typed)
        find.press("Enter")
        expect(page.locator("[data-is=inspector-title]")).to_have_text(re.compile(f"^{typed}$", re.I))


@pytest.mark.parametrize(
    ("typed", "host"), [("localhost:8000/x", "localhost"), ("https://[::1]/", "[::1]"), ("http://0x7f.1/", "127.0.0.1")]
)
def test_an_address_that_shows_that_it_is_not_public_is_named_while_it_is_typed(visit, typed, host):
    page = visit()
    page.fill("#input", typed)
    expect(page.locator("#input-error")).to_have_text(
        f"{host} is not a public address. This service may refuse to fetch it."
    )
    page.fill("#input", "example.com")
    expect(page.locator("#input-error")).to_be_empty()


def tab_to(page, target, key="Tab"):
    for _ in range(60):
        page.keyboard.press(key)
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{target} is not reached")


def find_by_keys(page):
    """The slash searches, Enter goes into the list and opens what was found, Escape comes back."""
    press = page.keyboard.press
    press("/")
    expect(page.get_by_label("Find a word")).to_be_focused()
    page.keyboard.type("GAM")
    press("Enter")
    expect(page.locator("#words")).to_be_focused()
    expect(page.locator("tr.active")).to_contain_text("gamma")
    expect(page.locator("[data-is=inspector-title]")).to_have_text("gamma")
    press("Enter")
    expect(page.locator("[data-is=inspector-title]")).to_be_focused()
    expect(page.locator("[data-is=inspector-title]")).to_have_text("gamma")
    expect(page.locator("button.context mark").first).to_have_text("gamma")
    tab_to(page, page.locator("button.context").first)
    press("Enter")
    expect(page.locator(".paragraph")).to_contain_text("gamma")
    press("Escape")
    expect(page.locator("#words")).to_be_focused()


def move_by_keys(page):
    """Arrows, Home and End move in the list of all words."""
    press = page.keyboard.press
    press("/")
    press("Backspace")
    press("Enter")
    for key, word in (("End", "once_only"), ("Home", "alpha"), ("ArrowDown", "Beta")):
        press(key)
        expect(page.locator("tr.active")).to_contain_text(word)


def charts_by_keys(page):
    press = page.keyboard.press
    tab_to(page, page.locator("[data-is=rank] svg"))
    press("Home")
    expect(page.locator("[data-is=rank] .readout")).to_have_text("Rank 1: alpha, 40 times")
    tab_to(page, page.locator("[data-is=often] svg"))
    press("ArrowRight")
    expect(page.locator("[data-is=often] .readout")).to_have_text("2 words occur once: 2% of the text")
    press("End")
    expect(page.locator("[data-is=often] .readout")).to_contain_text("33–64 times")


def test_only_the_keyboard(visit, site):
    """Submit, find a word, read its contexts, compare with another page, download: step by step, no pointer."""
    site.pages["/second"] = f"<title>Second</title>{'delta ' * 300}"
    page = visit()
    press = page.keyboard.press
    press("Tab")
    expect(page.get_by_text("Skip to the words")).to_be_focused()
    tab_to(page, page.locator("#input"))
    page.keyboard.type(f"{site.address}/page")
    press("Enter")
    expect(page.get_by_role("heading", level=1, name="A page of words")).to_be_focused()
    page.wait_for_selector("[data-is=rank] svg")
    find_by_keys(page)
    move_by_keys(page)
    charts_by_keys(page)
    tab_to(page, page.locator("[data-is=compare-menu] > summary"), "Shift+Tab")
    press("Enter")
    tab_to(page, page.locator("#compare-input"))
    page.keyboard.type(f"{site.address}/second")
    press("Enter")
    expect(page.locator(".butterfly tbody tr").filter(has_text="delta")).to_contain_text("0 : 300")
    page.wait_for_selector("[data-is=rank] svg")
    tab_to(page, page.locator("[data-is=download-menu] > summary"))
    press("Enter")
    tab_to(page, page.get_by_role("button", name="CSV (spreadsheet)"))
    assert b"alpha,40" in kept(page, lambda: press("Enter"))


def test_several_words_in_a_row_are_looked_for_in_the_text(visit):
    page = visit()
    count(page, SPOKEN)
    page.get_by_label("Find a word").fill("another name")
    expect(page.locator("#words")).to_contain_text("Enter looks for it in the text.")
    page.keyboard.press("Enter")
    expect(page.locator("[data-is=inspector-title]")).to_be_focused()
    expect(page.locator("[data-is=about]")).to_have_text("1 time")
    expect(page.locator("button.context mark")).to_have_text("another name")


def test_the_pointer_gives_values_too(counted):
    page = counted()
    values, until = page.locator("[data-is=often] .readout"), time.monotonic() + 20
    while "occur once" not in values.text_content() and time.monotonic() < until:
        page.mouse.move(0, 0)  # a chart that is drawn again under a pointer that rests has nothing to say
        page.locator("[data-is=often] .bin").first.hover()
        page.wait_for_timeout(100)
    expect(values).to_contain_text("occur once")


def test_finding_forgives_case_and_accents_and_sorting_is_the_languages(visit, site):
    site.pages["/svenska"] = (
        "<!doctype html><html lang=sv><meta charset=utf-8><title>Ord</title>zebra åka apa örn äpple Café"
    )
    page = visit()
    count(page, f"{site.address}/svenska")
    page.get_by_role("button", name="word", exact=True).click()
    expect(page.locator("th[data-sort=word]")).to_have_attribute("aria-sort", "ascending")
    assert [word for word, _ in tops(page)] == ["apa", "Café", "zebra", "åka", "äpple", "örn"]
    page.get_by_label("Find a word").fill("CAFE")
    assert [word for word, _ in tops(page)] == ["Café"]
    page.get_by_label("Find a word").fill("nowhere")
    expect(page.locator("#words tbody")).to_contain_text("No words match “nowhere”.")


def test_words_and_pictures_can_be_kept(counted, site):
    page = counted()

    def menu(name):
        page.get_by_text("Download", exact=True).click()
        return kept(page, lambda: page.get_by_role("button", name=name, exact=True).click())

    lines = menu("CSV (spreadsheet)").decode("utf-8").splitlines()
    assert lines[:2] == ["\ufeffword,count,share,stop_word", f"alpha,40,{40 / 117:.8f},false"]
    given = json.loads(menu("JSON"))
    assert given["words"][0]["word"] == "alpha"
    assert given["address"] == f"{site.address}/page"
    svg = menu("SVG").decode()
    for said in ("A page of words", f"{site.address}/page", "alpha", "The 5 most frequent of"):
        assert said in svg
    assert menu("PNG").startswith(b"\x89PNG")
    for name in ("rank", "frequency"):
        chart = kept(
            page, lambda name=name: page.get_by_role("button", name=f"Download the {name} chart as SVG").click()
        )
        assert b"A page of words" in chart
        assert b"class=" not in chart
        assert len(set(re.findall(rb'fill="([^"]+)"', chart))) >= 3  # paper, ink, data: it has its colours with it
        png = kept(page, page.get_by_role("button", name=f"Download the {name} chart as PNG").click)
        assert png.startswith(b"\x89PNG")


def test_the_history_is_searched_and_erased(counted, visit, site):
    first = counted()
    page = visit()
    mine = page.locator(".history li", has=page.locator(f"a[href*='{job_of(first)}']"))
    expect(mine).to_contain_text("Done")
    expect(mine).to_contain_text("alpha · Beta · gamma")
    page.get_by_label("Search the history").fill("nothing like it")
    expect(page.get_by_text("Nothing matches “nothing like it”.")).to_be_visible()
    page.get_by_label("Search the history").fill("GAMMA")
    expect(mine).to_be_visible()
    mine.get_by_role("button").click()
    expect(mine).to_contain_text("Delete?")
    mine.get_by_role("button").click()
    expect(mine).to_have_count(0)
    first.reload()
    expect(first.get_by_role("heading", level=1)).to_have_text("Result not found")


def test_a_search_typed_while_the_history_loads_leaves_the_page_alive(counted, visit):
    counted()
    page = visit()
    expect(page.locator(".history li").first).to_be_visible()

    def show(route):
        """Each page of the history a moment late, and three of them."""
        time.sleep(0.2)
        answer = route.fetch(url=route.request.url.partition("&page=")[0]).json()
        at = int(route.request.url.partition("&page=")[2] or 0)
        route.fulfill(json={**answer, "next": f"jobs?limit=20&page={at + 1}" if at < 2 else None})

    page.route("**/jobs?limit=20*", show)
    page.reload()
    expect(page.locator(".history li").first).to_be_visible()
    search = page.get_by_label("Search the history")
    search.press_sequentially("nothing", delay=20)
    expect(page.get_by_text("Nothing matches “nothing”.")).to_be_visible()
    search.fill("gamma", timeout=5_000)
    expect(search).to_have_value("gamma")


def test_the_history_sees_a_job_end(submit, visit, site):
    submitted = submit(f"{site.address}/slow-history")
    submitted.wait_for_url("**/?job=*")
    page = visit()
    mine = page.locator(".history li", has=page.locator(f"a[href*='{job_of(submitted)}']"))
    expect(mine).to_contain_text("Counting")
    site.release.set()
    expect(mine).to_contain_text("Done")


def test_a_page_of_no_words_says_so(submit, site):
    page = submit(f"{site.address}/empty")
    expect(page.locator("[data-is=caution]")).to_have_text(
        "No words found. This page may need JavaScript, which we don’t run."
    )
    expect(page.locator(".result > [data-is=body]")).to_be_hidden()
    for menu in ("Compare", "Download"):
        expect(page.locator("summary", has_text=menu)).to_be_hidden()
    expect(submit("1 2 3").locator("[data-is=caution]")).to_have_text("No words found.")


def test_a_word_longer_than_its_panel_is_cut_at_its_end(submit):
    page = submit(f"{'Donaudampfschiff' * 8} fährt. " * 2)
    line = page.locator("button.context").first
    expect(line).to_be_visible()
    outer, inner = line.bounding_box(), line.locator("mark").bounding_box()
    assert outer["x"] <= inner["x"]
    assert inner["x"] + inner["width"] <= outer["x"] + outer["width"]
