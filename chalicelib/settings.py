"""What can be set, and the only place that reads the environment.

``load()`` reads it at each call, so that a test or a warm Lambda sees what is set now. A bad value raises
``SettingsError``, whose message names the setting and says what was expected.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")


class SettingsError(ValueError):
    """A setting's value cannot be used; the message names it and says what was expected."""


class Settings(msgspec.Struct, frozen=True):
    """Every setting with its default. Times in seconds unless the name says otherwise."""

    redis_url: str = "redis://localhost:6379/0"
    redis_secret_arn: str = ""
    table_name: str = "wordcounts"
    queue_name: str = "wordcounts"
    auth: str = "none"
    allow_origin: str = ""
    rate_per_minute: int = 600
    result_days: int = 30
    words: str = "unicode"  # what a word is where a submission does not say: unicode or nltk
    keep_text: bool = True  # whether a job's text is kept for contexts and phrases, where a submission does not say
    max_attempts: int = 3
    lease_seconds: int = 75  # longer than any job may take: fetch 20 s, CPU budget, write
    sweep_seconds: int = 5
    fetch_deadline: float = 20.0
    fetch_max_bytes: int = 5_000_000  # after decompression
    fetch_allow_networks: tuple[IPNetwork, ...] = ()
    fetch_host_rate: float = 5.0  # pages a second of one host, over all workers
    fetch_contact: str = "https://github.com/wordcounts/wordcounts"
    worker_processes: str = ""  # empty: by cores and memory, see worker.py
    event_owner: str = "events"
    event_bus: str = "default"  # where events leave
    api_url: str = ""  # what the links in events start with; empty: /jobs/…
    inbox_dir: str = ""  # a folder that stands for a bucket on one machine; empty: no local files are read
    log_level: str = "INFO"

    @property
    def alive_file(self) -> str:
        """The file of the temporary folder that a pool's parent touches while it lives."""
        return f"{self.queue_name}-worker-alive"


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check every setting; an empty value means the default."""
    env = os.environ if environ is None else environ
    default = Settings()

    def get(name: str, read: Callable[[str], T], otherwise: T, expected: str) -> T:
        text = env.get(name, "").strip()
        if not text:
            return otherwise
        try:
            return read(text)
        except ValueError:
            raise SettingsError(f"{name}: expected {expected}, got {text!r}") from None

    settings = Settings(
        redis_url=get("REDIS_URL", _redis_url, default.redis_url, "redis://, rediss:// or unix:// and an address"),
        redis_secret_arn=get("REDIS_SECRET_ARN", _arn, default.redis_secret_arn, "the ARN of a secret"),
        table_name=get("TABLE_NAME", _name, default.table_name, "3 to 255 letters, digits, '_', '-' and '.'"),
        queue_name=get("QUEUE_NAME", _name, default.queue_name, "3 to 255 letters, digits, '_', '-' and '.'"),
        auth=get("AUTH", _auth, default.auth, "none or token"),
        allow_origin=get("ALLOW_ORIGIN", _origin, default.allow_origin, "'*' or an origin like https://example.com"),
        rate_per_minute=get("RATE_PER_MINUTE", _count, default.rate_per_minute, "a whole number above 0"),
        result_days=get("RESULT_DAYS", _count, default.result_days, "a whole number of days above 0"),
        words=get("WORDS", _rules, default.words, "unicode or nltk"),
        keep_text=get("KEEP_TEXT", _boolean, default.keep_text, "true or false"),
        max_attempts=get("MAX_ATTEMPTS", _count, default.max_attempts, "a whole number above 0"),
        lease_seconds=get("LEASE_SECONDS", _count, default.lease_seconds, "a whole number of seconds above 0"),
        sweep_seconds=get("SWEEP_SECONDS", _count, default.sweep_seconds, "a whole number of seconds above 0"),
        fetch_deadline=get("FETCH_DEADLINE", _positive, default.fetch_deadline, "seconds above 0"),
        fetch_max_bytes=get("FETCH_MAX_BYTES", _count, default.fetch_max_bytes, "a whole number of bytes above 0"),
        fetch_allow_networks=get(
            "FETCH_ALLOW_NETWORKS",
            _networks,
            default.fetch_allow_networks,
            "networks like 10.0.0.0/8, separated by commas",
        ),
        fetch_host_rate=get("FETCH_HOST_RATE", _positive, default.fetch_host_rate, "pages a second above 0"),
        fetch_contact=get(
            "FETCH_CONTACT", _contact, default.fetch_contact, "an address, printable ASCII without brackets"
        ),
        worker_processes=get(
            "WORKER_PROCESSES", _processes, default.worker_processes, "a number, or interactive:N,bulk:M"
        ),
        event_owner=get("EVENT_OWNER", _name, default.event_owner, "3 to 255 letters, digits, '_', '-' and '.'"),
        event_bus=get("EVENT_BUS", _bus, default.event_bus, "the name or ARN of an event bus"),
        api_url=get("API_URL", _base, default.api_url, "an address like https://example.com/production"),
        inbox_dir=get("INBOX_DIR", _folder, default.inbox_dir, "an absolute path"),
        log_level=get("LOG_LEVEL", _level, default.log_level, "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    )
    if settings.auth == "none" and env.get("AWS_LAMBDA_FUNCTION_NAME"):
        raise SettingsError("AUTH: expected token on AWS, where everybody can call, got 'none'")
    if settings.lease_seconds <= settings.fetch_deadline:
        raise SettingsError(
            f"LEASE_SECONDS: expected more than FETCH_DEADLINE ({settings.fetch_deadline:g}), "
            f"got {settings.lease_seconds}: a lease must outlive its job"
        )
    return settings


class AWS(msgspec.Struct, frozen=True):
    """Where a service is and, if the variables hold them, with which keys it is called and whom TLS trusts."""

    url: str
    region: str
    keys: tuple[str, str, str | None] | None
    ca_bundle: str | None = None


def aws(environ: Mapping[str, str] | None = None, service: str = "dynamodb") -> AWS | None:
    """What AWS's own variables say of a service; None where its configuration files or boto3's rules have a say.

    They say all in Lambda, in Fargate and where a stand-in is named, unless an option asks for more than an address.
    """
    env = os.environ if environ is None else environ
    region = env.get("AWS_DEFAULT_REGION") or env.get("AWS_REGION") or ""  # boto3 reads the first alone
    url = env.get(_ENDPOINTS[service]) or env.get("AWS_ENDPOINT_URL") or ""
    if any(env.get(name) for name in _BOTO3_ONLY) or not re.fullmatch(r"[a-z]{2}(-gov)?-[a-z]+-\d|local", region):
        return None
    if not url:
        # Lambda and ECS name themselves so; Chalice writes a mere "AWS_Lambda" there wherever it runs.
        if not env.get("AWS_EXECUTION_ENV", "").startswith(("AWS_Lambda_", "AWS_ECS_")) or region == "local":
            return None
        url = f"https://{service}.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
    elif not re.fullmatch(r"https?://[^\s/?#@]+/?", url):
        return None
    access, secret = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
    keys = (access, secret, env.get("AWS_SESSION_TOKEN") or None) if access and secret else None
    return AWS(url.rstrip("/"), region, keys, env.get("AWS_CA_BUNDLE") or None)


_ENDPOINTS = {"dynamodb": "AWS_ENDPOINT_URL_DYNAMODB", "secretsmanager": "AWS_ENDPOINT_URL_SECRETS_MANAGER"}
_BOTO3_ONLY = (
    "AWS_PROFILE", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy",
)  # fmt: skip


def _matching(pattern: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if re.fullmatch(pattern, text, re.ASCII) is None:
            raise ValueError
        return text

    return read


_name = _matching(r"[A-Za-z0-9_.-]{3,255}")
_arn = _matching(r"arn:aws[a-z-]*:secretsmanager:\S+")
_redis_url = _matching(r"(?:rediss?|unix)://\S+")
_auth = _matching(r"none|token")
_rules = _matching(r"unicode|nltk")
_origin = _matching(r"\*|https?://[^\s/]+")
_bus = _matching(r"[\w./:-]{1,256}")
_base = _matching(r"https?://[^\s?#]+")
_folder = _matching(r"/.*")
_contact = _matching(r"[!-~]*[^\s()<>]")
_level = _matching(r"DEBUG|INFO|WARNING|ERROR|CRITICAL")
_processes = _matching(r"0{0,3}[1-9]\d{0,3}|interactive:\d{1,4},bulk:\d{1,4}(?<!interactive:0,bulk:0)")


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError
    return number


def _networks(text: str) -> tuple[IPNetwork, ...]:
    return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
