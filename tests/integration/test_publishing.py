"""One batch of alerts: lease, send, mark, and what can go wrong in between."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from orderwatch import clock as process_clock
from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.aws.alert_table import LEASE_DURATION
from orderwatch.aws.rate_limit import TOPIC_LIMIT
from orderwatch.aws.sns import MAX_BATCH_BYTES
from orderwatch.errors import ForbiddenError, NotSupportedError, ParameterMissingError, UnavailableError
from orderwatch.publishing.enrich import SKIPPED_LATE, ProductSource
from orderwatch.publishing.publish import PublishMetrics
from orderwatch.records import ConnectionState
from orderwatch.rendering.sns import Attribute, SnsMessage
from orderwatch.trackstar.products import Product
from tests.support.alerts import SEEN_AT, alert_of, first_sight
from tests.support.clocks import FakeClock, ManualClock
from tests.support.cloud import Tables
from tests.support.recording_sns import RecordingSns, alert_ids_in
from tests.support.sending import send

ANY = AlertKey("conn_a", "any")


def ids(keys: Sequence[AlertKey]) -> list[str]:
    return sorted(key.alert_id for key in keys)


@dataclass
class Desk:
    """An outbox with alerts in it, and a topic."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(SEEN_AT))
    sns: RecordingSns = field(default_factory=RecordingSns)

    def __post_init__(self) -> None:
        process_clock.use(self.clock)
        self.tables = Tables.in_memory()

    def put(self, count: int = 1, *, shop: str = "conn_a", products: tuple[str, ...] = ()) -> list[AlertKey]:
        """New alerts of a connection, by their keys."""
        known = len(self.tables.rows("OrderTable"))
        writes = [first_sight(str(known + n), connection_id=shop, product_ids=products) for n in range(count)]
        self.tables.store.commit(ConnectionState(connection_id=f"{shop}{known}"), writes=writes, alerts=[])
        return [write.alert.key for write in writes if write.alert]

    def publish(
        self,
        keys: Sequence[AlertKey],
        *,
        threshold: int = 5,
        products: ProductSource | None = None,
    ) -> PublishMetrics:
        return send(
            keys,
            outbox=self.tables.alerts,
            topic=self.sns.topic,
            products=products,
            digest_threshold=threshold,
        )

    def pending(self) -> list[AlertKey]:
        return [alert.key for alert in self.tables.alerts.unsent(self.tables.alert_keys())]


@pytest.fixture
def desk() -> Desk:
    return Desk()


# Lease, send, mark


class Journal:
    """An outbox and a topic that record their calls."""

    def __init__(self, *alerts: Alert) -> None:
        self.alerts = alerts
        self.lines: list[str] = []

    def unsent(self, keys: object) -> Sequence[Alert]:
        return self.alerts

    def acquire(self, key: AlertKey, *, owner: str) -> bool:
        self.lines.append("lease")
        return True

    def release(self, key: AlertKey, *, owner: str) -> None:
        self.lines.append("release")

    def mark_sent(self, key: AlertKey, *, message_id: str) -> None:
        self.lines.append(f"mark {message_id}")

    def put(self, alert: Alert) -> bool:
        raise NotImplementedError

    def alerts_since(self, connection_id: str, moment: datetime) -> list[Alert]:
        raise NotImplementedError

    def publish(self, messages: Sequence[SnsMessage]) -> list[str | None]:
        self.lines.append(f"send {len(messages)}")
        return [f"m{number}" for number, _ in enumerate(messages)]


def test_an_alert_is_leased_then_sent_then_marked() -> None:
    journal = Journal(alert_of("1"), alert_of("2"))
    send([ANY], outbox=journal, topic=journal)
    assert journal.lines == ["lease", "lease", "send 2", "mark m0", "mark m1"]


def test_five_messages_are_marked_before_more_are_sent() -> None:
    journal = Journal(*(alert_of(str(number)) for number in range(7)))
    send([ANY], outbox=journal, topic=journal, digest_threshold=100)
    assert [line for line in journal.lines if line != "lease"] == (
        ["send 5", *(f"mark m{number}" for number in range(5)), "send 2", "mark m0", "mark m1"]
    )


def test_a_repeated_key_sends_an_alert_once(desk: Desk) -> None:
    [key] = desk.put()
    assert desk.publish([key, key]).sent == 1
    assert desk.publish([key]).sent == 0
    assert desk.sns.sent_ids() == [key.alert_id]


def test_an_alert_that_does_not_exist_is_not_sent(desk: Desk) -> None:
    assert desk.publish([ANY]) == PublishMetrics()
    assert desk.sns.batches == []


def test_two_senders_at_once_send_an_alert_once(desk: Desk) -> None:
    [key] = desk.put()
    summaries: list[PublishMetrics] = []

    first = desk.tables.alerts
    unsent = list(first.unsent([key]))

    class Late:
        """The outbox of a sender that reads; before it leases the alert, another sender sends it."""

        acquire, release, mark_sent = first.acquire, first.release, first.mark_sent
        put, alerts_since = first.put, first.alerts_since

        def unsent(self, keys: object) -> Sequence[Alert]:
            summaries.append(desk.publish([key]))
            return unsent

    late = send([key], outbox=Late(), topic=desk.sns.topic)
    assert [summary.sent for summary in (*summaries, late)] == [1, 0]
    assert desk.sns.sent_ids() == [key.alert_id]


def test_a_leased_alert_is_unsent_until_the_lease_expires(desk: Desk) -> None:
    [key] = desk.put()
    desk.tables.alerts.acquire(key, owner="another")
    assert desk.publish([key]).unsent_keys == [key]
    desk.clock.advance(LEASE_DURATION)
    assert desk.publish([key]).sent == 1


def test_a_refused_batch_is_released_and_sent_the_next_time(desk: Desk) -> None:
    keys = desk.put(3)
    desk.sns.is_down = True
    summary = desk.publish(keys)
    assert (summary.sent, sorted(summary.unsent_keys)) == (0, sorted(keys))
    assert sorted(desk.pending()) == sorted(keys)

    desk.sns.is_down = False
    assert desk.publish(keys).sent == 3
    assert sorted(desk.sns.sent_ids()) == ids(keys)


def test_a_refused_message_does_not_delay_the_others(desk: Desk) -> None:
    good, bad, other = keys = desk.put(3)
    desk.sns.refuses = lambda body: body["alert_id"] == bad.alert_id
    summary = desk.publish(keys)
    assert (summary.sent, summary.unsent_keys) == (2, [bad])
    assert sorted(desk.sns.sent_ids()) == ids([good, other])

    desk.sns.refuses = lambda body: False
    assert desk.publish(keys).sent == 1
    assert desk.pending() == []


# Product details (rule 11)


def test_alerts_without_products_cause_no_request(desk: Desk) -> None:
    products = Products()
    desk.publish(desk.put(), products=products)
    assert products.asked == []


COULD_NOT_BE_READ = "product details: could not be read"


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
    keys = desk.put(2, products=("p1", "p2")) + desk.put(1, shop="conn_b", products=("p1",))
    products = Products()
    desk.publish(keys, products=products)
    assert products.asked == [("conn_a", ["p1", "p2"]), ("conn_b", ["p1"])]
    assert all(line["name"] for body in desk.sns.taken for line in body["order"]["line_items"])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotSupportedError("501"), "product details: not supported by this shop's integration"),
        (UnavailableError("timeout"), "product details: Trackstar did not respond"),
        (ForbiddenError("403"), "product details: Trackstar refused the request"),
        (ParameterMissingError("/orderwatch/connections/conn_a/access-token"), COULD_NOT_BE_READ),
        (RuntimeError("a bug"), COULD_NOT_BE_READ),
    ],
)
def test_an_alert_names_the_product_details_that_it_lacks(desk: Desk, error: Exception, reason: str) -> None:
    summary = desk.publish(desk.put(products=("p1",)), products=Products(error))
    assert (summary.sent, summary.degraded) == (1, 1)
    [body] = desk.sns.taken
    assert body["enrichment"] == {"complete": False, "missing": [reason]}
    assert body["order"]["line_items"]


@pytest.mark.parametrize("function", ["enrich", "product_ids_of"])
def test_a_bug_in_the_enrichment_stops_no_alert(desk: Desk, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    def explode(*arguments: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(f"orderwatch.publishing.enrich.{function}", explode)
    assert desk.publish(desk.put(2), products=Products()).sent == 2


def test_a_late_alert_says_that_its_details_were_skipped(desk: Desk) -> None:
    desk.publish(desk.put(products=("p1",)))
    [body] = desk.sns.taken
    assert body["enrichment"]["missing"] == [f"product details: {SKIPPED_LATE}"]


def test_a_bug_in_the_rendering_sends_plain_text(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(alert: Alert) -> str:
        raise RuntimeError("a bug")

    monkeypatch.setattr("orderwatch.rendering.email.body", explode)
    [key] = desk.put()
    summary = desk.publish([key])
    assert (summary.sent, summary.plain) == (1, 1)
    assert desk.sns.sent_ids() == [key.alert_id]


# Storms (rule 12)


def test_a_storm_is_one_digest_and_all_members_are_marked(desk: Desk) -> None:
    keys = desk.put(6)
    summary = desk.publish(keys, threshold=5)
    assert (summary.messages, summary.sent) == (1, 6)
    [body] = desk.sns.taken
    assert body["kind"] == "order.digest"
    assert sorted(alert_ids_in(body)) == ids(keys)
    assert desk.pending() == []


def test_a_refused_digest_releases_all_its_members(desk: Desk) -> None:
    keys = desk.put(6)
    desk.sns.is_down = True
    assert sorted(desk.publish(keys).unsent_keys) == sorted(keys)
    desk.sns.is_down = False
    assert desk.publish(keys).sent == 6


def test_up_to_the_threshold_each_alert_is_sent_by_itself(desk: Desk) -> None:
    desk.publish(desk.put(5), threshold=5)
    assert [body["kind"] for body in desk.sns.taken] == ["order.exception"] * 5


# Limits of SNS (rule 17)


class Watch:
    """The times at which messages were sent."""

    def __init__(self) -> None:
        self.fake_clock = FakeClock()
        process_clock.use(self.fake_clock)
        self.topic = RecordingSns().topic
        self.sent_at: list[float] = []

    def send(self, count: int) -> None:
        self.topic.publish([message() for _ in range(count)])
        self.sent_at += [self.fake_clock.seconds] * count

    def most_in_a_second(self) -> int:
        return max(sum(1 for other in self.sent_at if 0 <= other - start < 1) for start in self.sent_at)


def message(size: int = 10) -> SnsMessage:
    return SnsMessage(
        subject="s",
        bodies={"default": "x" * size, "sqs": '{"alert_id": "1"}'},
        attributes={"k": Attribute("String", "v")},
    )


@pytest.mark.parametrize("calls", [[5, 5, 5], [4, 5], [3, 5, 4], [1] * 25, [2, 2, 2]])
def test_at_most_five_messages_are_sent_in_any_second(calls: list[int]) -> None:
    watch = Watch()
    for count in calls:
        watch.send(count)
    assert watch.most_in_a_second() <= 5


def test_the_first_five_messages_need_no_wait() -> None:
    watch = Watch()
    watch.send(1)
    watch.send(4)
    assert watch.fake_clock.seconds == 1000.0
    watch.fake_clock.seconds += 1
    watch.send(5)
    assert watch.fake_clock.seconds == 1001.0


def test_a_storm_is_sent_at_five_messages_a_second() -> None:
    watch = Watch()
    for _ in range(10):
        watch.send(5)
    assert watch.fake_clock.seconds - 1000.0 == pytest.approx(9.0, abs=0.02)


def test_a_request_has_at_most_five_messages() -> None:
    sns = RecordingSns()
    assert len(sns.topic.publish([message() for _ in range(12)])) == 12
    assert [len(batch) for batch in sns.batches] == [TOPIC_LIMIT.messages, TOPIC_LIMIT.messages, 2]


def test_a_request_has_at_most_256_kb() -> None:
    sns = RecordingSns()
    large = [message(100_000) for _ in range(5)]
    sns.topic.publish([*large, message(250_000)])
    assert [len(batch) for batch in sns.batches] == [2, 2, 1, 1]
    assert all(sum(len(entry["Message"]) for entry in batch) < MAX_BATCH_BYTES for batch in sns.batches)


def test_a_message_has_its_subject_bodies_and_attributes() -> None:
    sns = RecordingSns()
    sns.topic.publish([message()])
    [[entry]] = sns.batches
    assert (entry["Subject"], entry["MessageStructure"]) == ("s", "json")
    assert entry["MessageAttributes"] == {"k": {"DataType": "String", "StringValue": "v"}}


def test_ids_are_in_the_order_of_the_messages() -> None:
    class Backwards(RecordingSns):
        def publish_batch(self, **request: object) -> dict[str, object]:
            answer = super().publish_batch(**request)
            return {"Successful": answer["Successful"][::-1], "Failed": []}

    assert Backwards().topic.publish([message() for _ in range(3)]) == ["message-1", "message-2", "message-3"]
