"""`orderwatch doctor`: checks everything that alerts depend on, one line for each check."""

from collections.abc import Callable, Iterator

import typer

from orderwatch.errors import SettingsError
from orderwatch_cli import output
from orderwatch_cli.arguments import Endpoint, Json, StackName
from orderwatch_cli.aws import Aws
from orderwatch_cli.aws_errors import AWS_ERRORS, diagnose, explain
from orderwatch_cli.checks.delivery import (
    check_filters,
    check_pending_alerts,
    check_queues,
    check_slack,
    check_topics,
    check_triggers,
)
from orderwatch_cli.checks.report import FAIL, OK, Finding, Report, fail, ok
from orderwatch_cli.checks.resources import (
    check_alarms,
    check_concurrency,
    check_functions,
    check_tables_and_queues,
    is_gone,
)
from orderwatch_cli.checks.secrets import check_secrets
from orderwatch_cli.checks.trackstar import check_trackstar
from orderwatch_cli.stack import STACK_NAME, Stack, StackError, find_stack

_DEPLOYED = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "IMPORT_COMPLETE"}
_CHECKS: dict[str, Callable[[Stack], Iterator[Finding]]] = {
    "tables and queues": check_tables_and_queues,
    "functions": check_functions,
    "Lambda concurrency": check_concurrency,
    "alarms": check_alarms,
    "secrets": check_secrets,
    "Trackstar": check_trackstar,
    "topics": check_topics,
    "filter policies": check_filters,
    "Slack": check_slack,
    "queues": check_queues,
    "pending alerts": check_pending_alerts,
    "schedules": check_triggers,
}


def doctor(stack_name: StackName = STACK_NAME, endpoint_url: Endpoint = None, *, json: Json = False) -> None:
    """Check what alerts depend on.

    Problems come first, each with a remedy. The exit code is 1 if there is a problem.
    """
    with Aws(endpoint_url=endpoint_url) as aws:
        report = check_stack(aws, stack_name)
    if json:
        output.document(report)
    else:
        for line in report.lines(output.terminal_width()):
            style = {OK: output.OK, FAIL: output.PROBLEM}.get(line[: len(OK)], "")
            output.styled_line((line[: len(OK)], style), (line[len(OK) :], ""))
    raise typer.Exit(0 if report.ok else 1)


def check_stack(aws: Aws, stack_name: str) -> Report:
    """Run all checks; an error of AWS is a finding and does not stop the other checks."""
    try:
        stack = find_stack(aws, stack_name)
    except StackError as error:
        return Report.of([fail("stack", str(error), "deploy it, or select it with AWS_PROFILE and AWS_REGION")])
    except AWS_ERRORS as error:
        problem, remedy = diagnose(error)
        return Report.of([fail("AWS", problem, remedy or "check the credentials, the region and the endpoint")])
    return Report.of(_findings(stack))


def _findings(stack: Stack) -> Iterator[Finding]:
    yield _deployment_finding(stack)
    for subject, check in _CHECKS.items():
        try:
            yield from check(stack)
        except AWS_ERRORS as error:
            remedy = "a resource that it needs is missing; see the other findings"
            yield fail(subject, explain(error), remedy if is_gone(error) else "allow this to whoever runs doctor")
        except SettingsError as error:
            yield fail(subject, str(error), "correct the environment of this terminal")


def _deployment_finding(stack: Stack) -> Finding:
    if stack.status in _DEPLOYED:
        return ok("stack", f"{stack.name}, {stack.status}")
    return fail("stack", f"{stack.name}, {stack.status}", "wait until the deployment ends, or deploy again")
