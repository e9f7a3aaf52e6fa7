"""DynamoDB in memory that counts what it would charge."""

import math
from collections import Counter
from typing import Any

from tests.support.memory_dynamodb import Item, MemoryDynamoDB

LATENCY = 0.008
"""Seconds of one request, where a benchmark adds them."""


class MeteredDynamoDB(MemoryDynamoDB):
    """Counts requests and units: a transaction writes at twice the price, a read is consistent.

    Attributes:
        requests: How many were made.
        units: By the name of their price.
        alert_units: What the rows of alerts would have cost as plain writes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0
        self.units: Counter[str] = Counter()
        self.alert_units = 0

    def get_item(self, **request: Any) -> dict[str, Any]:
        answer = super().get_item(**request)
        self.requests += 1
        self.units["DynamoDB reads"] += _kilobytes(answer.get("Item", {}), each=4)
        return answer

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        answer = super().batch_get_item(**request)
        key_count = sum(len(each["Keys"]) for each in request["RequestItems"].values())
        found = [item for items in answer["Responses"].values() for item in items]
        self.requests += 1
        self.units["DynamoDB reads"] += key_count - len(found) + sum(_kilobytes(item, each=4) for item in found)
        return answer

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        parts = [part for action in request["TransactItems"] for part in action.values()]
        before = [self._row(part) for part in parts]
        answer = super().transact_write_items(**request)
        self.requests += 1
        for part, row in zip(parts, before, strict=True):
            self._count_write(part["TableName"], row, self._row(part), times=2)
        return answer

    def update_item(self, **request: Any) -> dict[str, Any]:
        before = self._row(request)
        answer = super().update_item(**request)
        self.requests += 1
        self._count_write(request["TableName"], before, self._row(request), times=1)
        return answer

    def _row(self, part: dict[str, Any]) -> Item:
        table = self._tables[part["TableName"]]
        return table.rows.get(table.key_of(part.get("Item") or part["Key"]), {})

    def _count_write(self, table: str, before: Item, after: Item, *, times: int) -> None:
        """The larger of the two rows, and a plain write for the entry of an index that came, went or changed."""
        kilobytes = max(_kilobytes(before), _kilobytes(after))
        indexed = sum(self._moves_entry(keys, before, after) for keys in self._tables[table].indexes.values())
        self.units["DynamoDB writes"] += times * kilobytes + indexed
        if not before and "alert_id" in after:
            self.alert_units += kilobytes + indexed

    @staticmethod
    def _moves_entry(keys: tuple[str, ...], before: Item, after: Item) -> bool:
        was, is_now = (all(key in row for key in keys) for row in (before, after))
        return was != is_now or (is_now and any(before[key] != after[key] for key in keys))


def _kilobytes(item: Item, *, each: int = 1) -> int:
    size = sum(len(name) + len(str(next(iter(value.values())))) for name, value in item.items())
    return max(1, math.ceil(size / 1024 / each))
