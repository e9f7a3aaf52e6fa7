"""Check that every topic has a confirmed subscriber (rule 16).

SNS accepts a message to a topic without subscribers and drops it. So an alert about one topic goes through another
channel: the other topic, if that has a confirmed subscriber, and the Slack queue, if Slack is on.

The only state is the alerts about a topic. AlertTable stores them under the name of the topic:

- A problem gets one alert a day (UTC), as a reminder until it is solved. The alert id derives from the topic, the
  problem, the date and the last `topic.resubscribed`. So a problem that returns on the same day is alerted again.
- If the newest alert is about a problem and the topic has no problem now, one `topic.resubscribed` follows. Its id
  derives from the id of that newest alert.
- While no channel is open, nothing is written. The first run with an open channel sends the alert.

An alert goes to Slack first and then into the table, on condition that the row does not exist. If a run fails in
between, the next run repeats both with the same id, and post_to_slack drops the repeat. The index that finds the alerts
can lag behind the table: a run that misses the newest alert builds an id that exists already, which has no effect.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Protocol

from orderwatch.alerts.alert import Alert, alert_id
from orderwatch.alerts.kinds import (
    ALERT_TOPIC,
    KIND_NO_SUBSCRIBERS,
    KIND_RESUBSCRIBED,
    OPS_TOPIC,
    Recipients,
    severity_of,
)
from orderwatch.alerts.parts import AlertConnection
from orderwatch.observability import count_nonzero, logger
from orderwatch.publishing.leases import Outbox

EMAIL_PROTOCOLS = frozenset({"email", "email-json"})
LOOK_BACK = timedelta(days=30)
"""Age of the oldest alert that is read; counted from midnight, so that an id cannot change within a day."""


class SubscriptionProblem(StrEnum):
    """What is wrong with the subscriptions of a topic."""

    NOBODY = "nobody"
    NO_EMAIL = "no_email"
    NO_SLACK = "no_slack"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription without its endpoint, because an address is personal.

    Attributes:
        protocol: Such as `email` or `sqs`.
        is_confirmed: An unconfirmed subscription receives nothing.
        queue: The name of the queue; only for `sqs`.
    """

    protocol: str
    is_confirmed: bool
    queue: str = ""


@dataclass(frozen=True, slots=True)
class MonitoredTopic:
    """A topic and its current subscriptions.

    Attributes:
        name: `AlertTopic` or `OpsTopic`.
        arn: The ARN, for the command that solves the problem.
        expects_email: Whether the deployment has an e-mail address for it.
        expects_queue: The name of the Slack queue; empty for OpsTopic and if Slack is off.
    """

    name: str
    arn: str
    subscriptions: Sequence[Subscription]
    expects_email: bool
    expects_queue: str = ""

    @property
    def confirmed(self) -> list[Subscription]:
        """The confirmed subscriptions."""
        return [each for each in self.subscriptions if each.is_confirmed]

    @property
    def problem(self) -> SubscriptionProblem | None:
        """The worst problem, or None.

        Any confirmed e-mail address counts as the expected one: the function does not know the address itself.
        """
        if not self.confirmed:
            return SubscriptionProblem.NOBODY
        if self.expects_email and not any(each.protocol in EMAIL_PROTOCOLS for each in self.confirmed):
            return SubscriptionProblem.NO_EMAIL
        if self.expects_queue and self.expects_queue not in {each.queue for each in self.confirmed}:
            return SubscriptionProblem.NO_SLACK
        return None


class SlackQueue(Protocol):
    """The queue of post_to_slack."""

    def send(self, alert: Alert) -> None:
        """Put an alert into the queue without going through a topic."""


def monitor_subscriptions(
    topics: Sequence[MonitoredTopic], *, outbox: Outbox, slack: SlackQueue | None, now: datetime
) -> list[Alert]:
    """Send the alerts that are due, each through every open channel, and return them.

    Args:
        topics: Both topics.
        outbox: Where the alerts are read and written; the stream sends what is written.
        slack: None if Slack is off.
        now: The time in UTC.
    """
    count_nonzero({"TopicsWithoutSubscribers": sum(topic.problem is not None for topic in topics)})
    oldest = datetime.combine(now.date(), time.min, tzinfo=UTC) - LOOK_BACK
    sent: list[Alert] = []
    for topic in topics:
        has_other_topic = any(other.confirmed for other in topics if other.name != topic.name)
        if slack is None and not has_other_topic:
            continue
        alert = due_alert(topic, outbox.alerts_since(topic.name, oldest), now=now)
        if alert is None:
            continue
        if slack:
            slack.send(alert)
        outbox.put(alert)
        sent.append(alert)
        logger.warning(
            "subscriptions changed; alert sent",
            extra={"topic": topic.name, "kind": alert.kind, "alert_ids": [alert.alert_id]},
        )
    return sent


def due_alert(topic: MonitoredTopic, history: Sequence[Alert], *, now: datetime) -> Alert | None:
    """The alert about this topic that is due and not in its `history` (newest first) yet, or None."""
    if topic.problem:
        resolved = [alert.alert_id for alert in history if alert.kind == KIND_RESUBSCRIBED][:1]
        parts = [topic.problem, now.date().isoformat(), *resolved]
        alert = _alert(topic, KIND_NO_SUBSCRIBERS, parts, next_step=_next_step(topic, topic.problem))
    elif history and history[0].kind == KIND_NO_SUBSCRIBERS:
        alert = _alert(topic, KIND_RESUBSCRIBED, [history[0].alert_id], next_step=None)
    else:
        return None
    return None if alert.key in {each.key for each in history} else alert


def _alert(topic: MonitoredTopic, kind: str, id_parts: Sequence[str], *, next_step: str | None) -> Alert:
    return Alert(
        alert_id=alert_id(topic.name, kind, *id_parts),
        kind=kind,
        severity=severity_of(kind),
        recipients=Recipients.OPERATORS if topic.name == ALERT_TOPIC else Recipients.EVERYBODY,
        connection_id=topic.name,
        connection=AlertConnection(id=topic.name),
        detail=_detail(topic),
        next_step=next_step,
    )


def _detail(topic: MonitoredTopic) -> str:
    confirmed = len(topic.confirmed)
    waiting = len(topic.subscriptions) - confirmed
    pending = f" ({waiting} not confirmed yet)" if waiting else ""
    match topic.problem:
        case SubscriptionProblem.NOBODY:
            return f"{topic.name} has no confirmed subscriber{pending}. Its messages are lost."
        case SubscriptionProblem.NO_EMAIL:
            return (
                f"{topic.name} has no confirmed e-mail address{pending}. Perhaps a person or a mail scanner opened the "
                "unsubscribe link."
            )
        case SubscriptionProblem.NO_SLACK:
            return f"Slack does not receive the messages of {topic.name}. The Slack queue is not subscribed."
    return f"{topic.name} has all expected subscriptions: {confirmed} confirmed{pending}."


def _next_step(topic: MonitoredTopic, problem: SubscriptionProblem) -> str:
    if problem is SubscriptionProblem.NO_SLACK:
        return "Subscribe the Slack queue again with the command that this shows: orderwatch doctor"
    operators = " --operators" if topic.name == OPS_TOPIC else ""
    return f"Subscribe an address again, run: orderwatch subscribe EMAIL{operators}"
