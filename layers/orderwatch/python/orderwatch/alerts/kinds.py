"""The kinds of alerts, their severity and their recipients."""

from enum import StrEnum

KIND_BACKORDERED = "order.backordered"
KIND_RECOVERED = "order.recovered"
KIND_DIGEST = "order.digest"
KIND_AT_RISK = "order.at_risk"
KIND_LATE = "order.late"
KIND_STUCK = "order.stuck"
DEADLINE_KINDS = frozenset({KIND_AT_RISK, KIND_LATE, KIND_STUCK})
"""Kinds about an order whose deadline passed."""
KIND_RESTOCKED = "order.restocked"
KIND_REMINDER = "order.reminder"
SAME_STATUS_KINDS = DEADLINE_KINDS | {KIND_RESTOCKED, KIND_REMINDER}
"""Kinds about an order whose status has not changed."""
KIND_BLOCKED = "connection.blocked"
KIND_UNAUTHORIZED = "connection.unauthorized"
KIND_STALE = "connection.stale"
KIND_CONNECTION_RECOVERED = "connection.recovered"
KIND_NO_SUBSCRIBERS = "topic.no_subscribers"
KIND_RESUBSCRIBED = "topic.resubscribed"
TOPIC_KINDS = frozenset({KIND_NO_SUBSCRIBERS, KIND_RESUBSCRIBED})
"""Kinds about an SNS topic: their `connection` is the topic, not a shop."""
ALERT_TOPIC = "AlertTopic"
OPS_TOPIC = "OpsTopic"
KIND_WATCH_STARTED = "watch.started"
KIND_QUARANTINED = "orders.quarantined"
KIND_UNREADABLE = "orders.unreadable_values"
KIND_POLL_FAILING = "connection.poll_failing"
KIND_UNKNOWN_STATUS = "status.unknown"
KIND_NEW_STATUS = "status.new"
KIND_PRODUCTS_BLOCKED = "products.blocked"
KIND_REFUSED_SETTINGS = "settings.refused"
KIND_SUMMARY = "summary.daily"
KIND_REFUSED_SYNC = "sync.refused"
OPERATORS_KINDS = frozenset(
    {
        KIND_QUARANTINED,
        KIND_UNREADABLE,
        KIND_POLL_FAILING,
        KIND_UNKNOWN_STATUS,
        KIND_NEW_STATUS,
        KIND_PRODUCTS_BLOCKED,
        KIND_REFUSED_SETTINGS,
        KIND_REFUSED_SYNC,
    }
)
"""Kinds that go to OpsTopic: only the operators of orderwatch can act on them."""


class Recipients(StrEnum):
    """Who receives an alert: `everybody` through AlertTopic, `operators` through OpsTopic."""

    EVERYBODY = "everybody"
    OPERATORS = "operators"


class Severity(StrEnum):
    """`critical` needs a person now, `warning` needs a person today, `info` needs no action."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Urgency(StrEnum):
    """How close the ship-by of an open order is: `overdue` (passed), `soon` (within 24 hours) or `none`."""

    NONE = "none"
    SOON = "soon"
    OVERDUE = "overdue"


_SEVERITIES = {
    "order.exception": Severity.CRITICAL,
    KIND_LATE: Severity.CRITICAL,
    KIND_BLOCKED: Severity.CRITICAL,
    KIND_UNAUTHORIZED: Severity.CRITICAL,
    KIND_NO_SUBSCRIBERS: Severity.CRITICAL,
    KIND_RESUBSCRIBED: Severity.INFO,
    KIND_POLL_FAILING: Severity.CRITICAL,
    KIND_RECOVERED: Severity.INFO,
    KIND_CONNECTION_RECOVERED: Severity.INFO,
    KIND_WATCH_STARTED: Severity.INFO,
}


def severity_of(kind: str) -> Severity:
    """The severity of a kind; `warning` for an unknown one."""
    return _SEVERITIES.get(kind, Severity.WARNING)


_STATUS_NAMES = {"partially_fulfilled": "partly shipped", "other": "custom status"}
_STATUS_PHRASES = {"exception": "in exception", "other": "in a custom status"}


def status_name(status: str) -> str:
    """A status as people read it: `exception`, `partly shipped`, `on hold`."""
    return _STATUS_NAMES.get(status, status.replace("_", " "))


def status_phrase(status: str) -> str:
    """A status as part of a sentence: `in exception`, `partly shipped`, `on hold`."""
    return _STATUS_PHRASES.get(status) or status_name(status)
