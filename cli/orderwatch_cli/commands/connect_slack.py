"""`orderwatch connect-slack`: posts a test message to a webhook, then stores its URL."""

from dataclasses import dataclass
from decimal import Decimal

from pydantic import BaseModel, SecretStr

from orderwatch import clock
from orderwatch.aws.parameters import webhook_flaw
from orderwatch.aws.rate_limit import SLACK_LIMIT, RateLimiter
from orderwatch.errors import OrderwatchError
from orderwatch.rendering import slack
from orderwatch.slack import SlackRefusedError, SlackWebhook
from orderwatch_cli import output
from orderwatch_cli.arguments import Endpoint, Json, StackName, read_secret, stack_at
from orderwatch_cli.commands.test_alert import TEST_CONNECTION, make_test_alert
from orderwatch_cli.parameters import put_secret
from orderwatch_cli.shop_check import proxy_hint
from orderwatch_cli.stack import STACK_NAME, Stack

POST_TIMEOUT = 60.0
"""Seconds for the test message, including the pauses that Slack requests."""


class SlackConnectError(OrderwatchError):
    """The webhook does not work and nothing was stored; the message says what to do."""


class SlackConnected(BaseModel):
    """A webhook that accepted a message and was stored.

    Attributes:
        parameter: Name of the parameter with its URL.
        is_enabled: Whether the stack posts to Slack.
    """

    parameter: str
    is_enabled: bool


@dataclass(frozen=True)
class _EnteredUrl:
    """The URL that was entered, instead of the Parameter Store's."""

    url: SecretStr

    def slack_webhook_url(self) -> SecretStr:
        return self.url

    def forget(self) -> None:
        """Do nothing: there is no other URL to read."""


def connect_slack(stack_name: StackName = STACK_NAME, endpoint_url: Endpoint = None, *, json: Json = False) -> None:
    """Store the URL of your Slack webhook.

    Reads it from a prompt or from standard input, and posts a test message before replacing the old one.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        connected = store_webhook(stack, read_secret("URL of the incoming webhook"))
    if json:
        output.document(connected)
        return
    output.line(f"Slack accepted a test message: the URL is stored in {connected.parameter}")
    if connected.is_enabled:
        output.line("The function uses it within five minutes.")
    else:
        output.line("This stack does not post to Slack yet. To enable it, run in the repository:")
        output.line(f"sam deploy --stack-name {stack_name} --parameter-overrides SlackEnabled=true", to_copy=True)


def store_webhook(stack: Stack, url: SecretStr) -> SlackConnected:
    """Post a test message to the webhook and store its URL.

    Raises:
        SlackConnectError: It is not the URL of a webhook, or Slack rejects the message.
    """
    if not url.get_secret_value():
        raise SlackConnectError("no URL: enter it at the prompt or on standard input")
    if flaw := webhook_flaw(url.get_secret_value()):
        raise SlackConnectError(
            f"this {flaw}: copy all of its URL, without quotes, from Incoming Webhooks of your Slack app"
        )
    alert = make_test_alert(status="exception", connection_id=TEST_CONNECTION, total_price=Decimal(1))
    deadline = clock.monotonic() + POST_TIMEOUT
    webhook = SlackWebhook(_EnteredUrl(url), rate_limiter=RateLimiter(SLACK_LIMIT))
    try:
        webhook.post(slack.blocks(alert), seconds_left=lambda: deadline - clock.monotonic())
    except SlackRefusedError as error:
        raise SlackConnectError(
            f"{error}: check that the webhook still exists and its URL is complete{proxy_hint()}; nothing was stored"
        ) from None
    name = f"{stack.parameters.parameter_prefix}/slack/webhook-url"
    put_secret(stack, name, url)
    return SlackConnected(parameter=name, is_enabled=stack.parameters.slack_enabled)
