"""One AWS account on loopback: MiniStack with IAM enforced, its Redis behind TLS, and a checkout to deploy from.

Redis has the one user of the template, who may what the template says: it cannot check a token, but wants one.
"""

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import boto3
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra import build
from scripts import servers

ROOT = Path(__file__).resolve().parent.parent.parent
EMULATOR = ROOT / ".venv-emulator" / "bin"
PACKAGING = ROOT / ".venv-package"
REGION = "eu-central-2"  # in older ones version 1 of the command line names SQS itself, whatever AWS_ENDPOINT_URL says
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def until(holds: Callable[[], Any], seconds: float = 60) -> Any:
    """What ``holds`` returns once it is true; AssertionError with its last answer after ``seconds``."""
    ends = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < ends, f"not within {seconds} s: {found!r}"
        time.sleep(0.25)
    return found


class Cloud:
    """The account: ``client`` for its services, ``script`` for scripts/deploy.sh, ``environment`` for anything else."""

    def __init__(self, port: int, redis_port: int, folder: Path) -> None:
        self.endpoint, self.redis_port, self.folder = f"http://127.0.0.1:{port}", redis_port, folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **KEYS,
            "PATH": f"{EMULATOR}:{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_DATA_PATH": str(impatient(folder / "models")),
            "SSL_CERT_FILE": str(folder / "certificate.pem"),
        }
        self.checkout = folder / "checkout"
        for name in ("scripts", "infra", "build/staging"):
            shutil.copytree(ROOT / name, self.checkout / name, ignore=shutil.ignore_patterns("__pycache__", "source"))
        add_own_builds(self.checkout / "build" / "staging" / "package" / "deployment.zip")

    def client(self, service: str, **keys: str) -> Any:
        given = keys or {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.session.Session(region_name=REGION, **given).client(service, endpoint_url=self.endpoint)

    def script(self, action: str, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """scripts/deploy.sh of the checkout for staging, by the real command line."""
        given = self.environment | {"YES": "1", "IMAGE": "example@sha256:0", **environment}
        command = ["sh", "scripts/deploy.sh", action, "staging", *more]
        return subprocess.run(
            command, cwd=self.checkout, env=given, input="", capture_output=True, text=True, check=False, timeout=240
        )

    def outputs(self) -> dict[str, str]:
        [stack] = self.client("cloudformation").describe_stacks(StackName="wordcounts-staging")["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def status(self) -> str:
        """The stack's state; an empty text when there is none."""
        with suppress(self.client("cloudformation").exceptions.ClientError):
            [stack] = self.client("cloudformation").describe_stacks(StackName="wordcounts-staging")["Stacks"]
            return "" if stack["StackStatus"] == "DELETE_COMPLETE" else str(stack["StackStatus"])
        return ""

    def log(self, function: str) -> str:
        """What a function has written."""
        group = f"/wordcounts/staging/{function}"
        return "".join(
            event["message"] for event in self.client("logs").filter_log_events(logGroupName=group)["events"]
        )

    def parameters(self) -> dict[str, str]:
        [stack] = self.client("cloudformation").describe_stacks(StackName="wordcounts-staging")["Stacks"]
        return {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}


def impatient(folder: Path) -> Path:
    """The command line's waiters for stacks, asking each half second: its own ask AWS twice a minute."""
    [found] = EMULATOR.parent.glob("lib/python*/site-packages/awscli/botocore/data/cloudformation/*/waiters-2.json")
    waiters = json.loads(found.read_text())
    for waiter in waiters["waiters"].values():
        waiter |= {"delay": 0.5, "maxAttempts": 400}
    made = folder / "cloudformation" / found.parent.name / found.name
    made.parent.mkdir(parents=True)
    made.write_text(json.dumps(waiters))
    return folder


def add_own_builds(archive: Path) -> None:
    """This machine's builds of compiled parts, beside those for Graviton."""
    [site] = PACKAGING.glob("lib/python*/site-packages")
    with zipfile.ZipFile(archive, "a") as package:
        for part in site.glob("msgspec/*.so"):
            if f"msgspec/{part.name}" not in package.namelist():
                package.write(part, f"msgspec/{part.name}")


@contextmanager
def running(folder: Path) -> Iterator[Cloud]:
    """A new account, with nothing in it."""
    certify(folder)
    plain, secure, port = (servers.free_port() for _ in range(3))
    child, _ = servers.start_redis(folder / "redis", os.environ, folder / "redis.log", port=plain)
    access = build.load("data.yaml")["Resources"]["RedisUser"]["Properties"]["AccessString"]
    with redis.Redis(port=plain) as client:
        client.execute_command("ACL", "SETUSER", "wordcounts-staging", "nopass", "resetchannels", *access.split())
        client.execute_command("ACL", "SETUSER", "default", "off")
    stop = threading.Event()
    threading.Thread(target=serve_tls, args=(folder, secure, plain, stop), daemon=True).start()
    cloud = Cloud(port, secure, folder)
    # No port but its own: the listener of its IoT would be open to the network.
    given = {
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_PORT": "0",
        "AUTH": "true",
        "MINISTACK_REGION": REGION,
        "TMPDIR": str(folder),
    }
    given |= {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(secure)}
    # What the functions inherit is the emulator's own, so none of their settings may be in it.
    inherited = {name: cloud.environment[name] for name in ("PATH", "SSL_CERT_FILE", *KEYS, "AWS_DEFAULT_REGION")}
    with (folder / "emulator.log").open("wb") as log:
        command = [str(EMULATOR / "python"), str(ROOT / "tests" / "deploy" / "emulator.py"), str(port)]
        emulator = subprocess.Popen(command, env=inherited | given, stdout=log, stderr=log, start_new_session=True)
    try:
        until(lambda: emulator.poll() is not None or listens(port))
        assert emulator.poll() is None, (folder / "emulator.log").read_text()
        yield cloud
    finally:
        stop.set()
        emulator.terminate()
        with suppress(subprocess.TimeoutExpired):
            emulator.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(emulator.pid, 9)  # its functions
        child.stop(5)


def listens(port: int) -> bool:
    """Whether somebody takes connections on a port of loopback."""
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


def certify(folder: Path) -> None:
    """A key and a certificate for 127.0.0.1, signed by itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def serve_tls(folder: Path, port: int, to: int, stop: threading.Event) -> None:
    """Forward TLS connections, which ElastiCache demands, to a plain Redis."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")

    def copy(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)

    def serve(raw: socket.socket) -> None:
        with (
            suppress(OSError),
            context.wrap_socket(raw, server_side=True) as near,
            socket.create_connection(("127.0.0.1", to)) as far,
        ):
            back = threading.Thread(target=copy, args=(far, near), daemon=True)
            back.start()
            copy(near, far)
            back.join()

    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(0.2)
        while not stop.is_set():
            with suppress(TimeoutError):
                connection, _ = server.accept()
                connection.settimeout(None)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()
