"""The OpenAPI 3.1 document, made from the structs that validate what comes and encode what goes. Pure."""

import functools
from typing import Any

import msgspec

from chalicelib.http import examples, openapi_corpora
from chalicelib.http.evidence import (
    TEXT,
    Contexts,
    ContextsQuery,
    Keywords,
    KeywordsQuery,
    Phrases,
    PhrasesQuery,
    Places,
    PlacesQuery,
    TextQuery,
)
from chalicelib.http.openapi_parts import ALWAYS, REFERENCE, answer, file, operation, parameters, problems
from chalicelib.http.responses import CSV, JSON
from chalicelib.http.schemas import Health, Job, Jobs, ListQuery, Problem, Words, WordsQuery
from chalicelib.submissions import COMMON_OPTIONS, PAGE_OPTIONS, Request

DESCRIPTION = """\
Submit the address of a page, a text or an HTML document; a worker counts its words; read them back by the job's id.

Every error is an `application/problem+json` (RFC 9457) whose `type` is stable. Every path also answers `OPTIONS`, and
`HEAD` where it answers `GET`. Times are RFC 3339 in UTC. Unknown fields and parameters are refused.
"""
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=N`: answer when the job has ended, or after N seconds, 20 at most (RFC 7240).",
    "schema": {"type": "string"},
    "example": "wait=2",
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same submission gives the same job; with another it is an error.",
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "An `ETag` of an earlier answer: 304 when nothing has changed.",
    "schema": {"type": "string"},
}
_JOB_ID = {
    "name": "job_id",
    "in": "path",
    "required": True,
    "description": "The job's `id`.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "example": examples.JOB["id"],
}


@functools.cache
def document(server: str, *, auth: str) -> bytes:
    """The document as JSON; ``server`` is the stage's path, or /; with ``auth`` token it asks for one."""
    secured: list[dict[str, list[str]]] = [{"token": []}] if auth == "token" else []
    components: dict[str, Any] = {"schemas": _schemas()}
    if secured:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    made = {
        "openapi": "3.1.0",
        "info": {"title": "Wordcounts", "version": "1", "description": DESCRIPTION, "license": _LICENSE},
        "servers": [{"url": server}],
        "security": secured,
        "paths": _paths(private=(401, 429) if secured else ()),
        "components": components,
    }
    return msgspec.json.encode(made)


_LICENSE = {"name": "MIT", "identifier": "MIT"}


def _schemas() -> dict[str, Any]:
    """Every struct's schema; the submission as one of three, since that says more than its fields do."""
    kinds = [Request, Job, Jobs, Words, Contexts, Places, Phrases, Keywords, Health, Problem, *openapi_corpora.STRUCTS]
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


def _submit(*known: int) -> dict[str, Any]:
    links = {
        name: {"operationId": name, "parameters": {"job_id": "$response.body#/id"}}
        for name in ("readJob", "readWords", "readText", "readPhrases", "cancelJob", "eraseJob")
    }
    headers = ("Location", "Preference-Applied", "Idempotency-Replayed")
    ended = "The job has ended, within the time that the client waited."
    return operation(
        "submitJob",
        "Submit a page, a text or a document",
        {
            "202": answer("Accepted.", Job, *headers, "Retry-After", links=links),
            "200": answer(ended, Job, *headers, links=links),
            **problems(*known, 410, 415, 422),
        },
        parameters=[_PREFER, _KEY],
        requestBody=_submission(),
    )


def _paths(private: tuple[int, ...]) -> dict[str, Any]:
    usual, known = (*ALWAYS, *private), (*ALWAYS, 410, *private)
    listed = operation(
        "listJobs",
        "The caller's jobs, newest first",
        {"200": answer("Some jobs, and where the next are.", Jobs, "Link"), **problems(*usual)},
        parameters=parameters(ListQuery),
    )
    read = operation(
        "readJob",
        "A job, at once or when it has ended",
        {
            "200": answer("The job as it is now.", Job, "ETag", "Retry-After", "Preference-Applied"),
            "304": answer("The client has it.", None, "ETag"),
            **problems(*known),
        },
        parameters=[_JOB_ID, _PREFER, _IF_NONE_MATCH],
    )
    erased = {"204": {"description": "Erased."}, **problems(*known, 409)}
    erase = operation("eraseJob", "Erase a job and its words", erased, parameters=[_JOB_ID])
    canceled = {"200": answer("The job, canceled.", Job), **problems(*known, 409)}
    cancel = operation("cancelJob", "Cancel a job that has not ended", canceled, parameters=[_JOB_ID])
    return {
        "/jobs": {"post": _submit(*usual), "get": listed},
        "/jobs/{job_id}": {"get": read, "delete": erase},
        "/jobs/{job_id}/cancel": {"post": cancel},
        **{f"/jobs/{{job_id}}/{name}": {"get": made} for name, made in _results(known).items()},
        **{f"/jobs/{{job_id}}/{name}.csv": {"get": made} for name, made in _files(known).items()},
        **openapi_corpora.paths(private),
        "/health": {"get": _about("health", "Whether the service serves", Health)},
        "/openapi.json": {"get": _about("describe", "This document", None)},
    }


def _results(known: tuple[int, ...]) -> dict[str, Any]:
    """What can be read of a job that has succeeded, by the last part of its path."""

    def result(name: str, summary: str, kind: type | None, query: type, **content: Any) -> dict[str, Any]:
        shown = answer("Some of them, and where the next are.", kind, "ETag", "Link")
        shown.setdefault("content", {}).update(
            {media: {"schema": {"type": "string"}, "example": example} for media, example in content["also"].items()}
        )
        answers = {
            "200": shown,
            "202": answer("The job has not ended yet.", Job, "Location", "Retry-After"),
            "304": answer("The client has them.", None, "ETag"),
            **problems(*known, 409),
        }
        return operation(name, summary, answers, parameters=[_JOB_ID, *parameters(query), _IF_NONE_MATCH])

    words = "The words of a job, most frequent first"
    contexts = "Where a word or a phrase of a job occurs, with what stands before and after it"
    places = "In which parts of a job's text some words are, and in which spellings"
    phrases = "Words of a job that follow each other again and again"
    keywords = "Words that a job has relatively more or less often than another"
    return {
        "words": result("readWords", words, Words, WordsQuery, also={CSV: examples.CSV}),
        "text": result("readText", "The text of a job, as it was counted", None, TextQuery, also={TEXT: examples.TEXT}),
        "contexts": result("readContexts", contexts, Contexts, ContextsQuery, also={CSV: examples.CONTEXTS_CSV}),
        "places": result("readPlaces", places, Places, PlacesQuery, also={}),
        "phrases": result("readPhrases", phrases, Phrases, PhrasesQuery, also={CSV: examples.PHRASES_CSV}),
        "keywords": result("readKeywords", keywords, Keywords, KeywordsQuery, also={CSV: examples.KEYWORDS_CSV}),
    }


def _files(known: tuple[int, ...]) -> dict[str, Any]:
    tables = ("words", "contexts", "phrases", "keywords")
    results = _results(known)
    return {name: file(results[name], f"The {name} of a job as a CSV file") for name in tables}


def _submission() -> dict[str, Any]:
    kinds = ("Url", "Text", "Html")
    one_of = [{"$ref": REFERENCE.format(name=f"{kind}Submission")} for kind in kinds]
    return {"required": True, "content": {JSON: {"schema": {"oneOf": one_of}, "examples": examples.SUBMISSIONS}}}


def _about(name: str, summary: str, kind: type | None) -> dict[str, Any]:
    """An operation that needs no token."""
    answers = {"200": answer("As it is.", kind), **problems(400, 403, 405, 406, 413, 421, 500)}
    if kind is None:
        answers["200"]["content"] = {JSON: {"schema": {"type": "object"}}}
    else:
        answers["503"] = answer("Not now.", kind)
    return operation(name, summary, answers, security=[])
