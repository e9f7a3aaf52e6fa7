"""doctor's look at what the template makes: is it all there, does it run, and does an alarm sound."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import batched

from botocore.exceptions import ClientError

from orderwatch import clock
from orderwatch.rendering.formatting import plural
from orderwatch_cli.findings import Finding, bad, good
from orderwatch_cli.stack import ALARM, FUNCTION, QUEUE, TABLE, Resource, Stack

THROTTLES_OF = timedelta(minutes=15)
"""How far back throttled calls are counted."""
GONE_CODES = frozenset(
    {
        *("ResourceNotFoundException", "ResourceNotFound", "NotFoundException", "NotFound"),
        *("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
    }
)
"""How the services say that something is not there."""
_ALARMS_A_REQUEST = 100
_RESTORE = "somebody deleted it: docs/operations.md, Restore from a backup; or delete the stack and deploy it anew"


def is_gone(error: Exception) -> bool:
    """Whether AWS says that what was asked for does not exist."""
    return isinstance(error, ClientError) and error.response["Error"].get("Code") in GONE_CODES


def examine_resources(stack: Stack) -> Iterator[Finding]:
    """Whether every table and queue is there."""
    missing = [each for each in stack.of_type(TABLE) if not _has_table(stack, each)]
    missing += [each for each in stack.of_type(QUEUE) if not has_queue(stack, each)]
    for each in missing:
        yield bad(each.name, f"{each.id.rpartition('/')[2]} is gone", _RESTORE)
    if not missing:
        yield good("tables and queues", "each is there")


def _has_table(stack: Stack, table: Resource) -> bool:
    try:
        stack.aws.dynamodb.describe_table(TableName=table.id)
    except ClientError as error:
        if is_gone(error):
            return False
        raise
    return True


def has_queue(stack: Stack, queue: Resource) -> bool:
    """Whether a queue of the stack is there."""
    try:
        stack.aws.sqs.get_queue_attributes(QueueUrl=queue.id, AttributeNames=["QueueArn"])
    except ClientError as error:
        if is_gone(error):
            return False
        raise
    return True


def examine_functions(stack: Stack) -> Iterator[Finding]:
    """Whether every function is there and may run."""
    functions = stack.of_type(FUNCTION)
    findings = [finding for each in functions if (finding := _function_finding(stack, each))]
    yield from findings
    if functions and not findings:
        yield good("functions", "each may run, none was throttled")


def _function_finding(stack: Stack, function: Resource) -> Finding | None:
    try:
        reserved = stack.aws.functions.get_function_concurrency(FunctionName=function.id)
    except ClientError as error:
        if is_gone(error):
            return bad(function.name, f"{function.id} is gone", "deploy template.yaml again after `sam delete`")
        raise
    if reserved.get("ReservedConcurrentExecutions") == 0:
        command = stack.commands.aws(f"lambda delete-function-concurrency --function-name {function.id}")
        return bad(function.name, "switched off: its reserved concurrency is 0", "let it run again", command)
    if throttles := _throttles(stack, function):
        command = stack.commands.aws("lambda get-account-settings")
        found = f"{plural(throttles, 'call')} throttled within {THROTTLES_OF // timedelta(minutes=1)} min"
        return bad(function.name, found, "ask AWS for more concurrent executions than these", command)
    return None


def _throttles(stack: Stack, function: Resource) -> int:
    now = clock.now()
    answer = stack.aws.cloudwatch.get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Throttles",
        Dimensions=[{"Name": "FunctionName", "Value": function.id}],
        StartTime=now - THROTTLES_OF,
        EndTime=now,
        Period=int(THROTTLES_OF.total_seconds()),
        Statistics=["Sum"],
    )
    return int(sum(point["Sum"] for point in answer["Datapoints"]))


def examine_alarms(stack: Stack) -> Iterator[Finding]:
    """Whether an alarm sounds."""
    alarms = stack.of_type(ALARM)
    states = _alarm_states(stack, [each.id for each in alarms])
    findings = [finding for each in alarms if (finding := alarm_finding(each.name, states.get(each.id)))]
    yield from findings
    if alarms and not findings:
        yield good("alarms", f"none of {len(alarms)} sounds")


def alarm_finding(name: str, state: str | None) -> Finding | None:
    """What is wrong with an alarm; None where nothing is.

    Args:
        name: As the template calls it.
        state: CloudWatch's; None where it knows no such alarm.
    """
    if state is None:
        return bad(name, "the alarm is gone", "deploy template.yaml again after `sam delete`")
    if state == "ALARM":
        return bad(name, "the alarm sounds", f"docs/operations.md, Alarms, says under {name} what to do")
    return None


def _alarm_states(stack: Stack, names: Sequence[str]) -> dict[str, str]:
    states: dict[str, str] = {}
    for some in batched(names, _ALARMS_A_REQUEST, strict=False):
        answer = stack.aws.cloudwatch.describe_alarms(AlarmNames=list(some), MaxRecords=_ALARMS_A_REQUEST)
        states |= {each["AlarmName"]: each["StateValue"] for each in answer["MetricAlarms"]}
    return states
