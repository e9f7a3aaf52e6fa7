"""doctor's look at our side: who is subscribed, what waits, which queues hold dead letters, what is switched off."""

import shlex
from collections.abc import Iterator, Sequence
from datetime import timedelta

from orderwatch import clock
from orderwatch.aws.parameters import Parameters
from orderwatch.aws.tables import AlertTable
from orderwatch.clock import duration
from orderwatch.errors import ParameterInvalidError, ParameterMissingError
from orderwatch.rendering.formatting import plural
from orderwatch_cli.checks_resources import has_queue
from orderwatch_cli.dead_letters import SOURCES
from orderwatch_cli.findings import Finding, bad, good
from orderwatch_cli.logs import Function
from orderwatch_cli.pasting import Commands
from orderwatch_cli.stack import EVENT_SOURCE, QUEUE, SCHEDULE, Resource, Stack
from orderwatch_cli.subscriptions import Subscription, subscriptions_of

_READERS = {
    "PollQueue": Function.POLL_ORDERS,
    "PollDeadLetterQueue": Function.POLL_ORDERS,
    "SlackQueue": Function.POST_TO_SLACK,
    "SlackDeadLetterQueue": Function.POST_TO_SLACK,
    "StreamFailureQueue": Function.PUBLISH_ALERTS,
    "ScheduleDeadLetterQueue": Function.DISPATCH_POLLS,
}
"""The function behind each queue."""
OVERDUE = timedelta(minutes=15)
"""How long an alert may be pending, or a message wait: redrive_alerts comes by every 15 minutes."""


def examine_topics(stack: Stack) -> Iterator[Finding]:
    """Whether each topic has subscribers."""
    topics = (("AlertTopic", stack.outputs.alert_topic_arn), ("OpsTopic", stack.outputs.ops_topic_arn))
    for name, arn in topics:
        yield topic_finding(name, arn, subscriptions_of(stack.aws, arn), commands=stack.commands)


def topic_finding(name: str, arn: str, subscriptions: Sequence[Subscription], *, commands: Commands) -> Finding:
    """Whether a topic has subscribers, all of them have confirmed, and none is easily lost."""
    if not subscriptions:
        words = f"sns subscribe --topic-arn {arn} --protocol email --notification-endpoint ADDRESS"
        remedy = "subscribe an address, then follow the link in the e-mail that SNS sends there"
        return bad(name, "nobody is subscribed", remedy, commands.aws(words))
    if pending := [each for each in subscriptions if each.is_pending]:
        remedy = "follow the link in the confirmation that SNS sent; where it is lost, or three days old, get another"
        [first, *_] = pending
        address = shlex.quote(first.endpoint)
        words = f"sns subscribe --topic-arn {arn} --protocol {first.protocol} --notification-endpoint {address}"
        command = commands.aws(words) if first.protocol.startswith("email") else ""
        return bad(name, f"not confirmed yet: {', '.join(each.label for each in pending)}", remedy, command)
    heard = ", ".join(each.label for each in subscriptions)
    if open_to_all := [each.endpoint for each in subscriptions if each.has_open_link]:
        remedy = (
            f"a mail scanner that follows the unsubscribe link ends {', '.join(open_to_all)}: unsubscribe, subscribe "
            "again, and confirm with the TOKEN of the new e-mail's link"
        )
        words = f"sns confirm-subscription --topic-arn {arn} --token TOKEN --authenticate-on-unsubscribe true"
        return good(name, heard, remedy, commands.aws(words))
    return good(name, heard)


def examine_slack(stack: Stack) -> Iterator[Finding]:
    """Whether the webhook is there and the alerts come to its queue, where Slack is on."""
    if not stack.parameters.slack_enabled:
        return
    yield _webhook_finding(stack)
    yield _slack_queue_finding(stack)


def _webhook_finding(stack: Stack) -> Finding:
    again = stack.commands.own("connect-slack")
    try:
        Parameters(stack.aws.ssm, stack.parameters.parameter_prefix).slack_webhook_url()
    except ParameterInvalidError as error:
        return bad("Slack", f"{error.name} {error.flaw}", "put the incoming webhook's URL", again)
    except ParameterMissingError as error:
        return bad("Slack", f"{error.name} is missing", "put the incoming webhook's URL", again)
    return good("Slack", "the webhook's URL is there; test-alert tries it")


def _slack_queue_finding(stack: Stack) -> Finding:
    queue = stack.resources["SlackQueue"]
    name = queue.id.rpartition("/")[2]
    topic_arn = stack.outputs.alert_topic_arn
    if any(each.protocol == "sqs" and each.endpoint == name for each in subscriptions_of(stack.aws, topic_arn)):
        return good("SlackQueue", "subscribed to AlertTopic")
    queue_arn = ":".join([*topic_arn.split(":")[:2], "sqs", *topic_arn.split(":")[3:5], name])
    words = f"sns subscribe --topic-arn {topic_arn} --protocol sqs --attributes RawMessageDelivery=true"
    command = stack.commands.aws(f"{words} --notification-endpoint {queue_arn}")
    return bad("SlackQueue", "not subscribed to AlertTopic: Slack gets no alert", "subscribe it", command)


def examine_queues(stack: Stack) -> Iterator[Finding]:
    """What waits in the queues, and what lies in those of dead letters."""
    for queue in stack.of_type(QUEUE):
        if not has_queue(stack, queue):
            continue  # examine_resources tells it
        visible = _visible(stack, queue)
        if queue.name in SOURCES.values():
            yield work_queue_finding(queue.name, visible=visible, age=_age(stack, queue), commands=stack.commands)
        else:
            yield dead_letters_finding(queue, visible=visible, commands=stack.commands)


def work_queue_finding(name: str, *, visible: int, age: timedelta | None, commands: Commands) -> Finding:
    """Whether what waits is being worked off.

    Args:
        name: The queue.
        visible: Messages that wait.
        age: Of the oldest; None where CloudWatch has not counted.
        commands: How commands are written.
    """
    found = f"{plural(visible, 'message')} waiting"
    if not (visible and age):
        return good(name, found)
    found = f"{found}, the oldest for {duration(age)}"
    if age <= OVERDUE:
        return good(name, found)
    return bad(name, found, "read the log of the function behind it", commands.own(f"logs {_READERS[name]}"))


def dead_letters_finding(queue: Resource, *, visible: int, commands: Commands) -> Finding:
    """Whether a queue of dead letters is empty."""
    name = queue.name
    if not visible:
        return good(name, "empty")
    log = f"read the log of the function behind it ({commands.own(f'logs {_READERS[name]}')})"
    if name in SOURCES:
        remedy, command = "move them back", commands.own(f"redrive --dead-letters {name}")
    else:
        remedy, command = (
            "what they name is done otherwise: purge it",
            commands.aws(f"sqs purge-queue --queue-url {queue.id}"),
        )
    return bad(name, plural(visible, "dead letter"), f"{log}, then {remedy}", command)


def _visible(stack: Stack, queue: Resource) -> int:
    answer = stack.aws.sqs.get_queue_attributes(QueueUrl=queue.id, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def _age(stack: Stack, queue: Resource) -> timedelta | None:
    """Of the oldest message, as CloudWatch counted it within the last ten minutes."""
    now = clock.now()
    answer = stack.aws.cloudwatch.get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": queue.id.rpartition("/")[2]}],
        StartTime=now - timedelta(minutes=10),
        EndTime=now,
        Period=600,
        Statistics=["Maximum"],
    )
    ages = [point["Maximum"] for point in answer["Datapoints"]]
    return timedelta(seconds=max(ages)) if ages else None


def examine_pending(stack: Stack) -> Iterator[Finding]:
    """Whether alerts are sent in time."""
    table = AlertTable(stack.aws.dynamodb, stack.outputs.alert_table_name)
    overdue = sum(1 for _ in table.pending_since_before(clock.now() - OVERDUE))
    if overdue:
        found = f"{plural(overdue, 'alert')} pending for more than {duration(OVERDUE)}"
        log = stack.commands.own("logs publish-alerts")
        remedy = f"the log of publish_alerts says why ({log}); this sends them now"
        yield bad("pending alerts", found, remedy, stack.commands.own("redrive"))
    else:
        yield good("pending alerts", "none is overdue")


def examine_switches(stack: Stack) -> Iterator[Finding]:
    """Whether everything that ticks or takes messages is switched on."""
    for schedule in stack.of_type(SCHEDULE):
        yield _schedule_finding(stack, schedule)
    for source in stack.of_type(EVENT_SOURCE):
        state = stack.aws.functions.get_event_source_mapping(UUID=source.id)["State"]
        command = stack.commands.aws(f"lambda update-event-source-mapping --uuid {source.id} --enabled")
        off = state in {"Disabled", "Disabling"}
        yield bad(source.name, "disabled", "switch it on", command) if off else good(source.name, "enabled")


def _schedule_finding(stack: Stack, schedule: Resource) -> Finding:
    try:
        alerted = stack.aws.scheduler.get_schedule(Name=schedule.id)
    except stack.aws.scheduler.exceptions.ResourceNotFoundException:
        return bad(schedule.name, "gone", "deploy template.yaml again after `sam delete`")
    if alerted["State"] != "ENABLED":
        return bad(schedule.name, "disabled", f"enable {schedule.id} in the console of EventBridge Scheduler")
    return good(schedule.name, f"enabled, {alerted['ScheduleExpression']}")
