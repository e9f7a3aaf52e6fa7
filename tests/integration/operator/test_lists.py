"""`orderwatch shops`, `orders`, `alerts` and `logs`: what they list, and their filters."""

import json
import re
from copy import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest

from orderwatch import clock
from orderwatch.alerts.kinds import KIND_LATE
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.dynamodb import to_item
from orderwatch.deadlines.rules import Deadline, DeadlineState
from orderwatch.polling.detect import OrderWrite
from orderwatch.records import Extract, Syncs
from orderwatch_cli.commands.alerts import AlertFilter, find_alerts
from orderwatch_cli.shop_status import polled_connection_ids
from orderwatch_cli.stack import QUEUE, TABLE, Function
from tests.support.alerts import SEEN_AT, alert_of, first_sight
from tests.support.operated import API_KEY, CONNECTION, TOKEN, TOPIC, Operated, moto_client

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


def open_order(order_id: str, *, ship_by: int | None, price: int = 10, kind: str | None = None) -> OrderWrite:
    """An order that needs attention, with its ship-by some hours from now and a deadline of this kind that passed."""
    write = first_sight(order_id)
    passed = Deadline(NOW, kind) if kind else None
    row = replace(
        write.stored,
        extract=Extract(total_price=Decimal(price), currency="EUR", url=f"https://shop.example/{order_id}").to_json(),
        ship_by=None if ship_by is None else NOW + ship_by * HOUR,
        deadline_state=DeadlineState(passed=passed),
    )
    return replace(write, alert=None, stored=row)


@pytest.fixture
def urgent(operated: Operated) -> Operated:
    operated.write(open_order("cheap", ship_by=None, price=1))
    operated.write(open_order("soon", ship_by=3))
    operated.write(open_order("dear", ship_by=None, price=99))
    operated.write(open_order("late", ship_by=-5, kind="order.late"), connection_id="conn_b")
    operated.write(open_order("stuck", ship_by=None, price=50, kind="order.stuck"))
    return operated


def test_orders_come_by_urgency_over_all_shops_as_in_the_summary(urgent: Operated) -> None:
    assert [each["order_number"] for each in urgent.json("orders")] == ["late", "soon", "dear", "stuck", "cheap"]
    [late] = urgent.json("orders", "--late")
    assert (late["order_number"], late["is_late"], late["connection_id"]) == ("late", True, "conn_b")
    assert urgent.run("orders", "--late", "--shop", CONNECTION).out == "no late order needs attention\n"


def test_age_of_an_order_ends_with_the_data_as_in_the_summary(urgent: Operated) -> None:
    urgent.polled(CONNECTION, syncs=Syncs(last_end=SEEN_AT + 2 * HOUR))
    ages = {each["order_number"]: each["age"] for each in urgent.json("orders", "--shop", CONNECTION)}
    assert ages == {"soon": "PT2H", "dear": "PT2H", "cheap": "PT2H", "stuck": "PT2H"}


def test_orders_link_to_the_shop(urgent: Operated) -> None:
    assert "https://shop.example/late" in urgent.run("orders").out


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("orders", "--shop", "conn_other"), "no shop conn_other; list the shops with: "),
        (("test-alert", "--shop", "conn_other"), "no shop conn_other; list the shops with: "),
        (("alerts", "show", "nope"), "no alert nope; list the IDs with: orderwatch alerts"),
        (("orders", "--status", "exeption"), "no status exeption; statuses: backordered, cancelled, "),
        (("alerts", "--shop", "conn_other"), "no shop conn_other; list the shops with: "),
        (("alerts", "--kind", "order.exeption"), "no kind order.exeption; kinds: connection.blocked, "),
        (("alerts", "--status", "exeption"), "no status exeption; statuses: backordered, "),
        (("logs", "--shop", "conn_other"), "no shop conn_other; list the shops with: "),
        (("logs", "--shop", "conn_other", "--json"), "no shop conn_other; list the shops with: "),
        (("logs", "--shop", "conn_other", "--follow"), "no shop conn_other; list the shops with: "),
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


# Shops by name

BY_SHOP = (
    ("orders", "--shop"),
    ("alerts", "--shop"),
    ("logs", "--shop"),
    ("test-alert", "--shop"),
    ("poll",),
    ("settings",),
    ("disconnect", "--yes"),
    ("connect",),
)


@pytest.fixture
def named(operated: Operated) -> Operated:
    """Two shops, each with a name, and one with settings."""
    operated.create(TOPIC, QUEUE)
    operated.put_secret("trackstar/api-key", API_KEY)
    operated.put(f"connections/{CONNECTION}/name", "Alpine Outdoor")
    operated.put("connections/conn_b/name", "Bazaar")
    operated.put(f"connections/{CONNECTION}/settings", '{"time_zone": "Europe/Vienna"}')
    return operated


@pytest.mark.parametrize("command", BY_SHOP, ids=" ".join)
@pytest.mark.parametrize("typed", [CONNECTION, "Alpine Outdoor", "alpine  OUTDOOR"])
def test_a_shop_is_named_by_id_or_name_in_every_command(named: Operated, command: tuple[str, ...], typed: str) -> None:
    ran = named.run(*command, typed, stdin=TOKEN)
    assert (ran.code, ran.err) == (0, "")
    if command[0] in {"poll", "settings", "disconnect", "connect"}:
        assert ("Europe/Vienna" if command == ("settings",) else CONNECTION) in ran.out


@pytest.mark.parametrize("command", BY_SHOP, ids=" ".join)
def test_a_name_of_several_shops_is_an_error_with_their_ids(named: Operated, command: tuple[str, ...]) -> None:
    named.put("connections/conn_b/name", "alpine outdoor")
    ran = named.run(*command, "Alpine Outdoor", stdin=TOKEN)
    message = "2 shops are named Alpine Outdoor; use an ID: conn_a, conn_b"
    assert (ran.code, ran.out, ran.err) == (1, "", f"orderwatch: {message}\n")


def test_an_id_precedes_a_name(named: Operated) -> None:
    named.put("connections/conn_b/name", CONNECTION)
    assert named.run("poll", CONNECTION).out == "polling conn_a\n"


def test_disconnect_of_an_unknown_shop_does_not_ask(named: Operated) -> None:
    ran = named.run("disconnect", "nope", stdin="y\n")
    assert (ran.code, ran.err) == (1, "orderwatch: no shop nope is connected; list the shops with: orderwatch shops\n")


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


def test_an_alert_is_held_until_quiet_hours_end(operated: Operated) -> None:
    end = clock.now() + 3 * HOUR
    operated.write_alert(alert_of("o1"), sent=False, held_until=end)
    operated.write_alert(alert_of("o2"), ago=2 * HOUR, sent=False, held_until=clock.now() - HOUR)
    assert numbers(operated, "--state", "pending") == ["o1", "o2"]
    assert datetime.fromisoformat(operated.json("alerts")[0]["deliver_after"]) == end
    held, due = operated.run("alerts", "--utc").out.splitlines()[1:]
    assert f"held until {end:%Y-%m-%d %H:%M}" in held
    assert "pending for 2 h" in due
    assert "held until" in operated.run("alerts", "show", alert_of("o1").alert_id).out


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


def shown(operated: Operated, order_id: str, *options: str) -> str:
    ran = operated.run("alerts", "show", alert_of(order_id).alert_id, *options)
    assert (ran.code, ran.err) == (0, "")
    return ran.out


@pytest.mark.parametrize(
    ("channel", "starts", "contains"),
    [
        ("email", "written ", "Order #o1"),
        ("sms", "written ", "Order #o1"),
        ("slack", "written ", "https://shop.example/o1"),
        ("json", '{"schema":"orderwatch.alert.v1"', '"title":"'),
    ],
)
def test_alert_is_shown_as_its_reader_got_it(operated: Operated, channel: str, starts: str, contains: str) -> None:
    operated.write_alert(alert_of("o1", record={"external_system_url": "https://shop.example/o1"}))
    out = shown(operated, "o1", "--channel", channel)
    assert out.startswith(starts)
    assert contains in out
    assert not re.search(r"<!date|<http|&amp;", out)


def test_alert_of_a_digest_is_shown_as_the_digest(operated: Operated) -> None:
    for order_id in ("o1", "o2", "o3", "o4"):
        operated.write_alert(alert_of(order_id), ago=HOUR, sent=False)
    for order_id in ("o1", "o2", "o3"):
        AlertTable(moto_client("dynamodb"), "AlertTable").mark_sent({alert_of(order_id).key: "message-1"})
    out = shown(operated, "o2")
    assert "in one message with 2 other alerts" in out
    assert all(order_id in out for order_id in ("o1", "o3"))
    assert "o4" not in out
    assert "one message" not in shown(operated, "o4")


def test_json_of_an_alert_is_read_by_preview(operated: Operated) -> None:
    operated.write_alert(alert_of("o1"))
    ran = operated.run("preview", "--alert", "-", "--channel", "sms", stdin=shown(operated, "o1", "--json"))
    assert (ran.code, "Order #o1" in ran.out) == (0, True)


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
    assert "written by another release" in operated.run("alerts", "show", alert["alert_id"]).err


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


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_followed_logs_show_each_line_once_until_interrupted(
    logged: Operated, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    group = logged.session.logs.lines[logged.stack.resources[Function.SEND_SUMMARY.log_group].id]
    reads = iter(["first", "late", None])

    def sleep(seconds: float) -> None:
        """A line appears between two reads, the second with an older time."""
        if (text := next(reads)) is None:
            raise KeyboardInterrupt
        group.append((datetime.now(UTC) - timedelta(seconds=len(group)), written(text)))

    monkeypatch.setattr(clock, "sleep", sleep)
    ran = logged.run("logs", "publish-alerts", "send-summary", "--follow", *options)
    assert (ran.code, ran.err) == (130, "")
    shown = [next(word for word in ("message sent", "first", "late") if word in line) for line in ran.out.splitlines()]
    assert shown == ["message sent", "first", "late"]


def test_log_of_a_function_that_the_stack_lacks_names_the_remedy(operated: Operated) -> None:
    operated.session.cloudformation.resources.clear()
    ran = operated.run("logs", "post-to-slack")
    assert (ran.code, ran.err) == (
        1,
        "orderwatch: Slack is off: this stack has no post-to-slack; deploy it with SlackEnabled=true\n",
    )
