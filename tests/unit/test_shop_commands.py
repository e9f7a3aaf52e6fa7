"""`orderwatch shop`: its commands, the errors of invalid ones, and what it prints."""

import io
import sys

import pytest

from orderwatch_local.simulator import Record, Resource, Shop, Trackstar, day_of_three_shops
from orderwatch_local.simulator.commands import STATUSES, CommandError, QuitError, ShopCommands
from orderwatch_local.simulator.interactive import Prompt, how_to_watch, serve_one_shop
from orderwatch_local.simulator.seeded_data import units_left
from tests.support.template import ROOT


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


@pytest.mark.parametrize(
    ("line", "status", "raw_status"),
    [
        ('fail 1042 exception "Address verification failed"', "exception", "Address verification failed"),
        ("fail #1037", "exception", None),
        ("fail 1038 cancelled", "cancelled", None),
        ("set 1040 partially_fulfilled", "partially_fulfilled", None),
        ("set 1040 other preorder", "other", "preorder"),
        ("ship 1035", "fulfilled", None),
    ],
)
def test_a_changed_order_is_visible_at_once(
    commands: ShopCommands, alpine: Shop, line: str, status: str, raw_status: str | None
) -> None:
    number = line.split()[1].removeprefix("#")
    before, parcels = served(alpine, number)["status"], served(alpine, number)["shipments"]
    answer = commands.run(line)
    assert answer == f"#{number} at Alpine Outdoor: {before} -> {status}. Trackstar shows it now."
    order = served(alpine, number)
    assert (order["status"], order["raw_status"]) == (status, raw_status)
    assert (order["shipments"] != parcels) is (status == "fulfilled")


def test_a_part_of_an_order_ships_and_then_the_rest(commands: ShopCommands, alpine: Shop) -> None:
    order = next(each for each in alpine.orders("open") if sum(units_left(each)) > 2)
    number = order["order_number"].removeprefix("#")
    count = sum(units_left(order))
    answer = commands.run(f"ship {number} 1")
    assert f"open -> partially_fulfilled; 1 of {count} items left the warehouse." in answer
    with pytest.raises(CommandError, match=f"has {count - 1} items left"):
        commands.run(f"ship {number} {count - 1}")
    commands.run(f"ship {number}")
    order = served(alpine, number)
    shipped = [sum(line["quantity"] for line in parcel["line_items"]) for parcel in order["shipments"]]
    assert (order["status"], shipped, order["shipping_groups"]) == ("fulfilled", [1, count - 1], [])


def test_a_backordered_order_lacks_a_product_until_its_stock_is_set(commands: ShopCommands, alpine: Shop) -> None:
    product = alpine.product(served(alpine, "1041")["line_items"][0]["product_id"])
    assert f" -> backordered; {product['sku']} is out of stock. " in commands.run("fail 1041 backordered")
    assert alpine.product(product["id"])["inventory"] == 0
    answer = commands.run(f"stock {product['sku'].lower()} 40")
    assert answer == f"{product['sku']} at Alpine Outdoor: 0 -> 40 in stock. Trackstar shows it now."
    found = alpine.find(Resource.PRODUCTS, product["id"])
    assert found
    assert (found["inventory"], found["inventory_by_warehouse_id"]) == (40, {"wh-east": 40})


def test_setting_the_present_status_says_that_there_is_no_alert(commands: ShopCommands) -> None:
    commands.run("set 1039 backordered")
    again = commands.run("set 1039 backordered")
    assert again == "#1039 at Alpine Outdoor is already backordered, so there is no alert."


def test_order_numbers_are_unique_across_shops(commands: ShopCommands, trackstar: Trackstar) -> None:
    numbers = [order["order_number"] for shop in trackstar.shops for order in shop.orders()]
    assert len(set(numbers)) == len(numbers)
    assert "Sora Stationery" in commands.run("fail 7001")


def test_changes_of_a_blocked_shop_are_invisible_until_unblock(commands: ShopCommands, alpine: Shop) -> None:
    commands.run("set 1036 open")
    commands.run("block")
    assert alpine.connection()["errors"][0]["error_type"] == "invalid_credentials"
    assert commands.run("fail 1036").endswith("Trackstar does not show it until `unblock conn_alpine`.")
    assert "Alpine Outdoor: blocked, nothing synced" in commands.run("sync now")
    assert served(alpine, "1036")["status"] == "open"
    commands.run("unblock")
    assert served(alpine, "1036")["status"] == "exception"


def test_a_status_can_be_set_in_any_spelling(commands: ShopCommands, alpine: Shop) -> None:
    commands.run("set 1040 Back-Ordered")
    assert served(alpine, "1040")["status"] == "Back-Ordered"
    commands.run("set 1040 backordered")


def test_a_shop_without_products_shows_its_orders(commands: ShopCommands, alpine: Shop) -> None:
    assert (
        commands.run("block products") == "Alpine Outdoor refuses its products to Trackstar. Its orders stay visible."
    )
    assert alpine.connection()["errors"][0]["resource"] == "products"
    assert commands.run("set 1036 open").endswith("Trackstar shows it now.")
    commands.run("unblock")


@pytest.mark.parametrize("name", ["conn_sora", "sora"])
def test_a_shop_is_selected_with_or_without_the_prefix(commands: ShopCommands, trackstar: Trackstar, name: str) -> None:
    commands.run(f"block {name}")
    assert [bool(shop.errors) for shop in trackstar.shops] == [False, False, True]


def test_a_storm_prefers_orders_that_are_not_final(commands: ShopCommands, trackstar: Trackstar) -> None:
    shop = trackstar.shops[1]
    before = {order["id"]: order["status"] for order in shop.orders()}
    answer = commands.run("storm 20 backordered lumiere")
    assert answer == "20 orders of Maison Lumière -> backordered. Trackstar shows it now."
    moved = [before[order["id"]] for order in shop.orders() if order["status"] != before[order["id"]]]
    assert len(moved) == 20
    assert not {*moved} & {"fulfilled", "cancelled", "backordered"}


@pytest.mark.parametrize(
    ("line", "count", "contents"),
    [
        ("orders", 15, ""),
        ("orders sora cancelled 2", 2, "cancelled           Sora Stationery"),
        ("orders 2 cancelled conn_sora", 2, "cancelled           Sora Stationery"),
    ],
)
def test_orders_lists_orders_with_their_status(commands: ShopCommands, line: str, count: int, contents: str) -> None:
    lines = commands.run(line).splitlines()
    assert len(lines) == count
    assert all(each.split()[1] in STATUSES and contents in each for each in lines)
    assert max(map(len, lines)) <= 60


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("fail 99999", "no shop has an order 99999"),
        ("fail", "usage: fail ORDER [STATUS] [REASON]"),
        ("fail 1042 exception Address verification failed", "put a REASON of several words in quotation marks"),
        ('fail 1042 "Address verification failed"', "unknown status Address verification failed"),
        ('fail 1042 exception "Address', "unclosed quotation mark"),
        ("set 1042 backorderd", "unknown status backorderd (did you mean backordered?); type one of open, "),
        ("set 1042", "usage: set ORDER STATUS"),
        ("ship", "usage: ship ORDER"),
        ("ship 1042 some", "some is not a count"),
        ("stock S0001-1", "usage: stock SKU COUNT [SHOP]"),
        ("stock gone 4", "Alpine Outdoor has no product gone"),
        ("storm many backordered", "many is not a count"),
        ("storm 0 backordered", "0 is not a count"),
        ("storm ² backordered", "² is not a count"),
        ("storm 9999 backordered", "9999 is too many: Alpine Outdoor has "),
        ("storm 5 lost", "unknown status lost"),
        ("block conn_gone", "conn_gone is not a shop; the shops are conn_alpine, conn_lumiere, "),
        ("block conn_sora now", "usage: block [SHOP]"),
        ("orders lost", "lost is not a shop, a status or a count"),
        ("sync tomorrow", "usage: sync now"),
        ("fial 1042", "unknown command fial (did you mean fail?); `help` lists the commands"),
    ],
)
def test_an_invalid_command_is_explained_and_changes_nothing(
    commands: ShopCommands, trackstar: Trackstar, line: str, says: str
) -> None:
    before = [(len(shop.visible_changes), len(shop.errors)) for shop in trackstar.shops]
    with pytest.raises(CommandError) as caught:
        commands.run(line)
    assert says in str(caught.value)
    commands.run("sync now")
    assert [(len(shop.visible_changes), len(shop.errors)) for shop in trackstar.shops] == before


def test_help_lists_every_command_within_60_columns(commands: ShopCommands) -> None:
    for _ in range(2):
        shown = commands.run("help")
        assert all(f"\n{name} " in f"\n{shown}" for name in commands.names)
        assert max(map(len, shown.splitlines())) <= 60
        commands.add_status(lambda: "watching")


def test_an_empty_line_does_nothing_and_quit_quits(commands: ShopCommands) -> None:
    assert commands.run("  \n") == ""
    with pytest.raises(QuitError):
        commands.run("quit")


# The prompt


HELD = "#1033 at Alpine Outdoor: open -> other. Trackstar shows it now.\n"
OPENED = "#1034 at Alpine Outdoor: processing -> open. Trackstar shows it now.\n"
UNKNOWN = "unknown command fial (did you mean fail?); `help` lists the commands\n"


@pytest.mark.parametrize(
    ("lines", "stops", "out", "errors"),
    [
        (["set 1033 other"], False, HELD, ""),
        (["fial 1042", "", "set 1034 open", "quit", "set 1034 other"], True, OPENED, UNKNOWN),
        (["\x1b[2J"], False, "", "unknown command  [2J; `help` lists the commands\n"),
    ],
)
def test_a_pipe_gets_plain_output_and_separate_errors(
    commands: ShopCommands, lines: list[str], stops: bool, out: str, errors: str
) -> None:
    source, written, complained = io.StringIO("\n".join(lines)), io.StringIO(), io.StringIO()
    prompt = Prompt(commands, source=source, out=written, errors=complained)
    assert prompt.serve() is stops, "the shops go on when a pipe ends"
    assert (written.getvalue(), complained.getvalue()) == (out, errors)


def test_the_printed_commands_fit_into_60_columns(trackstar: Trackstar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/pytest"])
    lines = how_to_watch(trackstar, "http://127.0.0.1:40000").splitlines()
    assert "export TRACKSTAR_ACCESS_TOKEN_conn_alpine=token-of-conn_alpine" in lines
    begin = lines.index("orderwatch up --every 5 \\")
    assert lines[begin + 1 : begin + 3] == [
        "  --trackstar-url http://127.0.0.1:40000 \\",
        "  --connection conn_alpine --name 'Alpine Outdoor'",
    ]
    assert [line for line in lines if len(line) > 60 and not line.startswith("export ")] == []


def test_the_screen_in_the_readme_is_the_real_output() -> None:
    with serve_one_shop() as (trackstar, _):
        commands = ShopCommands(trackstar)
    _, _, screen = (ROOT / "README.md").read_text().partition("```text\nshop> ")
    typed = [part.partition("\n") for part in screen.partition("```")[0].split("shop> ")]
    assert len(typed) == 2
    for command, _, answer in typed:
        assert commands.run(command) == answer.rstrip("\n")
