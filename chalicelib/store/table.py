"""One DynamoDB table: its form, and calls that say ``Unavailable`` where DynamoDB cannot serve now."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from chalicelib.aws import dynamodb
from chalicelib.errors import NoTable, Unavailable
from chalicelib.store.clock import Clock
from chalicelib.store.job import Job, job_of, key, pk, plain, values

_KEYS_ONLY = {"ProjectionType": "KEYS_ONLY"}
# The table in create_table's form. The script that makes it locally and the AWS template both take it from here.
TABLE: dict[str, Any] = {
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
        {"AttributeName": "due_shard", "AttributeType": "S"},
        {"AttributeName": "due_at", "AttributeType": "N"},
        {"AttributeName": "owner", "AttributeType": "S"},
        {"AttributeName": "submitted_at", "AttributeType": "N"},
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "due",
            "KeySchema": [
                {"AttributeName": "due_shard", "KeyType": "HASH"},
                {"AttributeName": "due_at", "KeyType": "RANGE"},
            ],
            "Projection": _KEYS_ONLY,
        },
        {
            "IndexName": "owner",
            "KeySchema": [
                {"AttributeName": "owner", "KeyType": "HASH"},
                {"AttributeName": "submitted_at", "KeyType": "RANGE"},
            ],
            "Projection": _KEYS_ONLY,
        },
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
TTL_ATTRIBUTE = "expires_at"


PutMany = Callable[[Sequence[Mapping[str, Any]]], list[bool | None]]


class ConditionFailed(Exception):
    """The condition of a write does not hold."""


class Table:
    """A table through ``send(operation, arguments)``, which raises ``dynamodb.Failed``.

    ``put_many`` sends many puts at once, where a client can; of each: written, refused, or None for not known.
    """

    def __init__(
        self, send: dynamodb.Send, table_name: str, clock: Clock | None = None, put_many: PutMany | None = None
    ) -> None:
        self.send = send
        self.table_name = table_name
        self.clock = clock or Clock()
        self._put_many = put_many or (lambda puts: [None for _ in puts])

    def now(self) -> int:
        """DynamoDB's time in milliseconds; asks once where no answer has been seen yet."""
        if not self.clock.known:
            self.ping()
        return self.clock.now()

    def ping(self) -> None:
        """One cheap read: ``Unavailable`` when the table does not answer."""
        self._call("get_item", Key=key("ping", "ping"), ProjectionExpression="pk")

    def _is_gone(self, item: Mapping[str, Any], mark: str = "state") -> bool:
        """Whether a record has expired, or is what is left of an erased one, which lacks this attribute."""
        return mark not in item or self._is_over(item)

    def _is_over(self, item: Mapping[str, Any]) -> bool:
        # DynamoDB deletes expired items days late, and some stand-ins never.
        return int(item["expires_at"]["N"]) <= self.clock.now() // 1000

    def _change(
        self,
        job_id: str,
        changes: dict[str, Any],
        condition: str,
        given: dict[str, Any],
        *,
        add: Mapping[str, int] | None = None,
        drop: Iterable[str] = (),
    ) -> Job:
        """One conditional update that raises ``version``; returns the job after it."""
        held = {name: plain(name, value) for name, value in changes.items()}
        steps = {"version": 1, **(add or {})}
        return job_of(self._update(key(pk(job_id), "job"), held, (condition, given), add=steps, drop=drop))

    def _update(
        self,
        place: Mapping[str, Any],
        changes: Mapping[str, Any],
        condition: tuple[str, Mapping[str, Any]],
        *,
        add: Mapping[str, int],
        drop: Iterable[str] = (),
    ) -> Mapping[str, Any]:
        """One update of an item where a condition (text, values) holds, else ``ConditionFailed``; the item after it."""
        clauses = {
            "SET": [f"#{name} = :{name}" for name in changes],
            "ADD": [f"#{name} :add_{name}" for name in add],
            "REMOVE": [f"#{name}" for name in drop],
        }
        expression = " ".join(f"{verb} {', '.join(some)}" for verb, some in clauses.items() if some)
        text, given = condition
        held = {f":{name}": value for name, value in changes.items()}
        steps = {f":add_{name}": step for name, step in add.items()}
        answer = self._call(
            "update_item",
            Key=place,
            UpdateExpression=expression,
            ConditionExpression=text,
            ExpressionAttributeNames={f"#{name}": name for name in re.findall(r"#(\w+)", f"{expression} {text}")},
            ExpressionAttributeValues=values({**held, **steps, **given}),
            ReturnValues="ALL_NEW",
        )
        found: Mapping[str, Any] = answer["Attributes"]
        return found

    def _transition(
        self,
        job_id: str,
        changes: dict[str, Any],
        condition: tuple[str, dict[str, Any]],
        *,
        is_mine: Callable[[Job], bool],
        add: Mapping[str, int] | None = None,
        drop: Iterable[str] = (),
    ) -> Job | None:
        """A change of state; the job after it, or None where the condition (text, values) does not hold.

        A try whose answer was lost may have been the one that did it: the next try then finds its own work in the
        way. So a condition that fails is followed by a look at the record, and ``is_mine`` says whose work it shows.
        """
        try:
            return self._change(job_id, changes, *condition, add=add, drop=drop)
        except ConditionFailed:
            seen = self.find(job_id)
            return seen if seen is not None and is_mine(seen) else None

    def find(self, job_id: str) -> Job | None:
        """The job as it is now; None where it is not there, expired or erased."""
        item = self._item(key(pk(job_id), "job"))
        return None if item is None or self._is_gone(item) else job_of(item)

    def _item(self, place: Mapping[str, Any]) -> Mapping[str, Any] | None:
        item: Mapping[str, Any] | None = self._call("get_item", Key=place, ConsistentRead=True).get("Item")
        return item

    def _within(self, query: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """All that a query of a partition finds, in the order of their keys."""
        for page in self._pages("query", **query, ConsistentRead=True):
            yield from page["Items"]

    def _newest(
        self, owner: str, kind: str, *, limit: int, after: tuple[int, str] | None
    ) -> tuple[list[str], tuple[int, str] | None]:
        """Ids of what this owner has of a kind, newest first, and where the next page starts: (submitted_at, id)."""
        start: dict[str, Any] = {}
        if after is not None:
            begin = key(f"{kind}#{after[1]}", kind) | values({"owner": owner, "submitted_at": after[0]})
            start = {"ExclusiveStartKey": begin}
        answer = self._call(
            "query",
            IndexName="owner",
            KeyConditionExpression="#owner = :owner",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues=values({":owner": owner}),
            ScanIndexForward=False,
            Limit=limit,
            **start,
        )
        last = answer.get("LastEvaluatedKey")
        cursor = (int(last["submitted_at"]["N"]), last["pk"]["S"].removeprefix(f"{kind}#")) if last else None
        return [item["pk"]["S"].removeprefix(f"{kind}#") for item in answer["Items"]], cursor

    def _batch(self, operation: str, request: dict[str, Any], left: str) -> Iterator[Any]:
        """A batch call, repeated for what DynamoDB left out: at most five times."""
        for pause in (0, 0.05, 0.1, 0.2, 0.4):
            time.sleep(pause)
            answer = self._call(operation, table=False, RequestItems=request)
            yield answer
            request = answer.get(left) or {}
            if not request:
                return
        raise Unavailable("DynamoDB left a part of the batch out each time")

    def _items(self, keys: Sequence[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """The items of keys that differ, those that are there, in no order."""
        for start in range(0, len(keys), 100):
            request = {self.table_name: {"Keys": keys[start : start + 100], "ConsistentRead": True}}
            for answer in self._batch("batch_get_item", request, "UnprocessedKeys"):
                yield from answer["Responses"].get(self.table_name, ())

    def _delete_items(self, keys: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(keys), 25):
            requests = [{"DeleteRequest": {"Key": one}} for one in keys[start : start + 25]]
            for _ in self._batch("batch_write_item", {self.table_name: requests}, "UnprocessedItems"):
                pass

    def _pages(self, operation: str, **arguments: Any) -> Iterator[Any]:
        while True:
            answer = self._call(operation, **arguments)
            yield answer
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _call(self, operation: str, *, table: bool = True, **arguments: Any) -> Any:
        if table:
            arguments["TableName"] = self.table_name
        try:
            return self.send(operation, arguments)
        except dynamodb.Failed as error:
            if error.code == "ConditionalCheckFailedException":
                raise ConditionFailed from None
            if error.code == "ResourceNotFoundException":
                raise NoTable(f"There is no table {self.table_name}: is TABLE_NAME right?") from error
            if error.transient:
                raise Unavailable(f"DynamoDB does not serve: {error}") from error
            raise


def under(pk: str, prefix: str = "") -> dict[str, Any]:
    """The query for the items of a partition, or for those whose sort key begins so."""
    if not prefix:
        return {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": values({":pk": pk})}
    condition = "pk = :pk AND begins_with(sk, :prefix)"
    return {"KeyConditionExpression": condition, "ExpressionAttributeValues": values({":pk": pk, ":prefix": prefix})}


def create_table(client: Any, name: str) -> bool:
    """Make the table where it is not there yet, and wait until it can be used; whether it was made."""
    try:
        client.create_table(TableName=name, **TABLE)
    except client.exceptions.ResourceInUseException:
        return False
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
    return True
