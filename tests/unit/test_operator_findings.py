"""What the operator's command line makes of what it sees, without a cloud."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import typer
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError
from pydantic.alias_generators import to_pascal

from orderwatch.polling.state import ConnectionState
from orderwatch.polling.windows import Progress, Window, WindowKind
from orderwatch_cli import doctor, settings_command, show
from orderwatch_cli.aws import Aws, explain
from orderwatch_cli.checks_delivery import dead_letters_finding, topic_finding, work_queue_finding
from orderwatch_cli.checks_trackstar import clock_finding, poll_interval, polls_finding
from orderwatch_cli.commands import app, since_moment
from orderwatch_cli.findings import Examination, Finding, bad, good
from orderwatch_cli.stack import Outputs, Stack, StackParameters
from orderwatch_cli.subscriptions import Subscription
from tests.support.template import ROOT

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FIVE_MINUTES = 5 * MINUTE
PARAMETERS = {
    "TrackstarBaseUrl": "http://127.0.0.1:9",
    "ParameterPrefix": "/orderwatch",
    "PollSchedule": "rate(5 minutes)",
    "SlackEnabled": "false",
}


def polled(*, ago: timedelta | None, progress: Progress | None = None) -> ConnectionState:
    at = None if ago is None else NOON - ago
    return ConnectionState(connection_id="conn_a", last_success_at=at, progress=progress)


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
        (15 * MINUTE, FIVE_MINUTES, True),
        (16 * MINUTE, FIVE_MINUTES, False),
        (9 * MINUTE, MINUTE, True),
        (11 * MINUTE, MINUTE, False),
        (timedelta(hours=23), None, True),
        (timedelta(hours=25), None, False),
    ],
)
def test_polls_are_late_after_three_intervals_but_never_within_ten_minutes(
    ago: timedelta, interval: timedelta | None, ok: bool
) -> None:
    assert polls_finding(polled(ago=ago), interval=interval, now=NOON).ok is ok


def test_a_first_reading_under_way_is_no_missing_poll() -> None:
    window = Window(kind=WindowKind.BASELINE, until=NOON)
    assert polls_finding(
        polled(ago=None, progress=Progress(window=window, began_at=NOON)), interval=MINUTE, now=NOON
    ).ok
    assert not polls_finding(polled(ago=None), interval=MINUTE, now=NOON).ok


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


@pytest.mark.parametrize(
    ("visible", "age", "ok"),
    [(0, None, True), (0, 20 * MINUTE, True), (7, None, True), (7, 15 * MINUTE, True), (7, 16 * MINUTE, False)],
)
def test_a_queue_is_not_worked_off_when_its_oldest_message_is_old(
    visible: int, age: timedelta | None, ok: bool
) -> None:
    assert work_queue_finding("PollQueue", visible=visible, age=age).ok is ok


def test_the_remedy_of_dead_letters_is_the_one_that_works_for_their_queue() -> None:
    assert dead_letters_finding("SlackDeadLetterQueue", visible=0).ok
    movable = dead_letters_finding("SlackDeadLetterQueue", visible=2)
    assert (movable.found, "--dead-letters SlackDeadLetterQueue" in movable.remedy) == ("2 dead letters", True)
    assert "--dead-letters" not in dead_letters_finding("StreamFailureQueue", visible=1).remedy


def test_a_topic_with_one_unconfirmed_subscriber_among_others_is_named() -> None:
    confirmed, pending = Subscription("sqs", "queue"), Subscription("email", "a@b.example", is_pending=True)
    assert topic_finding("AlertTopic", "arn", [confirmed]).ok
    scanned = topic_finding("AlertTopic", "arn", [Subscription("email", "a@b.example", has_open_link=True)])
    assert scanned.ok
    assert "aws sns confirm-subscription --topic-arn arn --token TOKEN --authenticate-on-unsubscribe true" in str(
        scanned
    )
    finding = topic_finding("AlertTopic", "arn", [confirmed, pending])
    assert (finding.ok, finding.found) == (False, "not confirmed yet: email a@b.example")


def test_one_thing_that_is_wrong_makes_the_whole_wrong_and_lines_cannot_steer_a_terminal() -> None:
    examination = Examination.of([good("a", "fine\x1b[31m\nred"), bad("b", "gone", "put it")])
    assert not examination.ok
    assert list(examination.lines()) == ["ok    a: fine [31m red", "FAIL  b: gone -> put it"]
    assert Examination.of([good("a", "fine")]).ok


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
    stack = Stack(
        aws=Aws(endpoint_url="http://127.0.0.1:9"),
        name="orderwatch",
        status="UPDATE_ROLLBACK_COMPLETE",
        outputs=Outputs.model_validate({to_pascal(name): "none" for name in Outputs.model_fields}),
        parameters=StackParameters.model_validate(PARAMETERS),
        resources={},
    )
    found = [(each.subject, each.ok) for each in doctor._findings(stack)]
    assert found == [("stack", False), ("first", True), ("topics", False), ("second", True)]


def test_a_refused_parameter_never_shows_its_value() -> None:
    error = ClientError({"Error": {"Code": "ValidationException", "Message": "'very-secret'"}}, "PutParameter")
    assert "very-secret" not in explain(error)


@pytest.mark.parametrize(
    ("typed", "moment"),
    [
        ("2026-03-02", datetime(2026, 3, 2, tzinfo=UTC)),
        ("2026-03-02T10:00Z", datetime(2026, 3, 2, 10, tzinfo=UTC)),
        ("2026-03-02T10:00+02:00", datetime(2026, 3, 2, 8, tzinfo=UTC)),
    ],
)
def test_a_moment_as_it_is_typed(typed: str, moment: datetime) -> None:
    assert since_moment(typed) == moment


def test_a_span_as_it_is_typed_is_how_long_ago() -> None:
    before = datetime.now(UTC)
    assert before <= since_moment("36h") + timedelta(hours=36) <= datetime.now(UTC)


@pytest.mark.parametrize("typed", ["", "yesterday", "h", "9999999999999d"])
def test_what_is_no_moment_is_refused(typed: str) -> None:
    with pytest.raises(typer.BadParameter):
        since_moment(typed)


def test_the_documentation_names_the_commands_that_there_are() -> None:
    section = (ROOT / "docs/operations.md").read_text().partition("## The command line")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `orderwatch ([a-z-]+)", section, re.MULTILINE))
    commands = [*app.registered_commands, *settings_command.app.registered_commands]
    assert documented == {each.name or each.callback.__name__ for each in commands if each.callback}


def test_a_table_shows_texts_of_others_as_they_are_and_lets_them_steer_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show.table(("order", "age"), [("#1\x1b]0;title\x07\n[bold]x", 3 * MINUTE), (None, NOON)], empty="nothing")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert [line.split("  ")[0] for line in out.splitlines()] == ["order", "#1 ]0;title [bold]x", "-"]
    assert "3 min" in out
    assert "2026-01-05 12:00 UTC" in out
