"""`orderwatch shops`, `orders`, `alerts` and `logs`: what they list, and their filters."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest

from orderwatch.alerts.kinds import KIND_LATE
from orderwatch.aws.dynamodb import to_item
from orderwatch.deadlines.rules import Deadline, DeadlineState
from orderwatch.polling.detect import OrderWrite
from orderwatch.records import Extract, Syncs
from orderwatch_cli.commands.alerts import AlertFilter, find_alerts
from orderwatch_cli.shop_status import polled_connection_ids
from orderwatch_cli.stack import TABLE, Function
from tests.support.alerts import SEEN_AT, alert_of, first_sight
from tests.support.operated import CONNECTION, TOKEN, Operated, moto_client

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC)
ALERT = "2c829bb9b086ea591bd42ab4f79fe763"


@pytest.fixture
def operated(operated: Operated) -> Operated:
    operated.create(TABLE)
    operated.connect(CONNECTION, TOKEN)
    operated.connect("conn_b", "token-b")
    return operated


def test_shops_shows_health_and_number_of_orders(operated: Operated) -> None:
    operated.polled(CONNECTION, integration="shopify", syncs=Syncs(last_end=datetime(2026, 3, 2, 9, tzinfo=UTC)))
    for number in range(3):
        operated.write(first_sight(f"o{number}"))
    operated.write(first_sight("o9", connection_id="conn_other"), connection_id="conn_other")

    polled, new = operated.json("shops")
    assert (polled["connection_id"], polled["integration"], polled["is_baseline_done"]) == (CONNECTION, "shopify", True)
    assert (polled["data_as_of"], polled["needs_attention"]) == ("2026-03-02T09:00:00Z", 3)
    assert (new["health"], new["last_poll_at"], new["needs_attention"]) == (None, None, 0)

    table = operated.run("shops", "--utc").out
    assert "2026-03-02 09:00 UTC" in table
    assert "token" not in table
    assert [shop["connection_id"] for shop in operated.json("shops", "--limit", "1")] == [CONNECTION]
    assert operated.json("shops", "--status", "blocked") == []
    assert operated.run("shops", "--status", "blocked").out == "no shop is blocked\n"


def priced(order_id: str) -> OrderWrite:
    """An order of the first poll, with price and ship-by date."""
    write, url = first_sight(order_id), "https://shop.example/o1"
    kept = Extract(total_price=Decimal("129.90"), currency="EUR", url=url).to_json()
    return replace(write, alert=None, stored=replace(write.stored, extract=kept, ship_by=SEEN_AT))


def test_orders_lists_orders_that_need_attention(operated: Operated) -> None:
    operated.write(first_sight("o3", status="cancelled"))
    operated.write(priced("o1"))
    operated.write(first_sight("o2", status="backordered"))

    first, second = operated.json("orders")
    assert {first["order_number"], second["order_number"]} == {"o1", "o2"}
    found, other = (first, second) if first["order_number"] == "o1" else (second, first)
    assert (found["status"], found["total_price"], found["currency"]) == ("exception", 129.9, "EUR")
    assert (found["url"], found["ship_by"]) == ("https://shop.example/o1", "2026-01-05T12:00:00Z")
    assert (other["status"], other["total_price"]) == ("backordered", None)
    assert "129.90 EUR" in operated.run("orders").out
    assert [order["order_number"] for order in operated.json("orders", "--status", "BACKORDERED")] == ["o2"]
    assert len(operated.json("orders", "--limit", "1")) == 1
    assert "and 1 more order; use --limit to show more" in operated.run("orders", "--limit", "1").out
    assert operated.run("orders", "--shop", "conn_b").out == "no order needs attention\n"


def test_the_age_of_an_order_is_that_in_the_summary(operated: Operated) -> None:
    operated.polled(CONNECTION, syncs=Syncs(last_end=SEEN_AT + 30 * HOUR))
    late = DeadlineState(passed=Deadline(SEEN_AT + 20 * HOUR, KIND_LATE))
    write = first_sight("o1", status="exception")
    operated.write(replace(write, stored=replace(write.stored, status="processing", deadline_state=late)))
    operated.write(first_sight("o2", status="exception"))
    ages = {order["order_number"]: order["age"] for order in operated.json("orders")}
    assert ages == {"o1": "PT10H", "o2": "P1DT6H"}


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
    ran = operated.run(*typed)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert message in ran.err


def test_polled_shops_and_their_own_statuses_are_valid_filters(operated: Operated) -> None:
    operated.polled("conn_z", other_statuses=("in_customs",))
    operated.polled("conn_disconnected")
    ran = operated.run("orders", "--status", "in_customs")
    assert (ran.code, ran.out) == (0, "no order in status in_customs needs attention\n")
    assert operated.run("alerts", "--shop", "conn_disconnected").out == "no alerts\n"
    assert polled_connection_ids(operated.stack) == ["conn_disconnected", "conn_z"]


@pytest.fixture
def alerted(operated: Operated) -> Operated:
    operated.write_alert(alert_of("o1"), ago=3 * HOUR)
    operated.write_alert(alert_of("o2", status="backordered"), ago=2 * HOUR)
    operated.write_alert(alert_of("o3", connection_id="conn_b"), ago=HOUR, sent=False)
    return operated


def numbers(operated: Operated, *filters: str) -> list[str]:
    return [alert["order_number"] for alert in operated.json("alerts", *filters)]


def test_alerts_are_filtered_and_the_newest_is_first(alerted: Operated) -> None:
    expected = {
        "": ["o3", "o2", "o1"],
        "--limit 1": ["o3"],
        "--shop conn_a": ["o2", "o1"],
        "--kind order.exception": ["o3", "o1"],
        "--kind order.exception --shop conn_a": ["o1"],
        "--state pending": ["o3"],
        "--state pending --since 30m": [],
        "--state pending --shop conn_a": [],
        "--state sent": ["o2", "o1"],
        "--since 150m": ["o3", "o2"],
        "--since 150m --state sent": ["o2"],
        "--since 150m --shop conn_a": ["o2"],
        "--status backordered": ["o2"],
        "--status Back-Ordered": ["o2"],
    }
    assert {typed: numbers(alerted, *typed.split()) for typed in expected} == expected


def test_alert_shows_its_delivery(alerted: Operated) -> None:
    pending, sent, _ = alerted.json("alerts")
    assert (sent["kind"], sent["status"], sent["shop"]) == ("order.backordered", "backordered", "conn_a")
    assert (sent["state"], sent["message_id"], sent["sent_at"] is None) == ("sent", "message-1", False)
    assert (pending["state"], pending["message_id"], pending["sent_at"]) == ("pending", None, None)
    table = alerted.run("alerts", "--limit", "2").out
    assert "order.exception" in table
    assert "pending for 1 h" in table
    assert "There are older alerts; use --limit to show more." in table


def test_alerts_of_all_shops_are_merged_by_time_across_pages(operated: Operated) -> None:
    for number in range(105):
        shop = "conn_a" if number % 3 else "conn_b"
        operated.write_alert(alert_of(f"o{number}", connection_id=shop), ago=timedelta(minutes=number), sent=False)
    expected = [f"o{number}" for number in range(105)]
    assert numbers(operated, "--limit", "200") == expected
    assert numbers(operated, "--limit", "200", "--state", "pending") == expected

    called: list[str] = []
    events = moto_client("dynamodb").meta.events
    events.register("provide-client-params.dynamodb.*", lambda params, model, **_: called.append(model.name), "count")
    found = find_alerts(operated.stack, AlertFilter(shop="conn_b"))
    called.clear()
    assert [row.order_id for row in islice(found, 3)] == ["o0", "o3", "o6"]
    events.unregister("provide-client-params.dynamodb.*", unique_id="count")
    assert called == ["Query", "BatchGetItem"], "only what is shown is read"


def test_alert_of_another_release_is_listed_by_its_row(operated: Operated) -> None:
    operated.write_alert(alert_of("o1"))
    moto_client("dynamodb").update_item(
        TableName="AlertTable",
        Key=to_item(alert_of("o1").key._asdict()),
        UpdateExpression="SET alert = :other",
        ExpressionAttributeValues={":other": {"S": '{"schema": "orderwatch.alert.v9"}'}},
    )
    [alert] = operated.json("alerts")
    assert (alert["kind"], alert["order_number"], alert["shop"]) == ("order.exception", "o1", "conn_a")


def written(message: str, level: str = "INFO", **fields: Any) -> str:
    """A line as Powertools writes it."""
    constant = {"location": "f:1", "service": "stack", "function_name": "f", "function_request_id": "r"}
    return json.dumps({"level": level, "message": message, **constant, **fields})


@pytest.fixture
def logged(operated: Operated) -> Operated:
    """An alert that passes two functions, and an error of another shop."""
    report = {"time": "t", "type": "platform.report"}
    failed = written("poll failed", "ERROR", connection_id="conn_b", exception="Traceback\n  ValueError: x\x1b[2J")
    lines = [
        (3 * HOUR, Function.POLL_ORDERS, failed),
        (3 * HOUR, Function.POLL_ORDERS, json.dumps({**report, "record": {"status": "timeout"}})),
        (HOUR / 10, Function.POLL_ORDERS, "START RequestId: r Version: $LATEST"),
        (HOUR / 10, Function.POLL_ORDERS, written("alerts written", connection_id="conn_a", alert_ids=[ALERT])),
        (HOUR / 10, Function.POLL_ORDERS, json.dumps({"_aws": {"Timestamp": 1}, "PollsFinished": [1.0]})),
        (HOUR / 10, Function.POLL_ORDERS, json.dumps({**report, "record": {"status": "success"}})),
        (HOUR / 20, Function.PUBLISH_ALERTS, written("message sent", alert_ids=[ALERT])),
    ]
    for number, (ago, function, line) in enumerate(lines):
        at = NOW - ago + timedelta(milliseconds=number)
        operated.session.logs.lines[operated.stack.resources[function.log_group].id].append((at, line))
    return operated


def test_logs_are_sorted_by_time_and_skip_routine_lines(logged: Operated) -> None:
    ran = logged.run("logs", "--since", "1d", "--utc")
    assert (ran.code, ran.err) == (0, "")
    first, *exception, timeout, poll, publish = ran.out.splitlines()
    assert first.startswith(f"{NOW - 3 * HOUR:%Y-%m-%d %H:%M:%S} UTC  ERROR   poll-orders    poll failed")
    assert exception == ["    Traceback", "      ValueError: x [2J"]
    assert "timeout" in timeout
    assert poll.endswith(f'alerts written  connection_id=conn_a  alert_ids=["{ALERT}"]')
    assert publish.endswith(f'publish-alerts message sent  alert_ids=["{ALERT}"]')


def test_logs_are_filtered_by_function_alert_shop_level_and_time(logged: Operated) -> None:
    expected = {
        "publish-alerts": ["message sent"],
        "poll-orders publish-alerts": ["alerts written", "message sent"],
        f"--alert {ALERT}": ["alerts written", "message sent"],
        "--shop conn_b --since 1d": ["poll failed"],
        f"--shop conn_b --alert {ALERT} --since 1d": [],
        "--level error --since 1d": ["poll failed", "platform.report"],
        "redrive-alerts": [],
    }
    found = {typed: [line["message"] for line in logged.json("logs", *typed.split())] for typed in expected}
    assert found == expected
    assert logged.run("logs", "redrive-alerts").out == "no log lines; use --since to look further back\n"


def test_log_of_a_function_that_the_stack_lacks_names_the_remedy(operated: Operated) -> None:
    operated.session.cloudformation.resources.clear()
    ran = operated.run("logs", "post-to-slack")
    assert (ran.code, ran.err) == (
        1,
        "orderwatch: this stack has no post-to-slack: deploy it with SlackEnabled=true\n",
    )
