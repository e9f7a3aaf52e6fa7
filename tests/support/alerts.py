"""Alerts, made the way a poll makes them."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertConnection, AlertShipment
from orderwatch.polling.detect import Observation, OrderWrite, detect
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import WindowKind
from orderwatch.trackstar.orders import Order
from tests.support.clocks import NOON

SEEN_AT = NOON

OBSERVED = Observation(
    connection=AlertConnection(id="conn_a"),
    observed_at=NOON + timedelta(days=1),
    window=WindowKind.INCREMENTAL,
    watch_started_at=NOON,
    data_as_of=NOON,
)
"""A page of a window, a day after the watch of the shop began."""


def first_sight(
    order_id: str,
    *,
    status: str = "exception",
    connection_id: str = "conn_a",
    product_ids: tuple[str, ...] = (),
    record: Mapping[str, Any] = MappingProxyType({}),
) -> OrderWrite:
    """A new order in this status, which is watched; `record` has more fields of the vendor's record."""
    lines = [{"product_id": each, "product_sku": f"sku-{each}", "quantity": 2} for each in product_ids]
    fields = {"id": order_id, "status": status, "trackstar_updated_date": SEEN_AT, "line_items": lines}
    order = Order.of(fields | dict(record))
    observation = Observation(
        connection=AlertConnection(id=connection_id),
        observed_at=SEEN_AT,
        window=WindowKind.INCREMENTAL,
        watch_started_at=None,
        data_as_of=None,
    )
    write = detect(order, None, observation=observation, policy=Policy(statuses={status}))
    assert isinstance(write, OrderWrite)
    return write


def alert_of(
    order_id: str,
    *,
    status: str = "exception",
    connection_id: str = "conn_a",
    product_ids: tuple[str, ...] = (),
    record: Mapping[str, Any] = MappingProxyType({}),
) -> Alert:
    """The alert about such an order."""
    write = first_sight(order_id, status=status, connection_id=connection_id, product_ids=product_ids, record=record)
    assert write.alert
    return write.alert


def parcels(count: int | None) -> tuple[AlertShipment, ...] | None:
    """So many shipments of which nothing is known; None if their number is unknown."""
    return None if count is None else (AlertShipment(),) * count


def plain_spaces(message: str) -> str:
    """A message, also as JSON, with plain spaces in its dates, times and amounts."""
    return message.replace("\u00a0", " ").replace("\\u00a0", " ")
