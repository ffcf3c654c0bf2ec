"""What the client takes for an address, a file, a folder or a list, before it asks any service."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from wordcounts import CannotRead
from wordcounts.sources import Reading, decode, expand, single


def loaded(*sources: Any, **reading: Any) -> list[dict[str, Any]]:
    return [one.load() for one in expand(sources, Reading(**reading))]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nope.html", "There is no file nope.html. Check the name"),
        ("nope", "There is no file nope. Check the name"),
        ("folder/nope.txt", "There is no file folder/nope.txt. Check the name"),
        ("example.com", "There is no file example.com. If it is an address, write https://example.com"),
        ("example.com/a/b.html", "If it is an address, write https://example.com/a/b.html"),
        ("x" * 5000, "cannot be read: File name too long"),
        ("a\0b", "cannot be read"),
        ("", "The name is empty"),
    ],
)
def test_a_missing_file_is_named(name: str, said: str) -> None:
    with pytest.raises(CannotRead) as caught:
        single(name)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is a binary file"),
        (b"a\0b\0c\0" * 100, "is a binary file"),
        (bytes(range(256)) * 20, "is a binary file"),
        (b"%PDF-1.7\n", "is a PDF, not a text. Convert it first: pdftotext"),
        (b"PK\x03\x04", "an office document"),
        (b"{\\rtf1", "is an RTF document"),
    ],
)
def test_what_is_no_text_is_said_to_be_none(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "file.html").write_bytes(content)
    with pytest.raises(CannotRead) as caught:
        loaded(str(tmp_path / "file.html"))
    assert said in str(caught.value)


def test_files_and_addresses_are_told_apart(tmp_path: Path) -> None:
    assert loaded("http://h/price$100", "ftp://x") == [{"url": "http://h/price$100"}, {"url": "ftp://x"}]
    (tmp_path / "a.com").write_text("to be", encoding="utf-16")
    (tmp_path / "a.HTM").write_text("\ufeff<p>to\0 be" + " or not" * 20, encoding="utf-8")
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress("Ö".encode()))
    assert loaded(tmp_path / "a.com") == [{"text": "to be"}]
    assert loaded(str(tmp_path / "a.HTM")) == [{"html": "<p>to be" + " or not" * 20}]
    assert loaded(tmp_path / "a.com", tmp_path / "a.txt.gz", html=True) == [{"html": "to be"}, {"html": "Ö"}]


def test_a_folder_is_its_texts_and_those_of_its_folders(tmp_path: Path) -> None:
    for name in ("b.txt", "a.md", "deep/c.html", "picture.png", ".hidden.txt", ".git/d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert [list(one.values()) for one in loaded(tmp_path)] == [["a.md"], ["b.txt"], ["deep/c.html"]]
    (tmp_path / "empty").mkdir()
    with pytest.raises(CannotRead, match=r"has no texts\. Of a folder, .txt, .md"):
        single(tmp_path / "empty")
    with pytest.raises(CannotRead, match="names 3 texts, and one is expected"):
        single(tmp_path)


def test_lists_name_addresses_with_options(tmp_path: Path) -> None:
    urls, table, lines = tmp_path / "a.urls", tmp_path / "a.csv", tmp_path / "a.jsonl.gz"
    urls.write_text("# pages\nhttps://a.example/\n\n  b.example \n")
    assert loaded(urls) == [{"url": "https://a.example/"}, {"url": "b.example"}]
    for delimiter in ",;\t":
        table.write_text(f"title{delimiter}URL{delimiter}language\nA{delimiter}https://a.example/{delimiter}de\n")
        assert loaded(table) == [{"url": "https://a.example/", "language": "de"}]
    table.write_text("name,count\nrose,4\n")
    assert loaded(table) == [{"text": "name,count\nrose,4\n"}]
    lines.write_bytes(gzip.compress(json.dumps({"text": "a", "key": "k"}).encode() + b'\n{"key": "x"}\n\n[1'))
    first, second, third = expand([lines])
    assert (first.name, first.load()) == ("k", {"text": "a", "key": "k"})
    for wrong, number in ((second, 2), (third, 4)):
        with pytest.raises(CannotRead, match=rf"a\.jsonl\.gz:{number} is no submission"):
            wrong.load()
    urls.write_text("# nothing\n")
    with pytest.raises(CannotRead, match=r"is empty\. Write one address on each line"):
        single(urls)


def test_what_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    found = list(expand([tmp_path / "nope.txt", tmp_path / "a.txt"]))
    assert [one.error is None for one in found] == [False, True]


# --- encodings ---


@pytest.mark.parametrize(
    ("data", "html", "text"),
    [
        (b"\xef\xbb\xbf\xc3\x96", False, "Ö"),
        ("Ö".encode("utf-16-be").join([b"\xfe\xff", b""]), False, "Ö"),
        (b"<meta charset=iso-8859-1>\x80\x81\xe4", True, "<meta charset=iso-8859-1>€\x81ä"),
        (b'<meta http-equiv=x content="text/html; charset=Shift_JIS">\x82\xa0', True, None),
        (b"<?xml version='1.0' encoding='koi8-r'?>\xf0", True, "<?xml version='1.0' encoding='koi8-r'?>П"),
        (b"<meta charset=nonsense>\xc3\x96", True, "<meta charset=nonsense>Ö"),
        (b"<meta charset=utf-16>\xc3\x96", True, "<meta charset=utf-16>Ö"),
        (b"<meta charset=rot13>\xc3\x96", True, "<meta charset=rot13>Ö"),
        (b"it\x92s", False, "it’s"),
        (b"<meta charset=koi8-r>\xc3\x96", False, "<meta charset=koi8-r>Ö"),
    ],
)
def test_bytes_are_read_as_they_declare(data: bytes, html: bool, text: str | None) -> None:
    wanted = data.decode("cp932") if text is None else text
    assert decode("a", data, html=html) == wanted


def test_a_text_in_another_encoding_asks_for_its_name() -> None:
    with pytest.raises(CannotRead, match=r"is not UTF-8.*--encoding windows-1252"):
        decode("old.txt", "Käse".encode("latin-1"))
    assert decode("old.txt", "Käse".encode("latin-1"), "latin-1") == "Käse"
    for unknown in ("nothing", "rot13"):
        with pytest.raises(CannotRead, match=f"knows no encoding '{unknown}'"):
            decode("old.txt", b"", unknown)
    with pytest.raises(CannotRead, match="is not a text in ascii"):
        decode("old.txt", b"\xff", "ascii")


def test_files_are_read_as_the_service_reads_pages(shared: Path) -> None:
    """Each case of the encodings that declares itself; the service alone guesses what others are in."""
    from chalicelib.text import decoding

    seen = 0
    for line in (shared / "encoding_cases.jsonl").read_text().splitlines():
        body = base64.b64decode(json.loads(line).get("data_b64", ""))
        wanted, _ = decoding.decode(body, "", "html")
        try:
            found = decode("a", body, html=True)
        except CannotRead as error:
            assert error.type in ("unknown-encoding", "not-text")  # noqa: PT017 - the service guesses there
            continue
        seen += 1
        assert found == wanted.replace("\0", ""), line
    assert seen
