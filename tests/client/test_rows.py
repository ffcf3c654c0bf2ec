"""Lazy rows, models and many texts' tables, with answers that are given."""

import csv
import io
from collections.abc import Mapping
from typing import Any

import pytest

import wordcounts
from wordcounts import errors, many, models, sources
from wordcounts.rows import Rows, csv_lines, flat

WORDS = [{"word": f"w{at}", "count": 9 - at, "share": 0.1, "stop_word": False, "new": 1} for at in range(7)]


class Answers:
    """A service with seven words."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def __call__(self, target: str, query: Mapping[str, Any] | None) -> dict[str, Any]:
        start, size = (0, query["limit"]) if query is not None else map(int, target.rpartition("?")[2].split("+"))
        self.asked.append((start, size))
        following = f"jobs/x/words?{start + size}+{size}" if start + size < len(WORDS) else None
        return {"id": "x", "total": len(WORDS), "words": WORDS[start : start + size], "next": following}


def rows(answers: Answers, **given: Any) -> Rows[models.Word]:
    return Rows(answers, "jobs/x/words", models.Word, {}, **given)


def test_rows_are_fetched_as_they_are_looked_at() -> None:
    answers = Answers()
    found = rows(answers, page=3)
    assert answers.asked == []
    assert (found[0].word, len(found), found.total) == ("w0", 7, 7)
    assert answers.asked == [(0, 3)]
    assert [row.word for row in found[2:4]] == ["w2", "w3"]
    assert len(answers.asked) == 2
    assert [found[-1].word, len(list(found)), found.head["id"]] == ["w6", 7, "x"]
    assert len(answers.asked) == 3
    with pytest.raises(IndexError):
        found[7]


def test_a_limit_fetches_no_more() -> None:
    for limit, asked in ((2, [(0, 2)]), (4, [(0, 3), (3, 3)]), (0, [])):
        answers = Answers()
        assert len(list(rows(answers, page=3, limit=limit))) == limit
        assert answers.asked == asked
    assert [len(rows(Answers(), limit=20)), rows(Answers(), limit=2).total] == [7, 7]
    with pytest.raises(ValueError, match="0 or more"):
        rows(Answers(), limit=-1)


def test_rows_become_tables() -> None:
    found = rows(Answers())
    assert found.to_dicts()[0] == {"word": "w0", "count": 9, "share": 0.1, "stop_word": False}
    assert found.to_arrow().column_names == ["word", "count", "share", "stop_word"]
    html = rows(Answers(), limit=1)._repr_html_()
    assert "<td>w0</td>" in html
    values = flat(models.Word("=1", 1, 0.1 + 0.2, True)).values()
    assert list(csv_lines(models.columns(models.Word), [values])) == [
        "word,count,share,stop_word\r\n",
        "'=1,1,0.3,true\r\n",
    ]
    written = io.StringIO()
    rows(Answers(), limit=1).to_csv(written)
    assert written.getvalue() == "word,count,share,stop_word\r\nw0,9,0.1,false\r\n"
    with pytest.raises(TypeError, match="limit"):
        found.to_csv(written, limit=1)


def test_what_a_row_has_inside_has_columns_of_its_own() -> None:
    given = {
        "before": "a",
        "match": "b",
        "after": "c",
        "start": 1,
        "end": 2,
        "place": 0.5,
        "document": {"id": "1", "key": "k"},
    }
    found = models.CorpusContext.from_dict({**given, "newer": 1})
    assert list(flat(found).items())[-4:] == [
        ("document_id", "1"), ("document_key", "k"), ("document_url", None), ("document_title", None)
    ]  # fmt: skip


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(wordcounts.WordcountsError, match=r"pandas is not installed\. pip install pandas"):
        rows(Answers()).to_pandas()


# --- many texts as one ---


def job(at: int, language: str, words: int) -> models.Job:
    given = {"id": f"{at:032x}", "state": "succeeded", "version": 1, "attempt": 1, "kind": "text", "url": None}
    totals = {"words": words, "distinct": 1, "stop_words": 0, "stop_list": True}
    times = {"submitted_at": "", "expires_at": "", "rules": "unicode-1"}
    read = {**given, **times, "totals": totals, "page": {"language": language}, "options": None}
    return models.Job.from_dict(read, _client=wordcounts.Client("http://127.0.0.1:1"))


def test_tables_are_added_and_spelled_as_most_texts_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {
        f"{0:032x}": [("Die", 3, True), ("die", 5, True), ("Haus", 1, False)],
        f"{1:032x}": [("die", 2, False), ("DIE", 1, False), ("I", 4, False)],
        f"{2:032x}": [("I", 1, False), ("ı", 1, False)],
    }
    client = wordcounts.Client("http://127.0.0.1:1")

    def words(one: models.Job, **_: Any) -> list[models.Word]:
        return [models.Word(word, count, 0.0, stop) for word, count, stop in tables[one.id]]

    monkeypatch.setattr(client, "words", words)
    jobs = [job(0, "de", 9), job(1, "en", 7), job(2, "tr", 2)]
    counts = many.Counts(client, [many.Counted(str(at), (one,)) for at, one in enumerate(jobs)])
    assert [(row.word, row.count, row.documents) for row in counts.words()] == [
        ("I", 4, 1),
        ("I", 2, 1),
        ("Haus", 1, 1),
    ]
    assert [(row.word, row.count, row.documents) for row in counts.words(stop_words="include", limit=1)] == [
        ("die", 11, 2)
    ]
    kept = {row.word: row.count for row in counts.words(case="keep", stop_words="include")}
    assert kept == {"die": 7, "I": 5, "Die": 3, "DIE": 1, "Haus": 1, "ı": 1}
    target = io.StringIO()
    counts.to_csv(target, limit=1)
    assert list(csv.reader(io.StringIO(target.getvalue())))[1] == ["I", "4", "0.22222222", "1", "false"]


@pytest.mark.parametrize("text", ["a b\n" * 50, "x" * 99, "", "ä" * 40 + " " + "日本" * 40, "\n" * 30])
def test_pieces_are_the_text_and_small(text: str) -> None:
    found = list(many.pieces(text, 20))
    assert "".join(found) == text
    assert all(0 < len(piece.encode()) <= 20 for piece in found)


def test_errors_say_what_to_do() -> None:
    refused = wordcounts.Refused(401, {"type": "urn:wordcounts:problem:unauthorized", "detail": "No token"})
    assert str(refused) == f"No token. {errors.ADVICE['unauthorized']}"
    assert refused.to_dict()["type"] == "unauthorized"


def test_every_kind_of_error_has_advice() -> None:
    from chalicelib.errors import PROBLEMS, ErrorKind

    clients_own = {
        "invalid-request", "invalid-json", "invalid-parameter", "invalid-header", "method-not-allowed", "forbidden",
        "not-acceptable", "request-timeout", "job-canceled", "job-failed", "answer-too-large", "misdirected",
        "unsupported-media-type", "invalid-submission", "headers-too-large", "worker-lost", "corpus-gone",
    }  # fmt: skip
    assert {*PROBLEMS, *(kind.value for kind in ErrorKind)} - errors.ADVICE.keys() - clients_own == set()


def test_documents_are_sent_together_as_far_as_a_request_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [(str(at), {"text": "x" * 100}) for at in range(7)]
    for most, size, wanted in ((3, 10_000, [3, 3, 1]), (1000, 260, [2, 2, 2, 1]), (1000, 50, [1] * 7)):
        monkeypatch.setattr(sources, "DOCUMENTS", most)
        monkeypatch.setattr(sources, "BYTES", size)
        assert [len(batch) for batch in sources.batches(iter(given))] == wanted
