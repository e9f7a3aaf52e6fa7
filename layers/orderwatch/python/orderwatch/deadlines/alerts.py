"""The alerts about deadlines, the reminders, and the sentences about resolved and already passed deadlines."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from orderwatch.alerts.alert import Alert, alert_id
from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE, KIND_REMINDER, KIND_STUCK, severity_of, status_phrase
from orderwatch.alerts.parts import AlertConnection, AlertOrder
from orderwatch.clock import duration
from orderwatch.deadlines.rules import Deadline, DeadlineRules, Reminder
from orderwatch.ownership import Ownership


def deadline_id(connection_id: str, order_id: str, deadline: Deadline) -> str:
    """The id of the alert about a deadline, which is alerted once, even if it is evaluated again (rule 19)."""
    return alert_id(connection_id, order_id, deadline.kind, deadline.at.isoformat())


def resolved_id(connection_id: str, order_id: str, deadline: Deadline) -> str:
    """The id of the alert about an alerted deadline that is resolved while the order keeps its status."""
    return alert_id(connection_id, order_id, "resolved", deadline.kind, deadline.at.isoformat())


def deadline_alert(
    deadline: Deadline,
    *,
    order: AlertOrder,
    rules: DeadlineRules,
    connection: AlertConnection,
    data_as_of: datetime | None,
) -> Alert:
    """The alert about a deadline that passed; `data_as_of` is the end of Trackstar's last sync."""
    return Alert(
        alert_id=deadline_id(connection.id, order.id, deadline),
        kind=deadline.kind,
        severity=severity_of(deadline.kind),
        connection_id=connection.id,
        connection=connection,
        order=order.replace(due_at=deadline.at),
        detail=_detail(deadline, order.status, rules),
        data_as_of=data_as_of,
    )


def _detail(deadline: Deadline, status: str, rules: DeadlineRules) -> str | None:
    """How long the order has been stuck; the other kinds need no detail besides the ship-by."""
    if deadline.kind != KIND_STUCK:
        return None
    said = status_phrase(status)
    return f"{said[:1].upper()}{said[1:]} for {_counted(rules.stuck_days, 'business day')}, with no ship-by date."


def _counted(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"


class Problem(NamedTuple):
    """Why an order needs attention.

    Attributes:
        since: When that began.
        kind: `order.late` or `order.stuck`; None: its status.
    """

    since: datetime
    kind: str | None = None


def reminder_alert(
    reminder: Reminder,
    *,
    order: AlertOrder,
    problem: Problem,
    ownership: Ownership | None,
    rules: DeadlineRules,
    connection: AlertConnection,
    data_as_of: datetime | None,
) -> Alert:
    """The reminder about an order that still needs attention (rule 24).

    Args:
        reminder: The reminder that is due.
        order: The order.
        problem: Why it needs attention.
        ownership: Who worked on it up to now.
        rules: The rules of its shop.
        connection: The shop.
        data_as_of: The end of Trackstar's last sync.
    """
    return Alert(
        alert_id=alert_id(connection.id, order.id, KIND_REMINDER, reminder.at.isoformat()),
        kind=KIND_REMINDER,
        severity=severity_of(KIND_REMINDER),
        connection_id=connection.id,
        connection=connection,
        order=order.replace(due_at=reminder.at),
        detail=_reminder_detail(reminder, order, problem, ownership or Ownership(), rules),
        data_as_of=data_as_of,
    )


def _reminder_detail(
    reminder: Reminder, order: AlertOrder, problem: Problem, ownership: Ownership, rules: DeadlineRules
) -> str:
    """For example `Reminder 2 of 3: backordered for 3 business days, nobody has taken it.`."""
    which = f"Reminder {reminder.number} of {rules.max_reminders}" if rules.reminder_hours else "Reminder"
    what = problem.kind.removeprefix("order.") if problem.kind else status_phrase(order.status)
    owner, taken_at = ownership.owner, ownership.taken_at
    by = f"taken by {owner} {duration(order.seen_at - taken_at, units=1)} ago" if owner and taken_at else None
    how_long = f"{what} for {_business_span(problem.since, order.seen_at, rules)}"
    if ownership.snoozed_until:
        return f"{which}: the snooze has ended, still {how_long}, {by or 'nobody has taken it'}."
    return f"{which}: {by}, still {what}." if by else f"{which}: {how_long}, nobody has taken it."


def _business_span(since: datetime, until: datetime, rules: DeadlineRules) -> str:
    """Whole business days, `5 business hours` below one, or `less than a business hour`."""
    span = rules.business_time(since, until)
    if days := span // timedelta(days=1):
        return _counted(days, "business day")
    hours = span // timedelta(hours=1)
    return _counted(hours, "business hour") if hours else "less than a business hour"


def describe_resolved(deadline: Deadline, *, order: AlertOrder, is_open: bool) -> str:
    """Why a deadline that was alerted no longer applies to the order as it is now."""
    problem = "late" if deadline.kind == KIND_LATE else "stuck"
    if is_open and order.ship_by:
        return f"It is no longer {problem}: it has a new ship-by."
    if is_open and deadline.kind == KIND_LATE:
        return f"It is no longer {problem}: its ship-by was removed."
    return f"It was {problem} and is now {status_phrase(order.status)}."


def describe_past(past: Mapping[str, int], rules: DeadlineRules) -> list[str]:
    """Sentences about the deadlines that had passed when watching began; none if there were none.

    Args:
        past: Number of orders by the kind of the latest deadline that passed.
        rules: The rules of their shop.
    """
    late, at_risk = past.get(KIND_LATE, 0), past.get(KIND_AT_RISK, 0)
    sentences = []
    if late:
        unlisted = "it won't be alerted" if late == 1 else "they won't be alerted one by one"
        sentences.append(f"{late:,} {'is' if late == 1 else 'are'} already overdue; {unlisted}.")
    if at_risk:
        warned = "it is alerted" if at_risk == 1 else "each is alerted"
        due = f"{at_risk:,} {'is' if at_risk == 1 else 'are'} due within {rules.late_warning_hours} h"
        sentences.append(f"{due}; {warned} if late.")
    return sentences
