"""The OpenAPI 3.1 document, made from the structs that validate what comes and encode what goes. Pure."""

import functools
from typing import Any

import msgspec

from chalicelib.http import evidence, examples, openapi_corpora
from chalicelib.http.openapi_parts import KEY, PREFER, REFERENCE, Paths, answer, text
from chalicelib.http.responses import CSV, JSON
from chalicelib.http.schemas import Health, Job, Jobs, ListQuery, Problem, Words, WordsQuery
from chalicelib.submissions import COMMON_OPTIONS, PAGE_OPTIONS, Request

DESCRIPTION = """\
Submit the address of a page, a text or an HTML document; a worker counts its words; read them back by the job's id.

Every error is an `application/problem+json` (RFC 9457) whose `type` is stable. Every path also answers `OPTIONS`, and
`HEAD` where it answers `GET`. Times are RFC 3339 in UTC. Unknown fields and parameters are refused.
"""
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "An `ETag` of an earlier answer: 304 when nothing has changed.",
    "schema": {"type": "string"},
}


@functools.cache
def document(server: str, *, auth: str) -> bytes:
    """The document as JSON; ``server`` is the stage's path, or /; with ``auth`` token it asks for one."""
    secured: list[dict[str, list[str]]] = [{"token": []}] if auth == "token" else []
    components: dict[str, Any] = {"schemas": _schemas()}
    paths = _paths()
    if secured:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        paths.secure()
    made = {
        "openapi": "3.1.0",
        "info": {"title": "Wordcounts", "version": "1", "description": DESCRIPTION, "license": _LICENSE},
        "servers": [{"url": server}],
        "security": secured,
        "paths": paths,
        "components": components,
    }
    return msgspec.json.encode(made)


_LICENSE = {"name": "MIT", "identifier": "MIT"}


def _schemas() -> dict[str, Any]:
    """Every struct's schema; the submission as one of three, since that says more than its fields do."""
    kinds = [Request, Problem, *examples.OF, *openapi_corpora.STRUCTS]
    _, found = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    request = found.pop("Request")
    fields = request["properties"]
    for kind, others in (("url", PAGE_OPTIONS), ("html", PAGE_OPTIONS), ("text", ())):
        found[f"{kind.capitalize()}Submission"] = {
            "type": "object",
            "properties": {name: fields[name] for name in (kind, *others, *COMMON_OPTIONS)},
            "required": [kind],
            "additionalProperties": False,
        }
    return found


def _paths() -> Paths:
    paths = Paths()
    _add_jobs(paths)
    _add_results(paths)
    openapi_corpora.add(paths)
    about: dict[str, Any] = {"usual": (400, 403, 405, 406, 413, 421, 500), "security": []}  # no token is needed
    health = {"200": answer("As it is.", Health), "503": answer("Not now.", Health)}
    paths.add("GET /health", "health", "Whether the service serves", health, **about)
    described = {"200": answer("As it is.", None, content={JSON: {"schema": {"type": "object"}}})}
    paths.add("GET /openapi.json", "describe", "This document", described, **about)
    return paths


def _add_jobs(paths: Paths) -> None:
    links = {
        name: {"operationId": name, "parameters": {"job_id": "$response.body#/id"}}
        for name in ("readJob", "readWords", "readText", "readPhrases", "cancelJob", "eraseJob")
    }
    headers = ("Location", "Preference-Applied", "Idempotency-Replayed")
    submitted = {
        "202": answer("Accepted.", Job, *headers, "Retry-After", links=links),
        "200": answer("The job has ended, within the time that the client waited.", Job, *headers, links=links),
    }
    one_of = [{"$ref": REFERENCE.format(name=f"{kind}Submission")} for kind in ("Url", "Text", "Html")]
    paths.add(
        "POST /jobs",
        "submitJob",
        "Submit a page, a text or a document",
        submitted,
        headers=[PREFER, KEY],
        body={JSON: {"schema": {"oneOf": one_of}, "examples": examples.SUBMISSIONS}},
        refused=[410],
    )
    listed = {"200": answer("Some jobs, and where the next are.", Jobs, "Link")}
    paths.add("GET /jobs", "listJobs", "The caller's jobs, newest first", listed, query=ListQuery)
    read = {
        "200": answer("The job as it is now.", Job, "ETag", "Retry-After", "Preference-Applied"),
        "304": answer("The client has it.", None, "ETag"),
    }
    summary = "A job, at once or when it has ended"
    paths.add("GET /jobs/{job_id}", "readJob", summary, read, headers=[PREFER, _IF_NONE_MATCH])
    erased = {"204": answer("Erased.", None)}
    paths.add("DELETE /jobs/{job_id}", "eraseJob", "Erase a job and its words", erased, refused=[409])
    canceled = {"200": answer("The job, canceled.", Job)}
    summary = "Cancel a job that has not ended"
    paths.add("POST /jobs/{job_id}/cancel", "cancelJob", summary, canceled, refused=[409])


def _add_results(paths: Paths) -> None:
    """What can be read of a job that has succeeded."""

    def add(name: str, summary: str, kind: type | None, query: type, content: dict[str, Any]) -> None:
        answers = {
            "200": answer("Some of them, and where the next are.", kind, "ETag", "Link", content=content),
            "202": answer("The job has not ended yet.", Job, "Location", "Retry-After"),
            "304": answer("The client has them.", None, "ETag"),
        }
        path, operation = f"/jobs/{{job_id}}/{name}", f"read{name.capitalize()}"
        paths.add(f"GET {path}", operation, summary, answers, query=query, headers=[_IF_NONE_MATCH], refused=[409])
        if CSV in content:
            paths.add_file(path, f"The {name} of a job as a CSV file")

    words = "The words of a job, most frequent first"
    contexts = "Where a word or a phrase of a job occurs, with what stands before and after it"
    places = "In which parts of a job's text some words are, and in which spellings"
    phrases = "Words of a job that follow each other again and again"
    keywords = "Words that a job has relatively more or less often than another"
    add("words", words, Words, WordsQuery, {CSV: text(examples.CSV)})
    add("text", "The text of a job, as it was counted", None, evidence.TextQuery, {evidence.TEXT: text(examples.TEXT)})
    add("contexts", contexts, evidence.Contexts, evidence.ContextsQuery, {CSV: text(examples.CONTEXTS_CSV)})
    add("places", places, evidence.Places, evidence.PlacesQuery, {})
    add("phrases", phrases, evidence.Phrases, evidence.PhrasesQuery, {CSV: text(examples.PHRASES_CSV)})
    add("keywords", keywords, evidence.Keywords, evidence.KeywordsQuery, {CSV: text(examples.KEYWORDS_CSV)})
