"""Examples for the OpenAPI document, in the form that the API gives; a test keeps them valid. Pure."""

from typing import Any

from chalicelib.http.schemas import Health, Job, Jobs, Words

_ID = "1f0e7c2a9b3d4e5f8a6b7c8d9e0f1a2b"
JOB: dict[str, Any] = {
    "id": _ID,
    "state": "succeeded",
    "version": 3,
    "attempt": 1,
    "kind": "url",
    "url": "https://example.com/",
    "submitted_at": "2026-01-31T12:00:00.000Z",
    "started_at": "2026-01-31T12:00:00.040Z",
    "finished_at": "2026-01-31T12:00:00.310Z",
    "expires_at": "2026-03-02T12:00:00.000Z",
    "page": {
        "url": "https://example.com/",
        "status": 200,
        "title": "Example Domain",
        "language": "en",
        "encoding": "utf-8",
        "bytes": 1256,
        "sha256": "ea8fac7c65fb589b0d53560f5251f74f9e9b243478dcb6b3ea79b5e36449c8d9",
    },
    "totals": {"words": 28, "distinct": 25, "stop_words": 13, "stop_list": True},
    "top": [{"word": "domain", "count": 2}, {"word": "Example", "count": 1}],
    "rules": "unicode-1/icu-78",
    "error": None,
}
WORDS: dict[str, Any] = {
    "id": _ID,
    "total": 12,
    "offset": 0,
    "words": [{"word": "domain", "count": 2, "share": 0.07142857, "stop_word": False}],
    "next": f"/jobs/{_ID}/words?limit=1&offset=1",
}
CSV = "word,count,share,stop_word\r\ndomain,2,0.07142857,false\r\n"
OF: dict[type, Any] = {
    Job: JOB,
    Jobs: {"jobs": [JOB], "next": None},
    Words: WORDS,
    Health: {"status": "ok", "checks": {"records": "ok", "queue": "ok"}},
}
SUBMISSIONS: dict[str, Any] = {
    "page": {"summary": "A page", "value": {"url": "https://example.com/", "ignore": "nav, footer"}},
    "text": {"summary": "A text", "value": {"text": "To be, or not to be", "language": "en"}},
    "document": {"summary": "A document", "value": {"html": "<main>Hello</main>", "select": "main"}},
}
