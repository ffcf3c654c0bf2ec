"""The commands about texts: count, contexts, phrases and keywords."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import click

from wordcounts.client import Client
from wordcounts.many import Counted, Counts, MergedWord
from wordcounts.models import Context, Word, columns
from wordcounts.rows import flat

from . import options, terminal
from .options import INPUTS, Session
from .terminal import several

FEW, LARGE = 30, 5_000  # a page with fewer words and more bytes is probably made by JavaScript


@click.command()
@INPUTS
@click.option("--each", is_flag=True, help="One table for each input, not one for all.")
@options.top("words")
@options.words
@options.form
@options.reading
@click.option("--at-once", metavar="N", type=click.IntRange(1, 64), default=8, show_default=True, help="Texts at once.")
@click.pass_obj
def count(session: Session, /, inputs: tuple[str, ...], each: bool, at_once: int, **given: Any) -> None:
    """Count the words of addresses, files, folders and lists.

    INPUT is an address (https://…), a file (.html is read as HTML), a folder, a list of addresses (.urls: one a line;
    .csv or .tsv with a column url; .jsonl), the id of a job, or - for standard input. Many give one merged table.

    \b
    wordcounts count https://example.com/
    wordcounts count docs/*.md https://example.com/ pages.urls
    wordcounts count pages.urls --csv > words.csv
    wordcounts count chapter*.txt --each --top 3
    curl -s https://example.com/ | wordcounts count - --html --main
    """
    limit = options.limit(given)
    with session.client(at_once) as client:
        counts = options.counted(session, client, inputs, given)
        words = sum(one.words for one in counts)
        for one in counts:
            _look(session, one, alone=not words, selected=bool(given["select"] or given["ignore"]))
        if each:
            _each(session, client, counts, limit, given)
        elif len(counts) == 1 and len(counts[0].jobs) == 1:
            _one(session, client, counts[0], limit, given)
        elif any(one.jobs for one in counts):
            _merged(session, counts, limit, given)


def _look(session: Session, one: Counted, *, alone: bool, selected: bool) -> None:
    """Say what is strange about a text: it has no words, was cut, or is a page that JavaScript makes. That it has no
    words is a failure where no other text has some."""
    page = one.jobs[0].page if one.jobs else None
    is_page = bool(one.jobs) and one.jobs[0].kind == "url"
    hint = "If a browser shows text there, JavaScript makes it, which is not run: save the page and count the file."
    if selected:
        hint = "Does the selector match anything there? Try it in a browser: document.querySelectorAll(…)."
    if one.jobs and not is_page and one.name.endswith((".csv", ".tsv")):
        session.screen.say(f"{one.name} has no column named url, so it was counted as a text.")
    if one.jobs and not one.words:
        tell = session.screen.nothing if alone else session.screen.say
        tell(f"{one.name} has no words.", hint if is_page or selected else "Is it the right file, option or encoding?")
    elif is_page and page and one.words < FEW and (page.bytes or 0) > LARGE:
        session.screen.say(f"{one.name} has {several(one.words, 'word')} in {page.bytes:,} bytes.", hint)
    if len(one.jobs) > 1:
        session.screen.say(
            f"{one.name} is larger than the service takes at once: it was counted in {len(one.jobs)} pieces."
        )


def _one(session: Session, client: Client, one: Counted, limit: int | None, given: dict[str, Any]) -> None:
    job = one.job
    rows = client.words(job, limit=limit, **options.query(given))
    if given["as_csv"]:
        session.screen.csv(columns(Word), (flat(row).values() for row in rows))
    elif given["as_json"]:
        session.screen.json(row.to_dict() for row in rows)
    elif rows:
        name = (job.page and job.page.title) or one.name
        session.screen.print(terminal.title(name, terminal.about([job])))
        session.screen.print()
        session.screen.print(terminal.words(list(rows)))
    if one.words and not rows:
        session.screen.nothing("All its words are stop words.", "Add --stop-words to see them.")


def _merged(session: Session, counts: Counts, limit: int | None, given: dict[str, Any]) -> None:
    rows = counts.words(limit=limit, **options.query(given))
    if given["as_csv"]:
        session.screen.csv(columns(MergedWord), (flat(row).values() for row in rows))
    elif given["as_json"]:
        session.screen.json(row.to_dict() for row in rows)
    else:
        good = [one for one in counts if one.jobs]
        jobs = [job for one in good for job in one.jobs]
        texts = f"{len(counts):,} texts" if len(good) == len(counts) else f"{len(good):,} of {len(counts):,} texts"
        session.screen.print(terminal.title(texts, terminal.about(jobs)))
        session.screen.print()
        session.screen.print(terminal.words(rows, documents=True))


def _each(session: Session, client: Client, counts: Counts, limit: int | None, given: dict[str, Any]) -> None:
    """A table for each; rows with their source in CSV and JSON."""
    good = [one for one in counts if one.jobs]
    asked = options.query(given)

    def rows() -> Iterator[tuple[str, Any]]:
        for one in good:
            found = Counts(client, [one]).words(limit=limit, **asked) if len(one.jobs) > 1 else None
            for row in client.words(one.job, limit=limit, **asked) if found is None else found:
                yield one.name, row

    if given["as_csv"]:
        names = columns(Word)
        session.screen.csv(
            ("source", *names), ([name, *(getattr(row, column) for column in names)] for name, row in rows())
        )
    elif given["as_json"]:
        session.screen.json({"source": name, **row.to_dict()} for name, row in rows())
    else:
        for one in good:
            found = Counts(client, [one]).words(limit=limit, **asked)
            session.screen.print(terminal.title(one.name, terminal.about(one.jobs)))
            session.screen.print(terminal.words(found))
            session.screen.print()


@click.command()
@click.argument("word")
@INPUTS
@options.top("occurrences of each input")
@options.window
@click.option("--sentence", is_flag=True, help="The whole sentence instead of a window.")
@options.beside
@click.option("--keep-case", is_flag=True, help="WORD as it is written only.")
@options.form
@options.reading
@click.pass_obj
def contexts(session: Session, /, word: str, inputs: tuple[str, ...], **given: Any) -> None:
    """Show where WORD stands; a phrase in quotes too.

    \b
    wordcounts contexts whale https://www.gutenberg.org/files/2701/2701-h/2701-h.htm
    wordcounts contexts "white whale" moby-dick.txt --sort left --top 20
    wordcounts contexts error logs/ --csv > errors.csv
    """
    if not word.strip():
        raise click.UsageError("WORD is empty.")
    limit = options.limit(given)
    asked = {
        "sort": given["sort"],
        "case": "keep" if given["keep_case"] else "fold",
        **({"unit": "sentence"} if given["sentence"] else {"window": given["window"]}),
    }
    with session.client() as client:
        counts = options.counted(session, client, inputs, given)
        found = [
            (one.name, [client.contexts(job, word, limit=limit, **asked) for job in one.jobs])
            for one in counts
            if one.jobs
        ]
        if given["as_csv"] or given["as_json"]:
            _context_rows(session, found, given["as_csv"])
        else:
            _context_lines(session, found)
        if found and not any(map(len, chain.from_iterable(rows for _, rows in found))):
            session.screen.nothing(f"“{word}” does not occur.", "See `wordcounts count` for the words that do.")


def _context_rows(session: Session, found: list[tuple[str, list[Any]]], as_csv: bool) -> None:
    rows = ((name, row) for name, pieces in found for one in pieces for row in one)
    if as_csv:
        session.screen.csv(("source", *columns(Context)), ([name, *flat(row).values()] for name, row in rows))
    else:
        session.screen.json({"source": name, **row.to_dict()} for name, row in rows)


def _context_lines(session: Session, found: list[tuple[str, list[Any]]]) -> None:
    for name, pieces in found:
        rows = [row for one in pieces for row in one]
        total = sum(one.total for one in pieces)
        more = f"{len(rows):,} of {total:,}" if total > len(rows) else f"{total:,}"
        if rows and len(found) > 1:
            session.screen.print(terminal.title(name, more))
        if rows:
            session.screen.print(terminal.contexts(rows, session.screen.width))
        if total > len(rows) and len(found) == 1:
            session.screen.say(f"{more} are shown: see all with --top {total}.")


@click.command(short_help="List phrases: words that follow each other.")
@INPUTS
@options.top("phrases of each input")
@options.size
@click.option(
    "--measure",
    type=click.Choice(["logdice", "npmi", "count", "g2"]),
    default="logdice",
    show_default=True,
    help="Sort.",
)
@options.edges
@options.form
@options.reading
@click.pass_obj
def phrases(session: Session, /, inputs: tuple[str, ...], **given: Any) -> None:
    """List the phrases: words that follow each other again and again.

    What logDice, NPMI and G² mean is in the project's docs/words.md.

    \b
    wordcounts phrases https://example.com/
    wordcounts phrases report.txt --size 3 --measure count
    """
    limit = options.limit(given)
    if given["measure"] == "g2" and given["size"] > 2:
        raise click.UsageError("--measure g2 compares two words: leave --size out, or take another measure.")
    asked = {"measure": given["measure"], "stop_words": "include" if given["stop_words"] else "edges"}
    with session.client() as client:
        counts = options.counted(session, client, inputs, given)
        good = [one for one in counts if one.jobs]
        for at, one in enumerate(good):
            job = options.one_job(Counts(client, [one]), "phrases")
            rows = client.phrases(job, n=given["size"], limit=limit, **asked)
            show_rows(session, rows, given, one.name if len(good) > 1 else "", terminal.phrases, header=at == 0)
            if not rows:
                session.screen.nothing(f"{one.name}: no phrase occurs twice.", "Try --stop-words or another --size.")


def show_rows(
    session: Session, rows: Any, given: dict[str, Any], source: str, table: Any, *, header: bool = True
) -> None:
    """Rows as they are wanted: with their source where there are several."""
    named = {"source": source} if source else {}
    if given["as_json"]:
        session.screen.json({**named, **row.to_dict()} for row in rows)
    elif given["as_csv"]:
        first = next(iter(rows), None)
        if first is not None:
            lines = ((*named.values(), *flat(row).values()) for row in rows)
            session.screen.csv((*named, *flat(first)) if header else (), lines)
    elif rows:
        if source:
            session.screen.print(terminal.title(source))
        session.screen.print(table(list(rows)))
        session.screen.print()


@click.command(short_help="Compare two texts by their words.")
@click.argument("text", metavar="A", shell_complete=options.files)
@click.option("--against", metavar="B", required=True, shell_complete=options.files, help="What A is compared with.")
@options.top("words of each side")
@options.stop_words
@options.form
@options.reading
@click.pass_obj
def keywords(session: Session, /, text: str, against: str, **given: Any) -> None:
    """Compare A with B: the words that A has relatively more of, and less.

    A and B are addresses, files or ids of jobs. A score above 0 says that A has more; LRC is 0 where the difference
    may be chance. What log ratio, LRC and G² mean is in the project's docs/words.md.

    \b
    wordcounts keywords https://example.com/ --against https://example.org/
    wordcounts keywords new.txt --against old.txt --top 20
    wordcounts keywords new.txt --against old.txt --csv > differences.csv
    """
    limit = options.limit(given)
    stop_words = "include" if given["stop_words"] else "exclude"
    with session.client() as client:
        jobs = []
        for name in (text, against):
            counts = options.counted(session, client, [name], given)
            if counts.failed:
                return
            jobs.append(options.one_job(counts, "keywords"))
        show_keywords(session, given, limit, text, against, lambda sign, most: client.keywords(
            jobs[0], jobs[1], sign=sign, limit=most, stop_words=stop_words))  # fmt: skip


def show_keywords(session: Session, given: dict[str, Any], limit: int | None, here: str, there: str, read: Any) -> None:
    """Two tables, or all rows; and what it means that there is none."""
    if given["as_json"] or given["as_csv"]:
        show_rows(session, read("both", limit), given, "", None)
        return
    shown = 0
    for at, (sign, name, other) in enumerate((("positive", here, there), ("negative", there, here))):
        found = read(sign, limit)
        rows = [row for row in found if row.log_ratio * (1, -1)[at] > 0]  # by the half that it adds, it may differ
        if len(rows) < len(found) and (size := found.head["sizes"][1 - at]) < found.head["sizes"][at]:
            few = f"{other} has only {several(size, 'word')}: too few to tell for rarer words of {name}"
            session.screen.say(f"{few}, which are left out.")
        if rows:
            session.screen.print(terminal.title(f"More often in {name}"))
            session.screen.print(terminal.keywords(rows, "A", "B"))
            session.screen.print()
        shown += sum(1 for row in rows if row.lrc)
    if not shown:
        session.screen.say("No difference is significant (LRC 0): the texts are too short or too alike to tell.")
