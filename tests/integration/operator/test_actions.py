"""`orderwatch poll`, `redrive`, `summary` and `test-alert`: what they start, and what they move."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from orderwatch import clock
from orderwatch.records import Health, HealthState
from orderwatch.rendering import next_steps, slack
from orderwatch.rendering.sns import render
from orderwatch.statuses import DOCUMENTED_STATUSES
from orderwatch_cli.commands.test_alert import make_test_alert
from orderwatch_cli.main import run
from orderwatch_cli.poll_results import POLL_ENDED, POLL_FAILED
from orderwatch_cli.stack import QUEUE, STACK_NAME, TABLE
from orderwatch_local.preview.samples import SAMPLES
from orderwatch_local.simulator import Response, serve
from tests.support.alerts import alert_of
from tests.support.clocks import NOON, FakeClock, running_on
from tests.support.operated import CONNECTION, TOKEN, TOPIC, Operated, moto_client, vendor

HOUR = timedelta(hours=1)
HOUR_OLD = {"sent": 1, "unsent": 2}
ENDED: dict[str, Any] = {"outcome": "finished", "OrdersRead": 12, "OrdersWritten": 3, "AlertsWritten": 1}
BLOCKED = Health(since=NOON, state=HealthState.BLOCKED, detail="No access.")


@pytest.mark.parametrize(
    ("typed", "polled"),
    [(("conn_b",), ["conn_b"]), ((), ["conn_a", "conn_b"]), (("conn_b", "conn_a"), ["conn_b", "conn_a"])],
)
def test_poll_invokes_dispatch_polls(operated: Operated, typed: tuple[str, ...], polled: list[str]) -> None:
    for connection_id in ("conn_b", "conn_a"):
        operated.connect(connection_id, "token")
    assert operated.json("poll", *typed)["connection_ids"] == polled
    assert operated.session.functions.invoked == [("DispatchPollsFunction", {"connection_ids": polled})]


def test_poll_can_restart_an_unfinished_reading(operated: Operated) -> None:
    operated.connect(CONNECTION, TOKEN)
    assert "name the shops whose reading begins again" in operated.run("poll", "--restart").err
    operated.run("poll", CONNECTION, "--restart")
    payload = {"connection_ids": [CONNECTION], "restart": True}
    assert operated.session.functions.invoked == [("DispatchPollsFunction", payload)]


def test_failed_function_is_one_line_with_its_log(operated: Operated) -> None:
    operated.connect(CONNECTION, TOKEN)
    operated.session.functions.answers["DispatchPollsFunction"] = {"errorType": "KeyError"}
    ran = operated.run("poll")
    message = "DispatchPollsFunction failed (KeyError); read its log: orderwatch logs dispatch-polls"
    assert (ran.code, ran.err) == (1, f"orderwatch: {message}\n")


def test_answer_of_another_release_is_one_line(operated: Operated) -> None:
    operated.session.functions.answers["SendSummaryFunction"] = {"summary": "of another form"}
    message = "the stack's answer has another form: deploy the release of orderwatch that this command line has"
    assert operated.run("summary") == (1, "", f"orderwatch: {message}\n")


def test_poll_of_an_unconnected_shop_is_an_error(operated: Operated) -> None:
    assert "no shop is connected" in operated.run("poll").err
    operated.connect(CONNECTION, TOKEN)
    ran = operated.run("poll", CONNECTION, "conn_b", "conn_c")
    message = "not connected: conn_b, conn_c; connect a shop with: orderwatch connect conn_b"
    assert (ran.code, ran.err) == (1, f"orderwatch: {message}\n")
    assert operated.session.functions.invoked == []


def polling(operated: Operated, *lines: dict[str, Any], **row: Any) -> None:
    """A connected shop; its poll `poll-1` is requested and logs these lines."""
    operated.create(TABLE)
    operated.connect(CONNECTION, TOKEN)
    operated.polled(CONNECTION, **row)
    answer = {"connection_ids": [CONNECTION], "poll_ids": {CONNECTION: "poll-1"}}
    operated.session.functions.answers["DispatchPollsFunction"] = answer
    written = operated.session.logs.lines[operated.stack.resources["PollOrdersLogGroup"].id]
    for number, line in enumerate(lines, start=1):
        constant = {"message": POLL_ENDED, "connection_id": CONNECTION, "poll_id": f"poll-{number}"}
        written.append((datetime.now(UTC) + timedelta(seconds=number), json.dumps(constant | line)))


@pytest.mark.parametrize(
    ("lines", "row", "code", "says"),
    [
        ([ENDED], {}, 0, "conn_a: 12 orders read, 3 changed, 1 alert"),
        ([ENDED | {"outcome": "unfinished"}, ENDED], {}, 0, "conn_a: 24 orders read, 6 changed, 2 alerts"),
        ([{"outcome": "already read"}], {}, 0, "conn_a: read by a later poll"),
        ([ENDED], {"health": BLOCKED}, 1, "conn_a: 12 orders read, 3 changed, 1 alert; blocked: No access."),
        ([{"outcome": "unauthorized"}], {}, 1, "conn_a: Trackstar refuses the API key or the access token"),
        ([{"message": POLL_FAILED, "exception": "E: no page"}], {}, 1, "conn_a: E: no page"),
        ([ENDED | {"poll_id": "poll-0"}], {}, 1, "conn_a: no result within 10 minutes; read the log: orderwatch logs"),
        ([ENDED | {"outcome": "unfinished"}], {}, 1, "conn_a: no result within 10 minutes"),
    ],
)
def test_poll_waits_for_what_came_of_it(
    operated: Operated, lines: list[dict[str, Any]], row: dict[str, Any], code: int, says: str
) -> None:
    polling(operated, *lines, **row)
    with running_on(FakeClock(datetime.now(UTC))):
        ran = operated.run("poll", "--wait")
        [result] = json.loads(operated.run("poll", "--wait", "--json").out)["results"]
    assert (ran.code, ran.err) == (code, "waiting for 1 poll, at most 10 minutes: conn_a\n")
    assert ran.out.startswith(says)
    assert (result["connection_id"], result["reason"] is None and result["health"] in {None, "healthy"}) == (
        CONNECTION,
        code == 0,
    )


@pytest.mark.parametrize(
    ("level", "answer", "says"),
    [
        ("WARNING", {}, "LogLevel=WARNING hides its results: poll without it, then run: orderwatch shops"),
        ("INFO", {"connection_ids": [CONNECTION]}, "names no poll of conn_a: deploy this release first"),
    ],
)
def test_poll_does_not_wait_for_results_that_it_cannot_see(
    operated: Operated, level: str, answer: dict[str, Any], says: str
) -> None:
    operated.describe(LogLevel=level)
    operated.connect(CONNECTION, TOKEN)
    operated.session.functions.answers["DispatchPollsFunction"] = answer
    ran = operated.run("poll", "--wait")
    assert (ran.code, says in ran.err) == (1, True)


def test_redrive_counts_what_is_still_pending(operated: Operated) -> None:
    operated.create(TABLE)
    operated.session.functions.answers["RedriveAlertsFunction"] = HOUR_OLD
    operated.write_alert(alert_of("o1"), sent=False)
    operated.write_alert(alert_of("o2"))
    assert operated.json("redrive") == {**HOUR_OLD, "still_pending": 1, "held": 0}
    assert operated.run("redrive").out.startswith("sent 1 alert; 2 failed; 1 still pending\n")
    for order_id, end in (("o3", clock.now()), ("o4", clock.now() + HOUR)):
        operated.write_alert(alert_of(order_id), sent=False, held_until=end)
    assert operated.json("redrive") == {**HOUR_OLD, "still_pending": 2, "held": 1}
    assert operated.run("redrive").out.endswith("1 alert held until the end of their shop's quiet hours.\n")


@pytest.mark.parametrize(("typed", "payload"), [((), {"send": False}), (("--send",), {})])
def test_summary_is_shown_as_its_email(operated: Operated, typed: tuple[str, ...], payload: dict[str, bool]) -> None:
    alert = SAMPLES["summary.daily"].model_dump(mode="json")
    operated.session.functions.answers["SendSummaryFunction"] = {"is_written": bool(typed), "alert": alert}
    out = operated.run("summary", *typed).out
    assert "need attention" in out
    assert ("The summary is being sent to AlertTopic." in out) is bool(typed)
    assert operated.session.functions.invoked == [("SendSummaryFunction", payload)]


def test_test_alert_is_sent_and_lists_the_subscriptions(operated: Operated) -> None:
    operated.create(TABLE, TOPIC, QUEUE)
    operated.connect(CONNECTION, TOKEN)
    everything = operated.subscribe("AlertTopic")
    exceptions = operated.subscribe("AlertTopic", kind=["order.exception"])
    expensive = operated.subscribe("AlertTopic", total_price=[{"numeric": [">", 500]}])

    sent = operated.json("test-alert")
    received = [[alert["alert_id"] for alert in operated.receive(url)] for url in (everything, exceptions, expensive)]
    assert received == [[sent["alert_id"]], [sent["alert_id"]], []]
    policies = {each["endpoint"]: each["filter_policy"] for each in sent["subscriptions"]}
    assert policies[exceptions.rpartition("/")[2]] == {"kind": ["order.exception"]}
    assert policies["SlackQueue"] == {}
    table = operated.run("test-alert").out
    assert '{"kind": ["order.exception"]}' in table
    assert "Look for TEST in each channel." in table

    sent = operated.json("test-alert", "--value", "900", "--status", "backordered", "--shop", CONNECTION)
    [alert] = operated.receive(expensive)
    assert (alert["alert_id"], alert["kind"]) == (sent["alert_id"], "order.backordered")
    assert (alert["connection_id"], alert["connection"]["name"]) == (CONNECTION, "TEST of orderwatch")
    assert (alert["order"]["number"], "TEST" in sent["subject"]) == ("TEST", True)


@pytest.mark.parametrize("typed", [("--status", "excepton"), ("--shop", "nope")])
def test_a_test_alert_of_an_unknown_status_or_shop_is_not_sent(operated: Operated, typed: tuple[str, str]) -> None:
    operated.create(TABLE, TOPIC, QUEUE)
    operated.connect(CONNECTION, TOKEN)
    everything = operated.subscribe("AlertTopic")
    ended = operated.run("test-alert", *typed)
    assert ended.code == 1
    assert f"no {typed[0].removeprefix('--')} {typed[1]}" in ended.err
    assert operated.receive(everything) == []


@pytest.mark.parametrize("status", sorted(DOCUMENTED_STATUSES))
def test_a_test_alert_says_that_nothing_is_to_be_done(status: str) -> None:
    alert = make_test_alert(status=status, connection_id="conn_a", total_price=Decimal(1))
    message = render(alert)
    shown = [*message.bodies.values(), json.dumps(slack.blocks(alert).blocks), message.subject]
    assert all("test" in each.casefold() for each in shown)
    assert all("no action needed" in each.casefold() for name, each in message.bodies.items() if name != "sms")
    assert next_steps.next_step(alert) == "No action needed. This is a test of the alert channels."


def test_redrive_moves_dead_letters_back(operated: Operated) -> None:
    operated.create(QUEUE)
    sqs, source = moto_client("sqs"), operated.stack.resources["SlackDeadLetterQueue"].id
    for number in range(13):
        sqs.send_message(QueueUrl=source, MessageBody=json.dumps({"number": number}))
    assert operated.json("redrive", "--dead-letters", "SlackDeadLetterQueue")["messages"] == 13
    moved = operated.receive(operated.stack.resources["SlackQueue"].id)
    assert sorted(each["number"] for each in moved) == list(range(13))
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    left = sqs.get_queue_attributes(QueueUrl=source, AttributeNames=names)["Attributes"]
    assert set(left.values()) == {"0"}


def test_redrive_keeps_the_groups_of_a_fifo_queue(operated: Operated) -> None:
    operated.create(QUEUE)
    sqs, queues = moto_client("sqs"), operated.stack.resources
    for number in range(3):
        sqs.send_message(
            QueueUrl=queues["PollDeadLetterQueue"].id,
            MessageBody=f"poll {number}",
            MessageGroupId=f"conn_{number}",
            MessageDeduplicationId=f"poll-{number}",
        )
    ran = operated.run("redrive", "--dead-letters", "PollDeadLetterQueue")
    assert ran.out == "moved 3 messages from PollDeadLetterQueue to PollQueue\n"
    request: Any = {"MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["MessageGroupId"]}
    messages = sqs.receive_message(QueueUrl=queues["PollQueue"].id, **request)["Messages"]
    groups = {each["Body"]: each["Attributes"]["MessageGroupId"] for each in messages}
    assert groups == {f"poll {number}": f"conn_{number}" for number in range(3)}


@pytest.mark.parametrize(
    ("queue", "message"),
    [
        ("StreamFailureQueue", "send what is still pending with: orderwatch redrive\n"),
        ("ScheduleDeadLetterQueue", "do its work with: orderwatch poll\n"),
        ("PollQueue", "use one of PollDeadLetterQueue, SlackDeadLetterQueue"),
        ("NoQueue", "use one of PollDeadLetterQueue, SlackDeadLetterQueue"),
    ],
)
def test_redrive_of_another_queue_says_what_to_do(operated: Operated, queue: str, message: str) -> None:
    ran = operated.run("redrive", "--dead-letters", queue)
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert message in ran.err


@pytest.mark.parametrize("queue", ["SlackDeadLetterQueue", "SlackQueue"])
def test_redrive_of_a_slack_queue_says_that_slack_is_off(operated: Operated, queue: str) -> None:
    cloudformation = operated.session.cloudformation
    cloudformation.resources = [each for each in cloudformation.resources if not each.name.startswith("Slack")]
    ran = operated.run("redrive", "--dead-letters", queue)
    message = f"Slack is off: this stack has no {queue}; deploy it with SlackEnabled=true"
    assert (ran.code, ran.out, ran.err) == (1, "", f"orderwatch: {message}\n")
    assert operated.run("redrive", "--dead-letters", "NoQueue").err.endswith("use one of PollDeadLetterQueue\n")


COMMANDS = ("shops", "orders", "alerts", "logs", "poll", "redrive", "summary", "test-alert")


@pytest.mark.parametrize("command", ["shops", "logs"])
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9"])
def test_dead_local_cloud_is_one_line_with_a_question(
    capsys: pytest.CaptureFixture[str], command: str, endpoint: str
) -> None:
    with pytest.raises(SystemExit) as left:
        run([command, "--endpoint-url", endpoint])
    message = f"no local cloud answers at {endpoint}: is `orderwatch up` still running?"
    assert (left.value.code, capsys.readouterr().err) == (1, f"orderwatch: {message}\n")


@pytest.mark.parametrize("status", [200, 403, 404])
@pytest.mark.parametrize("body", [b"", b"<html>hello</html>", b"{}"])
def test_endpoint_that_is_no_cloud_is_one_line(capsys: pytest.CaptureFixture[str], status: int, body: bytes) -> None:
    trackstar = vendor()
    trackstar.intercept = lambda _: Response(status, body=body)
    with serve(trackstar) as server, pytest.raises(SystemExit) as left:
        run(["shops", "--endpoint-url", server.url])
    message = "the endpoint does not answer as AWS does: check --endpoint-url and AWS_ENDPOINT_URL"
    assert (left.value.code, capsys.readouterr().err) == (1, f"orderwatch: {message}\n")


def test_missing_stack_is_one_line_for_every_command(operated: Operated) -> None:
    operated.session.cloudformation.stacks[STACK_NAME]["Outputs"].clear()
    missing = "no stack other in this account and region: set --stack-name"
    foreign = "stack orderwatch (CREATE_COMPLETE) lacks the outputs of orderwatch: deploy template.yaml"
    for command in COMMANDS:
        assert operated.run(command, "--stack-name", "other") == (1, "", f"orderwatch: {missing}\n")
        assert operated.run(command) == (1, "", f"orderwatch: {foreign}\n")
