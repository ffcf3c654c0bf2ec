"""The options that several commands share."""

import difflib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import click
from click.shell_completion import CompletionItem

from wordcounts.client import Client, Options, is_id
from wordcounts.errors import CannotRead
from wordcounts.many import Counted, Counts, count_many
from wordcounts.sources import Reading, known

from .terminal import Screen, usage

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass
class Session:
    """What every command has: where it writes, and the service."""

    screen: Screen = field(default_factory=Screen)
    server: str | None = None

    def client(self, at_once: int = 8) -> Client:
        """The service that was named."""
        return Client(self.server, at_once=at_once)


class Near(click.Group):
    """A group that says which command was probably meant."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 1) if args else []
            if near:
                raise click.UsageError(f"No such command {args[0]!r}. Did you mean {near[0]!r}?", ctx) from None
            raise error


def _encoding(_context: click.Context, _parameter: click.Parameter, given: str | None) -> str | None:
    if given is not None and not known(given):
        raise click.BadParameter(f"{given!r} is not known. Try utf-8, utf-16, windows-1252 or gb18030.")
    return given


_PAGES = (
    click.option("--main", is_flag=True, help="Of pages, only the article without its surroundings."),
    click.option("--select", metavar="CSS", help="Of pages, only what this selector matches."),
    click.option("--ignore", metavar="CSS", help="Of pages, without what this selector matches."),
)
_READING = (
    *_PAGES,
    click.option("--language", metavar="TAG", help="The texts' language, such as en or pt-BR."),
    click.option("--html", is_flag=True, help="Files and standard input are HTML, whatever their names."),
    click.option("--encoding", metavar="NAME", callback=_encoding, help="Of files that do not say theirs."),
    click.option(
        "--timeout", metavar="SECONDS", type=click.FloatRange(1), default=300, show_default=True, help="For one text."
    ),
)
_FORM = (
    click.option("--json", "as_json", is_flag=True, help="One JSON object a line."),
    click.option("--csv", "as_csv", is_flag=True, help="CSV with a header."),
)
stop_words = click.option("--stop-words", is_flag=True, help="With stop words, such as “the”.")
edges = click.option("--stop-words", is_flag=True, help="With those that begin or end with a stop word.")
window = click.option(
    "--window", "-w", metavar="N", type=click.IntRange(1, 1000), default=8, show_default=True, help="Words."
)
beside = click.option(
    "--sort", type=click.Choice(["place", "left", "right"]), default="place", help="By the words beside it."
)
size = click.option(
    "--size", metavar="N", type=click.IntRange(2, 5), default=2, show_default=True, help="Words of a phrase."
)
_WORDS = (
    stop_words,
    click.option("--keep-case", is_flag=True, help="“The” and “the” are two words."),
)


def files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have the shell complete the name of a file."""
    return [CompletionItem(incomplete, type="file")]


INPUTS = click.argument("inputs", metavar="[INPUT]...", nargs=-1, shell_complete=files)


def _several(options: Sequence[Callable[[Any], Any]]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


pages, reading, form, words = map(_several, (_PAGES, _READING, _FORM, _WORDS))


def top(what: str) -> Callable[[Command], Command]:
    """How many rows."""
    help = f"So many {what}: 10 in a table, in CSV and JSON all."
    return click.option("--top", "-n", metavar="N", type=click.IntRange(1), help=help)


def limit(given: dict[str, Any]) -> int | None:
    """How many rows are wanted; None for all."""
    if given["as_json"] and given["as_csv"]:
        usage("--json and --csv: give one of them.")
    chosen: int | None = given["top"]
    return chosen or (None if given["as_json"] or given["as_csv"] else 10)


def query(given: dict[str, Any]) -> dict[str, Any]:
    """Stop words and case as the API has them."""
    return {
        "stop_words": "include" if given["stop_words"] else "exclude",
        "case": "keep" if given["keep_case"] else "fold",
    }


def submission(given: dict[str, Any]) -> Options:
    """How the texts are read, as the API has it."""
    chosen = {name: given[name] for name in ("select", "ignore", "language") if given[name]}
    return cast("Options", {**chosen, **({"content": "main"} if given["main"] else {})})


def counted(session: Session, client: Client, inputs: Sequence[str], given: dict[str, Any]) -> Counts:
    """The inputs counted, ids of jobs among them; what could not be counted is said."""
    names = list(inputs)
    if not names:
        if sys.stdin.isatty():
            usage("Name what to count: an address, a file, a folder, a list, or - for standard input.")
        names = ["-"]
    read = Reading(given["encoding"], given["html"])
    first = names[0] if len(names) == 1 else f"{len(names)} inputs"
    with session.screen.progress(f"Counting {first}") as show:
        jobs = {name: Counted(name, (client.wait(name, timeout=given["timeout"]),)) for name in names if is_id(name)}
        others = [name for name in names if name not in jobs]
        found = count_many(
            client,
            others,
            progress=lambda done, total, _: show(done, total),
            timeout=given["timeout"],
            options=submission(given),
            reading=read,
        )
    all_of_them = Counts(client, [*jobs.values(), *found])
    for one in all_of_them.failed:
        if one.error is not None:
            session.screen.failed(one.error, one.name)
    return all_of_them


def one_job(counts: Counts, what: str) -> Any:
    """The one job of the one text that a comparison or phrases are of."""
    if len(counts) != 1:
        names = counts[0].name if len(counts) else what
        raise CannotRead(
            f"{len(counts)} texts are named ({names}, …), and one is expected.",
            type="many",
            advice=f"For {what} of many texts, put them into a corpus: wordcounts corpus create NAME.",
        )
    one = counts[0]
    if len(one.jobs) > 1:
        raise CannotRead(
            f"{one.name} is too large to be read whole: it was counted in {len(one.jobs)} pieces.",
            type="too-large",
            advice=f"For {what}, put it into a corpus: wordcounts corpus create NAME, wordcounts corpus add NAME FILE.",
        )
    return one.job
