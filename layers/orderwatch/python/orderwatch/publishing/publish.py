"""One batch of alerts: claim, enrich, group, render, send, record.

An alert is delivered at least once and marked after the send (rule 2): who dies in between leaves a claim that ends by
itself, and the next sender sends it again under the same id. Enrichment and rendering can only make an alert plainer,
never stop it (rule 11).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched, groupby
from typing import Protocol, Self

from aws_lambda_powertools.metrics import MetricUnit

from orderwatch import clock
from orderwatch.alerts import Alert
from orderwatch.observability import logger, metrics
from orderwatch.publishing.digest import Group, group
from orderwatch.publishing.enrich import ProductSource, enrich
from orderwatch.publishing.messages import SnsMessage, render_or_plain
from orderwatch.trackstar.products import Product

SEND_BATCH = 10
"""Messages between two records: what a death in between can send twice."""


class Outbox(Protocol):
    """What publishing needs of AlertTable."""

    def unsent(self, alert_ids: Collection[str]) -> Iterable[Alert]:
        """Those of these alerts that are still pending."""

    def claim(self, alert_id: str) -> bool:
        """Take the alert for sending; False where it is sent or somebody else holds it."""

    def release(self, alert_id: str) -> None:
        """Give a claimed alert back unsent."""

    def mark_sent(self, alert_id: str, *, message_id: str) -> None:
        """Record that the alert's message was taken."""


class Topic(Protocol):
    """What publishing needs of SNS."""

    def publish(self, messages: Sequence[SnsMessage]) -> list[str | None]:
        """Send; for each message its id, None where it was not taken."""


@dataclass(slots=True)
class PublishSummary:
    """What became of a batch, counted.

    Attributes:
        sent: Alerts whose message was taken.
        messages: Messages sent; fewer than alerts where some became digests.
        degraded: Alerts that went out without all their product details.
        plain: Messages that could not be rendered and went out plain.
        unsent: Ids of alerts that are still to be sent: not taken, or held by another sender.
        sent_ids: Ids of the alerts whose message was taken.
        delays: Of each alert about an order, the seconds from when Trackstar showed its status until it was sent.
    """

    sent: int = 0
    messages: int = 0
    degraded: int = 0
    plain: int = 0
    unsent: list[str] = field(default_factory=list)
    sent_ids: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    def __iadd__(self, other: "PublishSummary") -> Self:
        self.sent += other.sent
        self.messages += other.messages
        self.degraded += other.degraded
        self.plain += other.plain
        self.unsent += other.unsent
        self.sent_ids += other.sent_ids
        self.delays += other.delays
        return self

    def report(self) -> None:
        """Put the counts into the metrics and one line of the log."""
        counts = {"AlertsSent": self.sent, "MessagesSent": self.messages, "AlertsUnsent": len(self.unsent)}
        counts |= {"AlertsDegraded": self.degraded, "MessagesPlain": self.plain}
        for name, count in counts.items():
            metrics.add_metric(name, MetricUnit.Count, count)
        for seconds in self.delays:
            metrics.add_metric("DeliveryDelay", MetricUnit.Seconds, seconds)
        logger.info("alerts published", extra=counts)


def publish(
    alert_ids: Collection[str],
    *,
    outbox: Outbox,
    topic: Topic,
    operators: Topic,
    products_of: Callable[[str], ProductSource] | None,
    digest_threshold: int,
) -> PublishSummary:
    """Send what is unsent of these alerts.

    Args:
        alert_ids: Which; repeats and alerts that were sent already change nothing (rule 15).
        outbox: The ledger.
        topic: Where to.
        operators: Where to instead for what is for the operators.
        products_of: The product details of a connection's shop; None sends without.
        digest_threshold: More alerts of one kind and connection than this become digests.
    """
    summary = PublishSummary()
    claimed = _claimed(alert_ids, outbox, summary)
    groups = group(_enriched(claimed, products_of), threshold=digest_threshold)
    for audience, to_send in _by_audience(groups, topic, operators):
        for batch in batched(to_send, SEND_BATCH, strict=False):
            message_ids = audience.publish([_rendered(each, summary) for each in batch])
            for each, message_id in zip(batch, message_ids, strict=True):
                _record(each, message_id, outbox, summary)
    return summary


def _by_audience(groups: Sequence[Group], topic: Topic, operators: Topic) -> list[tuple[Topic, list[Group]]]:
    to_all = [each for each in groups if not each.alert.is_for_operators]
    to_operators = [each for each in groups if each.alert.is_for_operators]
    return [(topic, to_all), (operators, to_operators)]


def _claimed(alert_ids: Collection[str], outbox: Outbox, summary: PublishSummary) -> list[Alert]:
    claimed: list[Alert] = []
    for alert in outbox.unsent(list(dict.fromkeys(alert_ids))):
        if outbox.claim(alert.alert_id):
            claimed.append(alert)
        else:
            summary.unsent.append(alert.alert_id)
    return claimed


def _enriched(alerts: Sequence[Alert], products_of: Callable[[str], ProductSource] | None) -> list[Alert]:
    by_shop = sorted(alerts, key=lambda alert: alert.connection_id)
    return [
        alert
        for connection_id, of_shop in groupby(by_shop, key=lambda alert: alert.connection_id)
        for alert in _enriched_of_shop(connection_id, list(of_shop), products_of)
    ]


def _enriched_of_shop(
    connection_id: str, alerts: list[Alert], products_of: Callable[[str], ProductSource] | None
) -> list[Alert]:
    """Rule 11: whatever goes wrong here, the alerts go on."""
    try:
        source = _SourceOfShop(connection_id, products_of) if products_of else None
        result = enrich(alerts, source)
    except Exception as error:  # noqa: BLE001
        logger.error("product details failed", exc_info=error, extra={"connection_id": connection_id})
        return alerts
    if result.error:
        logger.warning("product details missing", exc_info=result.error, extra={"connection_id": connection_id})
    return list(result.alerts)


@dataclass(frozen=True, slots=True)
class _SourceOfShop:
    """A shop's products, reached for only when they are asked for: a missing token is then a gap like any other."""

    connection_id: str
    products_of: Callable[[str], ProductSource]

    def products(self, product_ids: Sequence[str]) -> Mapping[str, Product]:
        return self.products_of(self.connection_id).products(product_ids)


def _rendered(each: Group, summary: PublishSummary) -> SnsMessage:
    message, error = render_or_plain(each.alert)
    if error:
        summary.plain += 1
        logger.error("rendering failed, sending plain", exc_info=error, extra={"alert_id": each.alert.alert_id})
    return message


def _record(each: Group, message_id: str | None, outbox: Outbox, summary: PublishSummary) -> None:
    if message_id is None:
        for alert in each.members:
            outbox.release(alert.alert_id)
            summary.unsent.append(alert.alert_id)
        return
    summary.messages += 1
    alert_ids = [alert.alert_id for alert in each.members]
    logger.info("message sent", extra={"message_id": message_id, "alert_ids": alert_ids})
    for alert in each.members:
        outbox.mark_sent(alert.alert_id, message_id=message_id)
        if alert.order:
            visible_at = alert.order.updated_at or alert.order.seen_at
            summary.delays.append(max((clock.now() - visible_at).total_seconds(), 0.0))
        summary.sent += 1
        summary.sent_ids.append(alert.alert_id)
        summary.degraded += not alert.enrichment.complete
