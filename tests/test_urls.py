"""Addresses as text: what is read as what, and what is refused."""

import ipaddress
from itertools import pairwise

import pytest

from chalicelib import urls

READ = {
    # a scheme is optional, https is meant
    "example.com": "https://example.com/",
    "example.com/page": "https://example.com/page",
    "example.com:443/x": "https://example.com/x",
    "example.com:8080?q": "https://example.com:8080/?q",
    "localhost:8000/a": "https://localhost:8000/a",
    "[2606:4700:4700::1111]/x": "https://[2606:4700:4700::1111]/x",
    "8.8.8.8:80": "https://8.8.8.8:80/",
    # white space around, as pasting leaves it
    " \t\r\nhttp://example.com/\n ": "http://example.com/",
    "\ufeffhttp://example.com/\u00a0\u3000": "http://example.com/",
    "\u200b\u2066https://example.com\u2069\u200e": "https://example.com/",
    # case, default ports, fragments, empty parts
    "HTTP://EXAMPLE.COM:80/a#frag": "http://example.com/a",
    "https://example.com:443?q=1&q=2": "https://example.com/?q=1&q=2",
    "http://example.com:": "http://example.com/",
    "http://example.com:00080/": "http://example.com/",
    "https://example.com:80/": "https://example.com:80/",
    "http://example.com?": "http://example.com/?",
    "http://example.com#@evil.test/": "http://example.com/",
    # names
    "http://example.com./": "http://example.com/",
    "http://a_b.example.com/": "http://a_b.example.com/",
    "http://-a-.example.com/": "http://-a-.example.com/",
    "http://r3---sn-x.example.com/": "http://r3---sn-x.example.com/",
    "http://ex%61mple.com/": "http://example.com/",
    # international names
    "http://bücher.example/": "http://xn--bcher-kva.example/",
    "http://BÜCHER.example/": "http://xn--bcher-kva.example/",
    "http://bu\u0308cher.example/": "http://xn--bcher-kva.example/",
    "http://b%C3%BCcher.example/": "http://xn--bcher-kva.example/",
    "http://faß.example/": "http://xn--fa-hia.example/",
    "http://例え。テスト/": "http://xn--r8jz45g.xn--zckzah/",
    "http://ＥＸＡＭＰＬＥ．com/": "http://example.com/",
    "http://ex\u00adam\u200bple.com/": "http://example.com/",
    "http://i❤.example/": "http://xn--i-7iq.example/",
    "http://xn--i-7iq.example/": "http://xn--i-7iq.example/",
    "http://XN--BCHER-KVA.example/": "http://xn--bcher-kva.example/",
    # numbers are addresses, not names
    "http://127.1/": "http://127.0.0.1/",
    "http://2130706433/": "http://127.0.0.1/",
    "http://0x7f000001/": "http://127.0.0.1/",
    "http://0X7F.0.0.1/": "http://127.0.0.1/",
    "http://0177.0.0.01/": "http://127.0.0.1/",
    "http://0300.0250.257/": "http://192.168.1.1/",
    "http://0x/": "http://0.0.0.0/",
    "http://127.0.0.1./": "http://127.0.0.1/",
    "http://１２７.０.０.１/": "http://127.0.0.1/",
    "http://①②⑦.0.0.1/": "http://127.0.0.1/",
    "http://%31%32%37.0.0.1/": "http://127.0.0.1/",
    "http://127。0。0。1/": "http://127.0.0.1/",
    "http://[0:0:0:0:0:0:0:1]/": "http://[::1]/",
    "http://[2606:4700:4700:0::1111]:80/": "http://[2606:4700:4700::1111]/",
    # paths and queries
    "http://example.com/a/./b/../c": "http://example.com/a/c",
    "http://example.com/a/%2e%2E/b/.": "http://example.com/b/",
    "http://example.com/../..": "http://example.com/",
    "http://example.com//a//b": "http://example.com//a//b",
    "http://example.com/a\\b": "http://example.com/a/b",
    "http://example.com/ä b?ö=ü x": "http://example.com/%C3%A4%20b?%C3%B6=%C3%BC%20x",
    "http://example.com/100%/%zz/%41": "http://example.com/100%/%zz/%41",
    "http://example.com/?next=http://169.254.169.254/": "http://example.com/?next=http://169.254.169.254/",
    "http://example.com/?a[]=1&b=x\\y'": "http://example.com/?a[]=1&b=x\\y%27",
    "http://example.com/@user:80/": "http://example.com/@user:80/",
}

REFUSED = [
    *["", "   ", "\n", "\u3000"],
    *["http://", "http:///path", "http://:80/", "http://?q", "https:#", "//example.com/", "/path", "?q", "#a", "\\\\a"],
    *["http:example.com", "http:/example.com", "http:\\\\example.com", "://example.com", "http://."],
    *["file:///etc/passwd", "ftp://example.com/", "gopher://example.com:70/_x", "javascript:alert(1)", "ws://a/"],
    *["data:text/html,<p>hi</p>", "mailto:a@example.com", "blob:http://example.com/x", "view-source:http://a/"],
    *["jar:http://a!/", "dict://a:80/", "HTTPS+x://a/", "javascript:1", "data:80", "user:pass@example.com"],
    *["ｈｔｔｐ://10.0.0.1/", "ht\u00adtp://10.0.0.1/", "http\u200b://10.0.0.1/", "bücher://a/"],
    *["localhost://10.0.0.1/", "example.com://10.0.0.1/", "example.com:\\\\10.0.0.1/", "http\uff1a//10.0.0.1/"],
    *["http://user@example.com/", "http://@example.com/", "https://bob:secret@example.com/", "a@example.com"],
    *["http://example.com@127.0.0.1/", "http://example.com%40127.0.0.1/", "http://a:80@b:80/"],
    *["http://example.com\\@10.0.0.1/", "http://example.com\\", "http:\\/example.com"],
    *["http://example.com:65536/", "http://example.com:0/", "http://example.com:-1/", "http://example.com:8a/"],
    *["http://example.com:80:80/", "http://example.com:８０/", "http://example.com: 80/", "http://a:99999999999999/"],
    *[
        "http://exa\nmple.com/",
        "http://exa\tmple.com/",
        "http://example.com/\r\nX: 1",
        "http://a/\x00",
        "\x00http://a/",
    ],
    *["http://a/\x7f", "http://a/?\x85x", "http://a/\ud800", "http://a\x1f/"],
    *["http://exam ple.com/", "http://a%20b/", "http://a%00b/", "http://a%2Fb/", "http://a%23b/", "http://a%/"],
    *["http://a%ff/", "http://<a>/", "http://a|b/", "http://a^b/", "http://a*b/", 'http://a"b/', "http://{a}/"],
    *["http://a..b/", "http://.a/", "http://a../", "http://a．．b/", "http://" + "a" * 64 + ".com/"],
    *["http://" + "a." * 127 + "com/", "http://" + "ä" * 60 + ".com/", "http://" + "ä" * 2000 + "/"],
    *[
        "http://256.0.0.1/",
        "http://1.2.3.4.5/",
        "http://4294967296/",
        "http://1.256.1/",
        "http://09/",
        "http://1.2.3.08/",
    ],
    *["http://0x100000000/", "http://foo.1/", "http://foo.0x1/", "http://1..2/", "http://0xg.1/", "http://1e3.0"],
    *["http://[::1/", "http://::1/", "http://[::1]x/", "http://[]/", "http://[1.2.3.4]/", "http://[:::1]/"],
    *[
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::1%251]/",
        "http://[2606:4700::1%2]/",
        "http://a]/",
    ],
    *["http://[v1.a]/", "http://[::1]:x/", "http://[::１]/", "http://[12345::]/", "http://[::127.1]/"],
    *["http://xn--/", "http://xn--a/", "http://xn--example-.com/", "http://xn--1-0s.example/", "http://xn--ü.example/"],
    *["http://\u0301a.example/", "http://a\u200db.example/", "http://\ufffd.example/", "http://a\u2488b.example/"],
    *["http://例え\u202e.example/", "http://אa.example/", "http://\u00ad/", "http://℀.example/"],
    *["http://example.com/" + "a" * 8192, "http://example.com/" + "ä" * 2000, "a" * 10_000_000],
]


@pytest.mark.parametrize(("text", "expected"), READ.items())
def test_an_address_is_read_as_a_browser_reads_it(text: str, expected: str) -> None:
    assert urls.normalise(text) == expected
    assert urls.normalise(expected) == expected


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:40]))
def test_what_is_no_address_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(urls.InvalidURL) as refusal:
        urls.normalise(text)
    assert str(refusal.value).endswith(".")
    assert len(str(refusal.value)) < 120  # the input is not repeated


@pytest.mark.parametrize("value", [None, 42, 1.5, True, ["http://example.com/"], {"url": "x"}, b"http://example.com/"])
def test_what_is_no_string_is_refused(value: object) -> None:
    with pytest.raises(urls.InvalidURL):
        urls.normalise(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("location", "expected"),
    {
        "": "https://example.com/a/b?c",
        "#x": "https://example.com/a/b?c",
        "d": "https://example.com/a/d",
        "./d e": "https://example.com/a/d%20e",
        "../d": "https://example.com/d",
        "/d": "https://example.com/d",
        "\\d": "https://example.com/d",
        "?d": "https://example.com/a/b?d",
        "//other.test/x": "https://other.test/x",
        "\\\\other.test/x": "https://other.test/x",
        "/\\other.test/x": "https://other.test/x",
        "http://other.test": "http://other.test/",
        " HTTP://other.test ": "http://other.test/",
        "ö": "https://example.com/a/%C3%B6",
        "a/b:c": "https://example.com/a/a/b:c",
        "https:d": "https://example.com/a/d",
        "https:": "https://example.com/a/b?c",
        "http:d": "http://d/",
        "http:\\\\other.test\\x?\\": "http://other.test/x?\\",
        "///other.test/x": "https://other.test/x",
        "https:/d": "https://example.com/d",
        "/d\te\r\n": "https://example.com/de",
    }.items(),
)
def test_a_redirect_may_be_relative(location: str, expected: str) -> None:
    assert urls.join("https://example.com/a/b?c", location) == expected


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "javascript:1",
        "example.com:80/x",
        "//",
        "//u@h/",
        "data:,x",
        "///u@h/",
        "http:\\\\u@h",
        "a\0b",
        "//a\\@b",
    ],
)
def test_a_redirect_elsewhere_than_to_the_web_is_refused(location: str) -> None:
    with pytest.raises(urls.InvalidURL):
        urls.join("https://example.com/a/b?c", location)


def test_the_host_is_what_the_rate_of_a_host_is_counted_by() -> None:
    forms = ["http://example.com/", "https://EXAMPLE.com.:80/x", "https://example.com:8443/"]
    assert {urls.host(urls.normalise(form)) for form in forms} == {"example.com"}
    assert urls.host("http://[::1]:80/") == "::1"


# The edges of each range that is not public: first and last inside, and the neighbours outside where they are public.
RANGES = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "168.63.129.16/32",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
]


@pytest.mark.parametrize("text", RANGES)
def test_a_range_that_is_not_public_is_refused_to_its_edges(text: str) -> None:
    network = ipaddress.ip_network(text)
    assert urls.special(network[0])
    assert urls.special(network[-1])
    for outside in (int(network[0]) - 1, int(network[-1]) + 1):
        if 0 < outside < 2**network.max_prefixlen:
            address = type(network[0])(outside)
            inside_another = any(address in other for other in map(ipaddress.ip_network, RANGES))
            assert bool(urls.special(address)) == (
                inside_another or (address.version == 6 and address not in ipaddress.ip_network("2000::/3"))
            )


@pytest.mark.parametrize(
    "text",
    [
        "::",
        "::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "1fff:ffff::1",
        "4000::1",
        "5f00::1",
        "::808:808",
        "2001:0:808:808::1",
        "2606:4700::1%eth0",
    ],
)
def test_ipv6_is_public_only_where_it_is_given_out(text: str) -> None:
    assert urls.special(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "93.184.215.14", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450::1"])
def test_a_public_address_is_public(text: str) -> None:
    assert urls.special(ipaddress.ip_address(text)) is None


def test_the_ranges_of_the_table_do_not_hide_each_other() -> None:
    networks = sorted((n for n, _ in urls._SPECIAL if n.version == 4), key=lambda n: int(n[0]))
    assert not any(one.overlaps(other) for one, other in pairwise(networks))
