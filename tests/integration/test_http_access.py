"""Who may call, on the real Lambda runtime client: tokens, the rate of requests, another origin's scripts."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib import jobs
from chalicelib.dispatch import metering
from tests import conftest, lambda_runtime
from tests.integration.http_clients import ChaliceClient, LambdaClient, lambda_client

JSON = {"Content-Type": "application/json"}
Start = Callable[..., LambdaClient]


@pytest.fixture
def start(redis_url: str, dynalite_table: conftest.Table) -> Iterator[Start]:
    """Starts the app with AUTH=token and more settings."""
    with contextlib.ExitStack() as stack:

        def begin(**settings: str) -> LambdaClient:
            names = ("TABLE_NAME", "REDIS_URL", "AWS_ENDPOINT_URL_DYNAMODB", *conftest.LOCAL_AWS)
            env = {name: os.environ[name] for name in names} | {"AUTH": "token", **settings}
            return stack.enter_context(lambda_client(env, token("tester")))

        yield begin


def token(owner: str) -> str:
    """A new token of this owner."""
    made = subprocess.run(
        [sys.executable, "-m", "scripts.tokens", "make", owner], cwd=conftest.ROOT, capture_output=True, check=True
    )
    return made.stdout.decode().strip().splitlines()[-1]


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": value}


def test_a_token_is_needed_and_checked(start: Start) -> None:
    api = start()
    for wrong, challenge in (
        ("", 'Bearer realm="wordcounts"'),
        ("Bearer ", 'Bearer realm="wordcounts", error="invalid_token"'),
        ("Bearer nobody's", 'Bearer realm="wordcounts", error="invalid_token"'),
        ("Basic dGVzdGVy", 'Bearer realm="wordcounts"'),  # RFC 6750, 3.1: no error without a token
    ):
        for method, target in (("GET", "/jobs"), ("POST", "/jobs"), ("GET", f"/jobs/{'0' * 32}")):
            got = api(method, target, JSON | bearer(wrong), b"{}" if method == "POST" else b"")
            assert (got.status, got.problem) == (401, "unauthorized")
            assert got.headers["www-authenticate"] == challenge
    assert api("GET", "/jobs").status == 200
    assert api("GET", "/jobs", bearer(f"bearer {api.token}")).status == 200


def test_the_page_the_document_and_health_are_public(start: Start) -> None:
    api = start()
    for target in ("/health", "/openapi.json", "/"):
        assert api("GET", target, bearer("")).status in (200, 503)  # 503: the page is not built
    assert api("OPTIONS", "/jobs", bearer("")).status == 204
    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    assert api("POST", "/", sent, b"text=a").problem == "forbidden"


def test_a_revoked_token_is_refused_at_once_and_what_is_stored_is_a_hash(start: Start) -> None:
    api = start()
    assert api("GET", "/jobs").status == 200
    listed = _tokens("list")
    assert "tester" in listed
    assert api.token not in listed
    assert api.token not in json.dumps(jobs.table()._call("scan")["Items"])
    _tokens("revoke", api.token)
    assert api("GET", "/jobs").status == 401


def test_a_token_can_be_revoked_by_the_beginning_of_its_hash(start: Start) -> None:
    api = start()
    _tokens("revoke", jobs.token_digest(api.token)[:12])
    assert api("GET", "/jobs").status == 401


def _tokens(*arguments: str) -> str:
    command = [sys.executable, "-m", "scripts.tokens", *arguments]
    return subprocess.run(command, cwd=conftest.ROOT, capture_output=True, check=True).stdout.decode()


def test_another_owners_job_and_key_are_another(start: Start) -> None:
    api = start()
    other = bearer(f"Bearer {token('other')}")
    key = {"Idempotency-Key": "the same"}
    mine = api("POST", "/jobs", JSON | key, b'{"text":"a"}').json()["id"]
    theirs = api("POST", "/jobs", JSON | key | other, b'{"text":"another"}')
    assert theirs.status == 202
    assert theirs.json()["id"] != mine
    for method, rest in (("GET", ""), ("GET", "/words"), ("POST", "/cancel"), ("DELETE", "")):
        assert api(method, f"/jobs/{mine}{rest}", other).problem == "not-found"
    assert [job["id"] for job in api("GET", "/jobs").json()["jobs"]] == [mine]


def test_too_many_requests_a_minute_are_429_with_when_to_come_back(start: Start) -> None:
    api = start(RATE_PER_MINUTE="3")
    got = [api("GET", "/jobs") for _ in range(4)]
    assert [one.status for one in got] == [200, 200, 200, 429]
    assert [one.headers["ratelimit"] for one in got[:3]] == ['"default";r=2', '"default";r=1', '"default";r=0']
    assert {one.headers["ratelimit-policy"] for one in got} == {'"default";q=3;w=60'}
    assert got[3].problem == "rate-limited"
    assert 1 <= int(got[3].headers["retry-after"]) <= 20
    assert got[3].headers["ratelimit"] == f'"default";r=0;t={got[3].headers["retry-after"]}'
    assert api("GET", "/jobs", bearer(f"Bearer {token('other')}")).status == 200
    assert api("GET", "/health", bearer("")).status == 200


def test_an_owner_whose_jobs_used_their_points_waits_and_is_told_so(start: Start) -> None:
    api = start(POINTS_PER_MINUTE="60", QUEUE_NAME="points")
    os.environ["QUEUE_NAME"], os.environ["POINTS_PER_MINUTE"] = "points", "60"
    try:
        metering.charge("tester", 10.5)
        got = api("GET", "/jobs")
        assert got.status == 200
        name, _, left = got.headers["ratelimit"].rpartition("=")
        assert name == '"default";r=599, "points";r'
        assert 49 <= int(left) <= 55, "a point comes back each second"
        assert got.headers["ratelimit-policy"] == '"default";q=600;w=60, "points";q=60;w=60'
        metering.charge("tester", 90)
        got = api("GET", "/jobs")
        assert (got.status, got.problem) == (429, "rate-limited")
        assert 30 <= int(got.headers["retry-after"]) <= 45
        assert api("GET", "/jobs", bearer(f"Bearer {token('other')}")).status == 200
    finally:
        del os.environ["QUEUE_NAME"], os.environ["POINTS_PER_MINUTE"]


def test_tokens_that_are_not_valid_are_counted_by_address_and_others_pass(start: Start) -> None:
    api = start()

    def ask(address: str, sent: str) -> int:
        headers = {"Host": "api.example", "Authorization": sent}
        event = api.gateway._event("GET", "/jobs", "", ("/jobs", {}), headers, b"", address)
        return int(api.gateway.function.invoke(event)["statusCode"])

    answers = [ask("192.0.2.1", f"Bearer guess{n % 7}") for n in range(100)]
    assert set(answers[:60]) == {401}
    assert answers[-30:].count(429) >= 25
    assert ask("192.0.2.1", f"Bearer {api.token}") == 429, "it could be the next guess"
    assert ask("192.0.2.2", f"Bearer {api.token}") == 200
    assert ask("192.0.2.1", f"Bearer {api.token}") == 200, "it was valid, and others share the address"


def test_a_refused_request_counts_and_says_what_is_left(start: Start) -> None:
    api = start(RATE_PER_MINUTE="9")
    got = api("GET", f"/jobs/{'0' * 32}"), api("POST", "/jobs", JSON, b"{}"), api("GET", "/jobs?limit=0")
    assert [one.status for one in got] == [404, 422, 400]
    assert [one.headers["ratelimit"] for one in got] == ['"default";r=8', '"default";r=7', '"default";r=6']
    assert got[0].headers["ratelimit-policy"] == '"default";q=9;w=60'


def test_a_field_that_comes_twice_is_one_list(start: Start) -> None:
    api = start()
    sent = {"Host": "api.example", "Authorization": f"Bearer {api.token}", "Accept": "text/html"}
    event = api.gateway._event("GET", "/jobs", "", ("/jobs", {}), sent, b"", "192.0.2.1")
    assert api.gateway.function.invoke(event)["statusCode"] == 406
    event["multiValueHeaders"]["Accept"] = ["application/json", "text/html"]
    assert api.gateway.function.invoke(event)["statusCode"] == 200


def test_nothing_is_limited_while_redis_is_away(start: Start) -> None:
    api = start(RATE_PER_MINUTE="1", REDIS_URL="redis://127.0.0.1:1/0")
    got = [api("GET", "/jobs") for _ in range(3)]
    assert {one.status for one in got} == {200}
    assert "ratelimit" not in got[0].headers
    assert api("GET", "/health").json() == {"status": "degraded", "checks": {"records": "ok", "queue": "away"}}


def test_a_table_that_is_not_there_is_named_in_the_health_answer_and_once_in_the_log(
    redis_url: str, dynalite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.http import page_routes

    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynalite)
    monkeypatch.setenv("TABLE_NAME", "not-there")
    page_routes._name_fault.cache_clear()
    said: list[str] = []
    monkeypatch.setattr(page_routes.logger, "error", said.append)
    api = ChaliceClient()
    for _ in range(2):
        monkeypatch.setattr(page_routes, "_health", None)
        got = api("GET", "/health")
        assert (got.status, got.json()["checks"]) == (503, {"records": "no-table", "queue": "ok"})
    assert said == ["There is no table not-there: is TABLE_NAME right?"]


def test_dynamodb_away_is_503(start: Start) -> None:
    api = start(AWS_ENDPOINT_URL_DYNAMODB="http://127.0.0.1:1")
    got = api("GET", "/jobs")
    assert (got.status, got.problem, got.headers["retry-after"]) == (503, "unavailable", "2")
    health = api("GET", "/health")
    assert (health.status, health.json()["status"]) == (503, "unavailable")


def test_scripts_of_the_allowed_origin_may_read_what_they_need(start: Start) -> None:
    api = start(ALLOW_ORIGIN="https://app.example")
    origin = {"Origin": "https://app.example"}
    asked = origin | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = api("OPTIONS", "/jobs", asked | bearer(""))
    assert preflight.status == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]
    allowed = preflight.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "idempotency-key", "prefer"} <= set(allowed)
    for got in (api("GET", "/jobs", origin), api("GET", "/jobs", origin | bearer("")), api("PUT", "/jobs", origin)):
        assert got.headers["access-control-allow-origin"] == "https://app.example"
        exposed = got.headers["access-control-expose-headers"].split(", ")
        assert {"Location", "ETag", "Retry-After", "Preference-Applied", "RateLimit"} <= set(exposed)
        assert "origin" in got.headers["vary"].lower()


def test_auth_none_refuses_to_start_on_aws() -> None:
    with pytest.raises(RuntimeError, match="AUTH: expected token"), lambda_runtime.Function("app.app", env={}):
        pass


def test_the_import_loads_nothing_that_a_request_does_not_need() -> None:
    program = "import app, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    env: dict[str, Any] = {**os.environ, "AUTH": "token"}
    made = subprocess.run([sys.executable, "-c", program], cwd=conftest.ROOT, env=env, capture_output=True, check=True)
    heavy = {"boto3", "redis", "rq", "requests", "lxml", "nltk", "bs4", "icu4py", "urllib3", "jsonschema"}
    assert not heavy & set(made.stdout.decode().split())
