"""DynamoDB by boto3, for where AWS's configuration files have a say: an operator's machine with a profile, for one."""

from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.aws import credentials
from chalicelib.aws.dynamodb import TRANSIENT, Failed, Send


def client() -> Any:
    """A client of boto3: three tries of at most three seconds, and an error that says so."""
    from botocore.config import Config

    config = Config(
        connect_timeout=1,
        read_timeout=3,
        retries={"mode": "standard", "total_max_attempts": 3},
        tcp_keepalive=True,
        max_pool_connections=50,  # the local server answers many at once; ten would be opened anew each time
        parameter_validation=False,  # what is sent is typed here already; checking it again costs a tenth of a call
    )
    return credentials.session().client("dynamodb", config=config)


def sender(client: Any, on_date: Callable[[str | None], None]) -> Send:
    """What ``dynamodb.Client.call`` does, by a client of boto3; ``on_date`` is told each answer's ``Date``."""
    from botocore.exceptions import BotoCoreError, ClientError

    def observe(http_response: Any, **_: object) -> None:
        on_date(http_response.headers.get("date"))

    def send(operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(client, operation)(**arguments)
        except ClientError as error:
            code, detail = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
            raise Failed(code, detail, transient=code in TRANSIENT or status >= 500) from error
        except BotoCoreError as error:
            raise Failed("NoAnswer", type(error).__name__, transient=True) from error
        return answer

    client.meta.events.register("after-call.dynamodb", observe)
    return send
