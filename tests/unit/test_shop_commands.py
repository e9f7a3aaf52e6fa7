"""The commands of `orderwatch shop`, and the errors of invalid ones."""

from collections.abc import Sequence

import pytest

from orderwatch.polling.connection_alerts import DOCUMENTED_STATUSES
from orderwatch_local.simulator import Record, Resource, Shop, Trackstar, day_of_three_shops
from orderwatch_local.simulator.commands import HELP, STATUSES, CommandError, QuitError, ShopCommands


@pytest.fixture(scope="module")
def trackstar() -> Trackstar:
    return day_of_three_shops(1).begin()


@pytest.fixture
def commands(trackstar: Trackstar) -> ShopCommands:
    for shop in trackstar.shops:
        shop.errors = []
    return ShopCommands(trackstar)


@pytest.fixture
def alpine(trackstar: Trackstar) -> Shop:
    return trackstar.shops[0]


def served(shop: Shop, number: str) -> Record:
    """The order as Trackstar shows it."""
    order = shop.find(Resource.ORDERS, f"o{int(number):06d}")
    assert order
    return order


def test_a_failed_order_is_visible_at_once_with_its_raw_status(commands: ShopCommands, alpine: Shop) -> None:
    answer = commands.run('fail 1042 exception "Address verification failed"')
    order = served(alpine, "1042")
    assert (order["status"], order["raw_status"]) == ("exception", "Address verification failed")
    assert answer == "#1042 at Alpine Outdoor: confirmed -> exception. Trackstar shows it now."


def test_fail_sets_exception_by_default(commands: ShopCommands, alpine: Shop) -> None:
    commands.run("fail #1037")
    commands.run("fail 1038 cancelled")
    assert [served(alpine, number)["status"] for number in ("1037", "1038")] == ["exception", "cancelled"]


@pytest.mark.parametrize("status", STATUSES)
def test_set_accepts_every_status_of_trackstar(commands: ShopCommands, alpine: Shop, status: str) -> None:
    commands.run(f"set 1040 {status}")
    assert served(alpine, "1040")["status"] == status


def test_the_statuses_are_the_nine_of_trackstar() -> None:
    assert len(STATUSES) == 9
    assert set(STATUSES) == DOCUMENTED_STATUSES


def test_a_shipped_order_is_fulfilled_and_has_a_shipment(commands: ShopCommands, alpine: Shop) -> None:
    commands.run("set 1041 processing")
    commands.run("ship 1041")
    order = served(alpine, "1041")
    assert order["status"] == "fulfilled"
    assert order["shipments"][0]["tracking_number"]


def test_setting_the_present_status_says_that_there_is_no_alert(commands: ShopCommands) -> None:
    commands.run("set 1039 backordered")
    assert (
        commands.run("set 1039 backordered") == "#1039 at Alpine Outdoor is already backordered, so there is no alert."
    )


def test_order_numbers_are_unique_across_shops(commands: ShopCommands, trackstar: Trackstar) -> None:
    numbers = [order["order_number"] for shop in trackstar.shops for order in shop.orders()]
    assert len(set(numbers)) == len(numbers)
    assert "Sora Stationery" in commands.run("fail 7001")


def test_changes_of_a_blocked_shop_are_invisible_until_unblock(commands: ShopCommands, alpine: Shop) -> None:
    commands.run("set 1036 open")
    commands.run("block")
    assert alpine.connection()["errors"][0]["error_type"] == "invalid_credentials"
    answer = commands.run("fail 1036")
    assert answer.endswith("Trackstar does not show it until `unblock conn_alpine`.")
    assert served(alpine, "1036")["status"] == "open"
    assert "blocked, nothing synced" in commands.run("sync now")
    commands.run("unblock")
    assert served(alpine, "1036")["status"] == "exception"
    assert alpine.connection()["errors"] == []


@pytest.mark.parametrize("name", ["conn_sora", "sora"])
def test_a_shop_is_selected_with_or_without_the_prefix(commands: ShopCommands, trackstar: Trackstar, name: str) -> None:
    commands.run(f"block {name}")
    assert [bool(shop.errors) for shop in trackstar.shops] == [False, False, True]


def test_a_storm_prefers_orders_that_are_not_final() -> None:
    trackstar = day_of_three_shops(1).begin()
    shop = trackstar.shops[0]
    before = {order["id"]: order["status"] for order in shop.orders()}
    assert ShopCommands(trackstar).run("storm 20 backordered").startswith("20 orders of Alpine Outdoor -> backordered.")
    moved = [key for key, old in before.items() if (now := shop.find(Resource.ORDERS, key)) and now["status"] != old]
    assert len(moved) == 20
    assert not {before[key] for key in moved} & {"fulfilled", "cancelled", "backordered"}


def test_orders_lists_orders_with_their_status(commands: ShopCommands) -> None:
    lines = commands.run("orders").splitlines()
    assert len(lines) == 15
    assert all(line.split()[1] in STATUSES for line in lines)
    assert max(map(len, lines)) <= 60


@pytest.mark.parametrize("words", [["sora", "cancelled", "2"], ["2", "cancelled", "conn_sora"]])
def test_orders_takes_shop_status_and_count_in_any_order(commands: ShopCommands, words: Sequence[str]) -> None:
    lines = commands.run(" ".join(["orders", *words])).splitlines()
    assert len(lines) == 2
    assert all("Sora Stationery" in line and "cancelled" in line for line in lines)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("fail 99999", "no shop has an order 99999"),
        ("fail", "usage: fail ORDER [STATUS] [REASON]"),
        ("fail 1042 exception Address verification failed", "put a REASON of several words in quotation marks"),
        ('fail 1042 "Address verification failed"', "unknown status Address verification failed"),
        ("set 1042 backorder", "unknown status backorder (did you mean backordered?); type one of open, "),
        ("set 1042", "usage: set ORDER STATUS"),
        ("ship", "usage: ship ORDER"),
        ("storm many backordered", "many is not a count"),
        ("storm 0 backordered", "0 is not a count"),
        ("storm -5 backordered", "-5 is not a count"),
        ("storm ² backordered", "² is not a count"),
        ("storm 9999 backordered", "9999 is too many: Alpine Outdoor has "),
        ("storm 5 lost", "unknown status lost"),
        ("storm 5 backordered conn_gone", "conn_gone is not a shop; the shops are conn_alpine, conn_lumiere, "),
        ("block conn_gone", "conn_gone is not a shop"),
        ("block conn_sora now", "usage: block [SHOP]"),
        ("orders lost", "lost is not a shop, a status or a count"),
        ("sync tomorrow", "usage: sync now"),
        ("fial 1042", "unknown command fial (did you mean fail?); `help` lists the commands"),
        ('fail 1042 exception "Address', "unclosed quotation mark"),
    ],
)  # fmt: skip
def test_an_invalid_command_is_explained_and_changes_nothing(
    commands: ShopCommands, trackstar: Trackstar, line: str, says: str
) -> None:
    before = [shop.orders() for shop in trackstar.shops]
    with pytest.raises(CommandError) as caught:
        commands.run(line)
    assert says in str(caught.value)
    assert [shop.orders() for shop in trackstar.shops] == before


def test_help_lists_every_command_within_60_columns(commands: ShopCommands) -> None:
    assert commands.run("help") == HELP
    assert all(f"\n{name} " in f"\n{HELP}" for name in commands.names)
    assert max(map(len, HELP.splitlines())) <= 60


def test_an_empty_line_does_nothing_and_quit_quits(commands: ShopCommands) -> None:
    assert commands.run("  \n") == ""
    with pytest.raises(QuitError):
        commands.run("quit")
