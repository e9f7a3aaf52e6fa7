"""What is typed at `orderwatch shop`: each command, and what is said of a line that is none."""

from collections.abc import Sequence

import pytest

from orderwatch.polling.connection_alerts import DOCUMENTED
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


def test_an_order_that_fails_is_shown_by_trackstar_at_once_in_the_shops_own_words(
    commands: ShopCommands, alpine: Shop
) -> None:
    answer = commands.run('fail 1042 exception "Address verification failed"')
    order = served(alpine, "1042")
    assert (order["status"], order["raw_status"]) == ("exception", "Address verification failed")
    assert answer == "#1042 at Alpine Outdoor: confirmed -> exception. Trackstar shows it now."


def test_to_fail_is_to_be_in_exception_unless_told_otherwise(commands: ShopCommands, alpine: Shop) -> None:
    commands.run("fail #1037")
    commands.run("fail 1038 cancelled")
    assert [served(alpine, number)["status"] for number in ("1037", "1038")] == ["exception", "cancelled"]


@pytest.mark.parametrize("status", STATUSES)
def test_an_order_takes_every_status_that_trackstar_has(commands: ShopCommands, alpine: Shop, status: str) -> None:
    commands.run(f"set 1040 {status}")
    assert served(alpine, "1040")["status"] == status


def test_the_statuses_are_trackstars_nine() -> None:
    assert len(STATUSES) == 9
    assert set(STATUSES) == DOCUMENTED


def test_an_order_that_ships_is_fulfilled_and_has_a_parcel(commands: ShopCommands, alpine: Shop) -> None:
    commands.run("set 1041 processing")
    commands.run("ship 1041")
    order = served(alpine, "1041")
    assert order["status"] == "fulfilled"
    assert order["shipments"][0]["tracking_number"]


def test_a_status_that_an_order_has_already_is_said_to_bring_no_alert(commands: ShopCommands) -> None:
    commands.run("set 1039 backordered")
    assert (
        commands.run("set 1039 backordered")
        == "#1039 at Alpine Outdoor was backordered already: no alert comes of that."
    )


def test_each_shop_has_numbers_of_its_own_so_a_number_is_enough(commands: ShopCommands, trackstar: Trackstar) -> None:
    numbers = [order["order_number"] for shop in trackstar.shops for order in shop.orders()]
    assert len(set(numbers)) == len(numbers)
    assert "Sora Stationery" in commands.run("fail 7001")


def test_a_blocked_shop_changes_unseen_until_it_is_unblocked(commands: ShopCommands, alpine: Shop) -> None:
    commands.run("set 1036 open")
    commands.run("block")
    assert alpine.connection()["errors"][0]["error_type"] == "invalid_credentials"
    answer = commands.run("fail 1036")
    assert answer.endswith("Trackstar does not see it before `unblock conn_alpine`.")
    assert served(alpine, "1036")["status"] == "open"
    assert "blocked, nothing is read" in commands.run("sync now")
    commands.run("unblock")
    assert served(alpine, "1036")["status"] == "exception"
    assert alpine.connection()["errors"] == []


@pytest.mark.parametrize("name", ["conn_sora", "sora"])
def test_another_shop_is_named_by_its_connection_with_or_without_its_prefix(
    commands: ShopCommands, trackstar: Trackstar, name: str
) -> None:
    commands.run(f"block {name}")
    assert [bool(shop.errors) for shop in trackstar.shops] == [False, False, True]


def test_a_storm_moves_as_many_orders_of_one_shop_and_rather_those_on_their_way() -> None:
    trackstar = day_of_three_shops(1).begin()
    shop = trackstar.shops[0]
    before = {order["id"]: order["status"] for order in shop.orders()}
    assert ShopCommands(trackstar).run("storm 20 backordered").startswith("20 orders of Alpine Outdoor -> backordered.")
    moved = [key for key, old in before.items() if (now := shop.find(Resource.ORDERS, key)) and now["status"] != old]
    assert len(moved) == 20
    assert not {before[key] for key in moved} & {"fulfilled", "cancelled", "backordered"}


def test_some_orders_are_listed_with_their_status(commands: ShopCommands) -> None:
    lines = commands.run("orders").splitlines()
    assert len(lines) == 15
    assert all(line.split()[1] in STATUSES for line in lines)
    assert max(map(len, lines)) <= 60


@pytest.mark.parametrize("words", [["sora", "cancelled", "2"], ["2", "cancelled", "conn_sora"]])
def test_a_list_is_narrowed_by_shop_status_and_count_in_any_order(commands: ShopCommands, words: Sequence[str]) -> None:
    lines = commands.run(" ".join(["orders", *words])).splitlines()
    assert len(lines) == 2
    assert all("Sora Stationery" in line and "cancelled" in line for line in lines)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("fail 99999", "no shop has an order 99999"),
        ("fail", "type: fail ORDER [STATUS] [REASON]"),
        ("fail 1042 exception Address verification failed", "a REASON of several words in quotation marks"),
        ('fail 1042 "Address verification failed"', "no status Address verification failed"),
        ("set 1042 backorder", "no status backorder (did you mean backordered?); Trackstar's nine are open, "),
        ("set 1042", "type: set ORDER STATUS"),
        ("ship", "type: ship ORDER"),
        ("storm many backordered", "many is no count"),
        ("storm 0 backordered", "0 is no count"),
        ("storm -5 backordered", "-5 is no count"),
        ("storm ² backordered", "² is no count"),
        ("storm 9999 backordered", "9999 are too many: Alpine Outdoor has "),
        ("storm 5 lost", "no status lost"),
        ("storm 5 backordered conn_gone", "conn_gone is not a shop; the shops are conn_alpine, conn_lumiere, "),
        ("block conn_gone", "conn_gone is not a shop"),
        ("block conn_sora now", "type: block [SHOP]"),
        ("orders lost", "lost is not a shop, a status or a count"),
        ("sync tomorrow", "type: sync now"),
        ("fial 1042", "no command fial (did you mean fail?); help lists them"),
        ('fail 1042 exception "Address', "a quotation mark is not closed"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_command_says_what_is_wrong_and_changes_nothing(
    commands: ShopCommands, trackstar: Trackstar, line: str, says: str
) -> None:
    before = [shop.orders() for shop in trackstar.shops]
    with pytest.raises(CommandError) as caught:
        commands.run(line)
    assert says in str(caught.value)
    assert [shop.orders() for shop in trackstar.shops] == before


def test_help_names_every_command_and_fits_into_60_columns(commands: ShopCommands) -> None:
    assert commands.run("help") == HELP
    assert all(f"\n{name} " in f"\n{HELP}" for name in commands.names)
    assert max(map(len, HELP.splitlines())) <= 60


def test_an_empty_line_does_nothing_and_quit_is_the_way_out(commands: ShopCommands) -> None:
    assert commands.run("  \n") == ""
    with pytest.raises(QuitError):
        commands.run("quit")
