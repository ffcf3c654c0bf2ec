"""What the launcher says: another port where the wanted one cannot be had, and its programs' log lines."""

import json
import re
import socket

import pytest

from scripts import run


def suggested(port: int) -> int:
    with pytest.raises(run.CannotStart) as refused:
        run._check_free(port)
    found = re.fullmatch(rf"Port {port} cannot be had \(.+\); another: make run PORT=(\d+)", str(refused.value))
    assert found is not None
    return int(found[1])


def test_a_taken_port_suggests_one_that_can_be_had() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run._check_free(suggested(taken.getsockname()[1]))


def test_a_port_for_the_administrator_alone_suggests_one_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_why_not", lambda port: "Permission denied" if port < 1024 else None)
    assert (suggested(80), suggested(443)) == (8080, 8443)
    monkeypatch.setattr(run, "_why_not", lambda port: "Address already in use" if port > 65_000 else None)
    assert 1024 <= suggested(65_500) < 65_536


REQUEST = {
    "level": "INFO",
    "message": "request",
    "service": "wordcounts",
    "method": "GET",
    "route": "/jobs/{job_id}/words",
}
JOB = {"level": "INFO", "message": "job", "state": "failed", "seconds": {"waited": 9.0, "fetch": 0.02, "store": 0.01}}


@pytest.mark.parametrize(
    ("line", "short"),
    [
        ({**REQUEST, "status": 200, "ms": 12.1, "job_id": "7f", "owner": "ann"}, "GET /jobs/7f/words  200, 12 ms"),
        ({**REQUEST, "route": "/corpora", "status": 404, "ms": 3.0}, "GET /corpora  404, 3 ms"),
        ({**JOB, "job_id": "7f", "kind": "url", "error": "dns-failed"}, "url 7f  failed (dns-failed), 30 ms"),
        ({**JOB, "state": "succeeded", "job_id": "7f", "kind": "text"}, "text 7f  succeeded, 30 ms"),
        ({**JOB, "level": "ERROR", "kind": "url"}, None),  # all that it says
        ({**JOB, "seconds": "none"}, None),
        ({"level": "INFO", "message": "swept", "requeued": 1}, None),
        ({"level": "INFO", "message": ["request"]}, None),
    ],
)  # fmt: skip
def test_a_person_reads_short_lines_and_of_what_is_odd_all(line: dict[str, object], short: str | None) -> None:
    text = json.dumps(line)
    assert run.in_words(text, short=True) == (run.in_words(text) if short is None else short)
    assert len(run.in_words(text) or "") >= len(short or "")


def test_good_health_and_metrics_are_not_shown() -> None:
    for text in (json.dumps({**REQUEST, "route": "/health", "status": 200}), '{"_aws":{}}', ""):
        assert run.in_words(text) is run.in_words(text, short=True) is None
