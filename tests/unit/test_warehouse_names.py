"""The names of warehouses in alerts: setting, then Trackstar, then none; and how rarely Trackstar is asked."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.errors import (
    ForbiddenError,
    NotFoundError,
    NotSupportedError,
    ParameterMissingError,
    TrackstarError,
    UnavailableError,
)
from orderwatch.publishing.enrich import ProductDetails
from orderwatch.rendering import email
from orderwatch.trackstar.products import Product
from tests.support.alerts import alert_of
from tests.support.clocks import FakeClock

HOUR, DAY = 3600.0, 86_400.0
BOTH = {"wh_1": "Hamburg", "wh_2": "Lyon"}


class Source:
    """Has every product, in two warehouses; everything is at hand unless a test changes it.

    Attributes:
        settings: The names in the shops' settings; an error is raised.
        names: Trackstar's names; an error is raised.
        seconds: Seconds that Trackstar takes for the products and for the names.
        hangs: Whether the names take all the time that the caller has.
        asked: What was asked for, with the connection.
    """

    def __init__(self) -> None:
        self.settings: Mapping[str, str] | Exception = {}
        self.names: Mapping[str, str] | Exception = dict(BOTH)
        self.seconds = (0.0, 0.0)
        self.hangs = False
        self.asked: list[str] = []

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> Mapping[str, Product]:
        self.asked.append(f"products of {connection_id}")
        clock.sleep(self.seconds[0])
        stock = {"inventory": 5, "inventory_by_warehouse_id": {"wh_1": 3, "wh_2": 2}}
        bare = {"inventory": 5}
        return {
            each: Product.model_validate({"id": each, **(bare if each == "bare" else stock)}) for each in product_ids
        }

    def warehouse_settings(self, connection_id: str) -> Mapping[str, str]:
        if isinstance(self.settings, Exception):
            raise self.settings
        return self.settings

    def warehouses(self, connection_id: str, *, seconds_left: Callable[[], float]) -> Mapping[str, str]:
        self.asked.append(f"names of {connection_id}")
        clock.sleep(seconds_left() if self.hangs else self.seconds[1])
        if isinstance(self.names, Exception):
            raise self.names
        return self.names


class Sender:
    """Sends alerts as soon as their details are there.

    Attributes:
        sent: The alerts, in the order in which they were sent.
        waited: Seconds until an alert was sent, by its connection.
    """

    def __init__(self) -> None:
        self.clock, self.source = FakeClock(), Source()
        clock.use(self.clock)
        self.details = ProductDetails(self.source, warehouses=self.source)
        self.sent: list[Alert] = []
        self.waited: dict[str, float] = {}

    def send(self, *connections: str, after: float = 0.0, product: str = "p1") -> Mapping[str, str]:
        """Send an alert of each of these connections; the names in the last one."""
        self.clock.seconds += after
        began = self.clock.seconds
        alerts = [alert_of("1", connection_id=each, product_ids=(product,)) for each in connections]
        for batch in self.details.enriched_batches(alerts):
            self.sent += batch
            self.waited |= {each.connection_id: self.clock.seconds - began for each in batch}
        order = self.sent[-1].order
        assert order
        return order.warehouses

    @property
    def requests_for_names(self) -> int:
        return sum(each.startswith("names") for each in self.source.asked)


@pytest.fixture
def sender() -> Sender:
    return Sender()


@pytest.mark.parametrize(
    ("settings", "names", "shown", "requests"),
    [
        ({}, BOTH, BOTH, 1),
        ({}, {"wh_1": "Hamburg", "wh_9": "Elsewhere"}, {"wh_1": "Hamburg"}, 1),
        ({"wh_1": "North"}, BOTH, {"wh_1": "North", "wh_2": "Lyon"}, 1),
        ({"wh_1": "North", "wh_2": "South"}, BOTH, {"wh_1": "North", "wh_2": "South"}, 0),
        ({"wh_1": "North"}, NotSupportedError("501", status=501), {"wh_1": "North"}, 1),
        (ParameterMissingError("/orderwatch/connections/a/access-token"), BOTH, BOTH, 1),
        (RuntimeError("a bug"), RuntimeError("a bug"), {}, 1),
    ],
)
def test_the_setting_comes_first_then_trackstars_name(
    sender: Sender, settings: Mapping[str, str], names: Mapping[str, str], shown: Mapping[str, str], requests: int
) -> None:
    sender.source.settings, sender.source.names = settings, names
    assert sender.send("a") == shown
    assert sender.requests_for_names == requests
    assert sender.sent[0].enrichment.missing == ()
    assert sender.sent[0].order
    assert sender.sent[0].order.line_items[0].on_hand_by_warehouse == {"wh_1": 3, "wh_2": 2}, "the ids stay"


def test_an_alert_without_a_warehouse_asks_for_no_names(sender: Sender) -> None:
    sender.source.settings = RuntimeError("not to be read")
    assert sender.send("a", product="bare") == {}
    assert sender.source.asked == ["products of a"]


@pytest.mark.parametrize(
    ("names", "seconds"),
    [
        (BOTH, 12 * HOUR),
        ({}, 12 * HOUR),
        *((error, DAY) for error in (
            NotSupportedError("no", status=501),
            NotFoundError("no", status=404),
            ForbiddenError("no", status=403),
            TrackstarError("no", status=410),
        )),
        (UnavailableError("503"), 300.0),
        (TrackstarError("cannot be sent"), 300.0),
        (RuntimeError("a bug"), 300.0),
    ],
)  # fmt: skip
def test_trackstar_is_asked_again_when_the_cache_expires(
    sender: Sender, names: Mapping[str, str] | Exception, seconds: float
) -> None:
    sender.source.names = names
    sender.send("a")
    sender.send("a", after=seconds - 1)
    assert sender.requests_for_names == 1
    sender.source.names = {"wh_1": "Renamed"}
    assert sender.send("a", after=1) == {"wh_1": "Renamed"}
    assert sender.requests_for_names == 2


def test_the_names_of_a_connection_are_its_own(sender: Sender) -> None:
    sender.send("a")
    sender.send("b")
    assert sender.source.asked == ["products of a", "names of a", "products of b", "names of b"]


def test_names_are_asked_for_after_all_products(sender: Sender) -> None:
    sender.source.seconds = (0.2, 0.3)
    sender.send("a", "b")
    assert sender.source.asked == ["products of a", "products of b", "names of a", "names of b"]
    assert sender.waited == {"a": pytest.approx(0.7), "b": pytest.approx(1.0)}
    sender.source.asked.clear()
    sender.send("a", "c", product="p2")
    assert sender.source.asked == ["products of a", "products of c", "names of c"]
    assert sender.waited["a"] == pytest.approx(0.2), "its names are cached"


def test_hanging_names_leave_the_products_their_time(sender: Sender) -> None:
    sender.source.hangs = True
    sender.source.names = UnavailableError("ReadTimeout")
    shops = [f"shop{number}" for number in range(20)]
    sender.send(*shops)
    assert max(sender.waited.values()) == pytest.approx(12.0), "four requests"
    assert sender.requests_for_names == 4
    assert [alert.enrichment.missing for alert in sender.sent] == [()] * 20
    sender.source.seconds = (11.0, 0.0)
    assert sender.send("late") == {}
    assert sender.sent[-1].enrichment.missing == ()


@pytest.mark.parametrize(("seconds", "requests"), [(11.0, 1), (11.01, 0)])
def test_no_request_for_names_starts_with_hardly_any_time(sender: Sender, seconds: float, requests: int) -> None:
    sender.source.seconds = (seconds, 0.0)
    sender.send("a")
    assert sender.requests_for_names == requests
    assert sender.sent[0].enrichment.missing == ()


def test_the_setting_comes_first_if_the_names_take_all_the_time(sender: Sender) -> None:
    sender.source.settings = {"wh_1": "Own"}
    sender.source.seconds = (0.0, 60.0)
    assert sender.send("conn_a") == {"wh_1": "Own", "wh_2": "Lyon"}


def test_the_warehouses_of_lines_and_shipments_are_named_too(sender: Sender) -> None:
    line = {"line_item_id": "l1", "product_id": "bare", "quantity": 2}
    record = {
        "line_items": [line],
        "shipments": [{"warehouse_id": "wh_2", "line_items": [line | {"quantity": 1}]}, {"warehouse_id": None}],
        "shipping_groups": [{"warehouse_id": "wh_1", "status": "open", "line_items": [line]}],
    }
    [alert] = [each for batch in sender.details.enriched_batches([alert_of("1", record=record)]) for each in batch]
    assert alert.order
    assert alert.order.warehouses == {"wh_2": "Lyon", "wh_1": "Hamburg"}
    assert [line.warehouse for line in alert.order.line_items] == ["wh_1"], "the ids stay"


def test_at_most_50_warehouses_with_short_ids_are_named(sender: Sender) -> None:
    ids = ["x" * 161, *(f"w{number}" for number in range(60))]
    lines = [{"line_item_id": each, "quantity": 1} for each in ids]
    groups = [{"warehouse_id": each["line_item_id"], "line_items": [each]} for each in lines]
    sender.source.names = dict.fromkeys(ids, "Hall")
    record = {"line_items": lines, "shipping_groups": groups, "shipments": [{"warehouse_id": "w59"}]}
    [alert] = [each for batch in sender.details.enriched_batches([alert_of("1", record=record)]) for each in batch]
    assert alert.order
    assert list(alert.order.warehouses) == ["w59", *ids[1:50]]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Hamburg", "5 in stock (Hamburg 3, wh_2 2)"),
        ("x" * 80, f"5 in stock ({'x' * 37}... 3, wh_2 2)"),
    ],
)
def test_messages_show_the_name_else_the_id(sender: Sender, name: str, shown: str) -> None:
    sender.source.settings, sender.source.names = {"wh_1": name}, {}
    sender.send("a")
    assert shown in email.body(sender.sent[0])
