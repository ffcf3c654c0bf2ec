"""What the API takes and gives of a corpus' sources. Pure."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from chalicelib import submissions, urls
from chalicelib.errors import Fault, InvalidSubmission
from chalicelib.http import responses
from chalicelib.http.responses import time_text
from chalicelib.http.schemas import Id, JobError, State
from chalicelib.sources.resource import ADDRESSES_MOST

_Pattern = Annotated[
    str,
    Meta(
        pattern=r"\A[/*]",
        max_length=200,
        description="A path's beginning, as robots.txt writes it: `*` stands for anything, a final `$` for the end.",
        examples=["/blog/*"],
    ),
]
_Patterns = Annotated[list[_Pattern], Meta(max_length=20)]
_Count = Annotated[int, Meta(ge=0)]


class NewSource(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A sitemap whose pages are to become documents. Its host's robots.txt is respected."""

    sitemap: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=8192,
            examples=["https://example.com/sitemap.xml"],
            extra_json_schema={"format": "web-address"},
        ),
    ]
    limit: Annotated[int, Meta(ge=1, le=ADDRESSES_MOST, description="Documents that are added.")] = ADDRESSES_MOST
    include: _Patterns = []
    exclude: _Patterns = []


class SourceError(Struct, kw_only=True):
    """A file or a page of a source that could not be taken."""

    url: str
    type: str
    detail: str


class Source(Struct, kw_only=True):
    """A source as it stands. `listed` addresses were found in `files`; each of them is in one of the next counts."""

    id: Id
    state: State
    sitemap: str
    limit: int
    include: list[str]
    exclude: list[str]
    created_at: str
    files: _Count
    failed_files: _Count
    listed: _Count
    excluded: _Count
    disallowed: _Count
    refused: Annotated[int, Meta(ge=0, description="Of another host than the sitemap, or no address.")]
    over_limit: _Count
    added: _Count
    errors: Annotated[list[SourceError], Meta(description="The first 20.")]
    error: JobError | None


class Sources(Struct, kw_only=True):
    """A corpus' sources, oldest first."""

    sources: list[Source]


def new_source(raw: bytes) -> NewSource:
    """The source that is asked for, its address in the usual form."""
    fields = responses.body(raw)
    if isinstance(fields, dict) and isinstance(limit := fields.get("limit"), float) and limit.is_integer():
        fields = {**fields, "limit": int(limit)}  # 332.0 is an integer in JSON Schema
    given = submissions.convert(fields, NewSource)
    try:
        return msgspec.structs.replace(given, sitemap=urls.normalise(given.sitemap))
    except urls.InvalidURL as error:
        raise InvalidSubmission(Fault("/sitemap", str(error))) from None


def source(record: Any, job: Any) -> Source:
    """A source with its job as the API shows it."""
    followed = {**msgspec.to_builtins(record.progress), "created_at": time_text(record.created_at)}
    asked = {**job.options, "id": job.id, "sitemap": job.url}
    return msgspec.convert({**followed, **asked, "state": job.state, "error": job.error}, Source)
