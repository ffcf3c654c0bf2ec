"""Writes docs/problems.md from the tables of chalicelib/errors.py: ``make docs``."""

from pathlib import Path

from chalicelib.errors import PROBLEMS, ErrorKind

HEAD = """\
# Problems

Every error is `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, and `errors` where several
things can be wrong, each with a `pointer` into the body (RFC 6901) or the `parameter`. Decide by `type`, which is
stable; the sentences are for people and may change. A type is `urn:wordcounts:problem:` and one of these names.

## Of requests
"""
JOBS = """
## Of jobs

A failed job's `error.type` is one of these names, without the prefix; `GET /jobs/{id}/words` answers it as `409` with
the prefix, and the job's `error` beside it. A transient failure was tried three times.
"""


def document() -> str:
    """The page, in Markdown."""
    requests = [f"\n### {name}\n\n`{kind.status}` {kind.title}. {kind.sentence}\n" for name, kind in PROBLEMS.items()]
    # A heading that stands in both sections would be two anchors of one name.
    names = {kind: f"{kind} (of a job)" if kind in PROBLEMS else kind for kind in ErrorKind}
    return "".join([HEAD, *requests, JOBS, *(f"\n### {names[kind]}\n\n{kind.sentence}\n" for kind in ErrorKind)])


if __name__ == "__main__":
    (Path(__file__).parent.parent / "docs" / "problems.md").write_text(document())
