"""What is told of a topic that does not reach people, by which way, and how often (rule 16)."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import Recipients
from orderwatch.publishing.subscription_monitor import (
    Channel,
    Notice,
    Subscription,
    SubscriptionProblem,
    Topic,
    TopicSubscriptions,
    monitor_subscriptions,
)
from tests.support.clocks import BEGINS_AT

EMAIL = Subscription("email", is_confirmed=True)
PENDING = Subscription("email", is_confirmed=False)
LAMBDA = Subscription("lambda", is_confirmed=True)
SLACK = Subscription("sqs", is_confirmed=True, queue="slack")


def alert_topic(*subscriptions: Subscription, slack: bool = False) -> Topic:
    return Topic("AlertTopic", "arn:alerts", subscriptions, expects_email=True, expects_queue="slack" if slack else "")


def ops_topic(*subscriptions: Subscription) -> Topic:
    return Topic("OpsTopic", "arn:ops", subscriptions, expects_email=False)


class Memory:
    """A row and an outbox; `has_lost` lets another process save first."""

    def __init__(self) -> None:
        self.recipients = TopicSubscriptions()
        self.alerts: list[Alert] = []
        self.has_lost = False

    def load(self) -> TopicSubscriptions:
        return self.recipients

    def save(self, recipients: TopicSubscriptions, *, alerts: Sequence[Alert]) -> TopicSubscriptions | None:
        if self.has_lost:
            return None
        self.recipients = recipients.model_copy(update={"revision": recipients.revision + 1})
        self.alerts += alerts
        return self.recipients


class Feed:
    """SlackQueue; `dies` before it takes anything."""

    def __init__(self) -> None:
        self.sent: list[Alert] = []
        self.dies = False

    def send(self, alert: Alert) -> None:
        if self.dies:
            raise ConnectionError
        self.sent.append(alert)


class Desk:
    """Looks at the topics every quarter of an hour."""

    def __init__(self, *, slack: bool = False) -> None:
        self.store, self.slack = Memory(), Feed() if slack else None
        self.now = BEGINS_AT

    def look(self, *topics: Topic) -> Sequence[Notice]:
        self.now += timedelta(minutes=15)
        return monitor_subscriptions(topics, store=self.store, slack=self.slack, now=self.now)

    def alerted(self, *topics: Topic) -> list[tuple[str, str]]:
        """Each kind with its way."""
        return [(notice.alert.kind, notice.way) for notice in self.look(*topics)]


@pytest.mark.parametrize(
    ("topic", "trouble"),
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
def test_what_is_wrong_with_a_topic(topic: Topic, trouble: SubscriptionProblem | None) -> None:
    assert topic.trouble is trouble


def test_a_topic_that_lost_its_last_listener_is_told_once_through_the_other_one_and_its_end_too() -> None:
    desk = Desk()
    assert desk.alerted(alert_topic(EMAIL), ops_topic(EMAIL)) == []
    assert desk.alerted(alert_topic(), ops_topic(EMAIL)) == [("topic.no_subscribers", Channel.OTHER_TOPIC)]
    assert desk.alerted(alert_topic(PENDING), ops_topic(EMAIL)) == []
    assert desk.alerted(alert_topic(EMAIL), ops_topic(EMAIL)) == [("topic.resubscribed", Channel.OTHER_TOPIC)]
    assert desk.alerted(alert_topic(EMAIL), ops_topic(EMAIL)) == []
    assert [alert.recipients for alert in desk.store.alerts] == [Recipients.OPERATORS] * 2


def test_trouble_of_the_operators_topic_goes_through_the_alerts_topic() -> None:
    desk = Desk()
    desk.look(alert_topic(EMAIL), ops_topic())
    [alert] = desk.store.alerts
    assert (alert.connection.id, alert.recipients) == ("OpsTopic", Recipients.EVERYBODY)
    assert "aws sns subscribe --topic-arn arn:ops" in (alert.next_step or "")


def test_where_nobody_hears_either_topic_it_is_told_as_soon_as_somebody_does() -> None:
    desk = Desk()
    assert desk.alerted(alert_topic(PENDING), ops_topic(PENDING)) == []
    assert desk.alerted(alert_topic(PENDING), ops_topic(EMAIL)) == [("topic.no_subscribers", Channel.OTHER_TOPIC)]
    [alert] = desk.store.alerts
    assert alert.connection.id == "AlertTopic"
    assert desk.alerted(alert_topic(EMAIL), ops_topic(EMAIL)) == [("topic.resubscribed", Channel.OTHER_TOPIC)]


def test_slack_is_told_past_both_topics_even_if_nobody_hears_either() -> None:
    desk = Desk(slack=True)
    assert desk.alerted(alert_topic(slack=True), ops_topic()) == [("topic.no_subscribers", Channel.SLACK)] * 2
    assert desk.alerted(alert_topic(slack=True), ops_topic()) == []
    assert desk.slack
    assert [alert.connection.id for alert in desk.slack.sent] == ["AlertTopic", "OpsTopic"]


def test_one_trouble_has_one_id_by_whatever_way_and_whenever_it_is_told() -> None:
    desk = Desk(slack=True)
    desk.look(alert_topic(EMAIL, SLACK, slack=True), ops_topic())
    assert desk.slack
    assert [alert.alert_id for alert in desk.slack.sent] == [alert.alert_id for alert in desk.store.alerts]


def test_a_trouble_that_becomes_another_one_is_told_anew() -> None:
    desk = Desk()
    desk.look(alert_topic(LAMBDA), ops_topic(EMAIL))
    assert desk.alerted(alert_topic(), ops_topic(EMAIL)) == [("topic.no_subscribers", Channel.OTHER_TOPIC)]
    first, second = desk.store.alerts
    assert first.alert_id != second.alert_id


def test_who_dies_before_it_is_told_tells_it_the_next_time_under_the_same_id() -> None:
    desk = Desk(slack=True)
    assert desk.slack
    desk.slack.dies = True
    with pytest.raises(ConnectionError):
        desk.look(alert_topic(EMAIL, SLACK, slack=True), ops_topic())
    assert desk.store.alerts == []
    began_at = desk.store.recipients.topics["OpsTopic"].since
    desk.slack.dies = False
    assert len(desk.alerted(alert_topic(EMAIL, SLACK, slack=True), ops_topic())) == 2
    assert desk.store.recipients.topics["OpsTopic"].since == began_at < desk.now


def test_of_two_runs_at_once_one_tells() -> None:
    desk = Desk(slack=True)
    desk.store.has_lost = True
    assert desk.alerted(alert_topic(EMAIL, slack=True), ops_topic()) == []


def test_all_well_writes_nothing() -> None:
    desk = Desk()
    desk.look(alert_topic(EMAIL), ops_topic(EMAIL))
    assert desk.store.recipients.revision == 0
