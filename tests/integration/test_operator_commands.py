"""The operator's commands on a stack of the local cloud, against the simulated vendor."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest

from orderwatch.aws.dynamodb import to_item
from orderwatch.polling.detect import OrderWrite
from orderwatch.records import Extract, Syncs
from orderwatch_cli.commands.alerts import AlertFilter, find_alerts
from orderwatch_cli.main import run
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.simulator import Shop, SystemClock
from tests.support.alerts import SEEN_AT, alert_of, first_sight
from tests.support.operated import API_KEY, CONNECTION, TOKEN, Operated

HOUR = timedelta(hours=1)


@pytest.fixture
def with_key(operated: Operated) -> Operated:
    operated.cloud.put_secret(f"/{operated.name}/trackstar/api-key", API_KEY)
    return operated


def parameters(operated: Operated) -> dict[str, tuple[str, str]]:
    """Type and value of each parameter of the shops."""
    answer = operated.cloud.client("ssm").get_parameters_by_path(
        Path=f"/{operated.name}/connections", Recursive=True, WithDecryption=True
    )
    prefix = f"/{operated.name}/connections/"
    return {each["Name"].removeprefix(prefix): (each["Type"], each["Value"]) for each in answer["Parameters"]}


def test_connect_stores_the_token_encrypted_and_the_name(with_key: Operated) -> None:
    ran = with_key.run("connect", CONNECTION, "--name", "Nordic Outdoor", stdin=f"{TOKEN}\n")
    assert (ran.code, ran.err) == (0, "")
    assert "connected conn_a (shopify, healthy)" in ran.out
    assert TOKEN not in ran.out
    assert parameters(with_key) == {
        "conn_a/access-token": ("SecureString", TOKEN),
        "conn_a/name": ("String", "Nordic Outdoor"),
    }


def test_connect_again_replaces_the_token_and_keeps_the_name(with_key: Operated) -> None:
    with_key.run("connect", CONNECTION, "--name", "Nordic Outdoor", stdin=TOKEN)
    with_key.trackstar.connect(Shop(CONNECTION, access_token="token-rotated", clock=SystemClock()))
    assert with_key.json("connect", CONNECTION, stdin="token-rotated")["health"] == "healthy"
    assert parameters(with_key) == {
        "conn_a/access-token": ("SecureString", "token-rotated"),
        "conn_a/name": ("String", "Nordic Outdoor"),
    }


@pytest.mark.parametrize(
    ("connection_id", "token", "message"),
    [
        (CONNECTION, "very-secret", "the access token of conn_a is not valid"),
        (CONNECTION, "", "no access token"),
        (CONNECTION, "v\u00e9ry-secret", "the access token of conn_a is not valid"),
        ("conn_gone", TOKEN, "Trackstar has no connection conn_gone"),
    ],
)
def test_connect_stores_nothing_that_the_api_rejects(
    with_key: Operated, connection_id: str, token: str, message: str
) -> None:
    ran = with_key.run("connect", connection_id, stdin=token)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert message in ran.err
    assert "very-secret" not in ran.err
    assert parameters(with_key) == {}


def test_connect_rejects_the_token_of_another_shop(with_key: Operated) -> None:
    with_key.run("connect", CONNECTION, stdin=TOKEN)
    with_key.trackstar.connect(Shop("conn_b", access_token="token-of-conn-b", clock=SystemClock()))
    ran = with_key.run("connect", "conn_b", stdin=TOKEN)
    assert (ran.code, ran.err) == (1, "orderwatch: this is the access token of conn_a: use the token of conn_b\n")
    assert list(parameters(with_key)) == ["conn_a/access-token"]


def test_connect_without_an_api_key_names_the_remedy(operated: Operated) -> None:
    ran = operated.run("connect", CONNECTION, stdin=TOKEN)
    assert ran.code == 1
    assert f"/{operated.name}/trackstar/api-key, the Trackstar API key, is missing" in ran.err
    assert f"store it with: orderwatch connect-trackstar --stack-name {operated.name} " in ran.err
    assert parameters(operated) == {}


def test_connect_rejects_an_invalid_connection_id(operated: Operated) -> None:
    ran = operated.run("connect", "../trackstar", stdin=TOKEN)
    assert ran.code == 2
    assert "is not a connection ID" in ran.err


def test_disconnect_asks_for_confirmation(with_key: Operated) -> None:
    with_key.run("connect", CONNECTION, "--name", "Nordic Outdoor", stdin=TOKEN)
    with_key.polled(CONNECTION)
    assert with_key.run("disconnect", CONNECTION, stdin="n\n").code == 1
    assert len(parameters(with_key)) == 2
    ran = with_key.run("disconnect", CONNECTION, stdin="y\n")
    assert ran.code == 0
    assert "are kept" in ran.out
    assert parameters(with_key) == {}
    assert with_key.cloud.client("dynamodb").scan(TableName=with_key.outputs.connection_table_name)["Count"] == 1


def test_disconnect_of_an_unknown_shop_is_an_error(with_key: Operated) -> None:
    ran = with_key.run("disconnect", CONNECTION, "--yes")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert "no shop conn_a is connected" in ran.err


def test_connect_trackstar_stores_the_key_encrypted(operated: Operated) -> None:
    ran = operated.run("connect-trackstar", stdin=f"{API_KEY}\n")
    assert (ran.code, ran.err) == (0, "")
    assert API_KEY not in ran.out
    name = f"/{operated.name}/trackstar/api-key"
    stored = operated.cloud.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]
    assert (stored["Type"], stored["Value"]) == ("SecureString", API_KEY)


@pytest.mark.parametrize(
    ("typed", "message"),
    [("another-key", "Trackstar rejects the API key"), ("", "no API key"), ("k\u00e9y", "cannot be sent")],
)
def test_connect_trackstar_stores_no_rejected_key(operated: Operated, typed: str, message: str) -> None:
    ran = operated.run("connect-trackstar", stdin=typed)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert message in ran.err
    assert "another-key" not in ran.err
    assert not operated.has("trackstar/api-key")


def test_unencrypted_secret_is_replaced_with_its_history(operated: Operated) -> None:
    name, ssm = f"/{operated.name}/trackstar/api-key", operated.cloud.client("ssm")
    ssm.put_parameter(Name=name, Value="in-the-clear", Type="String")
    assert operated.run("connect-trackstar", stdin=API_KEY).code == 0
    kept = ssm.get_parameter_history(Name=name, WithDecryption=True)["Parameters"]
    assert [(each["Type"], each["Value"]) for each in kept] == [("SecureString", API_KEY)]


def test_shops_shows_health_and_number_of_orders(operated: Operated) -> None:
    operated.connect(CONNECTION, TOKEN)
    operated.connect("conn_new", "token-new")
    operated.polled(CONNECTION, integration="shopify", syncs=Syncs(last_end=datetime(2026, 3, 2, 9, tzinfo=UTC)))
    for number in range(3):
        operated.write(first_sight(f"o{number}"))
    operated.write(first_sight("o9", connection_id="conn_new"), connection_id="conn_other")

    polled, new = operated.json("shops")
    assert (polled["connection_id"], polled["integration"], polled["is_baseline_done"]) == (
        "conn_a",
        "shopify",
        True,
    )
    assert (polled["data_as_of"], polled["needs_attention"]) == ("2026-03-02T09:00:00Z", 3)
    assert (new["health"], new["last_poll_at"], new["needs_attention"]) == (None, None, 0)

    table = operated.run("shops", "--utc").out
    assert "2026-03-02 09:00 UTC" in table
    assert "token" not in table
    assert [shop["connection_id"] for shop in operated.json("shops", "--limit", "1")] == ["conn_a"]
    assert operated.json("shops", "--status", "blocked") == []
    assert operated.run("shops", "--status", "blocked").out == "no shop is blocked\n"


def priced(order_id: str) -> OrderWrite:
    """An order of the first poll, with price and ship-by date."""
    write, url = first_sight(order_id), "https://shop.example/o1"
    kept = Extract(total_price=Decimal("129.90"), currency="EUR", url=url).to_json()
    return replace(write, alert=None, stored=replace(write.stored, extract=kept, ship_by=SEEN_AT))


def test_orders_lists_orders_that_need_attention(operated: Operated) -> None:
    operated.connect(CONNECTION, TOKEN)
    operated.connect("conn_b", "token-b")
    operated.write(first_sight("o3", status="cancelled"))
    operated.write(priced("o1"))
    operated.write(first_sight("o2", status="backordered"))

    by_number = {order["order_number"]: order for order in operated.json("orders")}
    assert set(by_number) == {"o1", "o2"}
    assert (by_number["o1"]["status"], by_number["o1"]["total_price"], by_number["o1"]["currency"]) == (
        "exception",
        129.9,
        "EUR",
    )
    assert (by_number["o1"]["url"], by_number["o1"]["ship_by"]) == ("https://shop.example/o1", "2026-01-05T12:00:00Z")
    assert (by_number["o2"]["status"], by_number["o2"]["total_price"]) == ("backordered", None)
    assert "129.90 EUR" in operated.run("orders").out
    assert [order["order_number"] for order in operated.json("orders", "--status", "backordered")] == ["o2"]
    assert len(operated.json("orders", "--limit", "1")) == 1
    assert "and 1 more order; use --limit to show more" in operated.run("orders", "--limit", "1").out
    assert operated.run("orders", "--shop", "conn_b").out == "no order needs attention\n"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("orders", "--shop", "conn_other"), "no shop conn_other; list the shops with: "),
        (("orders", "--status", "exeption"), "no status exeption; statuses: backordered, cancelled, "),
        (("alerts", "--shop", "conn_other"), "no shop conn_other; list the shops with: "),
        (("alerts", "--kind", "order.exeption"), "no kind order.exeption; kinds: connection.blocked, "),
        (("alerts", "--status", "exeption"), "no status exeption; statuses: backordered, "),
    ],
)
def test_unknown_filter_is_an_error(operated: Operated, typed: tuple[str, ...], message: str) -> None:
    operated.connect(CONNECTION, TOKEN)
    ran = operated.run(*typed)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert message in ran.err


def test_status_that_only_a_shop_uses_is_a_valid_filter(operated: Operated) -> None:
    operated.connect(CONNECTION, TOKEN)
    operated.polled(CONNECTION, other_statuses=("in_customs",))
    ran = operated.run("orders", "--status", "in_customs")
    assert (ran.code, ran.out) == (0, "no order in status in_customs needs attention\n")


def test_alerts_lists_newest_first_and_filters(operated: Operated) -> None:
    operated.connect(CONNECTION, TOKEN)
    operated.connect("conn_b", "token-b")
    operated.write_alert(alert_of("o1"), ago=3 * HOUR)
    operated.write_alert(alert_of("o2", status="backordered"), ago=2 * HOUR)
    operated.write_alert(alert_of("o3", connection_id="conn_b"), ago=HOUR, sent=False)

    def listed(*filters: str) -> list[str]:
        return [alert["order_number"] for alert in operated.json("alerts", *filters)]

    assert listed() == ["o3", "o2", "o1"]
    assert listed("--limit", "1") == ["o3"]
    assert listed("--shop", "conn_a") == ["o2", "o1"]
    assert listed("--kind", "order.exception") == ["o3", "o1"]
    assert listed("--kind", "order.exception", "--shop", "conn_a") == ["o1"]
    assert listed("--state", "pending") == ["o3"]
    assert listed("--state", "sent") == ["o2", "o1"]
    assert listed("--since", "150m") == ["o3", "o2"]
    assert listed("--since", "150m", "--state", "sent") == ["o2"]
    assert listed("--state", "pending", "--shop", "conn_a") == []
    assert listed("--status", "backordered") == ["o2"]
    assert listed("--shop", "conn_a", "--since", "150m") == ["o2"]

    [alert] = operated.json("alerts", "--kind", "order.backordered")
    assert (alert["kind"], alert["status"], alert["state"]) == ("order.backordered", "backordered", "sent")
    assert (alert["message_id"], alert["shop"]) == ("message-1", "conn_a")
    table = operated.run("alerts", "--limit", "2").out
    assert "order.exception" in table
    assert "There are older alerts; use --limit to show more." in table


def test_alerts_are_read_by_the_index(operated: Operated) -> None:
    operated.connect(CONNECTION, TOKEN)
    for number in range(120):
        operated.write_alert(alert_of(f"o{number}"), ago=timedelta(minutes=number))
    called: list[tuple[str, Any]] = []
    stack = operated.stack
    stack.aws.dynamodb.meta.events.register(
        "provide-client-params.dynamodb.*", lambda params, model, **_: called.append((model.name, params))
    )
    newest = [row.order_id for row in islice(find_alerts(stack, AlertFilter(shop=CONNECTION)), 3)]
    assert newest == ["o0", "o1", "o2"]
    on_alerts = [name for name, params in called if stack.outputs.alert_table_name in str(params)]
    assert on_alerts == ["Query", "BatchGetItem"]


def test_alerts_of_all_shops_are_merged_by_time_across_pages(operated: Operated) -> None:
    for shop in ("conn_a", "conn_b"):
        operated.connect(shop, f"token-of-{shop}")
    for number in range(150):
        shop = "conn_a" if number % 3 else "conn_b"
        operated.write_alert(alert_of(f"o{number}", connection_id=shop), ago=timedelta(minutes=number), sent=False)
    expected = [f"o{number}" for number in range(150)]
    assert [alert["order_number"] for alert in operated.json("alerts", "--limit", "200")] == expected
    pending = operated.json("alerts", "--limit", "200", "--state", "pending")
    assert [alert["order_number"] for alert in pending] == expected


def test_alert_of_another_release_is_listed_by_its_row(operated: Operated) -> None:
    operated.connect(CONNECTION, TOKEN)
    operated.write(first_sight("o1"))
    operated.write_alert(alert_of("o1"))
    key = to_item(alert_of("o1").key._asdict())
    operated.cloud.client("dynamodb").update_item(
        TableName=operated.outputs.alert_table_name,
        Key=key,
        UpdateExpression="SET alert = :other",
        ExpressionAttributeValues={":other": {"S": '{"schema": "orderwatch.alert.v9"}'}},
    )
    [alert] = operated.json("alerts")
    assert (alert["kind"], alert["order_number"], alert["shop"]) == ("order.exception", "o1", "conn_a")


def test_test_alert_is_sent_and_lists_the_subscriptions(operated: Operated) -> None:
    topic = operated.outputs.alert_topic_arn
    everything = operated.cloud.subscribe_queue(topic)
    exceptions = operated.cloud.subscribe_queue(topic, filter_policy={"kind": ["order.exception"]})
    expensive = operated.cloud.subscribe_queue(topic, filter_policy={"total_price": [{"numeric": [">", 500]}]})
    operated.cloud.client("sns").subscribe(TopicArn=topic, Protocol="http", Endpoint="http://127.0.0.1:9/secret")

    def received(url: str) -> list[dict[str, Any]]:
        answer = operated.cloud.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

    sent = operated.json("test-alert")
    for url, reached in ((everything, True), (exceptions, True), (expensive, False)):
        assert [alert["alert_id"] for alert in received(url)] == [sent["alert_id"]] * reached
    listed = {each["endpoint"]: (each["is_pending"], each["filter_policy"]) for each in sent["subscriptions"]}
    assert listed[everything.rpartition("/")[2]] == (False, {})
    assert listed[exceptions.rpartition("/")[2]] == (False, {"kind": ["order.exception"]})
    assert listed["127.0.0.1"] == (True, {})
    assert "secret" not in json.dumps(sent)
    table = operated.run("test-alert").out
    assert '{"kind": ["order.exception"]}' in table
    assert "not confirmed" in table
    assert "Look for TEST in each channel." in table

    expensive_order = operated.json("test-alert", "--value", "900", "--status", "backordered", "--shop", "conn_a")
    [alert] = received(expensive)
    assert (alert["alert_id"], alert["kind"], alert["connection_id"]) == (
        expensive_order["alert_id"],
        "order.backordered",
        "conn_a",
    )
    assert (alert["order"]["number"], alert["connection"]["name"]) == ("TEST", "TEST of orderwatch")
    assert "TEST" in expensive_order["subject"]


def dead_letters(operated: Operated, name: str, count: int, **options: Any) -> None:
    url, sqs = operated.queue_url(name), operated.cloud.client("sqs")
    for number in range(count):
        fifo = {key: value.format(number=number) for key, value in options.items()}
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"number": number}), **fifo)


def bodies(operated: Operated, name: str) -> list[int]:
    """Receives and deletes all messages of a queue."""
    sqs, url, found = operated.cloud.client("sqs"), operated.queue_url(name), []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(json.loads(message["Body"])["number"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return sorted(found)


def test_redrive_moves_dead_letters_back(operated: Operated) -> None:
    dead_letters(operated, "SlackDeadLetterQueue", 13)
    assert operated.json("redrive", "--dead-letters", "SlackDeadLetterQueue")["messages"] == 13
    assert bodies(operated, "SlackQueue") == list(range(13))
    left = operated.cloud.client("sqs").get_queue_attributes(
        QueueUrl=operated.queue_url("SlackDeadLetterQueue"),
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    assert set(left.values()) == {"0"}


def test_redrive_keeps_the_groups_of_a_fifo_queue(operated: Operated) -> None:
    group = {"MessageGroupId": "conn_{number}", "MessageDeduplicationId": "poll-{number}"}
    dead_letters(operated, "PollDeadLetterQueue", 3, **group)
    ran = operated.run("redrive", "--dead-letters", "PollDeadLetterQueue")
    assert ran.out == "moved 3 messages from PollDeadLetterQueue to PollQueue\n"
    answer = operated.cloud.client("sqs").receive_message(
        QueueUrl=operated.queue_url("PollQueue"),
        MaxNumberOfMessages=10,
        MessageSystemAttributeNames=["MessageGroupId"],
    )
    groups = {each["Attributes"]["MessageGroupId"]: each["Body"] for each in answer["Messages"]}
    assert groups == {f"conn_{number}": json.dumps({"number": number}) for number in range(3)}


@pytest.mark.parametrize(
    ("queue", "message"),
    [
        ("StreamFailureQueue", "send what is still pending with: orderwatch redrive --stack-name "),
        ("ScheduleDeadLetterQueue", "do its work with: orderwatch poll --stack-name "),
        ("PollQueue", "use one of PollDeadLetterQueue, SlackDeadLetterQueue"),
        ("NoQueue", "use one of PollDeadLetterQueue, SlackDeadLetterQueue"),
    ],
)
def test_redrive_of_another_queue_says_what_to_do(operated: Operated, queue: str, message: str) -> None:
    ran = operated.run("redrive", "--dead-letters", queue)
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert message in ran.err


def test_poll_of_an_unconnected_shop_is_an_error(operated: Operated) -> None:
    assert "no shop is connected" in operated.run("poll").err
    operated.connect(CONNECTION, TOKEN)
    ran = operated.run("poll", CONNECTION, "conn_b", "conn_c")
    where = f"--stack-name {operated.name} --endpoint-url {operated.cloud.endpoint}"
    message = f"not connected: conn_b, conn_c; connect a shop with: orderwatch connect conn_b {where}"
    assert (ran.code, ran.err) == (1, f"orderwatch: {message}\n")


@pytest.mark.parametrize(
    "command", [["shops"], ["orders"], ["alerts"], ["logs"], ["poll"], ["redrive"], ["summary"], ["test-alert"]]
)
def test_unreachable_cloud_is_one_line(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run([*command, "--endpoint-url", "http://127.0.0.1:9"])
    err = capsys.readouterr().err
    assert (left.value.code, err.count("\n")) == (1, 1)
    assert err.startswith("orderwatch: ")
    assert "http://127.0.0.1:9" in err


def test_stack_of_something_else_is_one_line(cloud: LocalCloud, capsys: pytest.CaptureFixture[str]) -> None:
    body = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    cloud.client("cloudformation").create_stack(StackName="other", TemplateBody=body)
    cloud.client("cloudformation").get_waiter("stack_create_complete").wait(
        StackName="other", WaiterConfig={"Delay": 1}
    )
    with pytest.raises(SystemExit) as left:
        run(["shops", "--stack-name", "other", "--endpoint-url", cloud.endpoint])
    err = capsys.readouterr().err
    assert (left.value.code, err) == (
        1,
        "orderwatch: stack other (CREATE_COMPLETE) lacks the outputs of orderwatch: deploy template.yaml\n",
    )


def test_local_cloud_never_gets_the_users_credentials(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert operated.run("shops").code == 0
