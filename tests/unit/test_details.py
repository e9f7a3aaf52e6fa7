"""Product details delay no alert for long, even if one shop hangs (rule 11)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.errors import UnavailableError
from orderwatch.publishing.enrich import SKIPPED_NO_TIME, ProductDetails
from orderwatch.trackstar.products import Product
from tests.support.alerts import alert_of
from tests.support.clocks import FakeClock

BUDGET = 12.0
"""Seconds for the products of one connection."""
REMEMBERED = 300
"""Seconds for which a failure counts."""
NO_RESPONSE = ("product details: Trackstar did not respond",)
NO_TIME = (f"product details: {SKIPPED_NO_TIME}",)


class Vendor:
    """Has every product after 0.2 seconds; some connections hang until the timeout.

    Attributes:
        hanging: Connections that never answer.
        asked: The connection of each request.
        needs: Seconds that an answer takes.
    """

    def __init__(self, *hanging: str) -> None:
        self.hanging = set(hanging)
        self.asked: list[str] = []
        self.needs = 0.2

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> Mapping[str, Product]:
        self.asked.append(connection_id)
        if connection_id in self.hanging:
            clock.sleep(seconds_left())
            raise UnavailableError("ReadTimeout")
        clock.sleep(self.needs)
        return {each: Product(id=each, name=f"Product {each}", inventory="1") for each in product_ids}


class Sender:
    """A sender that publishes alerts as soon as their details are there.

    Attributes:
        sent: Each alert, by its connection, with the seconds that it waited.
    """

    def __init__(self, *hanging: str) -> None:
        self.fake_clock, self.vendor = FakeClock(), Vendor(*hanging)
        clock.use(self.fake_clock)
        self.details = ProductDetails(self.vendor)
        self.sent: dict[str, tuple[float, Alert]] = {}

    def send(self, *alerts: Alert, after: float = 0.0) -> None:
        self.fake_clock.seconds += after
        began = self.fake_clock.seconds
        for batch in self.details.enriched_batches(alerts):
            self.sent |= {alert.connection_id: (self.fake_clock.seconds - began, alert) for alert in batch}

    def waited(self, connection_id: str) -> float:
        return self.sent[connection_id][0]

    def gaps(self, connection_id: str) -> Sequence[str]:
        return self.sent[connection_id][1].enrichment.missing


def needing(connection_id: str, *product_ids: str) -> Alert:
    """An alert whose lines name these products."""
    return alert_of("1", connection_id=connection_id, product_ids=product_ids or ("p1",))


def test_alerts_that_need_no_request_do_not_wait() -> None:
    sender = Sender("hangs", "failed")
    sender.send(needing("warm"), needing("failed"))
    sender.send(needing("hangs"), needing("warm"), alert_of("1", connection_id="plain"), needing("failed"))
    assert [sender.waited(name) for name in ("plain", "warm", "failed", "hangs")] == [0.0, 0.0, 0.0, BUDGET]
    assert [sender.gaps(name) for name in ("plain", "warm")] == [(), ()]
    assert [sender.gaps(name) for name in ("failed", "hangs")] == [NO_RESPONSE] * 2


def test_a_hanging_shop_uses_only_its_own_budget() -> None:
    sender = Sender("hangs")
    sender.send(needing("hangs"), needing("sound"))
    assert sender.waited("hangs") == BUDGET
    assert sender.waited("sound") == pytest.approx(BUDGET + 0.2)
    assert sender.gaps("sound") == ()


@pytest.mark.parametrize("batches", [1, 50])
def test_no_alert_waits_longer_than_25_seconds(batches: int) -> None:
    shops = [f"hangs{number}" for number in range(50)]
    sender = Sender(*shops)
    began, alerts = sender.fake_clock.seconds, [needing(shop) for shop in shops]
    for number in range(batches):
        sender.send(*alerts[number::batches])
    assert sender.fake_clock.seconds - began == pytest.approx(24)
    assert len(sender.vendor.asked) == 2, "the third request would have one second only"
    assert (len(sender.sent), sender.gaps("hangs49")) == (50, NO_TIME)


def test_the_budget_is_renewed() -> None:
    sender = Sender("hangs0", "hangs1")
    sender.send(needing("hangs0"), needing("hangs1"))
    for after, gaps in ((REMEMBERED - 13.0, NO_TIME), (1.0, ())):
        sender.send(needing("sound"), after=after)
        assert sender.gaps("sound") == gaps


def test_a_shop_that_failed_is_retried_after_five_minutes() -> None:
    sender = Sender("hangs")
    sender.send(needing("hangs"))
    sender.send(needing("hangs"), after=REMEMBERED - 1)
    assert (sender.vendor.asked, sender.waited("hangs"), sender.gaps("hangs")) == (["hangs"], 0.0, NO_RESPONSE)
    sender.vendor.hanging.clear()
    sender.send(needing("hangs"), after=1)
    assert (sender.vendor.asked, sender.gaps("hangs")) == (["hangs", "hangs"], ())


def test_a_shop_that_failed_still_gets_cached_details() -> None:
    sender = Sender()
    sender.send(needing("shop", "p1"))
    sender.vendor.hanging.add("shop")
    sender.send(needing("shop", "p2"))
    sender.send(needing("shop", "p1"))
    assert sender.gaps("shop") == ()


def test_an_alert_of_a_later_sync_has_its_products_read_again() -> None:
    sender, began = Sender(), clock.now()
    for minutes, requests in ((0, 1), (0, 1), (1, 2), (0, 2)):
        sender.send(needing("shop").model_copy(update={"data_as_of": began + timedelta(minutes=minutes)}))
        assert len(sender.vendor.asked) == requests
    sender.details.look_up("shop", ["p1"])
    assert len(sender.vendor.asked) == 3, "a summary shows the stock of now"


def test_a_shop_that_failed_comes_last_until_it_recovers() -> None:
    sender = Sender("slow")
    sender.send(needing("slow"))
    sender.send(needing("slow"), needing("sound"), after=REMEMBERED)
    assert sender.vendor.asked == ["slow", "sound", "slow"]
    sender.vendor.hanging.clear()
    sender.send(needing("slow"), after=REMEMBERED)
    sender.send(needing("slow", "p2"), needing("sound", "p2"))
    assert sender.vendor.asked[-2:] == ["slow", "sound"]


def test_no_request_starts_with_hardly_any_time_left() -> None:
    sender = Sender()
    sender.vendor.needs = BUDGET - 0.5
    for shop in ("one", "two"):
        sender.send(needing(shop))
    sender.vendor.needs = 0.1
    for shop in ("three", "four"):
        sender.send(needing(shop))
    assert sender.vendor.asked == ["one", "two", "three"], "with the last two seconds, but not with less"
    assert sender.gaps("four") == NO_TIME


def test_the_alerts_of_a_shop_are_in_one_batch() -> None:
    sender = Sender()
    plain, detailed = alert_of("1", connection_id="shop"), needing("shop")
    batches = filter(None, sender.details.enriched_batches([plain, needing("other"), detailed]))
    assert [[alert.connection_id for alert in batch] for batch in batches] == [["shop", "shop"], ["other"]]


def test_a_bug_in_the_source_stops_no_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*arguments: Any, **options: Any) -> Mapping[str, Product]:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Vendor, "products", explode)
    sender = Sender()
    sender.send(needing("one"), needing("two"))
    assert sender.gaps("one") == sender.gaps("two") == ("product details: could not be read",)


def test_a_lookup_returns_products_or_why_there_are_none() -> None:
    sender = Sender("hangs")
    found = sender.details.look_up("shop", ["p1"])
    assert set(found.products) == {"p1"}
    assert found.missing_reason is None
    failed = sender.details.look_up("hangs", ["p1"])
    assert failed == sender.details.look_up("hangs", ["p1"]) == ({}, "Trackstar did not respond")
