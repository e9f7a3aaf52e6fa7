"""HTTP requests to Trackstar: secrets, retries, the vendor's rate limit, and limits on the size and time of responses.

Requests, limits and headers: docs/trackstar.md#requests.
"""

import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import chain
from typing import Any

import httpx
from pydantic import SecretStr, ValidationError

from orderwatch import clock
from orderwatch.errors import (
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    NotSupportedError,
    ResponseTooLargeError,
    TrackstarError,
    UnauthorizedError,
    UnavailableError,
)
from orderwatch.model import describe_flaws
from orderwatch.observability import logger
from orderwatch.sanitize import one_line
from orderwatch.trackstar.fields import parse_json

MAX_TRIES = 5
"""How often a GET is sent before the caller gets an `UnavailableError`."""
FIRST_DELAY = 0.25
"""Seconds: upper bound of the random delay before the first retry; it doubles with each retry."""
TIMEOUT = httpx.Timeout(20.0, connect=5.0)
GETS_PER_SECOND = 10
"""The vendor's limit for each access token."""
MAX_RESET_WAIT = 2.0
"""Seconds: the longest wait for `x-ratelimit-reset`. The vendor counts by the second, so a later reset is wrong."""
MEBIBYTE = 2**20
MAX_BODY = 16 * MEBIBYTE
"""Maximum decoded bytes of a body. A page of 1,000 large orders has about ten million. As Python values, a body can
take thirteen times its size, and the function has 512 MiB."""
MAX_ERROR_BODY = 64 * 1024
"""Maximum decoded bytes of an error's body: enough for the vendor's message."""
MAX_SECONDS = 30.0
"""Seconds in which a body must arrive completely."""
MAX_REQUEST_ID_LENGTH = 128
"""Characters of the vendor's `X-Request-Id` that are logged."""
_PLAUSIBLE_YEARS = range(2020, 2200)
"""A `Date` header outside these years is ignored."""

_ERRORS: Mapping[int, type[TrackstarError]] = {
    HTTPStatus.UNAUTHORIZED: UnauthorizedError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.NOT_IMPLEMENTED: NotSupportedError,
}


_TRANSIENT = frozenset(
    {
        HTTPStatus.NO_CONTENT,  # of a gateway: the vendor always sends a body
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
"""Statuses that a retry may change, besides 5xx."""


_REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
"""Statuses that gateways, proxies and captive portals send too."""


class TransientError(Exception):
    """A fault that a retry may fix.

    Args:
        message: What failed, without bodies.
        retry_after: Seconds to wait before the retry, as the vendor requires.
        request_id: The vendor's `X-Request-Id`.
    """

    def __init__(self, message: str, *, retry_after: float = 0.0, request_id: str | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.request_id = request_id


class VendorRateLimit:
    """Keeps one process within the vendor's limit for an access token.

    Unlike `aws.rate_limit`, it needs no shared state: the vendor counts the requests of all processes, and each of its
    responses has the number that is left.
    """

    def __init__(self) -> None:
        self._sent: deque[float] = deque(maxlen=GETS_PER_SECOND)
        self._not_before = 0.0

    def wait(self) -> None:
        """Wait until the next request may be sent."""
        now = clock.monotonic()
        free_at = self._sent[0] + 1.0 if len(self._sent) == GETS_PER_SECOND else 0.0
        delay = max(free_at, self._not_before) - now
        if delay > 0:
            clock.sleep(delay)
        self._sent.append(clock.monotonic())

    def update_from_headers(self, headers: Mapping[str, str], vendor_now: datetime | None) -> None:
        """Pause until the vendor's reset if it reports that no request is left."""
        remaining, reset = rate_limit_header(headers, "remaining"), rate_limit_header(headers, "reset")
        if remaining == 0 and reset is not None and vendor_now:
            wait = min(max(reset - vendor_now.timestamp(), 0.0), MAX_RESET_WAIT)
            self._not_before = clock.monotonic() + wait


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response that was received completely.

    Attributes:
        status: The HTTP status.
        headers: The headers by name, in lower case.
        body: The decoded body; only its beginning if the status is not 200.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str | None:
        """The vendor's id of the request, made safe to log."""
        return request_id(self.headers)

    def raise_for_status(self, request: str) -> None:
        """Raise unless the status is 200; `request` is for the text of the error.

        Raises:
            TransientError: A status that a retry may change, or a 401, 403 or 404 that is not Trackstar's own.
            TrackstarError: Any other status, by its subclass.
        """
        if self.status == HTTPStatus.OK:
            return
        message = f"{request}: {self.status}"
        if self.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            detail = self.body.decode("utf-8", "replace")
            raise InvalidRequestError(message, detail=detail, request_id=self.request_id)
        if self.status in _REFUSALS and not has_vendor_error(self.body):
            raise TransientError(f"{self.status} without Trackstar's error", request_id=self.request_id)
        if self.status in _ERRORS:
            raise _ERRORS[self.status](message, request_id=self.request_id, status=self.status)
        if self.status in _TRANSIENT or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise TransientError(str(self.status), retry_after=retry_after(self.headers), request_id=self.request_id)
        raise TrackstarError(message, request_id=self.request_id, status=self.status)

    def parse[T](self, parse: Callable[[bytes], T]) -> T:
        """Parse the body.

        Raises:
            TransientError: `parse` raised a ValueError: the body is not as documented.
        """
        try:
            return parse(self.body)
        except ValidationError as error:
            flaws = describe_flaws(error)
        except ValueError as error:
            flaws = str(error)
        raise TransientError(f"unexpected response ({flaws})", request_id=self.request_id)


def has_vendor_error(body: bytes) -> bool:
    """Whether the body is an error of Trackstar: an object with a text `error`. Another one is from a proxy."""
    try:
        error = parse_json(body).get("error")
    except (ValueError, AttributeError):
        return False
    return isinstance(error, str) and bool(error.strip())


def request_id(headers: Mapping[str, str]) -> str | None:
    """The vendor's id of a request, made safe to log."""
    return one_line(headers.get("x-request-id", ""), MAX_REQUEST_ID_LENGTH) or None


def rate_limit_header(headers: Mapping[str, str], name: str) -> float | None:
    """A header of the rate limit, in either documented spelling."""
    return _number(headers.get(f"x-ratelimit-{name}") or headers.get(f"x-rate-limit-{name}"))


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait before a retry, as the response requires: a number, or an HTTP date compared with its `Date`."""
    value = headers.get("retry-after")
    seconds = _number(value) or rate_limit_header(headers, "retry-after")
    if seconds is None and value:
        until, sent_at = _http_date(value), date_header(headers) or clock.now()
        seconds = (until - sent_at).total_seconds() if until else None
    return max(seconds or 0.0, 0.0)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "nan")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def date_header(headers: Mapping[str, str]) -> datetime | None:
    """The vendor's clock; None if the header `Date` is missing or invalid."""
    return _http_date(headers.get("date", ""))


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        date = (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return date if date.year in _PLAUSIBLE_YEARS else None


def read_body(response: httpx.Response, seconds: float, *, to_the_end: bool = False) -> bytes:
    """Read a complete body.

    The limit is checked for each chunk that httpx decodes. A chunk has at most 64 KiB before and 64 MiB after decoding:
    a decompression bomb briefly needs about 130 MB (measured), and the function has 512 MB.

    Raises:
        ResponseTooLargeError: The body is larger than `MAX_BODY`. The error has its beginning; and its end, if
            `to_the_end`.
        TransientError: The body is not complete within the seconds, or `MAX_SECONDS`.
        httpx.DecodingError: The body is not compressed as its headers claim.
    """
    parts: list[bytes] = []
    size, chunks = 0, _chunks_in_time(response, seconds)
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_BODY:
            message = f"the response is larger than {MAX_BODY // MEBIBYTE} MiB"
            head = b"".join([*parts, chunk[:MAX_ERROR_BODY]])[:MAX_ERROR_BODY]
            parts.clear()
            raise ResponseTooLargeError(message, head=head, tail=_end_of(chain([chunk], chunks)) if to_the_end else b"")
        parts.append(chunk)
    return b"".join(parts)


def _end_of(chunks: Iterable[bytes]) -> bytes:
    end = b""
    with suppress(TransientError, httpx.RequestError):
        for chunk in chunks:
            end = (end + chunk)[-MAX_ERROR_BODY:]
    return end


def read_error_body(response: httpx.Response, seconds: float) -> bytes:
    """Read the beginning of an error's body; empty if it cannot be read, since the status is enough."""
    body = bytearray()
    try:
        for chunk in _chunks_in_time(response, seconds):
            body += chunk
            if len(body) >= MAX_ERROR_BODY:
                break
    except (TransientError, httpx.DecodingError):
        return b""
    return bytes(body[:MAX_ERROR_BODY])


def _chunks_in_time(response: httpx.Response, seconds: float) -> Iterator[bytes]:
    seconds = min(seconds, MAX_SECONDS)
    ends_at = clock.monotonic() + seconds
    for chunk in response.iter_bytes():
        if clock.monotonic() > ends_at:
            message = f"the response was not complete within {seconds:.0f} s"
            raise TransientError(message, request_id=request_id(response.headers))
        yield chunk


def is_sendable(secret: SecretStr) -> bool:
    """Whether a header can contain the secret. Check it first, since httpx's own error would quote the secret."""
    value = secret.get_secret_value().strip()
    return bool(value) and value.isascii() and value.isprintable()


class ApiClient:
    """Sends requests with one set of secrets (by header name), within one rate limit.

    `seconds_left` returns the time that the caller has left. No wait is longer.
    """

    def __init__(
        self,
        http: httpx.Client,
        *,
        secrets: Mapping[str, SecretStr],
        rate_limit: VendorRateLimit,
        seconds_left: Callable[[], float],
    ) -> None:
        self._http = http
        self._secrets = secrets
        self._rate_limit = rate_limit
        self._seconds_left = seconds_left
        self._vendor_now: datetime | None = None

    def _get[T](self, path: str, params: Mapping[str, str], parse: Callable[[bytes], T]) -> T:
        """GET with retries. `parse` raises a ValueError, without values in its text, if the body is invalid.

        Raises:
            ResponseTooLargeError: The body is too large.
            UnavailableError: All tries failed, or the time is used up.
            TrackstarError: The request failed in a way that a retry does not fix.
        """
        for attempt in range(MAX_TRIES):
            try:
                response = self._send("GET", path, params)
                response.raise_for_status(f"GET {path}")
                return response.parse(parse)
            except TransientError as fault:
                delay = max(fault.retry_after, random.uniform(0, FIRST_DELAY * 2**attempt))  # noqa: S311 - jitter
                if attempt + 1 == MAX_TRIES or delay >= self._seconds_left():
                    raise UnavailableError(f"GET {path}: {fault}", request_id=fault.request_id) from None
                logger.info(
                    "Trackstar request failed; will retry",
                    extra={"path": path, "fault": str(fault), "delay": delay, "request_id": fault.request_id},
                )
                clock.sleep(delay)
        raise AssertionError("unreachable: the last try returns or raises")

    def _post(self, path: str, body: Mapping[str, Any]) -> None:
        """POST once. Any 2xx is a success, since the documentation does not name one.

        Raises:
            UnavailableError: A later request may succeed.
            TrackstarError: The request was refused.
        """
        try:
            response = self._send("POST", path, {}, body)
            if response.status // 100 != HTTPStatus.OK // 100:
                response.raise_for_status(f"POST {path}")
        except TransientError as fault:
            raise UnavailableError(f"POST {path}: {fault}", request_id=fault.request_id) from None

    def _send(
        self, method: str, path: str, params: Mapping[str, str], body: Mapping[str, Any] | None = None
    ) -> ApiResponse:
        """Send one request when the rate limit permits it.

        Raises:
            TransientError: No complete response arrived.
            TrackstarError: The request cannot be sent, or its response is too large.
        """
        for header, secret in self._secrets.items():
            if not is_sendable(secret):
                raise UnauthorizedError(f"the secret for {header} is empty or contains characters that cannot be sent")
        headers = {header: secret.get_secret_value().strip() for header, secret in self._secrets.items()}
        self._rate_limit.wait()
        try:
            return self._exchange(method, path, params, headers, body)
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL, UnicodeEncodeError) as error:
            raise TrackstarError(f"{method} {path} cannot be sent: {type(error).__name__}") from None
        except ResponseTooLargeError as error:
            raise ResponseTooLargeError(f"{method} {path}: {error}", head=error.head, tail=error.tail) from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            message = f"{self._http.base_url.host} cannot be reached ({type(error).__name__})"
            raise TransientError(f"{message}: check Trackstar's URL (TrackstarBaseUrl)") from None
        except httpx.RequestError as error:
            raise TransientError(type(error).__name__) from None

    def _exchange(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None,
    ) -> ApiResponse:
        seconds = max(0.1, self._seconds_left())
        timeout = httpx.Timeout(min(TIMEOUT.read or 0.0, seconds), connect=TIMEOUT.connect)
        with self._http.stream(
            method, path, params=dict(params), headers=dict(headers), json=body, timeout=timeout
        ) as response:
            self._vendor_now = date_header(response.headers) or self._vendor_now
            self._rate_limit.update_from_headers(response.headers, self._vendor_now)
            if response.status_code == HTTPStatus.OK:
                # One record cannot be requested in parts, so the rest of its page is read from both ends of the body.
                received = read_body(response, seconds, to_the_end=params.get("limit") == "1")
            else:
                received = read_error_body(response, seconds)
            return ApiResponse(response.status_code, response.headers, received)
