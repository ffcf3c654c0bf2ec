"""What the HTTP API takes and answers, as msgspec structs: they validate, encode, and make ``/openapi.json``. Pure."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from chalicelib.analysis.words import Word
from chalicelib.errors import ErrorKind, ProblemError

URN = "urn:wordcounts:problem:"
LIMIT_MOST = 1_000_000  # rows that may be asked for: an answer has as many as its bytes have room for

State = Literal["queued", "running", "succeeded", "failed", "canceled"]
ENDED = frozenset({"succeeded", "failed", "canceled"})
Id = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", description="128 bits in hexadecimal digits.")]
Time = Annotated[
    str, Meta(description="RFC 3339, in UTC with milliseconds.", extra_json_schema={"format": "date-time"})
]


class Content(Struct, kw_only=True):
    """Which part of the page was counted; `all` where its main text could not be told from the rest."""

    mode: Literal["all", "main"]
    words_left_out: Annotated[int, Meta(ge=0)] = 0


class Page(Struct, kw_only=True):
    """What was fetched or read."""

    url: Annotated[str | None, Meta(description="The final address, after redirects.")] = None
    status: int | None = None
    title: str | None = None
    language: str | None = None
    encoding: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    content: Content | UnsetType = UNSET


class Totals(Struct, kw_only=True):
    """Words of the page, how many of them differ (in more than case), and how many are stop words."""

    words: Annotated[int, Meta(ge=0)]
    distinct: Annotated[int, Meta(ge=0)]
    stop_words: Annotated[int, Meta(ge=0)]
    stop_list: Annotated[bool, Meta(description="Whether there is a list of stop words for the language.")] = True


class TopWord(Struct, kw_only=True):
    """A word and how often it occurs."""

    word: str
    count: Annotated[int, Meta(ge=1)]


class Options(Struct, kw_only=True, omit_defaults=True):
    """The options that were given, and those that the service's operator chose; what is not here is as usual."""

    select: str | UnsetType = UNSET
    ignore: str | UnsetType = UNSET
    language: str | UnsetType = UNSET
    content: Literal["all", "main"] | UnsetType = UNSET
    words: Literal["unicode", "nltk"] | UnsetType = UNSET
    numbers: Literal["drop", "keep"] | UnsetType = UNSET
    keep_text: bool | UnsetType = UNSET


class JobError(Struct, kw_only=True):
    """Why a job failed; `status` is what the page's server answered, with `http-status`."""

    type: ErrorKind
    title: str
    detail: str
    status: int | UnsetType = UNSET


class Job(Struct, kw_only=True):
    """A job: one page, text or document whose words are counted."""

    id: Id
    state: State
    version: Annotated[int, Meta(ge=1, description="Rises by one with every change.")]
    attempt: Annotated[int, Meta(ge=0, description="How often a worker has taken the job.")]
    kind: Literal["url", "text", "html", "object"]
    url: str | None
    options: Options | UnsetType = UNSET
    submitted_at: Time
    started_at: Time | None
    finished_at: Time | None
    expires_at: Time
    page: Page | None
    totals: Totals | None
    top: Annotated[list[TopWord], Meta(max_length=10)] | None
    rules: Annotated[str | None, Meta(description="The word rules: tables of different rules are never added.")] = None
    error: JobError | None


class Jobs(Struct, kw_only=True):
    """Some of the caller's jobs, newest first; `next` is the address of the following ones, or null."""

    jobs: list[Job]
    next: str | None


class Listing(Struct, kw_only=True):
    """What every page of a job's results says: of how many rows, from which one on, and where the next page is."""

    id: Id
    total: Annotated[int, Meta(ge=0)]
    offset: Annotated[int, Meta(ge=0)]
    next: str | None


class Words(Listing, kw_only=True):
    """Some words of a job, most frequent first, ties by word; `total` is how many words the query matches."""

    words: list[Word]


class Health(Struct, kw_only=True):
    """`degraded`: the queue is away, submissions are accepted and wait. `unavailable`: nothing can be read.

    `no-table`: there is no table of the name in TABLE_NAME; waiting does not help, the log has the name.
    """

    status: Literal["ok", "degraded", "unavailable"]
    checks: dict[str, Literal["ok", "away", "no-table"]]


class Problem(Struct, kw_only=True, omit_defaults=True):
    """An error as RFC 9457 has it; `type` is stable, what it says is for people."""

    type: Annotated[str, Meta(pattern="^urn:wordcounts:problem:[a-z-]+$")]
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    errors: list[ProblemError] | UnsetType = UNSET
    error: JobError | UnsetType = UNSET  # of a failed job, as the job has it


class ListQuery(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Which of the caller's jobs."""

    state: Annotated[State, Meta(description="Only jobs in this state.")] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=100, description="Jobs in an answer.")] = 20
    cursor: (
        Annotated[
            str,  # max_length, since Python's $ lets a newline pass
            Meta(pattern="^[0-9a-f]{44}$", max_length=44, description="Where to go on: from an answer's `next`."),
        ]
        | UnsetType
    ) = UNSET


class WordsQuery(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Which words, and how they are counted together."""

    stop_words: Annotated[Literal["exclude", "include"], Meta(description="Words such as `the`, by language.")] = (
        "exclude"
    )
    stop_add: Annotated[
        str, Meta(max_length=5_000, description="More stop words, separated by commas: at most 500, in any case.")
    ] = ""
    stop_remove: Annotated[
        str, Meta(max_length=5_000, description="Words that are not stop words, separated by commas: at most 500.")
    ] = ""
    case: Annotated[
        Literal["fold", "keep"],
        Meta(
            description="`fold` counts `The` and `the` together, under the more frequent spelling; `keep` counts each."
        ),
    ] = "fold"
    limit: (
        Annotated[int, Meta(ge=1, le=LIMIT_MOST, description="Words in an answer; 100 in JSON, all in CSV.")]
        | UnsetType
    ) = UNSET
    offset: Annotated[int, Meta(ge=0, le=1_000_000_000, description="Words to pass over.")] = 0
    prefix: Annotated[
        str, Meta(max_length=200, description="Only words that begin so; in any case, where case is folded.")
    ] = ""
    min_count: Annotated[int, Meta(ge=1, le=1_000_000_000, description="Only words that occur so often.")] = 1
    min_length: Annotated[int, Meta(ge=1, le=1000, description="Only words of so many characters.")] = 1


class NoQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """No parameters."""
