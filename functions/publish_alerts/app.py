"""publish_alerts: send the alerts that the stream says are new."""

from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch import clock
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.alert_topic import AlertTopic
from orderwatch.aws.parameters import Parameters
from orderwatch.observability import count_answer, logger, metrics
from orderwatch.publishing.enrich import ProductSource
from orderwatch.publishing.product_cache import ProductCache
from orderwatch.publishing.publish import publish
from orderwatch.settings import PublishAlertsSettings, read_settings
from orderwatch.trackstar.client import Trackstar

PRODUCTS_WITHIN = 60.0
"""Seconds that must be left of the function's life after the product details: the alerts themselves come first."""


class _Adapters:
    """The outside world of this function, built once a process."""

    def __init__(self, settings: PublishAlertsSettings) -> None:
        self.outbox = AlertTable(boto3.client("dynamodb"), settings.alert_table_name, clock=clock.now)
        sns = boto3.client("sns")
        self.topic = AlertTopic(sns, settings.alert_topic_arn)
        self.operators = AlertTopic(sns, settings.ops_topic_arn)
        self.parameters = Parameters(boto3.client("ssm"), settings.parameter_prefix)
        self.trackstar = Trackstar(settings.trackstar_base_url, on_answer=count_answer)
        self.products = ProductCache()


_adapters = cache(_Adapters)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Send the alerts of the records; the records of those that could not be sent are given back to the stream."""
    settings = read_settings(PublishAlertsSettings)
    adapters = _adapters(settings)

    def products_of(connection_id: str) -> ProductSource:
        return adapters.products.of_shop(connection_id, lambda: shop(connection_id))

    def shop(connection_id: str) -> ProductSource:
        return adapters.trackstar.shop(
            connection_id,
            api_key=adapters.parameters.api_key(),
            access_token=adapters.parameters.shop(connection_id).access_token,
            seconds_left=lambda: context.get_remaining_time_in_millis() / 1000 - PRODUCTS_WITHIN,
        )

    records = {_alert_id(record): str(record["dynamodb"]["SequenceNumber"]) for record in event["Records"]}
    summary = publish(
        records,
        outbox=adapters.outbox,
        topic=adapters.topic,
        operators=adapters.operators,
        products_of=products_of,
        digest_threshold=settings.digest_threshold,
    )
    summary.report()
    return {"batchItemFailures": [{"itemIdentifier": records[alert_id]} for alert_id in summary.unsent]}


def _alert_id(record: dict[str, Any]) -> str:
    return str(record["dynamodb"]["Keys"]["alert_id"]["S"])
