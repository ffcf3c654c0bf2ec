"""The commands about corpora: many documents counted as one."""

import sys
from typing import Any

import click

from wordcounts.client import is_id
from wordcounts.errors import WordcountsError
from wordcounts.sources import Reading

from . import options, terminal
from .options import INPUTS, Session
from .terminal import several
from .texts import show_keywords, show_rows

NAME = click.argument("name", metavar="CORPUS")
SHOWN = 10  # faults of documents


@click.group(cls=options.Near, short_help="Count many documents as one.")
def corpus() -> None:
    """Count many documents as one: thousands of pages, a folder, a list.

    CORPUS is a corpus' name or id.

    \b
    wordcounts corpus create news --language en
    wordcounts corpus add news articles/ more.urls
    wordcounts corpus words news --top 20
    wordcounts corpus contexts news climate
    wordcounts corpus keywords news --against last-year
    wordcounts corpus rm news --yes
    """


@corpus.command()
@click.argument("name")
@click.option("--language", metavar="TAG", help="The documents' language, such as en or pt-BR.")
@options.pages
@click.option("--metadata", metavar="FIELD", multiple=True, help="A field that documents may have; again for more.")
@click.pass_obj
def create(session: Session, /, name: str, metadata: tuple[str, ...], **given: Any) -> None:
    """Make a corpus named NAME and print its id.

    \b
    wordcounts corpus create news --language en
    """
    if not name.strip():
        raise click.UsageError("NAME is empty.")
    with session.client() as client:
        if any(one.name == name for one in client.corpora()):
            raise WordcountsError(
                f"There is a corpus {name!r} already.",
                type="exists",
                advice=f"Take another name, or add to it: wordcounts corpus add {name} …",
            )
        made = client.create_corpus(name, metadata=metadata, **options.submission(given))
        session.screen.write(f"{made.id}\n".encode())


@corpus.command()
@NAME
@INPUTS
@click.option("--sitemap", metavar="URL", multiple=True, help="Add the pages of this sitemap; again for more.")
@click.option("--limit", metavar="N", type=click.IntRange(1, 50_000), help="So many pages of a sitemap at most.")
@click.option("--include", metavar="PATH", multiple=True, help="Of a sitemap, only paths such as /blog/*.")
@click.option("--exclude", metavar="PATH", multiple=True, help="Of a sitemap, without paths such as /tag/*.")
@click.option("--no-wait", is_flag=True, help="Do not wait until they are counted.")
@click.option("--html", is_flag=True, help="Files are HTML, whatever their names.")
@click.option("--encoding", metavar="NAME", help="Of files that do not say theirs.")
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(1), default=600, show_default=True)
@click.pass_obj
def add(session: Session, /, name: str, inputs: tuple[str, ...], no_wait: bool, timeout: float, **given: Any) -> None:
    """Add addresses, files, folders and lists to a corpus, and wait until they are counted.

    A document that was added before is replaced: its address or path names it.

    \b
    wordcounts corpus add news articles/ more.urls
    wordcounts corpus add news answers.jsonl --no-wait
    wordcounts corpus add news --sitemap https://example.com/sitemap.xml --include "/blog/*" --limit 500
    """
    sitemaps = given["sitemap"]
    if not inputs and not sitemaps:
        raise click.UsageError("Name what to add: addresses, files, folders, lists or a --sitemap.")
    with session.client() as client:
        chosen = client.corpus(name)
        reading = Reading(given["encoding"], given["html"])
        with session.screen.progress(f"Adding to {name}") as show:
            refused = chosen.add(inputs, progress=lambda sent: show(sent, sent), reading=reading)
        for sitemap in sitemaps:
            chosen.add_sitemap(sitemap, limit=given["limit"], include=given["include"], exclude=given["exclude"])
        for one in refused[:SHOWN]:
            detail = one["errors"][0]["detail"]
            session.screen.nothing(detail if one["key"] in detail else f"{one['key']}: {detail}")
        if not no_wait:
            with session.screen.progress(f"Counting {name}") as show:
                chosen.wait(
                    timeout=timeout, changed=lambda now: show(now.documents["succeeded"], now.documents["total"])
                )
            for source in chosen.sitemaps() if sitemaps else ():
                if source.error:
                    session.screen.nothing(f"{source.sitemap}: {source.error.detail or source.error.title}")
            failed = list(chosen.read_documents("failed"))
            for document in failed[:SHOWN]:
                said = document.error.detail or document.error.title if document.error else "failed"
                session.screen.nothing(f"{document.key}: {said}")
            if len(failed) > SHOWN:
                session.screen.nothing(f"{several(len(failed) - SHOWN, 'more document')} failed.")
        chosen.refresh()
        totals = f"{several(chosen.documents['total'], 'document')}, {several(chosen.totals['words'], 'word')}"
        session.screen.write(f"{chosen.name or chosen.id}: {totals}\n".encode())


@corpus.command("list")
@options.form
@click.pass_obj
def list_(session: Session, as_json: bool, as_csv: bool) -> None:
    """List your corpora, the newest first."""
    with session.client() as client:
        found = list(client.corpora())
    names = ("id", "name", "state", "documents>", "words>", "created")
    rows = [
        (one.id, one.name, one.state, one.documents["total"], one.totals["words"], one.raw["created_at"])
        for one in found
    ]
    if not found:
        session.screen.nothing("There is no corpus yet.", "Make one: wordcounts corpus create NAME")
    else:
        session.screen.rows(names, rows, found, as_json=as_json, as_csv=as_csv)


@corpus.command()
@NAME
@options.top("words")
@click.option(
    "--sort", type=click.Choice(["count", "documents", "tfidf"]), default="count", show_default=True, help="By what."
)
@options.words
@options.form
@click.pass_obj
def words(session: Session, /, name: str, sort: str, **given: Any) -> None:
    """List the words of a corpus, with the documents they are in and how evenly they are spread.

    \b
    wordcounts corpus words news --top 20
    wordcounts corpus words news --sort tfidf
    wordcounts corpus words news --csv > words.csv
    """
    limit = options.limit(given)
    with session.client() as client:
        chosen = client.corpus(name)
        if not (given["as_json"] or given["as_csv"]):
            done, total = chosen.totals["documents"], chosen.documents["total"]
            counted = several(total, "document")
            counted = counted if done == total else f"{done:,} of {counted} counted"
            about = f"{counted}, {several(chosen.totals['words'], 'word')}"
            session.screen.print(terminal.title(chosen.name or chosen.id, about))
            session.screen.print()
        rows = chosen.words(limit=limit, sort=sort, **options.query(given))
        show_rows(session, rows, given, "", terminal.corpus_words)
        _empty(session, rows, chosen, name)


def _empty(session: Session, rows: Any, chosen: Any, name: str) -> None:
    if not rows:
        advice = "" if chosen.totals["words"] else f"Add documents: wordcounts corpus add {name} FILES"
        session.screen.nothing(f"{name}: nothing is found.", advice)


@corpus.command()
@NAME
@click.argument("word")
@options.top("occurrences")
@options.window
@options.beside
@options.form
@click.pass_obj
def contexts(session: Session, /, name: str, word: str, window: int, sort: str, **given: Any) -> None:
    """Show where WORD stands in the documents of a corpus; a phrase in quotes too.

    \b
    wordcounts corpus contexts news climate --top 20
    wordcounts corpus contexts news "climate change" --sort right
    """
    if not word.strip():
        raise click.UsageError("WORD is empty.")
    limit = options.limit(given)
    with session.client() as client:
        rows = client.corpus(name).contexts(word, limit=limit, window=window, sort=sort)
        if not rows:
            session.screen.nothing(f"“{word}” does not occur.", f"See `wordcounts corpus words {name}`.")
        elif given["as_json"] or given["as_csv"]:
            show_rows(session, rows, given, "", None)
        else:
            session.screen.print(terminal.contexts(list(rows), session.screen.width))
            if rows.total > len(rows):
                session.screen.say(f"{len(rows):,} of {rows.total:,} are shown: see more with --top {rows.total}.")


@corpus.command()
@NAME
@options.top("phrases")
@options.size
@options.edges
@options.form
@click.pass_obj
def phrases(session: Session, /, name: str, size: int, stop_words: bool, **given: Any) -> None:
    """List the phrases of a corpus. What logDice, NPMI and G² mean is in the project's docs/words.md.

    \b
    wordcounts corpus phrases news --size 3
    """
    limit = options.limit(given)
    with session.client() as client:
        chosen = client.corpus(name)
        rows = chosen.phrases(n=size, limit=limit, stop_words="include" if stop_words else "edges")
        show_rows(session, rows, given, "", terminal.phrases)
        _empty(session, rows, chosen, name)


@corpus.command()
@NAME
@click.option("--against", metavar="OTHER", required=True, help="Another corpus, or job:ID.")
@options.top("words of each side")
@options.stop_words
@options.form
@click.pass_obj
def keywords(session: Session, /, name: str, against: str, stop_words: bool, **given: Any) -> None:
    """Compare a corpus with another one, or with a job: the words that it has relatively more of, and less.

    What log ratio, LRC and G² mean is in the project's docs/words.md.

    \b
    wordcounts corpus keywords news --against last-year
    """
    limit = options.limit(given)
    with session.client() as client:
        chosen = client.corpus(name)
        job = against.removeprefix("job:")
        other: Any = against if job != against and is_id(job) else client.corpus(against)
        kept = "include" if stop_words else "exclude"
        show_keywords(session, given, limit, name, against, lambda sign, most: chosen.keywords(
            other, sign=sign, limit=most, stop_words=kept))  # fmt: skip


@corpus.command()
@NAME
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_obj
def rm(session: Session, /, name: str, yes: bool) -> None:
    """Erase a corpus with its documents.

    \b
    wordcounts corpus rm news --yes
    """
    with session.client() as client:
        chosen = client.corpus(name)
        if not yes:
            if not sys.stdin.isatty():
                raise click.UsageError("Nobody can be asked here: add --yes to erase it.")
            number = several(chosen.documents["total"], "document")
            click.confirm(f"Erase {name} with its {number}?", abort=True, err=True)
        chosen.erase()
