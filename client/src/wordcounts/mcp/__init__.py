"""The service as tools for a language model, by the Model Context Protocol. Needs the extra ``mcp``.

The server: tools with a time limit, errors as sentences, on standard input and output.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from pydantic import ValidationError

from wordcounts import __version__
from wordcounts.client import Client
from wordcounts.errors import WordcountsError

from .results import NOTE
from .tools import Tools, table

GRACE = 10  # seconds that a tool may take besides waiting for pages
AT_ONCE = 8
INSTRUCTIONS = f"""Counts the words of web pages and texts, and shows them with evidence.
For "what is typical of this page against that one" call compare with both addresses: it counts them and gives contexts.
Quote contexts as evidence for what you say of a text. {NOTE}
Answers are short: total, next_offset and more say how much is left and how to get it."""
# Where the client's advice names its commands or its options, what to do with the tools instead.
ADVICE = {
    "not-found": "Call status for the newest jobs, or corpus without a name for the corpora.",
    "gone": "Call count again.",
    "still-running": "It goes on: call the same tool again.",
    "text-not-kept": "Call count for it again.",
    "job-canceled": "Call count again.",
    "too-large": "Choose a smaller page, or count its parts as texts.",
}


class Server(MCPServer[Any]):
    """A server whose errors are sentences: without the SDK's prefix and without pydantic's words."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        """Call a tool; ``ToolError`` says what is wrong and what to do."""
        try:
            return await super().call_tool(name, arguments, context)
        except UnexpectedToolError as error:  # its traceback goes to the log
            text = f"{name} failed by a fault of its own. Try again; if it stays, report what its log says."
            raise UnexpectedToolError(text) from error
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                raise ToolError(_mistakes(name, cause)) from None
            raise (cause if isinstance(cause, ToolError) else error) from None


def build(client: Client, seconds: float | None = None) -> Server:
    """The server for a service; its tools wait for pages ``seconds`` at most."""
    tools = Tools(client) if seconds is None else Tools(client, seconds)
    server = Server(
        "wordcounts",
        title="Wordcounts",
        instructions=INSTRUCTIONS,
        version=__version__,
        log_level="WARNING",  # a refused call is logged with what was refused, at INFO
    )
    limiter = anyio.CapacityLimiter(AT_ONCE)
    for tool, title, hints in table(tools):
        bounded = _bounded(tool, tools.seconds + GRACE, limiter)
        description = " ".join((tool.__doc__ or "").split())
        server.add_tool(bounded, title=title, description=description, annotations=hints)
    return server


def run(client: Client) -> None:
    """Serve on standard input and output until the input ends."""
    build(client).run("stdio")


def _bounded(tool: Callable[..., Any], seconds: float, limiter: anyio.CapacityLimiter) -> Callable[..., Awaitable[Any]]:
    """The tool in a thread of its own, given up after so many seconds: what it asked for ends by its own time-outs."""

    @functools.wraps(tool)
    async def call(**arguments: Any) -> Any:
        try:
            with anyio.fail_after(seconds):
                work = functools.partial(tool, **arguments)
                return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)
        except WordcountsError as error:
            raise ToolError(" ".join(filter(None, (error.message, ADVICE.get(error.type, error.advice))))) from error
        except TimeoutError:
            raise ToolError(
                f"The service did not answer within {seconds:g} s. Call status to see how it is, then try again."
            ) from None

    return call


def _mistakes(name: str, error: ValidationError) -> str:
    """What is wrong with a tool's arguments, and where they are described."""
    said = "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'the arguments'}: {one['msg'][:1].lower()}{one['msg'][1:]}"
        for one in error.errors(include_url=False, include_input=False)[:5]
    )
    return f"These arguments of {name} cannot be used: {said}. Its input schema says what it takes."
