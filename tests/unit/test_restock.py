"""Rule 23: an order whose stock is back is alerted once, by a look after each sync of the products."""

from collections.abc import Collection
from copy import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import Severity
from orderwatch.aws.poll_store import PollStore
from orderwatch.polling import restock
from orderwatch.polling.detect import OrderWrite, Reason
from orderwatch.polling.metrics import Outcome
from orderwatch.reading.policy import Policy
from orderwatch.records import StoredOrder
from orderwatch.trackstar.orders import Version, VersionClock
from orderwatch_local.simulator import Response
from orderwatch_local.simulator.exchange import json_response
from orderwatch_local.simulator.mirror import Resource
from orderwatch_local.simulator.records import stamp
from tests.support.polls import WATCHED, poll
from tests.support.world import TICK, World, kinds, order_kinds

RESTOCKS = replace(WATCHED, restock_alerts=True)
PRODUCTS, ORDERS = [Resource.PRODUCTS], [Resource.ORDERS]
MINUTE = timedelta(minutes=1)


class Shelves(World):
    """A shop with one product, P, whose orders wait for it; the baseline is read."""

    def __init__(self, *order_ids: str, on_hand: int = 0) -> None:
        super().__init__(policy=RESTOCKS, products=[{"id": "P", "sku": "SKU-P", "inventory": on_hand}])
        self.shop.sync(PRODUCTS)
        for order_id in order_ids:
            self.order(order_id)
        self.started()

    def order(self, order_id: str, *, status: str = "backordered", **fields: object) -> None:
        """A new order of two units; only the orders are synced."""
        lines = [{"product_id": "P", "product_sku": "SKU-P", "quantity": 2}]
        self.shop.place({"id": order_id, "status": status, "line_items": lines, **fields})
        self.shop.sync(ORDERS)

    def look(self, on_hand: int | None = None, **options: Any) -> list[Alert]:
        """The alerts of a poll after a sync that shows this stock."""
        if on_hand is not None:
            self.shop.restock("P", {"main": on_hand})
        return self.next_poll(sync=True, **options)

    def answer(self, path: str, response: Response) -> None:
        """Answer each list of records by their ids with this response."""
        self.trackstar.intercept = lambda request: (
            response if request.path == path and "ids[in]" in dict(request.query) else None
        )

    @property
    def looks(self) -> int:
        """Requests for products up to now."""
        return len(self.queries("/cart/products"))

    @property
    def orders_read(self) -> list[str]:
        """The orders that were read by their ids up to now."""
        return [each for query in self.queries() for each in query.get("ids[in]", "").split(",") if each]

    def restocked_at(self, order_id: str) -> datetime | None:
        return self.stored(order_id).restocked_at

    def write_row(self, order_id: str, row: StoredOrder) -> None:
        """Another poll writes the row of an order."""
        write = OrderWrite(order_id, self.stored(order_id), row, alert=None, reason=Reason.STATE)
        action: Any = self.tables.orders.write_action("conn_a", write)
        self.tables.client.transact_write_items(TransactItems=[action])


def refused(status: int) -> Response:
    return json_response({"error": "no", "origin": "trackstar"}, status=status)


# Once for each backorder


def test_stock_that_is_back_is_alerted_once() -> None:
    shelves = Shelves("1")
    assert shelves.look(1) == []
    [alert] = shelves.look(2)
    assert (alert.kind, alert.severity, alert.connection_id) == ("order.restocked", Severity.WARNING, "conn_a")
    assert alert.order
    assert (alert.order.id, alert.order.status, alert.order.previous_status) == ("1", "backordered", None)
    assert [each.on_hand for each in alert.order.line_items] == [Decimal(2)], "the stock that was looked at"
    assert shelves.restocked_at("1") == shelves.vendor_clock.now()
    assert [shelves.look(on_hand) for on_hand in (9, 0, 9)] == [[], [], []]
    assert shelves.orders_read == ["1"]


def test_a_unit_covers_one_order_over_several_looks() -> None:
    shelves = Shelves("1", "2")
    assert order_kinds(shelves.look(3)) == [("1", "order.restocked")]
    shelves.order("0", latest_ship_date="2026-01-06T12:00:00Z")
    assert order_kinds(shelves.look(3)) == [("0", "order.backordered")], "order 1 keeps its units"
    assert order_kinds(shelves.look(4)) == [("0", "order.restocked")]
    shelves.move("1", "fulfilled")
    assert order_kinds(shelves.look(4)) == [("2", "order.restocked")]


def test_an_order_that_comes_back_is_alerted_again() -> None:
    shelves = Shelves()
    shelves.order("1")
    assert kinds(shelves.look(0)) == ["order.backordered"]
    [first] = shelves.look(2)
    shelves.move("1", "processing")
    assert kinds(shelves.look()) == ["order.recovered"]
    assert shelves.restocked_at("1") is None
    shelves.move("1", "backordered")
    back, again = shelves.look()
    assert [back.kind, again.kind] == ["order.backordered", first.kind]
    assert again.alert_id != first.alert_id


def test_the_same_backorder_always_has_the_same_id() -> None:
    shelves = Shelves("1")
    before = shelves.stored("1")
    [alert] = shelves.look(2)
    shelves.write_row("1", before)
    shelves.shop.edit("1", {"raw_status": "still"})
    assert shelves.look() == [], "the alert has a row already"
    assert shelves.restocked_at("1")
    assert alert.alert_id in shelves.tables.alert_ids()


def test_more_orders_than_one_request_takes() -> None:
    shelves = Shelves(*(f"{number:03}" for number in range(101)))
    shelves.trackstar.requests.clear()
    alerts = shelves.look(202)
    assert {each.kind for each in alerts} == {"order.restocked"}
    assert len(alerts) == 101
    assert (shelves.looks, len([each for each in shelves.queries() if "ids[in]" in each])) == (1, 2)


# The baseline, on and off


def test_the_first_look_is_a_baseline() -> None:
    shelves = Shelves("1", "2", on_hand=2)
    assert shelves.state().syncs.products_end
    assert (shelves.restocked_at("1") is None, shelves.restocked_at("2")) == (False, None)
    assert order_kinds(shelves.look(4)) == [("2", "order.restocked")]


def test_the_baseline_records_orders_that_are_newer_than_the_products() -> None:
    shelves = Shelves(on_hand=2)
    assert shelves.next_poll(policy=WATCHED) == []
    shelves.order("1")
    assert kinds(shelves.next_poll()) == ["order.backordered"]
    assert shelves.restocked_at("1")
    assert shelves.look() == []


@pytest.mark.parametrize("policy", [WATCHED, replace(RESTOCKS, statuses=frozenset({"exception"}))])
def test_turned_on_again_it_begins_with_a_baseline(policy: Policy) -> None:
    shelves = Shelves("1", "2")
    assert shelves.look(2, policy=policy) == []
    assert shelves.state().syncs.products_end is None
    assert shelves.look(2) == []
    assert order_kinds(shelves.look(4)) == [("2", "order.restocked")]


# Never


def test_never_from_products_that_are_older_than_the_order() -> None:
    shelves = Shelves("1", "2")
    shelves.shop.restock("P", {"main": 4})
    shelves.pass_time()
    shelves.shop.sync(PRODUCTS)
    shelves.pass_time(MINUTE)
    shelves.shop.edit("1", {"raw_status": "changed"})
    shelves.shop.sync(ORDERS)
    assert order_kinds(shelves.next_poll()) == [("2", "order.restocked")]
    assert shelves.orders_read == ["2"]
    assert order_kinds(shelves.look()) == [("1", "order.restocked")]


def test_an_order_that_is_newer_than_the_products_keeps_its_place() -> None:
    shelves = Shelves("1", "2")
    shelves.shop.restock("P", {"main": 2})
    shelves.pass_time()
    shelves.shop.sync(PRODUCTS)
    shelves.pass_time(MINUTE)
    shelves.shop.edit("1", {"raw_status": "changed"})
    shelves.shop.sync(ORDERS)
    assert shelves.next_poll() == []
    assert order_kinds(shelves.look()) == [("1", "order.restocked")]


@pytest.mark.parametrize(
    "changes",
    [
        {"raw_status": "newer than the products"},
        {"line_items": [{"product_id": "P", "product_sku": "SKU-P", "quantity": 3}]},
        {"status": "processing"},
    ],
    ids=["version", "lines", "status"],
)
def test_never_for_an_order_that_changed_since_the_page(changes: dict[str, object]) -> None:
    shelves = Shelves("1")

    def edited() -> None:
        shelves.pass_time(MINUTE)
        shelves.shop.edit("1", changes)
        shelves.shop.sync(ORDERS)

    shelves.before_page(2, edited)
    shelves.look(2)
    assert (len(shelves.queries()[-1]["ids[in]"]), shelves.restocked_at("1")) == (1, None)
    assert "order.restocked" not in kinds(shelves.tables.all_alerts())


def test_never_for_an_order_that_needs_more_by_a_version_of_the_same_date() -> None:
    shelves = Shelves("1")
    shelves.shop.restock("P", {"main": 2})
    shelves.pass_time()
    more = shelves.shop.order("1")["line_items"] * 2
    listed = {
        **shelves.shop.order("1"),
        "line_items": more,
        "trackstar_updated_date": stamp(shelves.stored("1").version.at),
    }
    shelves.answer("/cart/orders", json_response({"data": [listed], "next_token": None, "total_count": 1}))
    assert shelves.look() == []
    assert shelves.restocked_at("1") is None


@pytest.mark.parametrize("answer", [400, 403, 404, 501])
def test_refused_products_are_asked_for_again_after_the_next_sync(answer: int) -> None:
    shelves = Shelves("1")
    before = shelves.looks
    shelves.answer("/cart/products", refused(answer))
    assert shelves.look(2) == shelves.next_poll() == []
    asked = shelves.looks - before
    shelves.trackstar.intercept = None
    assert shelves.next_poll() == []
    assert shelves.looks == before + asked
    assert kinds(shelves.look()) == ["order.restocked"]


def test_a_shop_without_products_is_never_looked_at() -> None:
    shelves = Shelves("1")
    before = shelves.looks
    shelves.shop.quirks.lacks = PRODUCTS
    assert shelves.look(2) == []
    assert shelves.looks == before


# News


def test_without_a_sync_of_the_products_nothing_is_asked() -> None:
    shelves = Shelves("1")
    before = shelves.looks
    shelves.shop.restock("P", {"main": 9})
    shelves.shop.sync(ORDERS)
    assert shelves.next_poll() == []
    assert shelves.looks == before


def test_without_backordered_orders_no_products_are_asked_for() -> None:
    shelves = Shelves()
    shelves.order("1", status="exception")
    shelves.look(9)
    assert (shelves.looks, shelves.state().syncs.products_end) == (0, shelves.vendor_clock.now())


def test_a_sync_that_is_dated_ahead_is_no_proof() -> None:
    shelves = Shelves("1")
    shelves.shop.quirks.sync_time_error = timedelta(days=1).total_seconds()
    assert kinds(shelves.look(2)) == ["order.restocked"]
    assert shelves.restocked_at("1") == shelves.vendor_clock.now()
    shelves.shop.quirks.sync_time_error = 0
    shelves.move("1", "processing")
    shelves.order("2")
    assert kinds(shelves.look()) == ["order.backordered", "order.restocked"], "a date that goes back has moved too"


# What does not end a look


def test_products_that_do_not_answer_are_asked_for_by_the_next_poll() -> None:
    shelves = Shelves("1")
    shelves.answer("/cart/products", refused(503))
    shelves.shop.restock("P", {"main": 2})
    shelves.pass_time()
    shelves.shop.sync()
    assert shelves.poll().outcome is Outcome.FINISHED
    assert shelves.new_alerts() == []
    shelves.trackstar.intercept = None
    assert kinds(shelves.next_poll()) == ["order.restocked"]


def test_orders_that_do_not_answer_are_read_by_the_next_poll() -> None:
    shelves = Shelves("1")
    shelves.answer("/cart/orders", refused(503))
    assert shelves.look(2) == []
    shelves.trackstar.intercept = None
    assert kinds(shelves.next_poll()) == ["order.restocked"]


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_a_poll_without_time_leaves_the_look_to_the_next(calls: int) -> None:
    shelves = Shelves("1")
    left = iter([True] * calls)
    assert shelves.look(2, has_time=lambda: next(left, False)) == []
    assert kinds(shelves.next_poll()) == ["order.restocked"]


def test_a_poll_that_is_killed_between_two_writes_repeats_no_alert() -> None:
    shelves = Shelves(*(f"{number:03}" for number in range(101)))
    left = iter([True] * 4)
    first = shelves.look(202, has_time=lambda: next(left, False))
    rest = shelves.next_poll()
    assert (len(first), len(rest), len({each.alert_id for each in (*first, *rest)})) == (100, 1, 101)


def test_a_look_asks_for_a_bounded_number_of_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restock, "MAX_PRODUCTS", 0)
    shelves = Shelves("1")
    assert shelves.look(2) == []
    assert shelves.looks == 0


# Other polls, other copies


def test_an_older_copy_in_the_row_does_not_hide_the_order() -> None:
    shelves = Shelves("1")
    shelves.write_row("1", shelves.stored("1").with_older_copy("open", shelves.our_clock.now()))
    assert kinds(shelves.look(2)) == ["order.restocked"]
    assert shelves.stored("1").older_copy is None


def test_an_older_copy_is_not_alerted() -> None:
    shelves = Shelves("1")
    older = {**shelves.shop.order("1"), "trackstar_updated_date": "2026-01-05T11:00:00Z"}
    shelves.answer("/cart/orders", json_response({"data": [older], "next_token": None, "total_count": 1}))
    assert shelves.look(2) == []
    assert shelves.restocked_at("1") is None


def test_a_deleted_order_is_not_alerted() -> None:
    shelves = Shelves("1")
    shelves.shop.delete("1")
    assert shelves.look(2) == []


def test_a_deleted_order_leaves_its_units_to_the_next_one() -> None:
    shelves = Shelves("1", "2")
    shelves.shop.delete("1")
    assert shelves.look(2) == []
    assert not shelves.stored("1").needs_attention
    assert order_kinds(shelves.next_poll()) == [("2", "order.restocked")], "without another sync of the products"
    assert shelves.look(4) == []
    assert shelves.orders_read == ["1", "2"]


class _Tables(PollStore):
    def __init__(self, shelves: Shelves) -> None:
        tables = shelves.tables
        super().__init__(tables.client, orders=tables.orders, connections=tables.connections, alerts=tables.alerts)
        self._shelves = shelves


class StaleIndex(_Tables):
    """The tables; the index still shows the rows as they are now."""

    def __init__(self, shelves: Shelves) -> None:
        super().__init__(shelves)
        self._rows = super().needing_attention("conn_a")

    def needing_attention(self, connection_id: str) -> dict[str, StoredOrder]:
        return self._rows


def test_an_order_that_left_is_not_alerted_by_a_stale_index() -> None:
    shelves = Shelves("1")
    store = StaleIndex(shelves)
    shelves.shop.restock("P", {"main": 2})
    shelves.pass_time()
    shelves.move("1", "processing")
    poll(shelves.client(), store, "conn_a", policy=RESTOCKS)
    assert (shelves.orders_read, shelves.new_alerts(), shelves.restocked_at("1")) == (["1"], [], None)


def test_an_order_that_was_alerted_is_not_alerted_by_a_stale_index() -> None:
    shelves = Shelves("1")
    store = StaleIndex(shelves)
    shelves.look(2)
    first = shelves.restocked_at("1")
    shelves.pass_time()
    shelves.shop.sync()
    poll(shelves.client(), store, "conn_a", policy=RESTOCKS)
    assert (shelves.orders_read, shelves.new_alerts(), shelves.restocked_at("1")) == (["1", "1"], [], first)


class Overtaken(_Tables):
    """The tables; another poll ships order 1 after its row was read for the look."""

    def __init__(self, shelves: Shelves) -> None:
        super().__init__(shelves)
        self._reads = iter(("by the page", "by the look"))

    def stored_orders(self, connection_id: str, order_ids: Collection[str]) -> dict[str, StoredOrder]:
        rows = super().stored_orders(connection_id, order_ids)
        if next(self._reads, None) == "by the look":
            newer = Version(rows["1"].version.at + TICK, VersionClock.TRACKSTAR)
            self._shelves.write_row("1", replace(rows["1"], status="fulfilled", version=newer, changes=2))
        return rows


def test_an_order_that_another_poll_wrote_is_decided_again() -> None:
    shelves = Shelves("1", "2")
    shelves.shop.restock("P", {"main": 4})
    shelves.pass_time()
    shelves.shop.sync()
    assert poll(shelves.client(), Overtaken(shelves), "conn_a", policy=RESTOCKS).conflicts == 1
    assert order_kinds(shelves.new_alerts()) == [("2", "order.restocked")]
    assert shelves.stored("1").status == "fulfilled"
