"""Many pages as one: a corpus made on the page, its progress, words, lines and end."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.axe import violations
from tests.browser.test_use import drop, tops

pytestmark = pytest.mark.beside


def send(page, addresses):
    page.fill("#input", "\n".join(addresses))
    page.press("#input", "Enter")
    page.wait_for_url("**/?corpus=*")


def some(site, many):
    """Addresses of pages that have "alpha" once more than their number and a word of their own."""
    for n in range(many):
        site.pages[f"/many/{n}"] = (
            f"<!doctype html><html lang=en><title>Page {n}</title><p>{'alpha ' * (n + 1)} own{n}."
        )
    return [f"{site.address}/many/{n}" for n in range(many)]


def compare_corpus(page, site):
    """The corpus with a page, from the corpus; and the page with the corpus, from the page."""
    site.pages["/lone"] = f"<title>Lone</title>{'delta ' * 200}"
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(page.url)
    page.locator("[data-is=compare-menu] > summary").click()
    page.fill("#compare-input", f"{site.address}/lone")
    page.press("#compare-input", "Enter")
    rows = page.locator(".butterfly tbody tr")
    expect(rows.filter(has_text="delta")).to_contain_text("0 : 200")
    expect(page.locator("[data-is=only-mine]")).to_contain_text("Only on these pages: 7 words: alpha 21")
    page.get_by_role("heading", name="Compared with").get_by_role("link", name="Lone").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Lone")
    page.locator("[data-is=compare-menu] > summary").click()
    page.locator("[data-is=recent]").get_by_role("button", name=re.compile("^8 pages|^7 pages")).first.click()
    expect(page.get_by_role("heading", name="Compared with 6 pages as one")).to_be_visible()
    expect(rows.filter(has_text="delta")).to_contain_text("200 : 0")
    expect(page.locator("[data-is=only-theirs]")).to_contain_text("alpha 21")
    assert "vs=corpus:" in page.url


def test_several_addresses_become_a_corpus(visit, site):
    page = visit()
    send(page, [*some(site, 6), f"{site.address}/gone", "ftp://example.com/"])
    expect(page.locator("[data-is=count]")).to_have_text("6 pages counted, 2 not")
    rows = page.locator(".several-pages [data-is=rows] li")
    expect(rows).to_have_count(8)
    expect(rows.filter(has_text="/gone")).to_contain_text("Page not found (404)")
    expect(rows.filter(has_text="ftp:")).to_contain_text("Failed")
    expect(page.get_by_role("heading", level=1, name="6 pages as one")).to_be_focused()
    page.wait_for_selector("[data-is=rank] svg")
    assert tops(page)[0] == ("alpha", "21")
    expect(page.locator("#words tr", has_text="own3").locator(".where")).to_contain_text("on 1 page")
    link = page.url

    page.locator("#words").press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("[data-is=inspector-title]")).to_be_focused()
    expect(page.locator("button.context")).to_have_count(21)
    expect(page.locator(".of-page")).to_have_count(6)
    expect(page.locator(".of-page").nth(2)).to_contain_text(f"{site.address}/many/2")
    expect(page.locator(".of-page a").nth(2)).to_have_text("Page 2")
    page.locator("button.context").first.press("Enter")
    expect(page.locator(".paragraph")).to_contain_text("alpha own0.")
    assert violations(page) == []
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320

    compare_corpus(page, site)
    page = visit(link.rpartition("/")[2])  # of somebody else, who has no refused addresses
    expect(page.locator("[data-is=count]")).to_have_text("6 pages counted, 1 not")
    page.wait_for_selector("[data-is=rank] svg")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete this result?").click()
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("Result not found")


@pytest.mark.long
def test_a_dropped_list_of_more_pages_than_lie_beside_each_other(visit, site):
    page = visit()
    drop(page, [("list.txt", "\n".join(some(site, 60)))])
    page.wait_for_url("**/?corpus=*")
    expect(page.get_by_role("heading", level=1, name="60 pages as one")).to_be_visible()
    page.wait_for_selector("[data-is=rank] svg")
    assert tops(page)[0] == ("alpha", "1,830")
    expect(page.locator("#words tr[data-place]").first.locator(".where")).to_have_text("60")
    page.locator("#words tr[data-place]").first.click()
    expect(page.locator(".of-page").first).to_contain_text(f"{site.address}/many/0")
    page.get_by_role("button", name=re.compile("Show more")).click()
    expect(page.locator("button.context")).to_have_count(50)
    page.locator("[data-is=n]").select_option("2")
    expect(page.locator("#words tr[data-place]").first.locator("th")).to_have_text("alpha alpha")
    assert violations(page) == []
    page.locator(".brand").press("Enter")
    page.get_by_text("Many pages counted as one").press("Enter")
    page.get_by_role("link", name=re.compile("^60 pages")).first.press("Enter")
    expect(page.get_by_role("heading", level=1, name="60 pages as one")).to_be_visible()


def test_a_corpus_is_shown_while_it_is_counted(visit, site):
    page = visit()
    send(page, [*some(site, 5), f"{site.address}/slow-corpus"])
    rows = page.locator(".several-pages [data-is=rows] li")
    expect(rows.filter(has_text="Counting")).to_contain_text("/slow-corpus")
    expect(page.locator("[data-is=progress]")).to_have_text(re.compile("^[0-5] of 6 pages done$"))
    assert violations(page) == []
    site.release.set()
    expect(page.get_by_role("heading", level=1, name="6 pages as one")).to_be_visible()


def test_files_are_documents_by_their_names_and_failures_are_all_there_is(visit, site):
    page = visit()
    drop(page, [(f"{name}.md", f"{name} word") for name in "abcdef"])
    expect(page.locator("[data-is=count]")).to_have_text("6 pages counted")
    page.locator("summary", has_text="6 pages counted").click()
    expect(page.locator(".several-pages [data-is=rows] li").first).to_contain_text("a.md")
    page = visit()
    send(page, [f"{site.address}/gone/{n}" for n in range(6)])
    expect(page.locator("[data-is=count]")).to_have_text("0 pages counted, 6 not")
    expect(page.locator(".several-pages [data-is=rows] li").last).to_contain_text("Page not found (404)")


def test_an_unknown_corpus_and_more_than_is_taken_are_said_in_words(visit):
    page = visit(f"?corpus={'0' * 32}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Result not found")
    many = "\n".join(f"example.com/{n}" for n in range(1001))
    page.locator("#input").evaluate(
        "(input, text) => (input.value = text)", many
    )  # filling takes a minute, pasting not
    page.press("#input", "Enter")
    expect(page.locator("#input-error")).to_have_text("These are 1,001 addresses: 1,000 at most.")
