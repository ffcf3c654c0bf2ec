"""Reads and writes objects: in S3, or in the local inbox that stands for a bucket.

An object's address is ``s3://<bucket>/<key>`` with ``?versionId=…`` where it has one, or ``file:///…`` below the inbox.
"""

import contextlib
import io
import os
import uuid
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO
from urllib.parse import parse_qs, quote, unquote, unquote_plus, urlsplit

import msgspec

from chalicelib import settings
from chalicelib.aws.clients import client
from chalicelib.errors import AttemptFailed
from chalicelib.net import gzipped

INBOX = "inbox"  # the bucket's name that the folder INBOX_DIR goes by
CHUNK_BYTES = 1_048_576  # of a list, in one request: a slow reader holds no connection open
TYPES = {
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "application/xhtml+xml",
    ".txt": "text/plain",
    ".md": "text/markdown",
}
_ABSENT = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NoSuchBucket", "NotFound"})


class ObjectError(AttemptFailed):
    """An object that cannot be read; ``absent`` where it is not there at all."""

    def __init__(self, kind: str, detail: str, *, transient: bool = False, absent: bool = False) -> None:
        super().__init__(kind, detail, transient=transient)
        self.absent = absent


class Object(msgspec.Struct, frozen=True):
    """An object's bytes and what it is said to be."""

    body: bytes
    content_type: str


class Place(msgspec.Struct, frozen=True):
    """Where an object is. ``version`` says which content is meant: a version's id, or an ETag where there are none."""

    bucket: str
    key: str
    version: str = ""
    versioned: bool = False

    @property
    def address(self) -> str:
        """As a job's ``url`` has it."""
        if (inbox := _inbox(self.bucket)) is not None:
            return (inbox / self.key).as_uri()
        version = f"?versionId={quote(self.version, safe='')}" if self.versioned else ""
        return f"s3://{self.bucket}/{quote(self.key)}{version}"

    @property
    def identity(self) -> str:
        """What makes this content the same as another, for idempotency."""
        return f"s3://{self.bucket}/{self.key}?{self.version}"


def kind(name: str) -> tuple[str, bool]:
    """The suffix that says what an object is, and whether it is compressed: ``.csv.gz`` is a CSV."""
    inner, suffix = os.path.splitext(name.lower())
    return (os.path.splitext(inner)[1], True) if suffix == ".gz" else (suffix, False)


def read(address: str, *, limit: int) -> Object:
    """The object's bytes, at most ``limit`` of them; ``ObjectError`` where it is larger, gone or refused."""
    parts = urlsplit(address)
    suffix, packed = kind(unquote(parts.path))
    guessed = TYPES.get(suffix, "text/plain")
    if parts.scheme == "file":
        with _file(unquote(parts.path)) as file:
            body = file.read(limit + 1)
        _check_size(body, limit)
        return Object(_unpacked(body, limit, packed=packed), guessed)
    if parts.scheme != "s3":
        raise ObjectError("address-refused", f"No object can be read at {parts.scheme} addresses.")
    version = parse_qs(parts.query).get("versionId")
    place = Place(parts.netloc, unquote(parts.path.removeprefix("/")), version[0] if version else "", bool(version))
    with _s3_errors():
        answer = client("s3").get_object(**_named(place))
        if answer["ContentLength"] > limit:
            answer["Body"].close()
            raise _too_large(limit)
        body = answer["Body"].read()
    coding = answer.get("ContentEncoding", "")
    if coding not in ("", "identity", "aws-chunked", "gzip"):
        raise ObjectError("not-text", f"The object is stored as {coding}: store it as it is, or as gzip.")
    body = _unpacked(body, limit, packed=packed or coding == "gzip")
    # S3's default type says nothing, so the name decides; a stored one may also name the encoding.
    stored = answer.get("ContentType", "")
    same = stored.partition(";")[0].strip().lower() == guessed
    return Object(body, stored if same else guessed)


def find(place: Place) -> Place:
    """The object as it is there: with its version, its key decoded where the event had it encoded.

    Events differ in whether they encode a key, so the key is taken literally first. ``ObjectError`` if there is none.
    """
    if _inbox(place.bucket) is not None:
        return place
    plain = unquote_plus(place.key)
    with _s3_errors():
        try:
            answer = client("s3").head_object(**_named(place))
        except client("s3").exceptions.ClientError as error:
            if plain == place.key or error.response["ResponseMetadata"]["HTTPStatusCode"] not in (403, 404):
                raise
            place = Place(place.bucket, plain, place.version, place.versioned)
            answer = client("s3").head_object(**_named(place))
    if place.version:
        return place
    version = answer.get("VersionId")
    return Place(place.bucket, place.key, version or answer["ETag"].strip('"'), bool(version and version != "null"))


def current(place: Place) -> Place:
    """The object as it is there now, whichever version was meant; ``ObjectError`` if there is none.

    Where the bucket keeps no versions, the time tells two contents apart that are the same, with another in between.
    """
    if _inbox(place.bucket) is not None:
        return place
    with _s3_errors():
        answer = client("s3").head_object(Bucket=place.bucket, Key=place.key)
    version = answer.get("VersionId")
    if version and version != "null":
        return Place(place.bucket, place.key, version, versioned=True)
    content = f"{answer['ETag'].strip(chr(34))}-{answer['LastModified'].timestamp():.0f}"
    return Place(place.bucket, place.key, content)


def chunks(place: Place, *, start: int = 0) -> Iterator[bytes]:
    """The object's bytes from ``start`` on, piece by piece; ``ObjectError`` where it is gone or was replaced."""
    if _inbox(place.bucket) is not None:
        with _file(unquote(urlsplit(place.address).path)) as file:
            file.seek(start)
            while part := file.read(CHUNK_BYTES):
                yield part
        return
    same = {} if place.versioned or not place.version else {"IfMatch": f'"{place.version}"'}
    while True:
        part = _range(place, start, same)
        if part:
            yield part
        if len(part) < CHUNK_BYTES:
            return
        start += len(part)


def _range(place: Place, start: int, same: Mapping[str, str]) -> bytes:
    with _s3_errors():
        try:
            answer = client("s3").get_object(**_named(place), **same, Range=f"bytes={start}-{start + CHUNK_BYTES - 1}")
        except client("s3").exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("InvalidRange", "416"):
                return b""  # the object ends exactly here
            raise
        body: bytes = answer["Body"].read()
        return body


# --- what the service itself keeps: in the object store, or where a bucket is named in that ---


def is_configured() -> bool:
    """Whether there is an object store."""
    return bool(settings.load().object_store)


def put(name: str, data: IO[bytes] | bytes, kind: str = "application/octet-stream", bucket: str | None = None) -> None:
    """Keep data under a name, as a type of content; ``ObjectError`` where that fails."""
    store = _root(bucket)
    if not store.startswith("s3://"):
        _put_file(Path(store) / name, io.BytesIO(data) if isinstance(data, bytes) else data)
        return
    with _s3_errors():
        client("s3").put_object(**_stored(store, name), Body=data, ContentType=kind)


def put_once(name: str, data: bytes) -> None:
    """Put data under a name that no other data has, unless it is there; ``ObjectError`` where that fails."""
    from botocore.exceptions import ClientError

    with _s3_errors():
        try:
            client("s3").put_object(**_stored(settings.load().object_store, name), Body=data, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise


def address(name: str) -> str:
    """Where the object of a name is, as other programs name it."""
    return f"{settings.load().object_store.rstrip('/')}/{name}"


def get(name: str, start: int = 0, stop: int | None = None, *, bucket: str | None = None) -> bytes:
    """What was put under a name, or some of its bytes; ``ObjectError``, ``absent`` where nothing is."""
    store = _root(bucket)
    if not store:
        raise ObjectError("http-status", "There is no object store any more: set OBJECT_STORE as it was.")
    if not store.startswith("s3://"):
        try:
            with (Path(store) / name).open("rb") as file:
                file.seek(start)
                return file.read(-1 if stop is None else stop - start)
        except FileNotFoundError:
            raise ObjectError("http-status", "No such object is stored.", absent=True) from None
    part = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"} if start or stop else {}
    with _s3_errors():
        body: bytes = client("s3").get_object(**_stored(store, name), **part)["Body"].read()
    return body


def path(name: str) -> Path | None:
    """Where the object of a name is on this machine; None where the store is elsewhere."""
    store = settings.load().object_store
    return None if store.startswith("s3://") else Path(store) / name


def delete(name: str, bucket: str | None = None) -> None:
    """Delete what is under a name, if anything is; ``ObjectError`` where that fails."""
    store = _root(bucket)
    if not store.startswith("s3://"):
        path = Path(store) / name
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are in the folder, or it is gone
            path.parent.rmdir()
        return
    with _s3_errors():
        client("s3").delete_object(**_stored(store, name))


def names(folder: str, bucket: str | None = None) -> Iterator[str]:
    """The names below a folder, which ends in a slash, on this machine with those of files that are being written.

    ``ObjectError`` where it cannot be read.
    """
    store = _root(bucket)
    if not store.startswith("s3://"):
        found = (path for path in (Path(store) / folder).rglob("*") if path.is_file())
        yield from sorted(path.relative_to(store).as_posix() for path in found)
        return
    place = _stored(store, folder)
    prefix = len(place["Key"]) - len(folder)
    with _s3_errors():
        for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=place["Bucket"], Prefix=place["Key"]):
            yield from (entry["Key"][prefix:] for entry in page.get("Contents", ()))


def _root(bucket: str | None) -> str:
    """Where a bucket is, or without one the object store: ``s3://bucket/prefix``, or a folder."""
    if bucket is None:
        return settings.load().object_store
    inbox = _inbox(bucket)
    return f"s3://{bucket}" if inbox is None else str(inbox)


def _stored(store: str, name: str) -> dict[str, str]:
    bucket, _, prefix = store.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": f"{prefix.rstrip('/')}/{name}" if prefix else name}


def _put_file(path: Path, body: IO[bytes]) -> None:
    # A reader finds the whole file or none, as in S3; other threads may write beside it, or delete the last file there.
    unfinished = path.with_name(f".{uuid.uuid4().hex}")
    try:
        with _made(unfinished) as file:
            while part := body.read(CHUNK_BYTES):
                file.write(part)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _made(path: Path) -> IO[bytes]:
    for _ in range(9):
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("wb")
    raise ObjectError("http-status", f"The folder {path.parent.name} cannot be made.", transient=True)


# --- the inbox ---


def _inbox(bucket: str) -> Path | None:
    folder = settings.load().inbox_dir
    return Path(folder) if folder and bucket == INBOX else None


@contextlib.contextmanager
def _file(path: str) -> Iterator[IO[bytes]]:
    folder = settings.load().inbox_dir
    real = Path(path).resolve()
    if not folder or not real.is_relative_to(Path(folder).resolve()) or not real.is_file():
        raise ObjectError("address-refused", "No such file is in the inbox.", absent=True)
    with real.open("rb") as file:
        yield file


# --- S3 ---


def _named(place: Place) -> dict[str, str]:
    named = {"Bucket": place.bucket, "Key": place.key}
    return {**named, "VersionId": place.version} if place.versioned else named


@contextlib.contextmanager
def _s3_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        if code in ("PreconditionFailed", "412"):
            raise ObjectError("http-status", "The object was replaced while it was read.") from error
        transient = status >= 500 or status == 429
        kind = "connection-failed" if transient else "http-status"
        raise ObjectError(kind, f"S3 answered {code}.", transient=transient, absent=code in _ABSENT) from error
    except BotoCoreError as error:
        raise ObjectError("connection-failed", f"S3 did not answer: {type(error).__name__}.", transient=True) from error


def _unpacked(body: bytes, limit: int, *, packed: bool) -> bytes:
    """The body, unpacked where it is gzip: at most ``limit`` bytes."""
    if not packed or not body.startswith(gzipped.MAGIC):
        return body
    made = bytearray()
    try:
        for piece in gzipped.unpacked([body]):
            made += piece
            _check_size(made, limit)
    except (zlib.error, EOFError):
        raise ObjectError("not-text", "The gzip file is damaged, or was cut off.") from None
    return bytes(made)


def _check_size(body: bytes | bytearray, limit: int) -> None:
    if len(body) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> ObjectError:
    return ObjectError("too-large", f"The object has more than {limit} bytes.")
