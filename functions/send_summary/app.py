"""send_summary: write the daily summary as an alert, which is sent like any other."""

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch import clock
from orderwatch.aws import clients
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.connection_table import ConnectionTable
from orderwatch.aws.order_table import OrderTable
from orderwatch.aws.parameters import NamedConnection, Parameters
from orderwatch.aws.products import ProductClient
from orderwatch.aws.summary_store import SummaryStore
from orderwatch.observability import count_response, logger, metrics
from orderwatch.publishing.enrich import ProductDetails
from orderwatch.settings import SendSummarySettings, read_settings
from orderwatch.shop_settings import time_zone
from orderwatch.summary.build import Shop, SummaryRequest, summarize
from orderwatch.trackstar.client import Trackstar


class _Adapters:
    """The adapters of this function, built once a process."""

    def __init__(self, settings: SendSummarySettings) -> None:
        dynamodb = clients.dynamodb()
        self.parameters = Parameters(clients.ssm(tries=clients.LIST_TRIES), settings.parameter_prefix)
        trackstar = Trackstar(settings.trackstar_base_url, on_response=count_response)
        self.details = ProductDetails(ProductClient(self.parameters, trackstar))
        self.store = SummaryStore(
            orders=OrderTable(dynamodb, settings.order_table_name),
            connections=ConnectionTable(dynamodb, settings.connection_table_name),
            alerts=AlertTable(dynamodb, settings.alert_table_name),
        )


_adapters = cache(_Adapters)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Write the daily summary: once a day for the Scheduler's event, and always for any other event.

    With `{"send": false}` it writes nothing. With `{"at": "2026-03-11T00:00:00Z"}` it has this date, for a
    simulated day. The response always contains the alert.
    """
    settings = read_settings(SendSummarySettings)
    adapters = _adapters(settings)
    prepared = summarize(
        [_shop(each, settings) for each in adapters.parameters.connections()],
        store=adapters.store,
        products=adapters.details,
        request=_request(event, settings, context),
    )
    is_written = event.get("send", True) and adapters.store.put(prepared)
    metrics.add_metric("SummariesWritten", MetricUnit.Count, int(is_written))
    logger.info("summary built", extra={"alert_id": prepared.alert.alert_id, "written": is_written})
    return {"is_written": is_written, "alert": prepared.alert.model_dump(mode="json")}


def _shop(connection: NamedConnection, settings: SendSummarySettings) -> Shop:
    """The shop with its own settings; the stack's apply if it has none."""
    own = connection.settings.late_warning_hours
    return Shop(
        connection.connection_id,
        connection.name,
        time_zone=connection.settings.time_zone or settings.time_zone,
        late_warning_hours=settings.late_warning_hours if own is None else own,
    )


def _request(event: dict[str, Any], settings: SendSummarySettings, context: LambdaContext) -> SummaryRequest:
    """The Scheduler's event contains its scheduled time, so that a retry belongs to the same day."""
    scheduled = event.get("time")
    at = datetime.fromisoformat(event["at"]) if "at" in event else clock.now()
    moment = datetime.fromisoformat(scheduled) if scheduled else at
    return SummaryRequest(
        stack=settings.stack_name,
        day=moment.astimezone(time_zone(settings.time_zone)).date(),
        at=at,
        time_zone=settings.time_zone,
        watched=settings.alert_statuses,
        stalled_after=timedelta(minutes=settings.stalled_after_minutes),
        request_id="" if scheduled else context.aws_request_id,
    )
