"""redrive_alerts: send alerts that are still pending or waited for quiet hours, and check the topics' subscribers."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import cache, cached_property, partial
from itertools import batched
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch import clock
from orderwatch.alerts.alert import AlertKey, by_connection
from orderwatch.alerts.kinds import ALERT_TOPIC, OPS_TOPIC
from orderwatch.aws import clients
from orderwatch.aws.slack_queue import SlackQueue
from orderwatch.aws.sns import Subscriptions, build_delivery
from orderwatch.observability import count_nonzero, count_response, logger, metrics
from orderwatch.publishing.enrich import ProductDetails
from orderwatch.publishing.publish import GIVE_UP_BEFORE, STOP_BEFORE, CurrentOrders, PublishMetrics, publish
from orderwatch.publishing.subscription_monitor import MonitoredTopic, monitor_subscriptions
from orderwatch.settings import RedriveAlertsSettings, read_settings

PENDING_FOR = timedelta(minutes=10)
"""Age at which this function sends a pending alert. Normally publish_alerts has sent it by then."""
OVERDUE_AFTER = timedelta(minutes=15)
"""Age at which a pending alert is overdue (an alarm): this function tried to send it and failed."""
BATCH = 1_000
"""Alerts that are leased and grouped together, as many as in a batch of the stream, so that a storm becomes digests."""


class _Adapters:
    """The adapters of this function, built once a process.

    What only held alerts need is imported with them: few runs have any, and httpx is a fifth of a cold start.
    """

    def __init__(self, settings: RedriveAlertsSettings) -> None:
        self._settings = settings
        self.delivery = build_delivery(settings)
        self.subscriptions = Subscriptions(clients.sns())
        queue_url = settings.slack_queue_url
        self.slack = SlackQueue(clients.sqs(), queue_url) if queue_url else None

    @cached_property
    def details(self) -> ProductDetails:
        """The product details of held alerts."""
        from orderwatch.aws.products import product_details
        from orderwatch.trackstar.client import Trackstar

        trackstar = Trackstar(self._settings.trackstar_base_url, on_response=count_response)
        return product_details(self._settings.parameter_prefix, trackstar)

    @cached_property
    def orders(self) -> CurrentOrders:
        """The rows of the orders of held alerts."""
        from orderwatch.aws.order_table import OrderTable

        return OrderTable(clients.dynamodb(), self._settings.order_table_name)


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

    The oldest come first. Late ones have no product details: they would be later still.
    """
    delivery, now = adapters.delivery, clock.now()
    outbox = delivery.outbox
    held, late = outbox.held(), outbox.pending_since_before(now - PENDING_FOR)
    overdue = {key for key, since in (*late.items(), *held.items()) if since < now - OVERDUE_AFTER}
    redriven = _publish(batched(late, BATCH, strict=False), adapters, settings, context)
    ended = _held_batches(key for key, end in held.items() if end <= now)
    released = _publish(ended, adapters, settings, context, were_held=True)
    overdue -= {*redriven.sent_keys, *released.sent_keys}
    count_nonzero({"AlertsOverdue": len(overdue), "AlertsRedriven": redriven.sent})
    redriven += released
    redriven.report()
    return redriven


def _held_batches(keys: Iterable[AlertKey]) -> Iterator[Sequence[AlertKey]]:
    """The alerts of each connection together, so that a night's alerts become digests (rule 12)."""
    for of_connection in by_connection(keys).values():
        yield from batched(of_connection, BATCH, strict=False)


def _publish(
    batches: Iterable[Sequence[AlertKey]],
    adapters: _Adapters,
    settings: RedriveAlertsSettings,
    context: LambdaContext,
    *,
    were_held: bool = False,
) -> PublishMetrics:
    """Send the batches for which there is time; the next run sends the others."""
    delivery, total, seconds_left = adapters.delivery, PublishMetrics(), partial(clock.seconds_left, context)
    for keys in batches:
        if seconds_left() < STOP_BEFORE:
            break
        total += publish(
            keys,
            outbox=delivery.outbox.patient(lambda: seconds_left() > GIVE_UP_BEFORE),
            topic=delivery.topic,
            operators=delivery.operators,
            details=adapters.details if were_held else None,
            digest_threshold=settings.digest_threshold,
            seconds_left=seconds_left,
            current=adapters.orders if were_held else None,
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
