"""One seed's world: the real handlers in processes that fail and die, and everything around them.

Nothing runs at the same time and yet everything interleaves: whenever a process makes an outgoing call (HTTP, DynamoDB,
SQS, SNS, SSM), something else may happen first, another invocation to its end included.
"""

import hashlib
import json
import random
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from typing import Any
from unittest.mock import patch

import httpx
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.parsers import ResponseParserError

from orderwatch import clock
from orderwatch.alerts.alert import AlertKey
from orderwatch.errors import OrderwatchError
from orderwatch.observability import logger
from orderwatch_local.simulator import Paging, Shop, ShopTransport, TrackstarDates, endpoint_error, invalid_credentials
from orderwatch_local.simulator import Trackstar as SimulatedTrackstar
from orderwatch_local.simulator.filters import ListQuery
from orderwatch_local.simulator.mirror import Resource
from tests.simulation import deadline_plan
from tests.simulation.cloud import (
    ALERTS,
    CONNECTIONS,
    HASHES,
    ORDERS,
    PREFIX,
    Change,
    FifoQueue,
    Message,
    ObservedTables,
    ParameterStore,
    Record,
    Row,
    Shard,
    client_error,
    first_shards,
    queue_event,
    stream_event,
    transaction_conflict,
)
from tests.simulation.deadline_oracle import DeadlineOracle, Looked, day_is_over
from tests.simulation.functions import ENVIRONMENT, forget, handler_module, reached_through
from tests.simulation.marks import MAX_GAP, Marks
from tests.simulation.oracle import Copy, Oracle, Reading, Violation
from tests.simulation.plan import STATUSES, TICK, Plan, ShopPlan, drawn
from tests.simulation.stock import Stock
from tests.simulation.summary_oracle import SummaryOracle
from tests.simulation.timeline import SkewedClock, Timeline
from tests.support.death import Killed
from tests.support.recording_sns import RecordingSns

EXPECTED = (ClientError, OrderwatchError, GetParameterError)
"""What a handler may fail by: anything else is a fault of its own."""
API_KEY = "organisation-key"
TIMEOUTS = {"dispatch_polls": 60.0, "poll_orders": 120.0, "publish_alerts": 120.0, "redrive_alerts": 300.0}
TIMEOUTS |= {"send_summary": 300.0}
MAX_AT_ONCE = 2
MAX_SHARDS = 16
SENDERS = MAX_SHARDS + MAX_AT_ONCE
"""Copies of publish_alerts: one a shard, and some for batches that are handed over twice."""
STORM = 12
"""Orders of a storm: more than any threshold of a digest."""
MOST_MEANWHILE = 500
"""Times that something happens during a call: a shop that changes at each of our requests outgrows pages of two."""
LEASE_DURATION = 120.0
"""Seconds for which a claim lasts, but for what a process may be slow in making it."""
PACE_JITTER = 0.05
"""Seconds by which a request may reach SNS later than it was meant to."""
REDRIVE_EVERY = 900.0
SUMMARY_EVERY = 2400.0
STREAM_TRIES, STREAM_AGE = 10, 3600.0
DELETED = 0.15
"""The share of edits that delete an order."""
FUTURE = "2031-03-02T10:00:00Z"
AT_THE_BOUND = 0.3
"""The share of late syncs whose stamps lie exactly on the lower bound of the next window."""
OVERLAP = timedelta(minutes=10)
"""What a window promises to reach back (design, rule 5)."""
VENDOR_JUMPS = (-7200.0, -1800.0, -120.0, -3.0, 3.0, 120.0, 1800.0, 7200.0)
HTTP_TIMEOUT = 20.0
CALM_SECONDS = 30 * 3600.0


_BROKEN_OFF: dict[str, type[httpx.TransportError]] = {
    "reset": httpx.ReadError,
    "refused": httpx.ConnectError,
    "timeout": httpx.ReadTimeout,
    "cut": httpx.RemoteProtocolError,
}
_LOST_ANSWERS: dict[str, Exception | None] = {
    "refused": client_error("InternalError", "PublishBatch"),
    "garbled": ResponseParserError("an answer that is no XML"),
    "again": None,
}
"""What the sender sees of a request that SNS took; None where the SDK asks again and gets its answer."""
_SNS_FAULTS = ("all", "some", "closed", *_LOST_ANSWERS)
_FALSE_ANSWERS = {
    "429": (429, '{"error": "too many"}'),
    "500": (503, '{"error": "x"}'),
    "html": (502, "<html>bad gateway</html>"),
    "malformed": (200, '{"data": {"x": 1}, "next_token": null, "total_count": 0}'),
    "scalar": (200, '"ok"'),
}


@dataclass
class Invocation:
    """One run of a handler; the Lambda context that it is given.

    Attributes:
        ends_at: When Lambda kills it.
        connection_id: What it polls.
        reading: The pages that it reads.
        knew_dates: Whether the row that it loaded knew of Trackstar's dates.
        troubles: States of the connection that the API told it of.
        written: The connection's row as it wrote it last.
        unmarked: Alerts that SNS took from it and that are not marked yet.
        claimed: Alerts that it holds.
        claimed_at: When it took each.
        looked: What it was told of deadlines.
        lost_an_update: Whether an update of its own may not have been written, so that it may leave a claim behind.
    """

    function: str
    copy: int
    ends_at: float
    now: Callable[[], float]
    connection_id: str = ""
    reading: Reading | None = None
    knew_dates: bool = False
    troubles: set[str] = field(default_factory=set)
    written: Row = field(default_factory=dict)
    unmarked: set[str] = field(default_factory=set)
    claimed: set[str] = field(default_factory=set)
    claimed_at: dict[str, float] = field(default_factory=dict)
    looked: Looked = field(default_factory=Looked)
    lost_an_update: bool = False
    function_name: str = "function"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return int(max(self.ends_at - self.now(), 0.0) * 1000)


class SimulatedWorld:
    """Everything of one seed.

    Args:
        plan: What kind of world it is.

    Attributes:
        trace: What happened, a line an event; the same for every run of a seed.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.chance = plan, plan.chance
        self.promises = deadline_plan.drawn(plan.seed, [shop.connection_id for shop in plan.shops])
        self.marks = Marks.drawn(plan.seed, [shop.connection_id for shop in plan.shops])
        late = {shop.connection_id: bool(shop.first_sync_after) for shop in plan.shops}
        self.stock = Stock.drawn(plan.seed, late, Violation)
        self.time = Timeline(self.promises.begins_at)
        self.our_clock = SkewedClock(self.time, plan.our_skew)
        self.vendor_clock = SkewedClock(self.time, plan.vendor_skew)
        self.trace: list[str] = []
        self.is_calm = False
        self.latency = plan.latency
        self.tables = ObservedTables(self._wrote, self._updated)
        self.deadlines = DeadlineOracle(
            self.promises.calendar, self.tables.row, plan.notify_recovered, plan.baseline_days > 0, Violation
        )
        self.summaries = SummaryOracle(
            self.tables.row,
            self.tables.all_rows,
            self.deadlines,
            self.stock,
            tuple(shop.connection_id for shop in plan.shops),
            Violation,
        )
        self._asked_summaries = 0
        self.oracle = Oracle(self.tables.row, plan.notify_recovered, plan.baseline_days, self.deadlines)
        self.queue = FifoQueue(lambda: self.time.seconds, self._message_came, lambda: self._happens(plan.aws_fault))
        self.shards = first_shards(plan.shards)
        self._senders = plan.shards
        self._sent: list[tuple[float, str, dict[str, Any]]] = []
        self._told_by: Counter[str] = Counter()
        self.sns, self.parameters = RecordingSns(), ParameterStore()
        self.parameters.values[f"{PREFIX}/trackstar/api-key"] = API_KEY
        self.shops = {each.connection_id: self._opened(each) for each in plan.shops}
        self.trackstar = SimulatedTrackstar(
            API_KEY,
            self.shops.values(),
            self.vendor_clock,
            monotonic=self.our_clock.monotonic,
            rate_limit=plan.rate_limit,
            page_token_lifetime=timedelta(seconds=plan.token_lifetime),
            envelope=plan.envelope,
        )
        self._vendor = ShopTransport(self.trackstar)
        self._running: list[Invocation] = []
        self._placed: Counter[str] = Counter()
        self._met = 0
        self._records = 0
        self._worked = 0.0
        self._idle: dict[str, tuple[float, float]] = {}
        self._stuck: set[str] = {each.connection_id for each in plan.shops if each.is_broken}

    # The shops

    def _opened(self, plan: ShopPlan) -> Shop:
        shop = Shop(
            plan.connection_id,
            access_token=f"token-of-{plan.connection_id}",
            clock=self.vendor_clock,
            products=self.stock.products(plan.connection_id),
            sync_frequency=plan.said_frequency,
            historical_sync_completed=not plan.first_sync_after,
        )
        shop.quirks.trackstar_dates, shop.quirks.shows_superseded = plan.dates, plan.shows_superseded
        self.oracle.copies[plan.connection_id] = Copy(plan.said_frequency)
        shop.quirks.reports_syncs = plan.connection_id not in self.promises.is_silent
        parameters = f"{PREFIX}/connections/{plan.connection_id}"
        self.parameters.values[f"{parameters}/access-token"] = shop.access_token
        if settings := self.promises.settings(plan.connection_id):
            self.parameters.values[f"{parameters}/settings"] = settings
        return shop

    def _show(self, shop: Shop) -> None:
        records = shop.select(Resource.ORDERS, ListQuery())
        self.deadlines.show(shop.connection_id, records)
        self.oracle.copies[shop.connection_id].show(records, self.vendor_clock.now())

    def place(self, shop: Shop, status: str) -> None:
        """A new order; both shops number theirs alike."""
        self._placed[shop.connection_id] += 1
        number, ship_by = str(self._placed[shop.connection_id]), self.promises.ship_by(self.vendor_clock.now())
        price = {"total_price": 10 * int(number) + 0.25, "invoice_currency_code": ("EUR", "USD")[int(number) % 2]}
        order: dict[str, Any] = {"id": number, "order_number": number, "status": status, **price}
        shop.place(order | {"line_items": self.stock.lines(), "latest_ship_date": ship_by})
        self._note(f"place {shop.connection_id} {number} {status}, to ship by {ship_by}")

    def live(self, shop: Shop) -> None:
        """One step in the life of a shop's orders."""
        ids = [record["id"] for record in shop.orders()]
        what = self.chance.choice(("place", "move", "move", "move", "touch", "there and back"))
        if what == "place" or not ids:
            self.place(shop, self.chance.choice(STATUSES))
            return
        order_id = self.chance.choice(ids)
        if self.promises.chance.random() < self.promises.edits:
            self._edit(shop, order_id)
            return
        status = self._next_status(shop, order_id, what)
        shop.move(order_id, status)
        if self._happens(self.plan.garbled):
            self._garble(shop, order_id)
        elif self._happens(self.plan.misdated):
            self._misdate(shop, order_id)
        else:
            shop.heal(order_id)
        self._note(f"{what} {shop.connection_id} {order_id} {status}")

    def _edit(self, shop: Shop, order_id: str) -> None:
        """The ship-by of an order moves, or the order is deleted."""
        if self.promises.chance.random() < DELETED:
            shop.delete(order_id)
            self._note(f"delete {shop.connection_id} {order_id}")
            return
        ship_by = self.promises.ship_by(self.vendor_clock.now())
        shop.edit(order_id, {"latest_ship_date": ship_by})
        self._note(f"edit {shop.connection_id} {order_id}, to ship by {ship_by}")

    def _next_status(self, shop: Shop, order_id: str, what: str) -> str:
        before = str(shop.order(order_id)["status"])
        if what == "move":
            return self.chance.choice(STATUSES)
        if what == "there and back":
            shop.move(order_id, self.chance.choice(STATUSES))
        return before

    def _garble(self, shop: Shop, order_id: str) -> None:
        field_name = self.chance.choice(("id", "status", "status", "line_items", "total_price"))
        values: list[Any] = [None, [], {}] if field_name == "id" else [None, [], {}, 7]
        shop.garble(order_id, {field_name: self.chance.choice(values)})
        self._note(f"garble {shop.connection_id} {order_id} {field_name}")

    def _misdate(self, shop: Shop, order_id: str) -> None:
        """A date of change is missing, or lies in the future; where Trackstar dates no order, it dates none."""
        names = ["updated_date"]
        if shop.quirks.trackstar_dates is TrackstarDates.PRESENT:
            names.append("trackstar_updated_date")
        field_name, date = self.chance.choice(names), self.chance.choice((None, FUTURE))
        shop.garble(order_id, {field_name: date})
        self._note(f"misdate {shop.connection_id} {order_id} {field_name} {date}")

    def sync(self, connection_id: str) -> None:
        """Trackstar crawls a shop; its stamps may lie a while before the moment at which they can be seen."""
        shop = self.shops[connection_id]
        late = self._lateness(self._plan_of(connection_id))
        is_marked = self.marks.before_sync(shop)
        self.vendor_clock.offset -= late
        copied = shop.sync(is_reported=is_marked)
        self.vendor_clock.offset += late
        self._show(shop)
        alerted = "" if is_marked else ", and no mark tells of it"
        self._note(f"sync {connection_id}: {copied}, late by {late:.0f}{alerted}")

    def _lateness(self, plan: ShopPlan) -> float:
        """How far a sync's stamps lie back: never so far that an order's version would go back, or past the overlap."""
        if self.is_calm or not plan.late_by:
            return 0.0
        late = self.chance.uniform(0, plan.late_by)
        cursor = (self.tables.row(CONNECTIONS, plan.connection_id) or {}).get("cursor")
        if cursor and not self._running and self.chance.random() < AT_THE_BOUND:
            bound = datetime.fromisoformat(cursor) - OVERLAP
            late = max((self.vendor_clock.now() - bound).total_seconds(), 0.0)
        stamped = self.vendor_clock.now() - timedelta(seconds=late)
        last = max((sight.newest for sight in self.oracle.copies[plan.connection_id].orders.values()), default="")
        return late if f"{stamped:%Y-%m-%dT%H:%M:%SZ}" > last else 0.0

    def _plan_of(self, connection_id: str) -> ShopPlan:
        return next(each for each in self.plan.shops if each.connection_id == connection_id)

    def _burst(self, shop: Shop) -> None:
        """Life and a sync in one second: statuses that flip under one version."""
        self.live(shop)
        self.sync(shop.connection_id)

    def _flip(self, shop: Shop) -> None:
        """There and back within one second, and seen each time: three statuses under one version."""
        if not shop.orders():
            return
        order_id = self.chance.choice(shop.orders())["id"]
        self.time.spend(-self.vendor_clock.now().timestamp() % 1.0)
        first, second = self.chance.choice(STATUSES), self.chance.choice(STATUSES)
        for status in (first, second, first):
            if order_id not in {record["id"] for record in shop.orders()}:
                return  # deleted while the poll below was under way
            shop.move(order_id, status)
            self._note(f"flip {shop.connection_id} {order_id} {status}")
            self.sync(shop.connection_id)
            self._poll_too(shop)

    # Outgoing calls

    def client(self, service: str, **_: object) -> Any:
        """What `boto3.client` hands out."""
        return _Client(self, service, self._service(service))

    def _service(self, service: str) -> Any:
        return {"dynamodb": self.tables, "sqs": self.queue, "sns": self, "ssm": self.parameters}[service]

    def call[T](self, what: str, send: Callable[[], T], *, seconds: float) -> T:
        """One outgoing call of the process that runs: it takes time, and the process may end before it or after it."""
        invocation = self._running[-1]
        self._may_die(invocation, f"before {what}")
        if self._happens(self.plan.meanwhile):
            self._meanwhile(invocation)
        self.time.spend(seconds * self.chance.uniform(0.5, 1.5))
        self._may_run_out(invocation, f"in {what}")
        self._note(f"{invocation.function}/{invocation.copy} {what}")
        answer = send()
        self._may_die(invocation, f"after {what}")
        return answer

    def _may_die(self, invocation: Invocation, where: str) -> None:
        self._may_run_out(invocation, where)
        if self._happens(self.plan.death):
            self._note(f"{invocation.function}/{invocation.copy} dies {where}")
            raise Killed

    def _may_run_out(self, invocation: Invocation, where: str) -> None:
        if self.time.seconds >= invocation.ends_at:
            self._note(f"{invocation.function}/{invocation.copy} runs out of time {where}")
            raise Killed

    def _happens(self, chance: float) -> bool:
        return not self.is_calm and chance > 0 and self.chance.random() < chance

    def _meanwhile(self, invocation: Invocation) -> None:
        """Something else happens while a process waits for an answer."""
        self._met += 1
        if self._met > MOST_MEANWHILE:
            return
        shop = self.shops.get(invocation.connection_id) or self._any_shop()
        happenings: list[Callable[[], None]] = [lambda: self._burst(shop), lambda: self._burst(shop)]
        if len(self._running) < MAX_AT_ONCE:
            happenings += [lambda: self._poll_too(shop), self._publish_some, self.redrive]
        self.chance.choice(happenings)()

    def _any_shop(self) -> Shop:
        return self.chance.choice(list(self.shops.values()))

    # HTTP

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Trackstar's answer, or what becomes of it on the way."""
        invocation = self._running[-1]
        query = dict(request.url.params)
        is_window = query.get("limit") == str(self.plan.page_size) and "ids[in]" not in query
        is_list = request.url.path == "/cart/orders" and is_window
        what = f"GET {request.url.path} {sorted(query.items())}"
        return self.call(what, lambda: self._answered(request, invocation, query, is_list), seconds=self.latency)

    def _answered(
        self, request: httpx.Request, invocation: Invocation, query: dict[str, str], is_list: bool
    ) -> httpx.Response:
        if is_list:
            invocation.reading = self.oracle.asked(
                invocation.connection_id,
                query,
                invocation.reading,
                invocation.looked.date,
                knew_dates=invocation.knew_dates,
            )
        if self._is_stuck(invocation) or self._happens(self.plan.http_fault):
            return self._fault(request)
        response = self._vendor.handle_request(request)
        invocation.looked.date = self.vendor_clock.now().replace(microsecond=0)
        self._learn(invocation, request, response, is_list=is_list)
        if response.status_code != 200:
            self._note(f"  answered {response.status_code}")
        elif invocation.function == "poll_orders" and not is_list:
            self._read_anew(invocation, request, json.loads(_body_of(response)))
        elif is_list and invocation.reading:
            page = json.loads(_body_of(response))
            shown = [f"{each.get('id')}={each.get('status')}" for each in page["data"]]
            self._note(f"  served {shown} of {page['total_count']}")
            self.deadlines.served(invocation.connection_id, page["data"])
            self.oracle.served(invocation.connection_id, invocation.reading, page)
        return response

    def _read_anew(self, invocation: Invocation, request: httpx.Request, answer: Any) -> None:
        """A poll was told how the connection is, or of orders that it asked for by their ids."""
        path = request.url.path
        if path.startswith("/connections/"):
            self.deadlines.connection_alerts_of(invocation.looked, answer)
            self._note(f"  the data reach to {invocation.looked.watermark}")
            return
        by_id = path.removeprefix("/cart/orders/") if path.startswith("/cart/orders/") else ""
        records = [answer["data"]] if by_id else answer["data"]
        if not by_id and "ids[in]" not in request.url.params:
            return
        self.deadlines.read_anew(invocation.looked, records)
        self.oracle.showed(invocation.connection_id, records)
        self._note(f"  served {[f'{each.get("id")}={each.get("status")}' for each in records]} by id")

    def _learn(
        self, invocation: Invocation, request: httpx.Request, response: httpx.Response, *, is_list: bool
    ) -> None:
        """Note what a poll was just told of its connection and so has to believe (rule 10)."""
        if is_list and response.status_code in {401, 403}:
            invocation.troubles.add("unauthorized")
            invocation.looked.is_spoilt = True
        is_connection = request.url.path.startswith("/connections/")
        if is_connection and invocation.function == "poll_orders":
            unknown = response.status_code == 404
            if unknown or self.shops[invocation.connection_id].errors:
                invocation.troubles.add("blocked")
        if invocation.function == "poll_orders" and not (is_connection and response.status_code == 200):
            self.deadlines.may_begin(invocation.looked)

    def _is_stuck(self, invocation: Invocation) -> bool:
        return invocation.function == "poll_orders" and invocation.connection_id in self._stuck

    def _fault(self, request: httpx.Request) -> httpx.Response:
        kind = self.chance.choice(self.plan.http_faults or ("500", "timeout"))
        self._note(f"  fault {kind}")
        if kind == "timeout":
            self.time.spend(HTTP_TIMEOUT)
        if kind in _BROKEN_OFF:
            raise _BROKEN_OFF[kind](kind, request=request)
        if kind == "half":
            return httpx.Response(200, stream=httpx.ByteStream(_body_of(self._vendor.handle_request(request))[:-9]))
        status, body = _FALSE_ANSWERS[kind]
        headers = {"retry-after": str(self.chance.randint(1, 3))} if kind == "429" else {}
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body.encode()))

    # AWS

    def aws(self, service: str, operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        """One call of a boto3 client."""

        if operation == "transact_write_items":
            self.oracle.tried(self.tables.asked_for(request))

        def sent() -> Any:
            if self._happens(self.plan.aws_fault) and service != "sns":
                self._note("  fault")
                raise self._aws_fault(operation, request)
            answer = self._sent_by(self._running[-1], operation, request, send)
            if operation == "update_item" and self._happens(self.plan.aws_fault):
                self._note("  the answer is lost and the SDK asks again")
                answer = send(**request)
            if operation == "get_item":
                invocation = self._running[-1]
                invocation.reading = self.oracle.loaded(invocation.connection_id)
                invocation.knew_dates = self.oracle.knows_vendor_dates(invocation.connection_id)
            if self._happens(self.plan.aws_fault * 0.5) and service != "sns":
                self._note("  the answer is lost")
                self._running[-1].lost_an_update |= operation == "update_item"
                raise client_error("InternalServerError", operation)
            return answer

        return self.call(f"{service} {operation}", sent, seconds=0.01)

    @staticmethod
    def _sent_by(invocation: Invocation, operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        """A request; a poll that loses a transaction, or asks for another poll, has not told all that is due."""
        invocation.looked.is_spoilt |= operation == "send_message_batch"
        try:
            return send(**request)
        except ClientError:
            invocation.looked.is_spoilt = True
            raise

    def _aws_fault(self, operation: str, request: dict[str, Any]) -> ClientError:
        self._running[-1].lost_an_update |= operation == "update_item"
        if operation == "transact_write_items" and self.chance.random() < 0.8:
            actions = len(request["TransactItems"])
            return transaction_conflict(actions, self.chance.randrange(actions))
        return client_error("ProvisionedThroughputExceededException", operation)

    @property
    def exceptions(self) -> Any:
        return self.sns.exceptions

    def get_paginator(self, operation: str) -> Any:
        """SNS's list of subscriptions: somebody always listens."""
        return self.sns.get_paginator(operation)

    def publish_batch(self, **request: Any) -> dict[str, Any]:
        """SNS, which refuses batches or single messages, hangs up, or loses its answer."""
        fault = self.chance.choice(_SNS_FAULTS) if self._happens(self.plan.sns_fault) else ""
        if fault == "closed":
            raise ConnectionClosedError(endpoint_url="https://sns.invalid")
        self.sns.is_down = fault == "all"
        self.sns.refuses = lambda body: fault == "some" and self.chance.random() < 0.5
        answer = self._taken(request)
        if fault in _LOST_ANSWERS:
            self._note(f"  SNS's answer is lost: {fault}")
            self._count_unmarked(self._running[-1])
        if fault == "again":
            return self._taken(request)
        if error := _LOST_ANSWERS.get(fault):
            raise error
        return answer

    def _taken(self, request: dict[str, Any]) -> dict[str, Any]:
        before = len(self.sns.taken)
        try:
            return self.sns.publish_batch(**request)
        finally:
            for body in self.sns.taken[before:]:
                self._sent.append((self.time.seconds, request["TopicArn"], body))
                ids = self.oracle.took(body)
                self.stock.took(body)
                self._running[-1].unmarked.update(ids)
                self._note(f"  told {body['kind']} {ids}")

    def _wrote(self, changes: list[Change]) -> None:
        invocation = self._running[-1]
        for change in changes:
            self._note(f"  {change.table} {_brief(change.after)}")
        self.oracle.wrote(changes, invocation.reading)
        self.deadlines.wrote(changes, invocation.looked)
        self.summaries.touched += any(change.table in {ORDERS, CONNECTIONS} for change in changes)
        for row in (change.after for change in changes if change.after.get("kind") == "summary.daily"):
            self.summaries.wrote(row, now=self.our_clock.now(), is_calm=self.is_calm)
        if any(change.table == CONNECTIONS for change in changes):
            [invocation.written] = [change.after for change in changes if change.table == CONNECTIONS]
            self._idle[invocation.connection_id] = (self.time.seconds, self._worked)
        fresh = [change.after for change in changes if change.table == ALERTS]
        self._told_by.update({row["connection_id"] for row in fresh})
        for row in fresh:
            self._streamed(AlertKey(row["connection_id"], row["alert_id"]))

    def _updated(self, alert_id: str, row: Row) -> None:
        if "leased_until" in row:
            self._count_held_up(alert_id)
        for invocation in self._running:
            invocation.claimed.discard(alert_id)
            if row.get("state") == "sent":
                invocation.unmarked.discard(alert_id)
        if "leased_until" in row:
            self._running[-1].claimed.add(alert_id)
            self._running[-1].claimed_at[alert_id] = self.time.seconds

    def _count_held_up(self, alert_id: str) -> None:
        """A sender that one call holds up for longer than claims last, as no real call does, is as good as dead."""
        for each in self._running[:-1]:
            is_held_up = self.time.seconds - each.claimed_at.get(alert_id, self.time.seconds) > LEASE_DURATION
            if is_held_up and alert_id in each.claimed | each.unmarked:
                each.unmarked.discard(alert_id)
                self.oracle.unmarked.update([alert_id])

    # Invocations

    def invoke(
        self,
        function: str,
        event: dict[str, Any],
        *,
        connection_id: str = "",
        sender: int | None = None,
        request: str = "request-1",
    ) -> Any:
        """Run a handler.

        Args:
            function: Its name.
            event: What it is handed.
            connection_id: What it polls.
            sender: Of which shard; None where any process will do.
            request: Lambda's id of the request, which its retries share.

        Returns:
            What it returned; None where it failed or died.
        """
        copy = sum(1 for each in self._running if each.function == function) if sender is None else sender
        timeout = self.plan.poll_timeout if function == "poll_orders" else TIMEOUTS[function]
        invocation = Invocation(
            function, copy, self.time.seconds + timeout, lambda: self.time.seconds, connection_id=connection_id
        )
        invocation.aws_request_id = request
        invocation.looked.connection_id = connection_id
        module = handler_module(function, copy)
        self._note(f"{function}/{copy} begins {connection_id}")
        self._running.append(invocation)
        began = self.time.seconds
        try:
            answer = module.handler(event, invocation)
        except Killed:
            forget(module)
        except EXPECTED as error:
            self._note(f"{function}/{copy} fails: {type(error).__name__}")
            self._judge_claims(invocation)
        except BatchProcessingError as error:
            self._judge_failures(error)
            self._note(f"{function}/{copy} fails: {error.child_exceptions[0][0]}")
        else:
            self._judge_health(invocation)
            self._judge_claims(invocation)
            self.deadlines.finished(invocation.looked)
            self.summaries.finished(invocation.looked)
            return answer
        finally:
            self._running.pop()
            self._count_unmarked(invocation)
            self._worked += self.time.seconds - began
        return None

    @staticmethod
    def _judge_claims(invocation: Invocation) -> None:
        """A sender that lived to its end holds nothing any more, whatever SNS did."""
        if invocation.claimed and not invocation.lost_an_update:
            raise Violation(f"{invocation.function} left claims behind: {sorted(invocation.claimed)}")

    def _judge_health(self, invocation: Invocation) -> None:
        """Rule 10: a poll that came to its end has written down how the connection is."""
        if not invocation.troubles or not invocation.written:
            return
        state = invocation.written["health"]["state"]
        if state not in {"blocked", "unauthorized"}:
            raise Violation(f"{invocation.connection_id} is {invocation.troubles}, and stored as {state}")

    @staticmethod
    def _judge_failures(error: BatchProcessingError) -> None:
        for _, child, _ in error.child_exceptions or []:
            if not isinstance(child, EXPECTED):
                raise Violation(f"a poll failed by {child!r}") from child

    def _count_unmarked(self, invocation: Invocation) -> None:
        self.oracle.unmarked.update(sorted(invocation.unmarked))
        invocation.unmarked.clear()

    # The Scheduler

    def tick(self) -> None:
        """It is time to poll."""
        if self.invoke("dispatch_polls", {}) is None:
            self.time.after(60.0, lambda: self.invoke("dispatch_polls", {}))
        if self._happens(self.plan.repeated_event):
            self.time.after(self.chance.uniform(0, 60), self.tick)

    def redrive(self) -> None:
        """It is time to look for what is pending."""
        self.invoke("redrive_alerts", {})

    def sum_up(self) -> None:
        """It is time for a summary: Lambda tries three times."""
        self._asked_summaries += 1
        for _ in range(3):
            self.summaries.begins()
            answer = self.invoke("send_summary", {}, request=f"summary-{self._asked_summaries}")
            if answer is not None and not self._happens(self.plan.repeated_event):
                return

    # The queue

    def _message_came(self, group: str) -> None:
        self.time.after(self._delay(0.2, 500.0), lambda: self._deliver(group))

    def _delay(self, usual: float, late: float) -> float:
        return self.chance.uniform(0, late) if self._happens(self.plan.late_event) else usual

    def _deliver(self, group: str) -> None:
        message = self.queue.receive(group)
        if message is None:
            return
        if self._is_done(message) and not self._happens(self.plan.repeated_event):
            self.queue.delete(message)
            self.time.after(0.2, lambda: self._deliver(group))
        else:
            self.time.at(message.visible_at + 0.1, lambda: self._deliver(group))

    def _is_done(self, message: Message) -> bool:
        sent_at = self.our_clock.now() + timedelta(seconds=message.sent_at - self.time.seconds)
        event = queue_event(message, int(sent_at.timestamp() * 1000))
        answer = self.invoke("poll_orders", event, connection_id=message.group)
        return bool(answer is not None and not answer["batchItemFailures"])

    def _poll_too(self, shop: Shop) -> None:
        """A second poll of a shop, as after a visibility timeout that ended too early."""
        body = json.dumps({"connection_id": shop.connection_id})
        now = self.time.seconds
        self._is_done(Message(0, shop.connection_id, body, sent_at=now, visible_at=now))

    # The stream

    def _streamed(self, key: AlertKey) -> None:
        self._records += 1
        if self._happens(self.plan.late_event * 0.3):
            self._note(f"  the stream loses {key.alert_id}")
            return
        partition_key = getattr(key, self.tables.partition_key(ALERTS))
        hashed = zlib.crc32(partition_key.encode()) % HASHES
        shard = next(each for each in self.shards if hashed in each.hashes)
        if self._happens(self.plan.split) and self._senders < MAX_SHARDS:
            shard = self._split(shard, hashed)
        shard.records.append(Record(self._records, key, self.time.seconds))
        if not shard.is_awake:
            shard.is_awake = True
            self.time.after(self._delay(0.5, 5000.0), lambda: self._hand_over(shard))

    def _split(self, shard: Shard, hashed: int) -> Shard:
        children = shard.split(self._senders)
        self._senders += 1
        self.shards.remove(shard)
        self.shards += children
        self._note(f"the shard {shard.number} splits")
        return next(each for each in children if hashed in each.hashes)

    def _hand_over(self, shard: Shard) -> None:
        if not shard.may_begin:
            self.time.after(1.0, lambda: self._hand_over(shard))
            return
        for record in shard.drop(self.time.seconds, max_tries=STREAM_TRIES, max_age=STREAM_AGE):
            self._note(f"the stream gives up {record.key.alert_id}")
        if not shard.records:
            shard.is_awake = False
            return
        tries = shard.records[0].tries
        batch = list(shard.records)[: 100 if self.is_calm else self.chance.choice((1, 3, 100))]
        answer = self.invoke("publish_alerts", stream_event(batch), sender=shard.number)
        self._after_batch(shard, batch, answer)
        self.time.after(min(2.0**tries, 60.0), lambda: self._hand_over(shard))

    def _after_batch(self, shard: Shard, batch: list[Record], answer: Any) -> None:
        if self._happens(self.plan.repeated_event):
            answer = None
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]} if answer else {str(batch[0].number)}
        first = min((int(number) for number in failed), default=None)
        while shard.records and shard.records[0].number <= batch[-1].number:
            if first is not None and shard.records[0].number >= first:
                shard.records[0].tries += 1
                return
            shard.records.popleft()

    def _publish_some(self) -> None:
        """Another sender has some of the pending alerts in hand: a batch of the stream that is handed over twice."""
        pending = [row for row in self.tables.all_rows(ALERTS) if row["state"] == "pending"][:5]
        keys = [AlertKey(row["connection_id"], row["alert_id"]) for row in pending]
        if keys:
            event = stream_event([Record(n, key, 0.0) for n, key in enumerate(keys)])
            running = sum(1 for each in self._running if each.function == "publish_alerts")
            self.invoke("publish_alerts", event, sender=MAX_SHARDS + running)

    # The course of a seed

    def play(self) -> None:
        """The whole life of this world.

        Raises:
            Violation: A rule does not hold.
        """
        self._begin()
        if self.promises.is_aligned:
            self._wait_for_midnight()
        active = self.plan.ticks * TICK
        self._schedule(active)
        began = self.time.seconds
        self.time.play(self.time.seconds + active)
        self._judge_delays(began)
        self._calm_down()
        self._settle()
        self._judge()

    def _begin(self) -> None:
        for plan in self.plan.shops:
            shop = self.shops[plan.connection_id]
            for _ in range(plan.orders):
                self.place(shop, self.chance.choice(STATUSES))
                if self.chance.random() < 0.3:
                    self.sync(plan.connection_id)
                    self.time.spend(self.chance.choice((0.0, 1.0, 90000.0 if self.plan.baseline_days else 60.0)))
                    self.time.spend(self.promises.history)
            self.sync(plan.connection_id)
            if plan.first_sync_after:
                self.time.after(plan.first_sync_after, lambda shop=shop: self._first_sync(shop))  # type: ignore[misc]

    def _wait_for_midnight(self) -> None:
        """Time passes until shortly before a day ends in the shops' zone."""
        now = self.vendor_clock.now()
        midnight = next(
            end
            for back in (1, 0, -1)
            if (end := day_is_over((now - timedelta(days=back)).date(), self.promises.zone)) > now
        )
        self.time.spend(max((midnight - now - deadline_plan.AHEAD_OF_MIDNIGHT).total_seconds(), 0.0))

    def _first_sync(self, shop: Shop) -> None:
        shop.complete_historical_sync()
        self._show(shop)
        self._note(f"first sync of {shop.connection_id} is done")

    def _schedule(self, active: float) -> None:
        start = self.time.seconds
        for number in range(self.plan.ticks):
            self.time.at(start + number * TICK, self.tick)
        self._every(REDRIVE_EVERY, active, self.redrive)
        self._every(SUMMARY_EVERY, active, self.sum_up)
        for plan in self.plan.shops:
            self._schedule_shop(plan, active)
        for _ in range(self.plan.troubles):
            self._schedule_trouble(active)

    def _every(self, seconds: float, until: float, happens: Callable[[], None]) -> None:
        start = self.time.seconds
        moment = seconds * self.chance.random()
        while moment < until:
            self.time.at(start + moment, happens)
            moment += seconds

    def _schedule_shop(self, plan: ShopPlan, active: float) -> None:
        shop = self.shops[plan.connection_id]
        self._every(min(plan.sync_every, 900.0), active, lambda: self._sync_in_time(plan))
        for _ in range(int(self.plan.life * self.plan.ticks * 0.7)):
            happens = self.chance.choice((self._burst, self._flip)) if self._happens(self.plan.flips) else self.live
            self.time.after(self.chance.uniform(0, active), lambda happens=happens: happens(shop))  # type: ignore[misc]

    def _sync_in_time(self, plan: ShopPlan) -> None:
        if self._happens(self.plan.late_event):
            return
        self.sync(plan.connection_id)
        if self._happens(self.plan.vendor_jump):
            self._jump()

    def _jump(self) -> None:
        by = self.chance.choice(VENDOR_JUMPS)
        self.vendor_clock.offset = max(min(self.vendor_clock.offset + by, 7200.0), -7200.0)
        self.oracle.jumps += 1
        self._note(f"the vendor's clock jumps to {self.vendor_clock.offset:+.0f}")

    # Troubles of a shop that last a while

    def _schedule_trouble(self, active: float) -> None:
        shop = self._any_shop()
        begin, end = _TROUBLES[self.chance.choice(sorted(_TROUBLES))]
        starts = self.chance.uniform(0, active)
        lasts = self.chance.uniform(60, active)
        self.time.after(starts, lambda: begin(self, shop))
        self.time.after(min(starts + lasts, active), lambda: end(self, shop))

    # The calm

    def _calm_down(self) -> None:
        self.is_calm = True
        self.latency = 0.05
        self._stuck.clear()
        for shop in self.shops.values():
            for _, end in _TROUBLES.values():
                end(self, shop)
            self.marks.end(shop, reports_syncs=shop.connection_id not in self.promises.is_silent)
            self._first_sync(shop)
            for record in shop.orders():
                shop.heal(record["id"])
        self._note("calm")

    def _judge_delays(self, began: float) -> None:
        """Rule 14: a broken shop costs the others nothing, but that here one invocation runs after the other.

        A tick leaves a shop alone whose last reading is younger than `MAX_GAP`.
        """
        for plan in self.plan.shops:
            if plan.is_broken or plan.first_sync_after or not self.plan.only_one_is_broken:
                continue
            at, worked_then = self._idle.get(plan.connection_id, (began, 0.0))
            delay = self.time.seconds - at - (self._worked - worked_then)
            if delay > MAX_GAP + 2 * TICK:
                raise Violation(f"{plan.connection_id} was not polled for {delay:.0f} s beside a broken shop")

    def _settle(self) -> None:
        start = self.time.seconds
        self._calm_ticks(2)
        self._judge_first_polls(start)
        self._calm_ticks(1)
        self._judge_unmarked_changes()
        self.time.play(start + CALM_SECONDS)
        self._calm_ticks(2)
        self.sum_up()
        self._calm_ticks(1)
        if self.plan.storm:
            self._storm()

    def _judge_unmarked_changes(self) -> None:
        """Rule 1 without any mark: a change that no sync tells of is told within `MaxPollGapMinutes` and a tick."""
        placed = {shop: self._place_open(shop) for shop in self.shops.values()}
        self._calm_ticks(1)
        for shop, order_id in placed.items():
            shop.move(order_id, "exception")
            shop.sync(is_reported=False)
            self._show(shop)
        self._note("every shop changes, and no mark tells of it")
        for _ in range(int(MAX_GAP / TICK) + 1):
            self.tick()
            self.time.play(self.time.seconds + TICK)
        for shop, order_id in placed.items():
            row = self.tables.row(ORDERS, f"{shop.connection_id}#{order_id}") or {}
            if row.get("status") != "exception":
                raise Violation(f"{shop.connection_id}: what no mark told of is not told after {MAX_GAP + TICK:.0f} s")

    def _storm(self) -> None:
        """Many orders of every shop move at once: few messages a shop, and few a second over all of them (rule 17)."""
        placed = {shop: [self._place_open(shop) for _ in range(STORM)] for shop in self.shops.values()}
        self._calm_ticks(1)
        self._sent.clear()
        self._told_by.clear()
        for shop, order_ids in placed.items():
            for order_id in order_ids:
                shop.move(order_id, "exception")
        self._calm_ticks(1)
        self._judge_storm()
        for shop, order_ids in placed.items():
            for number, order_id in enumerate(order_ids):
                statuses = ("backordered", "cancelled", "open")
                shop.move(order_id, statuses[min(number // self.plan.digest_threshold, 2)])
        self._calm_ticks(1)
        self._judge_pace()

    def _place_open(self, shop: Shop) -> str:
        self.place(shop, "open")
        return str(shop.orders()[-1]["id"])

    def _judge_storm(self) -> None:
        kinds = (
            (body["connection_id"], (body["digest"] or {}).get("of_kind", body["kind"])) for *_, body in self._sent
        )
        messages = Counter(connection_id for connection_id, kind in kinds if kind == "order.exception")
        for connection_id, count in messages.items():
            if count > self._told_by[connection_id]:
                raise Violation(f"a storm of {connection_id} became {count} messages")

    def _judge_pace(self) -> None:
        for began, topic, _ in self._sent:
            merge_alerts = [at for at, other, _ in self._sent if other == topic and 0 <= at - began < 1.0 - PACE_JITTER]
            if len(merge_alerts) > 10:
                raise Violation(f"{topic} got {len(merge_alerts)} messages within a second")

    def _judge_first_polls(self, start: float) -> None:
        """Rule 14: whatever went wrong before, within two intervals a shop is polled again."""
        for connection_id in self.shops:
            if self._idle.get(connection_id, (0.0, 0.0))[0] < start:
                raise Violation(f"{connection_id} was not polled within two intervals of the calm")

    def _calm_ticks(self, count: int) -> None:
        for _ in range(count):
            for connection_id in self.shops:
                self.sync(connection_id)
            self.tick()
            self.time.play(self.time.seconds + TICK)
            self.redrive()

    def _judge(self) -> None:
        self.oracle.judge_alerts(self.tables.all_rows(ALERTS))
        if not self.summaries.deadline_change["calm"]:
            raise Violation("no summary was written in the calm")
        for connection_id in self.shops:
            self.oracle.judge_shop(connection_id)

    # The trace

    def _note(self, what: str) -> None:
        self.trace.append(f"{self.time.seconds:10.2f} {'  ' * len(self._running)}{what}")

    @property
    def digest(self) -> str:
        """What tells one run from another."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


def _brief(row: Row) -> str:
    shown = ("order_key", "alert_id", "kind", "status", "version", "status_alert_id", "cursor", "progress", "revision")
    return " ".join(f"{name}={row[name]}" for name in shown if name in row)


class _Client:
    """A boto3 client each of whose requests is a call of the world's."""

    def __init__(self, world: SimulatedWorld, name: str, service: Any) -> None:
        self._world, self._name, self._service = world, name, service

    @property
    def exceptions(self) -> Any:
        return self._service.exceptions

    def get_paginator(self, operation: str) -> Any:
        return _Client(self._world, f"{self._name} {operation}", self._service.get_paginator(operation))

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        send = getattr(self._service, operation)
        return lambda **request: self._world.aws(self._name, operation, request, send)


class _Transport(httpx.BaseTransport):
    """What `Trackstar` talks through, in whatever world is being played."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._world.answer(request)


def _body_of(response: httpx.Response) -> bytes:
    """The body of an answer that is still to be read by the client."""
    assert isinstance(response.stream, httpx.SyncByteStream)
    return b"".join(response.stream)


def _block(world: SimulatedWorld, shop: Shop) -> None:
    now = world.vendor_clock.now()
    error = endpoint_error("get_orders", preventing_sync=True, first_seen=now, last_seen=now)
    shop.errors = [world.chance.choice((error, invalid_credentials()))]
    world._note(f"{shop.connection_id} is blocked")


def _unblock(world: SimulatedWorld, shop: Shop) -> None:
    shop.errors = []


def _refuse(world: SimulatedWorld, shop: Shop) -> None:
    shop.access_token = "rotated"
    world._note(f"{shop.connection_id} refuses its token")


def _accept(world: SimulatedWorld, shop: Shop) -> None:
    shop.access_token = f"token-of-{shop.connection_id}"


def _disable(world: SimulatedWorld, shop: Shop) -> None:
    shop.quirks.disabled = True


def _enable(world: SimulatedWorld, shop: Shop) -> None:
    shop.quirks.disabled = False


def _disconnect(world: SimulatedWorld, shop: Shop) -> None:
    if shop in world.trackstar.shops:
        world.trackstar.disconnect(shop.connection_id)
    world._note(f"{shop.connection_id} is disconnected")


def _connect(world: SimulatedWorld, shop: Shop) -> None:
    world.trackstar.connect(shop)


def _refuse_filter(world: SimulatedWorld, shop: Shop) -> None:
    shop.quirks.refused_filters = {"trackstar_updated_date"}
    world.oracle.refusing.add(shop.connection_id)
    world._note(f"{shop.connection_id} refuses the filter")


def _lead_nowhere(world: SimulatedWorld, shop: Shop) -> None:
    shop.quirks.paging = world.chance.choice((Paging.STUCK, Paging.LOOP))
    world._note(f"the page tokens of {shop.connection_id} lead {shop.quirks.paging}")


def _lead_on(world: SimulatedWorld, shop: Shop) -> None:
    shop.quirks.paging = Paging.FORWARD


def _keep(world: SimulatedWorld, shop: Shop) -> None:
    """It stays so."""


def _go_dark(world: SimulatedWorld, shop: Shop) -> None:
    world._stuck.add(shop.connection_id)
    world._note(f"{shop.connection_id} goes dark")


def _come_back(world: SimulatedWorld, shop: Shop) -> None:
    world._stuck.discard(shop.connection_id)


type SubscriptionProblem = Callable[[SimulatedWorld, Shop], None]
_TROUBLES: dict[str, tuple[SubscriptionProblem, SubscriptionProblem]] = {
    "blocked": (_block, _unblock),
    "token refused": (_refuse, _accept),
    "disabled": (_disable, _enable),
    "disconnected": (_disconnect, _connect),
    "filter refused": (_refuse_filter, _keep),
    "dark": (_go_dark, _come_back),
    "page tokens repeat": (_lead_nowhere, _lead_on),
}


def _keep_no_metric(*_: object, **__: object) -> None:
    """Metrics are not judged here."""


class _Nowhere(StringIO):
    """Where the metrics of the handlers go."""

    def write(self, text: str) -> int:
        return len(text)


@contextmanager
def installed(world: SimulatedWorld) -> Iterator[None]:
    """Let the handlers live in this world."""
    copies = dict.fromkeys(sorted(TIMEOUTS), MAX_AT_ONCE) | {"publish_alerts": SENDERS}
    modules = [handler_module(function, copy) for function, count in copies.items() for copy in range(count)]
    level = logger.log_level
    with ExitStack() as stack:
        stack.enter_context(_environment(world.plan, world.promises))
        stack.enter_context(patch("boto3.client", world.client))
        stack.enter_context(patch("orderwatch.trackstar.client.PAGE_SIZE", world.plan.page_size))
        stack.enter_context(patch("orderwatch.aws.dynamodb.MAX_ACTIONS", world.plan.actions))
        stack.enter_context(patch("orderwatch.aws.stores.MAX_ACTIONS", world.plan.actions))
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        stack.enter_context(patch.object(AmazonCloudWatchEMFProvider, "add_metric", _keep_no_metric))
        stack.enter_context(redirect_stdout(_Nowhere()))
        for module in modules:
            stack.enter_context(reached_through(module, _Transport(world)))
        clock.use(world.our_clock)
        logger.setLevel("CRITICAL")
        try:
            yield
        finally:
            clock.use(None)
            logger.setLevel(level)
            for module in modules:
                forget(module)


def _environment(plan: Plan, promises: deadline_plan.DeadlinePlan) -> Any:
    drawn_for_this = {
        "NOTIFY_RECOVERED": str(plan.notify_recovered).lower(),
        "BASELINE_DAYS": str(plan.baseline_days),
        "STALLED_AFTER_MINUTES": "30",
        "DIGEST_THRESHOLD": str(plan.digest_threshold),
        **promises.environment,
    }
    return patch.dict("os.environ", ENVIRONMENT | drawn_for_this)


def run(seed: int) -> SimulatedWorld:
    """Play one seed.

    Raises:
        Violation: A rule does not hold; it carries the trace.
    """
    random.seed(seed)
    world = SimulatedWorld(drawn(seed))
    with installed(world):
        try:
            world.play()
        except Violation as violation:
            violation.trace = (str(world.plan), *world.trace)
            raise
    return world
