"""Every error of this package: what is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .models import Job

# By the type of a problem or of a job's error (docs/problems.md of the service has them all).
ADVICE = {
    "address-refused": "Save the page and count the file, or let the service fetch from the network of that address "
    "(127.0.0.0/8 is this machine): FETCH_ALLOW_NETWORKS=NETWORK make run, at each start.",
    "bad-encoding": "Save the page as UTF-8 and count the file.",
    "bad-selector": "Try the selector in a browser: document.querySelectorAll(…).",
    "body-too-large": "Cut a text into files, or let count_many do it; HTML goes through the inbox or bucket.",
    "connection-failed": "Open the address in a browser; if it works there, save the page and count the file.",
    "corpus-changed": "Ask again: documents were being added.",
    "corpus-full": "Make another corpus, and add more documents at a time there.",
    "dns-failed": "Check the spelling of the address.",
    "gone": "Count it again.",
    "http-status": "Open the address in a browser; if it works there, save the page and count the file.",
    "idempotency-key-reused": "Take a new key for a new submission.",
    "internal": "Try again; if it stays, report the request's id.",
    "job-ended": "There is nothing left to cancel.",
    "job-running": "Cancel it first, or wait until it has ended.",
    "not-a-sitemap": "Give the address of a sitemap, such as the one that the site's robots.txt names.",
    "not-found": "Check the id; `wordcounts jobs` and `wordcounts corpus list` show yours.",
    "not-text": "Convert it into text first (a PDF: pdftotext file.pdf).",
    "rate-limited": "Wait a minute, or ask for fewer at once.",
    "rules-differ": "Count both again, with the same options.",
    "rules-mismatch": "Make another corpus, and add its documents anew, all with the same options.",
    "spark-failed": "Ask again in a minute; a large corpus is looked through by Spark.",
    "text-not-kept": "Count it again with keep_text=True.",
    "timeout": "Try again; if it stays, save the page and count the file.",
    "too-large": "Save the page, cut it into files and count these.",
    "too-many-sources": "Make another corpus for more sitemaps.",
    "too-many-redirects": "Give the address that a browser ends at.",
    "unauthorized": "Set WORDCOUNTS_TOKEN to a token of this service; its operator makes them: `make token NAME=you`.",
    "unavailable": "Try again in a minute; `wordcounts status` says what is missing.",
}


class WordcountsError(Exception):
    """What keeps the service from doing as asked.

    ``message`` says what is wrong, ``advice`` what to do, ``type`` is a short name that stays the same, ``status`` the
    HTTP status where there is one.
    """

    def __init__(self, message: str, *, type: str = "", status: int | None = None, advice: str | None = None) -> None:
        self.message = message
        self.type = type
        self.status = status
        self.advice = ADVICE.get(type, "") if advice is None else advice
        super().__init__(" ".join(filter(None, (_sentence(message), self.advice))))

    def to_dict(self) -> dict[str, Any]:
        """The error as plain values."""
        return {"type": self.type, "status": self.status, "message": self.message, "advice": self.advice}


class CannotRead(WordcountsError):
    """What is to be counted cannot be read: a missing file, a binary one, a folder without texts."""


class Unreachable(WordcountsError):
    """No service of this kind answers at the address, however often it was asked."""


class Refused(WordcountsError):
    """The service refused a request; ``errors`` names the fields, ``body`` is all it said."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        said = body.get("detail") or body.get("title") or f"The service answered {status}."
        self.errors: list[dict[str, str]] = list(body.get("errors", ()))
        if [one.get("pointer") for one in self.errors] == ["/url"]:
            said = self.errors[0]["detail"]  # what was counted is named beside it
        super().__init__(str(said), type=str(body.get("type", "")).rpartition(":")[2], status=status)
        self.body = dict(body)


class JobFailed(WordcountsError):
    """A job ended without words; ``job`` has all of it."""

    def __init__(self, job: Job) -> None:
        error = job.error
        if error is None:
            super().__init__("The job was canceled.", type="job-canceled")
        else:
            super().__init__(error.detail or error.title, type=error.type, status=error.status)
        self.job = job


class StillRunning(WordcountsError, TimeoutError):
    """A job had not ended when the time was over; ``job`` can be waited for again."""

    def __init__(self, job: Job, seconds: float) -> None:
        super().__init__(
            f"The job {job.id} is still {job.state} after {seconds:g} s.",
            type="still-running",
            advice="It goes on: wait longer, or ask for it later by its id.",
        )
        self.job = job


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
