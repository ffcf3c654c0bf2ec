"""The addresses that a sitemap lists (sitemaps.org): of pages, or of further sitemaps. Pure.

XML is read as it is unpacked, piece by piece, by expat without a document type: no entity is ever declared, so none can
grow. A file of any other kind is taken as plain text with one address a line.
"""

import itertools
from collections.abc import Iterator
from xml.parsers import expat

from chalicelib.errors import AttemptFailed, ErrorKind
from chalicelib.fetch import decompression

MOST_ADDRESSES = 50_000  # of a file, as the protocol has it; what follows is left out
MOST_BYTES = 50_000_000  # unpacked, as the protocol has it
_TOKEN_BYTES = 1_000_000  # of a tag or comment: older expats look through an unfinished one again with each piece
_LONGEST = 8_192  # characters of an address; a longer one cannot be fetched
_LISTS = {"urlset/url/loc": False, "sitemapindex/sitemap/loc": True}


class _Enough(Exception):
    pass


def read(body: bytes) -> tuple[list[str], list[str]]:
    """Addresses of pages and of further sitemaps, as they are written, in their order; ``AttemptFailed`` where the
    file is no sitemap."""
    pieces = _pieces(body)
    first = next(pieces, b"")
    if first.lstrip(b"\xef\xbb\xbf\xfe\xff \t\r\n\0").startswith(b"<"):
        return _Reader().read(first, pieces)
    return _lines(b"".join([first, *pieces])), []


def _pieces(body: bytes) -> Iterator[bytes]:
    if body.startswith(b"\x1f\x8b"):
        return decompression.gunzipped(body, MOST_BYTES)
    return (body[start : start + 65_536] for start in range(0, len(body), 65_536))


def _lines(body: bytes) -> list[str]:
    try:
        lines = body.decode("utf-8-sig").split("\n", MOST_ADDRESSES)[:MOST_ADDRESSES]
    except UnicodeDecodeError:
        raise _not_a_sitemap("it is neither XML nor UTF-8 text") from None
    found = [line.strip() for line in lines if line.strip()]
    if not found or not all(line.startswith(("http://", "https://")) for line in found[:3]):
        raise _not_a_sitemap("it is neither XML nor a list of addresses")
    return [line for line in found if len(line) <= _LONGEST]


class _Reader:
    def __init__(self) -> None:
        self.pages: list[str] = []
        self.files: list[str] = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._size = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def read(self, first: bytes, rest: Iterator[bytes]) -> tuple[list[str], list[str]]:
        try:
            fed = 0
            for piece in itertools.chain([first], rest):
                self._parser.Parse(piece, False)
                fed += len(piece)
                if fed - self._parser.CurrentByteIndex > _TOKEN_BYTES:
                    raise _not_a_sitemap("one of its tags has more than 1 MB")
            self._parser.Parse(b"", True)
        except _Enough:
            pass
        except expat.ExpatError as error:
            if not self.pages and not self.files:
                raise _not_a_sitemap(f"line {error.lineno} is not XML") from None
        return self.pages, self.files

    def _doctype(self, *_: object) -> None:
        raise _not_a_sitemap("it declares a document type")

    def _start(self, name: str, _: object) -> None:
        self._path.append(name.rpartition(" ")[2])
        if self._path[0] not in ("urlset", "sitemapindex"):
            raise _not_a_sitemap("its root is neither urlset nor sitemapindex")
        if len(self._path) > 50:
            raise _not_a_sitemap("its elements are nested more than 50 levels deep")
        self._text, self._size = [], 0

    def _characters(self, text: str) -> None:
        self._size += len(text)
        if self._size <= _LONGEST:
            self._text.append(text)

    def _end(self, _: str) -> None:
        is_file = _LISTS.get("/".join(self._path))
        self._path.pop()
        if is_file is None or self._size > _LONGEST:
            return
        (self.files if is_file else self.pages).append("".join(self._text).strip())
        if len(self.pages) + len(self.files) >= MOST_ADDRESSES:
            raise _Enough


def _not_a_sitemap(why: str) -> AttemptFailed:
    return AttemptFailed(ErrorKind.NOT_A_SITEMAP, f"This is no sitemap: {why}.")
