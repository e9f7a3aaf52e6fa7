"""ConnectionTable: the state that one poll of a connection passes on to the next, and which connections are watched."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from orderwatch import clock
from orderwatch.alerts.summary import ALL_SHOPS
from orderwatch.aws.dynamodb import (
    Action,
    Transactions,
    Unit,
    batch_get,
    check_action,
    from_item,
    put_action,
    scan,
    to_item,
)
from orderwatch.model import describe_flaws
from orderwatch.observability import logger
from orderwatch.records import ConnectionState

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


_LISTING = "#listing"
"""The row about the listing of the Parameter Store. No connection has this id: parameter names have no `#`."""
_OTHER_ROWS = {ALL_SHOPS, _LISTING}
"""The rows that are about no connection."""


@dataclass(frozen=True, slots=True)
class Listing:
    """How far the Parameter Store was listed for new connections; all ticks share it.

    Attributes:
        due_at: Our clock when it is listed next; None: it never was.
        failures: Number of consecutive attempts that read nothing.
        page_token: Where the listing continues; None: at its first page.
    """

    due_at: datetime | None = None
    failures: int = 0
    page_token: str | None = None


@dataclass(frozen=True, slots=True)
class Registry:
    """All rows.

    Attributes:
        watched: The ids of the connections that are watched, sorted; also those whose row is invalid.
        states: The valid rows of connections, by id.
        listing: How far the Parameter Store was listed.
    """

    watched: tuple[str, ...] = ()
    states: Mapping[str, ConnectionState] = field(default_factory=dict)
    listing: Listing = Listing()


class ConnectionTable:
    """The rows of connections. A connection is watched if it has a row without `disconnected_at`."""

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
        """The existing, valid rows of these connections, 100 a request."""
        keys = ({"connection_id": connection_id} for connection_id in connection_ids)
        return _valid_states(batch_get(self._client, self._name, keys))

    def registry(self) -> Registry:
        """All rows, 1 MB a request. A row can be a second old, which halves the price."""
        watched, states, listing = list[str](), dict[str, ConnectionState](), Listing()
        for row in scan(self._client, self._name):
            connection_id = row["connection_id"]
            if connection_id == _LISTING:
                due_at = datetime.fromisoformat(row["due_at"])
                listing = Listing(due_at, int(row["failures"]), row.get("page_token"))
            elif connection_id not in _OTHER_ROWS:
                watched += [] if "disconnected_at" in row else [connection_id]
                states |= _valid_states([row])
        return Registry(tuple(sorted(watched)), states, listing)

    def watch(self, connection_id: str) -> None:
        """Watch a connection: with a new row, or with its old one, whose cursor continues."""
        while not (state := self.load(connection_id)).is_watched:
            self._save(replace(state, disconnected_at=None))

    def unwatch(self, connection_id: str) -> None:
        """Stop watching a connection, and any poll of it that is running. Its row stays."""
        while (state := self.load(connection_id)).is_watched:
            self._save(replace(state, disconnected_at=clock.now()))

    def _save(self, state: ConnectionState) -> None:
        """Write the row, unless another writer was faster."""
        Transactions(self._client).write([Unit(None, (self.save_action(state),))])

    def save_listing(self, listing: Listing, *, after: Listing) -> bool:
        """Save how far the Parameter Store was listed; False if another tick has saved since `after` was read."""
        row = {
            "connection_id": _LISTING,
            "due_at": listing.due_at.isoformat() if listing.due_at else None,
            "failures": listing.failures,
            "page_token": listing.page_token,
        }
        known = after.due_at.isoformat() if after.due_at else None
        condition = "due_at = :known" if known else "attribute_not_exists(connection_id)"
        action = put_action(self._name, row, condition=condition, values={":known": known})
        return not Transactions(self._client).write([Unit(None, (action,))])

    def save_action(self, state: ConnectionState) -> Action:
        """The write of the state, on condition that the row is still the one that was loaded."""
        condition, values = _unchanged(state)
        return put_action(self._name, row_from_state(state.committed()), condition=condition, values=values)

    def unchanged_action(self, state: ConnectionState) -> Action:
        """The condition that the row is still the one that was loaded, without a write."""
        condition, values = _unchanged(state)
        return check_action(self._name, {"connection_id": state.connection_id}, condition=condition, values=values)

    def connection_ids(self) -> list[str]:
        """The ids of all connections that were ever watched, sorted; scans the table."""
        rows = scan(self._client, self._name, ProjectionExpression="connection_id")
        return sorted({row["connection_id"] for row in rows} - _OTHER_ROWS)


def _valid_states(rows: Iterable[Mapping[str, Any]]) -> dict[str, ConnectionState]:
    """The valid rows, by id.

    An invalid row fails its own poll and must not affect other connections, so it is logged and left out.
    """
    states: dict[str, ConnectionState] = {}
    for row in rows:
        connection_id = row["connection_id"]
        try:
            states[connection_id] = state_from_row(row)
        except ValidationError as error:
            extra = {"connection_id": connection_id, "flaws": describe_flaws(error)}
            logger.error("connection row is invalid; skipped", extra=extra)
    return states


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
