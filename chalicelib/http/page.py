"""The page as the server sends it: one shell for every visitor, and a plain view of a job for those without JavaScript.

Pure but for reading the files that the build puts into ``chalicelib/web``: templates are ``string.Template``, every
value is escaped, and nothing but the standard library is imported, since the Lambda pays for each import.
"""

import functools
import hashlib
import html
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from chalicelib.analysis.words import Word
from chalicelib.http import reference
from chalicelib.http.schemas import ENDED, Job, Page, Totals

WEB = Path(__file__).parent.parent / "web"

# 'data:' is not needed and not allowed; the script sets styles through the CSSOM, which a policy does not forbid.
# The referrer policy must not be no-referrer: a browser then sends ``Origin: null`` with a form of our own.
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

OPTIONS = ("select", "ignore", "language")
FIELDS = ("input", *OPTIONS)  # of the form
SUBMITTED = ("url", "text", *OPTIONS)  # fields of the API that a form may name itself, as the examples do
CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
STATES = {
    "queued": "Waiting",
    "running": "Counting",
    "succeeded": "Done",
    "failed": "This page could not be counted",
    "canceled": "This job was canceled",
}

# What Unicode draws with no width or lets turn the direction of its neighbours. The joiners, the variation selectors
# and Arabic's number signs are not here: between letters they are how a word is spelt.
INVISIBLE = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\ud800-\udfff]"
    "|(?<![\u0600-\u08ff\u0900-\u109f\u1780-\u17ff\u1800-\u18af\U0001f000-\U0001faff\u2600-\u27bf\ufb50-\ufdff\ufe0f])[\u200c\u200d]"
)
NO_SCRIPTS = " This page may need JavaScript, which we don’t run."
LONGEST = 80  # characters of a word shown; the CSV has all of them


class Asset(msgspec.Struct, frozen=True):
    """A built file. Its name carries a hash of its content, so it may be cached for ever."""

    body: bytes
    content_type: str
    brotli: bytes = b""  # the same, a tenth smaller than by gzip; of files that are worth it


def render(
    job: Job | None = None,
    words: Sequence[Word] = (),
    *,
    prefix: str = "./",
    problem: Mapping[str, Any] | None = None,
    form: Mapping[str, str] | None = None,
    plain: bool = True,
    now: datetime | None = None,
) -> str:
    """The whole HTML document.

    ``words`` are without stop words, the most frequent first; ``problem`` is a problem+json body, of a refused
    submission (then ``form`` holds what was typed) or of a job that is not there. ``prefix`` is the stage's root with a
    slash at its end; ``plain`` is false where a form post cannot be accepted (AUTH=token). FileNotFoundError where the
    page was not built.
    """
    form = form or {}
    if not form and job and job.kind == "url":
        form = {"url": job.url or ""}
    form = {"input": form.get("url") or form.get("text") or "", **form}
    errors = _field_errors(problem)
    fields: dict[str, str] = {}
    for name in FIELDS:
        fields[name] = _escape(form.get(name, ""))
        fields[f"{name}_error"] = _escape(errors.get(name, ""))
        fields[f"{name}_invalid"] = "true" if name in errors else "false"
    fields["main_checked"] = " checked" if form.get("content") == "main" else ""
    return _template("index.html").substitute(
        fields,
        prefix=_escape(prefix),
        title=_escape(_title(job)),
        view="job" if job or (problem and not errors) else "home",
        key=secrets.token_urlsafe(16),
        refresh=_refresh(job, now or datetime.now(UTC)),
        plain=_plain(job, words, problem, prefix) if plain else _template("token.html").substitute(),
    )


def docs(document: Mapping[str, Any], *, prefix: str = "./") -> str:
    """The API's reference as an HTML document. FileNotFoundError where the page was not built."""
    return _template("docs.html").substitute(reference.contents(document), prefix=_escape(prefix))


def refused(title: str, detail: str, *, prefix: str = "./") -> str:
    """What a browser shows at an address that is not served. FileNotFoundError where the page was not built."""
    return _template("problem.html").substitute(title=_escape(title), detail=_escape(detail), prefix=_escape(prefix))


def read_form(body: bytes | str) -> tuple[dict[str, str], str | None]:
    """A posted form as a submission of the API (empty fields left out), and its idempotency key.

    The one field is an address where it can only be meant as one, else a text.

    The key stands for this content on that copy of the page: sent twice it is one job, changed and sent again it is
    another. ValueError for a body that is not UTF-8 or has more fields than the form.
    """
    text = body.decode("utf-8") if isinstance(body, bytes) else body
    pairs = dict(parse_qsl(text, errors="strict", max_num_fields=20))
    submission = {name: pairs[name].strip() for name in SUBMITTED if pairs.get(name, "").strip()}
    if typed := pairs.get("input", "").strip():
        submission = {"url" if is_address(typed) else "text": typed, **submission}
    if pairs.get("main"):
        submission["content"] = "main"
    if not pairs.get("key"):
        return submission, None
    content = "\0".join((pairs["key"], *(f"{name}={value}" for name, value in submission.items())))
    return submission, hashlib.sha256(content.encode()).hexdigest()


# What can only be meant as an address; web/src/input.js has the same rule, and tests/cases.json holds both.
_ADDRESS = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://\S+"
    r"|(?:(?:[^\W_]|[_-])+\.)+(?:[^\W\d_](?:[^\W_]|-)+|\d{1,3})(?::\d{1,5})?(?:[/?#]\S*)?"
    r"|(?i:localhost|\[[0-9a-f:.]+\])(?::\d{1,5})?(?:[/?#]\S*)?"
)


def is_address(typed: str) -> bool:
    """Whether a word that was typed can only be meant as an address."""
    return len(typed) < 10_000 and _ADDRESS.fullmatch(typed) is not None


def asset(name: str) -> Asset | None:
    """The built file of that name, or None; only names that the build wrote are ever opened."""
    return _assets().get(name)


@functools.cache
def _assets() -> dict[str, Asset]:
    files = {path.name: path for path in (WEB / "assets").glob("*")}
    return {
        name: Asset(
            path.read_bytes(),
            CONTENT_TYPES[path.suffix],
            files[f"{name}.br"].read_bytes() if f"{name}.br" in files else b"",
        )
        for name, path in files.items()
        if path.suffix in CONTENT_TYPES
    }


@functools.cache
def _template(name: str) -> Template:
    return Template((WEB / name).read_text("utf-8"))


def visible(word: str) -> str:
    """The word with what cannot be seen spelt out as ‹U+200B›, and cut where it is too long to be looked at."""
    shown = word if len(word) <= LONGEST else f"{word[:LONGEST]}…"
    return INVISIBLE.sub(lambda found: f"‹U+{ord(found[0]):04X}›", shown)


def _escape(value: object) -> str:
    return html.escape(visible_text(str(value)), quote=True)


def visible_text(text: str) -> str:
    """Text of ours or of a stranger's page without the characters that HTML cannot hold or that turn a line around."""
    return re.sub(
        "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", "", text
    )


def _title(job: Job | None) -> str:
    if not job:
        return "Wordcounts"
    return f"{(job.page and job.page.title) or job.url or 'A text'} – Wordcounts"


def _refresh(job: Job | None, now: datetime) -> str:
    """Every two seconds for a minute, then every fifteen: a forgotten tab must not poll for a month."""
    if not job or job.state in ENDED:
        return ""
    age = (now - datetime.fromisoformat(job.submitted_at)).total_seconds()
    return f'<noscript><meta http-equiv="refresh" content="{2 if age < 60 else 15}"></noscript>'


def _plain(job: Job | None, words: Sequence[Word], problem: Mapping[str, Any] | None, prefix: str) -> str:
    if problem and problem.get("errors"):
        return ""  # said beside the fields
    if problem:
        return _message(problem.get("title", "Something went wrong"), problem.get("detail", ""))
    if not job:
        return _template("welcome.html").substitute()
    if job.state not in ENDED:
        return _template("waiting.html").substitute(
            state=_escape(STATES[job.state]), link=_escape(f"{prefix}?job={job.id}"), what=_escape(_what(job))
        )
    if job.page and job.totals and job.state == "succeeded":
        return _words(job, job.page, job.totals, words, prefix)
    return _message(job.error.title, job.error.detail) if job.error else _message(STATES[job.state], "")


def _message(title: object, detail: object) -> str:
    return _template("message.html").substitute(title=_escape(title), detail=_escape(detail))


def _what(job: Job) -> str:
    return job.url or {"text": "Your text", "html": "Your document"}.get(job.kind, "The page")


def _words(job: Job, page: Page, totals: Totals, words: Sequence[Word], prefix: str) -> str:
    language = page.language or "en"
    row = _template("word.html")
    rows = "".join(
        row.substitute(
            rank=rank,
            word=html.escape(visible(word.word)),
            language=_escape(language),
            count=f"{word.count:,}",
            value=word.count,
            most=words[0].count,
            share=_escape(_percent(word.share)),
        )
        for rank, word in enumerate(words, 1)
    )
    link = f"{prefix}jobs/{job.id}/words.csv?stop_words=include"
    return _template("words.html").substitute(
        title=_escape(page.title or _what(job)),
        what=_escape(page.url or _what(job)),
        language=_escape(language),
        language_name=_escape(page.language or "language unknown"),
        total=f"{totals.words:,} word{'s' * (totals.words != 1)}",
        distinct=f"{totals.distinct:,}",
        caption=_escape(_caption(len(words), stop_list=totals.stop_list)),
        csv=_template("csv.html").substitute(link=_escape(link)) if rows else "",
        rows=rows or f'<tr><td colspan="5">No words found.{NO_SCRIPTS if job.url else ""}</td></tr>',
    )


def _percent(share: float) -> str:
    return "<0.01%" if 0 < share < 0.00005 else f"{share:.2%}"


def _caption(shown: int, *, stop_list: bool) -> str:
    if not shown:
        return "No words"
    kind = "without common words" if stop_list else "all kinds: we have no list of common words for this language"
    return f"The {f'{shown:,} most frequent words' if shown > 1 else 'most frequent word'}, {kind}"


def _field_errors(problem: Mapping[str, Any] | None) -> dict[str, str]:
    """Detail by field, from the problem's JSON pointers; what points at no option belongs to the one field."""
    found: dict[str, str] = {}
    for error in (problem or {}).get("errors") or ():
        name = str(error.get("pointer", "")).lstrip("#").strip("/").split("/")[0]
        detail = str(error.get("detail", ""))
        if not name:  # of the whole submission, in the API's words: the form's one field is empty
            detail = "Enter an address, or paste some text."
        found.setdefault(name if name in FIELDS else "input", detail[:1].upper() + detail[1:])
    return found
