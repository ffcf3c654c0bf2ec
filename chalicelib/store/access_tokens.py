"""The tokens that callers of the API bear; only their SHA-256 is stored.

All of them are under one key, so that they are listed by a query, and so that a role is let read them and no more.
When a token was used is under another key, which the API may write. A token of 0.1 had a key of its own.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

from chalicelib.store.job import key, values
from chalicelib.store.table import ConditionFailed, Table, under

TOKENS, USES = "tokens", "token-uses"
DAY = 86_400_000  # milliseconds
USES_KEPT_DAYS = 400


class AccessTokens(Table):
    """The tokens of a table."""

    def put_token(self, digest: str, *, owner: str, name: str, days: int = 0) -> None:
        """Let the bearer of the token with this SHA-256 act as ``owner``, for some days or for good."""
        now = self.now()
        given: dict[str, Any] = {"owner": owner, "name": name, "created_at": now}
        if days:
            given["expires_at"] = now // 1000 + days * 86_400  # DynamoDB deletes it some time after that
        self._call("put_item", Item={**key(TOKENS, digest), **values(given)})

    def token(self, digest: str) -> dict[str, str] | None:
        """``owner`` and ``name`` of a token, or None when there is no such token or it has expired."""
        item = self._call("get_item", Key=key(TOKENS, digest)).get("Item")
        if item is None:
            item = self._call("get_item", Key=key(f"token#{digest}", "token")).get("Item")
        if item is None or self._has_expired(item):
            return None
        return {"owner": item["owner"]["S"], "name": item["name"]["S"]}

    def _has_expired(self, item: Mapping[str, Any]) -> bool:
        return "expires_at" in item and int(item["expires_at"]["N"]) <= self.clock.now() // 1000

    def note_use(self, digest: str) -> None:
        """Write down that a token was used today, unless that is written already."""
        now = self.clock.now()
        given = {"used_at": now - now % DAY, "expires_at": now // 1000 + USES_KEPT_DAYS * 86_400}
        with contextlib.suppress(ConditionFailed):
            self._call(
                "put_item",
                Item={**key(USES, digest), **values(given)},
                ConditionExpression="attribute_not_exists(pk) OR used_at < :today",
                ExpressionAttributeValues=values({":today": given["used_at"]}),
            )

    def tokens(self) -> list[dict[str, Any]]:
        """Every token: digest, owner, name, created_at; expires_at in seconds and used_at (its day), or None.

        Those of 0.1 are not among them before ``move_tokens``.
        """
        pages = list(self._pages("query", **under(USES)))
        used = {item["sk"]["S"]: int(item["used_at"]["N"]) for page in pages for item in page["Items"]}
        return [
            {
                "digest": item["sk"]["S"],
                "owner": item["owner"]["S"],
                "name": item["name"]["S"],
                "created_at": int(item["created_at"]["N"]),
                "expires_at": int(item["expires_at"]["N"]) if "expires_at" in item else None,
                "used_at": used.get(item["sk"]["S"]),
            }
            for page in self._pages("query", **under(TOKENS))
            for item in page["Items"]
            if not self._has_expired(item)
        ]

    def move_tokens(self) -> int:
        """Put the tokens of 0.1 among the others, by a scan of the whole table; how many there were."""
        wanted = values({":token": "token"})
        moved = 0
        for page in self._pages("scan", FilterExpression="sk = :token", ExpressionAttributeValues=wanted):
            for item in page["Items"]:
                digest = item["pk"]["S"].removeprefix("token#")
                self._call("put_item", Item={**item, **key(TOKENS, digest)})
                self._call("delete_item", Key=key(item["pk"]["S"], "token"))
                moved += 1
        return moved

    def delete_token(self, digest: str) -> None:
        """Revoke a token."""
        for place in (key(TOKENS, digest), key(f"token#{digest}", "token"), key(USES, digest)):
            self._call("delete_item", Key=place)
