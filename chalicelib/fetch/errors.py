"""Why a fetch gave no page."""

from chalicelib.errors import AttemptFailed
from chalicelib.net.http1 import BadAnswer


class FetchError(AttemptFailed):
    """No page: its kind, a sentence, and what the server asked for."""


def broken(detail: str, *, transient: bool = False) -> FetchError:
    """The error of a connection that gave no page."""
    return FetchError("connection-failed", detail, transient=transient)


def of_answer(error: BadAnswer) -> FetchError:
    """An answer that could not be read, as an error of the fetch."""
    kind = "too-large" if error.kind == "too-large" else "connection-failed"
    return FetchError(kind, str(error), transient=error.kind == "cut-off")
