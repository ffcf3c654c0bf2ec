"""Count the words of a page, a file or standard input, by the service: the running one, or one for this call alone.

usage: make count URL=https://example.com/
       python -m scripts.count (URL | FILE | -) [--csv | --json] [--top 10] [--select main] …
"""

import argparse
import codecs
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from . import views
from .client import Job, JobFailed, Unreachable, Wordcounts, WordcountsError
from .processes import visible

HTML_SUFFIXES = (".html", ".htm", ".xhtml")
TEXT_SUFFIXES = (".txt", ".md", ".rst", ".csv", ".json", ".xml", ".log", ".pdf", ".docx")  # of names that are no hosts
BAR = 30  # characters of the longest bar


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.count", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", metavar="URL|FILE|-", help="an address, a file's path, or - for standard input")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="all words of the table as CSV, not only its top")
    form.add_argument("--json", action="store_true", help="the job and all words of the table as JSON")
    form.add_argument("--contexts", metavar="WORD", help="where a word occurs, or a phrase of several")
    form.add_argument("--phrases", metavar="N", type=int, choices=range(2, 6), help="phrases of 2 to 5 words")
    form.add_argument("--keywords", metavar="URL|FILE", help="what it has more or less of than this one")
    parser.add_argument("--top", type=int, default=10, help="rows of the table (10)")
    parser.add_argument("--stop-words", action="store_true", help="stop words too, in the table, CSV and JSON")
    parser.add_argument("--keep-case", action="store_true", help="The and the are two words")
    parser.add_argument("--select", help="CSS selector: count only inside")
    parser.add_argument("--ignore", help="CSS selector: leave out")
    parser.add_argument("--language", help="of the text, such as en or pt-BR")
    parser.add_argument("--html", action="store_true", help="the file or the input is HTML, whatever its name")
    parser.add_argument("--encoding", default="utf-8-sig", help="of the file or the input (UTF-8)")
    parser.add_argument("--server", default=os.environ.get("WORDCOUNTS_URL"), help="the service's address")
    parser.add_argument("--token", default=os.environ.get("WORDCOUNTS_TOKEN"), help="where the service wants one")
    parser.add_argument("--timeout", type=float, default=300, help="seconds (300)")
    given = parser.parse_args(arguments)
    if not given.what:
        parser.error("say what to count: make count URL=https://example.com/")
    try:
        submission = _submission(given)
        with _service(given) as service:
            return _count(service, given, submission)
    except (WordcountsError, TimeoutError) as error:
        _say(str(error))
    except OSError as error:
        _say(f"{given.what}: {error}")
    return 1


class CannotRead(WordcountsError):
    """What is to be counted cannot be read; the message says which, and why."""


@contextlib.contextmanager
def _service(given: argparse.Namespace) -> Iterator[Wordcounts]:
    """The service that was named, else the one that runs on this machine, else one that lives as long as this call."""
    address = given.server or f"http://127.0.0.1:{os.environ.get('PORT') or 8000}"
    service = Wordcounts(address, given.token)
    if given.server or _runs(service):
        yield service
        return
    from . import run

    _say("no service runs here: starting one for this call")
    try:
        with run.running_stack() as url:
            yield Wordcounts(url, given.token)
    except run.CannotStart as error:
        raise Unreachable(str(error)) from error


def _runs(service: Wordcounts) -> bool:
    try:
        return "checks" in service.health()
    except (requests.RequestException, ValueError):
        return False


def _count(service: Wordcounts, given: argparse.Namespace, submission: dict[str, str]) -> int:
    job = service.submit(**submission, select=given.select, ignore=given.ignore, language=given.language)
    try:
        _progress(job)
        job = service.wait(job, timeout=given.timeout, changed=_progress)
    except KeyboardInterrupt:
        with contextlib.suppress(WordcountsError):
            service.cancel(job["id"])
        _say("canceled")
        return 130
    if job["state"] != "succeeded":
        raise JobFailed(job) if job["finished_at"] else TimeoutError(f"still {job['state']} after {given.timeout:g} s")
    query = {"stop_words": "include" if given.stop_words else "exclude", "case": "keep" if given.keep_case else "fold"}
    if given.csv:
        for piece in service.csv(job["id"], **query):
            sys.stdout.buffer.write(piece)
    elif given.json:
        json.dump({"job": job, "words": list(service.words(job["id"], **query))}, sys.stdout, ensure_ascii=False)
        print()
    elif given.contexts or given.phrases or given.keywords:
        _evidence(service, given, job)
    else:
        _table(job, list(service.words(job["id"], limit=max(given.top, 1), **query)))
    sys.stdout.flush()
    return 0


def _evidence(service: Wordcounts, given: argparse.Namespace, job: Job) -> None:
    """Contexts, phrases or keywords instead of the table."""
    limit = max(given.top, 1)
    if given.contexts:
        kind = "phrase" if " " in given.contexts.strip() else "word"
        case = "keep" if given.keep_case else "fold"
        views.contexts(list(service.contexts(job["id"], limit=limit, case=case, **{kind: given.contexts})))
    elif given.phrases:
        stop_words = "include" if given.stop_words else "edges"
        views.phrases(list(service.phrases(job["id"], limit=limit, n=given.phrases, stop_words=stop_words)))
    else:
        against = argparse.Namespace(**{**vars(given), "what": given.keywords})
        other = service.count(**_submission(against), language=given.language, timeout=given.timeout)
        stop_words = "include" if given.stop_words else "exclude"
        signs = {
            sign: list(service.keywords(job["id"], other["id"], limit=limit, sign=sign, stop_words=stop_words))
            for sign in ("positive", "negative")
        }
        views.keywords(signs["positive"], signs["negative"])


def _submission(given: argparse.Namespace) -> dict[str, str]:
    """An address, or the text or HTML of a file or of standard input."""
    if "://" in given.what:
        return {"url": given.what}
    path = Path(given.what)
    name, data = ("standard input", sys.stdin.buffer.read()) if given.what == "-" else (given.what, _content(path))
    html = given.html or path.suffix.lower() in HTML_SUFFIXES
    return {"html" if html else "text": _decoded(name, data, given.encoding)}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise CannotRead(f"{path} is a folder: name a file in it") from None
    except FileNotFoundError:
        is_name = path.suffix.lower() in (*HTML_SUFFIXES, *TEXT_SUFFIXES) or "." not in path.parts[0]
        raise CannotRead(
            f"no such file: {path}" + ("" if is_name else f"; if it is an address, write https://{path}")
        ) from None
    except OSError as error:
        raise CannotRead(f"{path} cannot be read: {error.strerror}") from None


def _decoded(name: str, data: bytes, encoding: str) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    try:
        codecs.lookup(encoding)  # an empty input would not ask for it
        text = data.decode(encoding)
    except LookupError:
        raise CannotRead(
            f"--encoding: Python knows no encoding {encoding!r}; try utf-8, utf-16 or windows-1252"
        ) from None
    except UnicodeError:
        if b"\0" in data:
            raise CannotRead(f"{name} is a binary file, not a text") from None
        raise CannotRead(f"{name} is not a text in {encoding.removesuffix('-sig')}: name its --encoding") from None
    if text.count("\0") * 100 > len(text):  # a page may have a stray one
        raise CannotRead(f"{name} is a binary file, not a text")
    return text.replace("\0", "")


def _progress(job: Job) -> None:
    tries = f", try {job['attempt']}" if job["attempt"] > 1 else ""
    _say(f"{job['state']}{tries}")


def _say(text: str) -> None:
    print(f"wordcounts: {visible(text)}", file=sys.stderr, flush=True)


def _table(job: Job, rows: list[dict[str, Any]]) -> None:
    page, totals = job["page"] or {}, job["totals"]
    print(visible(page.get("title") or page.get("url") or job["kind"]))
    counts = f"{totals['words']:,} words, {totals['distinct']:,} different, {totals['stop_words']:,} stop words"
    print(f"{counts}, language {page.get('language')}\n")
    most = max((row["count"] for row in rows), default=1)
    for rank, row in enumerate(rows, 1):
        bar = "█" * max(1, round(BAR * row["count"] / most))
        print(f"{rank:4}  {row['count']:7,}  {row['share']:6.2%}  {bar:{BAR}}  {visible(row['word'])}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stack that lives for this call ends with it
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
