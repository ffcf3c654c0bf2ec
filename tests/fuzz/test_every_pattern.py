"""Every regular expression of chalicelib on strings made to pump it; minutes."""

from tests.integration.test_patterns import BOUNDED, SIZES, attacks, grows_too_fast, patterns


def test_no_pattern_of_ours_costs_more_than_the_length_of_its_input() -> None:
    known = list(patterns())
    assert len(known) > 80
    found = {
        name
        for name, pattern, searched in known
        for attack in attacks(pattern)
        if grows_too_fast(pattern, attack, searched, BOUNDED.get(name, SIZES[-1]))
    }
    assert found == set()
