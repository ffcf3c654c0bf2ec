"""Copies one table's items into another where they are not: ``python scripts/restore.py wordcounts-restored <live>``.

For a restored or a kept table. What the live table has is newer and stays, and what was erased there stays erased; it
may be stopped and run again. Tokens are copied with ``--tokens`` alone: one that was revoked since would be back.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from typing import Any


def copy(client: Any, source: str, target: str, *, tokens: bool = False) -> dict[str, int]:
    """Copy every item of ``source`` whose key ``target`` does not have; returns how many went, and how many not."""
    counts = {"copied": 0, "there": 0, "erased": 0, "tokens left out": 0}
    # A scan gives what has one key together.
    for key, items in itertools.groupby(_items(client, source), lambda item: item["pk"]["S"]):
        if key.startswith("token") and not tokens:
            counts["tokens left out"] += sum(1 for _ in items)
            continue
        erased = _is_erased(client, target, key)
        for item in items:
            counts["erased" if erased else _put(client, target, item)] += 1
    return counts


def _items(client: Any, table: str) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]


def _is_erased(client: Any, table: str, key: str) -> bool:
    """Whether the job's place holds the mark that is left of an erased one: its words must not come back alone."""
    found = client.get_item(TableName=table, Key={"pk": {"S": key}, "sk": {"S": "job"}}, ConsistentRead=True)
    return "Item" in found and "state" not in found["Item"]


def _put(client: Any, table: str, item: dict[str, Any]) -> str:
    try:
        client.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(pk)")
    except client.exceptions.ConditionalCheckFailedException:
        return "there"
    return "copied"


def main(arguments: list[str]) -> int:
    import boto3

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--tokens", action="store_true", help="callers' tokens too, also those that were revoked since")
    given = parser.parse_args(arguments)
    counts = copy(boto3.client("dynamodb"), given.source, given.target, tokens=given.tokens)
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
