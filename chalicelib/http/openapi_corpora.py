"""The part of the OpenAPI document that describes corpora. Pure."""

from typing import Any

from chalicelib.http import corpora, sources
from chalicelib.http.openapi_parts import KEY, PREFER, Paths, answer, ref, text
from chalicelib.http.responses import CSV, JSON

STRUCTS = (
    *(corpora.NewCorpus, corpora.NewDocuments, corpora.Corpus, corpora.Corpora),
    *(sources.NewSource, sources.Source, sources.Sources),
)
_ROWS: dict[str, Any] = {"type": "object", "description": "Rows, `version`, `complete`, and `next` or null."}


def add(paths: Paths) -> None:
    """The paths below ``/corpora``."""
    made = {
        "201": answer("Made.", corpora.Corpus, "Location"),
        "200": answer("It was made by the same request before.", corpora.Corpus, "Location"),
    }
    new = {JSON: {"schema": ref(corpora.NewCorpus)}}
    paths.add("POST /corpora", "makeCorpus", "Make a corpus", made, headers=[KEY], body=new, refused=[410])
    listed = {"200": answer("Some corpora, and where the next are.", corpora.Corpora, "Link")}
    query: Any = corpora.CursorQuery
    paths.add("GET /corpora", "listCorpora", "The caller's corpora, newest first", listed, query=query)
    one, begun = answer("The corpus as it is now.", corpora.Corpus), answer("Begun.", None)
    paths.add("GET /corpora/{corpus_id}", "readCorpus", "A corpus", {"200": one})
    paths.add("DELETE /corpora/{corpus_id}", "eraseCorpus", "Erase a corpus with its documents", {"204": begun})
    _add_documents(paths)
    _add_sources(paths)
    _add_tables(paths)


def _add_documents(paths: Paths) -> None:
    place = "/corpora/{corpus_id}/documents"
    rows = {"type": "object", "description": "How many were taken, and of each that was not its number and faults."}
    taken = {"202": answer("Taken.", None, content={JSON: {"schema": rows}})}
    given = {JSON: {"schema": ref(corpora.NewDocuments)}, corpora.NDJSON: text()}
    paths.add(f"POST {place}", "addDocuments", "Take documents into a corpus", taken, body=given, refused=[409])
    listed = answer("Some documents, and where the next are.", None, "Link", content={JSON: {"schema": _ROWS}})
    summary = "A corpus' documents, with their states and errors"
    paths.add(f"GET {place}", "listDocuments", summary, {"200": listed}, query=corpora.DocumentsQuery)
    summary = "Take a document out of a corpus and erase it"
    removed = {"204": answer("Removed.", None)}
    paths.add(f"DELETE {place}", "removeDocument", summary, removed, query=corpora.KeyQuery)


def _add_sources(paths: Paths) -> None:
    place = "/corpora/{corpus_id}/sources"
    followed = {"202": answer("A worker follows it.", sources.Source, "Location")}
    summary, body = "Take the pages of a sitemap into a corpus", {JSON: {"schema": ref(sources.NewSource)}}
    paths.add(f"POST {place}", "addSource", summary, followed, headers=[KEY], body=body, refused=[409])
    summary, all_of_them = "A corpus' sources, with their states and errors", answer("All of them.", sources.Sources)
    paths.add(f"GET {place}", "listSources", summary, {"200": all_of_them})
    one = answer("The source as it is now.", sources.Source)
    paths.add(f"GET {place}/{{source_id}}", "readSource", "A source of a corpus", {"200": one})


def _add_tables(paths: Paths) -> None:
    later = answer("The answer is being looked for: ask the same again.", corpora.Corpus, "Location", "Retry-After")
    follow = "Words of a corpus that follow each other again and again"
    compared = "Words that a corpus has relatively more or less often than a job or another corpus"
    for name, summary, query, more in (
        ("words", "The words of a corpus", corpora.WordsQuery, {}),
        ("keywords", compared, corpora.KeywordsQuery, {}),
        ("contexts", "Where a word or a phrase of a corpus occurs", corpora.ContextsQuery, {"202": later}),
        ("phrases", follow, corpora.PhrasesQuery, {"202": later}),
        ("collocates", "Words of a corpus that stand near a word", corpora.CollocatesQuery, {"202": later}),
    ):
        content = {JSON: {"schema": _ROWS}, CSV: text()}
        answers = {"200": answer("Some of them, and where the next are.", None, "Link", content=content), **more}
        path = f"/corpora/{{corpus_id}}/{name}"
        about: Any = {"query": query, "headers": [PREFER] if more else [], "refused": [409]}
        paths.add(f"GET {path}", f"readCorpus{name.capitalize()}", summary, answers, **about)
        paths.add_file(path, f"The {name} of a corpus as a CSV file")
