"""The merchant's store, Trackstar's copy of it, and the record of what could be seen."""

from datetime import timedelta

import pytest

from orderwatch_local.simulator import (
    Record,
    Resource,
    Shop,
    TrackstarDates,
    VirtualClock,
    endpoint_error,
    invalid_credentials,
    missing_permission,
    stamp,
)
from orderwatch_local.simulator.filters import read_list_query
from tests.support.clocks import NOON

HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOON)


@pytest.fixture
def shop(clock: VirtualClock) -> Shop:
    """A shop with one product and one order, which is not copied yet."""
    shop = Shop("conn_a", access_token="t", clock=clock, products=[{"id": "p1", "inventory": 5}])
    shop.place(order())
    return shop


def order(order_id: str = "o1", status: str = "open") -> Record:
    return {"id": order_id, "order_number": f"#{order_id}", "status": status, "raw_status": None, "line_items": []}


def copy_of(shop: Shop, record_id: str = "o1") -> Record:
    record = shop.find(Resource.ORDERS if record_id.startswith("o") else Resource.PRODUCTS, record_id)
    assert record is not None
    return record


def steps(shop: Shop) -> list[tuple[str | None, str]]:
    return [(seen.previous_status, seen.status) for seen in shop.visible_changes]


def test_a_change_is_visible_after_the_sync_with_its_dates(shop: Shop, clock: VirtualClock) -> None:
    assert shop.find(Resource.ORDERS, "o1") is None
    assert shop.visible_changes == []
    shop.sync()
    clock.advance(HOUR)
    shop.move("o1", "exception", "fraud_hold")
    clock.advance(HOUR)
    shop.sync()
    record = copy_of(shop)
    assert (record["status"], record["raw_status"]) == ("exception", "fraud_hold")
    assert (record["created_date"], record["trackstar_created_date"]) == (stamp(NOON), stamp(NOON))
    assert (record["updated_date"], record["trackstar_updated_date"]) == (stamp(NOON + HOUR), stamp(NOON + 2 * HOUR))
    assert shop.visible_changes[0].visible_at == NOON
    seen = shop.visible_changes[1]
    assert (seen.connection_id, seen.order_number, seen.previous_status) == ("conn_a", "#o1", "open")
    assert (seen.version, seen.visible_at) == (stamp(NOON + 2 * HOUR), NOON + 2 * HOUR)


def test_a_sync_copies_only_what_changed(shop: Shop, clock: VirtualClock) -> None:
    assert shop.sync() == 2
    clock.advance(HOUR)
    assert shop.sync() == 0
    assert copy_of(shop)["trackstar_updated_date"] == stamp(NOON)
    shop.restock("p1", {"wh-a": 2, "wh-b": 1})
    assert copy_of(shop, "p1")["inventory"] == 5
    assert shop.sync() == 1
    assert copy_of(shop, "p1")["inventory"] == 3


def test_only_statuses_that_a_sync_finds_are_visible_changes(shop: Shop) -> None:
    shop.sync()
    shop.move("o1", "exception")
    shop.move("o1", "processing")
    shop.sync()
    shop.edit("o1", {"tags": ["vip"]})
    shop.sync()
    assert copy_of(shop)["tags"] == ["vip"]
    assert steps(shop) == [(None, "open"), ("open", "processing")]


def test_the_same_order_cannot_be_placed_twice(shop: Shop) -> None:
    with pytest.raises(ValueError, match="o1"):
        shop.place(order())


def test_the_historical_sync_makes_all_orders_visible(clock: VirtualClock) -> None:
    shop = Shop("conn_a", access_token="t", clock=clock, historical_sync_completed=False)
    shop.place(order())
    shop.sync()
    assert shop.find(Resource.ORDERS, "o1") is None
    assert shop.visible_changes == []
    shop.complete_historical_sync()
    assert copy_of(shop)["status"] == "open"
    assert steps(shop) == [(None, "open")]


@pytest.mark.parametrize(
    ("error", "copied"),
    [
        (invalid_credentials(), 0),
        (missing_permission("products"), 1),
        (endpoint_error("get_orders", preventing_sync=True, first_seen=NOON, last_seen=NOON), 0),
        (endpoint_error("/cart/Orders", preventing_sync=True, first_seen=NOON, last_seen=NOON), 0),
        (endpoint_error("getProducts", preventing_sync=True, first_seen=NOON, last_seen=NOON), 1),
        (endpoint_error("get_orders", preventing_sync=False, first_seen=NOON, last_seen=NOON), 1),
    ],
)
def test_an_error_can_block_the_syncs(shop: Shop, clock: VirtualClock, error: Record, copied: int) -> None:
    shop.sync()
    shop.edit("o1", {"tags": ["vip"]})
    shop.errors = [error]
    clock.advance(HOUR)
    assert shop.sync() == copied
    assert shop.connection()["sync_schedules"][0]["last_crawl_end"] == stamp(NOON + copied * HOUR)
    shop.errors = []
    assert shop.sync() == 1 - copied


def test_each_resource_has_a_schedule_of_its_own(shop: Shop, clock: VirtualClock) -> None:
    shop.sync_frequencies[Resource.PRODUCTS] = 7200
    shop.sync([Resource.PRODUCTS])
    clock.advance(HOUR)
    shop.sync([Resource.ORDERS], took=60)
    orders, products = shop.connection()["sync_schedules"][:2]
    fields = ("function_name", "sync_frequency", "last_crawl_start", "last_crawl_end")
    minute = timedelta(minutes=1)
    assert [orders[name] for name in fields] == ["get_orders", 3600, stamp(NOON + HOUR - minute), stamp(NOON + HOUR)]
    assert [products[name] for name in fields] == ["get_products", 7200, stamp(NOON), stamp(NOON)]


def test_a_damaged_record_is_served_until_it_is_healed(shop: Shop) -> None:
    shop.sync()
    shop.garble("o1", {"line_items": None, "status": "teleported"}, missing=["order_number"])
    shop.sync()
    record = copy_of(shop)
    assert (record["line_items"], record["status"], "order_number" in record) == (None, "teleported", False)
    shop.heal("o1")
    shop.sync()
    assert copy_of(shop)["order_number"] == "#o1"
    assert steps(shop) == [(None, "open"), ("open", "teleported"), ("teleported", "open")]


def test_a_connection_can_spell_statuses_its_own_way(shop: Shop) -> None:
    shop.quirks.spell_status = str.upper
    shop.sync()
    query = read_list_query((("status", "open"),), Resource.ORDERS.grammar)
    assert [copy_of(shop)["status"], *(each["status"] for each in shop.listed(Resource.ORDERS, query))] == ["OPEN"] * 2
    assert steps(shop) == [(None, "open")]


@pytest.mark.parametrize("garbling", [{"id": None}, {"id": ""}, {"status": None}, {"status": 7}])
def test_an_unreadable_record_is_no_visible_change(shop: Shop, garbling: Record) -> None:
    shop.garble("o1", garbling)
    shop.sync()
    assert shop.visible_changes == []
    shop.heal("o1")
    shop.sync()
    assert steps(shop) == [(None, "open")]


@pytest.mark.parametrize("dates", [TrackstarDates.NULL, TrackstarDates.ABSENT])
def test_a_connection_can_lack_trackstars_dates(shop: Shop, dates: TrackstarDates) -> None:
    shop.quirks.trackstar_dates = dates
    shop.sync()
    record = copy_of(shop)
    assert record.get("trackstar_updated_date") is None
    assert ("trackstar_updated_date" in record) is (dates is TrackstarDates.NULL)
    assert shop.visible_changes[0].version is None
