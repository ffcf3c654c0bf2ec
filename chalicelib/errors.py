"""Every error in one place: why a job fails, which problems the API answers, and the exceptions that carry them. Pure.

``docs/problems.md`` is made from these tables by ``make docs``. HTTP and events both ask ``problem_for``, so the same
error has the same type and sentence in an answer, in a log line and in the report of a list.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, Self

import msgspec
from msgspec import UNSET, UnsetType


class ErrorKind(StrEnum):
    """Why a job failed."""

    title: str  # type: ignore[assignment]  # in place of str.title, which nobody asks of a kind
    transient: bool  # whether another attempt may succeed, unless the raising code knows better
    sentence: str

    def __new__(cls, value: str, title: str, sentence: str, transient: bool = False) -> Self:
        """A kind by its name, with what people read about it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.title, member.sentence, member.transient = title, sentence, transient
        return member

    ADDRESS_REFUSED = (
        "address-refused",
        "The address is refused",
        "The address, or one that it redirects to, is not public or not http(s).",
    )
    DNS_FAILED = (
        "dns-failed",
        "The name could not be resolved",
        "The name does not exist, or could not be resolved. The second is tried again.",
    )
    CONNECTION_FAILED = (
        "connection-failed",
        "The connection failed",
        "No connection, a broken one, or an answer that is not HTTP. The first two are tried again.",
        True,
    )
    TIMEOUT = (
        "timeout",
        "The page took too long",
        "The page did not arrive within 20 seconds, or could not be counted in time. Tried again.",
        True,
    )
    TOO_LARGE = "too-large", "The page is too large", "More than 5 MB after decompression, or too many elements."
    TOO_MANY_REDIRECTS = (
        "too-many-redirects",
        "Too many redirects",
        "More than five redirects.",
    )
    HTTP_STATUS = (
        "http-status",
        "The server answered with an error",
        "The server answered with an error; `status` says which. 429 and 5xx are tried again.",
    )
    NOT_TEXT = (
        "not-text",
        "The page is not text",
        "Not HTML, XHTML, XML or plain text, or compressed more than three times over.",
    )
    NOT_A_SITEMAP = (
        "not-a-sitemap",
        "This is no sitemap",
        "A sitemap of a corpus' source is XML as sitemaps.org has it, or text with one address a line.",
    )
    BAD_ENCODING = "bad-encoding", "The text cannot be read", "The bytes cannot be read as text."
    BAD_SELECTOR = (
        "bad-selector",
        "The selector cannot be used",
        "`select` or `ignore` is not a CSS selector.",
    )
    WORKER_LOST = (
        "worker-lost",
        "The worker was lost",
        "Two workers were lost while they had the job.",
        True,
    )
    CORPUS_CHANGED = (
        "corpus-changed",
        "The corpus has changed",
        "A compaction took documents in before the question was answered. Ask again.",
    )
    RULES_MISMATCH = (
        "rules-mismatch",
        "The document was counted by other rules",
        "Of a corpus' document: its `rules` are not those of the corpus, so its words are not added. Count it anew.",
    )
    CORPUS_GONE = "corpus-gone", "The corpus is gone", "The corpus was erased or has expired."
    SPARK_FAILED = "spark-failed", "The run on Spark failed", "Phrases of a large corpus were not found. Ask again."
    INTERNAL = "internal", "Something went wrong here", "A fault of the service. Tried again.", True


class ProblemKind(NamedTuple):
    """What stands in a problem besides its details, and what docs/problems.md says of it."""

    status: int
    title: str
    sentence: str


PROBLEMS = {
    "invalid-request": ProblemKind(
        400,
        "The request is malformed",
        "The request cannot be read: its framing, its target or its form is broken. Mend the client.",
    ),
    "invalid-json": ProblemKind(
        400,
        "The body is not usable JSON",
        "The body is empty, not UTF-8, not JSON, nested deeper than 16 levels, or has a name twice in an object. "
        "`detail` says where.",
    ),
    "invalid-parameter": ProblemKind(
        400,
        "A parameter is not valid",
        "A query parameter is unknown, repeated, or out of its range. `errors[].parameter` names it.",
    ),
    "invalid-header": ProblemKind(
        400, "A header is not valid", "`Idempotency-Key` must be 1 to 255 printable ASCII characters."
    ),
    "unauthorized": ProblemKind(
        401,
        "A valid token is needed",
        "The request has no token, or one that is not valid (any more). Send `Authorization: Bearer …`; "
        "`WWW-Authenticate` says which of the two it was.",
    ),
    "forbidden": ProblemKind(
        403,
        "This is not allowed",
        "A page of another origin tried to change something on a service without tokens, or a form was posted to a "
        "service with tokens.",
    ),
    "not-found": ProblemKind(
        404,
        "There is nothing here",
        "No such path, or no such job, or somebody else's job: these are not told apart.",
    ),
    "method-not-allowed": ProblemKind(405, "This method is not allowed", "`Allow` lists the allowed methods."),
    "not-acceptable": ProblemKind(
        406, "No acceptable representation", "`Accept` names nothing that is offered; `detail` says what is."
    ),
    "request-timeout": ProblemKind(408, "The request took too long", "The request did not arrive within 30 seconds."),
    "job-ended": ProblemKind(409, "The job has ended", "A job that has ended cannot be canceled."),
    "job-running": ProblemKind(
        409, "The job is running", "A job that runs cannot be erased: cancel it first, or wait."
    ),
    "job-canceled": ProblemKind(409, "The job was canceled", "A canceled job has no words."),
    "job-failed": ProblemKind(
        409,
        "The job failed",
        "A failed job has no words; `type` is then the error's own name, as in the next section, and `error` has all "
        "of it.",
    ),
    "text-not-kept": ProblemKind(
        409,
        "The text was not kept",
        "The job was submitted with `keep_text` false, to a service whose `KEEP_TEXT` is false, or before texts were "
        "kept. Its words and keywords are there; for its text, contexts and phrases, submit it again.",
    ),
    "rules-differ": ProblemKind(
        409,
        "The jobs were counted by different rules",
        "Keywords compare words, and the two jobs' `rules` say that they do not mean the same by a word. Count both "
        "anew with the same `words` option.",
    ),
    "corpus-changed": ProblemKind(
        409,
        "The corpus has changed",
        "A compaction took documents in while the question was asked, so its pages would not fit together. Ask again "
        "from the first page.",
    ),
    "corpus-full": ProblemKind(
        409,
        "The corpus is full",
        "A corpus takes documents in 10,000 batches, about one for each request that adds some, and over a billion "
        "words. Send up to 1,000 documents in a request.",
    ),
    "too-many-sources": ProblemKind(
        409, "The corpus has too many sources", "A corpus takes 100 sources. Make another corpus for more."
    ),
    "gone": ProblemKind(
        410,
        "The job is gone",
        "The job has expired, or was erased. Under its idempotency key no other job can be made until it is forgotten.",
    ),
    "answer-too-large": ProblemKind(
        413,
        "The answer would be too large",
        "An answer has at most 4 MB. Ask for fewer rows by `limit`, and follow `next`; a `.csv` file is whole unless a "
        "`limit` is given.",
    ),
    "body-too-large": ProblemKind(
        413,
        "The body is too large",
        "A text or document may have 5 MB as UTF-8, any other submission 16 KB. On AWS a request may have about 4.5 MB "
        "in all, since Lambda takes no more: larger documents go through the bucket, as large as `FETCH_MAX_BYTES`.",
    ),
    "unsupported-media-type": ProblemKind(
        415,
        "This content type is not supported",
        "Submissions are `application/json`, say so, and are not compressed.",
    ),
    "misdirected": ProblemKind(
        421,
        "This host is not served here",
        "The `Host` is a name that somebody could own. Without tokens, only IP addresses and `localhost` are served.",
    ),
    "invalid-submission": ProblemKind(
        422,
        "The submission is not valid",
        "The JSON is not a submission. `errors` has each fault (20 at most) with a JSON pointer and a sentence.",
    ),
    "idempotency-key-reused": ProblemKind(
        422,
        "The idempotency key was used for another request",
        "The key was used with another submission. Take a new key for a new submission.",
    ),
    "rate-limited": ProblemKind(
        429, "Too many requests", "Too many requests within a minute. Wait for `Retry-After` seconds."
    ),
    "headers-too-large": ProblemKind(
        431, "The headers are too large", "The request's first line and headers have more than 64 KB together."
    ),
    "internal": ProblemKind(
        500, "Something went wrong here", "A fault of the service. It is logged under the answer's `X-Request-Id`."
    ),
    "unavailable": ProblemKind(
        503,
        "The service cannot do this now",
        "The job store is temporarily unavailable: retry the request after `Retry-After` seconds.",
    ),
}


class ProblemError(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One thing that is wrong, and where: a JSON pointer into the body, a query parameter or a header."""

    detail: str
    pointer: str | UnsetType = UNSET
    parameter: str | UnsetType = UNSET
    header: str | UnsetType = UNSET


# --- the exceptions ---


class WordcountsError(Exception):
    """The root of the errors that somebody outside is told of."""


class AttemptFailed(WordcountsError):
    """One attempt at a job failed: ``kind``, and ``detail``, a sentence for people.

    ``status`` is the status of the page's server where it answered, ``retry_after`` the seconds that it asked for,
    ``transient`` whether another attempt may succeed (by default what the kind says).
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        transient: bool | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = ErrorKind(kind)  # type: ignore[call-arg]
        self.detail = detail
        self.transient = self.kind.transient if transient is None else transient
        self.status = status
        self.retry_after = retry_after

    def recorded(self) -> dict[str, Any]:
        """The error as a job's record has it."""
        told = {"type": self.kind.value, "title": self.kind.title, "detail": self.detail}
        return told if self.status is None else {**told, "status": self.status}


class ServiceError(WordcountsError):
    """A request that cannot be served, for a reason that the caller may know: ``problem`` and ``sentence``."""

    problem: ClassVar[str] = "internal"
    sentence: ClassVar[str] = ""


class NotFound(ServiceError, LookupError):
    """No such job, or another owner's."""

    problem, sentence = "not-found", "There is no such job, or it is not yours."


class NoCorpus(ServiceError, LookupError):
    """No such corpus or document, or another owner's."""

    problem, sentence = "not-found", "There is no such corpus or document, or it is not yours."


class CorpusFull(ServiceError):
    """The corpus has as many batches as its manifest can name."""

    problem = "corpus-full"
    sentence = "The corpus has as many documents as it can hold, or has taken them in 10,000 times. Make another one."


class TooManySources(ServiceError):
    """The corpus has as many sources as it may have."""

    problem, sentence = "too-many-sources", "The corpus has 100 sources, and takes no more."


class NoObjectStore(ServiceError):
    """Without an object store there are no corpora."""

    problem, sentence = "unavailable", "This service has no object store (OBJECT_STORE), and so no corpora."


class HasEnded(ServiceError):
    """The job has ended and cannot be canceled."""

    problem, sentence = "job-ended", "The job has ended and cannot be canceled."


class StillRuns(ServiceError):
    """The job runs and cannot be erased."""

    problem, sentence = "job-running", "A worker has the job: cancel it, or wait until it has ended."


class RulesDiffer(ServiceError):
    """The words of two jobs were counted by different rules."""

    problem = "rules-differ"
    sentence = "Words that were counted by different rules cannot be compared: count both with the same `words` option."


class RecordError(ServiceError):
    """A record that cannot be read or written as asked."""


class Unavailable(RecordError):
    """DynamoDB throttles, is away or did not answer in time: the same call may go through later."""

    problem, sentence = "unavailable", "The job store is temporarily unavailable; retry the request."


class NoTable(Unavailable):
    """The table that the settings name is not there: nothing will go through until somebody makes it."""


class Gone(RecordError):
    """The job was here and is expired or erased."""

    problem, sentence = "gone", "The job or corpus has expired or was erased."


class KeyReused(RecordError):
    """Another request was made under this idempotency key."""

    problem, sentence = "idempotency-key-reused", "Another request was made under this Idempotency-Key."


class NotKept(RecordError):
    """The job has no such artifact: it was submitted so, or is older than the artifact."""

    problem = "text-not-kept"
    sentence = "The job's text was not kept, so there are no contexts and phrases: submit it again with keep_text true."


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong in a submission: where (a JSON pointer) and what, in words."""

    pointer: str
    detail: str


class InvalidSubmission(WordcountsError, ValueError):
    """A submission that cannot become a job; ``faults`` says why, each with its place."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(
            "; ".join(f"{fault.pointer.lstrip('/') or 'the submission'}: {fault.detail}" for fault in faults)
        )
        self.faults = faults


class Unreadable(InvalidSubmission):
    """A body that is no JSON that could be a submission; ``kind`` is ``invalid-json`` or ``body-too-large``."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(Fault("", detail))
        self.kind = kind
        self.detail = detail


class Refused(WordcountsError):
    """The request ends here with a problem: a name of ``PROBLEMS``, and what is particular to this case."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        errors: Iterable[ProblemError] = (),
        headers: Mapping[str, str] | None = None,
        error: Any = None,
    ) -> None:
        super().__init__(detail)
        self.name = name
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.error = error  # a failed job's JobError: then the problem is that error, whatever the name


class InvalidList(Refused, ValueError):
    """A list that cannot be read at all; the message says why."""

    def __init__(self, detail: str) -> None:
        super().__init__("invalid-list", detail)


def problem_for(error: BaseException) -> Refused | None:
    """The problem that this exception is, or None where the fault is our own."""
    match error:
        case Refused():
            return error
        case Unavailable():
            return Refused(error.problem, error.sentence, headers={"Retry-After": "2"})
        case ServiceError():
            return Refused(error.problem, error.sentence)
        case AttemptFailed():
            return Refused(error.kind.value, error.detail)
        case Unreadable():
            return Refused(error.kind, error.detail)
        case InvalidSubmission():
            errors = [ProblemError(pointer=fault.pointer, detail=fault.detail) for fault in error.faults]
            return Refused("invalid-submission", str(error), errors=errors)
    return None
