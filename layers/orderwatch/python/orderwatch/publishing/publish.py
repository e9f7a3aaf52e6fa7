"""Send one batch of alerts: lease, enrich, group, render, publish, mark as sent.

An alert is delivered at least once, because it is marked after the send (rule 2). If a sender dies in between, its
lease expires, and the next sender sends the alert again with the same id. A failed enrichment or rendering makes an
alert simpler but never stops it (rule 11). A connection whose products are slow delays the alerts of others only within
the time budget of `ProductDetails`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, fields
from itertools import batched
from typing import Protocol, Self

from aws_lambda_powertools.metrics import MetricUnit

from orderwatch import clock
from orderwatch.action_links import ActionLinks
from orderwatch.alerts.alert import Alert, AlertKey, by_connection
from orderwatch.alerts.kinds import SAME_STATUS_KINDS, Recipients
from orderwatch.observability import count_nonzero, logger, metrics
from orderwatch.publishing.enrich import SKIPPED_HELD, SKIPPED_LATE, ProductDetails, without_details
from orderwatch.publishing.group import Group, OrderId, messages_of
from orderwatch.publishing.leases import Leases, Outbox
from orderwatch.records import StoredOrder
from orderwatch.rendering.fallback import render_or_plain
from orderwatch.rendering.sns import SnsMessage

SEND_BATCH = 5
"""Messages that are sent before any is marked: the topic's limit for a second. It bounds duplicates after a crash."""


class Topic(Protocol):
    """A topic of SNS."""

    def publish(self, messages: Sequence[SnsMessage]) -> list[str | None]:
        """Send the messages; return the id of each, or None if SNS did not accept it."""


class CurrentOrders(Protocol):
    """The rows of orders, as the last polls wrote them."""

    def read(self, connection_id: str, order_ids: Collection[str]) -> dict[str, StoredOrder]:
        """The existing rows of these orders, by id."""


@dataclass(slots=True)
class PublishMetrics:
    """The result of one batch or several.

    Attributes:
        sent: Alerts that were sent and marked.
        messages: Messages sent; fewer than alerts if there were digests.
        degraded: Alerts that were sent without some product details.
        plain: Messages that could not be rendered and were sent as plain text.
        unsent_keys: Alerts that are still to be sent: not accepted, not marked, or leased to another sender.
        sent_keys: Alerts that were sent and marked.
        delays: For each alert about a new status, the seconds from when Trackstar showed it until the alert was sent.
    """

    sent: int = 0
    messages: int = 0
    degraded: int = 0
    plain: int = 0
    unsent_keys: list[AlertKey] = field(default_factory=list)
    sent_keys: list[AlertKey] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    def __iadd__(self, other: "PublishMetrics") -> Self:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        return self

    def count_sent(self, alert: Alert) -> None:
        """Count an alert that was sent and marked."""
        if alert.order and alert.kind not in SAME_STATUS_KINDS:
            visible_at = alert.order.updated_at or alert.order.seen_at
            self.delays.append(max((clock.now() - visible_at).total_seconds(), 0.0))
        self.sent += 1
        self.sent_keys.append(alert.key)
        self.degraded += not alert.enrichment.complete

    def report(self) -> None:
        """Send the metrics that have an alarm, and log all counts in one line."""
        signals = {
            "AlertsUnsent": len(self.unsent_keys),
            "AlertsDegraded": self.degraded,
            "MessagesFallback": self.plain,
        }
        count_nonzero(signals)
        for seconds in self.delays:
            metrics.add_metric("DeliveryDelay", MetricUnit.Seconds, seconds)
        logger.info("alerts published", extra={"AlertsSent": self.sent, "MessagesSent": self.messages, **signals})


def publish(
    keys: Collection[AlertKey],
    *,
    outbox: Outbox,
    topic: Topic,
    operators: Topic,
    details: ProductDetails | None,
    digest_threshold: int,
    current: CurrentOrders | None = None,
    links: ActionLinks | None = None,
) -> PublishMetrics:
    """Send the alerts that are still pending.

    Args:
        keys: The alerts. Duplicates, and alerts that were sent already, have no effect (rule 15).
        outbox: The alerts.
        topic: AlertTopic.
        operators: OpsTopic, for alerts that only the operators of orderwatch can act on.
        details: The product details; None sends the alerts without them.
        digest_threshold: More alerts than this of one kind and connection become digests.
        current: For alerts that waited for the end of quiet hours: an order that has left its problem since is sent as
            recovered. Their delay is not measured. None: the alerts did not wait.
        links: Makes the links in e-mails that take or snooze an order; None: they have none.
    """
    result = PublishMetrics()
    with Leases(outbox) as leases:
        leased = _lease(outbox.unsent(list(dict.fromkeys(keys))), leases, result)
        skipped = SKIPPED_HELD if current else SKIPPED_LATE
        batches = details.enriched_batches(leased) if details else [without_details(leased, skipped)]
        for alerts in batches:
            groups = messages_of(
                alerts, threshold=digest_threshold, resolved=_resolved(alerts, current) if current else None
            )
            for recipients, to in ((Recipients.EVERYBODY, topic), (Recipients.OPERATORS, operators)):
                _send([each for each in groups if each.alert.recipients is recipients], to, leases, result, links)
    if current:
        result.delays.clear()
    return result


def _resolved(alerts: Sequence[Alert], current: CurrentOrders) -> dict[OrderId, StoredOrder]:
    """The rows of the orders of these alerts that have left their problem, into a status that was not alerted."""
    found: dict[OrderId, StoredOrder] = {}
    for connection_id, members in by_connection(alerts).items():
        try:
            rows = current.read(connection_id, {alert.order.id for alert in members if alert.order})
        except Exception as error:  # noqa: BLE001 - the alerts are sent as they are (rule 11)
            logger.warning("orders not read; held alerts are sent as they were written", exc_info=error)
            continue
        found |= {(connection_id, key): row for key, row in rows.items() if row.has_left_problem}
    return found


def _lease(alerts: Iterable[Alert], leases: Leases, result: PublishMetrics) -> list[Alert]:
    leased: list[Alert] = []
    for alert in alerts:
        if leases.acquire(alert.key):
            leased.append(alert)
        else:
            result.unsent_keys.append(alert.key)
    return leased


def _send(
    groups: Sequence[Group], topic: Topic, leases: Leases, result: PublishMetrics, links: ActionLinks | None
) -> None:
    for batch in batched(groups, SEND_BATCH, strict=False):
        message_ids = topic.publish([_render(each, result, links) for each in batch])
        for each, message_id in zip(batch, message_ids, strict=True):
            _record(each, message_id, leases, result)


def _render(each: Group, result: PublishMetrics, links: ActionLinks | None) -> SnsMessage:
    message, error = render_or_plain(each.alert, action_url=links.link(each.alert) if links else None)
    if error:
        result.plain += 1
        logger.error(
            "rendering failed; alert sent as plain text", exc_info=error, extra={"alert_id": each.alert.alert_id}
        )
    return message


def _record(each: Group, message_id: str | None, leases: Leases, result: PublishMetrics) -> None:
    if message_id is None:
        for alert in each.members:
            leases.release(alert.key)
            result.unsent_keys.append(alert.key)
        return
    result.messages += 1
    alert_ids = [alert.alert_id for alert in each.members]
    logger.info("message sent", extra={"message_id": message_id, "alert_ids": alert_ids})
    for alert in each.members:
        if leases.mark_sent(alert.key, message_id=message_id):
            result.count_sent(alert)
        else:
            result.unsent_keys.append(alert.key)
