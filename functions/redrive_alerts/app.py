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
from orderwatch.aws.queues import SlackQueue
from orderwatch.aws.sns import Delivery, Subscriptions, build_delivery
from orderwatch.observability import count_nonzero, logger, metrics
from orderwatch.publishing.publish import GIVE_UP_BEFORE, STOP_BEFORE, PublishMetrics, publish
from orderwatch.publishing.subscription_monitor import MonitoredTopic, monitor_subscriptions
from orderwatch.settings import RedriveAlertsSettings, read_settings

PENDING_FOR = timedelta(minutes=10)
"""Age at which this function sends a pending alert. Normally publish_alerts has sent it by then."""
OVERDUE_AFTER = timedelta(minutes=15)
"""Age at which a pending alert is overdue (an alarm): this function tried to send it and failed."""
BATCH = 1_000
"""Alerts that are leased and grouped together, as many as in a batch of the stream, so that a storm becomes digests."""


class _Adapters:
    """The adapters of this function, built once a process."""

    def __init__(self, settings: RedriveAlertsSettings) -> None:
        self.delivery = build_delivery(settings)
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
    total = _redrive(adapters.delivery, settings, context)
    _monitor_subscriptions(adapters, settings)
    return {"sent": total.sent, "unsent": len(total.unsent_keys)}


def _redrive(delivery: Delivery, settings: RedriveAlertsSettings, context: LambdaContext) -> PublishMetrics:
    """Send the alerts that have been pending for ten minutes, then those whose quiet hours have ended.

    The oldest come first. They have no product details: late alerts would be later still.
    """
    now, outbox = clock.now(), delivery.outbox
    held, late = outbox.held(), outbox.pending_since_before(now - PENDING_FOR)
    overdue = {key for key, since in (*late.items(), *held.items()) if since < now - OVERDUE_AFTER}
    redriven = _publish(batched(late, BATCH, strict=False), delivery, settings, context)
    ended = _held_batches(key for key, end in held.items() if end <= now)
    released = _publish(ended, delivery, settings, context, was_held=True)
    overdue -= {*redriven.sent_keys, *released.sent_keys}
    count_nonzero({"AlertsOverdue": len(overdue), "AlertsRedriven": redriven.sent})
    redriven += released
    redriven.report()
    return redriven


def _held_batches(keys: Iterable[AlertKey]) -> Iterator[Sequence[AlertKey]]:
    """The alerts of each connection together, so that a night's alerts become digests (rule 12)."""
    by_connection: dict[str, list[AlertKey]] = {}
    for key in keys:
        by_connection.setdefault(key.connection_id, []).append(key)
    for of_connection in by_connection.values():
        yield from batched(of_connection, BATCH, strict=False)


def _publish(
    batches: Iterable[Sequence[AlertKey]],
    delivery: Delivery,
    settings: RedriveAlertsSettings,
    context: LambdaContext,
    *,
    was_held: bool = False,
) -> PublishMetrics:
    """Send the batches for which there is time; the next run sends the others."""

    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    total = PublishMetrics()
    for keys in batches:
        if seconds_left() < STOP_BEFORE:
            break
        total += publish(
            keys,
            outbox=delivery.outbox.patient(lambda: seconds_left() > GIVE_UP_BEFORE),
            topic=delivery.topic,
            operators=delivery.operators,
            details=None,
            digest_threshold=settings.digest_threshold,
            seconds_left=seconds_left,
            was_held=was_held,
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
