"""Writes what the documents say of the code: ``make docs``.

docs/problems.md comes from the tables of chalicelib/errors.py, the last section of docs/cli.md from what the command
says of itself.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from chalicelib.errors import PROBLEMS, ErrorKind
from wordcounts.cli import group

DOCS = Path(__file__).parent.parent / "docs"
PROBLEMS_HEAD = """\
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


def problems() -> str:
    """docs/problems.md."""
    requests = [f"\n### {name}\n\n`{kind.status}` {kind.title}. {kind.sentence}\n" for name, kind in PROBLEMS.items()]
    # A heading that stands in both sections would be two anchors of one name.
    names = {kind: f"{kind} (of a job)" if kind in PROBLEMS else kind for kind in ErrorKind}
    return "".join(
        [PROBLEMS_HEAD, *requests, JOBS, *(f"\n### {names[kind]}\n\n{kind.sentence}\n" for kind in ErrorKind)]
    )


REFERENCE_HEAD = "## Reference\n\nMade by `make docs`.\n"


def commands(
    command: click.Command = group, name: str = "wordcounts", parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """Each command with what its ``--help`` prints, the groups before what is in them."""
    with click.Context(
        command, parent=parent, info_name=name, terminal_width=100, **command.context_settings
    ) as context:
        yield context.command_path, command.get_help(context)
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                found = command.get_command(context, inner)
                if found is not None:
                    yield from commands(found, inner, context)


def reference(page: str) -> str:
    """docs/cli.md with its last section made anew."""
    shown = "".join(f"\n### {name}\n\n```text\n{said.rstrip()}\n```\n" for name, said in commands())
    return page.partition(REFERENCE_HEAD)[0] + REFERENCE_HEAD + shown


if __name__ == "__main__":
    (DOCS / "problems.md").write_text(problems())
    (DOCS / "cli.md").write_text(reference((DOCS / "cli.md").read_text()))
