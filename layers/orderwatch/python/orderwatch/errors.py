"""The errors of orderwatch, one small tree.

OrderwatchError
├── SettingsError               an environment variable is missing or invalid: fix the deployment
├── ParameterMissingError       a parameter is not in the Parameter Store: store it
├── ParameterInvalidError       a parameter's value is invalid: store it again
├── ShopSettingsError           a shop's own settings are invalid (orderwatch.shop_settings): store them again
├── PollsNotRequestedError      SQS did not accept the messages for some connections: send them again
├── SlackRefusedError           Slack did not accept a message (orderwatch.slack): the queue retries it
│   └── SlackInvalidError       the message is invalid: send a simpler one
├── PollSupersededError         another poll has written the connection's row: stop, nothing is lost
└── TrackstarError              the vendor's API did not respond as documented; has the `request_id`
    ├── UnauthorizedError       401: a key or token is wrong; do not retry, alert people if the next poll sees it too
    ├── ForbiddenError          403: disabled by policy; do not retry
    ├── NotFoundError           404: not in Trackstar's copy for this connection
    ├── InvalidRequestError     422: `names(parameter)` returns whether the vendor refused that parameter
    ├── NotSupportedError       501: the integration lacks the endpoint; do not retry
    ├── ResponseTooLargeError   the body is too large to be read; ask for fewer records
    ├── PagingError             a list cannot be read to its end; poll again later, contact Trackstar's support
    ├── NoProgressError         an unfinished poll got no further than the one before it; poll again later
    └── UnavailableError        429, 5xx, resets, timeouts and unreadable bodies, after all retries: poll again later

Adapters raise them. Their texts name the subject and the remedy, never a secret, a body or personal data.
"""

from collections.abc import Sequence


class OrderwatchError(Exception):
    """The base class of every error of orderwatch."""


class SettingsError(OrderwatchError):
    """An environment variable of the function is missing or invalid."""


def _command_for(name: str) -> str:
    """The command that prompts for the secret and stores it: no secret belongs on a command line."""
    owner = name.split("/")[-2]
    commands = {"trackstar": "orderwatch connect-trackstar", "slack": "orderwatch connect-slack"}
    return commands.get(owner, f"orderwatch connect {owner}")


class ParameterMissingError(OrderwatchError):
    """A parameter is not in the Parameter Store."""

    def __init__(self, name: str) -> None:
        super().__init__(f"parameter {name} is missing: {_command_for(name)}")
        self.name = name


class ParameterInvalidError(OrderwatchError):
    """A parameter has an invalid value; `flaw` is why, without the value."""

    def __init__(self, name: str, flaw: str) -> None:
        super().__init__(f"parameter {name} {flaw}: {_command_for(name)}")
        self.name = name
        self.flaw = flaw


class PollsNotRequestedError(OrderwatchError):
    """SQS did not accept the messages for these connections. Send them again: a second poll does no harm."""

    def __init__(self, connection_ids: Sequence[str]) -> None:
        super().__init__(f"SQS did not accept the messages for {', '.join(connection_ids)}")
        self.connection_ids = connection_ids


class PollSupersededError(OrderwatchError):
    """Another poll has written the connection's row since this one read it. Nothing is lost."""


_CLIENT_ERRORS = range(400, 500)


class TrackstarError(OrderwatchError):
    """Trackstar did not respond as documented.

    Args:
        message: The request (method and path) and what went wrong, without bodies.
        request_id: The vendor's `X-Request-Id`, for its support.
        status: The HTTP status of the response; None if there was none.
    """

    def __init__(self, message: str, *, request_id: str | None = None, status: int | None = None) -> None:
        super().__init__(f"{message} (request {request_id})" if request_id else message)
        self.request_id = request_id
        self.status = status

    @property
    def refuses_request(self) -> bool:
        """Whether the vendor refused this request, and not the caller: any 4xx but 401, 403 and 429."""
        return self.status in _CLIENT_ERRORS and self.status not in {401, 403, 429}

    @property
    def is_permanent(self) -> bool:
        """Whether the same request will be refused again: any 4xx, or 501. A 429 becomes an `UnavailableError`."""
        return self.status in _CLIENT_ERRORS or self.status == 501  # noqa: PLR2004 - not implemented


class UnauthorizedError(TrackstarError):
    """401: the API key or the access token is wrong."""


class ForbiddenError(TrackstarError):
    """403: disabled by policy."""


class NotFoundError(TrackstarError):
    """404: not in Trackstar's copy for this connection."""


class InvalidRequestError(TrackstarError):
    """422: the vendor refused a parameter. Its message (`detail`) names the parameter and is not part of the text."""

    def __init__(self, message: str, *, detail: str, request_id: str | None = None) -> None:
        super().__init__(message, request_id=request_id, status=422)
        self._detail = detail

    def names(self, parameter: str) -> bool:
        """Whether the vendor's message names this parameter; the response has no other field for it."""
        return parameter in self._detail


class NotSupportedError(TrackstarError):
    """501: this integration does not implement the endpoint."""


class UnavailableError(TrackstarError):
    """A fault that may be temporary: 429, 5xx, a reset, a timeout or an unreadable body. All retries failed."""


class ResponseTooLargeError(TrackstarError):
    """The body is too large to be read. A retry would get the same body.

    Args:
        message: As for `TrackstarError`.
        head: The beginning of the body.
        tail: Its end; empty if it was not read that far.
    """

    def __init__(self, message: str, *, head: bytes = b"", tail: bytes = b"") -> None:
        super().__init__(message)
        self.head = head
        self.tail = tail


class PagingError(TrackstarError):
    """The page tokens of a list are refused or repeat in every attempt, so its end cannot be reached."""


class NoProgressError(TrackstarError):
    """A poll ran out of time and got no further than the one before it."""
