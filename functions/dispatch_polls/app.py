"""dispatch_polls: ask for one poll of every connection."""

from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch.observability import logger, metrics
from orderwatch.parameters import Parameters
from orderwatch.poll_queue import PollQueue
from orderwatch.settings import DispatchPollsSettings, read_settings


@cache
def _parameters(prefix: str) -> Parameters:
    return Parameters(boto3.client("ssm"), prefix)


@cache
def _queue(url: str) -> PollQueue:
    return PollQueue(boto3.client("sqs"), url)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:
    """Send one message for each connection in the Parameter Store, or for each of `connection_ids` in the event."""
    settings = read_settings(DispatchPollsSettings)
    connection_ids = event.get("connection_ids") or _parameters(settings.parameter_prefix).connection_ids()
    queue = _queue(settings.poll_queue_url)
    for connection_id in connection_ids:
        poll_id = queue.ask_for_poll(connection_id)
        logger.info("poll asked for", extra={"connection_id": connection_id, "poll_id": poll_id})
    if not connection_ids:
        logger.warning("no shop to watch: put its access token at <prefix>/connections/<connection_id>/access-token")
    metrics.add_metric("PollsDispatched", MetricUnit.Count, len(connection_ids))
    logger.info("polls dispatched", extra={"connections": len(connection_ids)})
    return {"connection_ids": connection_ids}
