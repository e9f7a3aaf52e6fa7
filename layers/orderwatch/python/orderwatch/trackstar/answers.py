"""What an answer of Trackstar's API means: its status, its headers, and the record or page in its body."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from pydantic import BaseModel, ValidationError

from orderwatch.errors import (
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    NotSupportedError,
    TrackstarError,
    UnauthorizedError,
)
from orderwatch.model import describe_flaws, one_line
from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch.trackstar.lenient_json import read_value
from orderwatch.trackstar.orders import OrderPage

MAX_REQUEST_ID_LENGTH = 128
"""Characters of the vendor's `X-Request-Id` that are shown."""
_YEARS = range(2020, 2200)
"""Years in which a `Date` header is taken for the vendor's clock."""

_REFUSALS: Mapping[int, type[TrackstarError]] = {
    HTTPStatus.UNAUTHORIZED: UnauthorizedError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.NOT_IMPLEMENTED: NotSupportedError,
}


class FaultError(Exception):
    """Something that may pass: what it was, and how many seconds the vendor wants us to wait."""

    def __init__(self, what: str, *, retry_after: float = 0.0, request_id: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.retry_after = retry_after
        self.request_id = request_id


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came.

    Attributes:
        status: Of HTTP.
        headers: Their names are looked up in lower case.
        body: Unpacked; of an answer that is no 200 only its beginning.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str | None:
        """The vendor's id of the request, fit to be shown."""
        return one_line(self.headers.get("x-request-id", ""), MAX_REQUEST_ID_LENGTH) or None

    def body_of(self, what: str) -> bytes:
        """The body of a 200.

        Args:
            what: The request, for the error's text.

        Raises:
            FaultError: It may pass (429, 5xx).
            TrackstarError: Any other status, as what it means.
        """
        if self.status == HTTPStatus.OK:
            return self.body
        what = f"{what}: {self.status}"
        if self.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            detail = self.body.decode("utf-8", "replace")
            raise InvalidRequestError(what, detail=detail, request_id=self.request_id)
        if self.status in _REFUSALS:
            raise _REFUSALS[self.status](what, request_id=self.request_id)
        if self.status == HTTPStatus.TOO_MANY_REQUESTS or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            after = _number(self.headers.get("retry-after")) or rate_header(self.headers, "retry-after") or 0.0
            raise FaultError(str(self.status), retry_after=after, request_id=self.request_id)
        raise TrackstarError(what, request_id=self.request_id)


def rate_header(headers: Mapping[str, str], name: str) -> float | None:
    """A header of the rate limit, in either of its two documented spellings."""
    return _number(headers.get(f"x-ratelimit-{name}") or headers.get(f"x-rate-limit-{name}"))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "nan")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """The vendor's clock; None where the header is missing or makes no sense."""
    try:
        date = parsedate_to_datetime(headers["date"])
        date = (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None
    return date if date.year in _YEARS else None


def order_page(body: bytes) -> OrderPage:
    """The page of orders in a body.

    Raises:
        FaultError: It is none.
    """
    try:
        return OrderPage.read(body)
    except ValidationError as error:
        raise FaultError(f"not a page ({describe_flaws(error)})") from None
    except ValueError:
        raise FaultError("not a page") from None


def record_of[T: BaseModel](model: type[T], body: bytes) -> T:
    """The record or page in a body.

    Raises:
        FaultError: It is none.
    """
    try:
        return model.model_validate(read_value(body))
    except ValidationError as error:
        raise FaultError(f"not a page ({describe_flaws(error)})") from None
    except ValueError:
        raise FaultError("not a page") from None


def connection_of(connection_id: str, body: bytes) -> TrackstarConnection:
    """The connection in a body, in any of its three documented envelopes.

    Raises:
        FaultError: It is not in there.
    """
    try:
        answer = read_value(body)
    except ValueError:
        raise FaultError("body is no JSON") from None
    record = answer.get("data", answer) if isinstance(answer, dict) else answer
    candidates = record if isinstance(record, list) else [record]
    for each in candidates:
        if isinstance(each, dict) and each.get("connection_id", connection_id) == connection_id:
            return TrackstarConnection.model_validate(each)
    raise FaultError("no such connection in the answer")
