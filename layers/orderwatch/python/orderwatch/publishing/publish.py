"""One batch of alerts: claim, then portion by portion add product details, group, render, send, record.

An alert is delivered at least once and marked after the send (rule 2): a sender that dies in between leaves a claim
that expires, and the next sender sends the alert again with the same id. One that lives on leaves none behind, whatever
went wrong. Enrichment and rendering can only make an alert plainer, never stop it (rule 11), and no shop whose products
are slow to come holds up the alerts of another for long.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Protocol, Self

from aws_lambda_powertools.metrics import MetricUnit

from orderwatch import clock
from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.alerts.kinds import Recipients
from orderwatch.observability import count_nonzero, logger, metrics
from orderwatch.publishing.enrich import SKIPPED_LATE, Details, without_details
from orderwatch.publishing.group import Group, group, merge_alerts
from orderwatch.publishing.leases import Leases, Outbox
from orderwatch.rendering.fallback import render_or_plain
from orderwatch.rendering.sns import SnsMessage

SEND_BATCH = 10
"""Messages that are sent before any is marked: the most that one death can send twice."""


class Topic(Protocol):
    """What publishing needs of SNS."""

    def publish(self, messages: Sequence[SnsMessage]) -> list[str | None]:
        """Send the messages; return the id of each, None where SNS did not accept it."""


@dataclass(slots=True)
class PublishMetrics:
    """Counts of what happened to a batch.

    Attributes:
        sent: Alerts whose message was accepted.
        messages: Messages sent; fewer than alerts if some became digests.
        degraded: Alerts that went out without all their product details.
        plain: Messages that could not be rendered and went out plain.
        unsent_keys: The alerts that are still to be sent: not accepted, not marked, or held by another sender.
        sent_keys: The alerts whose message was accepted and that are marked.
        delays: For each alert about an order, the seconds from when Trackstar showed its status until it was sent.
    """

    sent: int = 0
    messages: int = 0
    degraded: int = 0
    plain: int = 0
    unsent_keys: list[AlertKey] = field(default_factory=list)
    sent_keys: list[AlertKey] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    def __iadd__(self, other: "PublishMetrics") -> Self:
        self.sent += other.sent
        self.messages += other.messages
        self.degraded += other.degraded
        self.plain += other.plain
        self.unsent_keys += other.unsent_keys
        self.sent_keys += other.sent_keys
        self.delays += other.delays
        return self

    def count_sent(self, alert: Alert) -> None:
        """Count an alert whose message was accepted and that is marked now."""
        if alert.order:
            visible_at = alert.order.updated_at or alert.order.seen_at
            self.delays.append(max((clock.now() - visible_at).total_seconds(), 0.0))
        self.sent += 1
        self.sent_keys.append(alert.key)
        self.degraded += not alert.enrichment.complete

    def report(self) -> None:
        """Put the signals into the metrics, and every count into one line of the log."""
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
    details: Details | None,
    digest_threshold: int,
) -> PublishMetrics:
    """Send those of these alerts that are still unsent.

    Args:
        keys: Which; repeats and alerts that were sent already change nothing (rule 15).
        outbox: The ledger.
        topic: The topic of the alerts.
        operators: The topic of the alerts that the operators of orderwatch can act on.
        details: The product details; None sends without them.
        digest_threshold: More alerts than this of one kind and connection become digests.
    """
    summary = PublishMetrics()
    with Leases(outbox) as leases:
        claimed = _acquire(outbox.unsent(list(dict.fromkeys(keys))), leases, summary)
        for alerts in details.portions(claimed) if details else [without_details(claimed, SKIPPED_LATE)]:
            groups = merge_alerts(group(alerts, threshold=digest_threshold))
            for recipients, to_send in _by_audience(groups, topic, operators):
                _send(to_send, recipients, leases, summary)
    return summary


def _send(groups: Sequence[Group], topic: Topic, leases: Leases, summary: PublishMetrics) -> None:
    for batch in batched(groups, SEND_BATCH, strict=False):
        message_ids = topic.publish([_render(each, summary) for each in batch])
        for each, message_id in zip(batch, message_ids, strict=True):
            _record(each, message_id, leases, summary)


def _by_audience(groups: Sequence[Group], topic: Topic, operators: Topic) -> list[tuple[Topic, list[Group]]]:
    to_all = [each for each in groups if each.alert.recipients is Recipients.EVERYBODY]
    to_operators = [each for each in groups if each.alert.recipients is Recipients.OPERATORS]
    return [(topic, to_all), (operators, to_operators)]


def _acquire(alerts: Iterable[Alert], leases: Leases, summary: PublishMetrics) -> list[Alert]:
    claimed: list[Alert] = []
    for alert in alerts:
        if leases.acquire(alert.key):
            claimed.append(alert)
        else:
            summary.unsent_keys.append(alert.key)
    return claimed


def _render(each: Group, summary: PublishMetrics) -> SnsMessage:
    message, error = render_or_plain(each.alert)
    if error:
        summary.plain += 1
        logger.error("rendering failed, sending plain", exc_info=error, extra={"alert_id": each.alert.alert_id})
    return message


def _record(each: Group, message_id: str | None, leases: Leases, summary: PublishMetrics) -> None:
    if message_id is None:
        for alert in each.members:
            leases.release(alert.key)
            summary.unsent_keys.append(alert.key)
        return
    summary.messages += 1
    alert_ids = [alert.alert_id for alert in each.members]
    logger.info("message sent", extra={"message_id": message_id, "alert_ids": alert_ids})
    for alert in each.members:
        if leases.mark_sent(alert.key, message_id=message_id):
            summary.count_sent(alert)
        else:
            summary.unsent_keys.append(alert.key)
