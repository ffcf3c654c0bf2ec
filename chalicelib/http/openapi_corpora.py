"""The part of the OpenAPI document that describes corpora. Pure."""

from typing import Any

from chalicelib.http import corpora, sources
from chalicelib.http.openapi_parts import ALWAYS, answer, file, operation, parameters, problems, ref
from chalicelib.http.responses import CSV, JSON

STRUCTS = (corpora.NewCorpus, corpora.Corpus, corpora.Corpora, sources.NewSource, sources.Source, sources.Sources)
_ID = {
    "name": "corpus_id",
    "in": "path",
    "required": True,
    "description": "The corpus' `id`.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "example": "5d2f7a0c9be14b8e93c1f0a6d4e8b721",
}
_DOCUMENTS = {
    "type": "object",
    "properties": {
        "documents": {
            "type": "array",
            "maxItems": 1000,
            "items": {
                "description": "A submission of `url`, `text` or `html`, with a `key` and `metadata`; what is none is "
                "refused by its number.",
            },
        }
    },
    "required": ["documents"],
    "additionalProperties": False,
}
_ROWS: dict[str, Any] = {"type": "object", "description": "Rows, `version`, `complete`, and `next` or null."}
_QUESTIONS = {
    "contexts": ("Where a word or a phrase of a corpus occurs", corpora.ContextsQuery),
    "phrases": ("Words of a corpus that follow each other again and again", corpora.PhrasesQuery),
    "collocates": ("Words of a corpus that stand near a word", corpora.CollocatesQuery),
}


def paths(private: tuple[int, ...]) -> dict[str, Any]:
    """The paths below ``/corpora``."""
    usual, known = (*ALWAYS, *private), (*ALWAYS, 410, *private)
    one = answer("The corpus as it is now.", corpora.Corpus)
    make = operation(
        "makeCorpus",
        "Make a corpus",
        {
            "201": answer("Made.", corpora.Corpus, "Location"),
            "200": answer("It was made by the same request before.", corpora.Corpus, "Location"),
            **problems(*usual, 415, 422),
        },
        requestBody={"required": True, "content": {JSON: {"schema": ref(corpora.NewCorpus)}}},
    )
    listed = operation(
        "listCorpora",
        "The caller's corpora, newest first",
        {"200": answer("Some corpora, and where the next are.", corpora.Corpora, "Link"), **problems(*usual)},
        parameters=parameters(corpora.CursorQuery),
    )
    read = operation("readCorpus", "A corpus", {"200": one, **problems(*known)}, parameters=[_ID])
    gone = {"204": {"description": "Begun."}, **problems(*known)}
    erase = operation("eraseCorpus", "Erase a corpus with its documents", gone, parameters=[_ID])
    tables = _tables(known)
    return {
        "/corpora": {"post": make, "get": listed},
        "/corpora/{corpus_id}": {"get": read, "delete": erase},
        "/corpora/{corpus_id}/documents": _documents(known),
        "/corpora/{corpus_id}/sources": _sources(known),
        "/corpora/{corpus_id}/sources/{source_id}": {"get": _source(known)},
        **{f"/corpora/{{corpus_id}}/{name}": {"get": one} for name, one in tables.items()},
        **{
            f"/corpora/{{corpus_id}}/{name}.csv": {"get": file(one, f"The {name} of a corpus as a CSV file")}
            for name, one in tables.items()
        },
    }


def _tables(known: tuple[int, ...]) -> dict[str, Any]:
    words = _rows("readCorpusWords", "The words of a corpus", corpora.WordsQuery, (*known, 409))
    compared = "Words that a corpus has relatively more or less often than a job or another corpus"
    keywords = _rows("readCorpusKeywords", compared, corpora.KeywordsQuery, (*known, 409))
    questions = {name: _question(name, summary, query, known) for name, (summary, query) in _QUESTIONS.items()}
    return {"words": words, "keywords": keywords, **questions}


def _documents(known: tuple[int, ...]) -> dict[str, Any]:
    rows = {"type": "object", "description": "How many were taken, and of each that was not its number and faults."}
    taken = answer("Taken.", None)
    taken["content"] = {JSON: {"schema": rows}}
    listed = answer("Some documents, and where the next are.", None, "Link")
    listed["content"] = {JSON: {"schema": _ROWS}}
    add = operation(
        "addDocuments",
        "Take documents into a corpus",
        {"202": taken, **problems(*known, 415, 422)},
        parameters=[_ID],
        requestBody={
            "required": True,
            "content": {JSON: {"schema": _DOCUMENTS}, corpora.NDJSON: {"schema": {"type": "string"}}},
        },
    )
    read = operation(
        "listDocuments",
        "A corpus' documents, with their states and errors",
        {"200": listed, **problems(*known)},
        parameters=[_ID, *parameters(corpora.DocumentsQuery)],
    )
    remove = operation(
        "removeDocument",
        "Take a document out of a corpus and erase it",
        {"204": {"description": "Removed."}, **problems(*known)},
        parameters=[_ID, *parameters(corpora.KeyQuery)],
    )
    return {"post": add, "get": read, "delete": remove}


def _sources(known: tuple[int, ...]) -> dict[str, Any]:
    add = operation(
        "addSource",
        "Take the pages of a sitemap into a corpus",
        {"202": answer("A worker follows it.", sources.Source, "Location"), **problems(*known, 409, 415, 422)},
        parameters=[_ID],
        requestBody={"required": True, "content": {JSON: {"schema": ref(sources.NewSource)}}},
    )
    shown = {"200": answer("All of them.", sources.Sources), **problems(*known)}
    read = operation("listSources", "A corpus' sources, with their states and errors", shown, parameters=[_ID])
    return {"post": add, "get": read}


def _source(known: tuple[int, ...]) -> dict[str, Any]:
    of_source = {**_ID, "name": "source_id", "description": "The source's `id`."}
    shown = {"200": answer("The source as it is now.", sources.Source), **problems(*known)}
    return operation("readSource", "A source of a corpus", shown, parameters=[_ID, of_source])


def _rows(name: str, summary: str, query: type, known: tuple[int, ...], **more: Any) -> dict[str, Any]:
    shown = answer("Some of them, and where the next are.", None, "Link")
    shown["content"] = {JSON: {"schema": _ROWS}, CSV: {"schema": {"type": "string"}}}
    answers = {"200": shown, **more, **problems(*known)}
    return operation(name, summary, answers, parameters=[_ID, *parameters(query)])


def _question(name: str, summary: str, query: type, known: tuple[int, ...]) -> dict[str, Any]:
    later = answer("The answer is being looked for: ask the same again.", corpora.Corpus, "Location", "Retry-After")
    return _rows(f"readCorpus{name.capitalize()}", summary, query, (*known, 409), **{"202": later})
