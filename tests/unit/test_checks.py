"""Findings of `orderwatch doctor` and messages about errors, without a cloud."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError
from pydantic.alias_generators import to_pascal

from orderwatch_cli.aws import Aws, explain
from orderwatch_cli.checks.delivery import dead_letters_finding, topic_finding, work_queue_finding
from orderwatch_cli.checks.report import Finding, Report, fail, ok
from orderwatch_cli.checks.resources import alarm_finding
from orderwatch_cli.checks.trackstar import clock_finding, poll_interval, polls_finding
from orderwatch_cli.command_hints import Commands
from orderwatch_cli.commands import doctor
from orderwatch_cli.shop_status import PolledShop
from orderwatch_cli.stack import QUEUE, Outputs, Resource, Stack, StackParameters
from orderwatch_cli.subscriptions import Subscription

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
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


def test_remedy_of_dead_letters_depends_on_their_queue() -> None:
    slack, stream = (
        Resource(name, QUEUE, f"https://sqs/{name}") for name in ("SlackDeadLetterQueue", "StreamFailureQueue")
    )
    assert dead_letters_finding(slack, visible=0, commands=COMMANDS).ok
    movable = dead_letters_finding(slack, visible=2, commands=COMMANDS)
    assert movable.found == "2 dead letters"
    assert movable.command == "orderwatch redrive --dead-letters SlackDeadLetterQueue"
    purged = dead_letters_finding(stream, visible=1, commands=COMMANDS)
    assert purged.command == "aws sqs purge-queue --queue-url https://sqs/StreamFailureQueue"


def test_topic_with_an_unconfirmed_subscription_is_a_problem() -> None:
    confirmed, pending = Subscription("sqs", "queue"), Subscription("email", "a@b.example", is_pending=True)
    assert topic_finding("AlertTopic", "arn", [confirmed], commands=COMMANDS).ok
    open_link = Subscription("email", "a@b.example", has_open_link=True)
    scanned = topic_finding("AlertTopic", "arn", [open_link], commands=COMMANDS)
    assert scanned.ok
    confirm = "aws sns confirm-subscription --topic-arn arn --token TOKEN --authenticate-on-unsubscribe true"
    assert scanned.command == confirm
    finding = topic_finding("AlertTopic", "arn", [confirmed, pending], commands=COMMANDS)
    assert (finding.ok, finding.found) == (False, "not confirmed yet: email a@b.example")
    steering = Subscription("email", "a;b@c.example", is_pending=True)
    command = topic_finding("AlertTopic", "arn", [steering], commands=COMMANDS).command
    assert command.endswith(" --notification-endpoint 'a;b@c.example'")


def test_one_failure_fails_the_report_and_its_lines_are_safe() -> None:
    report = Report.of([ok("a", "fine\x1b[31m\nred"), fail("b", "gone", "put it", "put --it")])
    assert not report.ok
    assert list(report.lines()) == ["ok    a: fine [31m red", "FAIL  b: gone", "      put it:", "      put --it"]
    assert Report.of([ok("a", "fine")]).ok


def test_aws_error_is_one_line_with_a_remedy() -> None:
    assert "AWS_PROFILE" in explain(NoCredentialsError())
    assert "AWS_REGION" in explain(NoRegionError())
    refused = ClientError({"Error": {"Code": "AccessDenied", "Message": "not\nallowed"}}, "Publish")
    assert explain(refused) == "AWS refused Publish (AccessDenied): not allowed"


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


def test_unreadable_parameter_is_one_line() -> None:
    refused = GetParameterError("An error occurred (AccessDeniedException)\nwhen calling the GetParameter operation")
    assert explain(refused) == "An error occurred (AccessDeniedException) when calling the GetParameter operation"


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDenied", "Message": "not allowed"}}, "ListSubscriptionsByTopic"),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:9"),
        GetParameterError("AccessDenied"),
    ],
)
def test_refused_check_is_a_finding_and_stops_no_other_check(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refused(_: Stack) -> Iterator[Finding]:
        yield ok("first", "fine")
        raise error

    def fine(_: Stack) -> Iterator[Finding]:
        yield ok("second", "fine")

    monkeypatch.setattr(doctor, "_CHECKS", {"topics": refused, "queues": fine})
    found = [(each.subject, each.ok) for each in doctor._findings(a_stack())]
    assert found == [("stack", False), ("first", True), ("topics", False), ("second", True)]


def test_refused_parameter_never_shows_its_value() -> None:
    error = ClientError({"Error": {"Code": "ValidationException", "Message": "'very-secret'"}}, "PutParameter")
    assert "very-secret" not in explain(error)


def test_report_wraps_texts_but_never_commands() -> None:
    command = "aws sns subscribe --topic-arn arn:aws:sns:us-east-1:000000000000:orderwatch-OpsTopic --protocol email"
    found = fail("OpsTopic", "no subscriptions", "subscribe an address and follow the link in the e-mail", command)
    *words, last = Report.of([found]).lines(40)
    assert all(len(each) <= 40 for each in words)
    assert last.strip() == command


@pytest.mark.parametrize(
    ("state", "in_order"), [("OK", True), ("INSUFFICIENT_DATA", True), ("ALARM", False), (None, False)]
)
def test_alarm_that_is_active_or_missing_is_a_problem(state: str | None, in_order: bool) -> None:
    finding = alarm_finding("NoPollsAlarm", state)
    assert (finding is None) is in_order
    assert finding is None or "NoPollsAlarm" in finding.subject


def test_missing_resource_is_not_reported_as_a_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: Stack) -> Iterator[Finding]:
        raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "no table"}}, "Query")
        yield

    monkeypatch.setattr(doctor, "_CHECKS", {"pending alerts": gone})
    [_, finding] = doctor._findings(a_stack())
    assert (finding.ok, "allow" in finding.remedy, "missing" in finding.remedy) == (False, False, True)
