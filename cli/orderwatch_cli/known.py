"""What a filter may name: a word that nothing is called by is an error, never an empty list."""

from typing import Any

from orderwatch.alerts import kinds as contract
from orderwatch.alerts.summary import ALL_SHOPS
from orderwatch.aws.dynamodb import from_item
from orderwatch.errors import OrderwatchError
from orderwatch.polling.connection_alerts import DOCUMENTED
from orderwatch_cli.shop_parameters import named_shops
from orderwatch_cli.stack import Stack

KINDS = frozenset(value for name, value in vars(contract).items() if name.startswith("KIND_"))
"""Every kind but those that are named for a status."""
NO_SHOP = frozenset({contract.ALERT_TOPIC, contract.OPS_TOPIC, ALL_SHOPS, "AlertStatuses"})
"""What alerts call their connection that are about the stack itself."""


class UnknownWordError(OrderwatchError):
    """A filter names a shop, a status or a kind that does not exist: says which there are."""


def connection_ids(stack: Stack) -> set[str]:
    """Every shop that is connected or was ever polled."""
    return {shop.connection_id for shop in named_shops(stack)} | {row["connection_id"] for row in _rows(stack)}


def require_shop(stack: Stack, connection_id: str) -> None:
    """Check that there is such a shop, or was.

    Raises:
        UnknownWordError: There never was.
    """
    if connection_id not in connection_ids(stack) | NO_SHOP:
        raise UnknownWordError(f"no shop {connection_id}; this lists them: {stack.commands.own('shops')}")


def require_status(stack: Stack, status: str) -> None:
    """Check that an order can have the status.

    Raises:
        UnknownWordError: It is none of Trackstar's, none that is watched, and no order ever had it.
    """
    if status not in (known := _statuses(stack)):
        raise UnknownWordError(f"no status {status}: there are {', '.join(sorted(known))}")


def require_kind(stack: Stack, kind: str) -> None:
    """Check that an alert can be of the kind.

    Raises:
        UnknownWordError: It cannot.
    """
    known = KINDS | {f"order.{status}" for status in _statuses(stack)}
    if kind not in known:
        raise UnknownWordError(f"no kind {kind}: there are {', '.join(sorted(known))}")


def _statuses(stack: Stack) -> set[str]:
    seen = {status for row in _rows(stack) for status in row.get("other_statuses", [])}
    return {*DOCUMENTED, *stack.parameters.watched_statuses, *seen}


def _rows(stack: Stack) -> list[dict[str, Any]]:
    pages = stack.aws.dynamodb.get_paginator("scan").paginate(
        TableName=stack.outputs.connection_table_name, ProjectionExpression="connection_id, other_statuses"
    )
    return [from_item(item) for page in pages for item in page["Items"]]
