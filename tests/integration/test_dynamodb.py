import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import redis
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import MetadataRetrievalError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib import queue, settings
from chalicelib.aws import credentials, dynamodb
from chalicelib.store import records


def said(status: str, body: bytes, header: str = "Content-Length") -> bytes:
    return f"HTTP/1.1 {status}\r\n{header}: {len(body)}\r\n\r\n".encode() + body


WRITTEN = said("200 OK", b"{}")
REFUSED = said("400 Bad Request", b'{"__type":"com.x#ConditionalCheckFailedException"}', "content-length")
THROTTLED = said("400 Bad Request", b'{"__type":"com.x#ThrottlingException"}')


@pytest.mark.parametrize("token", [None, "session-token=="])
def test_a_signature_is_botocores_own(token: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = Credentials("AKID", "secret/+key", token)
    moment = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)
    body = '{"Item":{"pk":{"S":"ä"}}}'.encode()
    keys = dynamodb.Keys("AKID", "secret/+key", token)
    host = "dynamodb.eu-central-1.amazonaws.com"
    ours = dynamodb.signed(host, "eu-central-1", "DynamoDB_20120810.PutItem", body, keys, moment.timestamp())
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment)
    theirs = AWSRequest(
        "POST",
        f"https://{host}/",
        headers={"x-amz-target": ours["x-amz-target"]},
        data=body,
    )
    SigV4Auth(credentials, "dynamodb", "eu-central-1").add_auth(theirs)
    assert ours["authorization"] == theirs.headers["Authorization"]
    assert ours.get("x-amz-security-token") == token


@pytest.mark.parametrize("token", [None, "session/token=="])
def test_the_password_of_elasticache_is_the_url_that_botocore_signs(
    token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)
    keys = dynamodb.Keys("AKID", "secret/+key", token)
    asked = {"Action": "connect", "User": "wordcounts-staging"}
    ours = dynamodb.presigned("the-cache", "eu-central-1", "elasticache", asked, keys, moment.timestamp())
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment)
    theirs = AWSRequest("GET", f"https://the-cache/?{urlencode(asked)}")
    SigV4QueryAuth(Credentials("AKID", "secret/+key", token), "elasticache", "eu-central-1", expires=900).add_auth(
        theirs
    )
    url = urlsplit(theirs.url)
    assert ours.startswith("the-cache/?Action=connect&User=wordcounts-staging&X-Amz-")
    assert sorted(parse_qsl(ours.partition("?")[2])) == sorted(parse_qsl(url.query))


def test_redis_is_away_where_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    class Session:
        region_name = "eu-central-1"

        def get_credentials(self) -> None:
            raise MetadataRetrievalError(error_msg="time-out")

    monkeypatch.setattr(credentials, "session", Session)
    monkeypatch.setattr(settings, "aws", lambda: None)
    with pytest.raises(redis.ConnectionError, match="no credentials for Redis: NoCredentials"):
        queue._Iam("user", "cache").get_credentials()


@contextlib.contextmanager
def server(
    answer: Callable[[int, bytes], bytes], *, keep: bool = True
) -> Iterator[tuple[dynamodb.Client, list[bytes]]]:
    """Something like DynamoDB: ``answer`` gets the request's number and bytes; an empty answer closes."""
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while request := connection.recv(65536):
                seen.append(request)
                whole = answer(len(seen), request)
                if not whole:
                    return
                for at in range(0, len(whole), 7):  # in crumbs, as a network may
                    connection.sendall(whole[at : at + 7])
                if not keep:
                    return

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    client = dynamodb.Client(url, "us-east-1", lambda: dynamodb.Keys("a", "b"))
    yield client, seen
    client.close()
    listener.close()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamodb.time, "sleep", lambda _: None)


# --- one call ---


def test_arguments_and_answers_are_boto3s_bytes_and_all() -> None:
    answer = said("200 OK", b'{"Item":{"data":{"B":"AP8="},"list":{"L":[{"B":"AQ=="},{"S":"B"}]}}}')
    with server(lambda *_: answer) as (client, seen):
        got = client.call("get_item", {"Key": {"pk": {"B": b"\x00\xff"}}})
    assert got == {"Item": {"data": {"B": b"\x00\xff"}, "list": {"L": [{"B": b"\x01"}, {"S": "B"}]}}}
    assert b"x-amz-target: DynamoDB_20120810.GetItem\r\n" in seen[0]
    assert seen[0].endswith(b'{"Key":{"pk":{"B":"AP8="}}}')


def test_a_condition_that_fails_is_said_at_once() -> None:
    with server(lambda *_: REFUSED) as (client, seen), pytest.raises(dynamodb.Failed) as caught:
        client.call("put_item", {})
    assert (caught.value.code, caught.value.transient, len(seen)) == ("ConditionalCheckFailedException", False, 1)


@pytest.mark.parametrize(
    "answer",
    [
        THROTTLED,
        said("500 Oh", b"{}"),
        said("503 Oh", b"<html>"),
        b"HTTP/1.1 500 X\r\n\r\n",
        said("200 OK", b"[1"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_what_may_pass_is_tried_three_times_and_then_said(answer: bytes) -> None:
    with server(lambda *_: answer, keep=False) as (client, seen), pytest.raises(dynamodb.Failed) as caught:
        client.call("put_item", {})
    assert caught.value.transient
    assert len(seen) == dynamodb.TRIES


def test_what_passes_is_an_answer() -> None:
    with server(lambda number, _: THROTTLED if number < 3 else WRITTEN) as (client, seen):
        assert client.call("put_item", {}) == {}
    assert len(seen) == 3


def test_nobody_there_is_a_failure_that_may_pass() -> None:
    client = dynamodb.Client("http://127.0.0.1:9", "us-east-1", lambda: dynamodb.Keys("a", "b"))
    with pytest.raises(dynamodb.Failed, match="NoAnswer: ConnectionRefusedError") as caught:
        client.call("put_item", {})
    assert caught.value.transient


def test_a_server_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamodb, "READ_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = dynamodb.Client(url, "us-east-1", lambda: dynamodb.Keys("a", "b"))
        with pytest.raises(dynamodb.Failed, match="NoAnswer: TimeoutError"):
            client.call("put_item", {})


def test_chunks_are_an_answer_too() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    with server(lambda *_: answer) as (client, _):
        assert client.call("put_item", {}) == {}


def test_the_date_of_each_answer_is_told() -> None:
    told: list[str | None] = []
    with server(lambda *_: WRITTEN.replace(b"\r\n", b"\r\nDate: then\r\n", 1)) as (client, _):
        client.on_date = told.append
        client.call("put_item", {})
    assert told == ["then"]


def test_connections_are_kept_and_what_was_closed_meanwhile_costs_no_try() -> None:
    with server(lambda number, _: b"" if number == 3 else WRITTEN) as (client, seen):
        for _ in range(4):
            assert client.call("put_item", {}) == {}
        assert len(client._idle) == 1
    assert len(seen) == 5


# --- TLS ---


def certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-in")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return folder / "both.pem"


def test_tls_is_spoken_to_whom_the_bundle_names_and_to_nobody_else(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as line:
                    while line.recv(65536):
                        line.sendall(WRITTEN)

        threading.Thread(target=serve, daemon=True).start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        keys = dynamodb.Keys("a", "b")
        known = dynamodb.Client(url, "us-east-1", lambda: keys, str(pem))
        assert [known.call("put_item", {}) for _ in range(3)] == [{}] * 3
        known.close()
        stranger = dynamodb.Client(url, "us-east-1", lambda: keys)
        with pytest.raises(dynamodb.Failed, match="NoAnswer: SSLCertVerificationError"):
            stranger.call("put_item", {})


# --- many puts ---


def test_each_put_has_its_own_answer_in_order() -> None:
    def answer(_: int, request: bytes) -> bytes:
        return WRITTEN if b'"new"' in request else REFUSED if b'"old"' in request else THROTTLED

    puts = [{"Item": {"pk": {"S": name}}} for name in ["new", "old", "slow", "new"] * 5]
    with server(answer) as (client, seen):
        assert client.put_many(puts) == [True, False, None, True] * 5
    assert len(seen) == 20


def test_a_server_that_closes_after_each_answer_is_served_too() -> None:
    closing = WRITTEN.replace(b"Content-Length", b"Connection: close\r\nContent-Length")
    with server(lambda *_: closing, keep=False) as (client, _):
        assert client.put_many([{}] * 50) == [True] * 50


def test_a_connection_that_was_idle_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamodb, "IDLE_SECONDS", 0.0)
    with server(lambda *_: WRITTEN, keep=False) as (client, _):
        assert client.put_many([{}]) == [True]
        assert client.put_many([{}]) == [True]


def test_when_nothing_goes_the_rest_is_not_tried() -> None:
    with server(lambda *_: b"") as (client, seen):
        assert client.put_many([{}] * 100) == [None] * 100
    assert len(seen) <= dynamodb.MAX_IN_FLIGHT


@pytest.mark.slow
def test_a_server_that_hangs_costs_one_wait_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamodb, "READ_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = dynamodb.Client(url, "us-east-1", lambda: dynamodb.Keys("a", "b"))
        began = time.monotonic()
        assert client.put_many([{}] * 100) == [None] * 100
    assert time.monotonic() - began < 0.5 * dynamodb.MAX_IN_FLIGHT / 2


def test_who_takes_no_connection_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def create_connection(*_: object, **__: object) -> socket.socket:
        asked.append(1)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", create_connection)
    client = dynamodb.Client("http://127.0.0.1:9", "us-east-1", lambda: dynamodb.Keys("a", "b"))
    assert client.put_many([{}] * 100) == [None] * 100
    assert len(asked) == 1


def test_a_line_that_answered_late_has_its_whole_time_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(lambda *_: WRITTEN) as (client, _):
        client.put_many([{}] * 3)
        monkeypatch.setattr(dynamodb, "READ_SECONDS", 7.0)
        client.call("put_item", {})
        assert 6.0 < (client._idle[-1][1].gettimeout() or 0) <= 7.0


# --- where it is used ---

LAMBDA = {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.13", "AWS_REGION": "eu-west-1"}
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (LAMBDA, settings.AWS("https://dynamodb.eu-west-1.amazonaws.com", "eu-west-1", None)),
        (
            LAMBDA | {"AWS_EXECUTION_ENV": "AWS_ECS_FARGATE"},
            settings.AWS("https://dynamodb.eu-west-1.amazonaws.com", "eu-west-1", None),
        ),
        (LAMBDA | KEYS, settings.AWS("https://dynamodb.eu-west-1.amazonaws.com", "eu-west-1", ("a", "b", None))),
        (
            LAMBDA | {"AWS_REGION": "cn-north-1"},
            settings.AWS("https://dynamodb.cn-north-1.amazonaws.com.cn", "cn-north-1", None),
        ),
        (
            {
                "AWS_DEFAULT_REGION": "us-gov-west-1",
                "AWS_ENDPOINT_URL": "http://[::1]:8/",
                **KEYS,
                "AWS_SESSION_TOKEN": "t",
            },
            settings.AWS("http://[::1]:8", "us-gov-west-1", ("a", "b", "t")),
        ),
        (LAMBDA | {"AWS_REGION": "us-iso-east-1"}, None),
        (LAMBDA | {"AWS_PROFILE": "mine"}, None),
        (LAMBDA | {"HTTPS_PROXY": "http://proxy"}, None),
        (LAMBDA | {"AWS_USE_FIPS_ENDPOINT": "true"}, None),
        ({"AWS_REGION": "eu-west-1", **KEYS}, None),
        ({"AWS_REGION": "eu-west-1", **KEYS, "AWS_EXECUTION_ENV": "AWS_Lambda aws-chalice/1.34.0"}, None),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "http://x", **KEYS}, None),
        ({}, None),
    ],
)
def test_it_is_used_where_the_environment_says_everything(
    environ: dict[str, str], expected: settings.AWS | None
) -> None:
    assert settings.aws(environ) == expected


def test_a_wrong_clock_costs_a_try_and_no_more() -> None:
    wrong_time = said("400 Bad Request", b'{"__type":"com.x#InvalidSignatureException"}')
    dated = wrong_time.replace(b"\r\n", b"\r\nDate: Mon, 23 Nov 2026 23:00:00 GMT\r\n", 1)

    def answer(_: int, request: bytes) -> bytes:
        return WRITTEN if b"x-amz-date: 20261123T2300" in request else dated

    with server(answer) as (client, seen):
        store = records.records_of(client, "table")
        store.ping()
    assert len(seen) == 2


def test_keys_that_cannot_be_had_now_are_a_failure_that_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    class Session:
        def get_credentials(self) -> None:
            raise MetadataRetrievalError(error_msg="time-out")

    monkeypatch.setattr(credentials, "session", Session)
    with server(lambda *_: WRITTEN) as (client, seen):
        client._keys = credentials.by_boto3
        with pytest.raises(dynamodb.Failed, match="NoCredentials: MetadataRetrievalError") as caught:
            client.call("put_item", {})
        assert client.put_many([{}] * 100) == [None] * 100
    assert caught.value.transient
    assert seen == []


def test_an_answer_that_trickles_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamodb, "READ_SECONDS", 0.1)
    pause = threading.Event()

    def trickle(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            for byte in WRITTEN:
                connection.sendall(bytes([byte]))
                pause.wait(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = dynamodb.Client(
            f"http://127.0.0.1:{listener.getsockname()[1]}", "us-east-1", lambda: dynamodb.Keys("a", "b")
        )
        threads = [threading.Thread(target=lambda: trickle(listener.accept()[0])) for _ in range(dynamodb.TRIES)]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        with pytest.raises(dynamodb.Failed, match="NoAnswer: TimeoutError"):
            client.call("put_item", {})
        assert time.monotonic() - began < 1
        for thread in threads:
            thread.join()
