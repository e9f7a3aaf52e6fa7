"""post_to_slack: post each alert of the queue to a Slack channel, once."""

import time
from functools import cache
from typing import Any

import boto3
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

from orderwatch.alerts import Alert
from orderwatch.messages import slack
from orderwatch.observability import logger, metrics
from orderwatch.orders import describe_flaws
from orderwatch.parameters import Parameters
from orderwatch.settings import PostToSlackSettings, read_settings
from orderwatch.slack_webhook import SlackInvalidError, SlackRefusedError, SlackWebhook

SECONDS_BETWEEN_MESSAGES = 1.0
"""Slack takes one message a second for each webhook."""
REMEMBERED_FOR = 24 * 60 * 60
"""Seconds for which a repeat of an alert is dropped."""


@cache
def _webhook(prefix: str) -> SlackWebhook:
    return SlackWebhook(Parameters(boto3.client("ssm"), prefix).slack_webhook_url())


@cache
def _ledger(table_name: str) -> DynamoDBPersistenceLayer:
    return DynamoDBPersistenceLayer(table_name=table_name, boto3_client=boto3.client("dynamodb"))


_processor = BatchProcessor(event_type=EventType.SQS)
_once = IdempotencyConfig(event_key_jmespath="alert_id", expires_after_seconds=REMEMBERED_FOR)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Post the alerts of the records; what Slack did not take is given back to the queue."""
    settings = read_settings(PostToSlackSettings)
    _once.register_lambda_context(context)

    @idempotent_function(  # type: ignore[untyped-decorator]
        data_keyword_argument="alert", config=_once, persistence_store=_ledger(settings.idempotency_table_name)
    )
    def post_once(*, alert: dict[str, Any]) -> None:
        _post(alert, _webhook(settings.parameter_prefix))
        time.sleep(SECONDS_BETWEEN_MESSAGES)

    def post(record: SQSRecord) -> None:
        post_once(alert=record.json_body)

    return process_partial_response(event=event, record_handler=post, processor=_processor, context=context)


def _post(body: dict[str, Any], webhook: SlackWebhook) -> None:
    """Post the alert as fully as Slack takes it: without its picture, or as mere text, rather than not at all."""
    try:
        alert = Alert.model_validate(body)
    except ValidationError as error:
        logger.error("the alert is not whole", extra={"flaws": describe_flaws(error)})
        webhook.post(slack.SlackMessage(text=f"orderwatch: {body.get('kind')}, alert {body['alert_id']}", blocks=[]))
        return
    for make in (slack.blocks, _without_image):
        try:
            webhook.post(make(alert))
        except SlackInvalidError as error:
            logger.warning("slack does not show it so, trying plainer", exc_info=error)
        except SlackRefusedError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug in a template must not cost an alert (rule 11)
            logger.error("rendering failed, trying plainer", exc_info=error)
        else:
            return
    webhook.post(slack.plain(alert))


def _without_image(alert: Alert) -> slack.SlackMessage:
    return slack.blocks(alert, with_image=False)
