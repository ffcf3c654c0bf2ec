"""The DynamoDB client's signature is botocore's, whatever the request."""

from datetime import UTC, datetime
from unittest import mock

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.aws import dynamodb

printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)


@given(
    host=st.from_regex(r"[a-z0-9.-]{1,40}(:[1-9][0-9]{0,4})?", fullmatch=True),
    region=st.from_regex(r"[a-z]{2}-[a-z]{2,9}-[1-9]", fullmatch=True),
    target=st.from_regex(r"DynamoDB_20120810\.[A-Za-z]{1,30}", fullmatch=True),
    body=st.binary(max_size=300),
    keys=st.tuples(printable, printable, st.none() | printable),
    moment=st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_a_signature_is_botocores_for_any_request(
    host: str, region: str, target: str, body: bytes, keys: tuple[str, str, str | None], moment: datetime
) -> None:
    moment = moment.replace(microsecond=0)
    ours = dynamodb.signed(host, region, target, body, dynamodb.Keys(*keys), moment.timestamp())
    theirs = AWSRequest("POST", f"https://{host}/", headers={"host": host, "x-amz-target": target}, data=body)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        SigV4Auth(Credentials(*keys), "dynamodb", region).add_auth(theirs)
    assert ours["authorization"] == theirs.headers["Authorization"]
    assert ours.get("x-amz-security-token") == keys[2]
