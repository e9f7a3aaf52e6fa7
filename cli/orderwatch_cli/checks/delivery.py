"""Checks of the delivery: topics, Slack, queues, pending alerts, and the triggers of the functions."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from orderwatch import clock
from orderwatch.alerts.kinds import OPS_TOPIC
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.parameters import Parameters
from orderwatch.clock import duration
from orderwatch.errors import ParameterInvalidError, ParameterMissingError
from orderwatch.rendering.formatting import plural
from orderwatch_cli.checks.report import Finding, fail, ok
from orderwatch_cli.checks.resources import has_queue
from orderwatch_cli.command_hints import Commands
from orderwatch_cli.stack import DEAD_LETTER_SOURCES, EVENT_SOURCE, QUEUE, SCHEDULE, Function, Resource, Stack
from orderwatch_cli.subscriptions import Subscription, subscriptions_of

_FUNCTIONS = {
    "PollQueue": Function.POLL_ORDERS,
    "PollDeadLetterQueue": Function.POLL_ORDERS,
    "SlackQueue": Function.POST_TO_SLACK,
    "SlackDeadLetterQueue": Function.POST_TO_SLACK,
    "StreamFailureQueue": Function.PUBLISH_ALERTS,
    "ScheduleDeadLetterQueue": Function.DISPATCH_POLLS,
}
"""The function that reads each queue, or whose failures it holds."""
HOLDS_ALERTS = "SlackDeadLetterQueue"
"""The dead-letter queue whose messages are lost if nobody moves them back."""
OVERDUE_AFTER = timedelta(minutes=15)
"""Age at which a pending alert or a queued message is overdue: redrive_alerts runs every 15 minutes."""


def check_topics(stack: Stack) -> Iterator[Finding]:
    """Check the subscriptions of each topic."""
    topics = (("AlertTopic", stack.outputs.alert_topic_arn), ("OpsTopic", stack.outputs.ops_topic_arn))
    for name, arn in topics:
        yield topic_finding(name, subscriptions_of(stack.aws, arn), commands=stack.commands)


def topic_finding(name: str, subscriptions: Sequence[Subscription], *, commands: Commands) -> Finding:
    """Check that a topic has subscriptions and all are confirmed; warn about those that a mail scanner can end."""
    if not subscriptions:
        remedy = "subscribe an address, then confirm it"
        return fail(name, "no subscriptions", remedy, _subscribe(name, "EMAIL", commands))
    if pending := [each for each in subscriptions if each.is_pending]:
        remedy = f"confirm with the link in the e-mail from SNS ({_confirm(commands)}); if it is lost, request another"
        first = pending[0]
        command = _subscribe(name, shlex.quote(first.endpoint), commands) if first.is_email else ""
        return fail(name, f"not confirmed yet: {', '.join(each.label for each in pending)}", remedy, command)
    found = ", ".join(each.label for each in subscriptions)
    if open_links := [each.endpoint for each in subscriptions if each.has_open_link]:
        remedy = (
            f"a mail scanner that follows the unsubscribe link ends {', '.join(open_links)}: unsubscribe, subscribe "
            "again, and confirm with the link in the new e-mail"
        )
        return ok(name, found, remedy, _confirm(commands))
    return ok(name, found)


def _subscribe(topic: str, address: str, commands: Commands) -> str:
    return commands.own(f"subscribe {address}{' --operators' if topic == OPS_TOPIC else ''}")


def _confirm(commands: Commands) -> str:
    return commands.own("subscriptions confirm 'LINK'")


_FILTERED_OUT = {
    "NoMessageAttributes": "without attributes",
    "InvalidAttributes": "with invalid attributes",
    "InvalidMessageBody": "with a body that is no JSON",
}
"""The last part of SNS's metrics `NumberOfNotificationsFilteredOut-...` of messages that no policy can match."""
FILTER_PERIOD = timedelta(days=1)
"""How far back these messages are counted."""


def check_filters(stack: Stack) -> Iterator[Finding]:
    """Check that the filter policies of each topic can match its messages; no data is no problem."""
    topics = (("AlertTopic", stack.outputs.alert_topic_arn), ("OpsTopic", stack.outputs.ops_topic_arn))
    for name, arn in topics:
        counts = {reason: _filtered_out(stack, arn, reason) for reason in _FILTERED_OUT}
        yield filters_finding(name, counts, commands=stack.commands)


def filters_finding(topic: str, counts: Mapping[str, int], *, commands: Commands) -> Finding:
    """Check that every message could match a filter policy.

    Args:
        topic: The topic.
        counts: Messages that no policy can match, by the last part of SNS's metric.
        commands: Builds the remedy.
    """
    subject = f"{topic} filters"
    found = " and ".join(f"{plural(count, 'message')} {_FILTERED_OUT[each]}" for each, count in counts.items() if count)
    if not found:
        return ok(subject, f"no message failed a filter policy for lack of data within {duration(FILTER_PERIOD)}")
    change = "sns set-subscription-attributes --subscription-arn SUBSCRIPTION --attribute-name"
    if topic == OPS_TOPIC:
        remedy = "CloudWatch's alarms match no policy; to receive them, remove the policies of this topic"
        command = commands.aws(f"{change} FilterPolicy --attribute-value '{{}}'")
    elif counts.get("InvalidMessageBody"):
        remedy = "only queues, Lambda functions and Firehose get JSON; filter others by attributes"
        command = commands.aws(f"{change} FilterPolicyScope --attribute-value MessageAttributes")
    else:
        remedy = "filter by the JSON instead, which has every attribute as a field (docs/alerts.md)"
        command = commands.aws(f"{change} FilterPolicyScope --attribute-value MessageBody")
    return fail(subject, f"within {duration(FILTER_PERIOD)}, a filter policy kept back {found}", remedy, command)


def _filtered_out(stack: Stack, topic_arn: str, reason: str) -> int:
    now = clock.now()
    answer = stack.aws.cloudwatch.get_metric_statistics(
        Namespace="AWS/SNS",
        MetricName=f"NumberOfNotificationsFilteredOut-{reason}",
        Dimensions=[{"Name": "TopicName", "Value": topic_arn.rpartition(":")[2]}],
        StartTime=now - FILTER_PERIOD,
        EndTime=now,
        Period=3600,
        Statistics=["Sum"],
    )
    return int(sum(point["Sum"] for point in answer["Datapoints"]))


def check_slack(stack: Stack) -> Iterator[Finding]:
    """Check the webhook and the subscription of its queue, if Slack is enabled."""
    if not stack.parameters.slack_enabled:
        return
    yield _webhook_finding(stack)
    yield _slack_queue_finding(stack)


def _webhook_finding(stack: Stack) -> Finding:
    remedy, command = "store the URL of the incoming webhook", stack.commands.own("connect-slack")
    try:
        Parameters(stack.aws.ssm, stack.parameters.parameter_prefix).slack_webhook_url()
    except ParameterInvalidError as error:
        return fail("Slack", f"{error.name} {error.flaw}", remedy, command)
    except ParameterMissingError as error:
        return fail("Slack", f"{error.name} is missing", remedy, command)
    return ok("Slack", "the URL of the webhook is stored; test-alert tests it")


def _slack_queue_finding(stack: Stack) -> Finding:
    queue = stack.resources["SlackQueue"]
    name = queue.id.rpartition("/")[2]
    topic_arn = stack.outputs.alert_topic_arn
    if any(each.protocol == "sqs" and each.endpoint == name for each in subscriptions_of(stack.aws, topic_arn)):
        return ok("SlackQueue", "subscribed to AlertTopic")
    queue_arn = ":".join([*topic_arn.split(":")[:2], "sqs", *topic_arn.split(":")[3:5], name])
    arguments = f"sns subscribe --topic-arn {topic_arn} --protocol sqs --attributes RawMessageDelivery=true"
    command = stack.commands.aws(f"{arguments} --notification-endpoint {queue_arn}")
    return fail("SlackQueue", "not subscribed to AlertTopic: Slack gets no alerts", "subscribe it", command)


def check_queues(stack: Stack) -> Iterator[Finding]:
    """Check that messages do not pile up in the queues and that there are no dead letters."""
    for queue in stack.of_type(QUEUE):
        if not has_queue(stack, queue):
            continue  # check_tables_and_queues reports it
        visible = _visible(stack, queue)
        if queue.name in DEAD_LETTER_SOURCES.values():
            yield work_queue_finding(queue.name, visible=visible, age=_age(stack, queue), commands=stack.commands)
        else:
            yield dead_letters_finding(queue, visible=visible, commands=stack.commands)


def work_queue_finding(name: str, *, visible: int, age: timedelta | None, commands: Commands) -> Finding:
    """Check that the oldest message of a queue is not overdue.

    Args:
        name: The queue.
        visible: Number of queued messages.
        age: Age of the oldest message; None: CloudWatch has no value.
        commands: Builds the remedy.
    """
    found = f"{plural(visible, 'message')} queued"
    if not (visible and age):
        return ok(name, found)
    found = f"{found}, the oldest for {duration(age)}"
    if age <= OVERDUE_AFTER:
        return ok(name, found)
    return fail(name, found, "read the log of the function that reads it", commands.own(f"logs {_FUNCTIONS[name]}"))


def dead_letters_finding(queue: Resource, *, visible: int, commands: Commands) -> Finding:
    """Check that no alert is in a dead-letter queue; other functions do the work of other dead letters."""
    name, found = queue.name, plural(visible, "dead letter")
    if not visible:
        return ok(name, "empty")
    if name != HOLDS_ALERTS:
        return ok(name, f"{found}; their work was done later, and they expire after 14 days")
    log = commands.own(f"logs {_FUNCTIONS[name]}")
    remedy = f"read the log of the function behind it ({log}), then move the messages back"
    return fail(name, found, remedy, commands.own(f"redrive --dead-letters {name}"))


def _visible(stack: Stack, queue: Resource) -> int:
    answer = stack.aws.sqs.get_queue_attributes(QueueUrl=queue.id, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def _age(stack: Stack, queue: Resource) -> timedelta | None:
    """Return the age of the oldest message, as CloudWatch measured it in the last ten minutes."""
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


def check_pending_alerts(stack: Stack) -> Iterator[Finding]:
    """Check that no pending alert is overdue."""
    table = AlertTable(stack.aws.dynamodb, stack.outputs.alert_table_name)
    overdue_since = clock.now() - OVERDUE_AFTER
    overdue = len(table.pending_since_before(overdue_since))
    overdue += sum(end < overdue_since for end in table.held().values())
    if overdue:
        found = f"{plural(overdue, 'alert')} pending for more than {duration(OVERDUE_AFTER)}"
        log = stack.commands.own("logs publish-alerts")
        remedy = f"read the log of publish_alerts for the reason ({log}), then send the alerts now"
        yield fail("pending alerts", found, remedy, stack.commands.own("redrive"))
    else:
        yield ok("pending alerts", "no overdue alerts")


def check_triggers(stack: Stack) -> Iterator[Finding]:
    """Check that schedules and event sources are enabled."""
    for schedule in stack.of_type(SCHEDULE):
        yield _schedule_finding(stack, schedule)
    for source in stack.of_type(EVENT_SOURCE):
        state = stack.aws.functions.get_event_source_mapping(UUID=source.id)["State"]
        if state in {"Disabled", "Disabling"}:
            command = stack.commands.aws(f"lambda update-event-source-mapping --uuid {source.id} --enabled")
            yield fail(source.name, "disabled", "enable it", command)
        else:
            yield ok(source.name, "enabled")


def _schedule_finding(stack: Stack, schedule: Resource) -> Finding:
    try:
        found = stack.aws.scheduler.get_schedule(Name=schedule.id)
    except stack.aws.scheduler.exceptions.ResourceNotFoundException:
        return fail(schedule.name, "missing", "run `sam delete`, then deploy template.yaml again")
    if found["State"] != "ENABLED":
        return fail(schedule.name, "disabled", f"enable {schedule.id} in the console of EventBridge Scheduler")
    return ok(schedule.name, f"enabled, {found['ScheduleExpression']}")
