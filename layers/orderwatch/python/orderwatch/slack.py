"""Slack's incoming webhook. Its URL is a secret, so no log, error or repr contains it."""

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
from orderwatch.sanitize import one_line

TIMEOUT = 10
"""Seconds of one request."""
MAX_TRIES = 3
"""Requests for one message."""
DEFAULT_RETRY_AFTER = 30.0
"""Seconds to wait if Slack sends 429 without `Retry-After`."""
ACCEPTED = "ok"
"""The body of a 200 that means success, at Slack and at services that accept its messages, such as Mattermost."""
MAX_SHOWN = 80
"""Characters of a response's body that are part of an error."""
GONE = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
"""Responses after the webhook was revoked or its channel archived. The stored URL may have been replaced since."""


class SlackRefusedError(OrderwatchError):
    """Slack did not accept a message: the queue retries it, then moves it to the dead-letter queue."""


class SlackInvalidError(SlackRefusedError):
    """Slack finds the message invalid (400): a retry would fail too, so send a simpler message."""


class WebhookSecret(Protocol):
    """Where the URL of the webhook is stored; it can be replaced at any time."""

    def slack_webhook_url(self) -> SecretStr:
        """The stored URL."""

    def forget(self) -> None:
        """Drop the cached URL."""


class RateLimiter(Protocol):
    """The limiter that all functions that post to the webhook share."""

    def acquire(self, count: int = 1, *, within: float) -> int:
        """Wait until a message can be sent; 0 if that takes more than `within` seconds."""

    def hold(self, seconds: float) -> None:
        """Stop all senders for this time."""


class SlackWebhook:
    """Posts messages within the limit of the webhook: one message a second, for all senders."""

    def __init__(self, secret: WebhookSecret, *, rate_limiter: RateLimiter) -> None:
        self._secret = secret
        self._rate_limiter = rate_limiter

    def post(self, message: SlackMessage, *, seconds_left: Callable[[], float]) -> None:
        """Post one message.

        `Retry-After` applies to all senders. After a `GONE` response, the stored URL is read again.

        Args:
            message: The message.
            seconds_left: Seconds that the caller can wait.

        Raises:
            SlackInvalidError: Slack finds the message invalid.
            SlackRefusedError: Slack refused it or was not reached, or the rate limit requires a longer wait.
            ParameterMissingError: No URL is stored.
            ParameterInvalidError: The stored value is not the URL of a webhook.
        """
        url = self._secret.slack_webhook_url()
        for _ in range(MAX_TRIES):
            if not self._rate_limiter.acquire(within=seconds_left()):
                raise SlackRefusedError("the rate limit of Slack requires a wait that is too long")
            response = _send(url, message)
            if response.status_code in GONE:
                url = self._replacement_of(url, response)
            elif response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                self._rate_limiter.hold(_retry_after(response.headers))
            elif response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                return _check(response)
        raise _refused(response)

    def _replacement_of(self, url: SecretStr, response: WebhookResponse) -> SecretStr:
        self._secret.forget()
        stored = self._secret.slack_webhook_url()
        if stored == url:
            raise _refused(response)
        return stored


def _send(url: SecretStr, message: SlackMessage) -> WebhookResponse:
    logger = logging.getLogger(f"{__name__}.silent")
    logger.disabled = True  # the library logs the URL when a request fails
    # The library must not retry: after a broken connection it cannot know if Slack has the message.
    client = WebhookClient(url.get_secret_value(), timeout=TIMEOUT, retry_handlers=[], logger=logger)
    try:
        return client.send(text=message.text, blocks=message.blocks)
    except (OSError, ValueError, LookupError, HTTPException, SlackClientError) as error:
        raise SlackRefusedError(f"Slack was not reached ({type(error).__name__})") from None


def _check(response: WebhookResponse) -> None:
    if response.status_code == HTTPStatus.BAD_REQUEST:
        raise SlackInvalidError(f"Slack responded 400: {_shown(response)}")
    if response.status_code != HTTPStatus.OK:
        raise _refused(response)
    if response.body.lstrip().startswith("<"):  # a proxy, or urllib followed the redirect of an incomplete URL
        raise SlackRefusedError("a web page responded instead of the webhook: store the complete webhook URL again")
    if response.body.strip() != ACCEPTED:
        raise SlackRefusedError(f"the webhook responded 200 without {ACCEPTED}: {_shown(response)}")


def _refused(response: WebhookResponse) -> SlackRefusedError:
    return SlackRefusedError(f"Slack responded {response.status_code}: {_shown(response)}")


def _shown(response: WebhookResponse) -> str:
    return one_line(response.body, MAX_SHOWN) or "nothing"


def _retry_after(headers: Mapping[str, str]) -> float:
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(value) if value.isascii() and value.isdigit() else DEFAULT_RETRY_AFTER
