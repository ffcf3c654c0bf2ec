"""What a stack does not do on demand: 50,000 words, a job that does not end, a token, a service that is away.

The API's answers are played here; the page, its script and its policy are the real ones.
"""

import json
import re

import pytest
from playwright.sync_api import expect

from chalicelib.errors import NoObjectStore
from tests.browser.axe import violations

pytestmark = pytest.mark.beside

JOB = "0123456789abcdef0123456789abcdef"
KEYS_AT_MOST = 100  # milliseconds of a key stroke


def job(state="succeeded", **more):
    done = state == "succeeded"
    return {
        "id": JOB,
        "state": state,
        "version": 3,
        "attempt": 1,
        "kind": "url",
        "url": "https://example.com/",
        "submitted_at": "2026-01-01T00:00:00Z",
        "started_at": None,
        "finished_at": "2026-01-01T00:00:01Z" if done else None,
        "expires_at": "2026-02-01T00:00:00Z",
        "page": {"title": "Played", "url": "https://example.com/", "language": "tr"} if done else None,
        "totals": {"words": 1_000_000, "distinct": 50_000, "stop_words": 0, "stop_list": False} if done else None,
        "top": [] if done else None,
        "error": None,
        **more,
    }


@pytest.fixture
def play(visit):
    """``play(answers)``: the page with its API played by answers(method, path, headers) -> (status, body, headers)."""

    def start(answers, path=f"?job={JOB}", **options):
        clock = options.pop("clock", False)
        page = visit(**options)

        def answer(route):
            request = route.request
            status, body, headers = answers(
                request.method, re.sub(r"^https?://[^/]+", "", request.url), request.headers
            )
            kind = "application/json" if status < 400 else "application/problem+json"
            route.fulfill(status=status, body=json.dumps(body), headers={"Content-Type": kind, **headers})

        page.route(re.compile(r"/jobs(\?|/|$)"), answer)
        if clock:
            page.clock.install()
        page.goto(page.url.partition("?")[0] + path)
        return page

    return start


def parts_of(path):
    """What the API says beside the words: nothing of them."""
    if "/contexts" in path:
        return {"id": JOB, "total": 0, "offset": 0, "contexts": [], "next": None}
    if "/places" in path:
        return {"id": JOB, "places": []}
    if "/phrases" in path:
        return {"id": JOB, "total": 0, "offset": 0, "windows": 0, "phrases": [], "next": None}
    return None


def many_words(method, path, headers):
    if other := parts_of(path):
        return 200, other, {}
    if "/words" not in path:
        return 200, job(), {}
    offset = int(re.search(r"offset=(\d+)|$", path)[1] or 0)
    rows = [
        {
            "word": f"{'Wort' if n % 3 else 'wort'}{n // 2:05d}ä",
            "count": 40_000 // (n + 1) + 1,
            "share": 0.1,
            "stop_word": n % 50 == 0,
        }
        for n in range(offset, offset + 10_000)
    ]
    following = f"/jobs/{JOB}/words?stop_words=include&limit=10000&offset={offset + 10_000}"
    return (
        200,
        {"id": JOB, "total": 50_000, "offset": offset, "words": rows, "next": following if offset < 40_000 else None},
        {},
    )


# Counts the frames that showed what a key changed.
FRAMES = """() => { let keys = 0; addEventListener('input', () =>
  requestAnimationFrame(() => setTimeout(() => { document.documentElement.dataset.keys = ++keys })), true) }"""


def key_strokes(page, cdp):
    """Milliseconds that each key costs the page's main thread, with style and layout: of searching, of a minimum."""

    def spent():
        metrics = {one["name"]: one["value"] for one in cdp.send("Performance.getMetrics")["metrics"]}
        return 1000 * metrics["TaskDuration"]

    took, keys = [], int(page.evaluate("document.documentElement.dataset.keys || 0"))
    for field, text in (("find", "wort12"), ("min", "23")):
        page.focus(f"[data-is={field}]")
        for key in [*text, *["Backspace"] * len(text)]:
            before, keys = spent(), keys + 1
            page.keyboard.press(key)
            page.wait_for_selector(f"html[data-keys='{keys}']", state="attached")
            took.append(spent() - before)
    return took


@pytest.mark.long
def test_fifty_thousand_words_answer_within_a_tenth_of_a_second_a_key(play):
    page = play(many_words)
    expect(page.locator("[data-is=shown]")).to_contain_text("49,000 different words")
    page.get_by_label("Hide common words").uncheck()
    expect(page.locator("[data-is=shown]")).to_contain_text("50,000 different words")
    page.wait_for_selector("[data-is=rank] svg")
    assert page.locator("tr").count() < 200
    page.focus("#words")
    page.keyboard.press("End")
    expect(page.locator("tr.active")).to_have_attribute("aria-rowindex", "50001")
    assert page.locator("tr").count() < 200
    page.evaluate(FRAMES)
    cdp = page.context.new_cdp_session(page)
    cdp.send("Performance.enable", {"timeDomain": "threadTicks"})  # the thread's own time, whoever else wants the cores
    took = key_strokes(page, cdp)
    page.get_by_role("button", name="word", exact=True).click()
    took += key_strokes(page, cdp)
    print(f"key strokes, ms: median {sorted(took)[len(took) // 2]:.0f}, worst {max(took):.0f}")
    assert max(took) < KEYS_AT_MOST


def test_a_missing_stop_list_is_said(play):
    page = play(many_words)
    expect(page.locator("[data-is=caution]")).to_have_text(
        "We have no list of common words for Turkish, so all words are shown."
    )


def test_words_that_were_here_stay_when_the_connection_is_lost(play):
    lost = {"now": True}

    def answers(method, path, headers):
        if lost["now"] and "offset=20000" in path:
            return 503, {"title": "Away", "status": 503, "detail": "Away."}, {}
        return many_words(method, path, headers)

    page = play(answers)
    page.get_by_role("button", name="Load the rest").wait_for()
    expect(page.locator("#words tbody tr[data-place]").first).to_be_visible()
    lost["now"] = False
    page.get_by_role("button", name="Load the rest").click()
    expect(page.locator("[data-is=shown]")).to_contain_text("49,000 different words")
    expect(page.locator("[data-is=rest]")).to_be_hidden()


def test_too_many_requests_say_when_to_come_back(play):
    def answers(method, path, headers):
        if method == "POST":
            return 429, {"title": "Too many requests", "status": 429, "detail": "…"}, {"Retry-After": "17"}
        return 200, {"jobs": [], "next": None}, {}

    page = play(answers, path="")
    page.fill("#input", "example.com")
    page.press("#input", "Enter")
    expect(page.locator("[data-is=detail]")).to_have_text("You have sent many requests. Try again in 17 seconds.")


def test_more_pages_than_a_service_without_an_object_store_counts_are_said_beside_the_field(play):
    page = play(lambda *_: (200, {"jobs": [], "next": None}, {}), path="")
    away = {"title": "Unavailable", "status": 503, "detail": NoObjectStore.sentence}
    page.route("**/corpora", lambda route: route.fulfill(status=503, json=away))
    page.fill("#input", "\n".join(f"example.com/{n}" for n in range(6)))
    page.press("#input", "Enter")
    expect(page.locator("#input-error")).to_have_text("This service counts 5 pages at once at most.")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_a_job_that_does_not_end_leaves_a_link_to_come_back(play):
    asked = []

    def answers(method, path, headers):
        asked.append(headers.get("prefer"))
        return 200, job("queued"), {"Preference-Applied": headers["prefer"]} if "prefer" in headers else {}

    page = play(answers, clock=True)
    page.wait_for_selector(".waiting")
    page.clock.fast_forward(100_000)
    page.clock.run_for(2_000)
    expect(page.get_by_text("This is taking longer than usual.", exact=True)).to_be_visible()
    expect(page.locator(".note a")).to_have_attribute("href", re.compile(rf"\?job={JOB}$"))
    assert "wait=1" in asked
    before = len(asked)
    page.clock.run_for(20_000)
    assert len(asked) == before
    page.get_by_role("button", name="Keep waiting").click()
    page.wait_for_selector(".progress:not([hidden])")


def test_axe_finds_nothing_when_a_job_does_not_end(play):
    page = play(lambda *_: (200, job("queued"), {}), clock=True)
    page.wait_for_selector(".waiting")
    page.clock.fast_forward(100_000)
    page.clock.run_for(2_000)
    expect(page.get_by_text("This is taking longer than usual.", exact=True)).to_be_visible()
    page.clock.resume()
    assert violations(page) == []


def test_axe_finds_nothing_when_a_job_failed_or_a_token_is_asked_for(play):
    error = {"type": "timeout", "title": "The page took too long", "detail": "It did not end within 20 seconds."}
    page = play(lambda *_: (200, {**job("failed"), "error": error}, {}))
    expect(page.locator("[data-is=detail]")).to_be_visible()
    assert violations(page) == []
    no = {"title": "A valid token is needed", "status": 401, "detail": "Send a token."}
    page = play(lambda *_: (401, no, {}), path="")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Access token")).to_be_visible()
    assert violations(page) == []


def test_without_wait_the_page_asks_with_growing_pauses(play):
    asked = []

    def answers(method, path, headers):
        asked.append(path)
        return 200, job("running"), {}

    page = play(answers, clock=True)
    page.wait_for_selector(".waiting")
    for _ in range(60):
        page.clock.run_for(500)
        page.wait_for_timeout(5)
    assert 5 <= len(asked) <= 20  # in thirty seconds


def test_a_service_that_is_away_is_said_and_tried_again(play):
    state = {"away": True}

    def answers(method, path, headers):
        if other := parts_of(path):
            return 200, other, {}
        if "/words" in path:
            return 200, {"id": JOB, "total": 0, "offset": 0, "words": [], "next": None}, {}
        if method == "GET" and "prefer" not in headers:
            return 200, job("running"), {}
        if state["away"]:
            return 503, {"title": "Away", "status": 503, "detail": "Away."}, {}
        return 200, job(), {}

    page = play(answers)
    expect(page.locator("[data-is=note]")).to_contain_text("can’t be reached")
    state["away"] = False
    expect(page.get_by_role("heading", level=1)).to_have_text("Played")


def test_a_token_is_asked_for_and_kept_for_the_tab(play):
    def answers(method, path, headers):
        if headers.get("authorization") != "Bearer right":
            return 401, {"title": "A valid token is needed", "status": 401, "detail": "Send a token."}, {}
        if other := parts_of(path):
            return 200, other, {}
        if "/words" in path:
            return 200, {"id": JOB, "total": 0, "offset": 0, "words": [], "next": None}, {}
        return (202, job("queued"), {}) if method == "POST" else (200, job(), {})

    page = play(answers, path="")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.fill("#input", "example.com")
    page.press("#input", "Enter")
    page.get_by_label("Access token").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("That token isn’t valid.")).to_be_visible()
    page.get_by_label("Access token").fill("right")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Played")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Played")
    assert page.evaluate("[sessionStorage.token, localStorage.length, document.cookie]") == ["right", 0, ""]


def test_a_submission_that_got_lost_is_repeated_under_its_key(play):
    keys = []

    def answers(method, path, headers):
        if method == "POST":
            keys.append(headers["idempotency-key"])
            return (
                (503, {"title": "Away", "status": 503, "detail": "Away."}, {})
                if len(keys) == 1
                else (202, job("queued"), {})
            )
        return 200, {"jobs": [], "next": None} if re.search(r"/jobs\?", path) else job("running"), {}

    page = play(answers, path="")
    page.fill("#input", "example.com")
    page.press("#input", "Enter")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".stages [data-stage=running][aria-current]")
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_the_page_works_below_a_stage(stack, browser):
    """Every address is the script's own: here the page is served below /production/."""
    context = browser.new_context()
    page = context.new_page()
    asked = []

    def forward(route):
        asked.append(route.request.url)
        route.continue_(url=route.request.url.replace("/production/", "/"))

    page.route(re.compile("/production/"), forward)
    document = context.request.get(stack).text()
    below = document.replace('"/', '"/production/')
    page.route(f"{stack}production/", lambda route: route.fulfill(body=below, content_type="text/html"))
    page.goto(f"{stack}production/")
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    page.wait_for_selector(".history [data-is=loading][hidden]", state="attached")
    assert any(url.startswith(f"{stack}production/jobs?") for url in asked)
    assert page.evaluate("document.querySelector('.brand').href") == f"{stack}production/"
    context.close()
