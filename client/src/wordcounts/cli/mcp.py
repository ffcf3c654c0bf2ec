"""The command that serves the service's tools to a language model."""

from __future__ import annotations

import click

from wordcounts.errors import WordcountsError

from .options import Session


@click.command()
@click.pass_obj
def mcp(session: Session) -> None:
    """Serve tools for language models (MCP) on standard input and output.

    A program such as Claude Desktop starts this command and asks it; it ends with its input. Needs the extra mcp:
    pip install './client[mcp]'. docs/mcp.md says how to set it up.
    """
    try:
        from wordcounts.mcp import server
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
