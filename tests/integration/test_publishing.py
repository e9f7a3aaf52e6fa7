"""One batch of alerts on its way out: ledger, topic, and what may go wrong between."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from orderwatch import clock as process_clock
from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.aws.sns import BATCH, MAX_BATCH_BYTES
from orderwatch.aws.tables import LEASE_DURATION
from orderwatch.errors import ForbiddenError, NotSupportedError, ParameterMissingError, UnavailableError
from orderwatch.polling.cursor import ConnectionState
from orderwatch.publishing.enrich import SKIPPED_LATE, ProductSource
from orderwatch.publishing.publish import PublishMetrics
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


# Claim, send, record


class Journal:
    """An outbox and a topic that write down what is asked of them."""

    def __init__(self, *alerts: Alert) -> None:
        self.alerts = alerts
        self.lines: list[str] = []

    def unsent(self, keys: object) -> Sequence[Alert]:
        return self.alerts

    def acquire(self, key: AlertKey, *, owner: str) -> bool:
        self.lines.append("claim")
        return True

    def release(self, key: AlertKey, *, owner: str) -> None:
        self.lines.append("release")

    def mark_sent(self, key: AlertKey, *, message_id: str) -> None:
        self.lines.append(f"mark {message_id}")

    def publish(self, messages: Sequence[SnsMessage]) -> list[str | None]:
        self.lines.append(f"send {len(messages)}")
        return [f"m{number}" for number, _ in enumerate(messages)]


def test_an_alert_is_claimed_then_sent_then_marked() -> None:
    journal = Journal(alert_of("1"), alert_of("2"))
    send([ANY], outbox=journal, topic=journal)
    assert journal.lines == ["claim", "claim", "send 2", "mark m0", "mark m1"]


def test_what_was_sent_is_marked_before_more_than_ten_messages_are_sent() -> None:
    journal = Journal(*(alert_of(str(number)) for number in range(12)))
    send([ANY], outbox=journal, topic=journal, digest_threshold=100)
    assert [line for line in journal.lines if line != "claim"] == (
        ["send 10", *(f"mark m{number}" for number in range(10)), "send 2", "mark m0", "mark m1"]
    )


def test_an_alert_is_sent_once_however_often_it_is_asked_for(desk: Desk) -> None:
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
        """A sender that reads, and before it claims another one does the whole of it."""

        acquire, release, mark_sent = first.acquire, first.release, first.mark_sent

        def unsent(self, keys: object) -> Sequence[Alert]:
            summaries.append(desk.publish([key]))
            return unsent

    late = send([key], outbox=Late(), topic=desk.sns.topic)
    assert [summary.sent for summary in (*summaries, late)] == [1, 0]
    assert desk.sns.sent_ids() == [key.alert_id]


def test_an_alert_that_another_sender_holds_is_reported_unsent_and_sent_when_that_one_died(desk: Desk) -> None:
    [key] = desk.put()
    desk.tables.alerts.acquire(key, owner="another")
    assert desk.publish([key]).unsent_keys == [key]
    desk.clock.advance(LEASE_DURATION)
    assert desk.publish([key]).sent == 1


def test_a_refused_batch_is_released_reported_and_sent_the_next_time(desk: Desk) -> None:
    keys = desk.put(3)
    desk.sns.is_down = True
    summary = desk.publish(keys)
    assert (summary.sent, sorted(summary.unsent_keys)) == (0, sorted(keys))
    assert sorted(desk.pending()) == sorted(keys)

    desk.sns.is_down = False
    assert desk.publish(keys).sent == 3
    assert sorted(desk.sns.sent_ids()) == ids(keys)


def test_a_message_that_sns_refuses_holds_no_other_up(desk: Desk) -> None:
    good, bad, other = keys = desk.put(3)
    desk.sns.refuses = lambda body: body["alert_id"] == bad.alert_id
    summary = desk.publish(keys)
    assert (summary.sent, summary.unsent_keys) == (2, [bad])
    assert sorted(desk.sns.sent_ids()) == ids([good, other])

    desk.sns.refuses = lambda body: False
    assert desk.publish(keys).sent == 1
    assert desk.pending() == []


# Product details (rule 11)


def test_alerts_that_name_no_product_ask_for_none(desk: Desk) -> None:
    products = Products()
    desk.publish(desk.put(), products=products)
    assert products.asked == []


COULD_NOT_BE_READ = "product details: they could not be read"


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


def test_the_products_of_a_batch_are_asked_for_once_a_connection(desk: Desk) -> None:
    keys = desk.put(2, products=("p1", "p2")) + desk.put(1, shop="conn_b", products=("p1",))
    products = Products()
    desk.publish(keys, products=products)
    assert products.asked == [("conn_a", ["p1", "p2"]), ("conn_b", ["p1"])]
    assert all(line["name"] for body in desk.sns.taken for line in body["order"]["line_items"])


@pytest.mark.parametrize(
    ("error", "gap"),
    [
        (NotSupportedError("501"), "product details: this shop's integration offers none"),
        (UnavailableError("timeout"), "product details: Trackstar did not answer"),
        (ForbiddenError("403"), "product details: Trackstar refused to give them"),
        (ParameterMissingError("/orderwatch/connections/conn_a/access-token"), COULD_NOT_BE_READ),
        (RuntimeError("a bug"), COULD_NOT_BE_READ),
    ],
)
def test_product_details_that_fail_make_an_alert_plainer_and_it_says_so(desk: Desk, error: Exception, gap: str) -> None:
    summary = desk.publish(desk.put(products=("p1",)), products=Products(error))
    assert (summary.sent, summary.degraded) == (1, 1)
    [body] = desk.sns.taken
    assert body["enrichment"] == {"complete": False, "missing": [gap]}
    assert body["order"]["line_items"]


@pytest.mark.parametrize("function", ["enrich", "product_ids_of"])
def test_even_a_bug_in_the_enrichment_itself_stops_no_alert(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def explode(*arguments: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(f"orderwatch.publishing.enrich.{function}", explode)
    assert desk.publish(desk.put(2), products=Products()).sent == 2


def test_a_sender_without_a_source_says_that_the_details_were_left_out(desk: Desk) -> None:
    desk.publish(desk.put(products=("p1",)))
    [body] = desk.sns.taken
    assert body["enrichment"]["missing"] == [SKIPPED_LATE]


def test_a_bug_in_a_template_sends_the_alert_plain(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(alert: Alert) -> str:
        raise RuntimeError("a bug")

    monkeypatch.setattr("orderwatch.rendering.email.body", explode)
    [key] = desk.put()
    summary = desk.publish([key])
    assert (summary.sent, summary.plain) == (1, 1)
    assert desk.sns.sent_ids() == [key.alert_id]


# Storms (rule 12)


def test_a_storm_is_told_as_one_digest_whose_members_are_all_marked(desk: Desk) -> None:
    keys = desk.put(6)
    summary = desk.publish(keys, threshold=5)
    assert (summary.messages, summary.sent) == (1, 6)
    [body] = desk.sns.taken
    assert body["kind"] == "order.digest"
    assert sorted(alert_ids_in(body)) == ids(keys)
    assert desk.pending() == []


def test_a_digest_that_is_refused_releases_all_its_members(desk: Desk) -> None:
    keys = desk.put(6)
    desk.sns.is_down = True
    assert sorted(desk.publish(keys).unsent_keys) == sorted(keys)
    desk.sns.is_down = False
    assert desk.publish(keys).sent == 6


def test_up_to_the_threshold_each_alert_is_told_by_itself(desk: Desk) -> None:
    desk.publish(desk.put(5), threshold=5)
    assert [body["kind"] for body in desk.sns.taken] == ["order.exception"] * 5


# The topic's limits


class Watch:
    """The moments at which messages were sent."""

    def __init__(self) -> None:
        self.needs_attention = FakeClock()
        process_clock.use(self.needs_attention)
        self.topic = RecordingSns().topic
        self.sent_at: list[float] = []

    def send(self, count: int) -> None:
        self.topic.publish([message() for _ in range(count)])
        self.sent_at += [self.needs_attention.seconds] * count

    def most_in_a_second(self) -> int:
        return max(sum(1 for other in self.sent_at if 0 <= other - start < 1) for start in self.sent_at)


def message(size: int = 10) -> SnsMessage:
    return SnsMessage(
        subject="s",
        bodies={"default": "x" * size, "sqs": '{"alert_id": "1"}'},
        attributes={"k": Attribute("String", "v")},
    )


@pytest.mark.parametrize("calls", [[10, 10, 10], [9, 10], [3, 10, 4], [1] * 25, [7, 7, 7]])
def test_no_second_ever_holds_more_than_ten_messages(calls: list[int]) -> None:
    watch = Watch()
    for count in calls:
        watch.send(count)
    assert watch.most_in_a_second() <= 10


def test_the_first_ten_messages_and_those_after_a_pause_go_at_once() -> None:
    watch = Watch()
    watch.send(1)
    watch.send(9)
    assert watch.needs_attention.seconds == 1000.0
    watch.needs_attention.seconds += 1
    watch.send(10)
    assert watch.needs_attention.seconds == 1001.0


def test_a_storm_goes_out_at_ten_a_second_and_no_slower() -> None:
    watch = Watch()
    for _ in range(10):
        watch.send(10)
    assert watch.needs_attention.seconds - 1000.0 == pytest.approx(9.0)


def test_at_most_ten_messages_go_in_one_request() -> None:
    sns = RecordingSns()
    assert len(sns.topic.publish([message() for _ in range(25)])) == 25
    assert [len(batch) for batch in sns.batches] == [BATCH, BATCH, 5]


def test_no_request_holds_more_than_256_kb() -> None:
    sns = RecordingSns()
    large = [message(100_000) for _ in range(5)]
    sns.topic.publish([*large, message(250_000)])
    assert [len(batch) for batch in sns.batches] == [2, 2, 1, 1]
    assert all(sum(len(entry["Message"]) for entry in batch) < MAX_BATCH_BYTES for batch in sns.batches)


def test_a_message_carries_its_subject_its_bodies_and_its_attributes() -> None:
    sns = RecordingSns()
    sns.topic.publish([message()])
    [[entry]] = sns.batches
    assert (entry["Subject"], entry["MessageStructure"]) == ("s", "json")
    assert entry["MessageAttributes"] == {"k": {"DataType": "String", "StringValue": "v"}}


def test_ids_come_back_in_the_order_of_the_messages_whatever_order_sns_answers_in() -> None:
    class Backwards(RecordingSns):
        def publish_batch(self, **request: object) -> dict[str, object]:
            answer = super().publish_batch(**request)
            return {"Successful": answer["Successful"][::-1], "Failed": []}

    assert Backwards().topic.publish([message() for _ in range(3)]) == ["message-1", "message-2", "message-3"]
