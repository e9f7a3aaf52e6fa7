"""Checks of the template's resources: tables, queues, functions and alarms."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import batched

from botocore.exceptions import ClientError

from orderwatch import clock
from orderwatch.rendering.formatting import plural
from orderwatch_cli.checks.report import Finding, fail, ok
from orderwatch_cli.stack import ALARM, FUNCTION, QUEUE, TABLE, Resource, Stack

THROTTLE_PERIOD = timedelta(minutes=15)
"""Period in which throttled invocations are counted."""
GONE_CODES = frozenset(
    {
        *("ResourceNotFoundException", "ResourceNotFound", "NotFoundException", "NotFound"),
        *("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
    }
)
"""Error codes of the services for a missing resource."""
OTHER_EXECUTIONS = 7
"""Functions that run beside polls: two senders, two posts to Slack, and each scheduled one."""
LEAST_CONCURRENCY = 2
"""The minimum of an event source of SQS."""
_ALARMS_PER_REQUEST = 100
_RESTORE = "it was deleted: see docs/operations.md, Restore from a backup; or delete the stack and deploy it again"
_REDEPLOY = "run `sam delete`, then deploy template.yaml again"


def is_gone(error: Exception) -> bool:
    """Whether AWS reports that the resource does not exist."""
    return isinstance(error, ClientError) and error.response["Error"].get("Code") in GONE_CODES


def check_tables_and_queues(stack: Stack) -> Iterator[Finding]:
    """Check that every table and queue exists."""
    missing = [each for each in stack.of_type(TABLE) if not _has_table(stack, each)]
    missing += [each for each in stack.of_type(QUEUE) if not has_queue(stack, each)]
    for each in missing:
        yield fail(each.name, f"{each.id.rpartition('/')[2]} is missing", _RESTORE)
    if not missing:
        yield ok("tables and queues", "all exist")


def _has_table(stack: Stack, table: Resource) -> bool:
    try:
        stack.aws.dynamodb.describe_table(TableName=table.id)
    except ClientError as error:
        if is_gone(error):
            return False
        raise
    return True


def has_queue(stack: Stack, queue: Resource) -> bool:
    """Whether a queue of the stack exists."""
    try:
        stack.aws.sqs.get_queue_attributes(QueueUrl=queue.id, AttributeNames=["QueueArn"])
    except ClientError as error:
        if is_gone(error):
            return False
        raise
    return True


def check_functions(stack: Stack) -> Iterator[Finding]:
    """Check that every function exists and can run."""
    functions = stack.of_type(FUNCTION)
    findings = [finding for each in functions if (finding := _function_finding(stack, each))]
    yield from findings
    if functions and not findings:
        yield ok("functions", "all can run, none was throttled")


def _function_finding(stack: Stack, function: Resource) -> Finding | None:
    try:
        reserved = stack.aws.functions.get_function_concurrency(FunctionName=function.id)
    except ClientError as error:
        if is_gone(error):
            return fail(function.name, f"{function.id} is missing", _REDEPLOY)
        raise
    if reserved.get("ReservedConcurrentExecutions") == 0:
        command = stack.commands.aws(f"lambda delete-function-concurrency --function-name {function.id}")
        return fail(function.name, "disabled: its reserved concurrency is 0", "enable it again", command)
    if throttles := _throttles(stack, function):
        command = stack.commands.aws("lambda get-account-settings")
        found = f"{plural(throttles, 'invocation')} throttled within {THROTTLE_PERIOD // timedelta(minutes=1)} min"
        remedy = "request a higher limit of concurrent executions from AWS; this shows the current one"
        return fail(function.name, found, remedy, command)
    return None


def _throttles(stack: Stack, function: Resource) -> int:
    now = clock.now()
    answer = stack.aws.cloudwatch.get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Throttles",
        Dimensions=[{"Name": "FunctionName", "Value": function.id}],
        StartTime=now - THROTTLE_PERIOD,
        EndTime=now,
        Period=int(THROTTLE_PERIOD.total_seconds()),
        Statistics=["Sum"],
    )
    return int(sum(point["Sum"] for point in answer["Datapoints"]))


def check_concurrency(stack: Stack) -> Iterator[Finding]:
    """Check that the account runs as many functions at a time as the stack needs; a new account runs ten."""
    limits = stack.aws.functions.get_account_settings()["AccountLimit"]
    yield concurrency_finding(limits["UnreservedConcurrentExecutions"], polls=stack.parameters.poll_concurrency)


def concurrency_finding(limit: int, *, polls: int) -> Finding:
    """Check that polls leave room for the other functions.

    Args:
        limit: Concurrent executions of the account that no function has reserved.
        polls: PollConcurrency.
    """
    subject, needed = "Lambda concurrency", polls + OTHER_EXECUTIONS
    found = f"the stack runs up to {needed} functions at a time, the account {limit}"
    if needed <= limit:
        return ok(subject, found)
    fitting = max(limit - OTHER_EXECUTIONS, LEAST_CONCURRENCY)
    remedy = f"ask AWS for more concurrent executions; until then, deploy with PollConcurrency={fitting}"
    return fail(subject, found, remedy, f"sam deploy --parameter-overrides PollConcurrency={fitting}")


def check_alarms(stack: Stack) -> Iterator[Finding]:
    """Check that no alarm is in the state ALARM."""
    alarms = stack.of_type(ALARM)
    states = _alarm_states(stack, [each.id for each in alarms])
    findings = [finding for each in alarms if (finding := alarm_finding(each.name, states.get(each.id)))]
    yield from findings
    if alarms and not findings:
        yield ok("alarms", f"none of {len(alarms)} is in alarm")


def alarm_finding(name: str, state: str | None) -> Finding | None:
    """Return the problem of an alarm; None if there is none.

    Args:
        name: The template's name.
        state: CloudWatch's state; None: the alarm does not exist.
    """
    if state is None:
        return fail(name, "the alarm is missing", _REDEPLOY)
    if state == "ALARM":
        return fail(name, "in alarm", f"see {name} in docs/operations.md, Alarms")
    return None


def _alarm_states(stack: Stack, names: Sequence[str]) -> dict[str, str]:
    states: dict[str, str] = {}
    for some in batched(names, _ALARMS_PER_REQUEST, strict=False):
        answer = stack.aws.cloudwatch.describe_alarms(AlarmNames=list(some), MaxRecords=_ALARMS_PER_REQUEST)
        states |= {each["AlarmName"]: each["StateValue"] for each in answer["MetricAlarms"]}
    return states
