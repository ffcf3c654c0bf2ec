"""The page as the server sends it, rendered from the templates as they stand in web/."""

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest

from chalicelib.analysis.words import Word
from chalicelib.http import examples, page, schemas

TEMPLATES = Path(__file__).parents[2] / "web" / "templates"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = "\"><img src=x onerror=alert(1)>'${prefix}$$\x00\u202e"


@pytest.fixture(autouse=True)
def templates(monkeypatch):
    monkeypatch.setattr(page, "WEB", TEMPLATES)
    page._template.cache_clear()
    page._assets.cache_clear()
    yield
    page._template.cache_clear()
    page._assets.cache_clear()


def job(state="succeeded", **more):
    shown = {**examples.JOB, "state": state, "submitted_at": "2026-01-01T00:00:00Z"}
    if state == "succeeded":
        shown["page"] = {"title": "A title", "url": "https://example.com/", "language": "en"}
        shown["totals"] = {"words": 1234, "distinct": 2, "stop_words": 3}
    else:
        shown |= {"page": None, "totals": None, "top": None}
    return msgspec.convert(shown | more, schemas.Job)


def row(word, count=1, share=0.1):
    return Word(word, count, share, False)


class Elements(HTMLParser):
    """Every element with its attributes, and all text."""

    def __init__(self, document):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(document)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_the_shell_has_one_field_and_examples_that_work_without_javascript():
    elements = Elements(page.render().partition("<template")[0])
    assert [form["method"] for form in elements.all("form")] == ["post"] * 4
    assert [field["id"] for field in elements.all("textarea")] == ["input"]


def test_links_carry_the_prefix_of_the_stage():
    elements = Elements(page.render(prefix="/production/"))
    links = [a for tag, attributes in elements.found for a in (attributes.get("href"), attributes.get("src")) if a]
    assert links
    assert all(link.startswith(("/production/", "#")) for link in links)
    assert elements.all("form")[0]["action"] == "/production/"


def test_nothing_is_inline_that_the_policy_forbids():
    document = page.render(job(), [row("word")])
    elements = Elements(document)
    assert not [attributes for _, attributes in elements.found if "style" in attributes]
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    assert not elements.all("style")
    assert all(script.get("src") for script in elements.all("script"))
    assert "'unsafe" not in page.HEADERS["Content-Security-Policy"]


def test_a_job_that_is_not_finished_looks_again_by_itself():
    for state in ("queued", "running"):
        document = page.render(job(state), now=NOW)
        assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in document


def test_a_forgotten_tab_looks_more_seldom():
    document = page.render(job("running", submitted_at="2025-12-31T23:00:00Z"), now=NOW)
    assert 'content="15"' in document


@pytest.mark.parametrize("state", ["succeeded", "failed", "canceled"])
def test_an_ended_job_is_not_looked_at_again(state):
    assert "http-equiv" not in page.render(job(state), [])


def test_the_words_are_a_table_with_meters():
    elements = Elements(page.render(job(), [row("zebra", 7), row("apple", 2)]))
    assert [(meter["value"], meter["max"]) for meter in elements.all("meter")] == [("7", "7"), ("2", "7")]
    assert elements.text.index("zebra") < elements.text.index("apple")
    assert "1,234" in elements.text


def test_a_tiny_share_is_not_said_to_be_nothing():
    document = page.render(job(), [row("word", share=0.00002)])
    assert "&lt;0.01%" in document
    assert "0.00%" in page.render(job(), [row("word", share=0.0)])


def test_a_page_without_words_says_so():
    assert "No words found. This page may need JavaScript" in page.render(job(), [])
    assert "JavaScript, which" not in page.render(job(url=None, kind="text"), [])


def test_a_language_without_a_stop_list_is_said():
    totals = {"words": 1, "distinct": 1, "stop_words": 0}
    assert "without common words" in page.render(job(totals=totals), [row("word")])
    assert "no list of common words" in page.render(job(totals={**totals, "stop_list": False}), [row("word")])


def test_a_failure_is_said_in_words():
    document = page.render(job("failed", error={"type": "dns-failed", "title": "No such host", "detail": "Nobody <i>"}))
    assert "No such host" in document
    assert "Nobody &lt;i&gt;" in document


def test_a_job_that_is_not_there_is_said_in_words():
    assert "No such job" in page.render(problem={"title": "No such job", "detail": "It was erased."})


def test_without_the_plain_way_the_page_says_that_a_token_is_needed():
    document = page.render(plain=False)
    assert "401" in document


@pytest.mark.parametrize("field", ["title", "url", "language"])
def test_what_a_page_says_of_itself_stays_text(field):
    hostile = job(page={"title": "t", "url": "u", "language": "en", field: HOSTILE}, url=HOSTILE)
    document = page.render(hostile, [row(HOSTILE)], prefix="/x/")
    elements = Elements(document)
    assert not elements.all("img")
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    assert "\x00" not in document
    assert "\u202e" not in document


def test_a_refused_form_keeps_what_was_typed_and_says_why_beside_it():
    problem = {"title": "Invalid", "errors": [{"pointer": "/select", "detail": 'is no "selector"'}]}
    elements = Elements(page.render(problem=problem, form={"url": "example.com</textarea>", "select": "<<"}))
    fields = {field.get("name"): field for field in elements.all("input")}
    assert "example.com" in elements.text
    assert (fields["select"]["value"], fields["select"]["aria-invalid"]) == ("<<", "true")
    assert 'Is no "selector"' in elements.text
    assert "Invalid" not in elements.text  # not a second time below the form
    assert len(elements.all("textarea")) == 3  # ours, and those of the list of common words and of comparing


def test_an_empty_form_is_refused_in_its_own_words():
    problem = {"errors": [{"pointer": "", "detail": "must have exactly one of url, text and html; it has none"}]}
    elements = Elements(page.render(problem=problem))
    assert "Enter an address, or paste some text." in elements.text
    assert elements.all("body")[0]["data-view"] == "home"
    assert elements.all("textarea")[0]["aria-invalid"] == "true"


CASES = json.loads((Path(__file__).parents[1] / "cases.json").read_text("utf-8"))["typed"]


@pytest.mark.parametrize(("typed", "kind"), [(case["typed"], case["kind"]) for case in CASES])
def test_what_is_typed_is_an_address_or_a_text(typed, kind):
    """Several addresses are a text without JavaScript: a form is one job."""
    found = page.read_form(urlencode({"input": typed}))[0]
    assert found == ({} if not typed.strip() else {"url" if kind == "address" else "text": typed.strip()})


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("plain", "plain"),
        ("a\u202eb", "a‹U+202E›b"),
        ("zero\u200bwidth", "zero‹U+200B›width"),
        ("a\u200db", "a‹U+200D›b"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("क्\u200dष", "क्\u200dष"),
        ("x" * 10_000, "x" * 80 + "…"),
    ],
)
def test_what_cannot_be_seen_in_a_word_is_spelt_out(word, shown):
    assert page.visible(word) == shown


def test_a_form_is_read_as_a_submission():
    assert page.read_form(b"url=example.com%2Fa+b&text=&select=+main+&other=x") == (
        {"url": "example.com/a b", "select": "main"},
        None,
    )
    assert page.read_form("url=%D0%BF")[0] == {"url": "п"}


def test_a_form_sent_twice_has_one_key_and_a_changed_one_another():
    def key(body):
        return page.read_form(body)[1]

    assert key(b"url=a&key=1") == key(b"key=1&url=a&text=")
    assert len({key(b"url=a&key=1"), key(b"url=b&key=1"), key(b"text=a&key=1"), key(b"url=a&key=2")}) == 4


@pytest.mark.parametrize("body", [b"\xff\xfe", b"url=%ff", b"&".join(b"a=1" for _ in range(50))])
def test_a_form_that_is_none_is_refused(body):
    with pytest.raises(ValueError):
        page.read_form(body)


def test_every_page_has_a_key_of_its_own():
    keys = {re.search(r'name="key" value="([^"]+)"', page.render())[1] for _ in range(3)}
    assert len(keys) == 3


def test_only_built_files_are_assets(tmp_path, monkeypatch):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "main-1.js").write_text("1")
    (tmp_path / "assets" / "main-1.js.br").write_bytes(b"smaller")
    (tmp_path / "assets" / "icon.svg").write_text("2")
    (tmp_path / "assets" / "notes.txt").write_text("no")
    (tmp_path / "secret.js").write_text("no")
    monkeypatch.setattr(page, "WEB", tmp_path)
    assert page.asset("main-1.js") == page.Asset(b"1", "text/javascript; charset=utf-8", b"smaller")
    assert page.asset("icon.svg") == page.Asset(b"2", "image/svg+xml")
    for name in (
        "main-1.js.br",
        "notes.txt",
        "../secret.js",
        "..%2fsecret.js",
        "",
        ".",
        "/etc/passwd",
        "main-1.js\x00",
    ):
        assert page.asset(name) is None


def test_python_and_the_script_spell_out_the_same_characters():
    """Both lists are written by hand: compare them range by range."""
    script = (TEMPLATES.parent / "src" / "say.js").read_text("utf-8")
    source = "".join(re.findall(r"'([^'\n]*)'", script[script.index("const INVISIBLE") : script.index("'gu'")]))
    escaped = re.sub(r"\\\\u\{([0-9a-f]+)\}", lambda m: f"\\U{int(m[1], 16):08x}", source).replace("\\\\u", "\\u")
    pattern = re.compile(json.loads('"' + re.sub(r"\\U000([0-9a-f]{5})", _pair, escaped) + '"', strict=False))
    points = [*range(0xD800), *range(0xE000, 0x10000), *range(0x1BC90, 0x1BCB0), *range(0x1D160, 0x1D180)]
    points += [*range(0x1F000, 0x1F010), *range(0xDFFF0, 0xE0200)]
    for before in ("a", "م"):
        text = "".join(f"{before}{chr(point)}" for point in points)
        assert [found.start() for found in pattern.finditer(text)] == [
            found.start() for found in page.INVISIBLE.finditer(text)
        ]


def _pair(found):
    """A code point above the first plane as JSON writes it, or a lone surrogate's range end as it is."""
    point = int(found[1], 16)
    if point < 0x10000:
        return f"\\u{point:04x}"
    high, low = divmod(point - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def test_one_word_is_one_word():
    totals = {"words": 1, "distinct": 1, "stop_words": 0}
    said = Elements(page.render(job(totals=totals), [row("word")])).text
    assert "1 word, 1 different." in said
    assert "The most frequent word, without" in said


def test_without_javascript_nobody_is_told_that_enter_counts():
    hint = re.search(r'id="input-hint">([^<]*)<span class="scripted" hidden>', page.render())
    assert hint is not None
    assert hint[1] == "Press Count"
