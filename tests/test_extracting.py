"""The words of a page, and the encoding of its bytes. The judge's answers are data: see tests/pages and ../shared."""

import base64
import json
import os
import random
import re
import sys
import time
from pathlib import Path

import pytest

from chalicelib.errors import AttemptFailed, ErrorKind
from chalicelib.extracting import extract

ROOT = Path(__file__).resolve().parents[1]
PAGES = Path(__file__).parent / "pages"
SHARED = ROOT.parent / "shared"
DELETED = str.maketrans("", "", "\u00ad\u2060\ufeff\u200b")  # the extractor drops these: they have no width
UTF8 = "text/html; charset=utf-8"


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{path} is missing")
        pytest.skip(f"{path} is not on this machine")
    return path


def words(text: str) -> list[str]:
    return text.translate(DELETED).split()


def read(markup: str, **narrowed: str) -> list[str]:
    return words(extract(markup.encode(), UTF8, **narrowed).text)


# Where a browser's innerText glues words across a block that takes up room and shows nothing, a reader sees two lines.
_INVISIBLE = ("hidden=until-found", 'style="visibility:collapse"', 'style="content-visibility:hidden"')
SPLIT = dict.fromkeys(
    [
        *(f"<!DOCTYPE html><body>a<div {how}>d</div>b" for how in _INVISIBLE),
        '<!DOCTYPE html><body>a<div style="visibility:hidden">x</div>b',
        '<!DOCTYPE html><body>a<div style="visibility:hidden">x<br>y</div>b',
        '<!DOCTYPE html><body>a<details style="visibility:hidden"><summary>x</summary>y</details>b',
    ],
    "a\nb",
)


def test_every_case_of_the_rules_has_the_words_that_the_browser_showed() -> None:
    cases = json.loads((PAGES / "rules.json").read_text("utf-8"))
    assert len(cases) > 300
    wrong = [case for case, shown in cases.items() if read(case) != words(SPLIT.get(case, shown))]
    assert wrong == []


OPEN = "".join(f"<b id={n}>" for n in range(600))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone bounds what a process maps")
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (f"<p>{OPEN}</p>" + "<p>x</p>" * 8000, UTF8),
        ("<p>" + "".join(f"<font id={n}>" for n in range(600)) + "<li>x" * 8000, UTF8),
        (f"é<p>{OPEN}" + "<p>x" * 14_000, "text/html"),  # its meta is looked for in a tree too
        ("<rss><title>" + f"<p>{OPEN}".replace("<", "&lt;") + "&lt;p>x" * 8000, "application/rss+xml"),
    ],
    ids=["b", "font", "no UTF-8", "feed"],
)
def test_formatting_that_is_opened_again_in_each_paragraph_ends_the_job(body: str, content_type: str) -> None:
    with pytest.raises(AttemptFailed, match="too many elements") as failed:
        extract(body.encode("latin-1"), content_type)
    assert failed.value.kind is ErrorKind.TOO_LARGE


def test_every_shared_snippet_has_the_browsers_words_and_title() -> None:
    for case in json.loads(shared("snippets.json").read_text("utf-8")):
        page = extract(case["html"].encode(), UTF8)
        assert words(page.text) == words(case["inner_text"]), case["name"]
        assert page.title == case["title"]


@pytest.mark.slow
@pytest.mark.parametrize("narrowed", [{"select": "html"}, {"ignore": "nothing-here"}])
def test_a_selector_that_leaves_nothing_out_changes_no_word_of_any_shared_page(narrowed: dict[str, str]) -> None:
    for name in json.loads(shared("pages/oracle.json").read_text("utf-8")):
        body = (SHARED / "pages" / name).read_bytes()
        assert words(extract(body, **narrowed).text) == words(extract(body).text), name


@pytest.mark.slow
def test_every_shared_page_has_the_browsers_words_in_its_order_its_title_and_its_encoding() -> None:
    oracle = json.loads(shared("pages/oracle.json").read_text("utf-8"))
    for name, shown in oracle.items():
        page = extract((SHARED / "pages" / name).read_bytes())
        assert words(page.text) == words(shown["inner_text"]), name
        assert page.title == " ".join(shown["title"].split()), name
        assert page.encoding == shown["charset"].lower(), name


@pytest.mark.slow
def test_every_shared_encoding_case_is_right() -> None:
    lines = shared("encoding_cases.jsonl").read_text("utf-8").splitlines()[1:]
    cases = [json.loads(line) for line in lines]
    wrong = [
        case["id"]
        for case in cases
        if extract(base64.b64decode(case["data_b64"]), case["content_type"]).encoding
        != case["expected"].removesuffix("(sniffed)")
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("body", "content_type", "encoding"),
    [
        (b"caf\xe9", "text/html; charset=latin1", "windows-1252"),
        (b"caf\xe9", 'text/html;x="charset"; charset = "ISO-8859-1"', "windows-1252"),
        (b"\xe1", "text/html, text/html; charset=koi8-r", "koi8-r"),
        (b"\xe1", "text/html; charset=koi8-r, text/html", "koi8-r"),
        (b"\xe1", "text/html; charset=koi8-r, text/html; charset=latin1", "windows-1252"),
        (b"d\xe9j\xe0 vu", "text/html; charset=koi8-r, text/xml", "windows-1252"),
        (b"\xe1", 'text/html; title="a, text/xml"; charset=koi8-r, */*', "koi8-r"),
        (b"\xe1", "html; charset=koi8-r", "koi8-r"),
        (b"\xef\xbb\xbfcaf\xc3\xa9", "text/html; charset=latin1", "utf-8"),
        (b'<meta http-equiv=content-type content="text/html; charset=koi8-r"><p>\xf0', None, "koi8-r"),
        (b"<META CONTENT=\"a;charset='koi8-r'\" HTTP-EQUIV=Content-Type><p>\xf0", None, "koi8-r"),
        (b"<!-- <meta charset=koi8-r> --><meta charset=iso-8859-2>\xe9", None, "iso-8859-2"),
        (b'<p title="<meta charset=koi8-r>"><meta charset=iso-8859-2>\xe9', None, "iso-8859-2"),
        (b"<meta charset=koi8-r charset=utf-8>\xe9", None, "koi8-r"),
        (b"<meta name=x content='charset=koi8-r'><meta charset=utf-8>", None, "utf-8"),
        (b"<!--" + b"x" * 993 + b"--><meta charset=iso-8859-15>\xe9", None, "iso-8859-15"),  # not -1, where 1 KB ends
        (b"<metax charset=koi8-r><meta/charset=iso-8859-2>\xe9", None, "iso-8859-2"),
        (b"<meta charset=x-user-defined>\xe9", None, "windows-1252"),
        (b"<!--" + b"x" * 2000 + b"--><meta charset=koi8-r>\xf0", None, "koi8-r"),
        (b"<!--" + b"x" * 2000 + b"--><meta charset=koi8-r>word", None, "windows-1252"),
        ("<p>мир".encode("utf-16-le"), None, "utf-16le"),
        (b"<meta\0charset=koi8-r><p>\xe9", None, "windows-1252"),
        ("<p>a word in plain Latin".encode("utf-16-be"), None, "utf-16be"),
        ('<?xml version="1.0"?><p>мир'.encode("utf-16-le"), None, "utf-16le"),
        ("これは日本語".encode("iso2022_jp"), None, "iso-2022-jp"),
        ("<p>é café".encode()[:-1], None, "utf-8"),
        (b"\xe9", "text/plain", "windows-1252"),
        (b"<?xml version='1.0' encoding='koi8-r'?><a>\xf0</a>", "text/xml", "koi8-r"),
        (b"", None, "windows-1252"),
        (b"<a>word</a>", "text/x-opml+xml", "utf-8"),  # which XML is if it declares nothing
    ],
)
def test_the_encoding_is_found_as_the_standard_finds_it(body: bytes, content_type: str | None, encoding: str) -> None:
    assert extract(body, content_type).encoding == encoding


RUSSIAN = "Сегодня утром на улице было холодно, и мы решили остаться дома; потом пришёл сосед и рассказал о горах."
CZECH = "Dnes ráno bylo venku chladno, a tak jsme zůstali doma; soused přišel později a říkal, že sněží."
UNDECLARED = {
    RUSSIAN: ["cp1251", "koi8-r", "iso8859-5", "cp866", "utf-16-le", "utf-16-be", "utf-8"],
    "Привет, мир": ["cp1251", "koi8-r"],
    CZECH: ["cp1250", "iso8859-2"],
    "Hleď, toť čarovný loužičkový kůň, jejž ďábel úpěl; zbrzďte Zažďovnu! Źdźbło gęśli, żółw jaźń.": ["iso8859-2"],
    "Σήμερα το πρωί έκανε κρύο και αποφασίσαμε να μείνουμε στο σπίτι. Άνοιξη.": ["cp1253", "iso8859-7"],
    "كان الجو باردا هذا الصباح ولذلك قررنا البقاء في المنزل.": ["cp1256", "iso8859-6"],
    "Heute Morgen war es draußen kühl; später kam der Nachbar über die Straße.": ["cp1252", "iso8859-15"],
    "เช้าวันนี้อากาศหนาวเราจึงตัดสินใจอยู่บ้าน" * 5: ["cp874", "utf-16-le", "utf-16-be"],
    "오늘 아침에는 밖이 추워서 집에 있기로 했습니다.": ["euc-kr", "utf-16-le"],
    "今天早上外面很冷，所以我们决定待在家里。": ["gbk", "utf-16-be"],
    "今朝は外が寒かったので、家にいることにしました。": ["shift_jis", "euc-jp", "iso2022_jp"],
    "© 2024 – café": ["cp1252"],
    "a señor, an año, a déjà vu. " * 20 + "Olé": ["cp1252"],
    "Brand™ at £100 or €120 – “new”. " * 20 + "End": ["cp1252"],
    "«Été»; à la plage. " * 10 + "Oui": ["cp1252"],
}


@pytest.mark.parametrize(
    ("text", "codec"),
    [(text, codec) for text, codecs in UNDECLARED.items() for codec in codecs],
    ids=lambda value: value[:12],
)
def test_a_page_that_declares_no_encoding_is_read_all_the_same(text: str, codec: str) -> None:
    page = f"<!doctype html><html><head><title>t</title></head><body><p>{text}</p></body></html>"
    assert extract(page.encode(codec)).text.strip() == text


@pytest.mark.parametrize(
    ("content_type", "text"),
    {
        "text/html, text/html": "word",
        "text/plain, text/html; charset=utf-8": "word",
        "text/html, text/plain": "<p>word</p>",
        'text/html; title="a, text/plain"': "word",
        "text/plain, */*": "<p>word</p>",
    }.items(),
)
def test_a_content_type_that_came_twice_is_the_last(content_type: str, text: str) -> None:
    assert extract(b"<p>word</p>", content_type).text.strip() == text


@pytest.mark.parametrize(
    ("label", "body", "text"),
    [
        ("windows-1252", b"\x81\x93", "\x81\u201c"),
        ("gb2312", b"\x80\xc4\xe3", "€你"),
        ("shift_jis", b"\x87\x40\xb1", "①ｱ"),
        ("euc-jp", b"\xad\xa1\xa4\xa2\x8e\xb1", "①あｱ"),
        ("iso-2022-jp", b'\x1b$B-!$"\x1b(Ba\x1b(I1\x1b(J\\', "①あaｱ¥"),
        ("euc-kr", b"\x81\x41\xb0\xa1", "갂가"),
        ("big5", b"\xa4\xa4\x87\x40", "中䏰"),
        ("iso-8859-8-i", b"\xf9", "ש"),
        ("x-user-defined", b"a\x80", "a\uf780"),
        ("windows-874", b"\xa1\x80", "ก€"),
    ],
)
def test_bytes_are_read_as_the_standard_reads_them(label: str, body: bytes, text: str) -> None:
    assert extract(body, f"text/plain; charset={label}").text == text


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<p>word", "text/html; charset=hz-gb-2312"),
        (b"<meta charset=hz-gb-2312><p>~{<:Ky2;S{~}", "text/html"),
        (b"<meta charset=replacement><p>caf\xc3\xa9", "text/html"),
        (b"<meta charset=iso-2022-kr><p>word", "text/html"),
    ],
)
def test_what_browsers_refuse_to_read_is_a_bad_encoding(body: bytes, content_type: str) -> None:
    with pytest.raises(AttemptFailed) as failed:
        extract(body, content_type)
    assert failed.value.kind is ErrorKind.BAD_ENCODING


def test_plain_text_is_not_parsed() -> None:
    page = extract(b"a <b>c</b> &amp; d", "text/plain")
    assert (page.text, page.title, page.language) == ("a <b>c</b> &amp; d", None, None)


@pytest.mark.slow  # loads BeautifulSoup
def test_an_empty_element_of_xhtml_is_one_element() -> None:
    body = b'<html xmlns="http://www.w3.org/1999/xhtml"><body><p>a<br/><span>b</span></p></body></html>'
    assert extract(body, "application/xhtml+xml", select="p > span:nth-child(2)").text == "b"
    assert extract(body.replace(b"<br/>", b"</br>"), "application/xhtml+xml").text == "ab"


def test_xhtml_closes_its_empty_elements() -> None:
    page = (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml" xml:lang="de"><head><title>t</title>'
        '<script src="x"/></head><body><p>one <b>two</b> <i>three</i><a name="x"/></p><p/><div><![CDATA[a<b]]></div>'
        "</body></html>"
    )
    read = extract(page.encode(), "application/xhtml+xml")
    assert (read.text.split(), read.title, read.language) == (["one", "two", "three", "a<b"], "t", "de")


def test_the_elements_of_other_xml_separate_words() -> None:
    feed = b"<rss><item><title>one</title><link>two</link><x><![CDATA[<b>three]]></x><!-- no --></item></rss>"
    assert extract(feed.replace(b"rss", b"doc"), "text/xml").text.split() == ["one", "two", "<b>three"]
    assert extract(feed, "application/rss+xml").text.split() == ["one", "<b>three"]


@pytest.mark.parametrize(
    ("markup", "language"),
    [
        ("<html lang=pt_BR><p>x", "pt-br"),
        ("<html xml:lang=de>", "de"),
        ("<meta http-equiv=Content-Language content='fr, en'>", "fr"),
        ("<html lang=en><meta http-equiv=Content-Language content=fr>", "en"),
        ("<html lang=''><p lang=de>x", None),
        ("<html lang='not a language'>", None),
        ("<p>x", None),
    ],
)
def test_the_language_is_the_one_that_the_page_declares(markup: str, language: str | None) -> None:
    assert extract(markup.encode()).language == language


PAGE = (
    "<html lang=en><title>t</title><nav>menu</nav><div id=m><p>one<b>two</b></p><p class=ad>buy</p>"
    "<table><tr><td>x<td class=c>y</table></div><script>no</script>"
)


@pytest.mark.parametrize(
    ("select", "ignore", "expected"),
    [
        ("#m", None, "onetwo buy x y"),
        ("#m", ".ad", "onetwo x y"),
        ("p, b", None, "onetwo buy"),
        ("td", None, "x y"),
        (".c", None, "y"),
        (None, "nav, table", "onetwo buy"),
        (None, "b", "menu one buy x y"),
        (".nowhere", None, ""),
        ("script", None, ""),
    ],
)
def test_select_and_ignore_narrow_the_page(select: str | None, ignore: str | None, expected: str) -> None:
    page = extract(PAGE.encode(), UTF8, select=select, ignore=ignore)
    assert page.text.split() == expected.split()
    assert (page.title, page.language) == ("t", "en")


@pytest.mark.parametrize("css", ["p[", "::before", "p:nonsense(", ">", "  ", "p" * 1001, ":is(" * 200])
def test_what_is_no_selector_is_a_bad_selector(css: str) -> None:
    for narrowed in ({"select": css}, {"ignore": css}):
        with pytest.raises(AttemptFailed) as failed:
            extract(b"<p>x", UTF8, **narrowed)
        assert failed.value.kind is ErrorKind.BAD_SELECTOR


@pytest.mark.slow
def test_a_page_of_too_many_elements_is_not_selected_from() -> None:
    with pytest.raises(AttemptFailed) as failed:
        extract(b"<p>" * 100_001, select="p")
    assert failed.value.kind is ErrorKind.BAD_SELECTOR


@pytest.mark.parametrize(
    "body", [b"", b"\0", b"<", b"</", b"<!", b"<!--", b"&", b"&#", b"<a", b'<a b="', b"<?", b"\xff"]
)
def test_no_scrap_of_markup_fails(body: bytes) -> None:
    for content_type in (None, "application/xhtml+xml", "text/xml", "text/plain"):
        extract(body, content_type)


@pytest.mark.slow
def test_no_soup_of_tags_fails() -> None:
    rules = json.loads((PAGES / "rules.json").read_text("utf-8"))
    tags = ["text", " ", "&amp;", *sorted({tag for rule in rules for tag in re.findall(r"<[^>]*>", rule)})]
    for seed in range(300):
        soup = "".join(random.Random(seed).choices(tags, k=40)).encode()
        for content_type in (UTF8, "application/xhtml+xml; charset=utf-8"):
            extract(soup, content_type)


def test_a_number_of_thousands_of_digits_is_no_character() -> None:
    assert read("a&#" + "9" * 5000 + ";b") == ["a\ufffdb"]


@pytest.mark.slow
def test_a_page_within_a_page_of_time() -> None:
    start = time.process_time()
    extract(b"<div>" * 50_000 + b"x" + b"</div>" * 50_000)

    assert time.process_time() - start < 3


@pytest.mark.parametrize("tag", ["p", "xmp", "plaintext", "title", "p><style style=display:block"])
def test_a_long_text_comes_through_whole(tag: str) -> None:
    text = "a text with > in it & more of it " * 16_000
    page = extract(f"<{tag}>{text}".encode())
    assert (page.title if tag == "title" else page.text) == text.strip()


# --- Kinds, feeds, the main content -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/pdf", "image/svg+xml", "text/css", "video/mp4"]
)
def test_a_type_that_is_not_read_is_refused_by_a_sentence_that_names_it(media_type: str) -> None:
    with pytest.raises(AttemptFailed, match=re.escape(media_type)) as refused:
        extract(b"{}", f"{media_type}; charset=utf-8")
    assert refused.value.kind is ErrorKind.NOT_TEXT
    assert "only HTML, XHTML, XML, RSS, Atom and plain text" in str(refused.value)


@pytest.mark.parametrize("media_type", ["text/markdown", "text/csv", "text/x-whatever"])
def test_every_other_text_is_read_as_it_is(media_type: str) -> None:
    assert extract(b"# one <b>", media_type).text == "# one <b>"


FEED = """<?xml version="1.0"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>Tom &amp;amp; Co</title><link>https://example.com/</link><language>de-AT</language><item><title>One</title>
<guid>8f3a</guid><pubDate>Sat, 28 Nov</pubDate><description>&lt;p&gt;f&lt;b&gt;oo&lt;/b&gt;&lt;/p&gt;bar</description>
<content:encoded><![CDATA[<p>caf&eacute;<i hidden>no</i></p>]]></content:encoded></item></channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="fr"><title>T</title><id>7</id><entry>
<summary type="html">a&lt;br/&gt;b</summary><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">x<b>y</b>
<p hidden="">no</p></div></content></entry></feed>"""


def test_a_feeds_titles_and_texts_are_read_and_markup_in_them_is_rendered_once() -> None:
    page = extract(FEED.encode(), "application/rss+xml")
    assert page.text.split() == ["Tom", "&", "Co", "One", "foo", "bar", "café"]
    assert page.language == "de-at"
    page = extract(ATOM.encode(), "application/atom+xml")
    assert (page.text.split(), page.title, page.language) == (["T", "a", "b", "xy"], "T", "fr")


def test_a_feed_is_narrowed_by_selectors_too() -> None:
    narrowed = extract(FEED.encode(), "application/rss+xml", select="item", ignore="title")
    assert narrowed.text.split() == ["foo", "bar", "café"]
    assert extract(FEED.encode(), "application/rss+xml", select="description b").text == "oo"


def test_a_declaration_ends_where_it_ends_and_its_entities_are_replaced_once_and_little() -> None:
    declared = (
        '<!DOCTYPE n [<!-- > --><!ENTITY w "a > b"><!ENTITY x "&w;&w;"><!ATTLIST n y CDATA "]>">]><n>&w; &x; c</n>'
    )
    assert extract(declared.encode(), "text/xml").text == "a > b &x; c"
    characters = """<!DOCTYPE n [<!ENTITY j "Jos&#233; &amp; R&#x26;D"><!ENTITY q 'x"&#60;y'>]><n a="&q;">&j; &q;</n>"""
    assert extract(characters.encode(), "text/xml").text == 'José & R&D x"<y'
    bomb = '<!DOCTYPE n [<!ENTITY w "' + "w" * 1000 + '">]><n>' + "&w;" * 10_000 + "</n>"
    assert len(extract(bomb.encode(), "text/xml").text) < 200_000


@pytest.mark.parametrize(
    ("markup", "header", "language"),
    [
        ("<html lang=en><body lang=fr>", "de", "en"),
        ("<body lang=fr>", "de", "fr"),
        ("<p>x", "de, en", "de"),
        ("<meta http-equiv=content-language content=es><p>x", None, "es"),
    ],
)
def test_the_language_is_htmls_else_bodys_else_the_headers(markup: str, header: str, language: str) -> None:
    assert extract(markup.encode(), UTF8, content_language=header).language == language


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ('<p lang=tr style="text-transform:uppercase">iı', "İI"),
        ('<p lang=tr style="text-transform:lowercase">Iİ', "ıi"),
        ('<p style="text-transform:uppercase"><b lang=az>i</b>i', "İI"),
        ('<p lang=el style="text-transform:uppercase">μάιος ή ταΐζω', "ΜΑΪΟΣ Ή ΤΑΪΖΩ"),
        ('<p lang=de style="text-transform:uppercase">straße', "STRASSE"),
        ('<p lang=nl style="text-transform:capitalize">ijs ei', "Ijs Ei"),
        ('<p lang=lt style="text-transform:uppercase">i\u0307\u0300', "I\u0300"),
        ('<div style="display:var(--x)">a</div>b<div style="all:unset">c</div>d', "abcd"),
        ('<p style="text-transform:uppercase">do<b>n’t</b> <i style="text-transform:none">no</i>', "DON’T no"),
        ('<div style="display:flex"><a>x</a><a>y</a></div><b>z</b><b>w</b>', "x\ny\nzw"),
        ('a<button style="white-space:pre"> b </button>c', "a b c"),
        ("a<button align=left>b</button>c", "abc"),  # of images alone does it make boxes beside the text
        ("<pre>a\nb</pre><p>c\nd", "a\nb\nc d"),
        ('<div style="display:none;display:mine">x</div>y', "y"),
        ("<table><tr><td>a<td>b<tr><td>c</table>", "a\tb\nc"),
    ],
)
def test_styles_change_text_by_the_rules_of_its_language_and_place(markup: str, text: str) -> None:
    assert extract(markup.encode(), UTF8).text == text


def test_templates_within_templates_do_not_end_the_marking_of_a_large_page() -> None:
    nested = "<template><p>no</p><template>no</template></template>"
    for buttons in range(996, 1001):  # marks are set a thousand at a time
        assert read("<button>x</button>" * buttons + nested * 3 + "<dialog>no</dialog>y") == ["x" * buttons + "y"]


@pytest.mark.parametrize(
    ("markup", "css", "text"),
    [
        ("<div hidden><p>x</p></div><p>y", "p", "y"),
        ("<details><summary>s</summary><p>x</p></details>", "p", ""),
        ('<div style="visibility:hidden"><p>x<b style="visibility:visible">y</b>', "p", "y"),
        ("<b>x</b><b>y</b>", "b", "x\ny"),
        ("<svg><text>x</text></svg>", "text", "x"),
    ],
)
def test_what_is_selected_is_shown_as_its_ancestors_let_it(markup: str, css: str, text: str) -> None:
    assert extract(markup.encode(), UTF8, select=css).text == text


ARTICLE = "<p>" + "The river rose in the night, and by the morning the lower fields lay under water. " * 6 + "</p>"


@pytest.mark.slow
def test_the_main_content_leaves_navigation_out_and_says_how_much() -> None:
    menu = "".join(f'<li><a href="/{n}">Section {n}</a></li>' for n in range(30))
    page = f"<html><body><nav><ul>{menu}</ul></nav><main><article><h1>Flood</h1>{ARTICLE * 3}</article></main>"
    whole, main = (extract(page.encode(), UTF8, content=content) for content in ("all", "main"))
    assert whole.content == {"mode": "all", "words_left_out": 0}
    assert main.content["mode"] == "main"
    assert main.content["words_left_out"] == len(whole.text.split()) - len(main.text.split()) >= 60
    assert "river" in main.text
    assert "Section" not in main.text


@pytest.mark.slow
@pytest.mark.parametrize("page", ["<p>short</p>", "<nav>" + "<a href=x>link</a> " * 900 + "</nav>" + ARTICLE])
def test_a_page_without_an_article_is_read_whole(page: str) -> None:
    found = extract(page.encode(), UTF8, content="main")
    assert found.content["mode"] == "all"
    assert found.text == extract(page.encode(), UTF8).text
