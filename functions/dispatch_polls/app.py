"""dispatch_polls: request a poll of every connection where something may have changed."""

from collections import Counter
from datetime import timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch import clock
from orderwatch.aws import clients
from orderwatch.aws.connection_table import ConnectionTable, Registry
from orderwatch.aws.discovery import Discovery
from orderwatch.aws.parameters import Parameters
from orderwatch.aws.poll_queue import PollQueue
from orderwatch.errors import OrderwatchError, PollsNotRequestedError
from orderwatch.observability import count_response, logger, metrics
from orderwatch.polling.schedule import connections_to_poll
from orderwatch.reading.cursor import Now
from orderwatch.settings import DispatchPollsSettings, read_settings
from orderwatch.trackstar.client import Trackstar
from orderwatch.trackstar.connections import TrackstarConnection

STOP_BEFORE = 35.0
"""Seconds before the timeout that are reserved for sending the messages, even if Trackstar is slow."""
STOP_LISTING_BEFORE = 15.0
"""Seconds before the timeout after which no page of the Parameter Store is requested: one can take 13."""


class _Adapters:
    """The adapters of this function, built once a process."""

    def __init__(self, settings: DispatchPollsSettings) -> None:
        self.parameters = Parameters(clients.ssm(tries=1), settings.parameter_prefix)  # the next tick tries again
        self.queue = PollQueue(clients.sqs(), settings.poll_queue_url)
        self.connections = ConnectionTable(clients.dynamodb(), settings.connection_table_name)
        self.discovery = Discovery(self.connections, self.parameters)
        self.trackstar = Trackstar(settings.trackstar_base_url, on_response=count_response)


_adapters = cache(_Adapters)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Request a poll of each connection that may have changed, or of each of the event's `connection_ids`.

    With `restart`, a window that is being read is read from its first page again. Returns the ids of the polls.

    Raises:
        PollsNotRequestedError: SQS refused some messages. Lambda retries the event; the other connections are polled.
    """
    settings = read_settings(DispatchPollsSettings)
    adapters = _adapters(settings)
    registry = adapters.connections.registry()
    requested: list[str] = event.get("connection_ids") or []
    if requested:
        adapters.discovery.find(requested, registry)
        polls = _request(adapters, requested, restart=event.get("restart") is True)
    else:
        polls = _request(adapters, _connections_to_poll(registry, adapters, settings, context))
        polls |= _request(adapters, _new_connections(registry, adapters, context))
    return {"connection_ids": requested or list(polls), "poll_ids": polls}


def _request(adapters: _Adapters, connection_ids: list[str], *, restart: bool = False) -> dict[str, str]:
    """The ids of the polls, by connection."""
    polls = adapters.queue.request_polls(connection_ids, restart=restart)
    for connection_id, poll_id in polls.items():
        logger.info("poll requested", extra={"connection_id": connection_id, "poll_id": poll_id})
    if missed := [connection_id for connection_id in connection_ids if connection_id not in polls]:
        raise PollsNotRequestedError(missed)
    return polls


def _connections_to_poll(
    registry: Registry, adapters: _Adapters, settings: DispatchPollsSettings, context: LambdaContext
) -> list[str]:
    if not registry.watched:
        return []
    listed, now = _listed(adapters, context)
    reasons = connections_to_poll(
        registry.watched,
        registry.states,
        listed,
        now=now,
        max_gap=timedelta(minutes=settings.max_poll_gap_minutes),
        sync_every=timedelta(minutes=settings.sync_minutes) or None,
    )
    counts = Counter(reasons.values())
    logger.info("polls due", extra={"connections": len(registry.watched), "polls": len(reasons), "reasons": counts})
    return list(reasons)


def _new_connections(registry: Registry, adapters: _Adapters, context: LambdaContext) -> list[str]:
    found = adapters.discovery.find_new(registry, has_time=lambda: clock.seconds_left(context) > STOP_LISTING_BEFORE)
    if not (registry.watched or found):
        logger.warning("no shop to watch: put its access token at <prefix>/connections/<connection_id>/access-token")
    return found


def _listed(adapters: _Adapters, context: LambdaContext) -> tuple[dict[str, TrackstarConnection] | None, Now]:
    """Trackstar's list of connections (None if it cannot be read, which must not stop polls), and when it was read."""
    now = clock.now()
    try:
        account = adapters.trackstar.account(
            api_key=adapters.parameters.api_key(), seconds_left=lambda: clock.seconds_left(context) - STOP_BEFORE
        )
        listed = account.connections()
    except (OrderwatchError, GetParameterError) as error:
        logger.warning("Trackstar's connections cannot be listed; polling every few minutes", exc_info=error)
        adapters.parameters.forget()
        return None, Now(now, now)
    return listed, Now(account.vendor_now or now, now)
