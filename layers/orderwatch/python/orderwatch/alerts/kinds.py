"""The kinds of alerts, how much each matters, and whom it is for."""

from enum import StrEnum

KIND_RECOVERED = "order.recovered"
KIND_DIGEST = "order.digest"
KIND_AT_RISK = "order.at_risk"
KIND_LATE = "order.late"
KIND_STUCK = "order.stuck"
DEADLINE_KINDS = frozenset({KIND_AT_RISK, KIND_LATE, KIND_STUCK})
"""Kinds that tell of an order that did not move: what it is in has not changed."""
KIND_BLOCKED = "connection.blocked"
KIND_UNAUTHORIZED = "connection.unauthorized"
KIND_STALE = "connection.stale"
KIND_CONNECTION_RECOVERED = "connection.recovered"
KIND_NO_SUBSCRIBERS = "topic.no_subscribers"
KIND_RESUBSCRIBED = "topic.resubscribed"
TOPIC_KINDS = frozenset({KIND_NO_SUBSCRIBERS, KIND_RESUBSCRIBED})
"""Kinds whose connection is a topic, not a shop: that between orderwatch and the people who should hear of it."""
ALERT_TOPIC = "AlertTopic"
OPS_TOPIC = "OpsTopic"
KIND_WATCH_STARTED = "watch.started"
KIND_QUARANTINED = "orders.quarantined"
KIND_POLL_FAILING = "connection.poll_failing"
KIND_UNKNOWN_STATUS = "status.unknown"
KIND_REFUSED_SETTINGS = "settings.refused"
KIND_SUMMARY = "summary.daily"
KIND_REFUSED_SYNC = "sync.refused"
OPERATORS_KINDS = frozenset(
    {KIND_QUARANTINED, KIND_POLL_FAILING, KIND_UNKNOWN_STATUS, KIND_REFUSED_SETTINGS, KIND_REFUSED_SYNC}
)
"""Kinds that go to OpsTopic: only those who run orderwatch can act on them."""


class Recipients(StrEnum):
    """Whom an alert is for: `everybody` gets it through AlertTopic, `operators` through OpsTopic."""

    EVERYBODY = "everybody"
    OPERATORS = "operators"


class Severity(StrEnum):
    """How much it matters: `critical` needs a person now, `warning` today, `info` nobody."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Urgency(StrEnum):
    """What an open order's ship-by says: `overdue` it has passed, `soon` it is due within a day, `none` neither."""

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
    """The severity of a kind; one that is not known is a warning."""
    return _SEVERITIES.get(kind, Severity.WARNING)


_STATUS_PHRASES = {"exception": "in exception", "other": "in a custom status"}


def status_phrase(status: str) -> str:
    """A status within a sentence: `in exception`, `backordered`, `on hold`."""
    return _STATUS_PHRASES.get(status, status.replace("_", " "))
