"""Requests to Trackstar in a simulated run: the simulated vendor answers, or a fault does."""

import json
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import httpx

from orderwatch_local.simulator import ShopTransport
from orderwatch_local.simulator.mirror import Resource
from tests.simulation.invocations import Invocation
from tests.simulation.stock import counts_in

if TYPE_CHECKING:
    from tests.simulation.run import SimulatedRun

HTTP_TIMEOUT = 20.0
_BROKEN_OFF: dict[str, type[httpx.TransportError]] = {
    "reset": httpx.ReadError,
    "refused": httpx.ConnectError,
    "timeout": httpx.ReadTimeout,
    "cut": httpx.RemoteProtocolError,
}
_ERROR = '{"error": "x", "origin": "trackstar"}'
_NO_PAGE = '"next_token": null, "total_count": 0}'
_FALSE_ANSWERS: dict[str, tuple[tuple[int, str], ...]] = {
    "429": ((429, '{"error": "too many"}'),),
    "500": (*((status, _ERROR) for status in (503, 500, 504, 408, 425)), (204, "")),
    "html": tuple((status, "<html>error</html>") for status in (401, 403, 404, 502)),
    "malformed": (
        (200, '{"data": {"x": 1}, ' + _NO_PAGE),
        (200, '{"error": "the shop is busy", "data": [], ' + _NO_PAGE),
        (200, '{"error": {"code": 500}, "data": null, ' + _NO_PAGE),
        (200, '{"errors": [{"message": "the shop is busy"}], "data": [], ' + _NO_PAGE),
        (200, '{"errors": ["the shop is busy"], "data": {}}'),
        (200, '{"data": null, "next_token": null, "total_count": 7}'),
    ),
    "scalar": ((200, '"ok"'), (200, "null"), (200, "[]")),
}
"""Of each kind of fault, what is answered: statuses of gateways and proxies, errors in a 200 (rule 18)."""
DATED = 0.3
"""The share of rate limits whose end is given as a date."""


class VendorCalls(httpx.BaseTransport):
    """The transport of the product's client: Trackstar's answers, with faults on the way."""

    def __init__(self, run: "SimulatedRun") -> None:
        self._run = run
        self._vendor = ShopTransport(run.trackstar)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Trackstar's response, or a fault in its place."""
        invocation = self._run.running[-1]
        query = dict(request.url.params)
        is_list = request.url.path == "/cart/orders" and _is_of_a_window(invocation, query)
        what = f"GET {request.url.path} {sorted(query.items())}"
        return self._run.invocations.call(
            what, lambda: self._answered(request, invocation, query, is_list), seconds=self._run.latency
        )

    def _answered(
        self, request: httpx.Request, invocation: Invocation, query: dict[str, str], is_list: bool
    ) -> httpx.Response:
        if is_list:
            self._continue(invocation, query)
            invocation.reading = self._run.oracle.asked(
                invocation.connection_id,
                query,
                invocation.reading,
                invocation.facts.date,
                knew_dates=invocation.knew_dates,
            )
        look = invocation.facts.look
        look.has_asked |= invocation.function == "poll_orders" and request.url.path.startswith("/cart/products")
        if self._is_stuck(invocation) or self._run.happens(self._run.plan.http_fault):
            look.is_failed |= look.rows is not None
            return self._fault(request, invocation)
        response = self._vendor.handle_request(request)
        invocation.facts.date = self._run.vendor_clock.now().replace(microsecond=0)
        self._learn(invocation, request, response, is_list=is_list)
        if is_list:
            invocation.got_further |= "page_token" in query or response.status_code in {200, 422}
        if response.status_code != 200:
            self._run.note(f"  answered {response.status_code}")
            look.is_failed |= look.rows is not None
        elif self._run.large_orders.is_too_large(_body_of(response)) and not (is_list and query["limit"] == "1"):
            self._run.note("  the response is too large")
            look.is_failed |= look.rows is not None
        elif invocation.function == "poll_orders" and not is_list:
            self._note_read(invocation, request, response)
        elif is_list and invocation.reading:
            page = _page_in(response)
            shown = [f"{each.get('id')}={each.get('status')}" for each in page["data"]]
            self._run.note(f"  served {shown} of {page['total_count']}")
            self._run.contents.served(invocation.connection_id, page["data"])
            self._run.deadlines.served(invocation.facts, page["data"])
            self._run.oracle.served(invocation.facts, invocation.reading, page)
        return response

    def _continue(self, invocation: Invocation, query: dict[str, str]) -> None:
        """A poll asks for a page; its first one may be the one that an earlier poll has saved."""
        if "page_token" in query and not invocation.has_asked:
            self._run.page_tokens.continued(query["page_token"])
        invocation.has_asked = True

    def _note_read(self, invocation: Invocation, request: httpx.Request, response: httpx.Response) -> None:
        """A poll read its connection, or orders by their ids."""
        path = request.url.path
        if path.startswith("/connections/"):
            self._run.deadlines.connection_answered(invocation.facts, json.loads(_body_of(response)))
            self._run.note(f"  the watermark is {invocation.facts.watermark}")
            return
        if path.startswith("/cart/products"):
            served = json.loads(_body_of(response))["data"]
            counts = counts_in(served if isinstance(served, list) else filter(None, [served]))
            invocation.facts.look.counts |= counts
            self._run.note(f"  served the stock {counts}")
            return
        by_id = path.removeprefix("/cart/orders/") if path.startswith("/cart/orders/") else ""
        page = _page_in(response)
        records = [page["data"]] if by_id else page["data"]
        if not by_id and "ids[in]" not in request.url.params:
            return
        self._run.contents.served(invocation.connection_id, records)
        self._run.deadlines.read_again(invocation.facts, records)
        self._run.oracle.showed(invocation.facts, records)
        self._run.note(f"  served {[f'{each.get("id")}={each.get("status")}' for each in records]} by id")

    def _learn(
        self, invocation: Invocation, request: httpx.Request, response: httpx.Response, *, is_list: bool
    ) -> None:
        """Note the problems of the connection that the API just reported to a poll (rule 10)."""
        if is_list and response.status_code in {401, 403}:
            invocation.problems.add("refused")
            invocation.facts.is_spoilt = True
        is_connection = request.url.path.startswith("/connections/")
        if is_connection and invocation.function == "poll_orders":
            if response.status_code == 404:
                invocation.problems.add("refused")
            elif self._run.shops[invocation.connection_id].is_blocked(Resource.ORDERS):
                invocation.problems.add("blocked")
        if invocation.function == "poll_orders" and not (is_connection and response.status_code == 200):
            self._run.deadlines.may_begin(invocation.facts)

    def _is_stuck(self, invocation: Invocation) -> bool:
        return invocation.function == "poll_orders" and invocation.connection_id in self._run.stuck

    def _fault(self, request: httpx.Request, invocation: Invocation) -> httpx.Response:
        kind = self._run.chance.choice(self._run.plan.http_faults or ("500", "timeout"))
        status, body = self._run.habits.choice(_FALSE_ANSWERS.get(kind, ((0, ""),)))
        self._run.note(f"  fault {kind} {status} {body}")
        if request.url.path.startswith("/cart/orders/"):
            invocation.facts.not_served(request.url.path.removeprefix("/cart/orders/"))
        if kind == "timeout":
            self._run.time.spend(HTTP_TIMEOUT)
        if kind in _BROKEN_OFF:
            raise _BROKEN_OFF[kind](kind, request=request)
        if kind == "half":
            half = _body_of(self._vendor.handle_request(request))[:-9]
            invocation.got_further |= self._run.large_orders.is_too_large(half)
            return httpx.Response(200, stream=httpx.ByteStream(half))
        headers = self._rate_limit(invocation, self._run.chance.randint(1, 3)) if kind == "429" else {}
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body.encode()))

    def _rate_limit(self, invocation: Invocation, seconds: int) -> dict[str, str]:
        """When a request may be sent again: in seconds, or as a date."""
        if self._run.habits.random() >= DATED:
            return {"retry-after": str(seconds)}
        now = invocation.facts.date = self._run.vendor_clock.now().replace(microsecond=0)
        self._run.note("  until a date")
        if invocation.function == "poll_orders":
            self._run.deadlines.may_begin(invocation.facts)
        until = now + timedelta(seconds=seconds)
        return {"retry-after": format_datetime(until, usegmt=True), "date": format_datetime(now, usegmt=True)}


def _is_of_a_window(invocation: Invocation, query: dict[str, str]) -> bool:
    """Whether a list of orders is a page of a window: before the first response, a poll asks only for the date."""
    is_known = invocation.function == "poll_orders" and invocation.facts.date is not None
    return is_known and "ids[in]" not in query


def _page_in(response: httpx.Response) -> dict[str, Any]:
    """The page that a response has; an empty one may have no list."""
    page: dict[str, Any] = json.loads(_body_of(response))
    return page | {"data": page["data"] or []}


def _body_of(response: httpx.Response) -> bytes:
    """The body of an answer that the client has not read yet."""
    assert isinstance(response.stream, httpx.SyncByteStream)
    return b"".join(response.stream)
