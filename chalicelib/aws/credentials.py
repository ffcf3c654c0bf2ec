"""AWS's credentials as they are at one moment: from the environment where it has them, else by boto3's rules."""

import functools
from typing import Any

from chalicelib import settings
from chalicelib.aws import dynamodb


def current() -> tuple[dynamodb.Keys, str]:
    """Keys and region. Raises ``dynamodb.Failed`` where there are none just now."""
    aws = settings.aws()
    if aws is not None and aws.keys is not None:
        return dynamodb.Keys(*aws.keys), aws.region
    return by_boto3(), aws.region if aws is not None else str(session().region_name)


def by_boto3() -> dynamodb.Keys:
    """The credentials that boto3 finds: a container's role, for one."""
    from botocore.exceptions import BotoCoreError

    try:
        found = session().get_credentials()
        frozen = found and found.get_frozen_credentials()
    except BotoCoreError as error:  # their source does not answer
        raise dynamodb.Failed("NoCredentials", type(error).__name__, transient=True) from error
    if frozen is None:
        raise dynamodb.Failed("NoCredentials", transient=True)
    return dynamodb.Keys(frozen.access_key, frozen.secret_key, frozen.token)


@functools.cache
def session() -> Any:
    """boto3's session, made on first use: it keeps what a container's role gave until shortly before it expires."""
    import boto3

    return boto3.session.Session()
