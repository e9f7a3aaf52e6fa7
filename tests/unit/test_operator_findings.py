"""What the operator's command line makes of what it sees, without a cloud."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError
from pydantic.alias_generators import to_pascal

from orderwatch.polling.cursor import Cursor
from orderwatch.polling.window import Progress, Window, WindowKind
from orderwatch.records import ConnectionState
from orderwatch_cli import doctor
from orderwatch_cli.aws import Aws, explain
from orderwatch_cli.checks_delivery import dead_letters_finding, topic_finding, work_queue_finding
from orderwatch_cli.checks_resources import alarm_finding
from orderwatch_cli.checks_trackstar import clock_finding, poll_interval, polls_finding
from orderwatch_cli.findings import Finding, Report, bad, good
from orderwatch_cli.pasting import Commands
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


def polled(*, ago: timedelta | None, progress: Progress | None = None) -> ConnectionState:
    at = None if ago is None else NOON - ago
    return ConnectionState(connection_id="conn_a", cursor=Cursor(last_success_at=at, progress=progress))


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
def test_the_interval_of_a_schedule(schedule: str, interval: timedelta | None) -> None:
    assert poll_interval(schedule) == interval


@pytest.mark.parametrize(
    ("ago", "interval", "ok"),
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
def test_polls_are_late_after_three_intervals_but_never_within_two_gaps_of_a_quiet_shop(
    ago: timedelta, interval: timedelta | None, ok: bool
) -> None:
    assert polls_finding(polled(ago=ago), interval=interval, gap=GAP, now=NOON, commands=COMMANDS).ok is ok


def test_a_first_reading_under_way_is_no_missing_poll() -> None:
    window = Window(kind=WindowKind.BASELINE, until=NOON)
    reading = polled(ago=None, progress=Progress(window=window, began_at=NOON))
    assert polls_finding(reading, interval=MINUTE, gap=GAP, now=NOON, commands=COMMANDS).ok
    assert not polls_finding(polled(ago=None), interval=MINUTE, gap=GAP, now=NOON, commands=COMMANDS).ok


@pytest.mark.parametrize(
    ("date", "ok"),
    [
        ("Mon, 05 Jan 2026 12:00:00 GMT", True),
        ("Mon, 05 Jan 2026 11:59:01 GMT", True),
        ("Mon, 05 Jan 2026 11:58:59 GMT", False),
        ("Mon, 05 Jan 2026 12:01:01 GMT", False),
        ("no date", True),
        (None, True),
    ],
)
def test_clocks_agree_within_a_minute(date: str | None, ok: bool) -> None:
    assert clock_finding(date, now=NOON).ok is ok


def test_the_clock_of_a_simulated_shop_may_be_any() -> None:
    assert clock_finding("Mon, 02 Mar 2020 12:00:00 GMT", now=NOON, is_simulated=True).ok


@pytest.mark.parametrize(
    ("visible", "age", "ok"),
    [(0, None, True), (0, 20 * MINUTE, True), (7, None, True), (7, 15 * MINUTE, True), (7, 16 * MINUTE, False)],
)
def test_a_queue_is_not_worked_off_when_its_oldest_message_is_old(
    visible: int, age: timedelta | None, ok: bool
) -> None:
    assert work_queue_finding("PollQueue", visible=visible, age=age, commands=COMMANDS).ok is ok


def test_the_remedy_of_dead_letters_is_the_one_that_works_for_their_queue() -> None:
    slack, stream = (
        Resource(name, QUEUE, f"https://sqs/{name}") for name in ("SlackDeadLetterQueue", "StreamFailureQueue")
    )
    assert dead_letters_finding(slack, visible=0, commands=COMMANDS).ok
    movable = dead_letters_finding(slack, visible=2, commands=COMMANDS)
    assert movable.found == "2 dead letters"
    assert movable.command == "orderwatch redrive --dead-letters SlackDeadLetterQueue"
    purged = dead_letters_finding(stream, visible=1, commands=COMMANDS)
    assert purged.command == "aws sqs purge-queue --queue-url https://sqs/StreamFailureQueue"


def test_a_topic_with_one_unconfirmed_subscriber_among_others_is_named() -> None:
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


def test_one_thing_that_is_wrong_makes_the_whole_wrong_and_lines_cannot_steer_a_terminal() -> None:
    examination = Report.of([good("a", "fine\x1b[31m\nred"), bad("b", "gone", "put it", "put --it")])
    assert not examination.ok
    assert list(examination.lines()) == ["ok    a: fine [31m red", "FAIL  b: gone", "      put it:", "      put --it"]
    assert Report.of([good("a", "fine")]).ok


def test_errors_of_aws_are_one_line_with_the_remedy() -> None:
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
def test_the_region_is_the_environments_as_the_aws_cli_reads_it(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], region: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with Aws() as aws:
        assert aws.sns.meta.region_name == region


def test_a_parameter_that_may_not_be_read_is_one_line_too() -> None:
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
def test_what_doctor_may_not_look_at_is_a_finding_and_the_rest_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refused(_: Stack) -> Iterator[Finding]:
        yield good("first", "fine")
        raise error

    def fine(_: Stack) -> Iterator[Finding]:
        yield good("second", "fine")

    monkeypatch.setattr(doctor, "_CHECKS", {"topics": refused, "queues": fine})
    found = [(each.subject, each.ok) for each in doctor._findings(a_stack())]
    assert found == [("stack", False), ("first", True), ("topics", False), ("second", True)]


def test_a_refused_parameter_never_shows_its_value() -> None:
    error = ClientError({"Error": {"Code": "ValidationException", "Message": "'very-secret'"}}, "PutParameter")
    assert "very-secret" not in explain(error)


def test_no_text_of_a_finding_is_wider_than_the_terminal_and_no_command_is_broken() -> None:
    command = "aws sns subscribe --topic-arn arn:aws:sns:us-east-1:000000000000:orderwatch-OpsTopic --protocol email"
    found = bad("OpsTopic", "nobody is subscribed", "subscribe an address and follow the link in the e-mail", command)
    *words, last = Report.of([found]).lines(40)
    assert all(len(each) <= 40 for each in words)
    assert last.strip() == command


@pytest.mark.parametrize(("state", "ok"), [("OK", True), ("INSUFFICIENT_DATA", True), ("ALARM", False), (None, False)])
def test_an_alarm_that_sounds_or_is_gone_is_named(state: str | None, ok: bool) -> None:
    finding = alarm_finding("NoPollsAlarm", state)
    assert (finding is None) is ok
    assert finding is None or "NoPollsAlarm" in finding.subject


def test_what_is_gone_is_not_said_to_be_a_matter_of_permissions(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: Stack) -> Iterator[Finding]:
        raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "no table"}}, "Query")
        yield

    monkeypatch.setattr(doctor, "_CHECKS", {"pending alerts": gone})
    [_, finding] = doctor._findings(a_stack())
    assert (finding.ok, "allow" in finding.remedy, "gone" in finding.remedy) == (False, False, True)
