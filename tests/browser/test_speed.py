"""How long a person waits, by the clock: run with as little beside it as can be."""

import time

import pytest

pytestmark = pytest.mark.long


# By the browser's own clock, from the press to the picture: what drives the browser adds a second on a busy machine.
TIMED = """shown => { let began
    for (const kind of ['click', 'keydown']) addEventListener(kind, event => began ??= event.timeStamp, true)
    const before = shown && document.querySelector(shown)?.textContent
    window.took = new Promise(done => new MutationObserver((_, watching) => {
      const found = document.querySelector(shown)
      if (!began || !found || found.textContent === before) return
      watching.disconnect()
      requestAnimationFrame(() => setTimeout(() => done((performance.now() - began) / 1000)))
    }).observe(document.body, { subtree: true, childList: true })) }"""


def test_words_come_in_less_than_six_tenths_of_a_second(visit, site):
    """Of a page of 100 KB, from Enter to the list; the best of ten at most, since the machine is shared."""
    site.pages["/large"] = f"<!doctype html><title>Large</title>{'<p>some words of a long page ' * 3600}"
    assert len(site.pages["/large"]) > 100_000
    page = visit()
    took = []
    while len(took) < 10 and min(took, default=1) >= 0.6:
        page.goto(page.url.partition("?")[0])
        page.fill("#input", f"{site.address}/large")
        page.evaluate(TIMED, "#words tr[data-place]")
        page.keyboard.press("Enter")
        took.append(page.evaluate("window.took"))
    print(f"from Enter to words, seconds: {', '.join(f'{seconds:.2f}' for seconds in took)}")
    assert min(took) < 0.6


def test_contexts_come_in_less_than_a_sixth_of_a_second(counted, site):
    site.pages["/large"] = f"<!doctype html><title>Large</title>{'<p>some words of a long page ' * 3600}"
    page = counted("/large")
    took = []
    while len(took) < 12 and min(took, default=1) >= 0.15:
        row = page.locator(f"#words tr[data-place='{(len(took) + 1) % 2}']")
        row.scroll_into_view_if_needed()
        page.evaluate(TIMED, ".lines > li")
        row.click()
        took.append(page.evaluate("window.took"))
    print(f"from click to contexts, seconds: {', '.join(f'{seconds:.3f}' for seconds in took)}")
    assert min(took) < 0.15


def test_fifty_thousand_words_are_shown_within_two_seconds_and_answer_within_a_tenth(visit, stack):
    """A real job, from the address to all words; then the slowest of keys and clicks, by the browser's own clock."""
    from playwright.sync_api import expect

    page = visit()
    text = " ".join(f"{'Wort' if n % 3 else 'wort'}{n:05d}" for n in range(50_000))
    job = page.request.post(f"{stack}jobs", data={"text": text, "language": "de"}, headers={"Prefer": "wait=20"})
    page.goto(f"{stack}?job={job.json()['id']}")
    expect(page.locator("[data-is=shown]")).to_contain_text("50,000 different words")
    took, worst = [], []
    while len(took) < 5 and (min(took, default=2) >= 2 or min(worst) >= 100):
        began = time.perf_counter()
        page.reload()
        page.wait_for_function("() => document.querySelector('[data-is=shown]')?.textContent.startsWith('50,000')")
        took.append(time.perf_counter() - began)
        page.wait_for_selector("[data-is=rank] svg")
        page.evaluate(
            """() => { window.slowest = 0
            new PerformanceObserver(list => { for (const one of list.getEntries())
              if (one.interactionId) window.slowest = Math.max(window.slowest, one.duration) })
              .observe({ type: 'event', durationThreshold: 16 }) }"""
        )
        for number in range(1, 4):
            page.locator(f"#words tr[data-place='{number}']").click()
        page.get_by_role("button", name="word", exact=True).click()
        page.locator("[data-is=find]").press_sequentially("ort123", delay=50)
        page.focus("#words")
        for key in ("End", "PageUp", "Home", "ArrowDown"):
            page.keyboard.press(key)
        page.wait_for_timeout(200)
        worst.append(page.evaluate("window.slowest"))
        page.fill("[data-is=find]", "")
        page.get_by_role("button", name="count", exact=True).click()
    print(f"50,000 words shown, s: {[round(seconds, 2) for seconds in took]}; slowest interaction, ms: {worst}")
    assert min(took) < 2
    assert min(worst) < 100
