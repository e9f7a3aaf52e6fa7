"""Findings of `orderwatch doctor` and messages about errors, without a cloud."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore import exceptions as sdk
from botocore.exceptions import ClientError, EndpointConnectionError, NoRegionError
from pydantic.alias_generators import to_pascal

from orderwatch_cli.aws import Aws
from orderwatch_cli.aws_errors import explain
from orderwatch_cli.checks.delivery import dead_letters_finding, topic_finding, work_queue_finding
from orderwatch_cli.checks.report import Finding, Report, fail, ok
from orderwatch_cli.checks.resources import concurrency_finding
from orderwatch_cli.checks.trackstar import clock_finding, poll_interval, polls_finding
from orderwatch_cli.command_hints import Commands
from orderwatch_cli.commands import doctor
from orderwatch_cli.shop_status import PolledShop
from orderwatch_cli.stack import QUEUE, Outputs, Resource, Stack, StackParameters
from orderwatch_cli.subscriptions import Subscription
from tests.support.clocks import NOON

COMMANDS = Commands(program="orderwatch")
MINUTE = timedelta(minutes=1)
FIVE_MINUTES = 5 * MINUTE
GAP = 15 * MINUTE
PARAMETERS = {
    "TrackstarBaseUrl": "http://127.0.0.1:9",
    "ParameterPrefix": "/orderwatch",
    "PollSchedule": "rate(5 minutes)",
    "SlackEnabled": "false",
}


def a_stack() -> Stack:
    return Stack(
        aws=Aws(endpoint_url="http://127.0.0.1:9"),
        name="orderwatch",
        status="UPDATE_ROLLBACK_COMPLETE",
        outputs=Outputs.model_validate({to_pascal(name): "none" for name in Outputs.model_fields}),
        parameters=StackParameters.model_validate(PARAMETERS),
        resources={},
    )


def finding_about(polled: PolledShop, *, interval: timedelta | None = MINUTE) -> Finding:
    return polls_finding("conn_a", polled, interval=interval, gap=GAP, now=NOON, commands=COMMANDS)


@pytest.mark.parametrize(
    ("schedule", "interval"),
    [
        ("rate(1 minute)", MINUTE),
        ("rate(5 minutes)", FIVE_MINUTES),
        ("rate(2 hours)", timedelta(hours=2)),
        ("rate(1 day)", timedelta(days=1)),
        ("cron(0/10 * * * ? *)", None),
    ],
)
def test_interval_of_a_schedule(schedule: str, interval: timedelta | None) -> None:
    assert poll_interval(schedule) == interval


@pytest.mark.parametrize(
    ("ago", "interval", "in_time"),
    [
        (4 * MINUTE, FIVE_MINUTES, True),
        (45 * MINUTE, GAP, True),
        (46 * MINUTE, GAP, False),
        (30 * MINUTE, MINUTE, True),
        (31 * MINUTE, MINUTE, False),
        (timedelta(hours=23), None, True),
        (timedelta(hours=25), None, False),
    ],
)
def test_poll_is_late_after_three_intervals_and_two_gaps(
    ago: timedelta, interval: timedelta | None, in_time: bool
) -> None:
    assert finding_about(PolledShop(last_poll_at=NOON - ago), interval=interval).ok is in_time


def test_first_poll_that_is_still_reading_is_in_order() -> None:
    assert finding_about(PolledShop(is_reading=True)).ok
    assert not finding_about(PolledShop()).ok
    without_end = finding_about(PolledShop(is_reading=True, is_stuck=True))
    assert not without_end.ok
    assert without_end.command == "orderwatch poll conn_a --restart"


@pytest.mark.parametrize(
    ("date", "agrees"),
    [
        ("Mon, 05 Jan 2026 12:00:00 GMT", True),
        ("Mon, 05 Jan 2026 11:59:01 GMT", True),
        ("Mon, 05 Jan 2026 11:58:59 GMT", False),
        ("Mon, 05 Jan 2026 12:01:01 GMT", False),
        ("no date", True),
        (None, True),
    ],
)
def test_clocks_agree_within_a_minute(date: str | None, agrees: bool) -> None:
    assert clock_finding(date, now=NOON).ok is agrees


def test_clock_of_a_simulated_shop_may_differ() -> None:
    assert clock_finding("Mon, 02 Mar 2020 12:00:00 GMT", now=NOON, is_simulated=True).ok


@pytest.mark.parametrize(
    ("visible", "age", "in_order"),
    [(0, None, True), (0, 20 * MINUTE, True), (7, None, True), (7, 15 * MINUTE, True), (7, 16 * MINUTE, False)],
)
def test_queue_with_an_overdue_message_is_a_problem(visible: int, age: timedelta | None, in_order: bool) -> None:
    assert work_queue_finding("PollQueue", visible=visible, age=age, commands=COMMANDS).ok is in_order


@pytest.mark.parametrize(
    ("name", "is_ok"),
    [("PollDeadLetterQueue", True), ("StreamFailureQueue", True), ("SlackDeadLetterQueue", False)],
)
def test_only_dead_letters_with_alerts_are_a_problem(name: str, is_ok: bool) -> None:
    """Their alarms report new ones of the others."""
    queue = Resource(name, QUEUE, f"https://sqs/{name}")
    assert dead_letters_finding(queue, visible=1, commands=COMMANDS).ok is is_ok


@pytest.mark.parametrize(
    ("limit", "polls", "fitting"),
    [(1000, 5, None), (12, 5, None), (10, 5, 3), (10, 3, None), (8, 5, 2), (1000, 994, 993)],
)
def test_polls_leave_room_for_the_other_functions(limit: int, polls: int, fitting: int | None) -> None:
    finding = concurrency_finding(limit, polls=polls)
    assert finding.ok is (fitting is None)
    assert fitting is None or (finding.command or "").endswith(f" PollConcurrency={fitting}")


SUBSCRIBE = "orderwatch subscribe"
CONFIRM = "orderwatch subscriptions confirm 'LINK'"


@pytest.mark.parametrize(
    ("subscription", "in_order", "command"),
    [
        (Subscription("sqs", "queue"), True, ""),
        (Subscription("email", "a@b.example", has_open_link=True), True, CONFIRM),
        (Subscription("http", "host", is_pending=True), False, ""),
        (Subscription("email", "a@b.example", is_pending=True), False, f"{SUBSCRIBE} a@b.example"),
        (Subscription("email", "a;b@c.example", is_pending=True), False, f"{SUBSCRIBE} 'a;b@c.example'"),
    ],
)
def test_topic_with_an_unconfirmed_subscription_is_a_problem(
    subscription: Subscription, in_order: bool, command: str
) -> None:
    finding = topic_finding("AlertTopic", [Subscription("sqs", "queue"), subscription], commands=COMMANDS)
    assert (finding.ok, finding.command) == (in_order, command)
    assert in_order or finding.found == f"not confirmed yet: {subscription.label}"


def test_one_failure_fails_the_report_and_its_lines_are_safe() -> None:
    report = Report.of([ok("a", "fine\x1b[31m\nred"), fail("b", "gone", "put it", "put --it")])
    assert not report.ok
    problem = ["FAIL  b: gone", "      put it:", "      put --it"]
    assert list(report.lines()) == [*problem, "ok    a: fine [31m red", "1 problem, 1 ok"]
    fine = Report.of([ok("a", "fine")])
    assert (fine.ok, list(fine.lines())[-1]) == (True, "no problems, 1 ok")


def refused(operation: str, code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("error", "explained"),
    [
        (NoRegionError(), "no AWS region: set AWS_REGION or the region of your profile"),
        (refused("Publish", "AccessDenied", "not\nallowed"), "AWS refused Publish (AccessDenied): not allowed"),
        (refused("PutParameter", "Validation", "'very-secret'"), "AWS refused PutParameter (Validation)"),
        (GetParameterError("An error\nwhen calling it"), "An error when calling it"),
    ],
)
def test_aws_error_is_one_line_without_a_parameters_value(error: Exception, explained: str) -> None:
    assert explain(error) == explained


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (sdk.UnauthorizedSSOTokenError(), "sign in with: aws sso login"),
        (sdk.TokenRetrievalError(provider="sso", error_msg="Token has expired"), "sign in with: aws sso login"),
        (sdk.LoginRefreshRequired(), "sign in with: aws login"),
        (sdk.MissingDependencyException(msg="botocore[crt]"), "pip install 'orderwatch[cli]'"),
        (sdk.SSLError(endpoint_url="x", error=OSError("self-signed")), "set AWS_CA_BUNDLE to the file"),
        (sdk.ConnectTimeoutError(endpoint_url="x"), "check the network, AWS_REGION and HTTPS_PROXY"),
        (sdk.ReadTimeoutError(endpoint_url="x"), "check the network, AWS_REGION and HTTPS_PROXY"),
        (refused("DescribeStacks", "ExpiredToken", "expired"), "(ExpiredToken): expired; renew your credentials"),
        (refused("DescribeStacks", "SignatureDoesNotMatch", "no"), "or correct the clock of this machine"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_aws_error_is_explained_with_a_remedy(error: Exception, remedy: str) -> None:
    assert remedy in explain(error)


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-north-1"}, "eu-north-1"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-north-1"}, "eu-west-1"),
    ],
)
def test_region_is_read_as_the_aws_cli_does(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], region: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with Aws() as aws:
        assert aws.sns.meta.region_name == region


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (refused("ListSubscriptionsByTopic", "AccessDenied", "not allowed"), "allow this"),
        (refused("Query", "ResourceNotFoundException", "no table"), "a resource that it needs is missing"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:9"), "allow this"),
        (GetParameterError("AccessDenied"), "allow this"),
    ],
)
def test_refused_check_is_a_finding_and_stops_no_other_check(
    monkeypatch: pytest.MonkeyPatch, error: Exception, remedy: str
) -> None:
    def fails(_: Stack) -> Iterator[Finding]:
        yield ok("first", "fine")
        raise error

    def fine(_: Stack) -> Iterator[Finding]:
        yield ok("second", "fine")

    monkeypatch.setattr(doctor, "_CHECKS", {"topics": fails, "queues": fine})
    found = list(doctor._findings(a_stack()))
    assert [(each.subject, each.ok) for each in found[1:]] == [("first", True), ("topics", False), ("second", True)]
    assert found[2].remedy.startswith(remedy)


def test_report_wraps_texts_but_never_commands() -> None:
    command = "aws sns subscribe --topic-arn arn:aws:sns:us-east-1:000000000000:orderwatch-OpsTopic --protocol email"
    found = fail("OpsTopic", "no subscriptions", "subscribe an address and follow the link in the e-mail", command)
    *words, last, _ = Report.of([found]).lines(40)
    assert all(len(each) <= 40 for each in words)
    assert last.strip() == command
