"""Which alerts a topic without subscribers gets, through which channels, and how often (rule 16)."""

from datetime import UTC, datetime, timedelta

import pytest

from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import Recipients
from orderwatch.publishing.subscription_monitor import (
    MonitoredTopic,
    Subscription,
    SubscriptionProblem,
    monitor_subscriptions,
)
from tests.support.clocks import ManualClock
from tests.support.cloud import Tables

EMAIL = Subscription("email", is_confirmed=True)
PENDING = Subscription("email", is_confirmed=False)
LAMBDA = Subscription("lambda", is_confirmed=True)
SLACK = Subscription("sqs", is_confirmed=True, queue="slack")
EVERY = timedelta(minutes=15)


def alert_topic(*subscriptions: Subscription, slack: bool = False) -> MonitoredTopic:
    return MonitoredTopic(
        "AlertTopic", "arn:alerts", subscriptions, expects_email=True, expects_queue="slack" if slack else ""
    )


def ops_topic(*subscriptions: Subscription) -> MonitoredTopic:
    return MonitoredTopic("OpsTopic", "arn:ops", subscriptions, expects_email=False)


class Slack:
    """The Slack queue; it refuses messages while `is_down`."""

    def __init__(self) -> None:
        self.sent: list[Alert] = []
        self.is_down = False

    def send(self, alert: Alert) -> None:
        if self.is_down:
            raise ConnectionError
        self.sent.append(alert)


class Stack:
    """AlertTable, optionally Slack, and a run every 15 minutes from noon."""

    def __init__(self, *, slack: bool = False) -> None:
        self.clock = ManualClock(datetime(2026, 1, 5, 12, tzinfo=UTC))
        clock.use(self.clock)
        self.tables = Tables.in_memory()
        self.slack = Slack() if slack else None

    def run(self, *topics: MonitoredTopic) -> list[Alert]:
        self.clock.advance(EVERY)
        return monitor_subscriptions(topics, outbox=self.tables.alerts, slack=self.slack, now=self.clock.now())

    def kinds(self, *topics: MonitoredTopic) -> list[str]:
        return [alert.kind for alert in self.run(*topics)]

    def written(self) -> list[Alert]:
        return self.tables.all_alerts()


@pytest.mark.parametrize(
    ("topic", "problem"),
    [
        (alert_topic(), SubscriptionProblem.NOBODY),
        (alert_topic(PENDING), SubscriptionProblem.NOBODY),
        (alert_topic(LAMBDA), SubscriptionProblem.NO_EMAIL),
        (alert_topic(LAMBDA, PENDING), SubscriptionProblem.NO_EMAIL),
        (alert_topic(EMAIL), None),
        (alert_topic(EMAIL, PENDING), None),
        (alert_topic(EMAIL, slack=True), SubscriptionProblem.NO_SLACK),
        (alert_topic(SLACK, slack=True), SubscriptionProblem.NO_EMAIL),
        (alert_topic(EMAIL, SLACK, slack=True), None),
        (ops_topic(LAMBDA), None),
        (ops_topic(), SubscriptionProblem.NOBODY),
    ],
)
def test_the_problem_of_a_topic(topic: MonitoredTopic, problem: SubscriptionProblem | None) -> None:
    assert topic.problem is problem


@pytest.mark.parametrize(
    ("other", "slack", "is_sent"),
    [
        (ops_topic(EMAIL), True, True),
        (ops_topic(EMAIL), False, True),
        (ops_topic(PENDING), True, True),
        (ops_topic(PENDING), False, False),
    ],
)
def test_an_alert_needs_an_open_channel(other: MonitoredTopic, slack: bool, is_sent: bool) -> None:
    assert bool(Stack(slack=slack).run(alert_topic(), other)) is is_sent


def test_a_lost_subscriber_is_alerted_once_a_day_and_once_at_the_end() -> None:
    stack = Stack()
    assert stack.kinds(alert_topic(EMAIL), ops_topic(EMAIL)) == []
    assert stack.kinds(alert_topic(), ops_topic(EMAIL)) == ["topic.no_subscribers"]
    assert stack.kinds(alert_topic(PENDING), ops_topic(EMAIL)) == []
    assert stack.kinds(alert_topic(EMAIL), ops_topic(EMAIL)) == ["topic.resubscribed"]
    assert stack.kinds(alert_topic(EMAIL), ops_topic(EMAIL)) == []
    assert [alert.recipients for alert in stack.written()] == [Recipients.OPERATORS] * 2


def test_a_problem_is_repeated_every_day_until_it_is_solved() -> None:
    stack = Stack()
    for _ in range(3 * 96):
        stack.run(alert_topic(), ops_topic(EMAIL))
    days = [row["created_at"]["S"][:10] for row in stack.tables.rows("AlertTable")]
    assert days == ["2026-01-05", "2026-01-06", "2026-01-07", "2026-01-08"]
    assert stack.kinds(alert_topic(EMAIL), ops_topic(EMAIL)) == ["topic.resubscribed"]
    assert [stack.kinds(alert_topic(EMAIL), ops_topic(EMAIL)) for _ in range(40 * 96)] == [[]] * 40 * 96


def test_a_problem_that_returns_on_the_same_day_is_alerted_again() -> None:
    stack = Stack()
    for _ in range(3):
        assert stack.kinds(alert_topic(), ops_topic(EMAIL)) == ["topic.no_subscribers"]
        assert stack.kinds(alert_topic(EMAIL), ops_topic(EMAIL)) == ["topic.resubscribed"]
    assert len({alert.alert_id for alert in stack.written()}) == 6


def test_another_problem_of_the_same_topic_is_alerted_at_once() -> None:
    stack = Stack()
    stack.run(alert_topic(LAMBDA), ops_topic(EMAIL))
    assert stack.kinds(alert_topic(), ops_topic(EMAIL)) == ["topic.no_subscribers"]
    assert stack.kinds(alert_topic(LAMBDA), ops_topic(EMAIL)) == [], "that topic had its alert of the day"
    assert stack.kinds(alert_topic(EMAIL), ops_topic(EMAIL)) == ["topic.resubscribed"]


def test_a_problem_of_the_operators_topic_goes_to_everybody() -> None:
    stack = Stack()
    [alert] = stack.run(alert_topic(EMAIL), ops_topic())
    assert (alert.connection.id, alert.recipients) == ("OpsTopic", Recipients.EVERYBODY)
    assert "aws sns subscribe --topic-arn arn:ops" in (alert.next_step or "")


def test_without_a_channel_the_alert_is_sent_when_one_opens() -> None:
    stack = Stack()
    assert stack.kinds(alert_topic(PENDING), ops_topic(PENDING)) == []
    [alert] = stack.run(alert_topic(PENDING), ops_topic(EMAIL))
    assert (alert.kind, alert.connection.id) == ("topic.no_subscribers", "AlertTopic")
    assert stack.kinds(alert_topic(EMAIL), ops_topic(EMAIL)) == ["topic.resubscribed"]


def test_the_end_is_alerted_when_a_channel_opens_days_later() -> None:
    stack = Stack()
    stack.run(alert_topic(), ops_topic(EMAIL))
    for _ in range(5 * 96):
        stack.run(alert_topic(), ops_topic())
    assert stack.kinds(alert_topic(EMAIL), ops_topic()) == ["topic.no_subscribers"], "about OpsTopic"
    assert stack.kinds(alert_topic(EMAIL), ops_topic(EMAIL)) == ["topic.resubscribed"] * 2


def test_slack_gets_the_alert_directly_if_both_topics_are_dead() -> None:
    stack = Stack(slack=True)
    assert stack.kinds(alert_topic(slack=True), ops_topic()) == ["topic.no_subscribers"] * 2
    assert stack.kinds(alert_topic(slack=True), ops_topic()) == []
    assert stack.slack
    assert [alert.connection.id for alert in stack.slack.sent] == ["AlertTopic", "OpsTopic"]
    assert stack.kinds(alert_topic(EMAIL, SLACK, slack=True), ops_topic(EMAIL)) == ["topic.resubscribed"] * 2


def test_slack_and_the_other_topic_get_the_same_alert_id() -> None:
    stack = Stack(slack=True)
    stack.run(alert_topic(EMAIL, SLACK, slack=True), ops_topic())
    assert stack.slack
    assert stack.slack.sent == stack.written()


def test_a_run_that_fails_is_repeated_with_the_same_id() -> None:
    stack = Stack(slack=True)
    assert stack.slack
    stack.slack.is_down = True
    for _ in range(2):
        with pytest.raises(ConnectionError):
            stack.run(alert_topic(EMAIL, SLACK, slack=True), ops_topic())
    assert stack.written() == []
    stack.slack.is_down = False
    assert stack.run(alert_topic(EMAIL, SLACK, slack=True), ops_topic()) == stack.written()
    assert len(stack.written()) == 1


def test_a_run_killed_before_the_write_repeats_the_slack_id(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack(slack=True)
    assert stack.slack

    def die(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("orderwatch.aws.alert_table.AlertTable.put", die)
        with pytest.raises(ConnectionError):
            stack.run(alert_topic(EMAIL, SLACK, slack=True), ops_topic())
    stack.run(alert_topic(EMAIL, SLACK, slack=True), ops_topic())
    first, second = stack.slack.sent
    assert first == second == stack.written()[0]


def test_an_index_that_lags_behind_causes_no_second_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack()
    stack.run(alert_topic(), ops_topic(EMAIL))
    with monkeypatch.context() as patch:
        patch.setattr("orderwatch.aws.alert_table.AlertTable.alerts_since", lambda *_: [])
        stack.run(alert_topic(), ops_topic(EMAIL))
        stack.run(alert_topic(EMAIL), ops_topic(EMAIL))
    assert [alert.kind for alert in stack.written()] == ["topic.no_subscribers"]
    assert stack.kinds(alert_topic(EMAIL), ops_topic(EMAIL)) == ["topic.resubscribed"]


def test_two_runs_at_once_write_one_alert() -> None:
    stack = Stack()
    topics = (alert_topic(), ops_topic(EMAIL))
    outbox = stack.tables.alerts
    before = outbox.alerts_since("AlertTopic", stack.clock.now() - timedelta(days=1))
    stack.run(*topics)

    class Behind:
        """The table as a run sees it that read before the other one wrote."""

        unsent, acquire, release = outbox.unsent, outbox.acquire, outbox.release
        mark_sent, put = outbox.mark_sent, outbox.put

        def alerts_since(self, *_: object) -> list[Alert]:
            return before

    monitor_subscriptions(topics, outbox=Behind(), slack=None, now=stack.clock.now())
    assert len(stack.written()) == 1


def test_nothing_is_written_while_every_topic_has_subscribers() -> None:
    stack = Stack(slack=True)
    assert stack.kinds(alert_topic(EMAIL, SLACK, slack=True), ops_topic(EMAIL)) == []
    assert stack.written() == []
