"""Addresses: never anything but a normal address or InvalidURL, and no second reading."""

import ipaddress
import socket
from urllib.parse import urlsplit

import pytest
from hypothesis import given
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
LETTERS = "ab01.:/@?#[]%\\ -_xXnN\t\nä例。１é\u00ad\u200d❤א2e0f"
TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(PARTS, max_size=14).map("".join),
    st.lists(PARTS, max_size=10).map(lambda parts: "http://" + "".join(parts)),
    st.builds("http://{}.example/".format, st.text(max_size=12)),
    st.builds("http://{}".format, st.text(LETTERS, max_size=40)),
    st.ip_addresses().map(lambda a: f"http://{a}/" if a.version == 4 else f"http://[{a}]/"),
    st.builds("http://xn--{}.example/".format, st.text("abcdefghijklmnopqrstuvwxyz0123456789-", max_size=59)),
)


@given(TEXTS)
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


@given(TEXTS, TEXTS)
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


@given(st.ip_addresses())
def test_what_is_called_public_is_what_python_calls_global(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if urls.special(address) is None:
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_every_number_is_the_address_that_it_writes(address: ipaddress.IPv4Address) -> None:
    value = int(address)
    for form in (str(value), hex(value), f"0{value:o}" if value else "0", f"{value >> 24}.{value & 0xFFFFFF}"):
        assert urls.normalise(f"http://{form}/") == f"http://{address}/"
