"""send_summary: what waits in every shop, as one alert; it is sent like any other."""

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch import clock
from orderwatch.aws import clients
from orderwatch.aws.parameters import NamedConnection, Parameters
from orderwatch.aws.products import ProductClient
from orderwatch.aws.stores import SummaryStore
from orderwatch.aws.tables import AlertTable, ConnectionTable, OrderTable
from orderwatch.observability import count_answer, logger, metrics
from orderwatch.publishing.enrich import ProductDetails
from orderwatch.settings import SendSummarySettings, read_settings
from orderwatch.shop_settings import time_zone
from orderwatch.summary.build import Shop, SummaryRequest, summarize, write
from orderwatch.trackstar.client import Trackstar

LIST_TRIES = 9
"""Of one request of the list of shops: it is throttled early, the more so the more parameters the account has."""


class _Adapters:
    """The outside world of this function, built once a process."""

    def __init__(self, settings: SendSummarySettings) -> None:
        dynamodb = clients.dynamodb()
        self.parameters = Parameters(clients.ssm(tries=LIST_TRIES), settings.parameter_prefix)
        trackstar = Trackstar(settings.trackstar_base_url, on_response=count_answer)
        self.details = ProductDetails(ProductClient(self.parameters, trackstar))
        self.store = SummaryStore(
            dynamodb,
            orders=OrderTable(dynamodb, settings.order_table_name),
            connections=ConnectionTable(dynamodb, settings.connection_table_name),
            alerts=AlertTable(dynamodb, settings.alert_table_name),
        )


_adapters = cache(_Adapters)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Write the summary of the day of the Scheduler's tick, once; of any other event another one.

    `{"send": false}` writes none. The answer has the alert in either case.
    """
    settings = read_settings(SendSummarySettings)
    adapters = _adapters(settings)
    summary = summarize(
        _shops(adapters.parameters, settings),
        store=adapters.store,
        products=adapters.details,
        occasion=_occasion(event, settings, context),
    )
    is_written = event.get("send", True) and write(summary, adapters.store)
    metrics.add_metric("SummariesWritten", MetricUnit.Count, int(is_written))
    logger.info("summary made", extra={"alert_id": summary.alert.alert_id, "written": is_written})
    return {"is_written": is_written, "alert": summary.alert.model_dump(mode="json")}


def _shops(parameters: Parameters, settings: SendSummarySettings) -> list[Shop]:
    return [_shop(each, settings) for each in parameters.connections()]


def _shop(connection: NamedConnection, settings: SendSummarySettings) -> Shop:
    """A shop with its own settings, for what they leave open those of the stack."""
    own = connection.settings.late_warning_hours
    return Shop(
        connection.connection_id,
        connection.name,
        time_zone=connection.settings.time_zone or settings.time_zone,
        late_warning_hours=settings.late_warning_hours if own is None else own,
    )


def _occasion(event: dict[str, Any], settings: SendSummarySettings, context: LambdaContext) -> SummaryRequest:
    """A tick names its moment, so that its repeats are of the same day; what is asked for by hand has its own id."""
    now, ticked = clock.now(), event.get("time")
    moment = datetime.fromisoformat(ticked) if ticked else now
    return SummaryRequest(
        stack=settings.stack_name,
        day=moment.astimezone(time_zone(settings.time_zone)).date(),
        at=now,
        time_zone=settings.time_zone,
        watched=settings.alert_statuses,
        suppression=timedelta(minutes=settings.stalled_after_minutes),
        request="" if ticked else context.aws_request_id,
    )
