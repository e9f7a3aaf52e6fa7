"""Checks the values of filters: an unknown shop, status or kind is an error, not an empty list."""

from collections.abc import Collection

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


def find_shop(stack: Stack, text: str, *, among: Collection[str]) -> str | None:
    """Return the ID of the shop that has this ID or this name; None if there is none. An ID precedes a name.

    Args:
        stack: The stack.
        text: The ID, or the name in any case.
        among: The IDs that are possible.

    Raises:
        UnknownFilterError: Several shops have the name.
    """
    if text in among:
        return text
    name = _comparable(text)
    found = [
        shop.connection_id
        for shop in named_shops(stack)
        if shop.connection_id in among and shop.name and _comparable(shop.name) == name
    ]
    if len(found) > 1:
        raise UnknownFilterError(f"{len(found)} shops are named {text}; use an ID: {', '.join(found)}")
    return found[0] if found else None


def resolve_shop(stack: Stack, text: str) -> str:
    """Return the ID of the shop that has this ID or this name, if it is connected or was polled before.

    Raises:
        UnknownFilterError: No shop has it, or several shops have the name.
    """
    found = find_shop(stack, text, among=connection_ids(stack) | NO_SHOP)
    if found is None:
        raise UnknownFilterError(f"no shop {text}; list the shops with: {stack.commands.own('shops')}")
    return found


def _comparable(name: str) -> str:
    return " ".join(name.split()).casefold()


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
