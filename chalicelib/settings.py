"""What can be set, and the only place that reads the environment.

Each setting is a field of ``Settings`` with its default, its bounds and a phrase for what is expected; its variable has
the field's name in capitals. ``load()`` reads them once for each state of the environment, so calling it is cheap.
"""

import functools
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec
from msgspec import Meta

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(ValueError):
    """A setting's value cannot be used; the message names it and says what was expected."""


def _text(pattern: str, expected: str) -> Any:
    return Meta(pattern=rf"\A(?:{pattern})\Z", description=expected)


Count = Annotated[int, Meta(ge=1, description="a whole number above 0")]
Positive = Annotated[float, Meta(gt=0, lt=1e12, description="a number above 0")]
Name = Annotated[str, _text(r"[A-Za-z0-9_.-]{3,255}", "3 to 255 letters, digits, '_', '-' and '.'")]
_PROCESSES = r"0{0,3}[1-9][0-9]{0,3}|interactive:[0-9]{1,4},bulk:[0-9]{1,4}(?<!interactive:0,bulk:0)"


class Settings(msgspec.Struct, frozen=True):
    """Every setting with its default. Times in seconds unless the name says otherwise."""

    redis_url: Annotated[str, _text(r"(?:rediss?|unix)://\S+", "redis://, rediss:// or unix:// and an address")] = (
        "redis://localhost:6379/0"
    )
    # ElastiCache's authentication by IAM, instead of a password in the URL
    redis_iam: Annotated[
        str, _text(r"[a-z][a-z0-9-]{0,39}@[a-z][a-z0-9-]{0,39}", "a user and a cache, like user@cache")
    ] = ""
    table_name: Name = "wordcounts"
    queue_name: Name = "wordcounts"
    auth: Annotated[str, _text("none|token", "none or token")] = "none"
    allow_origin: Annotated[str, _text(r"\*|https?://[^\s/]+", "'*' or an origin like https://example.com")] = ""
    rate_per_minute: Count = 600
    points_per_minute: Count = 600  # of an owner: seconds of CPU that its jobs used, and pieces of large answers
    long_polls: Count = 125  # requests that may wait at once, over all processes (AUTH=token)
    result_days: Count = 30
    words: Annotated[str, _text("unicode|nltk", "unicode or nltk")] = "unicode"  # where a submission does not say
    keep_text: Annotated[bool, Meta(description="true or false")] = True  # where a submission does not say
    max_attempts: Count = 3
    lease_seconds: Count = 75  # longer than any job may take: fetch 20 s, CPU budget, write
    sweep_seconds: Count = 5
    fetch_deadline: Positive = 20.0
    fetch_max_bytes: Count = 5_000_000  # after decompression
    fetch_allow_networks: Annotated[
        tuple[IPNetwork, ...], Meta(description="networks like 10.0.0.0/8, separated by commas")
    ] = ()
    fetch_host_rate: Positive = 5.0  # pages a second of one host, over all workers
    fetch_contact: Annotated[str, _text(r"[!-~]*[^\s()<>]", "an address, printable ASCII without brackets")] = (
        "https://github.com/wordcounts/wordcounts"
    )
    worker_processes: Annotated[str, _text(_PROCESSES, "a number, or interactive:N,bulk:M")] = ""  # by cores and memory
    event_owner: Name = "events"
    event_bus: Annotated[str, _text(r"[\w./:-]{1,256}", "the name or ARN of an event bus")] = "default"
    api_url: Annotated[str, _text(r"https?://[^\s?#]+", "an address like https://example.com/production")] = ""
    webhook_url: Annotated[
        str, _text(r"https?://[^\s@#]+", "an address like https://example.com/hook, no password")
    ] = ""
    inbox_dir: Annotated[str, _text("/.*", "an absolute path")] = ""  # a folder that stands for a bucket locally
    # whose lists get their results when the schedule runs
    documents_bucket: Annotated[str, _text(r"[a-z0-9][a-z0-9.-]{2,62}", "the name of a bucket")] = ""
    # For texts too large for the table, and where none is set they are in the table all the same.
    object_store: Annotated[
        str, _text(r"s3://[a-z0-9][a-z0-9.-]{2,62}(?:/[!-~]*)?|/.*", "s3://bucket/prefix or an absolute path")
    ] = ""
    # What looks for the phrases of corpora of more than so many words
    spark_application: Annotated[str, _text(r"[0-9a-z]{1,64}", "the id of an application of EMR Serverless")] = ""
    spark_role: Annotated[str, _text(r"arn:aws[a-zA-Z0-9-]*:iam::[0-9]{12}:role/[!-~]{1,600}", "the ARN of a role")] = (
        ""  # of its runs
    )
    spark_words: Count = 10_000_000
    log_level: Annotated[str, _text("DEBUG|INFO|WARNING|ERROR|CRITICAL", "DEBUG, INFO, WARNING, ERROR or CRITICAL")] = (
        "INFO"
    )

    @property
    def owner_of_events(self) -> str:
        """Whose jobs come by events: a message does not choose."""
        return "anonymous" if self.auth == "none" else self.event_owner

    @property
    def alive_file(self) -> str:
        """The file of the temporary folder that a pool's parent touches while it lives."""
        return f"{self.queue_name}-worker-alive"


_VARIABLES = {name.upper(): name for name in Settings.__struct_fields__}


T = TypeVar("T")


def _once(read: Callable[[Mapping[str, str]], T]) -> Callable[..., T]:
    """Have what a function says of the environment at hand until a variable changes.

    ``os.environ`` takes 2 µs to say of a variable that it is not set, and a job asks for a dozen settings. What is
    compared is the dict below it, which takes 1 µs in all.
    """
    known: tuple[object, T] | None = None

    @functools.wraps(read)
    def remembered(environ: Mapping[str, str] | None = None) -> T:
        nonlocal known
        if environ is not None:
            return read(environ)
        found = known
        plain: Any = os.environ  # Chalice's test client puts a dict there
        there = getattr(plain, "_data", plain)
        if found is None or found[0] != there:
            found = known = dict(there), read(os.environ)
        return found[1]

    return remembered


@_once
def load(env: Mapping[str, str]) -> Settings:
    """Every setting, checked; an empty value means the default. Raises ``SettingsError``."""
    given = {name: text for name in _VARIABLES if (text := env.get(name, "").strip())}
    settings = Settings(**{_VARIABLES[name]: _value(name, text) for name, text in given.items()})
    if settings.auth == "none" and env.get("AWS_LAMBDA_FUNCTION_NAME"):
        raise SettingsError("AUTH: expected token on AWS, where everybody can call, got 'none'")
    if settings.spark_application and not (settings.spark_role and settings.object_store.startswith("s3://")):
        raise SettingsError("SPARK_APPLICATION: expected SPARK_ROLE and an OBJECT_STORE of s3:// beside it")
    if settings.lease_seconds <= settings.fetch_deadline:
        raise SettingsError(
            f"LEASE_SECONDS: expected more than FETCH_DEADLINE ({settings.fetch_deadline:g}), "
            f"got {settings.lease_seconds}: a lease must outlive its job"
        )
    return settings


def _value(name: str, text: str) -> Any:
    """A variable's text as its field's type. Raises ``SettingsError`` with the field's own phrase."""
    kind = get_type_hints(Settings, include_extras=True)[_VARIABLES[name]]
    try:
        if name == "FETCH_ALLOW_NETWORKS":
            return _networks(text)
        return msgspec.convert(text, kind, strict=False)
    except ValueError:
        expected = next(meta.description for meta in kind.__metadata__ if isinstance(meta, Meta))
        shown = re.sub(r".*@", "…@", text, flags=re.DOTALL) if name.endswith("_URL") else text  # not a password
        raise SettingsError(f"{name}: expected {expected}, got {shown!r}") from None


def _networks(text: str) -> tuple[IPNetwork, ...]:
    return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


class AWS(msgspec.Struct, frozen=True):
    """Where DynamoDB is and, if the variables hold them, with which keys it is called and whom TLS trusts."""

    url: str
    region: str
    keys: tuple[str, str, str | None] | None
    ca_bundle: str | None = None


@_once
def aws(env: Mapping[str, str]) -> AWS | None:
    """What AWS's own variables say of DynamoDB; None where its configuration files or boto3's rules have a say.

    They say all in Lambda, in Fargate and where a stand-in is named, unless an option asks for more than an address.
    """
    region = env.get("AWS_DEFAULT_REGION") or env.get("AWS_REGION") or ""  # boto3 reads the first alone
    url = env.get("AWS_ENDPOINT_URL_DYNAMODB") or env.get("AWS_ENDPOINT_URL") or ""
    if any(env.get(name) for name in _BOTO3_ONLY) or not re.fullmatch(r"[a-z]{2}(-gov)?-[a-z]+-\d|local", region):
        return None
    if not url:
        # Lambda and ECS name themselves so; Chalice writes a mere "AWS_Lambda" there wherever it runs.
        if not env.get("AWS_EXECUTION_ENV", "").startswith(("AWS_Lambda_", "AWS_ECS_")) or region == "local":
            return None
        url = f"https://dynamodb.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
    elif not re.fullmatch(r"https?://[^\s/?#@]+/?", url):
        return None
    access, secret = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
    keys = (access, secret, env.get("AWS_SESSION_TOKEN") or None) if access and secret else None
    return AWS(url.rstrip("/"), region, keys, env.get("AWS_CA_BUNDLE") or None)


_BOTO3_ONLY = (
    "AWS_PROFILE", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy",
)  # fmt: skip
