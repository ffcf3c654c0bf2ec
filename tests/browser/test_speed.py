"""How long a person waits, by the clock: run with as little beside it as can be."""

import time


def test_words_come_in_less_than_six_tenths_of_a_second(visit, site):
    """Of a page of 100 KB, from the click to the list; the best of ten at most, since the machine is shared."""
    site.pages["/large"] = f"<!doctype html><title>Large</title>{'<p>some words of a long page ' * 3600}"
    assert len(site.pages["/large"]) > 100_000
    page = visit()
    took = []
    while len(took) < 10 and min(took, default=1) >= 0.6:
        page.goto(page.url.partition("?")[0])
        page.fill("#input", f"{site.address}/large")
        began = time.perf_counter()
        page.get_by_role("button", name="Count", exact=True).click()
        page.wait_for_selector("#words tr[data-place]")
        took.append(time.perf_counter() - began)
    print(f"from click to words, seconds: {', '.join(f'{seconds:.2f}' for seconds in took)}")
    assert min(took) < 0.6


def test_contexts_come_in_less_than_a_sixth_of_a_second(counted, site):
    site.pages["/large"] = f"<!doctype html><title>Large</title>{'<p>some words of a long page ' * 3600}"
    page = counted("/large")
    took = []
    while len(took) < 12 and min(took, default=1) >= 0.15:
        row = page.locator(f"#words tr[data-place='{(len(took) + 1) % 2}']")
        row.scroll_into_view_if_needed()
        before = page.evaluate("document.querySelector('.lines').firstElementChild?.textContent ?? ''")
        began = time.perf_counter()
        row.click()
        page.wait_for_function(
            "before => (document.querySelector('.lines').firstElementChild?.textContent ?? before) !== before",
            arg=before,
        )
        took.append(time.perf_counter() - began)
    print(f"from click to contexts, seconds: {', '.join(f'{seconds:.3f}' for seconds in took)}")
    assert min(took) < 0.15
