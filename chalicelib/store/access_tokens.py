"""The tokens that callers of the API bear; only their SHA-256 is stored."""

from typing import Any

from chalicelib.store.job import key, values
from chalicelib.store.table import Table


class AccessTokens(Table):
    """The tokens of a table."""

    def put_token(self, digest: str, *, owner: str, name: str) -> None:
        """Let the bearer of the token with this SHA-256 act as ``owner``."""
        given = values({"owner": owner, "name": name, "created_at": self.clock.now()})
        self._call("put_item", Item={**key(f"token#{digest}", "token"), **given})

    def token(self, digest: str) -> dict[str, str] | None:
        """``owner`` and ``name`` of a token, or None when there is no such token."""
        item = self._call("get_item", Key=key(f"token#{digest}", "token")).get("Item")
        return None if item is None else {"owner": item["owner"]["S"], "name": item["name"]["S"]}

    def tokens(self) -> list[dict[str, Any]]:
        """Every token: digest, owner, name, created_at. A scan of the table: for the operator's script only."""
        pages = self._pages(
            "scan",
            FilterExpression="sk = :token",
            ExpressionAttributeValues=values({":token": "token"}),
        )
        return [
            {
                "digest": item["pk"]["S"].removeprefix("token#"),
                "owner": item["owner"]["S"],
                "name": item["name"]["S"],
                "created_at": int(item["created_at"]["N"]),
            }
            for page in pages
            for item in page["Items"]
        ]

    def delete_token(self, digest: str) -> None:
        """Revoke a token."""
        self._call("delete_item", Key=key(f"token#{digest}", "token"))
