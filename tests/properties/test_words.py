"""The word table is exact through packing, whatever the words."""

from hypothesis import given
from hypothesis import strategies as st

from tests.analysis.test_words import listed, packed


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 2**40)))
def test_what_is_packed_comes_back(counts: dict[str, int]) -> None:
    table = packed(counts)
    assert dict(listed(table)) == counts
    assert table.total == sum(counts.values())
