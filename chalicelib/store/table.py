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

    def _is_gone(self, item: Mapping[str, Any]) -> bool:
        # DynamoDB deletes expired items days late, and some stand-ins never.
        return "state" not in item or int(item["expires_at"]["N"]) <= self.clock.now() // 1000

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
        steps = {"version": 1, **(add or {})}
        sets = [f"#{name} = :{name}" for name in changes]
        sets += [f"#{name} = #{name} + :add_{name}" for name in steps]
        expression = "SET " + ", ".join(sets)
        if drop:
            expression += " REMOVE " + ", ".join(f"#{name}" for name in drop)
        names = set(re.findall(r"#(\w+)", expression + " " + condition))
        all_values = {f":{name}": plain(name, value) for name, value in changes.items()}
        all_values |= {f":add_{name}": step for name, step in steps.items()} | given
        answer = self._call(
            "update_item",
            Key=key(pk(job_id), "job"),
            UpdateExpression=expression,
            ConditionExpression=condition,
            ExpressionAttributeNames={f"#{name}": name for name in names},
            ExpressionAttributeValues=values(all_values),
            ReturnValues="ALL_NEW",
        )
        return job_of(answer["Attributes"])

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
        item = self._item(job_id)
        return None if item is None or self._is_gone(item) else job_of(item)

    def _item(self, job_id: str) -> Mapping[str, Any] | None:
        answer = self._call("get_item", Key=key(pk(job_id), "job"), ConsistentRead=True)
        item: Mapping[str, Any] | None = answer.get("Item")
        return item

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


def under(pk: str) -> dict[str, Any]:
    return {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": pk}}}


def create_table(client: Any, name: str) -> bool:
    """Make the table where it is not there yet, and wait until it can be used; whether it was made."""
    try:
        client.create_table(TableName=name, **TABLE)
    except client.exceptions.ResourceInUseException:
        return False
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
    return True
