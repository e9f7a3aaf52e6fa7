"""doctor, on stacks in which one thing is broken."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from orderwatch_local.cloud import LocalCloud
from orderwatch_local.shop import Shop, SystemClock, Trackstar, VirtualClock, invalid_credentials, serve
from tests.support.alerts import alert_of
from tests.support.operated import API_KEY, CONNECTION, TOKEN, WEBHOOK, Operated, vendor

HOUR = timedelta(hours=1)


@pytest.fixture
def operated(operated: Operated) -> Operated:
    operated.in_good_order()
    return operated


def test_a_stack_in_good_order_is_ok_in_every_line(operated: Operated) -> None:
    ran = operated.run("doctor")
    assert (ran.code, ran.err) == (0, "")
    assert {line[:6] for line in ran.out.splitlines()} == {"ok    "}
    for subject in ("stack", "API key", "clock", "conn_a token", "conn_a connection", "conn_a polls", "AlertTopic"):
        assert f"ok    {subject}: " in ran.out
    for subject in ("secrets", "OpsTopic", "Slack", "PollQueue", "SlackDeadLetterQueue", "pending alerts"):
        assert f"ok    {subject}: " in ran.out
    assert "ok    DispatchPollsFunctionPollSchedule: enabled" in ran.out


def _lose_the_key(operated: Operated) -> None:
    operated.forget("trackstar/api-key")


def _a_wrong_key(operated: Operated) -> None:
    operated.cloud.put_secret(f"/{operated.name}/trackstar/api-key", "another key")


def _a_key_that_no_header_takes(operated: Operated) -> None:
    operated.cloud.put_secret(f"/{operated.name}/trackstar/api-key", "k\u00e9y\nof two lines")


def _a_key_in_the_clear(operated: Operated) -> None:
    _store_in_the_clear(operated, "trackstar/api-key", API_KEY)


def _a_token_in_the_clear(operated: Operated) -> None:
    _store_in_the_clear(operated, f"connections/{CONNECTION}/access-token", TOKEN)


def _a_webhook_in_the_clear(operated: Operated) -> None:
    _store_in_the_clear(operated, "slack/webhook-url", WEBHOOK)


def _store_in_the_clear(operated: Operated, parameter: str, value: str) -> None:
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


def _a_connection_that_is_gone(operated: Operated) -> None:
    operated.trackstar.disconnect(CONNECTION)


def _blocked_credentials(operated: Operated) -> None:
    operated.shop.errors.append(invalid_credentials())


def _no_sync_for_hours(operated: Operated) -> None:
    clock = VirtualClock(SystemClock().now() - 5 * HOUR)
    shop = Shop(CONNECTION, access_token=TOKEN, clock=clock)
    shop.sync()
    operated.trackstar.connect(shop)


def _a_first_sync_under_way(operated: Operated) -> None:
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


def _nobody_on_the_operators_topic(operated: Operated) -> None:
    sns = operated.cloud.client("sns")
    for each in sns.list_subscriptions_by_topic(TopicArn=operated.outputs.ops_topic_arn)["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])


def _no_webhook(operated: Operated) -> None:
    operated.forget("slack/webhook-url")


def _a_webhook_that_is_none(operated: Operated) -> None:
    operated.cloud.put_secret(f"/{operated.name}/slack/webhook-url", "very-secret")


def _a_dead_letter(operated: Operated) -> None:
    url = operated.queue_url("SlackDeadLetterQueue")
    operated.cloud.client("sqs").send_message(QueueUrl=url, MessageBody="{}")


def _an_overdue_alert(operated: Operated) -> None:
    operated.tell(alert_of("o1"), ago=HOUR, sent=False)


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


@pytest.mark.parametrize(
    ("breakage", "names", "remedy"),
    [
        (_lose_the_key, "API key: ", "aws ssm put-parameter --type SecureString"),
        (_a_wrong_key, "API key: Trackstar refuses it", "/trackstar/api-key"),
        (_a_key_that_no_header_takes, "API key: empty, or with characters", "/trackstar/api-key"),
        (_a_key_in_the_clear, "secrets: ", "/trackstar/api-key; aws ssm put-parameter --type SecureString"),
        (_a_token_in_the_clear, "secrets: ", "/connections/conn_a/access-token; aws ssm put-parameter"),
        (_a_webhook_in_the_clear, "secrets: ", "/slack/webhook-url; aws ssm put-parameter --type SecureString"),
        (_no_shop, "shops: none is connected", "orderwatch connect CONNECTION_ID"),
        (_a_name_without_a_token, "conn_b token: there is a name but no access token", "orderwatch connect conn_b"),
        (_a_wrong_token, "conn_a token: the access token of conn_a is not valid", "orderwatch connect conn_a"),
        (_the_same_token_twice, "conn_b token: another shop has the same one", "orderwatch connect conn_b"),
        (_a_connection_that_is_gone, "conn_a token: Trackstar knows no connection conn_a", "orderwatch disconnect"),
        (_blocked_credentials, "conn_a connection: blocked", "reconnect the shop in Trackstar"),
        (_no_sync_for_hours, "conn_a connection: stale", "look at the shop's sync in Trackstar"),
        (_a_first_sync_under_way, "conn_a connection: waiting", "wait until Trackstar has finished"),
        (_polls_that_stopped, "conn_a polls: the last that succeeded was 1 h ago", "orderwatch poll conn_a"),
        (_no_poll_yet, "conn_a polls: never polled", "orderwatch poll conn_a"),
        (_an_unconfirmed_subscription, "AlertTopic: not confirmed yet: http 127.0.0.1", "follow the link"),
        (_nobody_on_the_operators_topic, "OpsTopic: nobody is subscribed", "aws sns subscribe --topic-arn"),
        (_no_webhook, "Slack: ", "aws ssm put-parameter --type SecureString"),
        (_a_webhook_that_is_none, "Slack: ", "put the incoming webhook's URL"),
        (_a_dead_letter, "SlackDeadLetterQueue: 1 dead letter", "--dead-letters SlackDeadLetterQueue"),
        (_an_overdue_alert, "pending alerts: 1 alert pending for more than 15 min", "orderwatch redrive"),
        (_a_disabled_schedule, "DispatchPollsFunctionPollSchedule: disabled", "in EventBridge Scheduler"),
    ],
)
def test_what_is_broken_is_named_with_its_remedy_and_with_no_secret(
    operated: Operated, breakage: Callable[[Operated], None], names: str, remedy: str
) -> None:
    breakage(operated)
    ran = operated.run("doctor")
    assert (ran.code, ran.err) == (1, "")
    [line] = [line for line in ran.out.splitlines() if line.startswith(f"FAIL  {names}")]
    assert remedy in line.partition(" -> ")[2]
    for secret in (API_KEY, TOKEN, WEBHOOK, "very-secret", "another token", "another key", "of two lines"):
        assert secret not in ran.out


def test_a_shops_name_is_no_secret(operated: Operated) -> None:
    name = f"/{operated.name}/connections/{CONNECTION}/name"
    operated.cloud.client("ssm").put_parameter(Name=name, Value="Bazaar", Type="String")
    ran = operated.run("doctor")
    assert (ran.code, "ok    secrets: " in ran.out) == (0, True)


def test_clocks_that_are_apart_are_named(
    cloud: LocalCloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = VirtualClock(SystemClock().now() - 2 * HOUR)
    trackstar = Trackstar(API_KEY, [Shop(CONNECTION, access_token=TOKEN, clock=clock)], clock)
    with serve(trackstar) as server:
        operated = Operated.deployed(cloud, server.url, trackstar, capsys, monkeypatch)
        operated.in_good_order()
        ran = operated.run("doctor")
    assert ran.code == 1
    assert "FAIL  clock: this machine's and Trackstar's are 2 h apart -> synchronise" in ran.out


def test_an_api_that_is_not_there_is_named_and_the_rest_is_looked_at(
    cloud: LocalCloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    operated = Operated.deployed(cloud, "http://127.0.0.1:9", vendor(), capsys, monkeypatch)
    operated.in_good_order()
    ran = operated.run("doctor")
    assert ran.code == 1
    assert "FAIL  API key: http://127.0.0.1:9 does not answer (ConnectError) -> check the parameter" in ran.out
    assert "ok    AlertTopic: " in ran.out


def test_a_stack_that_is_not_there_is_one_line(operated: Operated) -> None:
    operated.cloud.client("cloudformation").delete_stack(StackName=operated.name)
    ran = operated.run("doctor")
    assert ran.code == 1
    assert ran.out.startswith(f"FAIL  stack: no stack {operated.name} in this account and region")
    assert ran.out.count("\n") == 1


def test_machines_get_every_finding(operated: Operated) -> None:
    _a_dead_letter(operated)
    ran = operated.run("doctor", "--json")
    assert ran.code == 1
    assert '"ok": false' in ran.out
    assert '"subject": "SlackDeadLetterQueue"' in ran.out
