"""robots.txt by RFC 9309: its examples, and hostile ones in linear time."""

import time

import pytest

from chalicelib.fetch import robots

# Pattern, path, whether it fits: the table of examples in Google's description of robots.txt, and what it leaves out.
FITS = [
    ("/", "/any", True),
    ("/fish", "/fish.html", True),
    ("/fish", "/fishheads/yummy.html", True),
    ("/fish", "/Fish.asp", False),
    ("/fish", "/catfish", False),
    ("/fish*", "/fish?id=1", True),
    ("/fish/", "/fish/", True),
    ("/fish/", "/fish", False),
    ("/*.php", "/folder/filename.php?parameters", True),
    ("/*.php", "/windows.PHP", False),
    ("/*.php$", "/folder/filename.php", True),
    ("/*.php$", "/filename.php?parameters", False),
    ("/*.php$", "/filename.php5", False),
    ("/fish*.php", "/fishheads/catfish.php?parameters", True),
    ("/fish*.php", "/Fish.PHP", False),
    ("/$", "/", True),
    ("/$", "/a", False),
    ("*a*a$", "/a", False),
    ("*a*a$", "/aa", True),
]


@pytest.mark.parametrize(("pattern", "path", "fits"), FITS)
def test_a_pattern_fits(pattern: str, path: str, fits: bool) -> None:
    assert robots.fits(pattern, path) is fits


RULES = """\
User-agent: other
User-agent: WordCounts/2.0
Disallow: /private   # for nobody
Allow: /private/open
Crawl-delay: 3
Allow: /same
Disallow: /same
Disallow: /d\u00e9j\u00e0

User-agent: *
Disallow: /
"""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/", True), ("/private/x", False), ("/private/open/x", True), ("/same", True), ("/d%C3%A9j%C3%A0", False)],
)
def test_the_longest_pattern_of_the_own_group_decides(path: str, allowed: bool) -> None:
    rules = robots.read(RULES, "wordcounts")
    assert rules is not None
    assert rules.allow(path) is allowed


def test_without_a_group_of_its_own_a_program_is_under_the_rules_for_all() -> None:
    rules = robots.read("User-agent: *\nDisallow:\nDisallow: /x\n\nUser-agent: b\nDisallow: /", "a")
    assert rules is not None
    assert (rules.allow("/"), rules.allow("/x")) == (True, False)
    assert robots.read("<html>no rules</html>", "a") == robots.Rules()
    assert robots.read("User-agent: *\n" + "".join(f"Disallow: /{n}\n" for n in range(5_001)), "a") is None


def test_a_hostile_pattern_takes_no_more_time_than_its_length() -> None:
    started = time.process_time()
    assert not robots.fits("/" + "*a" * 4_000 + "$", "/" + "a" * 3_999)
    assert not robots.fits("/" + "*a*b" * 2_000, "/" + "ab" * 1_999 + "c")
    assert time.process_time() - started < 0.2
