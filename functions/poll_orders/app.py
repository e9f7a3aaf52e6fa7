"""poll_orders: one poll of the connection that the message names."""

import gc
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch import clock
from orderwatch.alerts.parts import AlertConnection
from orderwatch.aws import clients
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.connection_table import ConnectionTable
from orderwatch.aws.dynamodb import patient
from orderwatch.aws.order_table import OrderTable
from orderwatch.aws.parameters import ConnectionParameters, Parameters
from orderwatch.aws.poll_queue import PollQueue
from orderwatch.aws.poll_store import PollStore
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.errors import NotConnectedError, PollSupersededError, ThrottledError
from orderwatch.observability import count_response, logger, metrics
from orderwatch.polling.metrics import Outcome, PollMetrics
from orderwatch.polling.poll import alert_poll_failing, poll
from orderwatch.polling.sync import request_sync
from orderwatch.quiet_hours import QuietHours
from orderwatch.reading.policy import Policy
from orderwatch.settings import PollOrdersSettings, read_settings
from orderwatch.shop_settings import ShopSettings, time_zone
from orderwatch.trackstar.client import Trackstar

gc.set_threshold(50_000)  # a page is thousands of objects without cycles: looking for some took 8 % of a first reading

STOP_BEFORE = 30.0
"""Seconds before the timeout after which no page is started: enough for the requests and writes of one page."""
GIVE_UP_BEFORE = 10.0
"""Seconds before the timeout after which a throttled request is not repeated: enough to request the next poll."""


class _Adapters:
    """The adapters of this function, built once a process."""

    def __init__(self, settings: PollOrdersSettings) -> None:
        self._settings = settings
        self._dynamodb = clients.dynamodb()
        self.parameters = Parameters(clients.ssm(), settings.parameter_prefix)
        self.queue = PollQueue(clients.sqs(), settings.poll_queue_url)
        self.trackstar = Trackstar(settings.trackstar_base_url, on_response=count_response)
        self.connections = ConnectionTable(self._dynamodb, settings.connection_table_name)

    def store(self, context: LambdaContext, quiet_hours: QuietHours | None = None) -> PollStore:
        """The tables of a shop with these quiet hours; throttled requests are repeated as long as there is time."""
        client = patient(self._dynamodb, lambda: clock.seconds_left(context) > GIVE_UP_BEFORE)
        return PollStore(
            client,
            orders=OrderTable(client, self._settings.order_table_name),
            connections=ConnectionTable(client, self._settings.connection_table_name),
            alerts=AlertTable(client, self._settings.alert_table_name),
            quiet_hours=quiet_hours,
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
    try:
        result = _attempt(connection_id, attributes, settings, context, restart=restart)
    except ThrottledError as error:
        logger.warning("poll stopped by DynamoDB's limits; the next one continues", extra={"reason": str(error)})
        result = PollMetrics(outcome=Outcome.UNFINISHED)
    except NotConnectedError as error:
        logger.warning("shop is not connected; it is no longer watched", extra={"reason": str(error)})
        adapters.connections.unwatch(connection_id)
        result = PollMetrics(outcome=Outcome.NOT_CONNECTED)
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
    result.report()


def _attempt(
    connection_id: str,
    attributes: dict[str, str],
    settings: PollOrdersSettings,
    context: LambdaContext,
    *,
    restart: bool,
) -> PollMetrics:
    adapters = _adapters(settings)
    if int(attributes["ApproximateReceiveCount"]) > 1:  # the previous attempt failed or was killed
        connection = _connection(connection_id, adapters.parameters.connection(connection_id), settings)
        stalled_after = timedelta(minutes=settings.stalled_after_minutes)
        alert_poll_failing(connection, store=adapters.store(context), stalled_after=stalled_after)
    requested_at = datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC)
    once = partial(_poll, connection_id, requested_at, settings, adapters, context, restart=restart)
    return _with_current_secrets(connection_id, adapters.parameters, once)


def _with_current_secrets(connection_id: str, parameters: Parameters, once: Callable[[], PollMetrics]) -> PollMetrics:
    """Poll, and once more at once if Trackstar refuses secrets that were rotated since this process read them.

    The second poll ends the suspicion that the first one stored, so a rotation alerts nobody.
    """
    used = parameters.credentials(connection_id)
    result = once()
    if result.outcome is Outcome.UNAUTHORIZED and parameters.rotated(connection_id, used):
        logger.info("secrets were rotated; polling again")
        return once()
    return result


def _poll(
    connection_id: str,
    requested_at: datetime,
    settings: PollOrdersSettings,
    adapters: _Adapters,
    context: LambdaContext,
    *,
    restart: bool,
) -> PollMetrics:
    parameters = adapters.parameters.connection(connection_id)
    connection = _connection(connection_id, parameters, settings)
    store = adapters.store(context, QuietHours.of(parameters.settings, zone=time_zone(settings.time_zone)))
    vendor = adapters.trackstar.client_of(
        connection_id,
        api_key=adapters.parameters.api_key(),
        access_token=parameters.access_token,
        seconds_left=partial(clock.seconds_left, context),
    )
    result = poll(
        connection,
        vendor=vendor,
        store=store,
        policy=_policy(settings, parameters.settings),
        has_time=lambda: clock.seconds_left(context) > STOP_BEFORE,
        requested_at=requested_at,
        restart=restart,
        settings_flaw=parameters.settings_flaw,
    )
    if settings.sync_minutes and result.outcome is Outcome.FINISHED:
        sync_every = timedelta(minutes=settings.sync_minutes)
        request_sync(connection, vendor=vendor, store=store, metrics=result, sync_every=sync_every)
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
        reminder_hours=settings.reminder_hours,
        max_reminders=settings.max_reminders,
    )
    return Policy(
        statuses=settings.alert_statuses,
        notify_recovered=settings.notify_recovered,
        baseline_days=settings.baseline_days,
        deadlines=rules if settings.deadline_alerts else None,
        restock_alerts=settings.restock_alerts,
    )
