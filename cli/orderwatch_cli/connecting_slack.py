"""`orderwatch connect-slack`: try a webhook with a message that says that it is a test, then store its URL."""

from dataclasses import dataclass
from decimal import Decimal

from pydantic import BaseModel, SecretStr

from orderwatch import clock
from orderwatch.aws.parameters import is_webhook_url
from orderwatch.aws.rate_limit import SLACK_LIMIT, RateLimiter
from orderwatch.errors import OrderwatchError
from orderwatch.rendering import slack
from orderwatch.slack import SlackRefusedError, SlackWebhook
from orderwatch_cli.secret_parameters import put_secret
from orderwatch_cli.stack import Stack
from orderwatch_cli.trial import TEST_CONNECTION, make_test_alert

POSTED_WITHIN = 60.0
"""Seconds for the message, with what Slack asks us to wait."""


class SlackConnectError(OrderwatchError):
    """The webhook cannot be used: says why and what to do; nothing was stored."""


class SlackConnected(BaseModel):
    """A webhook that took a message and is stored.

    Attributes:
        parameter: Where its URL is.
        is_enabled: Whether the stack posts to Slack.
    """

    parameter: str
    is_enabled: bool


@dataclass(frozen=True)
class _Typed:
    """The URL that was typed, in the place of the Parameter Store."""

    url: SecretStr

    def slack_webhook_url(self) -> SecretStr:
        return self.url

    def forget(self) -> None:
        """There is no other to read."""


def connect_slack(stack: Stack, url: SecretStr) -> SlackConnected:
    """Post a test to the webhook and store its URL.

    Raises:
        SlackConnectError: It is no URL of a webhook, or Slack does not take the message.
    """
    if not url.get_secret_value():
        raise SlackConnectError("no URL: type it at the prompt or give it on standard input")
    if not is_webhook_url(url.get_secret_value()):
        raise SlackConnectError(
            "this is no https URL of a webhook: take it whole, without quotes, from Incoming Webhooks of your Slack app"
        )
    alert = make_test_alert(status="exception", connection_id=TEST_CONNECTION, total_price=Decimal(1))
    deadline = clock.monotonic() + POSTED_WITHIN
    webhook = SlackWebhook(_Typed(url), rate_limiter=RateLimiter(SLACK_LIMIT))
    try:
        webhook.post(slack.blocks(alert), seconds_left=lambda: deadline - clock.monotonic())
    except SlackRefusedError as error:
        raise SlackConnectError(f"{error}: is the webhook still there, its URL whole? Nothing was stored") from None
    name = f"{stack.parameters.parameter_prefix}/slack/webhook-url"
    put_secret(stack, name, url)
    return SlackConnected(parameter=name, is_enabled=stack.parameters.slack_enabled)
