"""The commands about the service: jobs, status, tools for language models, the shell's completion."""

from __future__ import annotations

from itertools import islice
from typing import Any, get_args

import click

from wordcounts.errors import Refused, WordcountsError
from wordcounts.models import Job, State

from . import options, tables
from .options import Session
from .terminal import AWAY, REFUSED


@click.command()
@click.option("--state", type=click.Choice(get_args(State)), help="Only these.")
@click.option("--top", "-n", metavar="N", type=click.IntRange(1), default=20, show_default=True, help="So many.")
@options.form
@click.pass_obj
def jobs(session: Session, state: State | None, top: int, as_json: bool, as_csv: bool) -> None:
    """List your jobs, the newest first.

    \b
    wordcounts jobs
    wordcounts jobs --state failed --json
    """
    with session.client() as client:
        found = list(islice(client.jobs(state), top))
    names = ("id", "state", "words", "submitted", "what")
    rows: list[tuple[Any, ...]] = [
        (job.id, job.state, job.totals.words if job.totals else None, job.submitted_at[:19] + "Z", _what(job))
        for job in found
    ]
    why = [(job.id, job.error.detail or job.error.title) for job in found if job.error]
    if not found:
        session.screen.nothing("There are no such jobs.", "Count something: wordcounts count https://example.com/")
    elif as_json:
        session.screen.json(job.to_dict() for job in found)
    elif as_csv:
        session.screen.csv(names, rows)
    else:
        session.screen.print(tables.plain(("id", "state", "words>", "submitted", "what"), rows))
        if why:
            session.screen.print()
            session.screen.print(tables.plain(("failed", "why"), why))


def _what(job: Job) -> str:
    """A job's address; else the title or, since a text has no name, its most frequent words."""
    title = job.page.title if job.page else None
    top = ", ".join(one.word for one in job.top[:3])
    return job.url or title or (f"{job.kind}: {top}" if top else job.kind)


@click.command(short_help="Say which service answers and how it is.")
@options.form
@click.pass_obj
def status(session: Session, as_json: bool, as_csv: bool) -> None:
    """Say which service answers, how it is, and whether your token is taken.

    \b
    wordcounts status
    wordcounts --server https://example.com/production status --json
    """
    with session.client() as client:
        health = client.health()
        access = "accepted"
        try:
            next(iter(client.jobs()), None)
        except Refused as refused:
            access = "refused" if refused.type == "unauthorized" else refused.message
            session.screen.failed(refused, code=REFUSED)
        found = {"service": client.url, "status": health["status"], **health["checks"], "access": access}
    if health["status"] == "unavailable":
        session.screen.code = max(session.screen.code, AWAY)
    if as_json:
        session.screen.json([found])
    elif as_csv:
        session.screen.csv(list(found), [list(found.values())])
    else:
        session.screen.print(tables.plain(("", ""), list(found.items())))


@click.command()
@click.pass_obj
def mcp(session: Session) -> None:
    """Serve tools for language models (MCP) on standard input and output.

    A program such as Claude Desktop starts this command and asks it; it ends with its input. Needs the extra mcp:
    pip install './client[mcp]'. docs/mcp.md says how to set it up.
    """
    try:
        from wordcounts import mcp as server
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("wordcounts"):
            raise
        raise WordcountsError(
            f"The package {error.name} is missing, which the tools for language models need.",
            type="extra-missing",
            advice="Install the extra: pip install './client[mcp]', or uvx --from './client[mcp]' wordcounts mcp.",
        ) from error
    with session.client() as client:
        server.run(client)


@click.command(short_help="Print what makes the shell complete.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes the shell complete this command.

    \b
    wordcounts completion bash > ~/.local/share/bash-completion/completions/wordcounts
    wordcounts completion zsh > ~/.zfunc/_wordcounts
    wordcounts completion fish > ~/.config/fish/completions/wordcounts.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    complete = found(context.find_root().command, {}, "wordcounts", "_WORDCOUNTS_COMPLETE")
    session: Session = context.obj
    session.screen.write(complete.source().encode())
