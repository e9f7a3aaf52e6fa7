"""Product details delay no alert for long, even if one shop hangs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.errors import UnavailableError
from orderwatch.publishing.enrich import REMEMBERED_FOR, SECONDS_PER_CONNECTION, SKIPPED_NO_TIME, ProductDetails
from orderwatch.trackstar.products import Product
from tests.support.alerts import alert_of
from tests.support.clocks import FakeClock

LONGEST_WAIT = 30.0


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

    def __init__(self, vendor: Vendor) -> None:
        self.fake_clock = FakeClock()
        clock.use(self.fake_clock)
        self.details = ProductDetails(vendor)
        self.sent: dict[str, tuple[float, Alert]] = {}

    def send(self, *alerts: Alert) -> None:
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


def test_alerts_without_products_do_not_wait() -> None:
    sender = Sender(Vendor("hangs"))
    sender.send(needing("hangs"), alert_of("1", connection_id="plain"))
    assert sender.waited("plain") == 0.0
    assert sender.gaps("hangs") == ("product details: Trackstar did not respond",)


def test_alerts_with_cached_products_do_not_wait() -> None:
    sender = Sender(Vendor("hangs"))
    sender.send(needing("warm"))
    sender.send(needing("hangs"), needing("warm"))
    assert (sender.waited("warm"), sender.gaps("warm")) == (0.0, ())


def test_a_hanging_shop_uses_only_its_own_budget() -> None:
    sender = Sender(Vendor("hangs"))
    sender.send(needing("hangs"), needing("sound"))
    assert sender.waited("hangs") == SECONDS_PER_CONNECTION
    assert sender.waited("sound") == pytest.approx(SECONDS_PER_CONNECTION + 0.2)
    assert sender.gaps("sound") == ()


def test_no_alert_waits_longer_than_half_a_minute() -> None:
    shops = [f"hangs{number}" for number in range(50)]
    sender = Sender(Vendor(*shops))
    sender.send(*map(needing, shops))
    assert sender.sent.keys() == set(shops)
    assert max(map(sender.waited, shops)) < LONGEST_WAIT
    assert sender.gaps("hangs49") == (f"product details: {SKIPPED_NO_TIME}",)


def test_the_budget_holds_over_several_batches() -> None:
    shops = [f"hangs{number}" for number in range(50)]
    sender = Sender(Vendor(*shops))
    began = sender.fake_clock.seconds
    for shop in shops:
        sender.send(needing(shop))
    assert sender.fake_clock.seconds - began < LONGEST_WAIT


def test_a_shop_that_failed_is_retried_after_a_while() -> None:
    vendor = Vendor("hangs")
    sender = Sender(vendor)
    sender.send(needing("hangs"))
    sender.fake_clock.seconds += REMEMBERED_FOR.total_seconds() - 1
    sender.send(needing("hangs"))
    assert (vendor.asked, sender.waited("hangs")) == (["hangs"], 0.0)
    assert sender.gaps("hangs") == ("product details: Trackstar did not respond",)

    vendor.hanging.clear()
    sender.fake_clock.seconds += 1
    sender.send(needing("hangs"))
    assert (vendor.asked, sender.gaps("hangs")) == (["hangs", "hangs"], ())


def test_a_shop_that_failed_still_gets_cached_details() -> None:
    vendor = Vendor()
    sender = Sender(vendor)
    sender.send(needing("shop", "p1"))
    vendor.hanging.add("shop")
    sender.send(needing("shop", "p2"))
    sender.send(needing("shop", "p1"))
    assert sender.gaps("shop") == ()


def test_a_shop_that_failed_before_comes_last() -> None:
    vendor = Vendor("hangs")
    sender = Sender(vendor)
    sender.send(needing("hangs"))
    sender.fake_clock.seconds += REMEMBERED_FOR.total_seconds()
    sender.send(needing("hangs"), needing("sound"))
    assert sender.waited("sound") == pytest.approx(0.2)


def test_a_shop_that_recovered_keeps_its_place() -> None:
    vendor = Vendor("recovers")
    sender = Sender(vendor)
    sender.send(needing("recovers"))
    vendor.hanging.clear()
    sender.fake_clock.seconds += REMEMBERED_FOR.total_seconds()
    sender.send(needing("recovers", "p1"))
    sender.send(needing("recovers", "p2"), needing("sound"))
    assert vendor.asked[-2:] == ["recovers", "sound"]


def test_a_shop_that_failed_does_not_wait_for_others() -> None:
    sender = Sender(Vendor("hangs", "hangs too"))
    sender.send(needing("hangs"))
    sender.send(needing("hangs too"), needing("hangs"))
    assert sender.waited("hangs") == 0.0


def test_the_budget_is_renewed() -> None:
    shops = [f"hangs{number}" for number in range(3)]
    sender = Sender(Vendor(*shops))
    sender.send(*map(needing, shops))
    sender.send(needing("sound"))
    assert sender.gaps("sound") == (f"product details: {SKIPPED_NO_TIME}",)
    sender.fake_clock.seconds += REMEMBERED_FOR.total_seconds()
    sender.send(needing("sound"))
    assert sender.gaps("sound") == ()


def test_no_request_starts_with_hardly_any_time_left() -> None:
    vendor = Vendor()
    vendor.needs = SECONDS_PER_CONNECTION - 0.1
    sender = Sender(vendor)
    for shop in ("one", "two", "three"):
        sender.send(needing(shop))
    assert vendor.asked == ["one", "two"]
    assert sender.gaps("three") == (f"product details: {SKIPPED_NO_TIME}",)
    sender.fake_clock.seconds += REMEMBERED_FOR.total_seconds()
    sender.send(needing("three"))
    assert sender.gaps("three") == ()


def test_the_alerts_of_a_shop_are_in_one_batch() -> None:
    sender = Sender(Vendor())
    plain, detailed = alert_of("1", connection_id="shop"), needing("shop")
    batches = filter(None, sender.details.enriched_batches([plain, needing("other"), detailed]))
    assert [[alert.connection_id for alert in batch] for batch in batches] == [["shop", "shop"], ["other"]]


def test_a_bug_in_the_source_stops_no_alert() -> None:
    class Broken(Vendor):
        def products(self, *arguments: Any, **options: Any) -> Mapping[str, Product]:
            raise RuntimeError("a bug")

    sender = Sender(Broken())
    sender.send(needing("one"), needing("two"))
    assert sender.gaps("one") == sender.gaps("two") == ("product details: could not be read",)
