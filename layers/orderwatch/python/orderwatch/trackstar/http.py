"""The pace of requests: the vendor's budget for each access token (docs/trackstar.md#requests)."""

import math
import random
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx
from pydantic import SecretStr

from orderwatch import clock
from orderwatch.errors import (
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    NotSupportedError,
    TrackstarError,
    UnauthorizedError,
    UnavailableError,
)
from orderwatch.observability import logger
from orderwatch.sanitize import one_line

GETS_A_SECOND = 10
"""The vendor's budget for each access token."""


class RateLimiter:
    """At most 10 requests in any second, and none while the vendor says that none is left."""

    def __init__(self) -> None:
        self._sent: deque[float] = deque(maxlen=GETS_A_SECOND)
        self._not_before = 0.0

    def wait(self) -> None:
        """Wait until the next request may go."""
        now = clock.monotonic()
        free_at = self._sent[0] + 1.0 if len(self._sent) == GETS_A_SECOND else 0.0
        delay = max(free_at, self._not_before) - now
        if delay > 0:
            clock.sleep(delay)
        self._sent.append(clock.monotonic())

    def update_from_headers(self, headers: Mapping[str, str], vendor_now: datetime | None) -> None:
        """Take what the vendor says of the budget; both spellings are documented."""
        remaining, reset = rate_header(headers, "remaining"), rate_header(headers, "reset")
        if remaining == 0 and reset is not None and vendor_now:
            wait = min(max(reset - vendor_now.timestamp(), 0.0), 2.0)
            self._not_before = clock.monotonic() + wait


MEBIBYTE = 2**20
MAX_BODY = 32 * MEBIBYTE
"""Bytes of an answer, packed and unpacked: a page of 1,000 large orders has about ten million."""
MAX_REFUSAL = 64 * 1024
"""Bytes that are read of an answer that is no 200: enough for the vendor's sentence."""
MAX_SECONDS = 30.0
"""Seconds in which an answer must be there whole."""

ENCODING = "gzip"
"""What is asked for (`Accept-Encoding`)."""
_GZIP = 16 + zlib.MAX_WBITS


class TooLargeError(Exception):
    """The body is larger than `MAX_BODY`; it will be the next time as well."""


class UnreadableBodyError(Exception):
    """The body took too long or cannot be unpacked: the next one may be whole. Its text says which."""


def read_body(chunks: Iterable[bytes], *, encoding: str, seconds: float) -> bytes:
    """Read a body whole.

    Args:
        chunks: The bytes as they come over the wire.
        encoding: The header `Content-Encoding`.
        seconds: The most that it may take.

    Raises:
        TooLargeError: It is larger than `MAX_BODY`.
        UnreadableBodyError: It took longer, or it cannot be unpacked.
    """
    body = bytearray()
    for part in _unpacked(_in_time(chunks, min(seconds, MAX_SECONDS)), encoding):
        body += part
        if len(body) > MAX_BODY:
            raise TooLargeError(f"the answer is larger than {MAX_BODY // MEBIBYTE} MiB")
    return bytes(body)


def read_refusal(chunks: Iterable[bytes], *, encoding: str, seconds: float) -> bytes:
    """Read the beginning of a body, or nothing where it cannot be read: it explains a refusal, which stands anyway."""
    body = bytearray()
    try:
        for part in _unpacked(_in_time(chunks, min(seconds, MAX_SECONDS)), encoding):
            body += part
            if len(body) >= MAX_REFUSAL:
                break
    except UnreadableBodyError:
        return b""
    return bytes(body[:MAX_REFUSAL])


def _in_time(chunks: Iterable[bytes], seconds: float) -> Iterator[bytes]:
    ends_at = clock.monotonic() + seconds
    for chunk in chunks:
        if clock.monotonic() > ends_at:
            raise UnreadableBodyError(f"the answer was not there whole within {seconds:.0f} s")
        yield chunk


def _unpacked(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The body in parts of at most a mebibyte: a small one may unpack to a thousand times its size."""
    if encoding.strip().lower() in ("", "identity"):
        yield from chunks
        return
    if encoding.strip().lower() != ENCODING:
        raise UnreadableBodyError("the answer cannot be unpacked: it is not packed with gzip")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        for chunk in chunks:
            yield from _parts(unpacker, chunk)
    except zlib.error:
        raise UnreadableBodyError("the answer cannot be unpacked: it is damaged") from None
    if not unpacker.eof:
        raise UnreadableBodyError("the answer cannot be unpacked: it was cut off")


def _parts(unpacker: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
    while chunk and not unpacker.eof:
        yield unpacker.decompress(chunk, MEBIBYTE)
        chunk = unpacker.unconsumed_tail


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


class TransientError(Exception):
    """Something that may pass: what it was, and how many seconds the vendor wants us to wait."""

    def __init__(self, what: str, *, retry_after: float = 0.0, request_id: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.retry_after = retry_after
        self.request_id = request_id


@dataclass(frozen=True, slots=True)
class ApiResponse:
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
            TransientError: It may pass (429, 5xx).
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
            raise TransientError(str(self.status), retry_after=after, request_id=self.request_id)
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


MAX_TRIES = 5
FIRST_DELAY = 0.25
"""Seconds: the upper bound of the first wait between tries; it doubles with each."""
TIMEOUT = httpx.Timeout(20.0, connect=5.0)


def _value(header: str, secret: SecretStr) -> str:
    """The secret as a header's value; checked here, since the HTTP library's own error would show it.

    Raises:
        UnauthorizedError: It is empty or holds characters that no header takes.
    """
    value = secret.get_secret_value().strip()
    if not (value and value.isascii() and value.isprintable()):
        raise UnauthorizedError(f"the secret for {header} is empty or holds characters that cannot be sent")
    return value


class Requests:
    """Requests with the same secrets, at one pace.

    Args:
        http: The connection pool.
        secrets: By the header that each goes in.
        rate_limiter: What keeps them within the vendor's budget.
        seconds_left: How long the caller lives; no wait goes beyond it.
    """

    def __init__(
        self,
        http: httpx.Client,
        *,
        secrets: Mapping[str, SecretStr],
        rate_limiter: RateLimiter,
        seconds_left: Callable[[], float],
    ) -> None:
        self._http = http
        self._secrets = secrets
        self._seconds_left = seconds_left
        self._pace = rate_limiter
        self._vendor_now: datetime | None = None

    def _post(self, path: str, body: Mapping[str, Any]) -> None:
        """POST, once.

        Raises:
            TrackstarError: As the answer says; `UnavailableError` where it may pass.
        """
        try:
            self._answer("POST", path, {}, body)
        except TransientError as fault:
            raise UnavailableError(f"POST {path}: {fault.what}", request_id=fault.request_id) from None

    def _fetch[T](self, path: str, params: Mapping[str, str], parse: Callable[[bytes], T]) -> T:
        """GET with retries.

        Raises:
            TrackstarError: As the answer says; `UnavailableError` when the tries or the time are used up.
        """
        for attempt in range(MAX_TRIES):
            try:
                return parse(self._answer("GET", path, params))
            except TransientError as fault:
                delay = max(fault.retry_after, random.uniform(0, FIRST_DELAY * 2**attempt))  # noqa: S311 - jitter
                if attempt + 1 == MAX_TRIES or delay >= self._seconds_left():
                    raise UnavailableError(f"GET {path}: {fault.what}", request_id=fault.request_id) from None
                logger.info(
                    "trying trackstar again",
                    extra={"path": path, "fault": fault.what, "delay": delay, "request_id": fault.request_id},
                )
                clock.sleep(delay)
        raise AssertionError("unreachable: the last try returns or raises")

    def _answer(
        self, method: str, path: str, params: Mapping[str, str], body: Mapping[str, Any] | None = None
    ) -> bytes:
        """The body of a 200.

        Raises:
            TransientError: It may be there the next time.
            TrackstarError: It will not.
        """
        headers = {header: _value(header, secret) for header, secret in self._secrets.items()}
        self._pace.wait()
        try:
            answer = self._ask(method, path, params, headers, body)
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL, UnicodeEncodeError) as error:
            raise TrackstarError(f"{method} {path} cannot be sent: {type(error).__name__}") from None
        except TooLargeError as error:
            raise TrackstarError(f"{method} {path}: {error}") from None
        except UnreadableBodyError as error:
            raise TransientError(str(error)) from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            what = f"{self._http.base_url.host} cannot be reached ({type(error).__name__})"
            raise TransientError(f"{what}: check Trackstar's URL (TrackstarBaseUrl)") from None
        except httpx.RequestError as error:
            raise TransientError(type(error).__name__) from None
        if method == "POST" and answer.status // 100 == HTTPStatus.OK // 100:
            return answer.body  # which of them it is, is not documented
        return answer.body_of(f"{method} {path}")

    def _ask(
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
            self._vendor_now = date_of(response.headers) or self._vendor_now
            self._pace.update_from_headers(response.headers, self._vendor_now)
            read = read_body if response.status_code == httpx.codes.OK else read_refusal
            encoding = response.headers.get("content-encoding", "")
            content = read(response.iter_raw(), encoding=encoding, seconds=seconds)
            return ApiResponse(response.status_code, response.headers, content)
