"""The command ``wordcounts``."""

import difflib
import os
import sys
from itertools import islice
from typing import Any, get_args

import click

from wordcounts import __version__
from wordcounts.errors import Refused, Unreachable, WordcountsError
from wordcounts.models import Job, State

from . import options, terminal, texts
from .corpus import corpus
from .options import Near, Session
from .terminal import AWAY, INTERRUPTED, NOTHING, REFUSED, USAGE

CODES = """\b
Exit codes:
  0    done
  1    something could not be counted, or nothing was found
  2    the command line is wrong
  3    no service answers
  4    the service refuses: the token, an id, a limit
  130  interrupted
"""
VARIABLES = """\b
Environment:
  WORDCOUNTS_URL    the service's address (http://127.0.0.1:8000)
  WORDCOUNTS_TOKEN  the token, where the service wants one
  NO_COLOR          no colours
"""


class Main(Near):
    """All commands."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(self.commands)  # in this order

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            given = args[0] if args else ""
            if given == "help":
                raise click.UsageError(f"Write: {' '.join(['wordcounts', *args[1:], '--help'])}", ctx) from None
            if "://" in given or os.path.exists(given):
                raise click.UsageError(f"{error.message} To count it: wordcounts count {given}", ctx) from None
            raise

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Exit codes and variables, as they are written."""
        for text in (CODES, VARIABLES):
            formatter.write_paragraph()
            formatter.write(text.removeprefix("\b\n"))


@click.group(
    cls=Main,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@click.version_option(__version__, "-V", "--version", message="wordcounts %(version)s")
@click.option("--server", metavar="URL", help="The service's address; else WORDCOUNTS_URL, else this machine's.")
@click.option("--no-color", is_flag=True, help="No colours.")
@click.pass_context
def group(context: click.Context, server: str | None, no_color: bool) -> None:
    """Count words with a Wordcounts service: of pages, files, folders, lists and standard input.

    \b
    wordcounts count https://example.com/
    wordcounts count docs/*.md pages.urls --csv > words.csv
    wordcounts contexts whale moby-dick.txt
    wordcounts keywords new.txt --against old.txt
    """
    session: Session = context.obj
    session.screen.color = session.screen.color and not no_color
    session.server = server


for command in (texts.count, texts.contexts, texts.phrases, texts.keywords, corpus):
    group.add_command(command)


# --- the commands about the service ---


@group.command()
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
    rows: list[tuple[Any, ...]] = [
        (job.id, job.state, job.totals.words if job.totals else None, job.submitted_at[:19] + "Z", _what(job))
        for job in found
    ]
    if not found:
        session.screen.nothing("There are no such jobs.", "Count something: wordcounts count https://example.com/")
        return
    session.screen.rows(("id", "state", "words>", "submitted", "what"), rows, found, as_json=as_json, as_csv=as_csv)
    why = [(job.id, job.error.detail or job.error.title) for job in found if job.error]
    if why and not (as_json or as_csv):
        session.screen.print()
        session.screen.print(terminal.plain(("failed", "why"), why))


def _what(job: Job) -> str:
    """A job's address; else the title or, since a text has no name, its most frequent words."""
    title = job.page.title if job.page else None
    top = ", ".join(one.word for one in job.top[:3])
    return job.url or title or (f"{job.kind}: {top}" if top else job.kind)


@group.command(short_help="Say which service answers and how it is.")
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
        session.screen.print(terminal.plain(("", ""), list(found.items())))


@group.command()
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


@group.command(short_help="Print what makes the shell complete.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_obj
def completion(session: Session, shell: str) -> None:
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
    complete = found(group, {}, "wordcounts", "_WORDCOUNTS_COMPLETE")
    session.screen.write(complete.source().encode())


# --- what runs them ---


def main() -> None:
    """Run the command and exit."""
    if "_WORDCOUNTS_COMPLETE" in os.environ:
        group.main(prog_name="wordcounts")
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell: >&-
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: SIM115
    session = Session()
    try:
        code = run(sys.argv[1:], session)
    except KeyboardInterrupt:
        session.screen.say("Interrupted.")
        code = INTERRUPTED
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads that still wait for the service would be waited for


def code_of(error: WordcountsError) -> int:
    """The exit code that an error ends with."""
    if isinstance(error, Unreachable):
        return AWAY
    if isinstance(error, Refused) or error.type in ("not-found", "ambiguous", "exists"):
        return REFUSED
    return USAGE if error.type in ("bad-address", "bad-token") else NOTHING


def near_options(error: click.NoSuchOption) -> list[str]:
    """The options that are nearly what was typed, without the dashes, which all of them share."""
    known = {name.lstrip("-"): name for one in error.ctx.command.params for name in one.opts} if error.ctx else {}
    return [known[name] for name in difflib.get_close_matches(error.option_name.lstrip("-"), known)]


def run(arguments: list[str], session: Session) -> int:
    """Run the command; its exit code."""
    try:
        with group.make_context("wordcounts", list(arguments), obj=session) as context:
            group.invoke(context)
            return session.screen.code
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        session.screen.nothing("Nothing was done.")
    except click.ClickException as error:
        if isinstance(error, click.NoSuchOption):
            file = next((one for one in arguments if one.startswith("-") and os.path.exists(one)), None)
            error = click.NoSuchOption(
                error.option_name,
                message=f"No such option {error.option_name!r}. The file is ./{file}." if file else None,
                possibilities=None if file else near_options(error),
                ctx=error.ctx,
            )
        error.show()
        return error.exit_code
    except WordcountsError as error:
        session.screen.failed(error, code=code_of(error))
    return session.screen.code
