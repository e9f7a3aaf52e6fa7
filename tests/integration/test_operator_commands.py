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
from orderwatch.records import Extract
from orderwatch_cli import history
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


def test_a_shop_is_connected_with_its_token_encrypted_and_its_name(with_key: Operated) -> None:
    ran = with_key.run("connect", CONNECTION, "--name", "Nordic Outdoor", stdin=f"{TOKEN}\n")
    assert (ran.code, ran.err) == (0, "")
    assert "connected conn_a (shopify, healthy)" in ran.out
    assert TOKEN not in ran.out
    assert parameters(with_key) == {
        "conn_a/access-token": ("SecureString", TOKEN),
        "conn_a/name": ("String", "Nordic Outdoor"),
    }


def test_connecting_again_replaces_the_token_and_keeps_the_name(with_key: Operated) -> None:
    with_key.run("connect", CONNECTION, "--name", "Nordic Outdoor", stdin=TOKEN)
    with_key.trackstar.connect(Shop(CONNECTION, access_token="token-rotated", clock=SystemClock()))
    assert with_key.json("connect", CONNECTION, stdin="token-rotated")["health"] == "healthy"
    assert parameters(with_key) == {
        "conn_a/access-token": ("SecureString", "token-rotated"),
        "conn_a/name": ("String", "Nordic Outdoor"),
    }


@pytest.mark.parametrize(
    ("connection_id", "token", "says"),
    [
        (CONNECTION, "very-secret", "the access token of conn_a is not valid"),
        (CONNECTION, "", "no access token"),
        (CONNECTION, "v\u00e9ry-secret", "the access token of conn_a is not valid"),
        ("conn_gone", TOKEN, "Trackstar knows no connection conn_gone"),
    ],
)
def test_what_the_api_refuses_is_not_stored(with_key: Operated, connection_id: str, token: str, says: str) -> None:
    ran = with_key.run("connect", connection_id, stdin=token)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert says in ran.err
    assert "very-secret" not in ran.err
    assert parameters(with_key) == {}


def test_a_token_that_is_another_shops_is_refused(with_key: Operated) -> None:
    with_key.run("connect", CONNECTION, stdin=TOKEN)
    with_key.trackstar.connect(Shop("conn_b", access_token="token-of-conn-b", clock=SystemClock()))
    ran = with_key.run("connect", "conn_b", stdin=TOKEN)
    assert (ran.code, ran.err) == (1, "orderwatch: this is the access token of conn_a: take the one of conn_b\n")
    assert list(parameters(with_key)) == ["conn_a/access-token"]


def test_without_an_api_key_the_command_that_puts_it_is_named(operated: Operated) -> None:
    ran = operated.run("connect", CONNECTION, stdin=TOKEN)
    assert ran.code == 1
    assert f"/{operated.name}/trackstar/api-key is missing" in ran.err
    assert f"this puts it: orderwatch connect-trackstar --stack-name {operated.name} " in ran.err
    assert parameters(operated) == {}


def test_an_id_that_cannot_be_part_of_a_parameters_name_is_refused(operated: Operated) -> None:
    ran = operated.run("connect", "../trackstar", stdin=TOKEN)
    assert ran.code == 2
    assert "is no connection id" in ran.err


def test_a_shop_is_disconnected_only_when_that_is_confirmed(with_key: Operated) -> None:
    with_key.run("connect", CONNECTION, "--name", "Nordic Outdoor", stdin=TOKEN)
    with_key.polled(CONNECTION)
    assert with_key.run("disconnect", CONNECTION, stdin="n\n").code == 1
    assert len(parameters(with_key)) == 2
    ran = with_key.run("disconnect", CONNECTION, stdin="y\n")
    assert ran.code == 0
    assert "stay" in ran.out
    assert parameters(with_key) == {}
    assert with_key.cloud.client("dynamodb").scan(TableName=with_key.outputs.connection_table_name)["Count"] == 1


def test_a_shop_that_is_not_connected_cannot_be_disconnected(with_key: Operated) -> None:
    ran = with_key.run("disconnect", CONNECTION, "--yes")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert "no shop conn_a is connected" in ran.err


def test_a_key_that_trackstar_accepts_is_stored_encrypted(operated: Operated) -> None:
    ran = operated.run("connect-trackstar", stdin=f"{API_KEY}\n")
    assert (ran.code, ran.err) == (0, "")
    assert API_KEY not in ran.out
    name = f"/{operated.name}/trackstar/api-key"
    stored = operated.cloud.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]
    assert (stored["Type"], stored["Value"]) == ("SecureString", API_KEY)


@pytest.mark.parametrize(
    ("typed", "says"),
    [("another-key", "Trackstar refuses the API key"), ("", "no API key"), ("k\u00e9y", "cannot be sent")],
)
def test_a_key_that_is_refused_is_not_stored(operated: Operated, typed: str, says: str) -> None:
    ran = operated.run("connect-trackstar", stdin=typed)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert says in ran.err
    assert "another-key" not in ran.err
    assert not operated.has("trackstar/api-key")


def test_a_secret_that_lay_in_the_clear_is_replaced_with_its_history(operated: Operated) -> None:
    name, ssm = f"/{operated.name}/trackstar/api-key", operated.cloud.client("ssm")
    ssm.put_parameter(Name=name, Value="in-the-clear", Type="String")
    assert operated.run("connect-trackstar", stdin=API_KEY).code == 0
    kept = ssm.get_parameter_history(Name=name, WithDecryption=True)["Parameters"]
    assert [(each["Type"], each["Value"]) for each in kept] == [("SecureString", API_KEY)]


def test_shops_show_how_they_are_and_how_many_orders_wait(operated: Operated) -> None:
    operated.connect(CONNECTION, TOKEN)
    operated.connect("conn_new", "token-new")
    operated.polled(CONNECTION, integration="shopify", data_as_of=datetime(2026, 3, 2, 9, tzinfo=UTC))
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
    """An order of which the first poll knows what it is worth, and when it is to ship."""
    write, url = first_sight(order_id), "https://shop.example/o1"
    kept = Extract(total_price=Decimal("129.90"), currency="EUR", url=url).to_json()
    return replace(write, alert=None, stored=replace(write.stored, extract=kept, ship_by=SEEN_AT))


def test_orders_are_those_that_wait_for_a_person_with_what_their_rows_know_of_them(operated: Operated) -> None:
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
    assert "and 1 more order: --limit shows more" in operated.run("orders", "--limit", "1").out
    assert operated.run("orders", "--shop", "conn_b").out == "no order waits for a person\n"


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("orders", "--shop", "conn_other"), "no shop conn_other; this lists them: "),
        (("orders", "--status", "exeption"), "no status exeption: there are backordered, cancelled, "),
        (("alerts", "--shop", "conn_other"), "no shop conn_other; this lists them: "),
        (("alerts", "--kind", "order.exeption"), "no kind order.exeption: there are connection.blocked, "),
        (("alerts", "--status", "exeption"), "no status exeption: there are backordered, "),
    ],
)
def test_a_word_that_nothing_is_called_by_is_an_error_and_no_empty_list(
    operated: Operated, typed: tuple[str, ...], says: str
) -> None:
    operated.connect(CONNECTION, TOKEN)
    ran = operated.run(*typed)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert says in ran.err


def test_alerts_are_listed_newest_first_and_by_every_filter(operated: Operated) -> None:
    operated.connect(CONNECTION, TOKEN)
    operated.connect("conn_b", "token-b")
    operated.tell(alert_of("o1"), ago=3 * HOUR)
    operated.tell(alert_of("o2", status="backordered"), ago=2 * HOUR)
    operated.tell(alert_of("o3", connection_id="conn_b"), ago=HOUR, sent=False)

    def listed(*filters: str) -> list[str]:
        return [alerted["order_number"] for alerted in operated.json("alerts", *filters)]

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

    [alerted] = operated.json("alerts", "--kind", "order.backordered")
    assert (alerted["kind"], alerted["status"], alerted["state"]) == ("order.backordered", "backordered", "sent")
    assert (alerted["message_id"], alerted["shop"]) == ("message-1", "conn_a")
    table = operated.run("alerts", "--limit", "2").out
    assert "order.exception" in table
    assert "There are older ones: --limit shows more." in table


def test_alerts_are_read_by_the_index_and_the_table_is_never_scanned(operated: Operated) -> None:
    operated.connect(CONNECTION, TOKEN)
    for number in range(120):
        operated.tell(alert_of(f"o{number}"), ago=timedelta(minutes=number))
    called: list[tuple[str, Any]] = []
    stack = operated.stack
    stack.aws.dynamodb.meta.events.register(
        "provide-client-params.dynamodb.*", lambda params, model, **_: called.append((model.name, params))
    )
    newest = [alerted.order_number for alerted in islice(history.alerts(stack, history.Wanted(shop=CONNECTION)), 3)]
    assert newest == ["o0", "o1", "o2"]
    on_alerts = [name for name, params in called if stack.outputs.alert_table_name in str(params)]
    assert on_alerts == ["Query", "BatchGetItem"]


def test_the_alerts_of_every_shop_come_in_one_order_of_time_across_pages(operated: Operated) -> None:
    for shop in ("conn_a", "conn_b"):
        operated.connect(shop, f"token-of-{shop}")
    for number in range(150):
        shop = "conn_a" if number % 3 else "conn_b"
        operated.tell(alert_of(f"o{number}", connection_id=shop), ago=timedelta(minutes=number), sent=False)
    expected = [f"o{number}" for number in range(150)]
    assert [alerted["order_number"] for alerted in operated.json("alerts", "--limit", "200")] == expected
    pending = operated.json("alerts", "--limit", "200", "--state", "pending")
    assert [alerted["order_number"] for alerted in pending] == expected


def test_a_row_of_another_version_is_listed_as_far_as_it_is_understood(operated: Operated) -> None:
    operated.connect(CONNECTION, TOKEN)
    operated.write(first_sight("o1"))
    operated.tell(alert_of("o1"))
    key = to_item(alert_of("o1").key._asdict())
    operated.cloud.client("dynamodb").update_item(
        TableName=operated.outputs.alert_table_name,
        Key=key,
        UpdateExpression="SET alert = :other",
        ExpressionAttributeValues={":other": {"S": '{"schema": "orderwatch.alert.v9"}'}},
    )
    [alerted] = operated.json("alerts")
    assert (alerted["kind"], alerted["order_number"], alerted["shop"]) == ("order.exception", "o1", "conn_a")


def test_the_test_alert_reaches_those_that_it_says(operated: Operated) -> None:
    topic = operated.outputs.alert_topic_arn
    everything = operated.cloud.subscribe_queue(topic)
    exceptions = operated.cloud.subscribe_queue(topic, filter_policy={"kind": ["order.exception"]})
    expensive = operated.cloud.subscribe_queue(topic, filter_policy={"total_price": [{"numeric": [">", 500]}]})
    operated.cloud.client("sns").subscribe(TopicArn=topic, Protocol="http", Endpoint="http://127.0.0.1:9/secret")

    def received(url: str) -> list[dict[str, Any]]:
        answer = operated.cloud.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

    sent = operated.json("test-alert")
    expected = {each["endpoint"]: each["should_receive"] for each in sent["recipients"]}
    for url, reached in ((everything, True), (exceptions, True), (expensive, False)):
        assert expected[url.rpartition("/")[2]] is reached
        assert [alert["alert_id"] for alert in received(url)] == [sent["alert_id"]] * reached
    assert expected["127.0.0.1"] is False
    assert "secret" not in json.dumps(sent)

    dear = operated.json("test-alert", "--value", "900", "--status", "backordered", "--shop", "conn_a")
    [alert] = received(expensive)
    assert (alert["alert_id"], alert["kind"], alert["connection_id"]) == (
        dear["alert_id"],
        "order.backordered",
        "conn_a",
    )
    assert (alert["order"]["number"], alert["connection"]["name"]) == ("TEST", "TEST of orderwatch")
    assert "TEST" in dear["subject"]


def dead_letters(operated: Operated, name: str, count: int, **options: Any) -> None:
    url, sqs = operated.queue_url(name), operated.cloud.client("sqs")
    for number in range(count):
        fifo = {key: value.format(number=number) for key, value in options.items()}
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"number": number}), **fifo)


def bodies(operated: Operated, name: str) -> list[int]:
    """What is in a queue, and takes it out."""
    sqs, url, found = operated.cloud.client("sqs"), operated.queue_url(name), []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(json.loads(message["Body"])["number"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return sorted(found)


def test_dead_letters_go_back_into_their_queue(operated: Operated) -> None:
    dead_letters(operated, "SlackDeadLetterQueue", 13)
    assert operated.json("redrive", "--dead-letters", "SlackDeadLetterQueue")["messages"] == 13
    assert bodies(operated, "SlackQueue") == list(range(13))
    left = operated.cloud.client("sqs").get_queue_attributes(
        QueueUrl=operated.queue_url("SlackDeadLetterQueue"),
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    assert set(left.values()) == {"0"}


def test_dead_letters_of_a_fifo_queue_keep_their_groups(operated: Operated) -> None:
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
    ("queue", "says"),
    [
        ("StreamFailureQueue", "this sends what is still pending: orderwatch redrive --stack-name "),
        ("ScheduleDeadLetterQueue", "this does its work: orderwatch poll --stack-name "),
        ("PollQueue", "PollDeadLetterQueue and SlackDeadLetterQueue can be redriven"),
        ("NoQueue", "PollDeadLetterQueue and SlackDeadLetterQueue can be redriven"),
    ],
)
def test_dead_letters_without_a_way_back_are_left_with_a_word_of_what_to_do(
    operated: Operated, queue: str, says: str
) -> None:
    ran = operated.run("redrive", "--dead-letters", queue)
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert says in ran.err


def test_only_a_connected_shop_can_be_polled(operated: Operated) -> None:
    assert "no shop is connected" in operated.run("poll").err
    operated.connect(CONNECTION, TOKEN)
    ran = operated.run("poll", CONNECTION, "conn_b", "conn_c")
    where = f"--stack-name {operated.name} --endpoint-url {operated.cloud.endpoint}"
    says = f"not connected: conn_b, conn_c; this connects a shop: orderwatch connect conn_b {where}"
    assert (ran.code, ran.err) == (1, f"orderwatch: {says}\n")


@pytest.mark.parametrize(
    "command", [["shops"], ["orders"], ["alerts"], ["logs"], ["poll"], ["redrive"], ["summary"], ["test-alert"]]
)
def test_a_cloud_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run([*command, "--endpoint-url", "http://127.0.0.1:9"])
    err = capsys.readouterr().err
    assert (left.value.code, err.count("\n")) == (1, 1)
    assert err.startswith("orderwatch: ")
    assert "http://127.0.0.1:9" in err


def test_a_stack_of_something_else_is_one_line(cloud: LocalCloud, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_the_local_cloud_never_gets_the_users_credentials(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert operated.run("shops").code == 0
