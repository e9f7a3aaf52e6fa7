"""handle_action: the public page of the link in a message."""

from base64 import b64decode
from functools import cache, partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from orderwatch.actions import MAX_BODY, Request, Shop, respond
from orderwatch.aws import clients
from orderwatch.aws.order_table import OrderTable
from orderwatch.aws.parameters import Parameters
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.observability import logger
from orderwatch.settings import HandleActionSettings, read_settings
from orderwatch.shop_settings import time_zone


class _Adapters:
    """The adapters of this function, built once a process."""

    def __init__(self, settings: HandleActionSettings) -> None:
        self.parameters = Parameters(clients.ssm(), settings.parameter_prefix)
        self.orders = OrderTable(clients.dynamodb(), settings.order_table_name)


_adapters = cache(_Adapters)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request to the function's URL. The log has neither the link nor the form."""
    settings = read_settings(HandleActionSettings)
    adapters = _adapters(settings)
    method = str(event["requestContext"]["http"]["method"])
    response = respond(
        Request(method, str(event["rawPath"]).removeprefix("/"), partial(_body, event)),
        key=adapters.parameters.action_key(),
        orders=adapters.orders,
        shop_of=partial(_shop, adapters.parameters, settings),
    )
    logger.info("request answered", extra={"method": method, "status": response.status})
    return {"statusCode": response.status, "headers": dict(response.headers), "body": response.body}


def _body(event: dict[str, Any]) -> str:
    """The form; empty if it is too long, which no browser sends."""
    body = str(event.get("body") or "")
    if len(body) > 2 * MAX_BODY:
        return ""
    return b64decode(body).decode("utf-8", "replace") if event.get("isBase64Encoded") else body


def _shop(parameters: Parameters, settings: HandleActionSettings, connection_id: str) -> Shop:
    shop = parameters.shop(connection_id)
    zone = time_zone(settings.time_zone)
    rules = DeadlineRules.of(
        shop.settings, zone=zone, late_warning_hours=0, stuck_days=0, reminder_hours=settings.reminder_hours
    )
    return Shop(shop.name or connection_id, rules.zone, rules if settings.deadline_alerts else None)
