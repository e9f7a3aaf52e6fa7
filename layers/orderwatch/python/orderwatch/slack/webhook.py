"""Slack's incoming webhook. Its URL is a secret: it is in no log, error or repr."""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.client import HTTPException
from typing import Protocol

from pydantic import SecretStr
from slack_sdk.errors import SlackClientError
from slack_sdk.webhook import WebhookClient, WebhookResponse

from orderwatch.errors import OrderwatchError
from orderwatch.rendering.slack import SlackMessage

TIMEOUT = 10
"""Seconds of one request."""
MAX_TRIES = 3
DEFAULT_RETRY_AFTER = 30.0
"""Seconds to hold back where Slack is busy and does not say for how long."""
GONE = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
"""What Slack answers where a webhook was revoked, or its channel archived: another URL may have been put since."""


class SlackRefusedError(OrderwatchError):
    """Slack did not take a message: the queue gives it again, and then to the dead letters."""


class SlackInvalidError(SlackRefusedError):
    """Slack found the message itself wrong (400): the same one would never be taken; send a plainer one."""


class Secrets(Protocol):
    """Where the webhook's URL is read, at every post: it may be renewed at any time."""

    def slack_webhook_url(self) -> SecretStr:
        """The URL as it was put."""

    def forget(self) -> None:
        """Read it anew the next time."""


class RateLimiter(Protocol):
    """When the webhook may be used: every function that posts shares it."""

    def wait(self, within: float) -> bool:
        """Wait for the next free moment; False where none is free within so many seconds."""

    def hold(self, seconds: float) -> None:
        """Let nobody post for so long."""


class SlackWebhook:
    """Posts messages at the webhook's pace.

    Args:
        secrets: The webhook's URL.
        rate_limiter: One message a second, whoever posts.
    """

    def __init__(self, secrets: Secrets, *, rate_limiter: RateLimiter) -> None:
        self._secrets = secrets
        self._pace = rate_limiter

    def post(self, message: SlackMessage, *, seconds_left: Callable[[], float]) -> None:
        """Post one message; `Retry-After` is honoured, by all who post, and a URL that was renewed is taken up.

        Args:
            message: What to post.
            seconds_left: How long the caller can wait.

        Raises:
            SlackInvalidError: Slack found something in it that it does not show.
            SlackRefusedError: Slack did not take it, was not reached, or is busy for longer than the caller can wait.
            ParameterMissingError: No URL was put.
            ParameterInvalidError: What was put is no URL.
        """
        url = self._secrets.slack_webhook_url()
        for _ in range(MAX_TRIES):
            if not self._pace.wait(seconds_left()):
                raise SlackRefusedError("slack is busy for longer than can be waited here")
            answer = _send(url, message)
            if answer.status_code in GONE:
                url = self._renewed(url, answer)
            elif answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                self._pace.hold(_retry_after(answer.headers))
            elif answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                return _check(answer)
        raise _refused(answer)

    def _renewed(self, url: SecretStr, answer: WebhookResponse) -> SecretStr:
        """The URL that was put since this one was read."""
        self._secrets.forget()
        renewed = self._secrets.slack_webhook_url()
        if renewed == url:
            raise _refused(answer)
        return renewed


def _send(url: SecretStr, message: SlackMessage) -> WebhookResponse:
    # No tries of the library's own: it cannot know whether a post that broke off was taken, and the queue tries again.
    client = WebhookClient(url.get_secret_value(), timeout=TIMEOUT, retry_handlers=[], logger=_silent_logger())
    try:
        return client.send(text=message.text, blocks=message.blocks)
    except (OSError, ValueError, HTTPException, SlackClientError) as error:
        raise SlackRefusedError(f"slack was not reached ({type(error).__name__})") from None


def _silent_logger() -> logging.Logger:
    """What the library logs of a failure holds the URL."""
    logger = logging.getLogger(f"{__name__}.silent")
    logger.disabled = True
    return logger


def _check(answer: WebhookResponse) -> None:
    if answer.status_code == HTTPStatus.BAD_REQUEST:
        raise SlackInvalidError(f"slack answered 400: {answer.body[:80]}")
    if answer.status_code != HTTPStatus.OK:
        raise _refused(answer)
    if answer.body.lstrip().startswith("<"):  # urllib follows redirects: a URL that is cut off leads to Slack's pages
        raise SlackRefusedError("a web page answered in place of slack: put the webhook's whole URL anew")


def _refused(answer: WebhookResponse) -> SlackRefusedError:
    return SlackRefusedError(f"slack answered {answer.status_code}: {answer.body[:80]}")


def _retry_after(headers: Mapping[str, str]) -> float:
    said = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(said) if said.isascii() and said.isdigit() else DEFAULT_RETRY_AFTER
