"""The client of Trackstar's API: one class for the organisation, one for each of its connections."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from itertools import batched
from typing import Self
from urllib.parse import quote

import httpx
from pydantic import BaseModel, SecretStr

from orderwatch import clock
from orderwatch.errors import (
    InvalidRequestError,
    NotFoundError,
    ResponseTooLargeError,
    UnauthorizedError,
    UnavailableError,
)
from orderwatch.observability import logger
from orderwatch.trackstar.connections import ORDERS, ConnectionPage, TrackstarConnection, read_connection
from orderwatch.trackstar.fields import parse_json
from orderwatch.trackstar.http import TIMEOUT, ApiClient, VendorRateLimit
from orderwatch.trackstar.network import new_client
from orderwatch.trackstar.orders import (
    MAX_IDS,
    PAGE_SIZE,
    FoundOrders,
    Order,
    OrderPage,
    OrderQuery,
    id_batches,
    read_order,
)
from orderwatch.trackstar.products import Product, ProductEnvelope, ProductPage
from orderwatch.trackstar.warehouses import WarehousePage

MAX_PAGES = 200
"""Maximum pages of a list of connections, or of orders by id; no such list can have more."""
MAX_WAREHOUSE_PAGES = 10
"""Maximum pages of a list of warehouses; the names on later pages are not read."""


class Trackstar:
    """The connection pool to the API, one per process. Use it as a context manager, or call `close`, to free it early.

    Args:
        base_url: The URL of the API.
        transport: Replaces the network in tests.
        on_response: Called with the status of every response.

    Raises:
        SettingsError: The environment's proxies or certificates cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        transport: httpx.BaseTransport | None = None,
        on_response: Callable[[int], None] | None = None,
    ) -> None:
        def received(response: httpx.Response) -> None:
            # Redirects are not followed, but httpx parses the header anyway, and raises if it is invalid.
            response.headers.pop("location", None)
            if on_response:
                on_response(response.status_code)

        self._http = new_client(
            base_url=base_url,
            headers={"accept-encoding": "gzip"},
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),  # the connections share this pool
            timeout=TIMEOUT,
            transport=transport,
            event_hooks={"response": [received]},
        )
        self._rate_limits: dict[str, VendorRateLimit] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the API."""
        self._http.close()

    def client_of(
        self,
        connection_id: str,
        *,
        api_key: SecretStr,
        access_token: SecretStr,
        seconds_left: Callable[[], float],
    ) -> "ConnectionClient":
        """Return a client of one connection; `seconds_left` returns the caller's remaining time, which bounds waits."""
        secrets = {"x-trackstar-api-key": api_key, "x-trackstar-access-token": access_token}
        # Polls of the same connection in this process share its rate limit.
        rate_limit = self._rate_limits.setdefault(connection_id, VendorRateLimit())
        return ConnectionClient(
            self._http, connection_id, secrets=secrets, rate_limit=rate_limit, seconds_left=seconds_left
        )

    def account(self, *, api_key: SecretStr, seconds_left: Callable[[], float]) -> "AccountClient":
        """Return a client of the organisation; `seconds_left` is as for `client_of`."""
        secrets = {"x-trackstar-api-key": api_key}
        return AccountClient(self._http, secrets=secrets, rate_limit=VendorRateLimit(), seconds_left=seconds_left)


def _parse[T: BaseModel](model: type[T], body: bytes) -> T:
    return model.model_validate(parse_json(body))


class AccountClient(ApiClient):
    """The requests that need only the API key."""

    def connections(self) -> dict[str, TrackstarConnection]:
        """Read all connections, by id.

        Raises:
            TrackstarError: The list cannot be read, or its page tokens repeat.
        """
        found: dict[str, TrackstarConnection] = {}
        params = {"limit": str(PAGE_SIZE)}
        for _ in range(MAX_PAGES):
            page = self._get("/connections", params, partial(_parse, ConnectionPage))
            found |= {each.connection_id: each for each in page.data if each.connection_id}
            if page.next_token is None:
                return found
            if page.next_token == params.get("page_token"):
                break
            params["page_token"] = page.next_token
        raise UnavailableError("GET /connections: the page tokens repeat")

    @property
    def vendor_now(self) -> datetime | None:
        """The vendor's clock at its latest response."""
        return self._vendor_now


class ConnectionClient(ApiClient):
    """One connection at Trackstar. Every method raises a `TrackstarError` if the response is not as documented."""

    def __init__(
        self,
        http: httpx.Client,
        connection_id: str,
        *,
        secrets: Mapping[str, SecretStr],
        rate_limit: VendorRateLimit,
        seconds_left: Callable[[], float],
    ) -> None:
        super().__init__(http, secrets=secrets, rate_limit=rate_limit, seconds_left=seconds_left)
        self._connection_id = connection_id

    def now(self) -> datetime:
        """The vendor's clock at its latest response, in whole seconds; sends a request if there was none yet."""
        if self._vendor_now is None:
            with suppress(UnauthorizedError, ResponseTooLargeError):  # the next read raises it
                self._get("/cart/orders", {"limit": "1"}, OrderPage.read)
        if self._vendor_now is None:
            logger.warning("Trackstar sends no valid Date header; using the local clock")
            self._vendor_now = clock.now().replace(microsecond=0)
        return self._vendor_now

    def connection(self) -> TrackstarConnection:
        """Read the record of the connection."""
        path = f"/connections/{quote(self._connection_id, safe='')}"
        return self._get(path, {}, partial(read_connection, self._connection_id))

    def start_sync(self) -> None:
        """Request a sync of the shop's orders, which Trackstar runs in the background. There is no retry."""
        self._post("/connections/sync", {"functions_to_sync": [ORDERS]})

    def order_page(self, query: OrderQuery, *, page_token: str | None, size: int = PAGE_SIZE) -> OrderPage:
        """Read one page of at most `size` orders, with every filter, since the page token does not contain them.

        An order that is too large to be read is quarantined if it is alone on its page.
        """
        params = {"limit": str(min(size, PAGE_SIZE))} | query.filters()
        params |= {"page_token": page_token} if page_token else {}
        try:
            return self._get("/cart/orders", params, OrderPage.read)
        except ResponseTooLargeError as error:
            if size > 1:
                raise
            try:
                return OrderPage.of_ends(error.head, error.tail)
            except ValueError:
                raise error from None

    def orders(self, order_ids: Sequence[str]) -> FoundOrders:
        """Read the current records of these orders. Orders that are not in a list are requested one by one."""
        found = [order for ids in id_batches(order_ids) for order in self._listed_orders(ids)]
        gone: list[str] = []
        for order_id in sorted(set(order_ids) - {order.id for order in found}):
            try:
                order = self._by_id("/cart/orders", order_id, read_order)
            except NotFoundError:
                gone.append(order_id)
            except ResponseTooLargeError as error:  # as an order whose record cannot be watched
                logger.warning("order is too large to be read", extra={"order_id": order_id}, exc_info=error)
            else:
                found += [order] if order else []
        return FoundOrders(found, gone)

    def _listed_orders(self, order_ids: Sequence[str]) -> list[Order]:
        params = {"limit": str(PAGE_SIZE), "ids[in]": ",".join(order_ids)}
        listed: list[Order] = []
        broken: set[str | None] = set()
        for _ in range(MAX_PAGES):
            try:
                page = self._get("/cart/orders", params, OrderPage.read)
            except (InvalidRequestError, ResponseTooLargeError):  # some integrations do not support the filter
                break
            listed += page.orders
            broken |= {each.order_id for each in page.quarantined}
            if page.next_token in {None, params.get("page_token")}:
                break
            params["page_token"] = str(page.next_token)
        # If an order has a broken record too, its valid record may be the older one.
        return [order for order in listed if order.quarantine_key not in broken]

    def products(self, product_ids: Sequence[str]) -> dict[str, Product]:
        """Read these products, by id; unknown ones are missing. Ids with a comma are requested one by one."""
        listable = [product_id for product_id in product_ids if "," not in product_id]
        found = self._products_one_by_one([product_id for product_id in product_ids if "," in product_id])
        for ids in batched(listable, MAX_IDS, strict=False):
            found |= self._listed_products(ids)
        return found

    def _listed_products(self, product_ids: Sequence[str]) -> dict[str, Product]:
        params = {"limit": str(PAGE_SIZE), "ids[in]": ",".join(product_ids)}
        try:
            page = self._get("/cart/products", params, partial(_parse, ProductPage))
        except InvalidRequestError:  # some integrations do not support the documented filter
            return self._products_one_by_one(product_ids)
        return {product.id: product for product in page.products}

    def _products_one_by_one(self, product_ids: Sequence[str]) -> dict[str, Product]:
        found: dict[str, Product] = {}
        for product_id in product_ids:
            with suppress(NotFoundError):
                product = self._by_id("/cart/products", product_id, partial(_parse, ProductEnvelope)).data
                found |= {product_id: product} if product else {}
        return found

    def warehouses(self) -> dict[str, str]:
        """Read the names of the warehouses, by id; one without a name has its code, one without both is missing."""
        names: dict[str, str] = {}
        params = {"limit": str(PAGE_SIZE)}
        tokens: set[str] = set()
        for _ in range(MAX_WAREHOUSE_PAGES):
            self._require_time("/cart/warehouses")
            page = self._get("/cart/warehouses", params, partial(_parse, WarehousePage))
            names |= page.names
            if page.next_token is None or page.next_token in tokens:
                break
            tokens.add(page.next_token)
            params["page_token"] = page.next_token
        return names

    def _by_id[T](self, path: str, record_id: str, parse: Callable[[bytes], T]) -> T:
        self._require_time(f"{path}/{{id}}")
        return self._get(f"{path}/{quote(record_id, safe='', errors='replace')}", {}, parse)

    def _require_time(self, path: str) -> None:
        if self._seconds_left() <= 0:
            raise UnavailableError(f"GET {path}: no time is left")
