"""A list of a million lines is read in parts: from any position, what follows is the same."""

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.events import lists
from chalicelib.events.lists import InvalidList, Position
from tests.events.test_lists import said

LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [b"a.de", b"", b'"b.de"', b'"x', b"c.de,main", b"\xff", b'"two\nlines",p', b"  ", b"x" * 40_000]
        ),
        st.binary(max_size=8),
    ),
    max_size=12,
)


@given(lines=LINES, kind=st.sampled_from(["urls", "csv", "jsonl"]), size=st.integers(1, 50), ends=st.booleans())
def test_reading_on_from_any_position_gives_the_same_lines(
    lines: list[bytes], kind: str, size: int, ends: bool
) -> None:
    head = b"url,select\n" if kind == "csv" else b""
    data = head + b"\n".join(lines) + (b"\n" if ends else b"")
    whole = list(lists_read(kind, data, size))
    for cut, (_, _, position) in enumerate(whole):
        rest = [(number, found) for number, found, _ in lists_read(kind, data, size + 1, position)]
        assert rest == [(number, found) for number, found, _ in whole[cut + 1 :]]


def lists_read(
    kind: str, data: bytes, size: int, position: Position = lists.START
) -> list[tuple[int, object, Position]]:
    data = data[position.offset :]
    chunks = (data[at : at + size * 100] for at in range(0, len(data), size * 100))
    try:
        return [(line.number, said(line.submission), after) for line, after in lists.read(kind, chunks, position)]
    except InvalidList:
        return []
