"""The vendor's API over simulated shops, as strict as its documentation: `Trackstar.handle` answers a request.

It opens no sockets: `server.serve` serves it on a loopback port, `server.ShopTransport` below an HTTP client.
"""

from __future__ import annotations

import hmac
import itertools
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from enum import StrEnum
from urllib.parse import unquote

from orderwatch_local.simulator.clock import Clock
from orderwatch_local.simulator.exchange import Headers, RefusedError, Request, Response, json_response
from orderwatch_local.simulator.filters import CONNECTION_GRAMMAR, WAREHOUSE_GRAMMAR, ListQuery, read_list_query
from orderwatch_local.simulator.limits import Budget, PageTokens, RateLimiter, Spelling
from orderwatch_local.simulator.mirror import Resource
from orderwatch_local.simulator.records import Record
from orderwatch_local.simulator.shop import Shop

API_KEY_HEADER = "x-trackstar-api-key"
ACCESS_TOKEN_HEADER = "x-trackstar-access-token"  # noqa: S105 - the name of a header
READS_A_SECOND = 10
WRITES_A_SECOND = 50
PAGE_TOKEN_LIFETIME = timedelta(hours=1)
NO_RESPONSE = 0

type SyncHook = Callable[[Shop, tuple[Resource, ...]], object]
type Intercept = Callable[[Request], Response | None]
type ShopEndpoint = Callable[[Shop, Request, str], Response]
type AccountEndpoint = Callable[[Request, str], Response]


class Envelope(StrEnum):
    """The three documented forms of the response for one connection."""

    DATA = "data"
    BARE = "bare"
    LIST_OF_ONE = "list of one"

    def around(self, connection: Record) -> Record:
        """Return the connection in its envelope."""
        if self is Envelope.BARE:
            return connection
        return {"data": connection if self is Envelope.DATA else [connection]}


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A line of the request log, without headers and bodies, which hold secrets and personal data.

    Attributes:
        status: Of the response; 0 if there was none.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    status: int


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    pattern: tuple[str, ...]
    endpoint: str


_ANY = "*"
# The literal path comes first: a request matches a path before its method is checked.
_ROUTES = (
    _Route("POST", ("connections", "sync"), "sync"),
    _Route("GET", ("connections",), "list_connections"),
    _Route("GET", ("connections", _ANY), "get_connection"),
    _Route("GET", ("cart", "warehouses"), "list_warehouses"),
    *(_Route("GET", ("cart", resource), f"list_{resource}") for resource in Resource),
    *(_Route("GET", ("cart", resource, _ANY), f"get_{resource}") for resource in Resource),
)


class Trackstar:
    """The simulated vendor.

    Args:
        api_key: The organisation's key.
        shops: Its connections.
        clock: The vendor's time, for the `Date` header, timestamps and expiries.
        page_token_lifetime: How long a page token is valid.
        rate_limit: GET requests a second for each access token.
        write_limit: Other requests a second for each access token.
        monotonic: The clock of the rate limit, in seconds; real by default, because virtual days are faster.
        spelling: The names of the rate limit's headers.
        envelope: The form of the response for one connection.
        on_sync: Called by `POST /connections/sync`; by default, the sync completes at once.

    Attributes:
        intercept: Called after authorisation and rate limit: a `Response` replaces the response, None lets the
            request pass, an exception is raised by `handle`.
        requests: Every request and its status, oldest first.
        envelope, spelling: May be changed at any time.
    """

    def __init__(
        self,
        api_key: str,
        shops: Iterable[Shop],
        clock: Clock,
        *,
        page_token_lifetime: timedelta = PAGE_TOKEN_LIFETIME,
        rate_limit: int = READS_A_SECOND,
        write_limit: int = WRITES_A_SECOND,
        monotonic: Callable[[], float] = time.monotonic,
        spelling: Spelling = Spelling.CURRENT,
        envelope: Envelope = Envelope.DATA,
        on_sync: SyncHook = Shop.sync,
    ) -> None:
        self.intercept: Intercept | None = None
        self.requests: list[LoggedRequest] = []
        self.envelope = envelope
        self.spelling = spelling
        self._api_key = api_key
        self._shops = {shop.connection_id: shop for shop in shops}
        self._clock = clock
        self._on_sync = on_sync
        self._limiter = RateLimiter(reads=rate_limit, writes=write_limit, monotonic=monotonic)
        self._tokens = PageTokens(clock, page_token_lifetime, key=api_key)
        self._request_ids = itertools.count(1)
        self._account_endpoints: dict[str, AccountEndpoint] = {
            "list_connections": self._list_connections,
            "get_connection": self._get_connection,
        }
        self._shop_endpoints: dict[str, ShopEndpoint] = {
            "sync": self._sync,
            "list_warehouses": self._list_warehouses,
        }
        for resource in Resource:
            self._shop_endpoints[f"list_{resource}"] = self._listing(resource)
            self._shop_endpoints[f"get_{resource}"] = self._getting(resource)

    @property
    def shops(self) -> list[Shop]:
        """The connected shops."""
        return list(self._shops.values())

    def connect(self, shop: Shop) -> None:
        """Add a connection."""
        self._shops[shop.connection_id] = shop

    def disconnect(self, connection_id: str) -> None:
        """Remove a connection: from now on its token is refused and its id is unknown."""
        del self._shops[connection_id]

    def handle(self, request: Request) -> Response:
        """Answer a request. Safe to call from several threads."""
        try:
            response = self._authorized(request)
        except RefusedError as refusal:
            response = refusal.response
        except Exception:
            self._log(request, NO_RESPONSE)
            raise
        self._log(request, NO_RESPONSE if response.drop else response.status)
        return response.with_missing(self._common_headers())

    def _common_headers(self) -> Headers:
        return (
            ("Content-Type", "application/json"),
            ("Date", format_datetime(self._clock.now(), usegmt=True)),
            ("X-Request-Id", f"req-{next(self._request_ids):08d}"),
        )

    def _log(self, request: Request, status: int) -> None:
        self.requests.append(LoggedRequest(request.method, request.path, request.query, status))

    def _authorized(self, request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get(API_KEY_HEADER, "").encode(), self._api_key.encode()):
            raise RefusedError(401, "Missing or invalid API key")
        route, argument = _route_of(request)
        account_endpoint = self._account_endpoints.get(route.endpoint)
        if account_endpoint:
            return self._intercepted(request) or account_endpoint(request, argument)
        return self._within_budget(request, self._shop_of(request), self._shop_endpoints[route.endpoint], argument)

    def _shop_of(self, request: Request) -> Shop:
        token = request.headers.get(ACCESS_TOKEN_HEADER, "")
        shop = next((shop for shop in self.shops if shop.access_token == token), None)
        if shop is None:
            raise RefusedError(401, "Missing or invalid access token")
        if shop.quirks.disabled:
            raise RefusedError(403, "This connection is disabled by policy")
        return shop

    def _within_budget(self, request: Request, shop: Shop, endpoint: ShopEndpoint, argument: str) -> Response:
        budget = self._limiter.spend(shop.connection_id, write=request.method != "GET")
        headers = budget.headers(self._clock.now(), self.spelling)
        if budget.wait is not None:
            raise RefusedError(429, _too_many(budget), headers=headers)
        try:
            response = self._intercepted(request) or endpoint(shop, request, argument)
        except RefusedError as refusal:
            response = refusal.response
        return response.with_missing(headers)

    def _intercepted(self, request: Request) -> Response | None:
        return self.intercept(request) if self.intercept else None

    def _listing(self, resource: Resource) -> ShopEndpoint:
        def answer(shop: Shop, request: Request, _: str) -> Response:
            _require(resource, shop)
            query = read_list_query(request.query, resource.grammar, refused=shop.quirks.refused_filters)
            if query.page_token is not None and (refusal := shop.quirks.refuse_token(query.page_token)):
                raise refusal
            scope, paging = f"{resource} of {shop.connection_id}", shop.quirks.paging
            page = self._tokens.page(shop.listed(resource, query), query, scope, paging=paging)
            is_null = shop.quirks.null_if_empty and page["total_count"] == 0
            return json_response(page | {"data": None} if is_null else page)

        return answer

    def _getting(self, resource: Resource) -> ShopEndpoint:
        def answer(shop: Shop, _: Request, record_id: str) -> Response:
            _require(resource, shop)
            record = shop.find(resource, record_id)
            if record is None:
                raise RefusedError(404, f"No such record in {resource} of this connection")
            return json_response({"data": record})

        return answer

    def _list_warehouses(self, shop: Shop, request: Request, _: str) -> Response:
        if shop.quirks.lacks_warehouses:
            raise _not_implemented("warehouses")
        query = read_list_query(request.query, WAREHOUSE_GRAMMAR)
        scope = f"warehouses of {shop.connection_id}"
        return json_response(self._tokens.page(shop.warehouses, query, scope, paging=shop.quirks.paging))

    def _list_connections(self, request: Request, _: str) -> Response:
        query = read_list_query(request.query, CONNECTION_GRAMMAR)
        return json_response(self._tokens.page(self._connections(query), query, scope="connections"))

    def _connections(self, query: ListQuery) -> list[Record]:
        connections = (shop.connection() for shop in self.shops)
        return [connection for connection in connections if query.matches(connection)]

    def _get_connection(self, _: Request, connection_id: str) -> Response:
        shop = self._shops.get(connection_id)
        if shop is None:
            raise RefusedError(404, "No such connection")
        return json_response(self.envelope.around(shop.connection()))

    def _sync(self, shop: Shop, request: Request, _: str) -> Response:
        resources = _resources_to_sync(request.body)
        self._on_sync(shop, resources or tuple(Resource))
        functions = [resource.function for resource in resources]
        return json_response({"id": shop.connection_id, "syncing": True, "functions_to_sync": functions})


def _route_of(request: Request) -> tuple[_Route, str]:
    segments = tuple(unquote(segment) for segment in request.path.split("/")[1:])
    route = next((route for route in _ROUTES if _matches(route.pattern, segments)), None)
    if route is None:
        raise RefusedError(404, "No such path")
    if route.method != request.method:
        raise RefusedError(405, f"Use {route.method} here", headers=(("Allow", route.method),))
    return route, segments[-1]


def _matches(pattern: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    if len(pattern) != len(segments):
        return False
    return all(expected in {_ANY, segment} and segment for expected, segment in zip(pattern, segments, strict=True))


def _require(resource: Resource, shop: Shop) -> None:
    if resource in shop.quirks.lacks:
        raise _not_implemented(resource)


def _not_implemented(what: str) -> RefusedError:
    return RefusedError(501, f"This integration does not implement {what}", origin="integration")


def _too_many(budget: Budget) -> str:
    return f"Rate limit of {budget.limit} requests a second exceeded"


def _resources_to_sync(body: bytes) -> tuple[Resource, ...]:
    by_function = {resource.function: resource for resource in Resource}
    try:
        payload = json.loads(body)
    except ValueError:
        raise RefusedError(422, "Invalid body: not JSON") from None
    functions = payload.get("functions_to_sync", []) if isinstance(payload, dict) else None
    if not isinstance(functions, list) or not all(isinstance(f, str) and f in by_function for f in functions):
        raise RefusedError(422, f"Invalid parameter functions_to_sync: a list of {', '.join(by_function)} is expected")
    return tuple(by_function[function] for function in functions)
