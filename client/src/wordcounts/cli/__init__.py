"""The command ``wordcounts``."""

from __future__ import annotations

import difflib
import os
import sys
from typing import Any

import click

from wordcounts import __version__
from wordcounts.errors import Refused, Unreachable, WordcountsError

from .options import Near, Session
from .terminal import AWAY, INTERRUPTED, NOTHING, REFUSED, USAGE

COMMANDS = {
    "count": "texts",
    "contexts": "texts",
    "phrases": "texts",
    "keywords": "texts",
    "corpus": "corpus",
    "jobs": "service",
    "status": "service",
    "mcp": "service",
    "completion": "service",
}
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


class Lazy(Near):
    """A group whose commands are imported when they are used."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Their names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name."""
        if cmd_name not in COMMANDS:
            return None
        import importlib

        module = importlib.import_module(f"wordcounts.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """A command, or what was probably meant."""
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
    cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, no_args_is_help=True
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


def main() -> None:
    """Run the command and exit."""
    if "_WORDCOUNTS_COMPLETE" in os.environ:
        group.main(prog_name="wordcounts")
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
