"""post_to_slack: post each alert of the queue to a Slack channel, once."""

from collections.abc import Callable
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError

from orderwatch import clock
from orderwatch.action_links import ActionLinks
from orderwatch.alerts.alert import Alert
from orderwatch.aws import clients
from orderwatch.aws.parameters import Parameters, action_links
from orderwatch.aws.rate_limit import SLACK_LIMIT, RateLimiter, Row
from orderwatch.errors import OrderwatchError
from orderwatch.model import describe_flaws
from orderwatch.observability import logger, metrics
from orderwatch.rendering.markup import for_slack
from orderwatch.rendering.slack import MAX_TEXT, SlackMessage, blocks, plain
from orderwatch.sanitize import one_line
from orderwatch.settings import PostToSlackSettings, read_settings
from orderwatch.slack import SlackInvalidError, SlackWebhook

STOP_BEFORE = 15.0
"""Seconds of the invocation that are reserved for one request to Slack and its record."""
LATE = 60.0
"""Seconds in the queue after which the age of a message is reported; the alarm starts at 900."""
REMEMBERED_FOR = 14 * 24 * 60 * 60
"""Seconds for which duplicates of an alert are dropped: the retention of the queues."""


class _Adapters:
    """The adapters of this function, built once a process."""

    def __init__(self, settings: PostToSlackSettings) -> None:
        dynamodb = clients.dynamodb()
        parameters = Parameters(clients.ssm(), settings.parameter_prefix)
        rate_limiter = RateLimiter(SLACK_LIMIT, Row(dynamodb, settings.idempotency_table_name, "pace"))
        self.webhook = SlackWebhook(parameters, rate_limiter=rate_limiter)
        self.links = action_links(settings.action_url, settings.parameter_prefix)
        self.ledger = DynamoDBPersistenceLayer(table_name=settings.idempotency_table_name, boto3_client=dynamodb)


_adapters = cache(_Adapters)
_processor = BatchProcessor(event_type=EventType.SQS)
_once = IdempotencyConfig(event_key_jmespath="alert_id", expires_after_seconds=REMEMBERED_FOR)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Post the alerts of the messages. The queue retries those that Slack did not accept."""
    adapters = _adapters(read_settings(PostToSlackSettings))
    _once.register_lambda_context(context)

    @idempotent_function(  # type: ignore[untyped-decorator]
        data_keyword_argument="alert", config=_once, persistence_store=adapters.ledger
    )
    def post_once(*, alert: dict[str, Any]) -> None:
        _post(alert, lambda message: adapters.webhook.post(message, seconds_left=seconds_left), adapters.links)
        logger.info("message posted")

    def seconds_left() -> float:
        return clock.seconds_left(context) - STOP_BEFORE

    def post(record: SQSRecord) -> None:
        alert = record.json_body
        logger.append_keys(alert_id=alert.get("alert_id"))
        try:
            post_once(alert=alert)
        except OrderwatchError as error:
            logger.warning("Slack post failed; will retry", extra={"reason": str(error)})
            raise

    for record in event["Records"]:
        age = clock.now().timestamp() - int(record["attributes"]["SentTimestamp"]) / 1000
        if age > LATE:
            metrics.add_metric("SlackMessageAge", MetricUnit.Seconds, age)
    return process_partial_response(event=event, record_handler=post, processor=_processor, context=context)


def _post(body: dict[str, Any], send: Callable[[SlackMessage], None], links: ActionLinks | None) -> None:
    """Post the richest message that Slack accepts: with a picture, without it, or as plain text (rule 11)."""
    try:
        alert = Alert.model_validate(body)
    except ValidationError as error:
        logger.error("alert is invalid; posting its kind and id only", extra={"flaws": describe_flaws(error)})
        text = f"orderwatch: {body.get('kind')}, alert {body.get('alert_id')}"
        send(SlackMessage(text=for_slack(one_line(text, MAX_TEXT), limit=MAX_TEXT), blocks=[]))
        return
    action_url = links.link(alert) if links else None
    for with_image in (True, False):
        message = _rendered(alert, with_image=with_image, action_url=action_url)
        try:
            if message:
                send(message)
                return
        except SlackInvalidError as error:
            logger.warning("Slack refused the message; trying a simpler one", exc_info=error)
    send(plain(alert))


def _rendered(alert: Alert, *, with_image: bool, action_url: str | None) -> SlackMessage | None:
    try:
        return blocks(alert, with_image=with_image, action_url=action_url)
    except Exception as error:  # noqa: BLE001 - a rendering bug must not stop an alert (rule 11)
        logger.error("rendering failed; trying a simpler message", exc_info=error)
        return None
