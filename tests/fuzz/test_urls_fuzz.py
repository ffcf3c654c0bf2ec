"""Addresses under thousands of examples: never anything but a normal address or InvalidURL, and no second reading."""

import ipaddress
import socket
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib import urls

PARTS = st.sampled_from(
    [
        *("http://", "https://", "HTTP:", "//", "/", "\\", "@", ":", "[", "]"),
        *("%", "%2e", "%40", "%25", "%00", ".", "..", "?", "#", " "),
        *("\t", "\r\n", "0", "0x", "127", "1", "0177", "255", "256", "::"),
        *("ffff", "fe80", "eth0", "localhost", "example", "com", "xn--", "bcher-kva", "ü", "ß"),
        *("。", "．", "１", "①", "\u00ad", "\u200d", "\u200c", "\u202e", "א", "❤"),
        *("_", "-", "--", "80", ":443", ":0", "%zz", "\ud800", "\x00", "\x85"),
        *("\ufeff", "|", "^", "~", "'", '"', "<"),
    ]
)
TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(PARTS, max_size=14).map("".join),
    st.lists(PARTS, max_size=10).map(lambda parts: "http://" + "".join(parts)),
    st.builds("http://{}.example/".format, st.text(max_size=12)),
    st.builds("http://xn--{}.example/".format, st.text("abcdefghijklmnopqrstuvwxyz0123456789-", max_size=59)),
)
MANY = settings(max_examples=3_000, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@given(TEXTS)
@MANY
def test_every_text_is_a_normal_address_or_refused(text: str) -> None:
    try:
        url = urls.normalise(text)
    except urls.InvalidURL:
        return
    assert urls.normalise(url) == url
    assert url.isascii()
    assert url.isprintable()
    parts = urlsplit(url)
    assert parts.username is None
    assert parts.password is None
    assert parts.port != 0
    # Another parser finds the same host, and the C library does not find a number where we found a name.
    assert parts.hostname == urls.host(url)
    if urls.literal(urls.host(url)) is None:
        with pytest.raises(OSError):
            socket.inet_aton(urls.host(url))


@pytest.mark.slow
@given(TEXTS, TEXTS)
@MANY
def test_every_redirect_leads_to_a_normal_address_or_is_refused(base: str, location: str) -> None:
    try:
        start = urls.normalise(base)
    except urls.InvalidURL:
        start = "http://example.com/a/b?c"
    try:
        url = urls.join(start, location)
    except urls.InvalidURL:
        return
    assert urls.normalise(url) == url


@pytest.mark.slow
@given(st.ip_addresses())
@MANY
def test_what_is_called_public_is_what_python_calls_global(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if urls.special(address) is None:
        assert address.is_global
        assert not address.is_multicast
