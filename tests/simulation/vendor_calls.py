"""Requests to Trackstar in a simulated run: the simulated vendor answers, or a fault does."""

import json
from typing import TYPE_CHECKING, Any

import httpx

from orderwatch_local.simulator import ShopTransport
from orderwatch_local.simulator.mirror import Resource
from tests.simulation.invocations import Invocation

if TYPE_CHECKING:
    from tests.simulation.run import SimulatedRun

HTTP_TIMEOUT = 20.0
_BROKEN_OFF: dict[str, type[httpx.TransportError]] = {
    "reset": httpx.ReadError,
    "refused": httpx.ConnectError,
    "timeout": httpx.ReadTimeout,
    "cut": httpx.RemoteProtocolError,
}
_FALSE_ANSWERS = {
    "429": (429, '{"error": "too many"}'),
    "500": (503, '{"error": "x"}'),
    "html": (502, "<html>error</html>"),
    "malformed": (200, '{"data": {"x": 1}, "next_token": null, "total_count": 0}'),
    "scalar": (200, '"ok"'),
}
_PROXY_STATUSES = (401, 403, 404, 502)
"""Statuses of a proxy's page of HTML."""


class VendorCalls(httpx.BaseTransport):
    """The transport of the product's client: Trackstar's answers, with faults on the way."""

    def __init__(self, run: "SimulatedRun") -> None:
        self._run = run
        self._vendor = ShopTransport(run.trackstar)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Trackstar's response, or a fault in its place."""
        invocation = self._run.running[-1]
        query = dict(request.url.params)
        is_window = query.get("limit") == str(self._run.plan.page_size) and "ids[in]" not in query
        is_list = request.url.path == "/cart/orders" and is_window
        what = f"GET {request.url.path} {sorted(query.items())}"
        return self._run.invocations.call(
            what, lambda: self._answered(request, invocation, query, is_list), seconds=self._run.latency
        )

    def _answered(
        self, request: httpx.Request, invocation: Invocation, query: dict[str, str], is_list: bool
    ) -> httpx.Response:
        if is_list:
            invocation.reading = self._run.oracle.asked(
                invocation.connection_id,
                query,
                invocation.reading,
                invocation.facts.date,
                knew_dates=invocation.knew_dates,
            )
        if self._is_stuck(invocation) or self._run.happens(self._run.plan.http_fault):
            return self._fault(request)
        response = self._vendor.handle_request(request)
        invocation.facts.date = self._run.vendor_clock.now().replace(microsecond=0)
        self._learn(invocation, request, response, is_list=is_list)
        if response.status_code != 200:
            self._run.note(f"  answered {response.status_code}")
        elif invocation.function == "poll_orders" and not is_list:
            self._note_read(invocation, request, json.loads(_body_of(response)))
        elif is_list and invocation.reading:
            page = json.loads(_body_of(response))
            shown = [f"{each.get('id')}={each.get('status')}" for each in page["data"]]
            self._run.note(f"  served {shown} of {page['total_count']}")
            self._run.deadlines.served(invocation.facts, page["data"])
            self._run.oracle.served(invocation.connection_id, invocation.reading, page, str(invocation.ends_at))
        return response

    def _note_read(self, invocation: Invocation, request: httpx.Request, answer: Any) -> None:
        """A poll read its connection, or orders by their ids."""
        path = request.url.path
        if path.startswith("/connections/"):
            self._run.deadlines.connection_answered(invocation.facts, answer)
            self._run.note(f"  the watermark is {invocation.facts.watermark}")
            return
        by_id = path.removeprefix("/cart/orders/") if path.startswith("/cart/orders/") else ""
        records = [answer["data"]] if by_id else answer["data"]
        if not by_id and "ids[in]" not in request.url.params:
            return
        self._run.deadlines.read_again(invocation.facts, records)
        self._run.oracle.showed(invocation.connection_id, records, str(invocation.ends_at))
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
            if self._run.shops[invocation.connection_id].is_blocked(Resource.ORDERS):
                invocation.problems.add("blocked")
        if invocation.function == "poll_orders" and not (is_connection and response.status_code == 200):
            self._run.deadlines.may_begin(invocation.facts)

    def _is_stuck(self, invocation: Invocation) -> bool:
        return invocation.function == "poll_orders" and invocation.connection_id in self._run.stuck

    def _fault(self, request: httpx.Request) -> httpx.Response:
        kind = self._run.chance.choice(self._run.plan.http_faults or ("500", "timeout"))
        self._run.note(f"  fault {kind}")
        if kind == "timeout":
            self._run.time.spend(HTTP_TIMEOUT)
        if kind in _BROKEN_OFF:
            raise _BROKEN_OFF[kind](kind, request=request)
        if kind == "half":
            return httpx.Response(200, stream=httpx.ByteStream(_body_of(self._vendor.handle_request(request))[:-9]))
        status, body = _FALSE_ANSWERS[kind]
        status = self._run.habits.choice(_PROXY_STATUSES) if kind == "html" else status
        headers = {"retry-after": str(self._run.chance.randint(1, 3))} if kind == "429" else {}
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body.encode()))


def _body_of(response: httpx.Response) -> bytes:
    """The body of an answer that the client has not read yet."""
    assert isinstance(response.stream, httpx.SyncByteStream)
    return b"".join(response.stream)
