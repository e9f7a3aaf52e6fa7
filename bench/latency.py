"""From the moment at which an order's status can be seen to the message on a subscriber's queue, hop by hop."""

import json
import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from pydantic import SecretStr

from bench.report import Say, Section
from orderwatch_local.cloud.watch import Watch, WatchedShop, watching
from orderwatch_local.simulator import Request, Shop, Trackstar, VirtualClock, serve
from orderwatch_local.simulator.script import API_KEY

TRANSITIONS = 200
CONNECTION = "conn_a"
TICK = timedelta(minutes=5)
WITHIN = 30.0
"""Seconds for what takes a fraction of one: a wide bound, so that a fault ends the run instead of hanging it."""
NEVER = "rate(365 days)"
MILLISECOND = 0.001
APART = 0.25
"""Seconds between two transitions: two requests a poll stay well below the pace of our client (ten a second)."""

HOPS = (
    "visible → dispatch_polls has asked for the poll",
    "asked for → poll_orders' first request at Trackstar (PollQueue)",
    "first request → order and alert written",
    "written → publish_alerts' request for the product (stream)",
    "product asked for → message on the subscriber's queue (SNS)",
)
TEXT = f"""\
The deployed template on the local cloud, with warm functions and one shop. {TRANSITIONS} orders become an exception
one after another, so that none becomes a digest. Each change becomes visible, a poll is queued at once (so the poll
interval is not included), and the message arrives on a queue that is subscribed to AlertTopic. Between two changes,
the vendor's clock moves by five minutes, and a quarter of a second passes, because the client makes at most ten
requests a second. Every order has its own product, so no product detail comes from the cache.

The times come from the simulated shop's requests, the functions' logs, and the queue's `SentTimestamp` (the last
two in milliseconds), all by one clock. The emulated SNS delivers a message before it responds, so both are one hop.
Networks, AWS's own queues and streams, cold starts, and the second of `MaximumBatchingWindowInSeconds` are not
included."""


@dataclass(frozen=True)
class Passage:
    """The seconds of the machine's clock at which one transition passed each point."""

    visible: float
    asked_for: float
    polled: float
    written: float
    enriched: float
    delivered: float

    def hops(self) -> list[float]:
        """The seconds between the points."""
        return [end - begin for begin, end in pairwise(astuple(self))]


@dataclass
class Arrivals:
    """When requests came to the simulated shop; the first of each path since it was last forgotten."""

    first: dict[str, float] = field(default_factory=dict)

    def note(self, request: Request) -> None:
        """Note the request and let it pass."""
        self.first.setdefault(request.path, time.time())


def measure(say: Say) -> Section:
    """Follow every transition."""
    with _running(say) as run:
        run.watch.poll_now()
        run.inbox.receive()
        say(f"{TRANSITIONS} transitions")
        partly = [_apart(run, f"o{number}") for number in range(TRANSITIONS)]
        passages = _completed(partly, run.watch)
    return Section(
        title="Latency: from a visible status to the message",
        text=TEXT,
        head=["hop", "p50, ms", "p99, ms", "share of the median"],
        rows=_rows([passage.hops() for passage in passages]),
    )


def _shop(clock: VirtualClock) -> Shop:
    products = [{"id": f"p{number}", "name": f"Lamp {number}", "inventory": 1} for number in range(TRANSITIONS)]
    shop = Shop(CONNECTION, access_token="token", clock=clock, products=products)
    for number in range(TRANSITIONS):
        lines = [{"product_id": f"p{number}", "product_sku": f"LAMP-{number}", "quantity": 1}]
        shop.place({"id": f"o{number}", "order_number": f"#{number}", "status": "open", "line_items": lines})
    shop.sync()
    return shop


@dataclass(frozen=True)
class _Partly:
    """What is known of a passage before the logs are read."""

    alert_id: str
    visible: float
    polled: float
    enriched: float
    delivered: float


class _Inbox:
    """A queue that gets every alert."""

    def __init__(self, watch: Watch) -> None:
        self._sqs = watch.cloud.client("sqs")
        self._url = watch.cloud.subscribe_queue(watch.outputs.alert_topic_arn)

    def receive(self) -> tuple[dict[str, Any], float]:
        """The one alert that comes, and when it came into the queue."""
        deadline = time.monotonic() + WITHIN
        while not (messages := self._receive()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no alert within {WITHIN:.0f} s")
        [message] = messages
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return json.loads(message["Body"]), int(message["Attributes"]["SentTimestamp"]) * MILLISECOND

    def _receive(self) -> list[Any]:
        options: Any = {"MessageSystemAttributeNames": ["SentTimestamp"], "WaitTimeSeconds": 1}
        return list(self._sqs.receive_message(QueueUrl=self._url, **options).get("Messages", []))


@dataclass(frozen=True)
class _Run:
    """A deployed orderwatch and all that happens around it."""

    watch: Watch
    shop: Shop
    clock: VirtualClock
    arrivals: Arrivals
    inbox: _Inbox

    def passed(self, order_id: str) -> _Partly:
        """Let an order become an exception and wait for its message."""
        self.clock.advance(TICK)
        self.shop.move(order_id, "exception")
        self.arrivals.first.clear()
        self.shop.sync()
        self.watch.poll_now()
        alert, delivered = self.inbox.receive()
        if alert["order"]["id"] != order_id or alert["enrichment"]["missing"]:
            raise RuntimeError(f"expected an alert of {order_id} with its product, got {alert}")
        since_visible = time.monotonic() - self.shop.visible_changes[-1].visible_monotonic
        return _Partly(
            alert_id=alert["alert_id"],
            visible=time.time() - since_visible,
            polled=self.arrivals.first[f"/connections/{CONNECTION}"],
            enriched=self.arrivals.first["/cart/products"],
            delivered=delivered,
        )


def _apart(run: _Run, order_id: str) -> _Partly:
    begun = time.monotonic()
    passed = run.passed(order_id)
    time.sleep(max(begun + APART - time.monotonic(), 0))
    return passed


@contextmanager
def _running(say: Say) -> Iterator[_Run]:
    clock = VirtualClock(datetime(2026, 1, 5, 12, tzinfo=UTC))
    shop, arrivals = _shop(clock), Arrivals()
    trackstar = Trackstar(API_KEY, [shop], clock, rate_limit=1_000_000)
    trackstar.intercept = arrivals.note

    def step(what: str) -> nullcontext[None]:
        say(what)
        return nullcontext()

    shops = [WatchedShop(shop.connection_id, SecretStr(shop.access_token))]
    with serve(trackstar) as server:
        parameters = {"TrackstarBaseUrl": server.url, "PollSchedule": NEVER}
        with watching(shops, api_key=SecretStr(API_KEY), parameters=parameters, step=step) as watch:
            yield _Run(watch, shop, clock, arrivals, _Inbox(watch))


def _completed(partly: Sequence[_Partly], watch: Watch) -> list[Passage]:
    """Add the moments from the logs; a function's lines appear shortly after it ended."""
    alert_ids = {each.alert_id for each in partly}
    deadline = time.monotonic() + WITHIN
    while not alert_ids <= (written := _written(watch)).keys():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the log of poll_orders is not complete within {WITHIN:.0f} s")
        time.sleep(0.1)
    asked = {line["poll_id"]: _at(line) for line in _lines(watch, "dispatch_polls", "poll requested")}
    return [
        Passage(
            visible=each.visible,
            asked_for=asked[written[each.alert_id]["poll_id"]],
            polled=each.polled,
            written=_at(written[each.alert_id]),
            enriched=each.enriched,
            delivered=each.delivered,
        )
        for each in partly
    ]


def _written(watch: Watch) -> dict[str, Mapping[str, Any]]:
    lines = _lines(watch, "poll_orders", "alerts written")
    return {alert_id: line for line in lines for alert_id in line["alert_ids"]}


def _lines(watch: Watch, function: str, message: str) -> list[Mapping[str, Any]]:
    log = watch.cloud.logs(getattr(watch.outputs, f"{function}_function_name"), lines=1_000_000)
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("message") == message]


def _at(line: Mapping[str, Any]) -> float:
    return datetime.strptime(line["timestamp"], "%Y-%m-%d %H:%M:%S,%f%z").timestamp()


def _rows(passages: Sequence[Sequence[float]]) -> list[list[str]]:
    totals = [sum(hops) for hops in passages]
    columns = {"all of it": totals, **dict(zip(HOPS, zip(*passages, strict=True), strict=True))}
    whole = statistics.median(totals)
    return [
        [name, f"{_ms(statistics.median(hop)):.1f}", f"{_ms(_p99(hop)):.1f}", f"{statistics.median(hop) / whole:.0%}"]
        for name, hop in columns.items()
    ]


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]


def _ms(seconds: float) -> float:
    return seconds / MILLISECOND
