"""One batch of alerts: lease, enrich, send, mark, and what can go wrong in between."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import pytest

from orderwatch.alerts.alert import Alert, AlertKey, connection_alert
from orderwatch.alerts.kinds import KIND_POLL_FAILING
from orderwatch.alerts.parts import AlertConnection
from orderwatch.errors import ForbiddenError, NotSupportedError, ParameterMissingError, UnavailableError
from orderwatch.observability import metrics
from orderwatch.publishing.enrich import SKIPPED_LATE
from orderwatch.publishing.publish import STOP_BEFORE, PublishMetrics
from orderwatch.trackstar.products import Product
from tests.support.alerts import SEEN_AT, alert_of
from tests.support.recording_sns import RecordingSns, alert_ids_in
from tests.support.sending import Desk, Journal, send

ANY = AlertKey("conn_a", "any")


@pytest.fixture
def desk() -> Desk:
    return Desk()


def ids(keys: Sequence[AlertKey]) -> list[str]:
    return sorted(key.alert_id for key in keys)


# Lease, send, mark


def test_alerts_are_leased_and_five_messages_marked_before_the_next() -> None:
    alerts = [alert_of(str(number)) for number in range(7)]
    journal, keys = Journal(*alerts), [alert.key for alert in alerts]
    send([ANY], outbox=journal, topic=journal, digest_threshold=100)
    assert journal.calls == [("lease", keys), ("send", 5), ("mark", keys[:5]), ("send", 2), ("mark", keys[5:])]


def test_without_time_for_more_messages_the_other_leases_are_released() -> None:
    alerts = [alert_of(str(number)) for number in range(12)]
    journal, keys = Journal(*alerts), [alert.key for alert in alerts]
    seconds = iter((STOP_BEFORE + 1, STOP_BEFORE, STOP_BEFORE - 0.1))
    summary = send([ANY], outbox=journal, topic=journal, digest_threshold=100, seconds_left=lambda: next(seconds))
    assert journal.calls[-2:] == [("mark", keys[5:10]), ("release", keys[10:])]
    assert (summary.sent, summary.postponed, summary.unsent_keys) == (10, 2, keys[10:])


def test_a_repeated_key_sends_an_alert_once(desk: Desk) -> None:
    [key] = desk.put()
    assert desk.publish([key, key, ANY]).sent == 1
    assert desk.publish([key]) == PublishMetrics()
    assert desk.sns.sent_ids() == [key.alert_id]
    late = Journal(alert_of("1"), foreign=[alert_of("1").key])
    assert send([ANY], outbox=late, topic=late).unsent_keys == [alert_of("1").key], "another sender was faster"
    assert ("send", 1) not in late.calls


def test_alerts_for_operators_go_to_their_own_topic(desk: Desk) -> None:
    [key] = desk.put()
    failing = connection_alert(KIND_POLL_FAILING, connection=AlertConnection(id="conn_a"), since=SEEN_AT, detail="")
    desk.tables.alerts.put(failing)
    operators = RecordingSns()
    send([key, failing.key], outbox=desk.tables.alerts, topic=desk.sns.topic, operators=operators.topic)
    assert (desk.sns.sent_ids(), operators.sent_ids()) == ([key.alert_id], [failing.alert_id])


def test_a_refused_message_does_not_delay_the_others(desk: Desk) -> None:
    good, bad, other = keys = desk.put(3)
    desk.sns.refuses = lambda body: body["alert_id"] == bad.alert_id
    summary = desk.publish(keys)
    assert (summary.sent, summary.messages, summary.unsent_keys) == (2, 2, [bad])
    assert sorted(desk.sns.sent_ids()) == ids(summary.sent_keys) == ids([good, other])

    desk.sns.refuses = lambda body: False
    assert desk.publish(keys).sent == 1
    assert desk.pending() == []


# Storms (rule 12)


@pytest.mark.parametrize(("count", "messages"), [(5, 5), (6, 1)])
def test_more_alerts_than_the_threshold_are_one_digest(desk: Desk, count: int, messages: int) -> None:
    keys = desk.put(count)
    summary = desk.publish(keys, threshold=5)
    assert (summary.messages, summary.sent) == (messages, count)
    assert sorted(desk.sns.sent_ids()) == ids(keys)
    assert desk.pending() == []


def test_a_refused_digest_releases_all_its_members(desk: Desk) -> None:
    keys = desk.put(6)
    desk.sns.is_down = True
    assert ids(desk.publish(keys).unsent_keys) == ids(keys)
    desk.sns.is_down = False
    assert desk.publish(keys).sent == 6
    [body] = desk.sns.taken
    assert sorted(alert_ids_in(body)) == ids(keys)


def test_alerts_about_one_order_are_merged(desk: Desk) -> None:
    status = alert_of("1")
    late = status.model_copy(update={"kind": "order.late", "alert_id": "late"})
    for alert in (late, status):
        desk.tables.alerts.put(alert)
    assert desk.publish([late.key, status.key]).messages == 1
    assert desk.sns.sent_ids() == [status.alert_id, "late"]


# Product details (rule 11)


class Products:
    """A source that has every product, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[tuple[str, Sequence[str]]] = []

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> Mapping[str, Product]:
        self.asked.append((connection_id, product_ids))
        if self.error:
            raise self.error
        return {each: Product(id=each, name=f"Product {each}", inventory="1") for each in product_ids}


def test_products_are_requested_once_a_connection(desk: Desk) -> None:
    keys = desk.put(2, products=("p1", "p2")) + desk.put(1, shop="conn_b", products=("p1",)) + desk.put(shop="conn_c")
    products = Products()
    assert desk.publish(keys, products=products).degraded == 0
    assert products.asked == [("conn_a", ["p1", "p2"]), ("conn_b", ["p1"])]
    assert all(line["name"] for body in desk.sns.taken for line in body["order"]["line_items"])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotSupportedError("501"), "not supported by this shop's integration"),
        (UnavailableError("timeout"), "Trackstar did not respond"),
        (ForbiddenError("403"), "Trackstar refused the request"),
        (ParameterMissingError("/orderwatch/connections/conn_a/access-token"), "could not be read"),
        (RuntimeError("a bug"), "could not be read"),
        (None, SKIPPED_LATE),
    ],
)
def test_an_alert_names_the_product_details_that_it_lacks(desk: Desk, error: Exception | None, reason: str) -> None:
    products = Products(error) if error else None
    summary = desk.publish(desk.put(products=("p1",)) + desk.put(), products=products)
    assert (summary.sent, summary.degraded) == (2, 1)
    body, without_lines = desk.sns.taken
    assert body["enrichment"] == {"complete": False, "missing": [f"product details: {reason}"]}
    assert body["order"]["line_items"]
    assert without_lines["enrichment"]["complete"]


@pytest.mark.parametrize("function", ["enrich", "product_ids_of"])
def test_a_bug_in_the_enrichment_stops_no_alert(desk: Desk, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    def explode(*arguments: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(f"orderwatch.publishing.enrich.{function}", explode)
    assert desk.publish(desk.put(2), products=Products()).sent == 2


def test_a_bug_in_the_rendering_sends_plain_text(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(alert: Alert) -> str:
        raise RuntimeError("a bug")

    monkeypatch.setattr("orderwatch.rendering.email.body", explode)
    [key] = desk.put()
    summary = desk.publish([key])
    assert (summary.sent, summary.plain) == (1, 1)
    assert desk.sns.sent_ids() == [key.alert_id]


# What is counted


@pytest.mark.parametrize(
    ("updated", "seen", "delay"), [(-30, 0, 90.0), (None, -15, 75.0), (60, 0, 0.0), (61, 0, 0.0)], ids=str
)
def test_the_delay_counts_from_when_the_status_was_visible(
    desk: Desk, updated: int | None, seen: int, delay: float
) -> None:
    alert = alert_of("1")
    assert alert.order
    updated_at = None if updated is None else SEEN_AT + timedelta(seconds=updated)
    seen_at = SEEN_AT + timedelta(seconds=seen)
    desk.tables.alerts.put(
        alert.replace(order=alert.order.model_copy(update={"updated_at": updated_at, "seen_at": seen_at}))
    )
    desk.clock.advance(timedelta(seconds=60))
    assert desk.publish([alert.key]).delays == [delay]


def test_results_are_added_up_and_only_signals_are_metrics(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    total = PublishMetrics()
    key, other = desk.put(2, products=("p1",))
    total += desk.publish([key])
    total += desk.publish([other])
    assert (total.sent, total.messages, total.sent_keys, total.degraded) == (2, 2, [key, other], 2)

    metrics.clear_metrics()
    total.report()
    metrics.flush_metrics()
    [line] = capsys.readouterr().out.splitlines()
    emitted = json.loads(line)
    assert (emitted["AlertsDegraded"], emitted["DeliveryDelay"]) == ([2.0], [0.0, 0.0])
    assert emitted.keys().isdisjoint({"AlertsUnsent", "MessagesFallback"})
