"""dispatch_polls: ask for one poll of every connection."""

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch.aws import clients
from orderwatch.aws.parameters import Parameters
from orderwatch.aws.poll_queue import PollQueue
from orderwatch.errors import PollsNotRequestedError
from orderwatch.observability import logger, metrics
from orderwatch.settings import DispatchPollsSettings, read_settings

LIST_TRIES = 9
"""Of one request of the list of shops: it is throttled early, the more so the more parameters the account has."""


@cache
def _parameters(prefix: str) -> Parameters:
    return Parameters(clients.ssm(tries=LIST_TRIES), prefix)


@cache
def _queue(url: str) -> PollQueue:
    return PollQueue(clients.sqs(), url)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:
    """Send one message for each connection in the Parameter Store, or for each of `connection_ids` in the event.

    Raises:
        PollsNotRequestedError: SQS did not take some; the others are polled, and the retry of the event polls all.
    """
    settings = read_settings(DispatchPollsSettings)
    connection_ids = event.get("connection_ids") or _parameters(settings.parameter_prefix).connection_ids()
    asked = _queue(settings.poll_queue_url).ask_for_polls(connection_ids)
    for connection_id, poll_id in asked.items():
        logger.info("poll asked for", extra={"connection_id": connection_id, "poll_id": poll_id})
    if not connection_ids:
        logger.warning("no shop to watch: put its access token at <prefix>/connections/<connection_id>/access-token")
    logger.info("polls dispatched", extra={"connections": len(asked)})
    if missed := [connection_id for connection_id in connection_ids if connection_id not in asked]:
        raise PollsNotRequestedError(missed)
    return {"connection_ids": connection_ids}
