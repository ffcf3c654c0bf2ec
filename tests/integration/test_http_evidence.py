"""A job's text, contexts, phrases and keywords through every entry point."""

import csv
import io
import json
import re
from typing import Any

import pytest

from chalicelib import jobs, pipeline
from chalicelib.store.records import Job
from tests.integration.http_clients import Got, HttpClient
from tests.integration.test_http import JSON, ended, replace_words, soon, submit
from tests.integration.test_http import api as api
from tests.integration.test_http import stack as stack

TEXT = "The cat saw the dog. New York, new York! Don't stop.\n\nThe dog saw New York; =cmd saw nothing."
CSV = {"Accept": "text/csv"}
KINDS = ("text", "contexts?word=dog", "phrases", "keywords?against={other}")


def rows(got: Got) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(got.body.decode(), newline="")))


def read(api: HttpClient, job_id: str, target: str, headers: dict[str, str] | None = None, **more: str) -> Got:
    return api("GET", f"/jobs/{job_id}/{target.format(**more)}", headers or {})


def pages(api: HttpClient, first: Got, name: str) -> list[Any]:
    """Every row from the first page on, by ``next`` and by ``Link``, which agree."""
    found, got = [], first
    while True:
        answer = got.json()
        found += answer[name]
        link = got.headers.get("link")
        assert answer["next"] == (link and link.partition(">")[0][1:])
        if answer["next"] is None:
            return found
        got = api("GET", answer["next"].removeprefix(api.prefix))


def test_the_text_is_what_the_offsets_mean(api: HttpClient) -> None:
    job_id = ended(api, text=TEXT)
    got = read(api, job_id, "text")
    assert (got.status, got.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    text = got.body.decode()
    for context in read(api, job_id, "contexts?word=york").json()["contexts"]:
        assert text[context["start"] : context["end"]] == context["match"]
        around = text[context["start"] - len(context["before"]) : context["end"] + len(context["after"])]
        assert context["before"] + context["match"] + context["after"] == around
    part = read(api, job_id, "text?offset=4&limit=3")
    assert part.body == b"cat"
    rest = api("GET", part.headers["link"].partition(">")[0][1:].removeprefix(api.prefix))
    assert rest.body == text[7:10].encode()


def test_contexts_are_as_many_as_the_count_and_come_in_pages(api: HttpClient) -> None:
    job_id = ended(api, text=TEXT)
    first = read(api, job_id, "contexts?word=SAW&limit=1&sort=right")
    assert (first.status, first.json()["total"]) == (200, 3)
    found = pages(api, first, "contexts")
    assert [context["after"].split()[0] for context in found] == ["New", "nothing.", "the"]
    exported = rows(read(api, job_id, "contexts?word=SAW&sort=right", CSV))
    assert exported == [{name: str(value) for name, value in context.items()} for context in found]
    assert read(api, job_id, "contexts?phrase=new%20york").json()["total"] == 3
    assert read(api, job_id, "contexts?word=The&case=keep").json()["total"] == 2
    assert read(api, job_id, "contexts?word=don%E2%80%99t").json()["total"] == 1


def test_an_unknown_word_is_no_error(api: HttpClient) -> None:
    got = read(api, ended(api, text=TEXT), "contexts?word=absent")
    assert (got.status, got.json()["total"], got.json()["contexts"], got.json()["next"]) == (200, 0, [], None)


def test_phrases_are_counted_and_measured(api: HttpClient) -> None:
    job_id = ended(api, text=TEXT)
    answer = read(api, job_id, "phrases?stop_words=include").json()
    counted = {tuple(row["phrase"]): row["count"] for row in answer["phrases"]}
    assert counted[("New", "York")] == 3
    assert answer["total"] == len(counted)
    assert pages(api, read(api, job_id, "phrases?stop_words=include&limit=1"), "phrases") == answer["phrases"]
    exported = rows(read(api, job_id, "phrases?stop_words=include", CSV))
    assert [(tuple(row["phrase"].split()), int(row["count"])) for row in exported] == list(counted.items())
    assert all(row["g2"] is None for row in read(api, job_id, "phrases?n=3").json()["phrases"])


def test_keywords_compare_two_jobs_and_paging_changes_no_score(api: HttpClient) -> None:
    one, other = ended(api, text="apple " * 50 + "pear " * 10 + TEXT), ended(api, text="pear " * 60 + TEXT)
    answer = read(api, one, f"keywords?against={other}").json()
    scores = {row["word"]: row for row in answer["keywords"]}
    assert (answer["tests"], answer["against"], answer["total"]) == (len(scores), other, len(scores))
    assert scores["apple"]["lrc"] > 0 > scores["pear"]["lrc"]
    assert scores["cat"]["lrc"] == 0
    assert pages(api, read(api, one, f"keywords?against={other}&limit=2"), "keywords") == answer["keywords"]
    for how in ("prefix=AP", "sign=negative", "stop_words=exclude", "offset=3"):
        found = read(api, one, f"keywords?against={other}&{how}").json()["keywords"]
        assert found
        assert all(row == scores[row["word"]] for row in found)
    exported = rows(read(api, one, f"keywords?against={other}", CSV))
    assert [row["word"] for row in exported] == list(scores)
    assert read(api, other, f"keywords?against={one}").json()["keywords"][0]["lrc"] == -answer["keywords"][0]["lrc"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_client_has_is_304_and_head_has_no_body(api: HttpClient, kind: str) -> None:
    job_id = ended(api, text=TEXT)
    got = read(api, job_id, kind, other=job_id)
    again = read(api, job_id, kind, {"If-None-Match": got.headers["etag"]}, other=job_id)
    assert (got.status, again.status, again.body) == (200, 304, b"")
    assert again.headers["cache-control"] == "private, no-cache"
    head = api("HEAD", f"/jobs/{job_id}/{kind.format(other=job_id)}")
    assert (head.status, head.body, head.headers["etag"]) == (200, b"", got.headers["etag"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_that_has_not_ended_is_202_a_failed_one_409_and_an_unknown_one_404(api: HttpClient, kind: str) -> None:
    waiting = str(submit(api, text=TEXT).json()["id"])
    got = read(api, waiting, kind, other=waiting)
    assert (got.status, got.json()["state"]) == (202, "queued")
    assert got.headers["location"].endswith(waiting)
    failed = ended(api, html="<p>a</p>", select="[")
    got = read(api, failed, kind, other=failed)
    assert (got.status, got.problem, got.json()["error"]["type"]) == (409, "bad-selector", "bad-selector")
    assert read(api, "0" * 32, kind, other=failed).status == 404
    api("DELETE", f"/jobs/{failed}")
    assert read(api, failed, kind, other=failed).status == 410


def test_a_job_without_its_text_has_words_and_keywords_alone(api: HttpClient) -> None:
    job_id = ended(api, text=TEXT, keep_text=False)
    for kind in KINDS[:3]:
        got = read(api, job_id, kind)
        assert (got.status, got.problem) == (409, "text-not-kept")
    assert read(api, job_id, "words").status == 200
    assert read(api, job_id, f"keywords?against={ended(api, text=TEXT)}").status == 200
    record = jobs.table().get(job_id)
    assert isinstance(record, Job)
    assert list(record.artifacts) == ["words"]


def test_keywords_need_another_job_that_has_ended_by_the_same_rules(api: HttpClient) -> None:
    job_id = ended(api, text=TEXT)
    waiting = str(submit(api, text=TEXT).json()["id"])
    assert read(api, job_id, f"keywords?against={waiting}").problem == "job-running"
    assert read(api, job_id, f"keywords?against={'0' * 32}").status == 404
    assert read(api, job_id, f"keywords?against={ended(api, html='x', select='[')}").problem == "bad-selector"
    by_nltk = ended(api, text="two words", words="nltk")
    assert read(api, job_id, f"keywords?against={by_nltk}").problem == "rules-differ"


@pytest.mark.parametrize(
    ("target", "parameter"),
    [
        ("contexts", "word"),
        ("contexts?word=a&phrase=b", "word"),
        ("contexts?word=", "word"),
        ("contexts?word=a&window=0", "window"),
        ("contexts?word=a&unit=lines", "unit"),
        ("contexts?word=a&limit=0", "limit"),
        ("contexts?word=a&word=b", "word"),
        ("phrases?n=6", "n"),
        ("phrases?n=3&measure=g2", "measure"),
        ("phrases?min_count=1", "min_count"),
        ("keywords", "against"),
        ("keywords?against=x", "against"),
        ("keywords?against={id}&alpha=1", "alpha"),
        ("keywords?against={id}&alpha=nan", "alpha"),
        ("text?limit=x", "limit"),
        ("text?page=1", "page"),
    ],
)
def test_a_parameter_that_is_not_valid_is_named(api: HttpClient, target: str, parameter: str) -> None:
    job_id = "0" * 32
    got = read(api, job_id, target, id=job_id)
    assert (got.status, got.problem) == (400, "invalid-parameter")
    assert [error["parameter"] for error in got.json()["errors"]] == [parameter]


def test_a_spreadsheet_runs_no_text_of_a_page(api: HttpClient) -> None:
    job_id = ended(api, text="x\n=1+1 word")
    [row] = rows(read(api, job_id, "contexts?word=word&unit=characters&window=5", CSV))
    assert row["before"] == "'=1+1 "[: len(row["before"])]
    assert row["before"].startswith("'=")


def test_events_and_the_job_itself_carry_no_text(api: HttpClient) -> None:
    job_id = ended(api, text="unmistakable sentence about nothing")
    shown = api("GET", f"/jobs/{job_id}").body
    assert b"sentence about" not in shown
    assert b"artifacts" not in shown


def test_a_large_text_comes_in_parts_that_fit_an_answer(api: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = ended(api, text="né " * 250_000)
    got = read(api, job_id, "text?limit=1000001")
    assert got.body.decode() == "né " * 250_000
    counted = json.loads(read(api, job_id, "contexts?word=n%C3%A9&limit=10000&window=1000").body)
    assert (counted["total"], len(counted["contexts"]) < 10_000) == (250_000, True)
    assert counted["next"].endswith(f"offset={len(counted['contexts'])}")


def test_what_was_counted_by_an_older_release_says_that_it_has_no_text(api: HttpClient) -> None:
    job_id = str(submit(api, {**JSON}, text=TEXT).json()["id"])
    pipeline.count_page(job_id)
    store = jobs.table()
    record = store.get(job_id)
    assert record is not None
    words = record.artifacts["words"]
    store._call(
        "update_item",
        Key={"pk": {"S": f"job#{job_id}"}, "sk": {"S": "job"}},
        UpdateExpression="SET words_claim = :claim, words_pieces = :pieces REMOVE artifacts",
        ExpressionAttributeValues={":claim": {"S": words["claim"]}, ":pieces": {"N": str(words["pieces"])}},
    )
    assert read(api, job_id, "words").status == 200
    assert read(api, job_id, "text").problem == "text-not-kept"


# --- files ---


@pytest.mark.parametrize("kind", ["words", "contexts?word=dog", "phrases", "keywords?against={other}"])
def test_a_file_is_the_whole_table_with_a_name_and_a_mark(api: HttpClient, kind: str) -> None:
    job_id, other = ended(api, url="http://127.0.0.1:1/"), ended(api, text=TEXT)
    table, _, query = kind.partition("?")
    target = f"{table}.csv?{query}".format(other=other)
    got = read(api, other, target, {"Accept": "application/json"})  # whatever a program sends of itself
    assert (got.status, got.headers["content-type"]) == (200, "text/csv; charset=utf-8; header=present")
    assert got.headers["content-disposition"] == f'attachment; filename="{table}-{other[:8]}.csv"'
    assert got.body == b"\xef\xbb\xbf" + read(api, other, kind, CSV, other=other).body
    part = read(api, other, f"{target}&limit=1&offset=1")
    assert part.body.count(b"\r\n") <= 2  # the header and the row that was asked for
    assert read(api, other, target, {"If-None-Match": got.headers["etag"]}).status == 304
    head = api("HEAD", f"/jobs/{other}/{target}")
    assert (head.status, head.body, head.headers["etag"]) == (200, b"", got.headers["etag"])
    failed = read(api, job_id, target)
    assert (failed.status, failed.headers["content-type"]) == (409, "application/problem+json")


def test_a_file_waits_for_its_job(api: HttpClient) -> None:
    job_id = str(submit(api, text=TEXT).json()["id"])
    early = read(api, job_id, "words.csv", {"Prefer": "wait=0"})
    assert (early.status, early.problem, early.headers["retry-after"]) == (409, "job-running", "1")
    with soon(job_id):
        assert read(api, job_id, "words.csv").body.startswith(b"\xef\xbb\xbfword,count,share,stop_word\r\n")


def test_a_file_is_never_cut_without_being_asked(api: HttpClient) -> None:
    words = [f"{n:04}" + "w" * 9_000 for n in range(600)]
    job_id = ended(api, text="a")
    replace_words(job_id, words)
    refused = read(api, job_id, "words.csv")
    assert (refused.status, refused.problem) == (413, "answer-too-large")
    limit = re.search(r"limit=(\d+)", refused.json()["detail"])
    assert limit is not None
    first = read(api, job_id, f"words.csv?limit={limit[1]}")
    rest = read(api, job_id, f"words.csv?offset={limit[1]}")
    assert (first.status, rest.status) == (200, 200)
    assert first.body.count(b"\r\n") - 1 == int(limit[1])
    assert first.body.count(b"\r\n") + rest.body.count(b"\r\n") == len(words) + 2
    assert max(len(first.body), len(rest.body)) < 4_000_100
