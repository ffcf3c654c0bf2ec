"""How long a person waits, by the clock: run with as little beside it as can be."""

import time


def test_words_come_in_less_than_a_second(visit, site):
    """Of a page of 100 KB, from the click; the best of ten at most, since the machine is shared."""
    site.pages["/large"] = f"<!doctype html><title>Large</title>{'<p>some words of a long page ' * 3600}"
    assert len(site.pages["/large"]) > 100_000
    page = visit()
    took = []
    while len(took) < 10 and min(took, default=1) >= 1:
        page.goto(page.url.partition("?")[0])
        page.fill("input[name=url]", f"{site.address}/large")
        began = time.perf_counter()
        page.get_by_role("button", name="Count words").click()
        page.wait_for_selector("svg[aria-label*=histogram]")
        took.append(time.perf_counter() - began)
    print(f"from click to words, seconds: {', '.join(f'{seconds:.2f}' for seconds in took)}")
    assert min(took) < 1
