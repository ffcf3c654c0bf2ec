"""Objects in the folder that stands for a bucket; those in S3 are in tests/integration/test_event_objects.py."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chalicelib.aws import objects
from chalicelib.aws.objects import ObjectError, Place


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "in box"
    folder.mkdir()
    monkeypatch.setenv("INBOX_DIR", str(folder))
    return folder


@pytest.mark.parametrize(
    ("place", "address"),
    [
        (Place("docs", "a.txt"), "s3://docs/a.txt"),
        (Place("docs", "a b/ü#1?.txt", "v/1", versioned=True), "s3://docs/a%20b/%C3%BC%231%3F.txt?versionId=v%2F1"),
        (Place("docs", "a.txt", "etag"), "s3://docs/a.txt"),
    ],
)
def test_an_address_names_bucket_key_and_version(place: Place, address: str) -> None:
    assert place.address == address


def test_contents_differ_in_identity_by_version_or_etag() -> None:
    places = [Place("b", "k", "1"), Place("b", "k", "2"), Place("c", "k", "1"), Place("b", "l", "1")]
    assert len({place.identity for place in places}) == 4


def test_a_file_of_the_inbox_is_read_within_the_limit(inbox: Path) -> None:
    (inbox / "a #1.html").write_bytes(b"12345")
    address = Place("inbox", "a #1.html").address
    assert address.startswith("file:///")
    assert objects.read(address, limit=5) == objects.Object(b"12345", "text/html")
    with pytest.raises(ObjectError) as error:
        objects.read(address, limit=4)
    assert (error.value.kind, error.value.transient) == ("too-large", False)


@pytest.mark.parametrize("kind", ["outside", "dots", "link", "folder", "absent", "off"])
def test_nothing_outside_the_inbox_is_read(inbox: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = inbox.parent / "secret.txt"
    secret.write_text("x")
    (inbox / "link.txt").symlink_to(secret)
    (inbox / "there.txt").write_text("x")
    address = {
        "outside": secret.as_uri(),
        "dots": f"{inbox.as_uri()}/../secret.txt",
        "link": (inbox / "link.txt").as_uri(),
        "folder": inbox.as_uri(),
        "absent": (inbox / "absent.txt").as_uri(),
        "off": (inbox / "there.txt").as_uri(),
    }[kind]
    if kind == "off":
        monkeypatch.delenv("INBOX_DIR")
    with pytest.raises(ObjectError) as error:
        objects.read(address, limit=10)
    assert error.value.kind == "address-refused"


@pytest.mark.parametrize("address", ["https://a.de/", "ftp://a.de/x", "a.txt", ""])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(ObjectError, match="No object"):
        objects.read(address, limit=10)


def test_a_file_comes_in_chunks_from_anywhere_and_a_report_goes_back(inbox: Path) -> None:
    data = bytes(range(256)) * 8200
    objects.put("deep/er/x.urls", io.BytesIO(data), "text/plain", "inbox")
    place = objects.find(Place("inbox", "deep/er/x.urls", "v"))
    assert b"".join(objects.chunks(place)) == data
    assert b"".join(objects.chunks(place, start=1_048_577)) == data[1_048_577:]


def test_who_waits_for_a_report_sees_a_whole_one(inbox: Path) -> None:
    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert not (inbox / "reports/x").exists()
            return super().read(size)

    objects.put("reports/x", Watched(b"line\n"), "application/jsonl", "inbox")
    assert [path.name for path in (inbox / "reports").iterdir()] == ["x"]
    assert (inbox / "reports/x").read_bytes() == b"line\n"


def test_some_bytes_of_what_is_stored_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECT_STORE", str(tmp_path))
    objects.put("a/b", b"0123456789")
    assert [objects.get("a/b", *part) for part in ((), (3,), (3, 5), (8, 99))] == [
        b"0123456789",
        b"3456789",
        b"34",
        b"89",
    ]


def test_threads_write_and_delete_beside_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECT_STORE", str(tmp_path))

    def write(thread: int) -> list[bool]:
        read = []
        for turn in range(30):
            name, data = f"folder/{thread}-{turn}", b"%d-%d " % (thread, turn) * 200
            objects.put(name, data)
            read.append(objects.get(name) == data)
            objects.delete(name)
        return read

    with ThreadPoolExecutor(4) as pool:
        assert all(same for read in pool.map(write, range(4)) for same in read)
    assert not list(tmp_path.rglob("*.*"))
