"""Requests of Trackstar's API over HTTP: one retry policy, and the vendor's clock.

Faults that may pass (429, 5xx, resets, timeouts, bodies cut off) are tried again with full jitter while there is time;
401, 403, 404, 422 and 501 are answers and are not. Nothing that this module raises or logs holds a header or a body.
"""

import random
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

import httpx
from pydantic import SecretStr

from orderwatch import clock
from orderwatch.errors import TrackstarError, UnauthorizedError, UnavailableError
from orderwatch.observability import logger
from orderwatch.trackstar.answers import Answer, FaultError, date_of
from orderwatch.trackstar.bodies import TooLargeError, UnreadableBodyError, read_body, read_refusal
from orderwatch.trackstar.pace import Pace

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
        pace: What keeps them within the vendor's budget.
        seconds_left: How long the caller lives; no wait goes beyond it.
    """

    def __init__(
        self,
        http: httpx.Client,
        *,
        secrets: Mapping[str, SecretStr],
        pace: Pace,
        seconds_left: Callable[[], float],
    ) -> None:
        self._http = http
        self._secrets = secrets
        self._seconds_left = seconds_left
        self._pace = pace
        self._vendor_now: datetime | None = None

    def _post(self, path: str, body: Mapping[str, Any]) -> None:
        """POST, once.

        Raises:
            TrackstarError: As the answer says; `UnavailableError` where it may pass.
        """
        try:
            self._answer("POST", path, {}, body)
        except FaultError as fault:
            raise UnavailableError(f"POST {path}: {fault.what}", request_id=fault.request_id) from None

    def _fetch[T](self, path: str, params: Mapping[str, str], parse: Callable[[bytes], T]) -> T:
        """GET with retries.

        Raises:
            TrackstarError: As the answer says; `UnavailableError` when the tries or the time are used up.
        """
        for attempt in range(MAX_TRIES):
            try:
                return parse(self._answer("GET", path, params))
            except FaultError as fault:
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
            FaultError: It may be there the next time.
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
            raise FaultError(str(error)) from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            what = f"{self._http.base_url.host} cannot be reached ({type(error).__name__})"
            raise FaultError(f"{what}: check Trackstar's URL (TrackstarBaseUrl)") from None
        except httpx.RequestError as error:
            raise FaultError(type(error).__name__) from None
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
    ) -> Answer:
        seconds = max(0.1, self._seconds_left())
        timeout = httpx.Timeout(min(TIMEOUT.read or 0.0, seconds), connect=TIMEOUT.connect)
        with self._http.stream(
            method, path, params=dict(params), headers=dict(headers), json=body, timeout=timeout
        ) as response:
            self._vendor_now = date_of(response.headers) or self._vendor_now
            self._pace.heed(response.headers, self._vendor_now)
            read = read_body if response.status_code == httpx.codes.OK else read_refusal
            encoding = response.headers.get("content-encoding", "")
            content = read(response.iter_raw(), encoding=encoding, seconds=seconds)
            return Answer(response.status_code, response.headers, content)
