"""What waits for a person already when the watch of a shop begins: the most urgent orders, and all of them counted."""

from collections.abc import Iterable
from datetime import datetime

from orderwatch.alerts.many import Waiting, WaitingOrder
from orderwatch.alerts.parts import by_urgency
from orderwatch.polling.transitions import Observation, Policy
from orderwatch.polling.windows import MAX_WAITING, Progress
from orderwatch.trackstar.orders import Order


def most_urgent(known: Iterable[WaitingOrder], observed: Observation, policy: Policy) -> tuple[WaitingOrder, ...]:
    """The most urgent orders after one more page: what it shows of an order replaces what was known of it."""
    shown = {order.id: order for order in known if order.id not in observed.orders}
    shown |= {order.id: _waiting(order) for order in observed.orders.values() if policy.waits(order.status)}
    return tuple(sorted(shown.values(), key=lambda order: by_urgency(order.ship_by, order.total_price))[:MAX_WAITING])


def _waiting(order: Order) -> WaitingOrder:
    details = order.details
    return WaitingOrder(
        id=order.id,
        number=order.number,
        url=details.external_system_url,
        status=order.status,
        raw_status=order.raw_status,
        currency=details.invoice_currency_code,
        total_price=details.total_price,
        ship_by=order.latest_ship_date,
    )


def waiting_now(progress: Progress, *, now: datetime) -> Waiting | None:
    """What waits once the baseline is done; None where nothing does.

    Args:
        progress: Of the baseline.
        now: The vendor's clock.
    """
    by_status = dict(progress.attention)
    if not by_status:
        return None
    # An order that moved while the history was read may be counted and yet wait no longer.
    more = max(sum(by_status.values()) - len(progress.waiting), 0)
    return Waiting(seen_at=now, by_status=by_status, orders=progress.waiting, more_orders=more)
