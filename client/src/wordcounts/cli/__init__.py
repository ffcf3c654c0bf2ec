"""The command ``wordcounts``."""

from __future__ import annotations

import sys

import click

from wordcounts import __version__, client
from wordcounts.errors import Refused, Unreachable, WordcountsError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", message="wordcounts %(version)s")
@click.option("--server", metavar="URL", help="The service's address; else WORDCOUNTS_URL, else this machine's.")
@click.pass_context
def group(context: click.Context, server: str | None) -> None:
    """Count words with a Wordcounts service: of pages, files, folders, lists and standard input."""
    context.obj = server


@group.command()
@click.pass_obj
def status(server: str | None) -> None:
    """Say which service answers, and how it is."""
    with client.Client(server) as service:
        click.echo(f"{service.url}: {service.health()['status']}")


def main() -> None:
    """Run the command: its exit code is 0, 1 (nothing found, not counted), 2 (usage), 3 (away) or 4 (refused)."""
    try:
        group.main(prog_name="wordcounts")
    except WordcountsError as error:
        click.echo(f"wordcounts: {error}", err=True)
        sys.exit(3 if isinstance(error, Unreachable) else 4 if isinstance(error, Refused) else 1)
