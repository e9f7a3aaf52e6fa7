"""Whether somebody hears the topics (rule 16): who is subscribed now, against what was told before.

A topic that nobody hears takes every message and says that it was sent. So its trouble is told through another way: the
other topic, where that one is heard, and SlackQueue itself, where Slack is on. A way that is closed is told when it
opens. What a way was told last is remembered: a trouble is told once to each, and its end too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from orderwatch.alerts.alert import Alert, connection_alert
from orderwatch.alerts.kinds import ALERT_TOPIC, KIND_NO_SUBSCRIBERS, KIND_RESUBSCRIBED, Recipients
from orderwatch.alerts.parts import AlertConnection
from orderwatch.model import Model
from orderwatch.observability import count_nonzero, logger

EMAIL = {"email", "email-json"}


class SubscriptionProblem(StrEnum):
    """What is wrong with a topic's subscriptions."""

    NOBODY = "nobody"
    NO_EMAIL = "no_email"
    NO_SLACK = "no_slack"


class Channel(StrEnum):
    """By what people are told of a topic that does not reach them."""

    OTHER_TOPIC = "other_topic"
    SLACK = "slack"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription, without its endpoint: an address is personal.

    Attributes:
        protocol: Such as `email` or `sqs`.
        is_confirmed: One that still waits for it gets nothing.
        queue: The queue's name, of `sqs` alone.
    """

    protocol: str
    is_confirmed: bool
    queue: str = ""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and its subscriptions as they are now.

    Attributes:
        name: `AlertTopic` or `OpsTopic`.
        arn: Where one subscribes.
        subscriptions: All of them.
        expects_email: Whether the deployment names an address for it.
        expects_queue: The queue that Slack is fed from; empty where Slack is off, and for OpsTopic.
    """

    name: str
    arn: str
    subscriptions: Sequence[Subscription]
    expects_email: bool
    expects_queue: str = ""

    @property
    def confirmed(self) -> int:
        """How many hear it."""
        return sum(each.is_confirmed for each in self.subscriptions)

    @property
    def pending(self) -> int:
        """How many would hear it if they confirmed."""
        return len(self.subscriptions) - self.confirmed

    @property
    def trouble(self) -> SubscriptionProblem | None:
        """The worst that is wrong.

        The expected e-mail is any confirmed one: to compare addresses, they would have to be kept here.
        """
        hearing = [each for each in self.subscriptions if each.is_confirmed]
        if not hearing:
            return SubscriptionProblem.NOBODY
        if self.expects_email and not any(each.protocol in EMAIL for each in hearing):
            return SubscriptionProblem.NO_EMAIL
        if self.expects_queue and self.expects_queue not in {each.queue for each in hearing}:
            return SubscriptionProblem.NO_SLACK
        return None


class TopicState(Model):
    """What is known of a topic.

    Attributes:
        trouble: Of the last look; None: all is well.
        since: When it began, by our clock.
        alerted: The trouble that each way was told last and not the end of.
    """

    trouble: SubscriptionProblem | None
    since: datetime
    alerted: Mapping[Channel, SubscriptionProblem] = {}


class TopicSubscriptions(Model):
    """What is known of the topics, by their names; one that was never in trouble is not there.

    Attributes:
        revision: Of the row: who saves it on top of another one is refused.
    """

    revision: int = 0
    topics: Mapping[str, TopicState] = {}


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be told by a way."""

    way: Channel
    topic: str
    alert: Alert


class SubscriptionStore(Protocol):
    """Where the knowledge is kept."""

    def load(self) -> TopicSubscriptions:
        """As it was saved last."""

    def save(self, recipients: TopicSubscriptions, *, alerts: Sequence[Alert]) -> TopicSubscriptions | None:
        """Save it and put the alerts, in one write; None where another process saved first."""


class SlackFeed(Protocol):
    """The queue of post_to_slack."""

    def send(self, alert: Alert) -> None:
        """Put an alert in, past the topics."""


def monitor_subscriptions(
    topics: Sequence[Topic], *, store: SubscriptionStore, slack: SlackFeed | None, now: datetime
) -> Sequence[Notice]:
    """Look at the topics and tell what is new, through the ways that are open.

    The state is saved before anything is told, so that a second process, or the next one after a death, tells it under
    the same ids; Slack drops such a repeat.

    Args:
        topics: Both of them.
        store: What was known before.
        slack: None where Slack is off.
        now: Our clock.
    """
    before = store.load()
    observed = observe(before, topics, now=now)
    recipients = before if observed == before else store.save(observed, alerts=[])
    if recipients is None:
        logger.info("another run looks at the subscriptions")
        return []
    notices = list(pending_notifications(recipients, topics, has_slack=slack is not None))
    for notice in notices:
        if slack and notice.way is Channel.SLACK:
            slack.send(notice.alert)
    if notices:
        outgoing = [notice.alert for notice in notices if notice.way is Channel.OTHER_TOPIC]
        store.save(after_telling(recipients, notices), alerts=outgoing)
    _log(notices)
    return notices


def _log(notices: Sequence[Notice]) -> None:
    for notice in notices:
        alerted = {
            "topic": notice.topic,
            "way": notice.way,
            "kind": notice.alert.kind,
            "alert_ids": [notice.alert.alert_id],
        }
        logger.warning("subscriptions changed", extra=alerted)


def report(topics: Sequence[Topic]) -> None:
    """Count the topics in trouble."""
    count_nonzero({"TopicsWithoutSubscribers": sum(topic.trouble is not None for topic in topics)})


def observe(recipients: TopicSubscriptions, topics: Sequence[Topic], *, now: datetime) -> TopicSubscriptions:
    """The knowledge after a look."""
    known = dict(recipients.topics)
    for topic in topics:
        state = known.get(topic.name, TopicState(trouble=None, since=now))
        if topic.trouble is not state.trouble:
            known[topic.name] = state.model_copy(update={"trouble": topic.trouble, "since": now})
    return recipients.model_copy(update={"topics": known})


def pending_notifications(
    recipients: TopicSubscriptions, topics: Sequence[Topic], *, has_slack: bool
) -> Iterator[Notice]:
    """What each open way does not know yet."""
    for topic in topics:
        state = recipients.topics.get(topic.name)
        if state is None:
            continue
        for way in _open_ways(topic, topics, has_slack=has_slack):
            if state.alerted.get(way) is not state.trouble:
                yield Notice(way, topic.name, _alert(topic, state))


def after_telling(recipients: TopicSubscriptions, notices: Sequence[Notice]) -> TopicSubscriptions:
    """The knowledge once these were told."""
    known = dict(recipients.topics)
    for notice in notices:
        state = known[notice.topic]
        alerted = {way: trouble for way, trouble in state.alerted.items() if way is not notice.way}
        alerted |= {notice.way: state.trouble} if state.trouble else {}
        known[notice.topic] = state.model_copy(update={"alerted": alerted})
    return recipients.model_copy(update={"topics": known})


def _open_ways(topic: Topic, topics: Sequence[Topic], *, has_slack: bool) -> Iterator[Channel]:
    if any(other.confirmed for other in topics if other.name != topic.name):
        yield Channel.OTHER_TOPIC
    if has_slack:
        yield Channel.SLACK


def _alert(topic: Topic, state: TopicState) -> Alert:
    return connection_alert(
        KIND_NO_SUBSCRIBERS if state.trouble else KIND_RESUBSCRIBED,
        connection=AlertConnection(id=topic.name),
        since=state.since,
        detail=_detail(topic, state.trouble),
        next_step=_next_step(topic, state.trouble),
        subject=[state.trouble or ""],
        recipients=Recipients.OPERATORS if topic.name == ALERT_TOPIC else Recipients.EVERYBODY,
    )


def _detail(topic: Topic, trouble: SubscriptionProblem | None) -> str:
    waiting = f" ({topic.pending} not confirmed yet)" if topic.pending else ""
    match trouble:
        case SubscriptionProblem.NOBODY:
            return f"Nobody is subscribed to {topic.name}{waiting}: what it sends is lost."
        case SubscriptionProblem.NO_EMAIL:
            return (
                f"No e-mail address is subscribed to {topic.name} any more{waiting}: perhaps somebody or a mail "
                "scanner followed the unsubscribe link."
            )
        case SubscriptionProblem.NO_SLACK:
            return f"Slack no longer gets what {topic.name} sends: its queue is not subscribed."
    return f"{topic.name} has the subscriptions that it should have: {topic.confirmed} confirmed{waiting}."


def _next_step(topic: Topic, trouble: SubscriptionProblem | None) -> str | None:
    """The command that mends it; None where nothing is to be mended."""
    if trouble is None:
        return None
    by_email = "--protocol email --notification-endpoint ADDRESS"
    by_queue = "--protocol sqs --attributes RawMessageDelivery=true --notification-endpoint ARN_OF_THE_QUEUE"
    how = by_queue if trouble is SubscriptionProblem.NO_SLACK else by_email
    return f"Run: aws sns subscribe --topic-arn {topic.arn} {how}"
