"""Fixture of polling tests: simulated shops, tables in memory, the vendor's clock and ours."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, Self

from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import Recipients
from orderwatch.polling.metrics import PollMetrics
from orderwatch.reading.policy import Policy
from orderwatch.records import ConnectionState, StoredOrder
from orderwatch.trackstar.client import ConnectionClient
from orderwatch_local.simulator import Request, Response, Shop, VirtualClock
from orderwatch_local.simulator import Trackstar as SimulatedTrackstar
from orderwatch_local.simulator.script import API_KEY
from tests.support.clocks import NOON, FakeClock
from tests.support.cloud import Tables
from tests.support.polls import WATCHED, client_of, poll

MINUTE = timedelta(minutes=1)
TICK = timedelta(minutes=5)


class World:
    """Shops, the vendor and our tables; time passes only on demand.

    Args:
        connection_ids: One shop each.
        policy: What polls watch, unless they are given another policy.
        products: The catalogue of each shop.
        options: For the simulated vendor.
    """

    def __init__(
        self,
        *connection_ids: str,
        policy: Policy = WATCHED,
        products: Collection[dict[str, Any]] = (),
        **options: Any,
    ) -> None:
        self.policy = policy
        self.vendor_clock, self.our_clock = VirtualClock(NOON), FakeClock(NOON)
        clock.use(self.our_clock)
        self.shops = {
            name: Shop(name, access_token=f"token-of-{name}", clock=self.vendor_clock, products=products)
            for name in connection_ids or ("conn_a",)
        }
        settings: dict[str, Any] = {"rate_limit": 1_000_000, **options}
        self.trackstar = SimulatedTrackstar(API_KEY, self.shops.values(), self.vendor_clock, **settings)
        self.tables = Tables.in_memory()
        self._known_ids: set[str] = set()

    @property
    def shop(self) -> Shop:
        """The first shop, for the tests that need no other."""
        return next(iter(self.shops.values()))

    def pass_time(self, by: timedelta = TICK) -> None:
        """Both clocks move on."""
        self.vendor_clock.advance(by)
        self.our_clock.advance(by)

    def place(self, *order_ids: str, status: str = "open", shop: Shop | None = None, **fields: object) -> None:
        """New orders, visible at once."""
        for order_id in order_ids:
            order = {"id": order_id, "order_number": f"#{order_id}", "status": status, "line_items": [], **fields}
            (shop or self.shop).place(order)
        (shop or self.shop).sync()

    def move(self, order_id: str, status: str, *, shop: Shop | None = None, raw_status: str | None = None) -> None:
        """An order takes another status, visible at once."""
        (shop or self.shop).move(order_id, status, raw_status)
        (shop or self.shop).sync()

    def started(self, *order_ids: str) -> Self:
        """Place these orders and poll: the baseline, whose alerts are dropped."""
        if order_ids:
            self.place(*order_ids)
        self.poll()
        self.new_alerts()
        return self

    def client(self, shop: Shop | None = None, **options: Any) -> ConnectionClient:
        """Our client for a shop."""
        return client_of(self.trackstar, shop or self.shop, **options)

    def poll(
        self,
        shop: Shop | None = None,
        *,
        policy: Policy | None = None,
        has_time: Callable[[], bool] = lambda: True,
        requested_at: datetime | None = None,
        restart: bool = False,
        **client: Any,
    ) -> PollMetrics:
        """One poll of a shop, by our clock."""
        shop = shop or self.shop
        return poll(
            self.client(shop, **client),
            self.tables.store,
            shop.connection_id,
            policy=policy or self.policy,
            has_time=has_time,
            requested_at=requested_at,
            restart=restart,
        )

    def next_poll(
        self, shop: Shop | None = None, *, after: timedelta = TICK, sync: bool = False, **options: Any
    ) -> list[Alert]:
        """Let time pass and poll, after a sync if asked for; the alerts that the poll wrote."""
        self.pass_time(after)
        if sync:
            (shop or self.shop).sync()
        self.poll(shop, **options)
        return self.new_alerts()

    def new_alerts(self) -> list[Alert]:
        """The alerts written since the last call."""
        fresh = [alert for alert in self.tables.all_alerts() if alert.alert_id not in self._known_ids]
        self._known_ids.update(alert.alert_id for alert in fresh)
        return fresh

    def state(self, shop: Shop | None = None) -> ConnectionState:
        """The connection's row."""
        return self.tables.store.load((shop or self.shop).connection_id)

    def stored(self, order_id: str, shop: Shop | None = None) -> StoredOrder:
        """The order's row."""
        return self.tables.store.stored_orders((shop or self.shop).connection_id, [order_id])[order_id]

    def on_orders(self, answer: Callable[[Request], Response | None]) -> None:
        """Answer every list of orders from now on by this function; None: as the shop does."""
        self.trackstar.intercept = lambda request: answer(request) if request.path == "/cart/orders" else None

    def queries(self, path: str = "/cart/orders") -> list[dict[str, str]]:
        """The parameters of every request to the path, oldest first."""
        return [dict(exchange.query) for exchange in self.trackstar.requests if exchange.path == path]

    def before_page(self, number: int, happens: Callable[[], object]) -> None:
        """Call a function just before the response to the n-th list of orders from now on (from 1)."""
        pages = iter(range(1, 1_000_000))

        def answer(_: Request) -> None:
            if next(pages) == number:
                happens()

        self.on_orders(answer)


def kinds(alerts: Collection[Alert]) -> list[str]:
    """The kinds of the alerts in their order, without the copies for operators."""
    everybodys = {alert.kind for alert in alerts if alert.recipients is Recipients.EVERYBODY}
    return [alert.kind for alert in alerts if alert.recipients is Recipients.EVERYBODY or alert.kind not in everybodys]


def order_kinds(alerts: Collection[Alert]) -> list[tuple[str, str]]:
    """The order and the kind of each alert about an order."""
    return [(alert.order.id, alert.kind) for alert in alerts if alert.order]
