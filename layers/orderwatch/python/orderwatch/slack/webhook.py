"""Slack's incoming webhook. Its URL is a secret: it is in no log, error or repr."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

from pydantic import SecretStr
from slack_sdk.errors import SlackClientError
from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler
from slack_sdk.webhook import WebhookClient, WebhookResponse

from orderwatch.errors import OrderwatchError
from orderwatch.publishing.messages.slack import SlackMessage

TIMEOUT = 10
"""Seconds of one request."""
MAX_TRIES = 3
DEFAULT_RETRY_AFTER = 30.0
"""Seconds to hold back where Slack is busy and does not say for how long."""


class SlackRefusedError(OrderwatchError):
    """Slack did not take a message: the queue gives it again, and then to the dead letters."""


class SlackInvalidError(SlackRefusedError):
    """Slack found the message itself wrong (400): the same one would never be taken; send a plainer one."""


class Pace(Protocol):
    """When the webhook may be used: every function that posts shares it."""

    def wait(self, within: float) -> bool:
        """Wait for the next free moment; False where none is free within so many seconds."""

    def hold(self, seconds: float) -> None:
        """Let nobody post for so long."""


class SlackWebhook:
    """Posts messages at the webhook's pace.

    Args:
        url: The webhook's URL.
        pace: One message a second, whoever posts.
    """

    def __init__(self, url: SecretStr, *, pace: Pace) -> None:
        self._client = WebhookClient(
            url.get_secret_value(), timeout=TIMEOUT, retry_handlers=[ConnectionErrorRetryHandler()]
        )
        self._pace = pace

    def post(self, message: SlackMessage, *, seconds_left: Callable[[], float]) -> None:
        """Post one message; `Retry-After` is honoured, by all who post.

        Args:
            message: What to post.
            seconds_left: How long the caller can wait.

        Raises:
            SlackInvalidError: Slack found something in it that it does not show.
            SlackRefusedError: Slack did not take it, was not reached, or is busy for longer than the caller can wait.
        """
        for _ in range(MAX_TRIES):
            if not self._pace.wait(seconds_left()):
                raise SlackRefusedError("slack is busy for longer than can be waited here")
            answer = self._send(message)
            if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                return _check(answer)
            self._pace.hold(_retry_after(answer.headers))
        raise SlackRefusedError("slack answered 429")

    def _send(self, message: SlackMessage) -> WebhookResponse:
        try:
            return self._client.send(text=message.text, blocks=message.blocks)
        except (OSError, ValueError, SlackClientError) as error:
            raise SlackRefusedError(f"slack was not reached ({type(error).__name__})") from None


def _check(answer: WebhookResponse) -> None:
    if answer.status_code == HTTPStatus.BAD_REQUEST:
        raise SlackInvalidError(f"slack answered 400: {answer.body[:80]}")
    if answer.status_code != HTTPStatus.OK:
        raise SlackRefusedError(f"slack answered {answer.status_code}: {answer.body[:80]}")


def _retry_after(headers: Mapping[str, str]) -> float:
    said = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(said) if said.isascii() and said.isdigit() else DEFAULT_RETRY_AFTER
