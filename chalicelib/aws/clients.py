"""boto3's clients of AWS's services, each made on first use, with few tries and short waits."""

from typing import Any

from chalicelib.net.forks import cached_in_process


@cached_in_process
def client(service: str, read_timeout: int = 10) -> Any:
    """The client of a service such as ``s3``: three tries, so many seconds for an answer."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=read_timeout, retries={"mode": "standard", "total_max_attempts": 3})
    return boto3.session.Session().client(service, config=config)
