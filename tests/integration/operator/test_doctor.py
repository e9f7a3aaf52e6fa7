"""`orderwatch doctor`, on stacks with one problem each."""

from collections.abc import Callable
from datetime import timedelta
from itertools import takewhile

import pytest

from orderwatch.clock import now
from orderwatch.rendering.formatting import plural
from orderwatch_cli.checks.delivery import check_slack
from orderwatch_cli.checks.trackstar import check_trackstar
from orderwatch_cli.commands import doctor
from orderwatch_cli.stack import QUEUE, TABLE
from orderwatch_local.simulator import (
    Response,
    Shop,
    SystemClock,
    Trackstar,
    VirtualClock,
    invalid_credentials,
    missing_permission,
    serve,
)
from tests.support.alerts import alert_of
from tests.support.operated import API_KEY, CONNECTION, TOKEN, TOPIC, WEBHOOK, Operated, moto_client
from tests.support.permissions import arn_of

HOUR = timedelta(hours=1)
SUMMARIES = "SendSummaryFunctionSchedule"


SUBJECTS = (
    *("stack", "API key", "clock", "conn_a token", "conn_a connection", "conn_a polls", "AlertTopic", "OpsTopic"),
    *("AlertTopic filters", "OpsTopic filters"),
    *("tables and queues", "secrets", "Slack", "PollQueue", "SlackDeadLetterQueue", "pending alerts", "SlackQueue"),
    *(
        "alarms",
        "functions",
        "Lambda concurrency",
        "DispatchPollsFunctionPollSchedule",
        "PublishAlertsFunctionAlertStream",
    ),
)


def test_stack_without_problems_is_ok_in_every_line(operated: Operated) -> None:
    operated.in_good_order()
    operated.put(f"connections/{CONNECTION}/name", "a name need not be encrypted")
    ran = operated.run("doctor")
    assert (ran.code, ran.err) == (0, "")
    *lines, tally = ran.out.splitlines()
    assert {line[:6] for line in lines} == {"ok    "}
    assert {line[6:].partition(": ")[0] for line in lines} >= set(SUBJECTS)
    assert tally == f"no problems, {len(lines)} ok"
    report = operated.run("doctor", "--json").out
    assert '"ok": true' in report
    assert '"subject": "SlackDeadLetterQueue"' in report


def _unencrypted(parameter: str, value: str) -> Callable[[Operated], None]:
    def store(operated: Operated) -> None:
        operated.forget(parameter)
        operated.put(parameter, value)

    return store


def _missing(parameter: str) -> Callable[[Operated], None]:
    return lambda operated: operated.forget(parameter)


def _secret(parameter: str, value: str) -> Callable[[Operated], None]:
    return lambda operated: operated.put_secret(parameter, value)


def _a_missing_connection(operated: Operated) -> None:
    operated.trackstar.disconnect(CONNECTION)


def _a_proxy(operated: Operated) -> None:
    operated.trackstar.intercept = lambda _: Response(403, body=b"<html>Forbidden</html>")


def _blocked_credentials(operated: Operated) -> None:
    operated.shop.errors.append(invalid_credentials())


def _blocked_products(operated: Operated) -> None:
    operated.shop.errors.append(missing_permission("products"))


def _no_sync_for_hours(operated: Operated) -> None:
    shop = Shop(CONNECTION, access_token=TOKEN, clock=VirtualClock(SystemClock().now() - 5 * HOUR))
    shop.sync()
    operated.trackstar.connect(shop)


def _an_unfinished_first_sync(operated: Operated) -> None:
    shop = Shop(CONNECTION, access_token=TOKEN, clock=SystemClock(), historical_sync_completed=False)
    operated.trackstar.connect(shop)


def _nothing(operated: Operated) -> None:
    """The problem before is the cause of this one too."""


def _unsubscribed(topic: str, endpoint: str = "") -> Callable[[Operated], None]:
    def unsubscribe(operated: Operated) -> None:
        sns = moto_client("sns")
        for each in sns.list_subscriptions_by_topic(TopicArn=arn_of(topic))["Subscriptions"]:
            if each["Endpoint"].endswith(endpoint):
                sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])

    return unsubscribe


def _a_disabled_schedule(operated: Operated) -> None:
    scheduler, name = moto_client("scheduler"), "DispatchPollsFunctionPollSchedule"
    known = scheduler.get_schedule(Name=name)
    kept = {key: known[key] for key in ("ScheduleExpression", "FlexibleTimeWindow", "Target")}
    scheduler.update_schedule(Name=name, State="DISABLED", **kept)


def _overdue_alerts(operated: Operated) -> None:
    """Two alerts are overdue, one of them since its quiet hours ended; another one still waits."""
    operated.write_alert(alert_of("o1"), ago=HOUR, sent=False)
    for order_id, end in (("o2", now() - HOUR), ("o3", now() + HOUR)):
        operated.write_alert(alert_of(order_id), ago=5 * HOUR, sent=False, held_until=end)


def _alarm(name: str, state: str) -> Callable[[Operated], None]:
    return lambda operated: operated.session.cloudwatch.alarms.update({name: state})


def _no_alarm(operated: Operated) -> None:
    del operated.session.cloudwatch.alarms["NoPollsAlarm"]


def _throttled(operated: Operated) -> None:
    operated.session.cloudwatch.metrics["Throttles", "PollOrdersFunction"] = 7


def _filtered_out(topic: str, reason: str, count: float) -> Callable[[Operated], None]:
    metric = f"NumberOfNotificationsFilteredOut-{reason}"
    return lambda operated: operated.session.cloudwatch.metrics.update({(metric, topic): count})


def _an_overdue_poll(operated: Operated) -> None:
    url = operated.stack.resources["PollQueue"].id
    group = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}
    moto_client("sqs").send_message(QueueUrl=url, MessageBody="{}", **group)
    operated.session.cloudwatch.metrics["ApproximateAgeOfOldestMessage", "PollQueue.fifo"] = 3600


def _a_dead_letter(operated: Operated) -> None:
    url = operated.stack.resources["SlackDeadLetterQueue"].id
    moto_client("sqs").send_message(QueueUrl=url, MessageBody="{}")


def _deleted(service: str, operation: str, **request: str) -> Callable[[Operated], None]:
    return lambda operated: getattr(moto_client(service), operation)(**request)


def _reserved(function: str, count: int | None) -> Callable[[Operated], None]:
    return lambda operated: operated.session.functions.reserved.update({function: count})


def _status(operated: Operated) -> None:
    operated.session.cloudformation.stacks["orderwatch"]["StackStatus"] = "UPDATE_ROLLBACK_COMPLETE"


KEY, TOKEN_OF_A, HOOK = "trackstar/api-key", f"connections/{CONNECTION}/access-token", "slack/webhook-url"
STREAM_FAILURES = "https://sqs.us-east-1.amazonaws.com/123456789012/StreamFailureQueue"
type Problem = tuple[Callable[[Operated], object], str, str]
ONE_AT_A_TIME: list[Problem] = [
    (_missing(KEY), "API key: ", "orderwatch connect-trackstar"),
    (_secret(KEY, "another key"), "API key: Trackstar rejects the API key", "orderwatch connect-trackstar"),
    (_a_proxy, "API key: http://127.0.0.1:", "check the parameter TrackstarBaseUrl"),
    (_secret(KEY, "k\u00e9y\nof two lines"), "API key: the API key is empty or contains", "connect-trackstar"),
    (_missing(TOKEN_OF_A), "shops: no shop is connected", "orderwatch connect CONNECTION_ID"),
    (_secret(TOKEN_OF_A, "another token"), "conn_a token: the access token of conn_a is not valid", "connect conn_a"),
    (_a_missing_connection, "conn_a token: Trackstar has no connection conn_a", "orderwatch disconnect"),
    (_blocked_credentials, "conn_a connection: blocked", "reconnect the shop in Trackstar"),
    (_blocked_products, "conn_a products: Trackstar cannot sync them", "have the shop grant Trackstar access"),
    (_no_sync_for_hours, "conn_a connection: stale", "check the shop's sync in Trackstar"),
    (_an_unfinished_first_sync, "conn_a connection: initial_sync", "wait until Trackstar has finished"),
    (_missing(HOOK), "Slack: ", "orderwatch connect-slack"),
]
TOGETHER: list[Problem] = [
    (_status, "stack: orderwatch, UPDATE_ROLLBACK_COMPLETE", "deploy again"),
    (_unencrypted(KEY, API_KEY), "secrets: /orderwatch/trackstar", "orderwatch connect-trackstar"),
    (_unencrypted(TOKEN_OF_A, TOKEN), "secrets: /orderwatch/connections", "orderwatch connect conn_a"),
    (_unencrypted(HOOK, "very-secret"), "secrets: /orderwatch/slack", "orderwatch connect-slack"),
    (_nothing, "Slack: ", "orderwatch connect-slack"),
    (lambda operated: operated.put("connections/conn_b/name", "Bazaar"), "conn_b token: missing", "connect conn_b"),
    (_secret("connections/conn_c/access-token", TOKEN), "conn_c token: another shop has the same", "connect conn_c"),
    (_nothing, "conn_a token: another shop has the same", "connect conn_a"),
    (_nothing, "conn_c polls: never polled", "poll conn_c"),
    (lambda operated: operated.polled(CONNECTION, ago=HOUR), "conn_a polls: the last success was 1 h", "poll conn_a"),
    (_unsubscribed("OpsTopic"), "OpsTopic: no subscriptions", "orderwatch subscribe EMAIL --operators"),
    (_unsubscribed("AlertTopic", ":SlackQueue"), "SlackQueue: not subscribed", " sns subscribe --topic-arn"),
    (
        _filtered_out("AlertTopic", "NoMessageAttributes", 3),
        "AlertTopic filters: within 1 d, a filter policy kept back 3 messages without attributes",
        "--attribute-name FilterPolicyScope --attribute-value MessageBody",
    ),
    (
        _filtered_out("OpsTopic", "InvalidAttributes", 1),
        "OpsTopic filters: within 1 d, a filter policy kept back 1 message with invalid attributes",
        "--attribute-name FilterPolicy --attribute-value '{}'",
    ),
    (_alarm("PollDeadLetterAlarm", "ALARM"), "PollDeadLetterAlarm: in alarm", "docs/operations.md"),
    (_no_alarm, "NoPollsAlarm: the alarm is missing", "sam delete"),
    (_deleted("dynamodb", "delete_table", TableName="PaceTable"), "PaceTable: ", "docs/operations.md"),
    (_deleted("sqs", "delete_queue", QueueUrl=STREAM_FAILURES), "StreamFailureQueue: ", "docs/operations.md"),
    (_deleted("scheduler", "delete_schedule", Name=SUMMARIES), f"{SUMMARIES}: missing", "sam delete"),
    (_a_disabled_schedule, "DispatchPollsFunctionPollSchedule: disabled", "console of EventBridge Scheduler"),
    (
        lambda operated: operated.session.functions.disabled.add("PublishAlertsFunctionAlertStream"),
        "PublishAlertsFunctionAlertStream: disabled",
        "aws lambda update-event-source-mapping --uuid PublishAlertsFunctionAlertStream --enabled",
    ),
    (_reserved("PostToSlackFunction", None), "PostToSlackFunction: PostToSlackFunction is missing", "sam delete"),
    (_reserved("DispatchPollsFunction", 0), "DispatchPollsFunction: disabled", "lambda delete-function-concurrency"),
    (_throttled, "PollOrdersFunction: 7 invocations throttled within 15 min", "lambda get-account-settings"),
    (
        lambda operated: setattr(operated.session.functions, "concurrency", 10),
        "Lambda concurrency: the stack runs up to 12 functions at a time, the account 10",
        "sam deploy --parameter-overrides PollConcurrency=3",
    ),
    (_an_overdue_poll, "PollQueue: 1 message queued, the oldest for 1 h", "logs poll-orders"),
    (_a_dead_letter, "SlackDeadLetterQueue: 1 dead letter", "--dead-letters SlackDeadLetterQueue"),
    (_overdue_alerts, "pending alerts: 2 alerts pending for more than 15 min", "orderwatch redrive"),
]


def lines_below(out: str, begins: str) -> str:
    """The lines below the one that begins so, up to the next finding."""
    [at] = [number for number, line in enumerate(out.splitlines()) if line.startswith(begins)]
    below = takewhile(lambda line: line.startswith("      "), out.splitlines()[at + 1 :])
    return "\n".join(below)


def assert_reported(operated: Operated, problems: list[Problem]) -> None:
    """Each problem is named with its remedy, nothing else is reported, and no secret is shown."""
    for cause, _, _ in problems:
        cause(operated)
    ran = operated.run("doctor")
    assert (ran.code, ran.err) == (1, "")
    marks = [line[:4] for line in ran.out.splitlines() if not line.startswith(" ")][:-1]
    assert marks == ["FAIL"] * len(problems) + ["ok  "] * (len(marks) - len(problems))
    assert ran.out.splitlines()[-1].startswith(f"{plural(len(problems), 'problem')}, ")
    for _, names, remedy in problems:
        assert remedy in lines_below(ran.out, f"FAIL  {names}")
    for secret in (API_KEY, TOKEN, WEBHOOK, "very-secret", "another token", "another key", "of two lines"):
        assert secret not in ran.out


def test_all_problems_are_reported_at_once(operated: Operated) -> None:
    operated.in_good_order()
    assert_reported(operated, TOGETHER)


@pytest.mark.parametrize("problem", ONE_AT_A_TIME, ids=[names for _, names, _ in ONE_AT_A_TIME])
def test_problem_with_trackstar_or_slack_is_reported(
    operated: Operated, monkeypatch: pytest.MonkeyPatch, problem: Problem
) -> None:
    monkeypatch.setattr(doctor, "_CHECKS", {"Trackstar": check_trackstar, "Slack": check_slack})
    operated.create(TABLE, QUEUE, TOPIC)
    operated.with_shop()
    assert_reported(operated, [problem])


def test_clock_of_a_simulated_shop_is_ok(operated: Operated) -> None:
    operated.in_good_order()
    clock = VirtualClock(SystemClock().now() - 2 * HOUR)
    with serve(Trackstar(API_KEY, [Shop(CONNECTION, access_token=TOKEN, clock=clock)], clock)) as server:
        operated.describe(TrackstarBaseUrl=server.url)
        ran = operated.run("doctor")
    assert "ok    clock: differs by 2 h from the simulated shop's, which is expected" in ran.out


def test_unreachable_api_does_not_stop_the_other_checks(operated: Operated) -> None:
    operated.in_good_order()
    operated.describe(TrackstarBaseUrl="http://127.0.0.1:9")
    ran = operated.run("doctor")
    assert ran.code == 1
    assert "check the parameter TrackstarBaseUrl" in lines_below(
        ran.out, "FAIL  API key: http://127.0.0.1:9 does not respond (ConnectError)"
    )
    assert "ok    AlertTopic: " in ran.out


def test_missing_stack_is_one_finding(operated: Operated) -> None:
    ran = operated.run("doctor", "--stack-name", "other")
    assert ran.code == 1
    assert ran.out.startswith("FAIL  stack: no stack other in this account and region")
    assert ran.out.count("FAIL") == 1
