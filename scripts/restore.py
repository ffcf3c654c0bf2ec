"""Copies one table's items into another where they are not: ``python scripts/restore.py wordcounts-restored <live>``.

For a restored or a kept table. What the live table has is newer and stays; may be stopped and run again at any time.
"""

import sys
from typing import Any


def copy(client: Any, source: str, target: str) -> tuple[int, int]:
    """Copy every item of ``source`` whose key ``target`` does not have; returns how many went, how many were there."""
    copied = there = 0
    for page in client.get_paginator("scan").paginate(TableName=source):
        for item in page["Items"]:
            try:
                client.put_item(TableName=target, Item=item, ConditionExpression="attribute_not_exists(pk)")
            except client.exceptions.ConditionalCheckFailedException:
                there += 1
            else:
                copied += 1
    return copied, there


def main(arguments: list[str]) -> int:
    import boto3

    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    copied, there = copy(boto3.client("dynamodb"), *arguments)
    print(f"{copied} items copied, {there} were there")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
