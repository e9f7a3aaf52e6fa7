"""publish_alerts: send the new alerts in AlertTable's stream."""

from functools import cache, partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch import clock
from orderwatch.alerts.alert import AlertKey
from orderwatch.aws.products import product_details
from orderwatch.aws.sns import build_delivery
from orderwatch.observability import count_response, logger, metrics
from orderwatch.publishing.publish import GIVE_UP_BEFORE, publish
from orderwatch.settings import PublishAlertsSettings, read_settings
from orderwatch.trackstar.client import Trackstar


class _Adapters:
    """The adapters of this function, built once a process."""

    def __init__(self, settings: PublishAlertsSettings) -> None:
        self.delivery = build_delivery(settings)
        trackstar = Trackstar(settings.trackstar_base_url, on_response=count_response)
        self.details = product_details(settings.parameter_prefix, trackstar)


_adapters = cache(_Adapters)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Send the alerts of the records.

    Lambda retries the records from the first one on whose alert was not sent, be it only that there was no time.
    """
    seconds_left = partial(clock.seconds_left, context)
    settings = read_settings(PublishAlertsSettings)
    adapters = _adapters(settings)
    records = {_key(record): str(record["dynamodb"]["SequenceNumber"]) for record in event["Records"]}
    result = publish(
        records,
        outbox=adapters.delivery.outbox.patient(lambda: seconds_left() > GIVE_UP_BEFORE),
        topic=adapters.delivery.topic,
        operators=adapters.delivery.operators,
        details=adapters.details,
        digest_threshold=settings.digest_threshold,
        seconds_left=seconds_left,
        links=adapters.delivery.links,
    )
    result.report()
    return {"batchItemFailures": [{"itemIdentifier": records[key]} for key in result.unsent_keys]}


def _key(record: dict[str, Any]) -> AlertKey:
    keys = record["dynamodb"]["Keys"]
    return AlertKey(keys["connection_id"]["S"], keys["alert_id"]["S"])
