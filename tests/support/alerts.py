"""Alerts, made the way a poll makes them."""

from datetime import UTC, datetime

from orderwatch.alerts import Alert, AlertConnection
from orderwatch.polling.transitions import Observation, OrderWrite, Policy, decide
from orderwatch.trackstar.orders import Order, SeenOrder

SEEN_AT = datetime(2026, 1, 5, 12, tzinfo=UTC)


def whole(order: SeenOrder) -> Order:
    """An order that a test made whole from the start (a `Observation.in_full`)."""
    assert isinstance(order, Order)
    return order


def first_sight(
    order_id: str, *, status: str = "exception", connection_id: str = "conn_a", product_ids: tuple[str, ...] = ()
) -> OrderWrite:
    """An order that turns up in this status; the status is watched."""
    lines = [{"product_id": each, "product_sku": f"sku-{each}", "quantity": 2} for each in product_ids]
    order = Order.model_validate(
        {"id": order_id, "status": status, "trackstar_updated_date": SEEN_AT, "line_items": lines}
    )
    observation = Observation(
        connection=AlertConnection(id=connection_id),
        observed_at=SEEN_AT,
        baseline=False,
        watch_started_at=None,
        data_as_of=None,
        in_full=whole,
    )
    move = decide(order, None, observation=observation, policy=Policy(statuses={status}))
    assert move
    return move


def alert_of(
    order_id: str, *, status: str = "exception", connection_id: str = "conn_a", product_ids: tuple[str, ...] = ()
) -> Alert:
    """The alert that tells of it."""
    move = first_sight(order_id, status=status, connection_id=connection_id, product_ids=product_ids)
    assert move.alert
    return move.alert
