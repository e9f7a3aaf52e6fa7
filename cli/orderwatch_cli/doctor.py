"""`orderwatch doctor`: everything that must hold for alerts to come, one line each."""

from collections.abc import Callable, Iterator

from orderwatch_cli.aws import AWS_ERRORS, Aws, explain
from orderwatch_cli.checks_delivery import (
    examine_pending,
    examine_queues,
    examine_slack,
    examine_switches,
    examine_topics,
)
from orderwatch_cli.checks_resources import examine_alarms, examine_functions, examine_resources, is_gone
from orderwatch_cli.checks_secrets import examine_secrets
from orderwatch_cli.checks_trackstar import examine_trackstar
from orderwatch_cli.findings import Finding, Report, bad, good
from orderwatch_cli.stack import Stack, StackError, find_stack

_WORKING = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "IMPORT_COMPLETE"}
_CHECKS: dict[str, Callable[[Stack], Iterator[Finding]]] = {
    "tables and queues": examine_resources,
    "functions": examine_functions,
    "alarms": examine_alarms,
    "secrets": examine_secrets,
    "Trackstar": examine_trackstar,
    "topics": examine_topics,
    "Slack": examine_slack,
    "queues": examine_queues,
    "pending alerts": examine_pending,
    "schedules": examine_switches,
}
_ALLOW = "allow it to the one who runs doctor"


def examine(aws: Aws, stack_name: str) -> Report:
    """Look at everything; what AWS does not let us look at is a finding like any other."""
    try:
        stack = find_stack(aws, stack_name)
    except StackError as error:
        return Report.of([bad("stack", str(error), "deploy it, or choose with AWS_PROFILE and AWS_REGION")])
    except AWS_ERRORS as error:
        return Report.of([bad("AWS", explain(error), "check the credentials, the region and the endpoint")])
    return Report.of(_findings(stack))


def _findings(stack: Stack) -> Iterator[Finding]:
    yield _stack_finding(stack)
    for subject, check in _CHECKS.items():
        try:
            yield from check(stack)
        except AWS_ERRORS as error:
            remedy = "something that it needs is gone, see the others" if is_gone(error) else _ALLOW
            yield bad(subject, explain(error), remedy)


def _stack_finding(stack: Stack) -> Finding:
    if stack.status in _WORKING:
        return good("stack", f"{stack.name}, {stack.status}")
    return bad("stack", f"{stack.name}, {stack.status}", "wait for the deployment's end, or deploy again")
