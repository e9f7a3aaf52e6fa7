"""`orderwatch doctor`, on stacks with one problem each."""

from collections.abc import Callable
from datetime import timedelta
from itertools import takewhile

import pytest

from orderwatch_cli.aws import Aws
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.simulator import Shop, SystemClock, Trackstar, VirtualClock, invalid_credentials, serve
from tests.support.alerts import alert_of
from tests.support.operated import API_KEY, CONNECTION, TOKEN, WEBHOOK, Operated, vendor

HOUR = timedelta(hours=1)


@pytest.fixture
def operated(operated: Operated) -> Operated:
    operated.in_good_order()
    return operated


def test_stack_without_problems_is_ok_in_every_line(operated: Operated) -> None:
    ran = operated.run("doctor")
    assert (ran.code, ran.err) == (0, "")
    assert {line[:6] for line in ran.out.splitlines()} == {"ok    "}
    for subject in ("stack", "API key", "clock", "conn_a token", "conn_a connection", "conn_a polls", "AlertTopic"):
        assert f"ok    {subject}: " in ran.out
    for subject in (
        "secrets",
        "OpsTopic",
        "Slack",
        "PollQueue",
        "SlackDeadLetterQueue",
        "pending alerts",
        "SlackQueue",
        "alarms",
        "functions",
    ):
        assert f"ok    {subject}: " in ran.out
    assert "ok    DispatchPollsFunctionPollSchedule: enabled" in ran.out


def _missing_key(operated: Operated) -> None:
    operated.forget("trackstar/api-key")


def _a_wrong_key(operated: Operated) -> None:
    operated.cloud.put_secret(f"/{operated.name}/trackstar/api-key", "another key")


def _a_key_that_cannot_be_sent(operated: Operated) -> None:
    operated.cloud.put_secret(f"/{operated.name}/trackstar/api-key", "k\u00e9y\nof two lines")


def _an_unencrypted_key(operated: Operated) -> None:
    _store_unencrypted(operated, "trackstar/api-key", API_KEY)


def _an_unencrypted_token(operated: Operated) -> None:
    _store_unencrypted(operated, f"connections/{CONNECTION}/access-token", TOKEN)


def _an_unencrypted_webhook(operated: Operated) -> None:
    _store_unencrypted(operated, "slack/webhook-url", WEBHOOK)


def _store_unencrypted(operated: Operated, parameter: str, value: str) -> None:
    operated.forget(parameter)
    operated.cloud.client("ssm").put_parameter(Name=f"/{operated.name}/{parameter}", Value=value, Type="String")


def _no_shop(operated: Operated) -> None:
    operated.forget(f"connections/{CONNECTION}/access-token")


def _a_name_without_a_token(operated: Operated) -> None:
    name = f"/{operated.name}/connections/conn_b/name"
    operated.cloud.client("ssm").put_parameter(Name=name, Value="Bazaar", Type="String")


def _a_wrong_token(operated: Operated) -> None:
    operated.connect(CONNECTION, "another token")


def _the_same_token_twice(operated: Operated) -> None:
    operated.connect("conn_b", TOKEN)


def _a_missing_connection(operated: Operated) -> None:
    operated.trackstar.disconnect(CONNECTION)


def _blocked_credentials(operated: Operated) -> None:
    operated.shop.errors.append(invalid_credentials())


def _no_sync_for_hours(operated: Operated) -> None:
    clock = VirtualClock(SystemClock().now() - 5 * HOUR)
    shop = Shop(CONNECTION, access_token=TOKEN, clock=clock)
    shop.sync()
    operated.trackstar.connect(shop)


def _an_unfinished_first_sync(operated: Operated) -> None:
    shop = Shop(CONNECTION, access_token=TOKEN, clock=SystemClock(), historical_sync_completed=False)
    operated.trackstar.connect(shop)


def _polls_that_stopped(operated: Operated) -> None:
    operated.polled(CONNECTION, ago=HOUR)


def _no_poll_yet(operated: Operated) -> None:
    key = {"connection_id": {"S": CONNECTION}}
    operated.cloud.client("dynamodb").delete_item(TableName=operated.outputs.connection_table_name, Key=key)


def _an_unconfirmed_subscription(operated: Operated) -> None:
    operated.cloud.client("sns").subscribe(
        TopicArn=operated.outputs.alert_topic_arn, Protocol="http", Endpoint="http://127.0.0.1:9/very-secret"
    )


def _no_subscriptions_of_ops_topic(operated: Operated) -> None:
    sns = operated.cloud.client("sns")
    for each in sns.list_subscriptions_by_topic(TopicArn=operated.outputs.ops_topic_arn)["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])


def _no_webhook(operated: Operated) -> None:
    operated.forget("slack/webhook-url")


def _an_invalid_webhook(operated: Operated) -> None:
    operated.cloud.put_secret(f"/{operated.name}/slack/webhook-url", "very-secret")


def _a_dead_letter(operated: Operated) -> None:
    url = operated.queue_url("SlackDeadLetterQueue")
    operated.cloud.client("sqs").send_message(QueueUrl=url, MessageBody="{}")


def _an_overdue_alert(operated: Operated) -> None:
    operated.write_alert(alert_of("o1"), ago=HOUR, sent=False)


def _a_disabled_schedule(operated: Operated) -> None:
    scheduler = operated.cloud.client("scheduler")
    name = operated.stack.resources["DispatchPollsFunctionPollSchedule"].id
    schedule = scheduler.get_schedule(Name=name)
    scheduler.update_schedule(
        Name=name,
        State="DISABLED",
        ScheduleExpression=schedule["ScheduleExpression"],
        FlexibleTimeWindow=schedule["FlexibleTimeWindow"],
        Target=schedule["Target"],
    )


def _slack_unsubscribed(operated: Operated) -> None:
    sns, queue = operated.cloud.client("sns"), operated.queue_url("SlackQueue").rpartition("/")[2]
    for each in sns.list_subscriptions_by_topic(TopicArn=operated.outputs.alert_topic_arn)["Subscriptions"]:
        if each["Endpoint"].endswith(f":{queue}"):
            sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])


def _an_active_alarm(operated: Operated) -> None:
    alarm = operated.stack.resources["PollDeadLetterAlarm"].id
    with Aws(endpoint_url=operated.cloud.endpoint) as aws:
        aws.cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")


def _a_missing_table(operated: Operated) -> None:
    operated.cloud.client("dynamodb").delete_table(TableName=operated.stack.resources["PaceTable"].id)


def _a_missing_queue(operated: Operated) -> None:
    operated.cloud.client("sqs").delete_queue(QueueUrl=operated.queue_url("StreamFailureQueue"))


def _a_disabled_function(operated: Operated) -> None:
    name = operated.stack.resources["PollOrdersFunction"].id
    operated.cloud.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)


def _a_throttled_function(operated: Operated) -> None:
    dimensions = [{"Name": "FunctionName", "Value": operated.stack.resources["PollOrdersFunction"].id}]
    datum = {"MetricName": "Throttles", "Dimensions": dimensions, "Value": 7.0, "Timestamp": SystemClock().now()}
    with Aws(endpoint_url=operated.cloud.endpoint) as aws:
        aws.cloudwatch.put_metric_data(Namespace="AWS/Lambda", MetricData=[datum])


def lines_below(out: str, begins: str) -> str:
    """The lines below the one that begins so, up to the next finding."""
    [at] = [number for number, line in enumerate(out.splitlines()) if line.startswith(begins)]
    below = takewhile(lambda line: line.startswith("      "), out.splitlines()[at + 1 :])
    return "\n".join(below)


@pytest.mark.parametrize(
    ("problem", "names", "remedy"),
    [
        (_missing_key, "API key: ", "orderwatch connect-trackstar --stack-name"),
        (_a_wrong_key, "API key: Trackstar rejects the API key", "orderwatch connect-trackstar"),
        (_a_key_that_cannot_be_sent, "API key: the API key is empty or contains characters", "connect-trackstar"),
        (_an_unencrypted_key, "secrets: ", "orderwatch connect-trackstar"),
        (_an_unencrypted_token, "secrets: ", "orderwatch connect conn_a"),
        (_an_unencrypted_webhook, "secrets: ", "orderwatch connect-slack"),
        (_no_shop, "shops: no shop is connected", "orderwatch connect CONNECTION_ID"),
        (_a_name_without_a_token, "conn_b token: missing", "orderwatch connect conn_b"),
        (_a_wrong_token, "conn_a token: the access token of conn_a is not valid", "orderwatch connect conn_a"),
        (_the_same_token_twice, "conn_b token: another shop has the same token", "orderwatch connect conn_b"),
        (_a_missing_connection, "conn_a token: Trackstar has no connection conn_a", "orderwatch disconnect"),
        (_blocked_credentials, "conn_a connection: blocked", "reconnect the shop in Trackstar"),
        (_no_sync_for_hours, "conn_a connection: stale", "check the shop's sync in Trackstar"),
        (_an_unfinished_first_sync, "conn_a connection: initial_sync", "wait until Trackstar has finished"),
        (_polls_that_stopped, "conn_a polls: the last success was 1 h ago", "orderwatch poll conn_a"),
        (_no_poll_yet, "conn_a polls: never polled", "orderwatch poll conn_a"),
        (_an_unconfirmed_subscription, "AlertTopic: not confirmed yet: http 127.0.0.1", "follow the link"),
        (_no_subscriptions_of_ops_topic, "OpsTopic: no subscriptions", " sns subscribe --topic-arn"),
        (_no_webhook, "Slack: ", "orderwatch connect-slack"),
        (_an_invalid_webhook, "Slack: ", "orderwatch connect-slack"),
        (_slack_unsubscribed, "SlackQueue: not subscribed", " sns subscribe --topic-arn"),
        (_an_active_alarm, "PollDeadLetterAlarm: in alarm", "docs/operations.md"),
        (_a_missing_table, "PaceTable: ", "docs/operations.md"),
        (_a_missing_queue, "StreamFailureQueue: ", "docs/operations.md"),
        (_a_disabled_function, "PollOrdersFunction: disabled", " lambda delete-function-concurrency"),
        (_a_throttled_function, "PollOrdersFunction: 7 invocations throttled", " lambda get-account-settings"),
        (_a_dead_letter, "SlackDeadLetterQueue: 1 dead letter", "--dead-letters SlackDeadLetterQueue"),
        (_an_overdue_alert, "pending alerts: 1 alert pending for more than 15 min", "orderwatch redrive"),
        (
            _a_disabled_schedule,
            "DispatchPollsFunctionPollSchedule: disabled",
            "in the console of EventBridge Scheduler",
        ),
    ],
)
def test_problem_is_named_with_its_remedy_and_no_secret(
    operated: Operated, problem: Callable[[Operated], None], names: str, remedy: str
) -> None:
    problem(operated)
    ran = operated.run("doctor")
    assert (ran.code, ran.err) == (1, "")
    assert remedy in lines_below(ran.out, f"FAIL  {names}")
    for secret in (API_KEY, TOKEN, WEBHOOK, "very-secret", "another token", "another key", "of two lines"):
        assert secret not in ran.out


def test_name_of_a_shop_need_not_be_encrypted(operated: Operated) -> None:
    name = f"/{operated.name}/connections/{CONNECTION}/name"
    operated.cloud.client("ssm").put_parameter(Name=name, Value="Bazaar", Type="String")
    ran = operated.run("doctor")
    assert (ran.code, "ok    secrets: " in ran.out) == (0, True)


def test_clock_of_a_simulated_shop_is_ok(
    cloud: LocalCloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = VirtualClock(SystemClock().now() - 2 * HOUR)
    trackstar = Trackstar(API_KEY, [Shop(CONNECTION, access_token=TOKEN, clock=clock)], clock)
    with serve(trackstar) as server:
        operated = Operated.deployed(cloud, server.url, trackstar, capsys, monkeypatch)
        operated.in_good_order()
        ran = operated.run("doctor")
    assert "ok    clock: differs by 2 h from the simulated shop's, which is expected" in ran.out


def test_unreachable_api_does_not_stop_the_other_checks(
    cloud: LocalCloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    operated = Operated.deployed(cloud, "http://127.0.0.1:9", vendor(), capsys, monkeypatch)
    operated.in_good_order()
    ran = operated.run("doctor")
    assert ran.code == 1
    assert "check the parameter TrackstarBaseUrl" in lines_below(
        ran.out, "FAIL  API key: http://127.0.0.1:9 does not respond (ConnectError)"
    )
    assert "ok    AlertTopic: " in ran.out


def test_missing_stack_is_one_finding(operated: Operated) -> None:
    operated.cloud.client("cloudformation").delete_stack(StackName=operated.name)
    ran = operated.run("doctor")
    assert ran.code == 1
    assert ran.out.startswith(f"FAIL  stack: no stack {operated.name} in this account and region")
    assert ran.out.count("FAIL") == 1


def test_json_has_every_finding(operated: Operated) -> None:
    _a_dead_letter(operated)
    ran = operated.run("doctor", "--json")
    assert ran.code == 1
    assert '"ok": false' in ran.out
    assert '"subject": "SlackDeadLetterQueue"' in ran.out
