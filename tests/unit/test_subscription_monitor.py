"""Which alerts a topic without subscribers gets, through which channels, and how often (rule 16)."""

import json
from datetime import timedelta

import pytest

from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import Recipients
from orderwatch.aws.alert_table import AlertTable
from orderwatch.observability import metrics
from orderwatch.publishing.subscription_monitor import (
    MonitoredTopic,
    Subscription,
    SubscriptionProblem,
    monitor_subscriptions,
)
from tests.support.clocks import NOON, FakeClock
from tests.support.cloud import Tables

EMAIL = Subscription("email", is_confirmed=True)
EMAIL_JSON = Subscription("email-json", is_confirmed=True)
PENDING = Subscription("email", is_confirmed=False)
LAMBDA = Subscription("lambda", is_confirmed=True)
SLACK = Subscription("sqs", is_confirmed=True, queue="slack")
OTHER_QUEUE = Subscription("sqs", is_confirmed=True, queue="other")
EVERY, DAY = timedelta(minutes=15), timedelta(days=1)
LOSS, END = "topic.no_subscribers", "topic.resubscribed"
NOBODY, NO_EMAIL, NO_SLACK = SubscriptionProblem


def alert_topic(*subscriptions: Subscription, slack: bool = False) -> MonitoredTopic:
    queue = "slack" if slack else ""
    return MonitoredTopic("AlertTopic", "arn:alerts", subscriptions, expects_email=True, expects_queue=queue)


def ops_topic(*subscriptions: Subscription) -> MonitoredTopic:
    return MonitoredTopic("OpsTopic", "arn:ops", subscriptions, expects_email=False)


OPS, NO_OPS = ops_topic(EMAIL), ops_topic(PENDING)
ALERTS = alert_topic(EMAIL, SLACK, slack=True)


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
    """AlertTable, the Slack queue if Slack is on, and a run every 15 minutes from noon."""

    def __init__(self, *, slack: bool = False) -> None:
        self.clock = FakeClock(NOON)
        clock.use(self.clock)
        self.tables = Tables.in_memory()
        self.slack = Slack()
        self.has_slack = slack

    def run(self, *topics: MonitoredTopic, after: timedelta = EVERY) -> list[Alert]:
        self.clock.advance(after)
        slack = self.slack if self.has_slack else None
        return monitor_subscriptions(topics, outbox=self.tables.alerts, slack=slack, now=self.clock.now())

    def kinds(self, *topics: MonitoredTopic, after: timedelta = EVERY) -> list[str]:
        return [alert.kind for alert in self.run(*topics, after=after)]

    def written(self) -> list[Alert]:
        return self.tables.all_alerts()


@pytest.fixture
def stack() -> Stack:
    """A stack without Slack."""
    return Stack()


@pytest.fixture
def with_slack() -> Stack:
    return Stack(slack=True)


@pytest.mark.parametrize(
    ("topic", "problem"),
    [
        (alert_topic(), NOBODY),
        (alert_topic(PENDING), NOBODY),
        (alert_topic(LAMBDA), NO_EMAIL),
        (alert_topic(LAMBDA, PENDING), NO_EMAIL),
        (alert_topic(EMAIL), None),
        (alert_topic(EMAIL_JSON, PENDING), None),
        (alert_topic(EMAIL, OTHER_QUEUE, slack=True), NO_SLACK),
        (alert_topic(SLACK, slack=True), NO_EMAIL),
        (alert_topic(EMAIL, SLACK, slack=True), None),
        (ops_topic(LAMBDA), None),
        (ops_topic(), NOBODY),
    ],
)
def test_the_problem_of_a_topic(topic: MonitoredTopic, problem: SubscriptionProblem | None) -> None:
    assert topic.problem is problem


@pytest.mark.parametrize(
    ("topic", "detail", "next_step"),
    [
        (
            alert_topic(),
            "AlertTopic has no confirmed subscriber. Its messages are lost.",
            "run: orderwatch subscribe EMAIL",
        ),
        (
            ops_topic(PENDING, PENDING),
            "OpsTopic has no confirmed subscriber (2 not confirmed yet). Its messages are lost.",
            "run: orderwatch subscribe EMAIL --operators",
        ),
        (
            alert_topic(LAMBDA, PENDING),
            "no confirmed e-mail address (1 not confirmed yet).",
            "run: orderwatch subscribe EMAIL",
        ),
        (
            alert_topic(EMAIL, slack=True),
            "Slack does not receive the messages of AlertTopic.",
            "the command that this shows: orderwatch doctor",
        ),
    ],
)
def test_an_alert_says_what_is_wrong_and_what_to_do(
    with_slack: Stack, topic: MonitoredTopic, detail: str, next_step: str
) -> None:
    [alert] = with_slack.run(topic)
    assert detail in (alert.detail or "")
    assert next_step in (alert.next_step or "")
    [resolved] = with_slack.run(MonitoredTopic(topic.name, topic.arn, [EMAIL, PENDING], expects_email=True))
    assert resolved.detail == f"{topic.name} has all expected subscriptions: 1 confirmed (1 not confirmed yet)."
    assert resolved.next_step is None


@pytest.mark.parametrize(
    ("other", "slack", "is_sent"),
    [(OPS, True, True), (OPS, False, True), (ops_topic(PENDING), True, True), (ops_topic(PENDING), False, False)],
)
def test_an_alert_needs_an_open_channel(other: MonitoredTopic, slack: bool, is_sent: bool) -> None:
    assert bool(Stack(slack=slack).run(alert_topic(), other)) is is_sent


LOST, UNCONFIRMED, WITHOUT_EMAIL, FINE = alert_topic(), alert_topic(PENDING), alert_topic(LAMBDA), alert_topic(EMAIL)


@pytest.mark.parametrize(
    "runs",
    [
        [(FINE, OPS, []), (LOST, OPS, [LOSS]), (UNCONFIRMED, OPS, []), (FINE, OPS, [END]), (FINE, OPS, [])],
        [(LOST, OPS, [LOSS]), (FINE, OPS, [END])] * 3,
        [(WITHOUT_EMAIL, OPS, [LOSS]), (LOST, OPS, [LOSS]), (WITHOUT_EMAIL, OPS, []), (FINE, OPS, [END])],
        [(UNCONFIRMED, NO_OPS, []), (UNCONFIRMED, OPS, [LOSS]), (FINE, NO_OPS, [LOSS]), (FINE, OPS, [END] * 2)],
        [(LOST, OPS, [LOSS]), (LOST, NO_OPS, []), (LOST, NO_OPS, []), (FINE, OPS, [END])],
    ],
    ids=["once", "again on the same day", "another problem", "no channel at first", "no channel for the end"],
)
def test_a_problem_is_alerted_when_it_begins_and_ends(
    stack: Stack, runs: list[tuple[MonitoredTopic, MonitoredTopic, list[str]]]
) -> None:
    assert [stack.kinds(alerts, operators) for alerts, operators, _ in runs] == [expected for _, _, expected in runs]
    assert len({alert.alert_id for alert in stack.written()}) == sum(len(expected) for _, _, expected in runs)


@pytest.mark.parametrize(
    ("topics", "recipients"),
    [((LOST, OPS), Recipients.OPERATORS), ((FINE, NO_OPS), Recipients.EVERYBODY)],
    ids=["AlertTopic", "OpsTopic"],
)
def test_a_problem_of_a_topic_is_alerted_through_the_other(
    stack: Stack, topics: tuple[MonitoredTopic, MonitoredTopic], recipients: Recipients
) -> None:
    [alert] = stack.run(*topics)
    [end] = stack.run(FINE, OPS)
    assert alert.recipients is end.recipients is recipients


def test_a_problem_is_repeated_every_day_until_it_is_solved(stack: Stack) -> None:
    for _ in range(3 * 12):
        stack.run(alert_topic(), OPS, after=timedelta(hours=2))
    days = [row["created_at"]["S"][:10] for row in stack.tables.rows("AlertTable")]
    assert days == ["2026-01-05", "2026-01-06", "2026-01-07", "2026-01-08"]
    assert stack.kinds(alert_topic(EMAIL), OPS) == [END]
    assert [stack.kinds(alert_topic(EMAIL), OPS, after=DAY) for _ in range(40)] == [[]] * 40


@pytest.mark.parametrize(("days", "end"), [(30, [END]), (31, [])])
def test_an_end_is_alerted_up_to_30_days_later(stack: Stack, days: int, end: list[str]) -> None:
    stack.run(alert_topic(), OPS)
    assert stack.kinds(alert_topic(EMAIL), OPS, after=days * DAY) == end


def test_slack_gets_the_alert_directly_if_both_topics_are_dead(with_slack: Stack) -> None:
    assert with_slack.kinds(alert_topic(slack=True), ops_topic()) == [LOSS] * 2
    assert with_slack.kinds(alert_topic(slack=True), ops_topic()) == []
    assert [alert.connection.id for alert in with_slack.slack.sent] == ["AlertTopic", "OpsTopic"]
    assert with_slack.slack.sent == with_slack.written(), "the other channels get the same ids"
    assert with_slack.kinds(ALERTS, OPS) == [END] * 2


def die(*arguments: object) -> None:
    raise ConnectionError


def test_a_run_that_fails_is_repeated_with_the_same_id(with_slack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    with_slack.slack.is_down = True
    with pytest.raises(ConnectionError):
        with_slack.run(ALERTS, ops_topic())
    assert with_slack.written() == []
    with_slack.slack.is_down = False
    with monkeypatch.context() as patch:
        patch.setattr(AlertTable, "put", die)
        with pytest.raises(ConnectionError):
            with_slack.run(ALERTS, ops_topic())
    with_slack.run(ALERTS, ops_topic())
    first, second = with_slack.slack.sent
    assert [first] == [second] == with_slack.written()


def test_an_index_that_lags_behind_causes_no_second_alert(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.run(alert_topic(), OPS)
    with monkeypatch.context() as patch:
        patch.setattr(AlertTable, "alerts_since", lambda *arguments: [])
        stack.run(alert_topic(), OPS)
        stack.run(alert_topic(EMAIL), OPS)
    assert [alert.kind for alert in stack.written()] == [LOSS]
    assert stack.kinds(alert_topic(EMAIL), OPS) == [END]


@pytest.mark.parametrize(
    ("topics", "count"),
    [((alert_topic(), ops_topic()), [2.0]), ((alert_topic(), OPS), [1.0]), ((alert_topic(EMAIL), OPS), None)],
)
def test_topics_with_a_problem_are_counted_in_every_run(
    stack: Stack, capsys: pytest.CaptureFixture[str], topics: tuple[MonitoredTopic, ...], count: list[float] | None
) -> None:
    for _ in range(2):
        metrics.clear_metrics()
        stack.run(*topics)
        metrics.flush_metrics()
        output = capsys.readouterr().out
        assert (json.loads(output)["TopicsWithoutSubscribers"] if output else None) == count
