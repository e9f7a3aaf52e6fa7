"""redrive_alerts: send the alerts that stayed pending, whatever became of their stream records."""

from datetime import timedelta
from functools import cache
from itertools import batched
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch import clock
from orderwatch.aws.delivery import Delivery, build_delivery
from orderwatch.observability import logger, metrics
from orderwatch.publishing.publish import PublishSummary, publish
from orderwatch.settings import RedriveAlertsSettings, read_settings

PENDING_FOR = timedelta(minutes=10)
"""How long an alert may be pending before it is sent from here: longer than the stream takes when all is well."""
OVERDUE_AFTER = timedelta(minutes=15)
"""How long an alert may be pending before somebody is told: it was tried from here and could not be sent."""
STOP_BEFORE = 60.0
"""Seconds before the function's end at which no further batch is begun."""
BATCH = 100


@cache
def _adapters(settings: RedriveAlertsSettings) -> Delivery:
    """The outside world of this function, built once a process."""
    return build_delivery(settings)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Send what has been pending for ten minutes, oldest first, without product details: it is late already."""
    settings = read_settings(RedriveAlertsSettings)
    delivery = _adapters(settings)
    total = PublishSummary()
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
    metrics.add_metric("AlertsOverdue", MetricUnit.Count, len(overdue))
    total.report()
    return {"sent": total.sent, "unsent": len(total.unsent_keys)}
