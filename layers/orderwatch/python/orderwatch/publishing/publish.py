"""Send one batch of alerts: lease, enrich, group, render, publish, mark as sent.

An alert is delivered at least once, because it is marked after the send (rule 2). If a sender dies in between, its
lease expires, and the next sender sends the alert again with the same id. A failed enrichment or rendering makes an
alert simpler but never stops it (rule 11). A connection whose products are slow delays the alerts of others only within
the time budget of `ProductDetails`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import batched
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from aws_lambda_powertools.metrics import MetricUnit

from orderwatch import clock
from orderwatch.action_links import ActionLinks
from orderwatch.alerts.alert import Alert, AlertKey, by_connection
from orderwatch.alerts.kinds import SAME_STATUS_KINDS, Recipients
from orderwatch.observability import count_nonzero, logger, metrics
from orderwatch.publishing.enrich import SKIPPED_LATE, ProductDetails, without_details
from orderwatch.publishing.group import Group, OrderId, messages_of
from orderwatch.publishing.leases import Leases, Outbox
from orderwatch.rendering.fallback import render_or_plain
from orderwatch.rendering.sns import SnsMessage

if TYPE_CHECKING:  # an import would make the cold start of publish_alerts slower
    from orderwatch.records import StoredOrder


SEND_BATCH = 5
"""Messages that are sent before any is marked: the topic's limit for a second. It bounds duplicates after a crash."""
STOP_BEFORE = 60.0
"""Seconds that must be left to send more messages: for the product details of one more connection, the rate limit that
all senders share, SNS, the marks, and the release of the leases of what is left."""
GIVE_UP_BEFORE = 20.0
"""Seconds that must be left to repeat a request that DynamoDB throttles."""


class Topic(Protocol):
    """A topic of SNS."""

    def publish(self, messages: Sequence[SnsMessage]) -> list[str | None]:
        """Send the messages; return the id of each, or None if SNS did not accept it."""


class CurrentOrders(Protocol):
    """The rows of orders, as the last polls wrote them."""

    def read(self, connection_id: str, order_ids: Collection[str]) -> dict[str, "StoredOrder"]:
        """The existing rows of these orders, by id."""


@dataclass(slots=True)
class PublishMetrics:
    """The result of one batch or several.

    Attributes:
        sent: Alerts that were sent and marked.
        messages: Messages sent; fewer than alerts if there were digests.
        degraded: Alerts that were sent without some product details.
        plain: Messages that could not be rendered and were sent as plain text.
        unsent_keys: Alerts that are still to be sent: not accepted, not marked, leased to another sender, or postponed.
        postponed: Alerts for which there was no time.
        sent_keys: Alerts that were sent and marked.
        delays: For each alert about a new status, the seconds from when Trackstar showed it until the alert was sent.
    """

    sent: int = 0
    messages: int = 0
    degraded: int = 0
    plain: int = 0
    postponed: int = 0
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
            "AlertsUnsent": len(self.unsent_keys) - self.postponed,
            "AlertsDegraded": self.degraded,
            "MessagesFallback": self.plain,
        }
        count_nonzero(signals)
        for seconds in self.delays:
            metrics.add_metric("DeliveryDelay", MetricUnit.Seconds, seconds)
        counts = {"AlertsSent": self.sent, "MessagesSent": self.messages, "AlertsPostponed": self.postponed}
        logger.info("alerts published", extra={**counts, **signals})


def publish(
    keys: Collection[AlertKey],
    *,
    outbox: Outbox,
    topic: Topic,
    operators: Topic,
    details: ProductDetails | None,
    digest_threshold: int,
    seconds_left: Callable[[], float],
    current: CurrentOrders | None = None,
    links: ActionLinks | None = None,
) -> PublishMetrics:
    """Send the alerts that are still pending, as long as there is time.

    Args:
        keys: The alerts. Duplicates, and alerts that were sent already, have no effect (rule 15).
        outbox: The alerts.
        topic: AlertTopic.
        operators: OpsTopic, for alerts that only the operators of orderwatch can act on.
        details: The product details; None sends the alerts without them.
        digest_threshold: More alerts than this of one kind and connection become digests.
        seconds_left: The seconds that this process has left; from `STOP_BEFORE` on, no message is sent.
        current: For alerts that waited for the end of quiet hours: they are brought up to date, and their delay is not
            measured. None: the alerts did not wait.
        links: Makes the links in e-mails that take or snooze an order; None: they have none.
    """
    result = PublishMetrics()
    with Leases(outbox) as leases:
        leased = _lease(outbox.unsent(list(dict.fromkeys(keys))), leases, result)
        batches = details.enriched_batches(leased) if details else [without_details(leased, SKIPPED_LATE)]
        for batch in _send_batches(batches, digest_threshold, current):
            if seconds_left() < STOP_BEFORE:
                break
            to = topic if batch.recipients is Recipients.EVERYBODY else operators
            _send(batch.groups, to, leases, result, links)
        result.postponed = len(leases.held)
        result.unsent_keys += leases.held
    if current:
        result.delays.clear()
    return result


def _lease(alerts: Iterable[Alert], leases: Leases, result: PublishMetrics) -> list[Alert]:
    by_key = {alert.key: alert for alert in alerts}
    leased = leases.acquire(by_key.keys())
    result.unsent_keys += [key for key in by_key if key not in leased]
    return [alert for key, alert in by_key.items() if key in leased]


class _SendBatch(NamedTuple):
    """Messages that are sent at once, and marked before the next are sent."""

    recipients: Recipients
    groups: Sequence[Group]


def _send_batches(
    batches: Iterable[Sequence[Alert]], digest_threshold: int, current: CurrentOrders | None
) -> Iterator[_SendBatch]:
    for alerts in batches:
        rows = _current_rows(alerts, current) if current else None
        groups = messages_of(alerts, threshold=digest_threshold, current=rows)
        for recipients in (Recipients.EVERYBODY, Recipients.OPERATORS):
            to_them = [each for each in groups if each.alert.recipients is recipients]
            yield from (_SendBatch(recipients, batch) for batch in batched(to_them, SEND_BATCH, strict=False))


def _current_rows(alerts: Sequence[Alert], current: CurrentOrders) -> dict[OrderId, "StoredOrder"]:
    """The rows of the orders of these alerts."""
    found: dict[OrderId, StoredOrder] = {}
    for connection_id, members in by_connection(alerts).items():
        try:
            rows = current.read(connection_id, {alert.order.id for alert in members if alert.order})
        except Exception as error:  # noqa: BLE001 - the alerts are sent as they are (rule 11)
            logger.warning("orders not read; held alerts are sent as they were written", exc_info=error)
        else:
            found |= {(connection_id, order_id): row for order_id, row in rows.items()}
    return found


def _send(
    groups: Sequence[Group], topic: Topic, leases: Leases, result: PublishMetrics, links: ActionLinks | None
) -> None:
    """Send the messages, then mark the alerts of those that SNS accepted and release the others."""
    message_ids = topic.publish([_render(each, result, links) for each in groups])
    sent: dict[AlertKey, str] = {}
    for each, message_id in zip(groups, message_ids, strict=True):
        if message_id:
            result.messages += 1
            alert_ids = [alert.alert_id for alert in each.members]
            logger.info("message sent", extra={"message_id": message_id, "alert_ids": alert_ids})
            sent |= {alert.key: message_id for alert in each.members}
    marked = leases.mark_sent(sent)
    alerts = [alert for each in groups for alert in each.members]
    for alert in alerts:
        if alert.key in marked:
            result.count_sent(alert)
    leases.release([alert.key for alert in alerts if alert.key not in sent])
    result.unsent_keys += [alert.key for alert in alerts if alert.key not in marked]


def _render(each: Group, result: PublishMetrics, links: ActionLinks | None) -> SnsMessage:
    message, error = render_or_plain(each.alert, action_url=links.link(each.alert) if links else None)
    if error:
        result.plain += 1
        logger.error(
            "rendering failed; alert sent as plain text", exc_info=error, extra={"alert_id": each.alert.alert_id}
        )
    return message
