"""Why a fetch gave no page."""

from chalicelib.net.http1 import BadAnswer


class FetchError(Exception):
    """No page: ``kind`` is an error type of docs/problems.md, ``detail`` a sentence for people.

    ``status`` is the server's where it answered, ``retry_after`` the seconds that it asked for, ``transient`` says
    whether another attempt may succeed.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        transient: bool = False,
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.status = status
        self.retry_after = retry_after
        self.transient = transient


def broken(detail: str, *, transient: bool = False) -> FetchError:
    """The error of a connection that gave no page."""
    return FetchError("connection-failed", detail, transient=transient)


def of_answer(error: BadAnswer) -> FetchError:
    """An answer that could not be read, as an error of the fetch."""
    kind = "too-large" if error.kind == "too-large" else "connection-failed"
    return FetchError(kind, str(error), transient=error.kind == "cut-off")
