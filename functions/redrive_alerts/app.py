"""redrive_alerts: send alerts that are still pending or waited for quiet hours, and check the topics' subscribers."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import cache
from itertools import batched
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch import clock
from orderwatch.alerts.alert import AlertKey
from orderwatch.alerts.kinds import ALERT_TOPIC, OPS_TOPIC
from orderwatch.aws import clients
from orderwatch.aws.order_table import OrderTable
from orderwatch.aws.queues import SlackQueue
from orderwatch.aws.sns import Delivery, Subscriptions, build_delivery
from orderwatch.observability import count_nonzero, logger, metrics
from orderwatch.publishing.publish import PublishMetrics, publish
from orderwatch.publishing.subscription_monitor import MonitoredTopic, monitor_subscriptions
from orderwatch.settings import RedriveAlertsSettings, read_settings

PENDING_FOR = timedelta(minutes=10)
"""Age at which this function sends a pending alert. Normally publish_alerts has sent it by then."""
OVERDUE_AFTER = timedelta(minutes=15)
"""Age at which a pending alert is overdue (an alarm): this function tried to send it and failed."""
STOP_BEFORE = 60.0
"""Seconds that must be left to start a batch of late alerts, which takes 50 if five senders share the topic."""
HELD_STOP_BEFORE = 120.0
"""The same for a batch of held alerts: 70 seconds for messages, and as long as that for leases and marks is ample."""
BATCH = 50
"""Late alerts that are sent together."""
HELD_BATCH = 500
"""Held alerts of a connection that are sent together, so that they become few digests. At the largest threshold that
this is for they are about 70 messages, and are leased and marked within the lease."""
HELD_BATCH_THRESHOLD = 10
"""The largest threshold of digests for which `HELD_BATCH` applies; above, `BATCH` does."""


class _Adapters:
    """The adapters of this function, built once a process."""

    def __init__(self, settings: RedriveAlertsSettings) -> None:
        self.delivery = build_delivery(settings)
        self.orders = OrderTable(clients.dynamodb(), settings.order_table_name)
        self.subscriptions = Subscriptions(clients.sns())
        queue_url = settings.slack_queue_url
        self.slack = SlackQueue(clients.sqs(), queue_url) if queue_url else None


_adapters = cache(_Adapters)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Send late alerts, then those whose quiet hours have ended, then alert about topics without subscribers."""
    settings = read_settings(RedriveAlertsSettings)
    adapters = _adapters(settings)
    total = _redrive(adapters, settings, context)
    _monitor_subscriptions(adapters, settings)
    return {"sent": total.sent, "unsent": len(total.unsent_keys)}


def _redrive(adapters: _Adapters, settings: RedriveAlertsSettings, context: LambdaContext) -> PublishMetrics:
    """Send the alerts that have been pending for ten minutes, then those whose quiet hours have ended.

    The oldest come first. They have no product details: late alerts would be later still.
    """
    delivery, now = adapters.delivery, clock.now()
    outbox = delivery.outbox
    overdue_since = now - OVERDUE_AFTER
    held = outbox.held()
    overdue = {*outbox.pending_since_before(overdue_since), *(key for key, end in held.items() if end < overdue_since)}
    late = batched(outbox.pending_since_before(now - PENDING_FOR), BATCH, strict=False)
    redriven = _publish(late, delivery, settings, context)
    ended = _held_batches((key for key, end in held.items() if end <= now), settings)
    released = _publish(ended, delivery, settings, context, current=adapters.orders)
    overdue -= {*redriven.sent_keys, *released.sent_keys}
    count_nonzero({"AlertsOverdue": len(overdue), "AlertsRedriven": redriven.sent})
    redriven += released
    redriven.report()
    return redriven


def _held_batches(keys: Iterable[AlertKey], settings: RedriveAlertsSettings) -> Iterator[Sequence[AlertKey]]:
    """The alerts of each connection together, so that a night's alerts become digests (rule 12)."""
    size = HELD_BATCH if settings.digest_threshold <= HELD_BATCH_THRESHOLD else BATCH
    by_connection: dict[str, list[AlertKey]] = {}
    for key in keys:
        by_connection.setdefault(key.connection_id, []).append(key)
    for of_connection in by_connection.values():
        yield from batched(of_connection, size, strict=False)


def _publish(
    batches: Iterable[Sequence[AlertKey]],
    delivery: Delivery,
    settings: RedriveAlertsSettings,
    context: LambdaContext,
    *,
    current: OrderTable | None = None,
) -> PublishMetrics:
    """Send the batches for which there is time; the next run sends the others."""
    total, stop_before = PublishMetrics(), HELD_STOP_BEFORE if current else STOP_BEFORE
    for keys in batches:
        if context.get_remaining_time_in_millis() / 1000 < stop_before:
            break
        total += publish(
            keys,
            outbox=delivery.outbox,
            topic=delivery.topic,
            operators=delivery.operators,
            details=None,
            digest_threshold=settings.digest_threshold,
            current=current,
            links=delivery.links,
        )
    return total


def _monitor_subscriptions(adapters: _Adapters, settings: RedriveAlertsSettings) -> None:
    topics = [
        MonitoredTopic(
            name=ALERT_TOPIC,
            arn=settings.alert_topic_arn,
            subscriptions=adapters.subscriptions.of(settings.alert_topic_arn),
            expects_email=settings.alert_email_expected,
            expects_queue=settings.slack_queue_url.rpartition("/")[2],
        ),
        MonitoredTopic(
            name=OPS_TOPIC,
            arn=settings.ops_topic_arn,
            subscriptions=adapters.subscriptions.of(settings.ops_topic_arn),
            expects_email=settings.ops_email_expected,
        ),
    ]
    monitor_subscriptions(topics, outbox=adapters.delivery.outbox, slack=adapters.slack, now=clock.now())
