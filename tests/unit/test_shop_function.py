"""The simulated shop behind a function's URL: the same API, and the same shop in whichever sandbox answers."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from orderwatch_local.demo.expected import expected_status_alerts
from orderwatch_local.demo.run import all_expected_alerts
from orderwatch_local.simulator.exchange import Request
from orderwatch_local.smoke import shop_function
from orderwatch_local.smoke.shop_function import ROUNDS, SHOP, ShortDay

BEGINS_AT = datetime(2026, 11, 26, 10, tzinfo=UTC)
MOMENTS = [BEGINS_AT + timedelta(seconds=2 * number) for number in range(ROUNDS + 1)]
KEYS = {"x-trackstar-api-key": "key-of-the-run", "x-trackstar-access-token": "token-of-the-run"}


class OneItemTable:
    """A client of DynamoDB, as far as the day's table needs one."""

    def __init__(self) -> None:
        self._item: dict[str, Any] = {}

    def put_item(self, **request: Any) -> None:
        self._item = request["Item"]

    def get_item(self, **request: Any) -> dict[str, Any]:
        assert request["ConsistentRead"], "otherwise a poll may see the previous round"
        return {"Item": self._item} if self._item.get("id") == request["Key"]["id"] else {}


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The day's table, at the beginning of the day."""
    table: Any = OneItemTable()
    monkeypatch.setattr(shop_function, "_dynamodb", lambda: table)
    monkeypatch.setenv("DAY_TABLE_NAME", "day")
    monkeypatch.setenv("API_KEY", KEYS["x-trackstar-api-key"])
    monkeypatch.setenv("ACCESS_TOKEN", KEYS["x-trackstar-access-token"])
    shop_function._vendor.cache_clear()
    shop_function.save_moments(table, "day", MOMENTS[:1])
    yield table
    shop_function._vendor.cache_clear()


def ask(query: Mapping[str, str] | None = None, *, headers: Mapping[str, str] = KEYS) -> dict[str, Any]:
    """The answer to a request for orders, as the URL hands it to the function (payload format 2.0)."""
    event = {
        "version": "2.0",
        "rawPath": "/cart/orders",
        "rawQueryString": urlencode(query or {}),
        "headers": {"host": "abc.lambda-url.us-east-1.on.aws", **headers},
        "requestContext": {"http": {"method": "GET", "path": "/cart/orders"}},
        "isBase64Encoded": False,
    }
    return shop_function.handler(event, None)


def orders(query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    page: list[dict[str, Any]] = json.loads(ask(query)["body"])["data"]
    return page


def test_the_url_answers_as_the_shop_itself_does(table: Any) -> None:
    query = {"limit": "7", "trackstar_updated_date[lte]": "2026-11-26T10:00:00Z"}
    vendor = ShortDay(BEGINS_AT).serve(api_key="key-of-the-run", access_token="token-of-the-run")
    expected = vendor.handle(Request.of("GET", f"/cart/orders?{urlencode(query)}", KEYS.items()))
    answer = ask(query)
    assert (answer["statusCode"], answer["headers"]["Content-Type"]) == (200, "application/json")
    assert json.loads(answer["body"])["data"] == expected.json()["data"]
    assert answer["headers"]["x-ratelimit-remaining"] == expected.header("x-ratelimit-remaining")
    assert "date" not in {name.lower() for name in answer["headers"]}, "the function URL sets it"
    assert ask(headers=KEYS | {"x-trackstar-access-token": "guessed"})["statusCode"] == 401
    assert len(orders()) == SHOP.orders_before


def test_a_sandbox_that_starts_late_shows_the_same_shop(table: Any) -> None:
    for played in (2, 4):
        shop_function.save_moments(table, "day", MOMENTS[:played])
        of_one_that_played_along = orders()
    shop_function._vendor.cache_clear()
    assert orders() == of_one_that_played_along


def test_a_round_becomes_visible_at_its_moment(table: Any) -> None:
    shop_function.save_moments(table, "day", MOMENTS[:5])
    before = orders()
    shop_function.save_moments(table, "day", MOMENTS[:6])
    changed = {order["id"] for order in orders({"trackstar_updated_date[gte]": "2026-11-26T10:00:10Z"})}
    assert changed == {order["id"] for order in orders() if order not in before}
    assert changed


def test_the_short_day_has_every_kind_of_alert_and_a_storm() -> None:
    day = ShortDay(BEGINS_AT)
    for moment in MOMENTS[1:]:
        day.play(moment)
    statuses = {f"order.{kind}" for kind in ("exception", "backordered", "cancelled", "restocked", "recovered")}
    kinds = {kind for _, _, kind in all_expected_alerts(day.script)}
    assert kinds == statuses | {"connection.blocked", "connection.recovered"}
    backordered = [
        change.visible_at
        for (_, _, kind), change in expected_status_alerts(day.script.changes_of_day)
        if kind == "order.backordered"
    ]
    assert max(backordered.count(moment) for moment in MOMENTS) > 5
