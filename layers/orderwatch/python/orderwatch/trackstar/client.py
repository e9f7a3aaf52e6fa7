"""Trackstar's API: what one connection can be asked for, and what the organisation can."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from itertools import batched
from typing import Annotated
from urllib.parse import quote

import httpx
from pydantic import BaseModel, BeforeValidator, SecretStr, ValidationError

from orderwatch import clock
from orderwatch.errors import InvalidRequestError, NotFoundError, UnauthorizedError, UnavailableError
from orderwatch.model import Model, describe_flaws
from orderwatch.observability import logger
from orderwatch.trackstar.connections import ORDERS, TrackstarConnection, objects
from orderwatch.trackstar.fields import Text
from orderwatch.trackstar.http import ENCODING, TIMEOUT, RateLimiter, Requests, TransientError
from orderwatch.trackstar.lenient_json import read_value
from orderwatch.trackstar.orders import FoundOrders, Order, OrderPage, OrderQuery, in_lists
from orderwatch.trackstar.products import Product, ProductEnvelope, ProductPage


def order_page(body: bytes) -> OrderPage:
    """The page of orders in a body.

    Raises:
        TransientError: It is none.
    """
    try:
        return OrderPage.read(body)
    except ValidationError as error:
        raise TransientError(f"not a page ({describe_flaws(error)})") from None
    except ValueError:
        raise TransientError("not a page") from None


def record_of[T: BaseModel](model: type[T], body: bytes) -> T:
    """The record or page in a body.

    Raises:
        TransientError: It is none.
    """
    try:
        return model.model_validate(read_value(body))
    except ValidationError as error:
        raise TransientError(f"not a page ({describe_flaws(error)})") from None
    except ValueError:
        raise TransientError("not a page") from None


def connection_of(connection_id: str, body: bytes) -> TrackstarConnection:
    """The connection in a body, in any of its three documented envelopes.

    Raises:
        TransientError: It is not in there.
    """
    try:
        answer = read_value(body)
    except ValueError:
        raise TransientError("body is no JSON") from None
    record = answer.get("data", answer) if isinstance(answer, dict) else answer
    candidates = record if isinstance(record, list) else [record]
    for each in candidates:
        if isinstance(each, dict) and each.get("connection_id", connection_id) == connection_id:
            return TrackstarConnection.model_validate(each)
    raise TransientError("no such connection in the answer")


def read_order(body: bytes) -> Order | None:
    """The order in a body; None where its record cannot be watched.

    Raises:
        TransientError: It is none.
    """
    try:
        answer = read_value(body)
    except ValueError:
        raise TransientError("body is no JSON") from None
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
        raise TransientError("not an order")
    try:
        return Order.of(answer["data"])
    except ValidationError:
        return None


PAGE_SIZE = 1000
"""Records a page: the most that the vendor gives."""
MAX_VALUES = 100
"""Values of one `in` filter."""
MAX_PAGES_OF_IDS = 200
"""Pages of a list by ids that are followed: more than it can have."""


CONNECTIONS_PAGE_SIZE = 1000
"""Connections a page: the most that the vendor gives."""
MAX_PAGES = 100
"""Pages that are followed: more connections than an organisation has."""


class ConnectionPage(Model):
    """A page of `GET /connections`; a record that is none is left out."""

    data: Annotated[tuple[TrackstarConnection, ...], BeforeValidator(objects)]
    next_token: Text = None


class AccountClient(Requests):
    """The organisation at Trackstar."""

    def connections(self) -> dict[str, TrackstarConnection]:
        """Every connection, by its id.

        Raises:
            TrackstarError: The list cannot be read, or its pages lead nowhere.
        """
        found: dict[str, TrackstarConnection] = {}
        params = {"limit": str(CONNECTIONS_PAGE_SIZE)}
        for _ in range(MAX_PAGES):
            page = self._fetch("/connections", params, partial(record_of, ConnectionPage))
            found |= {each.connection_id: each for each in page.data if each.connection_id}
            if page.next_token is None:
                return found
            if page.next_token == params.get("page_token"):
                break
            params["page_token"] = page.next_token
        raise UnavailableError("GET /connections: its pages lead nowhere")

    @property
    def vendor_now(self) -> datetime | None:
        """The vendor's clock at its latest answer."""
        return self._vendor_now


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
        self._http = httpx.Client(
            base_url=base_url,
            headers={"accept-encoding": ENCODING},
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),  # one shop's are nothing to another
            timeout=TIMEOUT,
            transport=transport,
            event_hooks={"response": [partial(_on_response, on_answer=on_answer)]},
        )
        self._paces: dict[str, RateLimiter] = {}

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
        rate_limiter = self._paces.setdefault(connection_id, RateLimiter())
        return ConnectionClient(
            self._http, connection_id, secrets=secrets, rate_limiter=rate_limiter, seconds_left=seconds_left
        )

    def account(self, *, api_key: SecretStr, seconds_left: Callable[[], float]) -> AccountClient:
        """What the API key alone may see.

        Args:
            api_key: The organisation's.
            seconds_left: How long the caller lives; no wait goes beyond it.
        """
        secrets = {"x-trackstar-api-key": api_key}
        return AccountClient(self._http, secrets=secrets, rate_limiter=RateLimiter(), seconds_left=seconds_left)


def _on_response(response: httpx.Response, *, on_answer: Callable[[int], None] | None) -> None:
    # No redirect is followed, and a Location that makes no sense would be an error of the HTTP library.
    response.headers.pop("location", None)
    if on_answer:
        on_answer(response.status_code)


class ConnectionClient(Requests):
    """One connection at Trackstar (a `polling.Shop` and an `enrichment.ProductSource`).

    Every method raises a `TrackstarError` where the vendor does not answer as documented.
    """

    def __init__(
        self,
        http: httpx.Client,
        connection_id: str,
        *,
        secrets: Mapping[str, SecretStr],
        rate_limiter: RateLimiter,
        seconds_left: Callable[[], float],
    ) -> None:
        super().__init__(http, secrets=secrets, rate_limiter=rate_limiter, seconds_left=seconds_left)
        self._connection_id = connection_id

    def now(self) -> datetime:
        """The vendor's clock at its latest answer; asked for where there was none yet (whole seconds)."""
        if self._vendor_now is None:
            with suppress(UnauthorizedError):  # said by the next reading, and a secret that cannot be sent asks nobody
                self._fetch("/cart/orders", {"limit": "1"}, order_page)
        if self._vendor_now is None:
            logger.warning("trackstar sends no Date header: using our own clock")
            self._vendor_now = clock.now().replace(microsecond=0)
        return self._vendor_now

    def connection(self) -> TrackstarConnection:
        """What Trackstar says of the connection, in any of its three documented envelopes."""
        path = f"/connections/{quote(self._connection_id, safe='')}"
        return self._fetch(path, {}, partial(connection_of, self._connection_id))

    def start_sync(self) -> None:
        """Ask Trackstar to pull the shop's orders now; it does so in the background. Tried once."""
        self._post("/connections/sync", {"functions_to_sync": [ORDERS]})

    def order_page(self, query: OrderQuery, *, page_token: str | None) -> OrderPage:
        """One page of the query's orders; every filter goes with every page, as the token does not remember them."""
        params = {"limit": str(PAGE_SIZE)} | query.filters()
        params |= {"page_token": page_token} if page_token else {}
        return self._fetch("/cart/orders", params, order_page)

    def orders(self, order_ids: Sequence[str]) -> FoundOrders:
        """These orders as they are in the copy now; what a list does not show is asked for by itself."""
        shown = [order for ids in in_lists(order_ids) for order in self._listed_orders(ids)]
        missing = sorted(set(order_ids) - {order.id for order in shown})
        asked = {order_id: self._order(order_id) for order_id in missing}
        gone = [order_id for order_id, answer in asked.items() if answer is NotFoundError]
        return FoundOrders([*shown, *(answer for answer in asked.values() if isinstance(answer, Order))], gone)

    def _listed_orders(self, order_ids: Sequence[str]) -> list[Order]:
        params = {"limit": str(PAGE_SIZE), "ids[in]": ",".join(order_ids)}
        shown: list[Order] = []
        broken: set[str | None] = set()
        for _ in range(MAX_PAGES_OF_IDS):
            try:
                page = self._fetch("/cart/orders", params, order_page)
            except InvalidRequestError:  # not every integration filters by id, though each is documented to
                break
            shown += page.orders
            broken |= {each.order_id for each in page.quarantined}
            if page.next_token in {None, params.get("page_token")}:
                break
            params["page_token"] = str(page.next_token)
        # Where one of two records of an order is broken, the other one may be the older.
        return [order for order in shown if order.quarantine_key not in broken]

    def _order(self, order_id: str) -> Order | type[NotFoundError] | None:
        """The order, that there is none, or None where its record cannot be read."""
        if self._seconds_left() <= 0:
            raise UnavailableError("GET /cart/orders/{order_id}: no time is left")
        try:
            return self._fetch(f"/cart/orders/{quote(order_id, safe='', errors='replace')}", {}, read_order)
        except NotFoundError:
            return NotFoundError

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
            page = self._fetch("/cart/products", params, partial(record_of, ProductPage))
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
            path = f"/cart/products/{quote(product_id, safe='', errors='replace')}"
            return self._fetch(path, {}, partial(record_of, ProductEnvelope)).data
        except NotFoundError:
            return None
