"""What is said of a deadline: its alert, the end of a trouble, and what had passed when the watch began."""

from collections.abc import Mapping
from datetime import datetime

from orderwatch.alerts.alert import Alert, alert_id
from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE, KIND_STUCK, severity_of, status_phrase
from orderwatch.alerts.parts import AlertConnection, AlertOrder
from orderwatch.deadlines.rules import Deadline, DeadlineRules, has_ship_by


def deadline_id(connection_id: str, order_id: str, deadline: Deadline) -> str:
    """The id of the alert about a deadline: it is told once, however often it is judged (rule 19)."""
    return alert_id(connection_id, order_id, deadline.kind, deadline.at.isoformat())


def resolved_id(connection_id: str, order_id: str, deadline: Deadline) -> str:
    """The id of the alert that a told deadline no longer holds, while the order's status stays."""
    return alert_id(connection_id, order_id, "over", deadline.kind, deadline.at.isoformat())


def deadline_alert(
    deadline: Deadline,
    *,
    order: AlertOrder,
    rules: DeadlineRules,
    connection: AlertConnection,
    data_as_of: datetime | None,
) -> Alert:
    """The alert about a deadline that passed.

    Args:
        deadline: Which.
        order: The order as it was seen then.
        rules: Its shop's.
        connection: The shop.
        data_as_of: The end of the vendor's last sync.
    """
    return Alert(
        alert_id=deadline_id(connection.id, order.id, deadline),
        kind=deadline.kind,
        severity=severity_of(deadline.kind),
        connection_id=connection.id,
        connection=connection,
        order=order.model_copy(update={"due_at": deadline.at}),
        detail=_in_words(deadline, order.status, rules),
        data_as_of=data_as_of,
    )


def _in_words(deadline: Deadline, status: str, rules: DeadlineRules) -> str | None:
    """What a ship-by does not tell."""
    if deadline.kind != KIND_STUCK:
        return None
    days = "a whole business day" if rules.stuck_days == 1 else f"{rules.stuck_days} whole business days"
    return f"It has been {status_phrase(status)} for {days}, without a ship-by."


def describe_resolved(deadline: Deadline, *, order: AlertOrder, is_open: bool) -> str:
    """What became of a deadline that was told and no longer holds.

    Args:
        deadline: Which.
        order: The order as it is now.
        is_open: Whether it is still to ship.
    """
    what = "late" if deadline.kind == KIND_LATE else "stuck"
    if is_open and has_ship_by(order.ship_by):
        return f"It is no longer {what}: it has a new ship-by."
    if is_open and deadline.kind == KIND_LATE:
        return f"It is no longer {what}: it has no ship-by any more."
    return f"It was {what} and is now {status_phrase(order.status)}."


def describe_past(past: Mapping[str, int], rules: DeadlineRules) -> str:
    """What had passed when the watch began, in one sentence; empty where nothing had.

    Args:
        past: How many orders, by the kind of the deadline that passed last.
        rules: Their shop's.
    """
    late, at_risk = past.get(KIND_LATE, 0), past.get(KIND_AT_RISK, 0)
    said = [_late_in_words(late)] if late else []
    if at_risk:
        hours = "an hour" if rules.late_warning_hours == 1 else f"{rules.late_warning_hours} hours"
        said.append(f"{at_risk:,} {'has' if at_risk == 1 else 'have'} to ship within {hours}")
    return " and ".join(said)


def _late_in_words(count: int) -> str:
    return "1 order is already past its ship-by" if count == 1 else f"{count:,} orders are already past their ship-by"
