"""The JSON for programs: `orderwatch.alert.v1` (its schema: `docs/alert.schema.json`)."""

from bisect import bisect_left

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.summary import DailySummary
from orderwatch.rendering import content, formatting, next_steps

MAX_BYTES = 200_000


def body(alert: Alert, *, limit: int = MAX_BYTES) -> str:
    """The alert as compact JSON of at most `limit` bytes in UTF-8.

    A larger alert loses order lines (a digest or backlog: orders; a summary: shops) from the end, and the JSON contains
    the exact number left out. An alert that is too large without any list exceeds the limit.
    """
    alert = with_texts(alert)
    if _size(alert) <= limit:
        return _dump(alert)
    if alert.summary:

        def fits(shown: DailySummary) -> bool:
            return _size(alert.replace(summary=shown)) <= limit

        return _dump(alert.replace(summary=alert.summary.longest(fits)))
    alert = alert.replace(detail=content.short_detail(alert))
    kept = bisect_left(range(1, _list_length(alert) + 1), True, key=lambda count: _size(_keeping(alert, count)) > limit)
    return _dump(_keeping(alert, kept))


def with_texts(alert: Alert) -> Alert:
    """The alert with the fields that are set when it is sent: title, next step, urgency."""
    return alert.replace(
        title=content.title(alert),
        next_step=next_steps.next_step(alert),
        urgency=formatting.urgency(alert),
        late_hours=formatting.late_hours(alert),
    )


def _dump(alert: Alert) -> str:
    return formatting.without_noncharacters(alert.model_dump_json())


def _size(alert: Alert) -> int:
    return len(_dump(alert).encode())


def _list_length(alert: Alert) -> int:
    if alert.digest:
        return len(alert.digest.orders)
    if alert.backlog:
        return len(alert.backlog.orders)
    return len(alert.order.line_items) if alert.order else 0


def _keeping(alert: Alert, count: int) -> Alert:
    """The alert with the first `count` entries of its list."""
    if alert.digest:
        return alert.replace(digest=alert.digest.keeping(count))
    if alert.backlog:
        return alert.replace(backlog=alert.backlog.keeping(count))
    return alert.replace(order=alert.order.keeping(count)) if alert.order else alert
