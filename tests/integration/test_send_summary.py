"""send_summary as deployed: its day, one summary a day, and delivery like any alert."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from orderwatch import clock
from orderwatch.alerts.alert import AlertKey
from orderwatch.alerts.summary import ALL_SHOPS
from tests.support import account as accounts
from tests.support.account import Account, account, inserts, order
from tests.support.permissions import environment_of, name_of

MORNING = {"source": "aws.scheduler", "time": "2026-01-05T23:30:00Z"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Account]:
    """A shop with two backorders; there is no stock of the one product, and the other is unknown."""
    with account() as made:
        lamp = {"product_id": "p2", "product_sku": "LAMP", "quantity": 3}
        made.shop.restock("p1", {"Hamburg": 0})
        made.shop.place(order("1", status="backordered"))
        made.shop.place(order("2", status="backordered") | {"line_items": [lamp]})
        made.shop.sync()
        made.poll()
        yield made


@pytest.fixture
def running(stack: Account) -> Account:
    clock.use(stack.clock)
    return stack


def sum_up(running: Account, event: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = running.invoke("SendSummaryFunction", event)
    return answer


def summaries(running: Account) -> list[AlertKey]:
    return [key for key in running.pending() if key.connection_id == ALL_SHOPS]


@pytest.mark.parametrize(("zone", "day"), [("UTC", "2026-01-05"), ("Asia/Tokyo", "2026-01-06")])
def test_the_day_is_the_ticks_in_the_time_zone_of_the_stack(
    running: Account, monkeypatch: pytest.MonkeyPatch, zone: str, day: str
) -> None:
    monkeypatch.setattr(accounts, "environment_of", lambda function: environment_of(function) | {"TIME_ZONE": zone})
    assert sum_up(running, MORNING | {"send": False})["alert"]["summary"]["day"] == day


def test_a_summary_can_be_dated_by_the_clock_of_a_simulated_day(running: Account) -> None:
    summary = sum_up(running, {"send": False, "at": "2026-03-11T00:00:00+00:00"})["alert"]["summary"]
    assert (summary["day"], summary["at"]) == ("2026-03-11", "2026-03-11T00:00:00Z")


def test_the_summary_shows_stock_or_that_it_is_unknown(running: Account) -> None:
    [shop] = sum_up(running, {"send": False})["alert"]["summary"]["shops"]
    known = [(each["sku"], each["outstanding"], each["on_hand"], each["short"]) for each in shop["products"]]
    assert known == [("LAMP", 3.0, None, None), ("sku-1", 1.0, 0.0, 1.0)]


def test_a_repeated_tick_writes_one_summary_that_is_sent_as_any_alert(running: Account) -> None:
    assert [sum_up(running, MORNING)["is_written"] for _ in range(2)] == [True, False]
    assert not sum_up(running, {"send": False})["is_written"]
    [key] = summaries(running)
    assert [sum_up(running, {})["is_written"] for _ in range(2)] == [True, False], "the retry of one invocation"
    assert len(summaries(running)) == 2

    running.subscribe("AlertTopic")
    assert running.invoke("PublishAlertsFunction", inserts([key])) == {"batchItemFailures": []}
    [message] = running.messages("StreamFailureQueue")
    sent = json.loads(json.loads(message["Body"])["Message"])
    assert (sent["kind"], sent["summary"]["total"]["needs_attention"]) == ("summary.daily", 2)
    row = running.dynamodb.get_item(
        TableName=name_of("AlertTable"), Key={"connection_id": {"S": ALL_SHOPS}, "alert_id": {"S": key.alert_id}}
    )["Item"]
    assert row["state"]["S"] == "sent"
