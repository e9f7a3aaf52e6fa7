"""Slack's incoming webhook. Its URL is a secret: it is in no log, error or repr."""

from http import HTTPStatus

from pydantic import SecretStr
from slack_sdk.errors import SlackClientError
from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler, RateLimitErrorRetryHandler
from slack_sdk.webhook import WebhookClient

from orderwatch.errors import OrderwatchError
from orderwatch.messages.slack import SlackMessage

TIMEOUT = 10
"""Seconds of one request."""


class SlackRefusedError(OrderwatchError):
    """Slack did not take a message: the queue gives it again, and then to the dead letters."""


class SlackInvalidError(SlackRefusedError):
    """Slack found the message itself wrong (400): the same one would never be taken; send a plainer one."""


class SlackWebhook:
    """Posts messages; `Retry-After` is honoured by slack_sdk's own handler.

    Args:
        url: The webhook's URL.
    """

    def __init__(self, url: SecretStr) -> None:
        handlers = [ConnectionErrorRetryHandler(), RateLimitErrorRetryHandler(max_retry_count=2)]
        self._client = WebhookClient(url.get_secret_value(), timeout=TIMEOUT, retry_handlers=handlers)

    def post(self, message: SlackMessage) -> None:
        """Post one message.

        Raises:
            SlackInvalidError: Slack found something in it that it does not show.
            SlackRefusedError: Slack did not take it, or was not reached.
        """
        try:
            answer = self._client.send(text=message.text, blocks=message.blocks)
        except (OSError, ValueError, SlackClientError) as error:
            raise SlackRefusedError(f"slack was not reached ({type(error).__name__})") from None
        if answer.status_code == HTTPStatus.BAD_REQUEST:
            raise SlackInvalidError(f"slack answered 400: {answer.body[:80]}")
        if answer.status_code != HTTPStatus.OK:
            raise SlackRefusedError(f"slack answered {answer.status_code}: {answer.body[:80]}")
