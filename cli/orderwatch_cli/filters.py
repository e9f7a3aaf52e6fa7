"""Checks the values of filters: an unknown shop, status or kind is an error, not an empty list."""

from orderwatch.alerts import kinds
from orderwatch.alerts.summary import ALL_SHOPS
from orderwatch.errors import OrderwatchError
from orderwatch.statuses import DOCUMENTED_STATUSES, normalize_status
from orderwatch_cli.parameters import named_shops
from orderwatch_cli.shop_status import polled_connection_ids, polled_shops
from orderwatch_cli.stack import Stack

KINDS = frozenset(value for name, value in vars(kinds).items() if name.startswith("KIND_"))
"""All kinds but those that are named after a status."""
NO_SHOP = frozenset({kinds.ALERT_TOPIC, kinds.OPS_TOPIC, ALL_SHOPS, "AlertStatuses"})
"""The `connection_id` of alerts that concern the whole stack."""


class UnknownFilterError(OrderwatchError):
    """A filter names a shop, a status or a kind that does not exist; the message lists the valid ones."""


def connection_ids(stack: Stack) -> set[str]:
    """Return the ID of every shop that is connected or was polled before."""
    return {*(shop.connection_id for shop in named_shops(stack)), *polled_connection_ids(stack)}


def require_shop(stack: Stack, connection_id: str) -> None:
    """Check that the shop is connected or was polled before.

    Raises:
        UnknownFilterError: No shop has this ID.
    """
    if connection_id not in connection_ids(stack) | NO_SHOP:
        raise UnknownFilterError(f"no shop {connection_id}; list the shops with: {stack.commands.own('shops')}")


def known_status(stack: Stack, text: str) -> str:
    """Return the status as orders have it, in whatever spelling it is given.

    Raises:
        UnknownFilterError: Trackstar does not document it, the stack does not watch it, and no order had it.
    """
    status, known = normalize_status(text), _statuses(stack)
    if status not in known:
        raise UnknownFilterError(f"no status {text}; statuses: {', '.join(sorted(known))}")
    return status


def require_kind(stack: Stack, kind: str) -> None:
    """Check that an alert can be of the kind.

    Raises:
        UnknownFilterError: No alert is of this kind.
    """
    known = KINDS | {f"order.{status}" for status in _statuses(stack)}
    if kind not in known:
        raise UnknownFilterError(f"no kind {kind}; kinds: {', '.join(sorted(known))}")


def _statuses(stack: Stack) -> set[str]:
    polled = polled_shops(stack, polled_connection_ids(stack))
    seen = {status for shop in polled.values() for status in shop.other_statuses}
    return {*DOCUMENTED_STATUSES, *stack.parameters.watched_statuses, *seen}
