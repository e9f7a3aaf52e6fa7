"""doctor's look at our side: who is subscribed, what waits, which queues hold dead letters, what is switched off."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from orderwatch import clock
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.parameters import Parameters
from orderwatch.errors import ParameterMissingError
from orderwatch.publishing.messages.text import duration, plural
from orderwatch_cli.dead_letters import SOURCES
from orderwatch_cli.findings import Finding, bad, good
from orderwatch_cli.stack import EVENT_SOURCE, QUEUE, SCHEDULE, Resource, Stack
from orderwatch_cli.subscriptions import Subscription, subscriptions_of

OVERDUE = timedelta(minutes=15)
"""How long an alert may be pending, or a message wait: redrive_alerts comes by every 15 minutes."""


def examine_topics(stack: Stack) -> Iterator[Finding]:
    """Whether each topic has subscribers."""
    topics = (("AlertTopic", stack.outputs.alert_topic_arn), ("OpsTopic", stack.outputs.ops_topic_arn))
    for name, arn in topics:
        yield topic_finding(name, arn, subscriptions_of(stack.aws, arn))


def topic_finding(name: str, arn: str, subscriptions: Sequence[Subscription]) -> Finding:
    """Whether a topic has subscribers, and all of them have confirmed."""
    if not subscriptions:
        subscribe = f"aws sns subscribe --topic-arn {arn} --protocol email --notification-endpoint ADDRESS"
        return bad(name, "nobody is subscribed", subscribe)
    if pending := [each.label for each in subscriptions if each.is_pending]:
        remedy = "follow the link in the confirmation that SNS sent, or subscribe again after three days"
        return bad(name, f"not confirmed yet: {', '.join(pending)}", remedy)
    return good(name, ", ".join(each.label for each in subscriptions))


def examine_slack(stack: Stack) -> Iterator[Finding]:
    """Whether the webhook is there, where Slack is on."""
    if not stack.parameters.slack_enabled:
        return
    try:
        url = Parameters(stack.aws.ssm, stack.parameters.parameter_prefix).slack_webhook_url()
    except ParameterMissingError as error:
        command = f"aws ssm put-parameter --type SecureString --name {error.name} --value ..."
        yield bad("Slack", f"{error.name} is missing", command)
        return
    if not url.get_secret_value().strip().startswith(("https://", "http://127.0.0.1:")):
        yield bad("Slack", "the webhook is no https URL", "put the incoming webhook's URL into the parameter")
    else:
        yield good("Slack", "the webhook's URL is there; `orderwatch test-alert` tries it")


def examine_queues(stack: Stack) -> Iterator[Finding]:
    """What waits in the queues, and what lies in those of dead letters."""
    for queue in stack.of_type(QUEUE):
        visible = _visible(stack, queue)
        if queue.name in SOURCES.values():
            yield work_queue_finding(queue.name, visible=visible, age=_age(stack, queue))
        else:
            yield dead_letters_finding(queue.name, visible=visible)


def work_queue_finding(name: str, *, visible: int, age: timedelta | None) -> Finding:
    """Whether what waits is being worked off.

    Args:
        name: The queue.
        visible: Messages that wait.
        age: Of the oldest; None where CloudWatch has not counted.
    """
    found = f"{plural(visible, 'message')} waiting"
    if not (visible and age):
        return good(name, found)
    found = f"{found}, the oldest for {duration(age)}"
    return bad(name, found, "read the log of the function behind it") if age > OVERDUE else good(name, found)


def dead_letters_finding(name: str, *, visible: int) -> Finding:
    """Whether a queue of dead letters is empty."""
    if not visible:
        return good(name, "empty")
    again = f"orderwatch redrive --dead-letters {name}" if name in SOURCES else "orderwatch redrive; then purge it"
    return bad(name, plural(visible, "dead letter"), f"read the log of the function behind it, then {again}")


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
        yield bad(
            "pending alerts", found, "orderwatch redrive, then read the logs of publish_alerts and redrive_alerts"
        )
    else:
        yield good("pending alerts", "none is overdue")


def examine_switches(stack: Stack) -> Iterator[Finding]:
    """Whether everything that ticks or takes messages is switched on."""
    for schedule in stack.of_type(SCHEDULE):
        yield _schedule_finding(stack, schedule)
    for source in stack.of_type(EVENT_SOURCE):
        state = stack.aws.functions.get_event_source_mapping(UUID=source.id)["State"]
        command = f"aws lambda update-event-source-mapping --uuid {source.id} --enabled"
        off = state in {"Disabled", "Disabling"}
        yield bad(source.name, "disabled", command) if off else good(source.name, "enabled")


def _schedule_finding(stack: Stack, schedule: Resource) -> Finding:
    try:
        told = stack.aws.scheduler.get_schedule(Name=schedule.id)
    except stack.aws.scheduler.exceptions.ResourceNotFoundException:
        return bad(schedule.name, "gone", "deploy template.yaml again")
    if told["State"] != "ENABLED":
        return bad(schedule.name, "disabled", f"enable {schedule.id} in EventBridge Scheduler")
    return good(schedule.name, f"enabled, {told['ScheduleExpression']}")
