"""Examples for the OpenAPI document, in the form that the API gives; a test keeps them valid. Pure."""

from typing import Any

from chalicelib.http.evidence import Contexts, Keywords, Phrases, Places
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
    "top": [{"word": "domain", "count": 2}, {"word": "documentation", "count": 1}],
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
TEXT = "This domain is for use in illustrative examples in documents. You may use this domain in literature."
CONTEXTS: dict[str, Any] = {
    "id": _ID,
    "total": 2,
    "offset": 0,
    "contexts": [
        {
            "start": 5,
            "end": 11,
            "place": 0.05,
            "before": "This ",
            "match": "domain",
            "after": " is for use in illustrative examples in documents",
        }
    ],
    "next": f"/jobs/{_ID}/contexts?word=domain&window=8&unit=words&sort=place&case=fold&limit=1&offset=1",
}
PLACES: dict[str, Any] = {
    "id": _ID,
    "places": [{"word": "domain", "total": 2, "parts": [1, 0, 1, 0], "forms": [{"word": "domain", "count": 2}]}],
}
PHRASES: dict[str, Any] = {
    "id": _ID,
    "windows": 15,
    "total": 1,
    "offset": 0,
    "phrases": [{"phrase": ["this", "domain"], "count": 2, "logdice": 14.0, "g2": 11.780116, "npmi": 1.0}],
    "next": None,
}
KEYWORDS: dict[str, Any] = {
    "id": _ID,
    "against": "0" * 32,
    "tests": 1204,
    "alpha": 0.05,
    "sizes": [1000, 2000],
    "total": 1204,
    "offset": 0,
    "keywords": [
        {
            "word": "domain",
            "count": 20,
            "count_other": 5,
            "per_million": 20000.0,
            "per_million_other": 2500.0,
            "log_ratio": 2.897759938,
            "lrc": 0.26494236,
            "g2": 23.185310836,
            "p": 1.4711677864981e-6,
            "stop_word": False,
        }
    ],
    "next": f"/jobs/{_ID}/keywords?against={'0' * 32}&alpha=0.05&sort=lrc&limit=1&offset=1",
}
# Of each table, as CSV.
CONTEXTS_CSV = "start,end,place,before,match,after\r\n5,11,0.05,This ,domain, is for use in illustrative examples\r\n"
PHRASES_CSV = "phrase,count,logdice,g2,npmi\r\nthis domain,2,14.0,11.780116,1.0\r\n"
KEYWORDS_CSV = (
    "word,count,count_other,per_million,per_million_other,log_ratio,lrc,g2,p,stop_word\r\n"
    "domain,20,5,20000.0,2500.0,2.897759938,0.26494236,23.185310836,1.4711677864981e-06,false\r\n"
)
OF: dict[type, Any] = {
    Contexts: CONTEXTS,
    Places: PLACES,
    Phrases: PHRASES,
    Keywords: KEYWORDS,
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
