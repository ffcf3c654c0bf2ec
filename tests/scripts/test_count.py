"""What `make count` takes for an address, a file, a folder or a binary file, before it asks any service."""

import argparse
from pathlib import Path

import pytest

from scripts import count


def submission(what: object, **given: object) -> dict[str, str]:
    return count._submission(argparse.Namespace(**{"what": str(what), "html": False, "encoding": "utf-8-sig", **given}))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nope.html", "no such file: nope.html"),
        ("nope", "no such file: nope"),
        ("folder/nope.txt", "no such file: folder/nope.txt"),
        ("example.com", "no such file: example.com; if it is an address, write https://example.com"),
        ("example.com/a/b.html", "no such file: example.com/a/b.html"),
        ("x" * 5000, "cannot be read: File name too long"),
    ],
)
def test_a_missing_file_is_named(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert count.main([name]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("wordcounts: ")
    assert printed.err.rstrip().endswith(said)
    assert len(printed.err.splitlines()) == 1


def test_a_folder_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(count.CannotRead, match="is a folder: name a file in it"):
        submission(tmp_path)


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\x7fELF\x02\x01\x01\0\0\0\0", b"a\0b\0c\0", bytes(range(256))]
)
def test_a_binary_file_is_said_to_be_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "picture.html").write_bytes(content)
    with pytest.raises(count.CannotRead, match=r"picture\.html is a binary file, not a text"):
        submission(tmp_path / "picture.html")


def test_a_text_in_another_encoding_asks_for_its_name(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes("Käse".encode("latin-1"))
    with pytest.raises(count.CannotRead, match="is not a text in utf-8: name its --encoding"):
        submission(tmp_path / "old.txt")
    assert submission(tmp_path / "old.txt", encoding="latin-1") == {"text": "Käse"}
    for unknown in ("nothing", "rot13"):
        with pytest.raises(count.CannotRead, match=f"no encoding '{unknown}'"):
            submission(tmp_path / "old.txt", encoding=unknown)


def test_files_and_addresses_are_told_apart(tmp_path: Path) -> None:
    assert submission("http://h/price$100") == {"url": "http://h/price$100"}
    assert submission("ftp://x") == {"url": "ftp://x"}
    (tmp_path / "a.com").write_text("to be", encoding="utf-16")
    assert submission(tmp_path / "a.com") == {"text": "to be"}
    (tmp_path / "a.HTM").write_text("\ufeff<p>to\0 be" + " or not" * 20, encoding="utf-8")
    assert submission(tmp_path / "a.HTM") == {"html": "<p>to be" + " or not" * 20}
