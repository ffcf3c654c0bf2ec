"""Requests to the service: time-outs, retries, the token, and what its problems mean."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from .errors import Refused, Unreachable, WordcountsError

if TYPE_CHECKING:
    import requests

LONGEST_WAIT = 20  # seconds that the service holds a request back
CONNECT_SECONDS, READ_SECONDS = 5, LONGEST_WAIT + 15
RETRY_AFTER_MOST = 60  # seconds that are waited because the service asks for it
LOCAL = ("127.0.0.1", "localhost", "::1")


class Transport:
    """A session with the service at ``address``. Every request may be repeated: submissions carry a key."""

    def __init__(self, address: str, token: str, *, retries: int, connections: int) -> None:
        self.address = _address(address)
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise WordcountsError(
                "The token has characters that no token has.",
                type="bad-token",
                advice="Copy it again into WORDCOUNTS_TOKEN: letters, figures and _, on one line.",
            )
        self.retries = retries
        self.session = _session(self.address, token, retries, connections)

    def json(self, method: str, target: str, **arguments: Any) -> dict[str, Any]:
        """The answer to a request, an object."""
        found = _body(self.request(method, target, **arguments))
        if not found:
            raise self._other_service()
        return found

    def rows(self, target: str, query: Mapping[str, Any] | None) -> dict[str, Any]:
        """A page of rows; while a worker is still looking for them, the same is asked again."""
        name = target.partition("?")[0].rpartition("/")[2]
        until = time.monotonic() + 120
        while name not in (found := self.json("GET", target, params=query, wait=LONGEST_WAIT)):
            if time.monotonic() > until:
                raise WordcountsError(
                    "The answer is not ready after two minutes.", type="still-running", advice="Ask again later."
                )
            time.sleep(0.2)
        return found

    def listed(self, target: str, **query: str | int | None) -> Iterator[dict[str, Any]]:
        """What a list has, page after page."""
        name, asked, following = target.rpartition("/")[2], query, target
        while following:
            answer = self.json("GET", following, params=asked)
            yield from answer[name]
            following, asked = answer["next"], {}

    def health(self) -> dict[str, Any]:
        """What the service says of itself, asked once, whether it is well or not."""
        import requests

        try:
            answer = self.session.get(
                urljoin(self.address, "health"), timeout=(CONNECT_SECONDS, 10), allow_redirects=False
            )
        except requests.RequestException as error:
            raise self._unreachable(error) from None
        found = _body(answer)
        if "checks" not in found:
            raise self._other_service(answer.status_code)
        return found

    def request(self, method: str, target: str, *, wait: float = 0, **arguments: Any) -> requests.Response:
        """The answer to a request: ``Refused`` where it is a problem, ``Unreachable`` where there is none."""
        import requests

        headers = {**arguments.pop("headers", {}), **({"Prefer": f"wait={max(1, round(wait))}"} if wait else {})}
        arguments.update(headers=headers, timeout=(CONNECT_SECONDS, READ_SECONDS), allow_redirects=False)
        for tries in range(self.retries + 1):
            try:
                answer = self.session.request(method, urljoin(self.address, target), **arguments)
                break
            except requests.exceptions.ChunkedEncodingError as error:  # ended in the middle: Retry does not see it
                if tries == self.retries:
                    raise self._unreachable(error) from None
                time.sleep(min(0.2 * 2.0**tries, 5.0))
            except requests.RequestException as error:
                raise self._unreachable(error) from None  # it says all that is of use
        if answer.is_redirect:  # followed, it would take the token along
            raise Unreachable(
                f"{self.address} redirects to {answer.headers['Location']}.",
                type="redirected",
                advice="Name the service's own address in WORDCOUNTS_URL.",
            )
        if answer.ok:
            return answer
        body = _body(answer)
        if "type" not in body and "message" not in body and "detail" not in body:
            raise self._other_service(answer.status_code)
        raise Refused(answer.status_code, {"detail": body.get("message"), **body})

    def _unreachable(self, error: Exception) -> Unreachable:
        local = urlsplit(self.address).hostname in LOCAL
        advice = "Start one with `make run`, or name another in WORDCOUNTS_URL." if local else "Check WORDCOUNTS_URL."
        return Unreachable(f"No service answers at {self.address} ({_reason(error)}).", type="away", advice=advice)

    def _other_service(self, status: int | None = None) -> Unreachable:
        said = "what it answers is no JSON" if status is None else f"it answers {status}"
        return Unreachable(
            f"{self.address} is not Wordcounts: {said}.",
            type="other-service",
            status=status,
            advice="Name the address of a Wordcounts service, with its stage if it has one, in WORDCOUNTS_URL.",
        )


def _address(given: str) -> str:
    given = given.strip()
    try:
        parts = urlsplit(given)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError
    except ValueError:  # also of half a bracket, or a port that is none
        raise WordcountsError(
            f"{given!r} is no address of a service.",
            type="bad-address",
            advice="Write it like http://127.0.0.1:8000 or https://example.com/production.",
        ) from None
    if parts.username or parts.password:
        raise WordcountsError(
            "The service's address must not have a password in it.",
            type="bad-address",
            advice="Put the token into WORDCOUNTS_TOKEN.",
        )
    return given.rstrip("/") + "/"


def _session(address: str, token: str, retries: int, connections: int) -> requests.Session:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    class Patient(Retry):
        def get_retry_after(self, response: Any) -> float | None:
            asked = super().get_retry_after(response)
            return None if asked is None else min(asked, RETRY_AFTER_MOST)

    def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    retry = Patient(
        total=retries,
        allowed_methods=None,  # whatever is sent twice is done once
        status_forcelist=(429, 500, 502, 503, 504),
        backoff_factor=0.2,
        backoff_max=5,
        backoff_jitter=0.2,
        raise_on_status=False,
    )
    session = requests.Session()
    session.auth = authorize  # even without a token: else a password of .netrc would be sent
    if urlsplit(address).hostname in LOCAL:
        session.trust_env = False  # no proxy stands before this machine
    adapter = HTTPAdapter(pool_maxsize=connections, max_retries=retry)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _reason(error: BaseException) -> str:
    """What happened, in a few words, from the innermost error that says something."""
    import requests

    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not valid, or it does not speak TLS"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy of HTTP_PROXY or HTTPS_PROXY refuses"
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ReadTimeout):
        return "it does not answer in time"
    text = str(error)
    if "NameResolution" in text:
        return "its name is not known"
    return "the connection is refused" if "refused" in text else "the connection fails"


def _body(answer: requests.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
