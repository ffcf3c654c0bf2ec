"""Sitemaps as sites have them, and as those that mean harm would."""

import gzip
import time

import pytest

from chalicelib.errors import AttemptFailed, ErrorKind
from chalicelib.fetch import sitemaps

SPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"
URLS = f"""<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="{SPACE}" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
  <url><loc> https://a.de/?a=1&amp;b=2 </loc><lastmod>2026-01-01</lastmod>
    <image:image><image:loc>https://a.de/picture.png</image:loc></image:image></url>
  <url><loc><![CDATA[https://a.de/d\u00e9j\u00e0]]></loc></url>
</urlset>"""
INDEX = f'<sitemapindex xmlns="{SPACE}"><sitemap><loc>https://a.de/1.xml.gz</loc></sitemap></sitemapindex>'


@pytest.mark.parametrize(
    "body", [URLS.encode(), gzip.compress(URLS.encode()), URLS.replace("UTF-8", "utf-16").encode("utf-16")]
)
def test_the_pages_of_a_sitemap_are_found(body: bytes) -> None:
    assert sitemaps.read(body) == (["https://a.de/?a=1&b=2", "https://a.de/d\u00e9j\u00e0"], [])


def test_an_index_leads_to_files_and_a_text_to_pages() -> None:
    assert sitemaps.read(INDEX.encode()) == ([], ["https://a.de/1.xml.gz"])
    assert sitemaps.read(b"\xef\xbb\xbfhttps://a.de/1\r\n\r\nhttps://a.de/2") == (
        ["https://a.de/1", "https://a.de/2"],
        [],
    )


@pytest.mark.slow
def test_what_comes_before_a_break_and_before_the_bound_counts() -> None:
    cut = URLS.encode()[: URLS.index("<![CDATA[")]
    assert sitemaps.read(cut)[0] == ["https://a.de/?a=1&b=2"]
    many = "<urlset>" + "<url><loc>https://a.de/</loc></url>" * 50_001
    assert len(sitemaps.read(many.encode())[0]) == 50_000
    assert len(sitemaps.read(b"https://a.de/\n" * 50_001)[0]) == 50_000


HOSTILE = {
    "a page": b"<!DOCTYPE html><html></html>",
    "a feed": b"<rss><channel/></rss>",
    "an entity": b'<!DOCTYPE urlset [<!ENTITY a "b">]><urlset><url><loc>&a;</loc></url></urlset>',
    "not XML": b"<urlset",
    "deep": lambda: b"<urlset>" + b"<a>" * 100_000,
    "a tag without an end": lambda: b"<urlset " + b"a" * 20_000_000,
    "a comment without an end": lambda: b"<urlset><!--" + b"-a" * 10_000_000,
    "a bomb": lambda: gzip.compress(b"<urlset>" + b" " * 60_000_000),
    "bytes": bytes(range(256)),
    "words": b"no address\nat all",
    "nothing": b"",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_sitemap_is_refused_in_time(name: str) -> None:
    body = made() if callable(made := HOSTILE[name]) else made
    started = time.process_time()
    with pytest.raises(AttemptFailed) as failed:
        sitemaps.read(body)
    assert failed.value.kind in (ErrorKind.NOT_A_SITEMAP, ErrorKind.TOO_LARGE)
    assert not failed.value.transient
    assert time.process_time() - started < 1
