"""What programs get: the alert's own JSON, `orderwatch.alert.v1` (its schema: `docs/alert.schema.json`)."""

from typing import Any

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.summary import DailySummary, longest
from orderwatch.rendering import content, formatting, next_steps

MAX_BYTES = 200_000


def body(alert: Alert, *, limit: int = MAX_BYTES) -> str:
    """The alert as compact JSON of at most `limit` bytes in UTF-8.

    One that is larger loses line items (a digest: orders) from the end; `more_line_items` (`more_orders`) counts
    them exactly. The limit can be broken only by one that is too large without any.
    """
    alert = in_words(alert)
    whole = _dump(alert)
    if len(whole.encode()) <= limit:
        return whole
    if alert.daily:
        return _dump(_with_fitting_shops(alert, alert.daily, limit))
    slim = _with_short_detail(alert)
    return _dump(_keeping(slim, _most_that_fit(slim, limit)))


def in_words(alert: Alert) -> Alert:
    """The alert with what people read of it in one line, and how urgent it is."""
    words = {"summary": content.summary(alert), "next_step": next_steps.next_step(alert)}
    return alert.model_copy(
        update=words | {"urgency": formatting.urgency(alert), "late_hours": formatting.late_hours(alert)}
    )


def _with_fitting_shops(alert: Alert, daily: DailySummary, limit: int) -> Alert:
    shown = longest(daily, lambda each: len(_dump(alert.model_copy(update={"daily": each})).encode()) <= limit)
    return alert.model_copy(update={"daily": shown})


def _dump(alert: Alert) -> str:
    return formatting.storable(alert.model_dump_json())


def _with_short_detail(alert: Alert) -> Alert:
    return alert.model_copy(update={"detail": content.short_detail(alert)})


def _most_that_fit(alert: Alert, limit: int) -> int:
    """By bisection, the largest number of entries that fits."""
    low, high = 0, len(_entries(alert))
    while low < high:
        middle = (low + high + 1) // 2
        if len(_dump(_keeping(alert, middle)).encode()) <= limit:
            low = middle
        else:
            high = middle - 1
    return low


def _entries(alert: Alert) -> tuple[Any, ...]:
    if alert.digest:
        return alert.digest.orders
    if alert.waiting:
        return alert.waiting.orders
    return alert.order.line_items if alert.order else ()


def _keeping(alert: Alert, count: int) -> Alert:
    left_out = len(_entries(alert)) - count
    if alert.digest:
        more = alert.digest.more_orders + left_out
        digest = alert.digest.model_copy(update={"orders": alert.digest.orders[:count], "more_orders": more})
        return alert.model_copy(update={"digest": digest})
    if alert.waiting:
        more = alert.waiting.more_orders + left_out
        waiting = alert.waiting.model_copy(update={"orders": alert.waiting.orders[:count], "more_orders": more})
        return alert.model_copy(update={"waiting": waiting})
    if alert.order:
        more = alert.order.more_line_items + left_out
        order = alert.order.model_copy(update={"line_items": alert.order.line_items[:count], "more_line_items": more})
        return alert.model_copy(update={"order": order})
    return alert
