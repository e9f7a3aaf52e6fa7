"""The errors of orderwatch, one small tree.

OrderwatchError
├── SettingsError               an environment variable is missing or wrong: fix the deployment
├── ParameterMissingError       a parameter is not in the Parameter Store: put it there
├── ParameterInvalidError       a parameter's value cannot be used: put it again
├── PollsNotRequestedError      SQS did not take the messages of some connections: send them again
├── SlackRefusedError           Slack did not accept a message (orderwatch.slack): the queue retries it
│   └── SlackInvalidError       Slack finds the message invalid: send a simpler one
├── PollSupersededError         another poll of the connection saved first: stop quietly, that poll goes on
└── TrackstarError              the vendor's API did not answer as documented; carries `request_id`
    ├── UnauthorizedError       401: a key or token is wrong; do not retry, alert people
    ├── ForbiddenError          403: disabled by policy; do not retry
    ├── NotFoundError           404: not in Trackstar's copy for this connection
    ├── InvalidRequestError     422: `names(parameter)` tells whether it is about that parameter
    ├── NotSupportedError  501: this integration lacks the endpoint; a gap, not a fault
    ├── PagingError             the page tokens of a list lead nowhere; poll again later, tell Trackstar's support
    └── UnavailableError        429, 5xx, resets, timeouts, broken bodies, after the retries: poll again later

They are raised at the edges. Their texts name the thing and the remedy, never a secret, a body or personal data.
"""

from collections.abc import Sequence


class OrderwatchError(Exception):
    """The root: catch this to catch all of ours."""


class SettingsError(OrderwatchError):
    """An environment variable of the function is missing or wrong."""


def _command_for(name: str) -> str:
    """What asks for the secret, tries it and stores it: no secret goes on a command line."""
    owner = name.split("/")[-2]
    commands = {"trackstar": "orderwatch connect-trackstar", "slack": "orderwatch connect-slack"}
    return commands.get(owner, f"orderwatch connect {owner}")


class ParameterMissingError(OrderwatchError):
    """A parameter is not in the Parameter Store."""

    def __init__(self, name: str) -> None:
        super().__init__(f"parameter {name} is missing: {_command_for(name)}")
        self.name = name


class ParameterInvalidError(OrderwatchError):
    """A parameter holds something that cannot be used.

    Args:
        name: The parameter.
        flaw: What is wrong with it, without its value.
    """

    def __init__(self, name: str, flaw: str) -> None:
        super().__init__(f"parameter {name} {flaw}: {_command_for(name)}")
        self.name = name
        self.flaw = flaw


class PollsNotRequestedError(OrderwatchError):
    """SQS did not take the messages of some connections: send them again, a second poll of one does no harm.

    Args:
        connection_ids: The connections whose message SQS did not take.
    """

    def __init__(self, connection_ids: Sequence[str]) -> None:
        super().__init__(f"SQS took no message for {', '.join(connection_ids)}")
        self.connection_ids = connection_ids


class PollSupersededError(OrderwatchError):
    """Another poll wrote the connection's row since this one read it; nothing is lost."""


class TrackstarError(OrderwatchError):
    """Trackstar did not answer as documented.

    Args:
        what: The request (method and path) and what came back, without bodies.
        request_id: The vendor's `X-Request-Id`, for its support.
    """

    def __init__(self, what: str, *, request_id: str | None = None) -> None:
        super().__init__(f"{what} (request {request_id})" if request_id else what)
        self.request_id = request_id


class UnauthorizedError(TrackstarError):
    """401: the API key or the access token is wrong."""


class ForbiddenError(TrackstarError):
    """403: disabled by policy."""


class NotFoundError(TrackstarError):
    """404: not in Trackstar's copy for this connection."""


class InvalidRequestError(TrackstarError):
    """422: a parameter was refused.

    Args:
        what: As for every `TrackstarError`.
        detail: The vendor's own sentence, which names the parameter; kept out of the error's text.
        request_id: As for every `TrackstarError`.
    """

    def __init__(self, what: str, *, detail: str, request_id: str | None = None) -> None:
        super().__init__(what, request_id=request_id)
        self._detail = detail

    def names(self, parameter: str) -> bool:
        """Whether the vendor's sentence names this parameter: the only place where it says what it refused."""
        return parameter in self._detail


class NotSupportedError(TrackstarError):
    """501: this integration does not implement the endpoint."""


class UnavailableError(TrackstarError):
    """A fault that may pass: 429, 5xx, a reset, a timeout, a body cut off; the retries are used up."""


class PagingError(TrackstarError):
    """A list whose page tokens repeat: its end is never reached."""
