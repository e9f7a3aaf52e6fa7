"""redrive_alerts: send the alerts that stayed pending, and see that somebody hears the topics."""

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
from orderwatch.aws.tables import SubscriptionRow
from orderwatch.observability import count_nonzero, logger, metrics
from orderwatch.publishing import subscription_monitor
from orderwatch.publishing.publish import PublishMetrics, publish
from orderwatch.settings import RedriveAlertsSettings, read_settings

PENDING_FOR = timedelta(minutes=10)
"""How long an alert may be pending before it is sent from here: longer than the stream takes when all is well."""
OVERDUE_AFTER = timedelta(minutes=15)
"""How long an alert may be pending before somebody is told: it was tried from here and could not be sent."""
STOP_BEFORE = 60.0
"""Seconds before the function's end at which no further batch is begun."""
BATCH = 100


class _Adapters:
    """The outside world of this function, built once a process."""

    def __init__(self, settings: RedriveAlertsSettings) -> None:
        self.delivery = build_delivery(settings)
        self.subscriptions = Subscriptions(clients.sns())
        self.recipients = SubscriptionRow(clients.dynamodb(), settings.connection_table_name, self.delivery.outbox)
        queue_url = settings.slack_queue_url
        self.slack = SlackQueue(clients.sqs(), queue_url) if queue_url else None


_adapters = cache(_Adapters)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Send what has been pending for ten minutes; then tell of a topic that is not heard, by another way."""
    settings = read_settings(RedriveAlertsSettings)
    adapters = _adapters(settings)
    total = _redrive(adapters.delivery, settings, context)
    _watch_audience(adapters, settings)
    return {"sent": total.sent, "unsent": len(total.unsent_keys)}


def _redrive(delivery: Delivery, settings: RedriveAlertsSettings, context: LambdaContext) -> PublishMetrics:
    """Send the oldest first, without product details: it is late already."""
    total = PublishMetrics()
    now = clock.now()
    overdue = set(delivery.outbox.pending_since_before(now - OVERDUE_AFTER))
    for keys in batched(delivery.outbox.pending_since_before(now - PENDING_FOR), BATCH, strict=False):
        if context.get_remaining_time_in_millis() / 1000 < STOP_BEFORE:
            break
        summary = publish(
            keys,
            outbox=delivery.outbox,
            topic=delivery.topic,
            operators=delivery.operators,
            details=None,
            digest_threshold=settings.digest_threshold,
        )
        overdue -= set(summary.sent_keys)
        total += summary
    count_nonzero({"AlertsOverdue": len(overdue)})
    total.report()
    return total


def _watch_audience(adapters: _Adapters, settings: RedriveAlertsSettings) -> None:
    topics = [
        subscription_monitor.Topic(
            name=ALERT_TOPIC,
            arn=settings.alert_topic_arn,
            subscriptions=adapters.subscriptions.of(settings.alert_topic_arn),
            expects_email=settings.alert_email_expected,
            expects_queue=settings.slack_queue_url.rpartition("/")[2],
        ),
        subscription_monitor.Topic(
            name=OPS_TOPIC,
            arn=settings.ops_topic_arn,
            subscriptions=adapters.subscriptions.of(settings.ops_topic_arn),
            expects_email=settings.ops_email_expected,
        ),
    ]
    subscription_monitor.report(topics)
    subscription_monitor.monitor_subscriptions(topics, store=adapters.recipients, slack=adapters.slack, now=clock.now())
