"""The merchant's store, Trackstar's copy of it, and the record of what could be seen."""

from datetime import UTC, datetime, timedelta

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

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOON)


@pytest.fixture
def shop(clock: VirtualClock) -> Shop:
    return Shop("conn_a", access_token="t", clock=clock, products=[{"id": "p1", "inventory": 5}])


def order(order_id: str = "o1", status: str = "open") -> Record:
    return {"id": order_id, "order_number": f"#{order_id}", "status": status, "raw_status": None, "line_items": []}


def copy_of(shop: Shop, order_id: str = "o1") -> Record:
    record = shop.find(Resource.ORDERS, order_id)
    assert record is not None
    return record


def steps(shop: Shop) -> list[tuple[str, str | None, str]]:
    return [(seen.order_id, seen.previous_status, seen.status) for seen in shop.visible_changes]


def test_nothing_is_visible_before_a_sync(shop: Shop) -> None:
    shop.place(order())
    assert shop.find(Resource.ORDERS, "o1") is None
    assert shop.visible_changes == []
    shop.sync()
    assert copy_of(shop)["status"] == "open"


def test_updated_date_is_earlier_than_trackstar_updated_date(shop: Shop, clock: VirtualClock) -> None:
    shop.place(order())
    clock.advance(HOUR)
    shop.sync()
    record = copy_of(shop)
    assert (record["created_date"], record["updated_date"]) == (stamp(NOON), stamp(NOON))
    assert (record["trackstar_created_date"], record["trackstar_updated_date"]) == (stamp(NOON + HOUR),) * 2


def test_a_move_changes_only_the_updated_dates(shop: Shop, clock: VirtualClock) -> None:
    shop.place(order())
    shop.sync()
    clock.advance(HOUR)
    shop.move("o1", "exception", "fraud_hold")
    clock.advance(HOUR)
    shop.sync()
    record = copy_of(shop)
    assert (record["status"], record["raw_status"]) == ("exception", "fraud_hold")
    assert (record["created_date"], record["updated_date"]) == (stamp(NOON), stamp(NOON + HOUR))
    assert record["trackstar_created_date"] == stamp(NOON)
    assert record["trackstar_updated_date"] == stamp(NOON + 2 * HOUR)


def test_a_sync_does_not_touch_unchanged_records(shop: Shop, clock: VirtualClock) -> None:
    shop.place(order())
    shop.sync()
    clock.advance(HOUR)
    assert shop.sync() == 0
    assert copy_of(shop)["trackstar_updated_date"] == stamp(NOON)


def test_a_status_between_two_syncs_is_not_visible(shop: Shop) -> None:
    shop.place(order())
    shop.sync()
    shop.move("o1", "exception")
    shop.move("o1", "processing")
    shop.sync()
    assert steps(shop) == [("o1", None, "open"), ("o1", "open", "processing")]


def test_an_edit_without_a_status_is_no_visible_change(shop: Shop) -> None:
    shop.place(order())
    shop.sync()
    shop.edit("o1", {"tags": ["vip"]})
    shop.sync()
    assert copy_of(shop)["tags"] == ["vip"]
    assert len(shop.visible_changes) == 1


def test_a_visible_change_has_number_version_and_time(shop: Shop, clock: VirtualClock) -> None:
    shop.place(order(status="backordered"))
    clock.advance(HOUR)
    shop.sync()
    (seen,) = shop.visible_changes
    assert (seen.connection_id, seen.order_number, seen.status) == ("conn_a", "#o1", "backordered")
    assert (seen.version, seen.visible_at) == (stamp(NOON + HOUR), NOON + HOUR)


def test_a_restock_is_served_after_the_sync(shop: Shop) -> None:
    shop.sync()
    shop.restock("p1", {"wh-a": 2, "wh-b": 1})
    before = shop.find(Resource.PRODUCTS, "p1")
    shop.sync()
    after = shop.find(Resource.PRODUCTS, "p1")
    assert (before and before["inventory"], after and after["inventory"]) == (5, 3)


def test_the_same_order_cannot_be_placed_twice(shop: Shop) -> None:
    shop.place(order())
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
    assert steps(shop) == [("o1", None, "open")]


def test_invalid_credentials_block_all_syncs(shop: Shop, clock: VirtualClock) -> None:
    shop.sync()
    shop.place(order())
    shop.errors = [invalid_credentials()]
    clock.advance(HOUR)
    assert shop.sync() == 0
    assert shop.connection()["sync_schedules"][0]["last_crawl_end"] == stamp(NOON)
    shop.errors = []
    assert shop.sync() == 1


@pytest.mark.parametrize(("preventing", "copied"), [(True, 0), (False, 1)])
def test_an_endpoint_error_can_block_its_endpoint(shop: Shop, preventing: bool, copied: int) -> None:
    shop.sync()
    shop.place(order())
    shop.errors = [endpoint_error("get_orders", preventing_sync=preventing, first_seen=NOON, last_seen=NOON)]
    assert shop.sync() == copied


def test_a_missing_permission_blocks_nothing(shop: Shop) -> None:
    shop.sync()
    shop.place(order())
    shop.errors = [missing_permission("products")]
    assert shop.sync() == 1


def test_a_damaged_record_is_served_until_it_is_healed(shop: Shop) -> None:
    shop.place(order())
    shop.sync()
    shop.garble("o1", {"line_items": None, "status": "teleported"}, missing=["order_number"])
    shop.sync()
    record = copy_of(shop)
    assert (record["line_items"], record["status"], "order_number" in record) == (None, "teleported", False)
    shop.heal("o1")
    shop.sync()
    assert copy_of(shop)["order_number"] == "#o1"
    assert steps(shop) == [("o1", None, "open"), ("o1", "open", "teleported"), ("o1", "teleported", "open")]


@pytest.mark.parametrize("garbling", [{"id": None}, {"id": ""}, {"status": None}, {"status": 7}])
def test_a_damaged_record_is_no_visible_change(shop: Shop, garbling: Record) -> None:
    shop.place(order(status="exception"))
    shop.garble("o1", garbling)
    shop.sync()
    assert shop.visible_changes == []
    shop.heal("o1")
    shop.sync()
    assert steps(shop) == [("o1", None, "exception")]


@pytest.mark.parametrize(
    ("dates", "expected"), [(TrackstarDates.NULL, {"trackstar_updated_date": None}), (TrackstarDates.ABSENT, {})]
)
def test_a_connection_can_lack_trackstars_dates(shop: Shop, dates: TrackstarDates, expected: Record) -> None:
    shop.quirks.trackstar_dates = dates
    shop.place(order())
    shop.sync()
    record = copy_of(shop)
    assert {name: value for name, value in record.items() if name == "trackstar_updated_date"} == expected
    assert shop.visible_changes[0].version is None


def test_the_connection_has_the_documented_schedules(shop: Shop) -> None:
    shop.quirks.latest_sync_field = "latest_data"
    shop.sync()
    schedule = shop.connection()["sync_schedules"][0]
    assert schedule == {
        "function_name": "get_orders",
        "last_crawl_start": stamp(NOON),
        "last_crawl_end": stamp(NOON),
        "latest_data": stamp(NOON),
        "sync_frequency": 3600,
        "in_progress": False,
        "sync_status": "enabled",
    }
