"""ConnectionTable: how far each connection was read, and its health."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from orderwatch.aws.dynamodb import Action, batch_get, check_action, from_item, put_action, to_item
from orderwatch.model import describe_flaws
from orderwatch.observability import logger
from orderwatch.polling.state import ConnectionState

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class ConnectionTable:
    """The rows of connections.

    Args:
        client: DynamoDB.
        name: The table.
    """

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self._name = name

    def load(self, connection_id: str) -> ConnectionState:
        """The connection's row, consistent; a new one where there is none."""
        key = to_item({"connection_id": connection_id})
        item = self._client.get_item(TableName=self._name, Key=key, ConsistentRead=True).get("Item")
        return ConnectionState.model_validate(from_item(item)) if item else ConnectionState(connection_id=connection_id)

    def load_all(self, connection_ids: Iterable[str]) -> dict[str, ConnectionState]:
        """The rows of these connections, those that there are and can be read, 100 a request."""
        keys = ({"connection_id": connection_id} for connection_id in connection_ids)
        rows = filter(None, map(_readable, batch_get(self._client, self._name, keys)))
        return {row.connection_id: row for row in rows}

    def save_action(self, state: ConnectionState) -> Action:
        """The write of the state, on condition that the row is still the one that was loaded."""
        written = state.model_copy(update={"revision": state.revision + 1}).model_dump_json(exclude_none=True)
        row = json.loads(written, parse_float=Decimal)  # the price of an order that waits: DynamoDB takes no float
        condition, values = _unchanged(state)
        return put_action(self._name, row, condition=condition, values=values)

    def unchanged_action(self, state: ConnectionState) -> Action:
        """The condition alone: the row is still the one that was loaded."""
        condition, values = _unchanged(state)
        key = {"connection_id": state.connection_id}
        return check_action(self._name, key, condition=condition, values=values)


def _readable(row: Mapping[str, Any]) -> ConnectionState | None:
    """The state; None where it is broken, which its own poll tells and must cost no other connection."""
    try:
        return ConnectionState.model_validate(row)
    except ValidationError as error:
        flaws = describe_flaws(error)
        logger.error("a connection's row is broken", extra={"connection_id": row["connection_id"], "flaws": flaws})
        return None


def _unchanged(state: ConnectionState) -> tuple[str, dict[str, int]]:
    if state.revision == 0:
        return "attribute_not_exists(connection_id)", {}
    return "revision = :revision", {":revision": state.revision}
