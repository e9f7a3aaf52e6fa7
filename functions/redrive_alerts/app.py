"""redrive_alerts: send the alerts that are still pending, and check that every topic has a subscriber."""

from datetime import timedelta
from functools import cache
from itertools import batched
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch import clock
from orderwatch.alerts.kinds import ALERT_TOPIC, OPS_TOPIC
from orderwatch.aws import clients
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
"""Seconds that must be left to start a batch, which takes 50 if five senders share the topic."""
BATCH = 50
"""Alerts that are sent together."""


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
    """Send the alerts that have been pending for ten minutes, then alert about topics without subscribers."""
    settings = read_settings(RedriveAlertsSettings)
    adapters = _adapters(settings)
    total = _redrive(adapters.delivery, settings, context)
    _monitor_subscriptions(adapters, settings)
    return {"sent": total.sent, "unsent": len(total.unsent_keys)}


def _redrive(delivery: Delivery, settings: RedriveAlertsSettings, context: LambdaContext) -> PublishMetrics:
    """Send the oldest alerts first, without product details, since they are late."""
    total = PublishMetrics()
    now = clock.now()
    overdue = set(delivery.outbox.pending_since_before(now - OVERDUE_AFTER))
    for keys in batched(delivery.outbox.pending_since_before(now - PENDING_FOR), BATCH, strict=False):
        if context.get_remaining_time_in_millis() / 1000 < STOP_BEFORE:
            break
        result = publish(
            keys,
            outbox=delivery.outbox,
            topic=delivery.topic,
            operators=delivery.operators,
            details=None,
            digest_threshold=settings.digest_threshold,
            links=delivery.links,
        )
        overdue -= set(result.sent_keys)
        total += result
    count_nonzero({"AlertsOverdue": len(overdue), "AlertsRedriven": total.sent})
    total.report()
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
