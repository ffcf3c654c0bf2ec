import gzip
import json
import time

import pytest

from chalicelib.events import lists
from chalicelib.events.lists import InvalidList, Position
from chalicelib.submissions import InvalidSubmission, Submission


def read(kind: str, data: bytes, size: int = 7, position: Position = lists.START) -> list[tuple[int, object]]:
    """(line, address or fault) of each line, the bytes coming in small pieces."""
    data = data[position.offset :]
    chunks = (data[at : at + size] for at in range(0, len(data), size))
    return [(line.number, said(line.submission)) for line, _ in lists.read(kind, chunks, position)]


def said(found: Submission | InvalidSubmission) -> object:
    if isinstance(found, InvalidSubmission):
        return found.faults[0].detail
    return found.url or found.document


def test_a_line_is_an_address_and_blank_ones_only_count() -> None:
    data = "\ufeffexample.com\r\n\n  https://b.de/ä  \nlast.org".encode()
    assert read("urls", data) == [
        (1, "https://example.com/"),
        (3, "https://b.de/%C3%A4"),
        (4, "https://last.org/"),
    ]


def test_lines_of_addresses_may_be_comments() -> None:
    assert read("urls", b"# ours\na.de\n  # b.de\na.de/#part\n") == [(2, "https://a.de/"), (4, "https://a.de/")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_are_separated_as_the_first_line_has_it(delimiter: str) -> None:
    rows = [["note", "URL"], ["a,b;c", "a.de/?x=1;y=2"], ["", "b.de"]]
    data = "\r\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows).encode()
    assert read("csv", data) == [(2, "https://a.de/?x=1;y=2"), (3, "https://b.de/")]
    [_, (_, after)] = lists.read("csv", [data])
    assert after.delimiter == delimiter


def test_a_bad_line_stops_nothing() -> None:
    found = read("urls", b"a.de\nfoo bar\n\xff\xfe.de\nb.de\n")
    assert [number for number, _ in found] == [1, 2, 3, 4]
    assert found[2] == (3, "the line is not UTF-8")
    assert found[3] == (4, "https://b.de/")


def test_an_endless_line_costs_its_own_number_and_no_memory() -> None:
    chunks = [b"a.de\n", *[b"x" * 100_000] * 50, b"\nb.de\n"]
    found = [(line.number, said(line.submission), line.size) for line, _ in lists.read("urls", chunks)]
    assert [number for number, _, _ in found] == [1, 2, 3]
    assert found[1][1:] == ("The line is longer than 32768 bytes.", 5_000_001)


@pytest.mark.parametrize("bom", [b"\xff\xfe", b"\xfe\xff"])
@pytest.mark.parametrize("kind", ["urls", "csv", "jsonl"])
def test_utf_16_is_refused_with_its_name(kind: str, bom: bytes) -> None:
    with pytest.raises(InvalidList, match="UTF-16"):
        read(kind, bom + "a.de\n".encode("utf-16-le"))


@pytest.mark.parametrize("kind", ["urls", "csv", "jsonl"])
def test_a_compressed_list_is_refused_with_its_name(kind: str) -> None:
    with pytest.raises(InvalidList, match="compressed"):
        read(kind, gzip.compress(b"a.de\n" * 1000))


def test_a_csv_has_a_column_url_and_may_have_options_and_others() -> None:
    data = b'\xef\xbb\xbfNote, URL ,Select,language\r\n"a\nb",a.de,main,\r\n\r\n,b.de,"p, ""q""",pt-BR\r\n'
    found = [(line.number, line.submission) for line, _ in lists.read("csv", [data])]
    assert found == [
        (2, Submission("url", url="https://a.de/", options={"select": "main"})),
        (5, Submission("url", url="https://b.de/", options={"select": 'p, "q"', "language": "pt-BR"})),
    ]


def test_a_list_takes_every_option() -> None:
    options = {"select": "p", "ignore": "i", "content": "main", "language": "de", "words": "nltk", "numbers": "keep"}
    row = ",".join(options.values())
    csv = f"url,keep_text,{','.join(options)}\na.de,false,{row}\na.de,maybe,{row}\n".encode()
    wanted = Submission("url", url="https://a.de/", options=options | {"keep_text": False})
    good, bad = (line.submission for line, _ in lists.read("csv", [csv]))
    assert good == wanted
    assert said(bad) == "must be true or false"
    line = json.dumps({"url": "a.de", "keep_text": False, **options}).encode()
    assert [line.submission for line, _ in lists.read("jsonl", [line])] == [wanted]


@pytest.mark.slow
def test_open_quotes_in_every_line_cost_no_more_than_the_lines() -> None:
    def cost(lines: int) -> float:
        data = b"url,select\n" + b'a","x\n' * lines
        began = time.process_time()
        assert sum(1 for _ in lists.read("csv", [data])) >= lines - 1
        return time.process_time() - began

    assert cost(40_000) < 4 * cost(10_000)


@pytest.mark.parametrize("data", [b"a,b\n1,2\n", b"url,URL\na.de,b.de\n", b'"url\na.de\n', b"https://a.de/\n"])
def test_a_csv_without_its_columns_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidList, match="first line"):
        read("csv", data)


def test_a_stray_quote_costs_one_line() -> None:
    found = read("csv", b'url\na.de\n"b.de\nc.de\nd.de\n' + b"e.de\n" * 3)
    assert [number for number, _ in found] == [2, 3, 4, 5, 6, 7, 8]
    assert found[1][1] == "is no CSV: unexpected end of data"
    assert [url for number, url in found if number != 3] == [f"https://{x}.de/" for x in "acdeee"]


@pytest.mark.slow
def test_a_quote_that_stays_open_beyond_the_limit_costs_one_line() -> None:
    found = read("csv", b'url\n"a.de\n' + b"b.de\n" * 7_000, size=5000)
    assert found[0] == (2, f"is longer than {lists.RECORD_BYTES} bytes, or a quote is open")
    assert len(found) == 7_001
    assert {url for _, url in found[1:]} == {"https://b.de/"}


def test_a_csv_says_what_is_wrong_with_a_record() -> None:
    found = dict(read("csv", b"url,select\na.de,b,c\n,p\n\xff.de,\nb.de\n"))
    assert found[2] == "has 3 cells under 2 columns"
    assert found[3] == "must not be empty"
    assert found[4] == "the line is not UTF-8"
    assert found[5] == "https://b.de/"


def test_jsonl_takes_what_http_takes_and_refuses_what_it_refuses() -> None:
    data = (
        b'{"url":"a.de"}\n{"text":"hello"}\n{"url":1}\n[1]\nnope\n{"url":"a.de","url":"b.de"}\n{"url":"a.de","x":1}\n'
    )
    found = read("jsonl", data)
    assert found[:2] == [(1, "https://a.de/"), (2, "hello")]
    assert [number for number, _ in found] == [1, 2, 3, 4, 5, 6, 7]
    assert "duplicate key" in str(found[5][1])


@pytest.mark.slow
def test_a_document_in_a_line_may_be_as_long_as_by_http() -> None:
    data = b'{"text":"' + b"a " * 2_500_000 + b'"}\n{"text":"' + b"b" * 5_000_001 + b'"}\n'
    found = read("jsonl", data, size=100_000)
    assert found[0][1] == "a " * 2_500_000
    assert "5 MB at most" in str(found[1][1])


@pytest.mark.parametrize(
    ("kind", "data"),
    [("urls", b"a.de/%s\n"), ("csv", b"url\na.de/%s\n"), ("jsonl", b'{"url": "a.de/%s"}\n')],
)
def test_what_is_too_long_by_http_is_so_in_every_list(kind: str, data: bytes) -> None:
    [(_, detail)] = read(kind, data % (b"a" * 17_000))
    assert detail == "The body is too large: without text or html, 16 KiB at most."
