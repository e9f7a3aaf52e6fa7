"""Trackstar's API over HTTP: one client, one retry policy, and the vendor's clock.

Faults that may pass (429, 5xx, resets, timeouts, bodies cut off) are tried again with full jitter while there is time;
401, 403, 404, 422 and 501 are answers and are not. Nothing that this module raises or logs holds a header or a body.
"""

import json
import math
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from itertools import batched
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

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
from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch.trackstar.orders import OrderPage
from orderwatch.trackstar.products import Product, ProductEnvelope, ProductPage
from orderwatch.trackstar.query import OrderQuery

PAGE_SIZE = 1000
"""Records a page: the most that the vendor gives."""
MAX_VALUES = 100
"""Values of one `in` filter."""
GETS_A_SECOND = 10
"""The vendor's budget for each access token."""
MAX_TRIES = 5
FIRST_DELAY = 0.25
"""Seconds: the upper bound of the first wait between tries; it doubles with each."""
TIMEOUT = httpx.Timeout(20.0, connect=5.0)

_ANSWERS: Mapping[int, type[TrackstarError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    501: NotSupportedError,
}


class Trackstar:
    """The connection pool to the API: one a process.

    Args:
        base_url: Where the API is.
        transport: Another way to it than a socket.
        on_answer: Told the status of every answer, to count them.
    """

    def __init__(
        self,
        base_url: str,
        *,
        transport: httpx.BaseTransport | None = None,
        on_answer: Callable[[int], None] | None = None,
    ) -> None:
        hooks = {"response": [lambda response: on_answer(response.status_code)]} if on_answer else {}
        self._http = httpx.Client(base_url=base_url, timeout=TIMEOUT, transport=transport, event_hooks=hooks)
        self._paces: dict[str, _Pace] = {}

    def client_of(
        self,
        connection_id: str,
        *,
        api_key: SecretStr,
        access_token: SecretStr,
        seconds_left: Callable[[], float],
    ) -> "ConnectionClient":
        """One connection's side of the API.

        Args:
            connection_id: Which.
            api_key: The organisation's.
            access_token: The connection's.
            seconds_left: How long the caller lives; no wait goes beyond it.
        """
        secrets = {"x-trackstar-api-key": api_key, "x-trackstar-access-token": access_token}
        # Two polls of one shop may follow each other in one process: they share its budget.
        pace = self._paces.setdefault(connection_id, _Pace())
        return ConnectionClient(self._http, connection_id, secrets=secrets, pace=pace, seconds_left=seconds_left)


def _value(header: str, secret: SecretStr) -> str:
    """The secret as a header's value; checked here, since the HTTP library's own error would show it.

    Raises:
        UnauthorizedError: It is empty or holds characters that no header takes.
    """
    value = secret.get_secret_value().strip()
    if not (value and value.isascii() and value.isprintable()):
        raise UnauthorizedError(f"the secret for {header} is empty or holds characters that cannot be sent")
    return value


class ConnectionClient:
    """One connection at Trackstar (a `polling.Shop` and an `enrichment.ProductSource`).

    Every method raises a `TrackstarError` where the vendor does not answer as documented.
    """

    def __init__(
        self,
        http: httpx.Client,
        connection_id: str,
        *,
        secrets: Mapping[str, SecretStr],
        pace: "_Pace",
        seconds_left: Callable[[], float],
    ) -> None:
        self._http = http
        self._connection_id = connection_id
        self._secrets = secrets
        self._seconds_left = seconds_left
        self._pace = pace
        self._vendor_now: datetime | None = None

    def now(self) -> datetime:
        """The vendor's clock at its latest answer; asked for where there was none yet (whole seconds)."""
        if self._vendor_now is None:
            with suppress(UnauthorizedError):  # said by the next reading, and a secret that cannot be sent asks nobody
                self._fetch("/cart/orders", {"limit": "1"}, _order_page)
        if self._vendor_now is None:
            logger.warning("trackstar sends no Date header: using our own clock")
            self._vendor_now = clock.now().replace(microsecond=0)
        return self._vendor_now

    def connection(self) -> TrackstarConnection:
        """What Trackstar says of the connection, in any of its three documented envelopes."""
        path = f"/connections/{quote(self._connection_id, safe='')}"
        return self._fetch(path, {}, lambda body: _connection(self._connection_id, body))

    def order_page(self, query: OrderQuery, *, page_token: str | None) -> OrderPage:
        """One page of the query's orders; every filter goes with every page, as the token does not remember them."""
        params = {"limit": str(PAGE_SIZE)} | query.filters()
        params |= {"page_token": page_token} if page_token else {}
        return self._fetch("/cart/orders", params, _order_page)

    def products(self, product_ids: Sequence[str]) -> dict[str, Product]:
        """These products, those that Trackstar has, by id; 100 a request, one by one where the list cannot say them."""
        listable = [product_id for product_id in product_ids if "," not in product_id]
        found = self._one_by_one([product_id for product_id in product_ids if "," in product_id])
        for ids in batched(listable, MAX_VALUES, strict=False):
            found |= self._listed(ids)
        return found

    def _listed(self, product_ids: Sequence[str]) -> dict[str, Product]:
        params = {"limit": str(PAGE_SIZE), "ids[in]": ",".join(product_ids)}
        try:
            page = self._get("/cart/products", params, ProductPage)
        except InvalidRequestError:
            # Not every integration filters its products by id, though each is documented to.
            return self._one_by_one(product_ids)
        return {product.id: product for product in page.products}

    def _one_by_one(self, product_ids: Sequence[str]) -> dict[str, Product]:
        found = ((product_id, self._product(product_id)) for product_id in product_ids)
        return {product_id: product for product_id, product in found if product}

    def _product(self, product_id: str) -> Product | None:
        if self._seconds_left() <= 0:
            raise UnavailableError("GET /cart/products/{product_id}: no time is left")
        try:
            return self._get(f"/cart/products/{quote(product_id, safe='')}", {}, ProductEnvelope).data
        except NotFoundError:
            return None

    def _get[T: BaseModel](self, path: str, params: Mapping[str, str], model: type[T]) -> T:
        return self._fetch(path, params, lambda body: _validated(model, body))

    def _fetch[T](self, path: str, params: Mapping[str, str], parse: Callable[[bytes], T]) -> T:
        """GET with retries.

        Raises:
            TrackstarError: As the answer says; `UnavailableError` when the tries or the time are used up.
        """
        for attempt in range(MAX_TRIES):
            try:
                return parse(self._answer(path, params))
            except _FaultError as fault:
                delay = max(fault.retry_after, random.uniform(0, FIRST_DELAY * 2**attempt))  # noqa: S311 - jitter
                if attempt + 1 == MAX_TRIES or delay >= self._seconds_left():
                    raise UnavailableError(f"GET {path}: {fault.what}", request_id=fault.request_id) from None
                logger.info(
                    "trying trackstar again",
                    extra={"path": path, "fault": fault.what, "delay": delay, "request_id": fault.request_id},
                )
                clock.sleep(delay)
        raise AssertionError("unreachable: the last try returns or raises")

    def _answer(self, path: str, params: Mapping[str, str]) -> bytes:
        headers = {header: _value(header, secret) for header, secret in self._secrets.items()}
        self._pace.wait()
        timeout = httpx.Timeout(max(0.1, min(TIMEOUT.read or 0.0, self._seconds_left())), connect=TIMEOUT.connect)
        try:
            response = self._http.get(path, params=dict(params), headers=headers, timeout=timeout)
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise TrackstarError(f"GET {path} cannot be sent: {type(error).__name__}") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            what = f"{self._http.base_url.host} cannot be reached ({type(error).__name__}): check TrackstarBaseUrl"
            raise _FaultError(what) from None
        except httpx.RequestError as error:
            raise _FaultError(type(error).__name__) from None
        self._vendor_now = _date(response) or self._vendor_now
        self._pace.heed(response.headers, self._vendor_now)
        return _body(response, f"GET {path}")


class _FaultError(Exception):
    """Something that may pass: what it was, and how many seconds the vendor wants us to wait."""

    def __init__(self, what: str, *, retry_after: float = 0.0, request_id: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.retry_after = retry_after
        self.request_id = request_id


class _Pace:
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

    def heed(self, headers: httpx.Headers, vendor_now: datetime | None) -> None:
        """Take what the vendor says of the budget; both spellings are documented."""
        remaining, reset = _rate(headers, "remaining"), _rate(headers, "reset")
        if remaining == 0 and reset is not None and vendor_now:
            wait = min(max(reset - vendor_now.timestamp(), 0.0), 2.0)
            self._not_before = clock.monotonic() + wait


def _rate(headers: httpx.Headers, name: str) -> float | None:
    value = headers.get(f"x-ratelimit-{name}") or headers.get(f"x-rate-limit-{name}")
    return _number(value)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "nan")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(response: httpx.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None


def _body(response: httpx.Response, what: str) -> bytes:
    """The body of a 200; anything else is raised as what it means."""
    status, request_id = response.status_code, response.headers.get("x-request-id")
    if status == httpx.codes.OK:
        return response.content
    what = f"{what}: {status}"
    if status == httpx.codes.UNPROCESSABLE_ENTITY:
        raise InvalidRequestError(what, detail=response.text, request_id=request_id)
    if status in _ANSWERS:
        raise _ANSWERS[status](what, request_id=request_id)
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        after = _number(response.headers.get("retry-after")) or _rate(response.headers, "retry-after") or 0.0
        raise _FaultError(str(status), retry_after=after, request_id=request_id)
    raise TrackstarError(what, request_id=request_id)


def _validated[T: BaseModel](model: type[T], body: bytes) -> T:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False)[0]["type"] != "json_invalid":
            raise _FaultError("not a page") from None
    # A lone surrogate in one record is refused by the strict parser and must not cost the page (rule 9).
    try:
        return model.model_validate(_loads(body))
    except ValidationError:
        raise _FaultError("not a page") from None


def _order_page(body: bytes) -> OrderPage:
    try:
        return OrderPage.read(body)
    except (ValueError, ArithmeticError, RecursionError):
        raise _FaultError("not a page") from None


def _loads(body: bytes) -> Any:
    try:
        return json.loads(body, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError):
        raise _FaultError("body is no JSON") from None


def _connection(connection_id: str, body: bytes) -> TrackstarConnection:
    answer = _loads(body)
    record = answer.get("data", answer) if isinstance(answer, dict) else answer
    candidates = record if isinstance(record, list) else [record]
    for each in candidates:
        if isinstance(each, dict) and each.get("connection_id", connection_id) == connection_id:
            return TrackstarConnection.model_validate(each)
    raise _FaultError("no such connection in the answer")
