"""Writes the last section of docs/cli.md from what the command says of itself: ``make docs``."""

from collections.abc import Iterator
from pathlib import Path

import click

from wordcounts.cli import group

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"
HEAD = "## Reference\n\nMade by `make docs`.\n"


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


def document(page: str) -> str:
    """The page with its last section made anew."""
    shown = "".join(f"\n### {name}\n\n```text\n{said.rstrip()}\n```\n" for name, said in commands())
    return page.partition(HEAD)[0] + HEAD + shown


if __name__ == "__main__":
    PAGE.write_text(document(PAGE.read_text()))
