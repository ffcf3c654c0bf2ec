"""A fetch from a server that means harm: each answer ends in a named error in time, and the next good page is read."""

import contextlib
import datetime
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chalicelib import jobs, pipeline, queue, submissions
from chalicelib.fetch import gate
from chalicelib.fetching import FetchError, fetch
from tests.hostile import (
    BOMBS,
    PAGE,
    Hostile,
    Scenario,
    chunked,
    forever,
    head,
    say,
    silent,
    slowly,
    then_reset,
    whole,
)

DEADLINE = 0.5
MOST = 200_000
CHUNKED = head(Transfer_Encoding="chunked")


def redirect(location: str, status: str = "302 Found", **headers: str) -> Scenario:
    return say(whole(b"", status, Location=location, **headers))


# How each answer ends. What floods with little bytes ends by its amount or by the deadline, as the machine is fast.
ANSWERS: dict[str, tuple[str, Scenario]] = {
    "nothing at all": ("timeout", silent()),
    "half a status line": ("timeout", silent(b"HTTP/1.1 20")),
    "a head that drips": ("timeout", slowly(b"", head() + PAGE)),
    "headers that drip": ("timeout", slowly(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 90)),
    "interim answers that drip": ("timeout", slowly(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 9)),
    "a body that drips": ("timeout", slowly(head(Content_Length="1000"), b"x" * 1000)),
    "a body that drips to the end": ("timeout", slowly(head(), b"x" * 1000)),
    "chunks that drip": ("timeout", slowly(CHUNKED, chunked(b"x") * 1000)),
    "a chunk size that drips": ("timeout", slowly(CHUNKED, b"0" * 1000)),
    "a gzip body that drips": ("timeout", slowly(head(Content_Encoding="gzip"), BOMBS["gzip"][1](1))),
    "a body that stops": ("timeout", silent(head(Content_Length="1000") + b"x")),
    "a chunk that stops": ("timeout", silent(CHUNKED + b"5\r\nab")),
    "a body without end": ("too-large", forever(head(), b"x" * 65536)),
    "a length without end": ("too-large", forever(head(Content_Length="9" * 12), b"x" * 65536)),
    "chunks without end": ("too-large", forever(CHUNKED, chunked(b"x" * 65536))),
    "small chunks without end": ("too-large or timeout", forever(CHUNKED, chunked(b"x") * 5000)),
    "extensions without end": ("too-large", forever(CHUNKED, b"1;" + b"x" * 4000 + b"\r\nx\r\n")),
    "a chunk size without end": ("connection-failed", forever(CHUNKED, b"0" * 65536)),
    "a status line without end": ("too-large", forever(b"HTTP/1.1 200 ", b"x" * 65536)),
    "a header without end": ("too-large", forever(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536)),
    "headers without end": ("too-large", forever(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 5000)),
    "interim answers without end": ("too-large", forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)),
    "empty gzip members without end": (
        "too-large or timeout",
        forever(head(Content_Encoding="gzip"), bytes.fromhex("1f8b08000000000000ff03000000000000000000") * 3000),
    ),
    "zstd frames to be skipped without end": (
        "too-large or timeout",
        forever(head(Content_Encoding="zstd"), bytes.fromhex("502a4d1800000000") * 8000),
    ),
    "a close without a word": ("connection-failed", say()),
    "a reset without a word": ("connection-failed", then_reset(b"")),
    "a reset in the head": ("connection-failed", then_reset(b"HTTP/1.1 200 OK\r\n")),
    "a reset in the body": ("connection-failed", then_reset(head(Content_Length="1000") + b"x")),
    "a short body": ("connection-failed", say(head(Content_Length="1000"), b"x")),
    "a long body": ("connection-failed", say(head(Content_Length="5"), PAGE)),
    "a negative length": ("connection-failed", say(head(Content_Length="-1"), PAGE)),
    "no HTTP": ("connection-failed", say(b"220 mail.example ESMTP\r\n")),
    "a status that is no page": ("http-status", say(whole(status="404 Not Found"))),
    "a status of nobody's": ("http-status", say(whole(status="999 Request denied"))),
    "a server's error": ("http-status", forever(head("500 Oops"), b"x" * 65536)),
    "a redirect without a place": ("http-status", say(whole(status="302 Found"))),
    "choices": ("http-status", say(whole(status="300 Multiple Choices", Location="/good"))),
    "a part of a page": ("http-status", say(whole(status="206 Partial Content", Content_Range="bytes 0-55/1000"))),
    "not modified": ("http-status", say(whole(status="304 Not Modified", Location="/good"))),
    "a picture": ("not-text", forever(head(Content_Type="image/png"), b"x" * 65536)),
    "a picture without a name": ("not-text", say(whole(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Content_Type=""))),
    "a loop": ("too-many-redirects", redirect("#again")),
    "a loop of the same address": ("too-many-redirects", redirect("/a%20loop%20of%20the%20same%20address")),
    "a redirect to a file": ("address-refused", redirect("file:///etc/passwd")),
    "a redirect to a script": ("address-refused", redirect("javascript:alert(1)")),
    "a redirect to FTP": ("address-refused", redirect("ftp://127.0.0.1/")),
    "a redirect to a private address": ("address-refused", redirect("http://10.0.0.1/")),
    "a redirect to the metadata": (
        "address-refused",
        redirect("http://169.254.169.254/latest/", "307 Temporary Redirect"),
    ),
    "a redirect to a number": ("address-refused", redirect("http://2852039166/")),
    "a redirect to IPv6 loopback": ("address-refused", redirect("//[::1]/", "308 Permanent Redirect")),
    "a redirect with a password": ("address-refused", redirect("http://a:b@127.0.0.1/")),
    "a redirect with a backslash": ("address-refused", redirect("http://127.0.0.1\\@10.0.0.1/", "303 See Other")),
    "a redirect that never came": ("timeout", silent(b"HTTP/1.1 302 Found\r\nLocation: /good\r\n")),
    **{
        f"a {name} bomb": ("too-large", say(whole(make(20), Content_Encoding=coding)))
        for name, (coding, make) in BOMBS.items()
    },
}


def path(name: str) -> str:
    return "/" + name.replace(" ", "%20")


@pytest.fixture(scope="module")
def server() -> Iterator[Hostile]:
    routes = {path(name): scenario for name, (_, scenario) in ANSWERS.items()}
    with Hostile({**routes, "/good": say(whole())}) as server:
        yield server


@pytest.fixture(autouse=True)
def _limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FETCH_ALLOW_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("FETCH_DEADLINE", str(DEADLINE))
    monkeypatch.setenv("FETCH_MAX_BYTES", str(MOST))


def failure(url: str) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetch(url)
    return caught.value


@pytest.mark.parametrize("name", ANSWERS)
def test_a_hostile_answer_ends_in_a_named_error_in_time_and_the_next_page_is_read(name: str, server: Hostile) -> None:
    start = time.monotonic()
    error = failure(server.url(path(name)))
    assert time.monotonic() - start < 2 * DEADLINE
    assert error.kind in ANSWERS[name][0].split(" or ")
    assert error.detail.endswith(".")
    assert error.transient == (
        error.kind == "timeout"
        or (error.status or 0) in range(500, 600)
        or "ended" in error.detail
        or "broke" in error.detail
    )
    assert fetch(server.url("/good")).body == PAGE


@pytest.mark.usefixtures("dynalite_table", "redis_url")
def test_every_hostile_answer_ends_its_job_and_the_same_worker_counts_the_next_page(
    server: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FETCH_HOST_RATE", "1000")
    monkeypatch.setenv("MAX_ATTEMPTS", "1")

    def run(address: str) -> jobs.Job:
        job, _ = jobs.submit(jobs.Request(submissions.read({"url": address}), "anonymous"))
        pipeline.count_page(job.id)
        return jobs.get(job.id, "anonymous")

    for name, (expected, _) in ANSWERS.items():
        job = run(server.url(path(name)))
        assert job.state == "failed", name
        assert job.error is not None
        assert job.error["type"] in expected.split(" or "), name
        assert job.error["title"], name
        assert run(server.url("/good")).state == "succeeded", name


@pytest.fixture
def one_a_second(redis_url: str, dynalite_table: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page a second of any host, and every name is this machine."""
    monkeypatch.setenv("FETCH_HOST_RATE", "1")
    monkeypatch.setenv("QUEUE_NAME", f"slots-{time.time_ns()}")
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda _, port, *__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    )


def named(server: Hostile, path: str, name: str, owner: str = "anonymous") -> str:
    asked = submissions.read({"url": server.url(path, host=name)})
    return jobs.submit(jobs.Request(asked, owner))[0].id


@pytest.mark.usefixtures("one_a_second")
def test_a_host_that_many_names_redirect_to_is_asked_as_often_as_any(server: Hostile) -> None:
    server.routes["/from"] = redirect(f"http://third.test:{server.port}/good")
    server.heads.clear()
    began = time.monotonic()
    for name in ("one.test", "two.test"):
        assert pipeline.count_page(named(server, "/from", name)).state == "succeeded"
    assert time.monotonic() - began >= 0.9
    assert server.paths() == ["/from", "/good", "/from", "/good"]


@pytest.mark.usefixtures("one_a_second")
def test_a_redirect_within_a_host_takes_a_slot_of_it(server: Hostile) -> None:
    server.routes.update({"/1": redirect("/2"), "/2": redirect("/good")})
    began = time.monotonic()
    assert pipeline.count_page(named(server, "/1", "one.test")).state == "succeeded"
    assert time.monotonic() - began >= 1.9


@pytest.mark.usefixtures("one_a_second")
def test_a_job_whose_slot_is_some_time_away_comes_back_for_it(server: Hostile) -> None:
    queue.host_slot("one.test", "192.0.2.1", "another", bulk=False)
    server.heads.clear()
    job_id = named(server, "/good", "one.test")
    assert pipeline.count_page(job_id).state == "deferred"
    assert server.paths() == []
    assert jobs.get(job_id, "anonymous").slot_at == "one.test"
    time.sleep(1.1)
    assert pipeline.count_page(job_id).state == "succeeded"
    assert jobs.get(job_id, "anonymous").failures == 0


@pytest.mark.usefixtures("one_a_second")
def test_who_floods_a_host_holds_no_more_than_the_next_slots(server: Hostile) -> None:
    began = time.monotonic()
    held = [queue.host_slot("one.test", "192.0.2.1", "flooder", bulk=False) for _ in range(250)]
    assert sum(taken for taken, _ in held) <= 2 + (time.monotonic() - began)  # one a second
    assert max(wait for _, wait in held) <= queue.MOST_WAIT
    taken, wait = queue.host_slot("one.test", "192.0.2.1", "person", bulk=False)
    assert taken
    assert wait <= 2


@pytest.mark.usefixtures("one_a_second")
def test_an_address_is_asked_ten_times_as_often_as_a_name_and_no_more(server: Hostile) -> None:
    for what, address in (("one address", "192.0.2.9"), ("addresses of one network of IPv6", "2001:db8::{:x}")):
        began = time.monotonic()
        slots = (queue.host_slot(f"{what[:3]}{n}.test", address.format(n), f"owner{n}", bulk=False) for n in range(60))
        taken = [slot[0] for slot in slots]
        most = 31 + 10 * (time.monotonic() - began)
        assert 28 <= sum(taken) <= most, f"{what}: ten at once and ten for each of the two seconds ahead"


@pytest.mark.usefixtures("one_a_second")
def test_a_job_that_needs_more_slots_than_it_may_have_fails_and_says_so(
    server: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FETCH_HOST_RATE", "1000")
    monkeypatch.setattr(pipeline, "SLOTS", 1)
    server.routes["/1"] = redirect("/good")
    job_id = named(server, "/1", "one.test")
    assert pipeline.count_page(job_id).state == "failed"
    error = jobs.get(job_id, "anonymous").error
    assert error is not None
    assert error["type"] == "too-many-redirects"


@pytest.mark.parametrize("planted", ["1" + "0" * 18, "1e300", "inf", "nan", "-1", "soon"])
def test_what_somebody_wrote_into_redis_stops_a_host_and_an_owner_for_ten_minutes_at_most(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    monkeypatch.setenv("QUEUE_NAME", "planted")
    for key in ("planted:host:a.test", "planted:owner:ann"):
        queue.connection().set(key, planted)
    assert queue.host_slot("a.test", "192.0.2.1", "ann", bulk=False) == (True, 0)
    assert 0 <= queue.meter("owner:ann", 600)[2] <= queue.MOST_WAIT
    assert 0 < queue.connection().pttl("planted:host:a.test") <= (queue.MOST_WAIT + 2) * 1000


def test_the_deadline_holds_over_all_hops_together(server: Hostile) -> None:
    def slow(location: str) -> Scenario:
        return lambda sock: (time.sleep(0.6 * DEADLINE), redirect(location)(sock))[0]

    server.routes.update({"/1": slow("/2"), "/2": slow("/3"), "/3": slow("/good")})
    start = time.monotonic()
    assert failure(server.url("/1")).kind == "timeout"
    assert time.monotonic() - start < 2 * DEADLINE


def test_a_server_that_does_not_accept_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        start = time.monotonic()
        assert failure(f"http://127.0.0.1:{port}/").kind == "timeout"
        assert time.monotonic() - start < 2 * DEADLINE
        for sock in waiting:
            sock.close()


def test_a_fetch_outside_the_main_thread_keeps_its_deadline(server: Hostile) -> None:
    kinds: list[str] = []
    threads = [
        threading.Thread(target=lambda: kinds.append(failure(server.url(path("a body that drips"))).kind))
        for _ in range(4)
    ]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kinds == ["timeout"] * 4
    assert time.monotonic() - start < 3 * DEADLINE


def test_five_redirects_are_followed_and_a_sixth_is_not(server: Hostile) -> None:
    server.routes.update({f"/hop{n}": redirect(f"hop{n - 1}") for n in range(1, 7)} | {"/hop0": say(whole())})
    page = fetch(server.url("/hop5"))
    assert (page.url, page.body) == (server.url("/hop0"), PAGE)
    server.heads.clear()
    assert failure(server.url("/hop6")).kind == "too-many-redirects"
    assert len(server.heads) == 6


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("good", "/good"),
        ("?q=a b", "/from?q=a%20b"),
        ("/gö".encode().decode("latin-1"), "/g%C3%B6"),
        ("/g\xf6 x", "/g%F6%20x"),
        ("//127.0.0.1:{port}/good#part", "/good"),
        ("HTTP://127.1:{port}/good", "/good"),
    ],
)
def test_a_redirect_is_followed_as_a_browser_does(status: str, location: str, expected: str, server: Hostile) -> None:
    def once(sock: socket.socket) -> None:
        first = len(server.heads) == 1
        (redirect(location.format(port=server.port), status) if first else say(whole()))(sock)

    server.routes.update(dict.fromkeys(("/from", "/g%C3%B6", "/g%F6%20x"), once))
    server.heads.clear()
    assert fetch(server.url("/from")).url == server.url(expected)


@pytest.mark.parametrize(
    ("content_type", "accepted"),
    {
        "text/html": True,
        "TEXT/HTML;charset=x": True,
        "text/plain; charset=utf-8": True,
        "text/markdown": True,
        "text/csv": True,
        "application/xhtml+xml": True,
        "text/xml": True,
        "application/xml": True,
        "application/rss+xml": True,
        "": True,
        "unknown/unknown": True,
        "text": True,
        "image/png": False,
        "image/svg+xml": False,
        "application/pdf": False,
        "application/json": False,
        "application/octet-stream": False,
        "text/css": False,
        "text/javascript": False,
        "multipart/mixed": False,
        "video/mp4": False,
    }.items(),
)
def test_only_texts_that_a_reader_reads_are_fetched(content_type: str, accepted: bool, server: Hostile) -> None:
    server.routes["/type"] = say(whole(Content_Type=content_type))
    if accepted:
        assert fetch(server.url("/type")).content_type == (content_type or None)
    else:
        error = failure(server.url("/type"))
        assert error.kind == "not-text"
        assert content_type in error.detail


@pytest.mark.parametrize("status", ["200 OK", "203 x", "204 No Content", "205 Reset Content"])
def test_an_empty_page_is_a_page(status: str, server: Hostile) -> None:
    server.routes["/empty"] = say(whole(b"", status))
    page = fetch(server.url("/empty"))
    assert (page.status, page.body) == (int(status[:3]), b"")


def test_retry_after_is_handed_on(server: Hostile) -> None:
    for status in (429, 503):
        server.routes["/busy"] = say(whole(status=f"{status} Busy", Retry_After="7"))
        error = failure(server.url("/busy"))
        assert (error.kind, error.status, error.retry_after, error.transient) == ("http-status", status, 7.0, True)
    server.routes["/busy"] = say(whole(status="404 Gone", Retry_After="7"))
    error = failure(server.url("/busy"))
    assert (error.status, error.retry_after, error.transient) == (404, None, False)


def test_a_request_says_who_asks_and_nothing_about_this_machine(
    server: Hostile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Hostile() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login bob password secret\n")
        (tmp_path / ".netrc").chmod(0o600)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        monkeypatch.setenv("FETCH_CONTACT", "https://contact.example/bot")
        server.routes["/cookie"] = redirect("/good", Set_Cookie="a=b; Path=/")
        server.heads.clear()
        fetch(server.url("/cookie?q"))
        assert proxy.peers == 0
    for request in server.heads:
        lines = request.decode().split("\r\n")
        names = {line.partition(":")[0] for line in lines[1:] if line}
        assert names == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
        assert f"Host: 127.0.0.1:{server.port}" in lines
        assert "User-Agent: Wordcounts/1.0 (+https://contact.example/bot)" in lines
    assert server.paths() == ["/cookie?q", "/good"]


def test_a_name_that_changes_between_look_ups_never_reaches_its_second_answer(
    server: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["127.0.0.1", "127.0.0.2", "127.0.0.2"])
    connects: list[str] = []
    connect = socket.socket.connect

    def look_up(*_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), 0))]

    def note(sock: socket.socket, address: tuple[str, int]) -> None:
        connects.append(address[0])
        connect(sock, address)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket.socket, "connect", note)
    server.routes["/rebind"] = redirect(f"http://rebind.test:{server.port}/good")
    assert fetch(server.url("/rebind", host="rebind.test")).body == PAGE
    assert connects == ["127.0.0.1"] * 2


def test_a_descriptor_is_given_back_after_every_answer(server: Hostile) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for name in ("a reset in the body", "a picture", "a loop", "a short body", "no HTTP", "a body without end"):
        failure(server.url(path(name)))
        fetch(server.url("/good"))
    for _ in range(50):
        if len(os.listdir("/proc/self/fd")) <= before:
            return
        time.sleep(0.02)  # the server's own ends, which live in this process too
    assert len(os.listdir("/proc/self/fd")) <= before


# --- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes certificates; all but ``trusted=False`` are signed by the authority in ``authority.pem``."""
    folder = tmp_path_factory.mktemp("certificates")
    now = datetime.datetime.now(datetime.UTC)

    def make(file: str, *names: x509.GeneralName, days: int = 9, signer: str | None = None) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file)])
        by = (folder / signer).read_bytes() if signer else b""
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(x509.load_pem_x509_certificate(by).subject if by else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=20))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if by:
            issuer = serialization.load_pem_private_key(by, None)
            assert isinstance(issuer, ec.EllipticCurvePrivateKey)
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False
            )
        else:
            issuer = key
            usage = x509.KeyUsage(
                *[False] * 5, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False
            )
            builder = builder.add_extension(usage, critical=True)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        certificate = builder.sign(issuer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        (folder / file).write_bytes(private + certificate)
        return folder / file

    make("authority.pem")
    return make


def speaking(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def _trusted(certificates: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = certificates("unused.pem").parent
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
    gate.tls.cache_clear()
    yield
    gate.tls.cache_clear()


@pytest.mark.usefixtures("_trusted")
def test_a_secure_page_is_read_when_its_certificate_names_the_host(
    certificates: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [x509.DNSName("good_name.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
    )
    with Hostile({"/": say(whole())}, speaking(certificates("good.pem", *names, signer="authority.pem"))) as server:
        assert fetch(server.url("/")).body == PAGE
        assert fetch(server.url("/", host="good_name.test")).body == PAGE
        assert fetch(server.url("/", host="GOOD_name.test.")).body == PAGE
        error = failure(server.url("/", host="other.test"))
        assert (error.kind, error.transient) == ("connection-failed", False)
        assert "certificate" in error.detail


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize("fault", ["expired", "self-signed", "plain HTTP", "silent", "drips", "garbage"])
def test_a_connection_that_is_not_secure_is_an_error_in_time(fault: str, certificates: Callable[..., Path]) -> None:
    name = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    start = time.monotonic()
    if fault in ("expired", "self-signed"):
        expired = {"days": -1, "signer": "authority.pem"} if fault == "expired" else {}
        with Hostile({"/": say(whole())}, speaking(certificates(f"{fault}.pem", name, **expired))) as server:
            error = failure(server.url("/"))
            assert server.heads == []
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def serve() -> None:
                sock, _ = listener.accept()
                with sock, contextlib.suppress(OSError):
                    sock.recv(4096)
                    if fault == "drips":
                        slowly(b"", b"\x16\x03\x03\x40\x00" + b"\x02" * 100)(sock)
                    elif fault == "silent":
                        silent()(sock)
                    else:
                        sock.sendall(whole() if fault == "plain HTTP" else b"\xff" * 100)

            thread = threading.Thread(target=serve)
            thread.start()
            error = failure(f"https://127.0.0.1:{listener.getsockname()[1]}/")
            thread.join()
    assert time.monotonic() - start < 2 * DEADLINE
    assert error.kind == ("timeout" if fault in ("silent", "drips") else "connection-failed")


@pytest.mark.usefixtures("_trusted")
def test_limits_hold_over_a_secure_connection_too(certificates: Callable[..., Path]) -> None:
    name = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    routes = {
        "/drip": slowly(head(), b"x" * 100),
        "/endless": forever(head(), b"x" * 65536),
        "/short": say(head(Content_Length="1000"), b"x"),
        "/long": say(head(Content_Length="5"), PAGE),
        "/good": say(whole()),
    }
    with Hostile(routes, speaking(certificates("limits.pem", name, signer="authority.pem"))) as server:
        kinds = {name: failure(server.url(name)).kind for name in routes if name != "/good"}
        assert kinds == {
            "/drip": "timeout",
            "/endless": "too-large",
            "/short": "connection-failed",
            "/long": "connection-failed",
        }
        assert fetch(server.url("/good")).body == PAGE
