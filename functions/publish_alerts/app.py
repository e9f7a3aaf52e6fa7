"""publish_alerts: send the alerts that the stream reports as new."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch.alerts.alert import AlertKey
from orderwatch.aws import clients
from orderwatch.aws.delivery import build_delivery
from orderwatch.aws.parameters import Parameters
from orderwatch.observability import count_answer, logger, metrics
from orderwatch.publishing.details import Details
from orderwatch.publishing.publish import publish
from orderwatch.settings import PublishAlertsSettings, read_settings
from orderwatch.trackstar.client import Trackstar
from orderwatch.trackstar.products import Product


class _TrackstarProducts:
    """The products of every connection in the Parameter Store (a `ProductSource`)."""

    def __init__(self, settings: PublishAlertsSettings) -> None:
        self._parameters = Parameters(clients.ssm(), settings.parameter_prefix)
        self._trackstar = Trackstar(settings.trackstar_base_url, on_answer=count_answer)

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> dict[str, Product]:
        connection = self._trackstar.client_of(
            connection_id,
            api_key=self._parameters.api_key(),
            access_token=self._parameters.connection(connection_id).access_token,
            seconds_left=seconds_left,
        )
        return connection.products(product_ids)


class _Adapters:
    """The outside world of this function, built once a process."""

    def __init__(self, settings: PublishAlertsSettings) -> None:
        self.delivery = build_delivery(settings)
        self.details = Details(_TrackstarProducts(settings))


_adapters = cache(_Adapters)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Send the alerts of the records; the stream retries the records of those that could not be sent."""
    settings = read_settings(PublishAlertsSettings)
    adapters = _adapters(settings)
    records = {_key(record): str(record["dynamodb"]["SequenceNumber"]) for record in event["Records"]}
    summary = publish(
        records,
        outbox=adapters.delivery.outbox,
        topic=adapters.delivery.topic,
        operators=adapters.delivery.operators,
        details=adapters.details,
        digest_threshold=settings.digest_threshold,
    )
    summary.report()
    return {"batchItemFailures": [{"itemIdentifier": records[key]} for key in summary.unsent_keys]}


def _key(record: dict[str, Any]) -> AlertKey:
    keys = record["dynamodb"]["Keys"]
    return AlertKey(keys["connection_id"]["S"], keys["alert_id"]["S"])
