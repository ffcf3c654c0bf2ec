"""From an exception to a problem of the API: every error that jobs and submissions raise. Pure."""

from chalicelib import jobs
from chalicelib.http import negotiation
from chalicelib.http.responses import Refused

UNAVAILABLE = "The job store is temporarily unavailable; retry the request."
_SAID: dict[type[Exception], tuple[str, str]] = {
    jobs.NotFound: ("not-found", "There is no such job, or it is not yours."),
    jobs.Gone: ("gone", "The job has expired or was erased."),
    jobs.HasEnded: ("job-ended", "The job has ended and cannot be canceled."),
    jobs.StillRuns: ("job-running", "A worker has the job: cancel it, or wait until it has ended."),
    jobs.NotKept: (
        "text-not-kept",
        "The job's text was not kept, so there are no contexts and phrases: submit it again with keep_text true.",
    ),
    jobs.RulesDiffer: (
        "rules-differ",
        "Words that were counted by different rules cannot be compared: count both with the same `words` option.",
    ),
    jobs.KeyReused: ("idempotency-key-reused", "Another request was made under this Idempotency-Key."),
}


def problem_for(error: BaseException) -> Refused | None:
    """The refusal that this exception is, or None where the fault is our own."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, negotiation.InvalidHeader):
        return Refused("invalid-header", str(error))
    if isinstance(error, jobs.Unavailable):
        return Refused("unavailable", UNAVAILABLE, headers={"Retry-After": "2"})
    for kind, (name, detail) in _SAID.items():
        if isinstance(error, kind):
            return Refused(name, detail)
    return None
