"""poll_orders: one poll of the connection that the message names."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch.alerts.parts import AlertConnection
from orderwatch.aws import clients
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.connection_table import ConnectionTable
from orderwatch.aws.order_table import OrderTable
from orderwatch.aws.parameters import ConnectionParameters, Parameters
from orderwatch.aws.queues import PollQueue
from orderwatch.aws.stores import PollStore
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.errors import PollSupersededError
from orderwatch.observability import count_response, logger, metrics
from orderwatch.polling.metrics import Outcome, PollMetrics
from orderwatch.polling.poll import alert_poll_failing, poll
from orderwatch.polling.sync import request_sync
from orderwatch.reading.policy import Policy
from orderwatch.settings import PollOrdersSettings, read_settings
from orderwatch.shop_settings import ShopSettings, time_zone
from orderwatch.trackstar.client import Trackstar

STOP_BEFORE = 30.0
"""Seconds before the timeout after which no page is started: enough for the requests and writes of one page."""


class _Adapters:
    """The adapters of this function, built once a process."""

    def __init__(self, settings: PollOrdersSettings) -> None:
        dynamodb = clients.dynamodb()
        self.parameters = Parameters(clients.ssm(), settings.parameter_prefix)
        self.queue = PollQueue(clients.sqs(), settings.poll_queue_url)
        self.trackstar = Trackstar(settings.trackstar_base_url, on_response=count_response)
        self.store = PollStore(
            dynamodb,
            orders=OrderTable(dynamodb, settings.order_table_name),
            connections=ConnectionTable(dynamodb, settings.connection_table_name),
            alerts=AlertTable(dynamodb, settings.alert_table_name),
        )


_adapters = cache(_Adapters)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:
    """Poll the connection of the message. SQS retries a failed message, then moves it to the dead-letter queue.

    The event source mapping passes one message at a time, so an error can simply be raised.
    """
    settings = read_settings(PollOrdersSettings)
    for message in event["Records"]:
        body = json.loads(message["body"])
        connection_id = str(body["connection_id"])
        logger.append_keys(connection_id=connection_id, poll_id=message["messageId"])
        _handle(connection_id, message["attributes"], settings, context, restart=body.get("restart") is True)
    return {"batchItemFailures": []}


def _handle(
    connection_id: str,
    attributes: dict[str, str],
    settings: PollOrdersSettings,
    context: LambdaContext,
    *,
    restart: bool,
) -> None:
    adapters = _adapters(settings)
    requested_at = datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC)
    try:
        if int(attributes["ApproximateReceiveCount"]) > 1:  # the previous attempt failed or was killed
            connection = _connection(connection_id, adapters.parameters.connection(connection_id), settings)
            stalled_after = timedelta(minutes=settings.stalled_after_minutes)
            alert_poll_failing(connection, store=adapters.store, stalled_after=stalled_after)
        result = _poll(connection_id, requested_at, settings, adapters, context, restart=restart)
    except PollSupersededError as error:
        logger.info("poll stopped; another one of the connection is running", extra={"reason": str(error)})
        return
    except Exception as error:
        logger.error("poll failed; the cursor stays", exc_info=error)
        metrics.add_metric("PollsFailed", MetricUnit.Count, 1)
        raise
    if result.outcome is Outcome.UNFINISHED:
        next_poll_id = adapters.queue.request_poll(connection_id)
        logger.info("poll unfinished; the next one continues", extra={"next_poll_id": next_poll_id})
    if result.outcome is Outcome.UNAUTHORIZED:
        adapters.parameters.forget()
    result.report()


def _poll(
    connection_id: str,
    requested_at: datetime,
    settings: PollOrdersSettings,
    adapters: _Adapters,
    context: LambdaContext,
    *,
    restart: bool,
) -> PollMetrics:
    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    parameters = adapters.parameters.connection(connection_id)
    connection = _connection(connection_id, parameters, settings)
    vendor = adapters.trackstar.client_of(
        connection_id,
        api_key=adapters.parameters.api_key(),
        access_token=parameters.access_token,
        seconds_left=seconds_left,
    )
    result = poll(
        connection,
        vendor=vendor,
        store=adapters.store,
        policy=_policy(settings, parameters.settings),
        has_time=lambda: seconds_left() > STOP_BEFORE,
        requested_at=requested_at,
        restart=restart,
        settings_flaw=parameters.settings_flaw,
    )
    if settings.sync_minutes and result.outcome is Outcome.FINISHED:
        sync_every = timedelta(minutes=settings.sync_minutes)
        request_sync(connection, vendor=vendor, store=adapters.store, metrics=result, sync_every=sync_every)
    return result


def _connection(connection_id: str, parameters: ConnectionParameters, settings: PollOrdersSettings) -> AlertConnection:
    time_zone = parameters.settings.time_zone or settings.time_zone
    return AlertConnection(id=connection_id, name=parameters.name, time_zone=time_zone)


def _policy(settings: PollOrdersSettings, shop_settings: ShopSettings) -> Policy:
    rules = DeadlineRules.of(
        shop_settings,
        zone=time_zone(settings.time_zone),
        late_warning_hours=settings.late_warning_hours,
        stuck_days=settings.stuck_days,
    )
    return Policy(
        statuses=settings.alert_statuses,
        notify_recovered=settings.notify_recovered,
        baseline_days=settings.baseline_days,
        deadlines=rules if settings.deadline_alerts else None,
        restock_alerts=settings.restock_alerts,
    )
