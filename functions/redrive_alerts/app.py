"""redrive_alerts: send the alerts that stayed pending, whatever became of their stream records."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import batched
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch.alert_table import AlertTable
from orderwatch.alert_topic import AlertTopic
from orderwatch.observability import logger, metrics
from orderwatch.publishing import PublishSummary, publish
from orderwatch.settings import RedriveAlertsSettings, read_settings

PENDING_FOR = timedelta(minutes=10)
"""How long an alert may be pending before it is sent from here: longer than the stream takes when all is well."""
STOP_BEFORE = 60.0
"""Seconds before the function's end at which no further batch is begun."""
BATCH = 100


class _Adapters:
    """The outside world of this function, built once a process."""

    def __init__(self, settings: RedriveAlertsSettings) -> None:
        self.outbox = AlertTable(boto3.client("dynamodb"), settings.alert_table_name, clock=lambda: datetime.now(UTC))
        self.topic = AlertTopic(boto3.client("sns"), settings.alert_topic_arn)


_adapters = cache(_Adapters)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Send what has been pending for ten minutes, oldest first, without product details: it is late already."""
    settings = read_settings(RedriveAlertsSettings)
    adapters = _adapters(settings)
    total = PublishSummary()
    overdue = adapters.outbox.pending_since_before(datetime.now(UTC) - PENDING_FOR)
    for alert_ids in batched(overdue, BATCH, strict=False):
        if context.get_remaining_time_in_millis() / 1000 < STOP_BEFORE:
            break
        total += publish(
            alert_ids,
            outbox=adapters.outbox,
            topic=adapters.topic,
            products_of=None,
            digest_threshold=settings.digest_threshold,
        )
    total.report()
    return {"sent": total.sent, "unsent": len(total.unsent)}
