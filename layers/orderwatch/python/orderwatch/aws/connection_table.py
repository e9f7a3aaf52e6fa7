"""ConnectionTable: the state that one poll of a connection passes on to the next."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from orderwatch.alerts.summary import ALL_SHOPS
from orderwatch.aws.dynamodb import Action, batch_get, check_action, from_item, put_action, to_item
from orderwatch.model import describe_flaws
from orderwatch.observability import logger
from orderwatch.records import ConnectionState

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class ConnectionTable:
    """The rows of connections."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self._name = name

    def load(self, connection_id: str) -> ConnectionState:
        """The connection's row, by a consistent read; a new one if there is none.

        Raises:
            ValidationError: The row is invalid.
        """
        key = to_item({"connection_id": connection_id})
        item = self._client.get_item(TableName=self._name, Key=key, ConsistentRead=True).get("Item")
        return state_from_row(from_item(item)) if item else ConnectionState(connection_id=connection_id)

    def load_all(self, connection_ids: Iterable[str]) -> dict[str, ConnectionState]:
        """The existing, valid rows of these connections, 100 a request.

        An invalid row fails its own poll and must not affect other connections, so it is logged and left out.
        """
        states: dict[str, ConnectionState] = {}
        keys = ({"connection_id": connection_id} for connection_id in connection_ids)
        for row in batch_get(self._client, self._name, keys):
            connection_id = row["connection_id"]
            try:
                states[connection_id] = state_from_row(row)
            except ValidationError as error:
                extra = {"connection_id": connection_id, "flaws": describe_flaws(error)}
                logger.error("connection row is invalid; skipped", extra=extra)
        return states

    def save_action(self, state: ConnectionState) -> Action:
        """The write of the state, on condition that the row is still the one that was loaded."""
        condition, values = _unchanged(state)
        return put_action(self._name, row_from_state(state.committed()), condition=condition, values=values)

    def unchanged_action(self, state: ConnectionState) -> Action:
        """The condition that the row is still the one that was loaded, without a write."""
        condition, values = _unchanged(state)
        return check_action(self._name, {"connection_id": state.connection_id}, condition=condition, values=values)

    def connection_ids(self) -> list[str]:
        """The ids of all connections that were ever polled; scans the table. The row of `ALL_SHOPS` is none of them."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._name, ProjectionExpression="connection_id")
        return sorted({from_item(item)["connection_id"] for page in pages for item in page["Items"]} - {ALL_SHOPS})


@cache
def _state_adapter() -> TypeAdapter[ConnectionState]:
    """The converter of the stored JSON; built at first use, as it costs a cold start milliseconds."""
    return TypeAdapter(ConnectionState)


def row_from_state(state: ConnectionState) -> dict[str, Any]:
    """The attributes of a connection's row. Numbers are Decimals, as DynamoDB takes no float."""
    row: dict[str, Any] = json.loads(_state_adapter().dump_json(state, exclude_none=True), parse_float=Decimal)
    return row


def state_from_row(row: Mapping[str, Any]) -> ConnectionState:
    """Decode the result of `row_from_state`.

    Raises:
        ValidationError: The row is invalid.
    """
    return _state_adapter().validate_python(row)


def _unchanged(state: ConnectionState) -> tuple[str, dict[str, int]]:
    if state.revision == 0:
        return "attribute_not_exists(connection_id)", {}
    return "revision = :revision", {":revision": state.revision}
