"""One representative alert a kind, and the files that show it in every channel.

After a wanted change of words: `python -m tests.unit.golden.samples` writes the files anew; read the difference.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from orderwatch.alerts import (
    KIND_BLOCKED,
    KIND_CONNECTION_RECOVERED,
    KIND_STALE,
    KIND_UNAUTHORIZED,
    KIND_WATCH_STARTED,
    Alert,
    AlertConnection,
    AlertLineItem,
    AlertOrder,
    Enrichment,
    connection_alert,
    severity_of,
)
from orderwatch.grouping import group
from orderwatch.messages import chat, email, machine, plain, slack, sms

FOLDER = Path(__file__).parent
NOW = datetime(2026, 3, 4, 12, 32, tzinfo=UTC)
SHOP = AlertConnection(id="conn-7f3a", name="Nordic Outdoor", integration="shopify")
ADMIN = "https://admin.example.com/nordic-outdoor"


def order_alert(kind: str, *, alert_id: str = "5b1f0c9a7d3e4862b0a94c17e6f2d835", **fields: object) -> Alert:
    """An alert about order 1042 of Nordic Outdoor, but for the fields that are given."""
    enrichment = fields.pop("enrichment", Enrichment())
    facts: dict[str, object] = {
        "id": "gid-5501042",
        "number": "1042",
        "url": f"{ADMIN}/orders/5501042",
        "status": kind.removeprefix("order."),
        "previous_status": "processing",
        "previous_status_since": NOW - timedelta(hours=3, minutes=20),
        "created_at": NOW - timedelta(days=1, hours=4),
        "updated_at": NOW,
        "seen_at": NOW + timedelta(minutes=3),
        "currency": "EUR",
        "total_price": Decimal("129.90"),
    }
    return Alert(
        alert_id=alert_id,
        kind=kind,
        severity=severity_of(kind),
        connection_id=SHOP.id,
        connection=SHOP,
        order=AlertOrder.model_validate(facts | fields),
        enrichment=Enrichment.model_validate(enrichment),
        data_as_of=NOW + timedelta(minutes=1),
    )


def _exception() -> Alert:
    tent = AlertLineItem(
        sku="TENT-2P",
        name="Trail Tent, 2 persons",
        quantity=Decimal(1),
        unit_price=Decimal("89.00"),
        on_hand=Decimal(14),
        on_hand_by_warehouse={"Hamburg": Decimal(9), "Lyon": Decimal(5)},
        image_url="https://cdn.example.com/tent-2p.jpg",
        url=f"{ADMIN}/products/901",
        product_id="901",
    )
    socks = AlertLineItem(
        sku="SOCK-M", name="Merino socks, M", quantity=Decimal(2), unit_price=Decimal("15.50"), on_hand=Decimal(120)
    )
    return order_alert(
        "order.exception",
        raw_status="Address verification failed",
        total_tax=Decimal("20.74"),
        total_shipping=Decimal("9.90"),
        ship_by=NOW + timedelta(days=1, hours=11, minutes=28),
        line_items=(tent, socks),
    )


def _backordered() -> Alert:
    lines = (
        AlertLineItem(
            sku="KANZASHI-赤",
            name="かんざし 赤い椿の髪飾り、職人による手作り、桐箱入り、贈答用のし紙付き",
            quantity=Decimal(3),
            unit_price=Decimal(4200),
            on_hand=Decimal(1),
            on_hand_by_warehouse={"東京": Decimal(1), "大阪": Decimal(0)},
            image_url="https://cdn.example.com/kanzashi.jpg",
            product_id="77",
        ),
        AlertLineItem(sku="FUROSHIKI-1", quantity=Decimal(2), unit_price=Decimal(1800), product_id="78"),
        AlertLineItem(quantity=Decimal("0.5"), unit_price=Decimal(900)),
    )
    missing = (
        "product details of FUROSHIKI-1: not in Trackstar's copy",
        "product details of line 3: the line names no product",
    )
    return order_alert(
        "order.backordered",
        number="#JP-20931",
        currency="JPY",
        total_price=Decimal("16650.00"),
        total_discount=Decimal(500),
        raw_status="backordered",
        previous_status="confirmed",
        previous_status_since=NOW - timedelta(days=2, hours=4),
        line_items=lines,
        enrichment=Enrichment(complete=False, missing=missing),
    )


def _cancelled() -> Alert:
    hebrew = AlertLineItem(sku="BAG-01", name="תיק גב עמיד במים 40 ליטר", quantity=Decimal(1), on_hand=Decimal(3))
    lines = [AlertLineItem(sku=f"PART-{number:03}", quantity=Decimal(number)) for number in range(2, 101)]
    return order_alert(
        "order.cancelled",
        number="הזמנה-88",
        url=None,
        currency=None,
        total_price=None,
        previous_status=None,
        previous_status_since=None,
        line_items=(hebrew, *lines),
        more_line_items=200,
    )


def _other() -> Alert:
    return order_alert("order.other", raw_status="On hold: fraud review", currency="KWD", total_price=Decimal("12.5"))


def _recovered() -> Alert:
    return order_alert("order.recovered", status="processing", previous_status="exception")


def _digest() -> Alert:
    members = [
        order_alert(
            "order.backordered",
            alert_id=f"{number:032x}",
            id=f"gid-{number}",
            number=str(number),
            url=f"{ADMIN}/orders/{number}",
            total_price=Decimal(number) / 10,
            currency="EUR" if number % 3 else "USD",
        )
        for number in range(1042, 1054)
    ]
    return group(members, threshold=5)[0].alert


def _blocked() -> Alert:
    detail = (
        "Trackstar cannot sync this shop's orders: its credentials or permissions were refused. "
        "Reconnect the shop in Trackstar."
    )
    return connection_alert(KIND_BLOCKED, connection=SHOP, since=NOW, detail=detail, data_as_of=NOW)


def _unauthorized() -> Alert:
    detail = "Trackstar answered 401: store a valid access token with aws ssm put-parameter."
    return connection_alert(KIND_UNAUTHORIZED, connection=SHOP, since=NOW, detail=detail)


def _stale() -> Alert:
    detail = (
        "Trackstar last synced this shop's orders at 2026-03-04 09:30 UTC, more than twice its sync frequency ago: "
        "changes since then are not visible. Look at the connection in Trackstar."
    )
    return connection_alert(KIND_STALE, connection=SHOP, since=NOW, detail=detail, data_as_of=NOW - timedelta(hours=3))


def _connection_recovered() -> Alert:
    detail = "The shop can be seen again; it was blocked since 2026-03-04 08:10 UTC."
    return connection_alert(KIND_CONNECTION_RECOVERED, connection=SHOP, since=NOW, detail=detail, data_as_of=NOW)


def _watch_started() -> Alert:
    nameless = AlertConnection(id="conn-7f3a")
    detail = "Watching 5,213 orders; 14 in exception now."
    return connection_alert(KIND_WATCH_STARTED, connection=nameless, since=NOW, detail=detail, data_as_of=NOW)


SAMPLES: dict[str, Alert] = {
    "order.exception": _exception(),
    "order.backordered": _backordered(),
    "order.cancelled": _cancelled(),
    "order.other": _other(),
    "order.recovered": _recovered(),
    "order.digest": _digest(),
    "connection.blocked": _blocked(),
    "connection.unauthorized": _unauthorized(),
    "connection.stale": _stale(),
    "connection.recovered": _connection_recovered(),
    "watch.started": _watch_started(),
}


def _pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _slack(alert: Alert) -> str:
    message = slack.blocks(alert)
    return _pretty({"text": message.text, "blocks": message.blocks})


def _plain(alert: Alert) -> str:
    message = plain(alert)
    return f"Subject: {message.subject}\n\n{message.bodies['email']}"


CHANNELS: dict[str, Callable[[Alert], str]] = {
    "email.txt": lambda alert: f"Subject: {email.subject(alert)}\n\n{email.body(alert)}",
    "sms.txt": lambda alert: f"{sms.body(alert)}\n",
    "json": lambda alert: _pretty(json.loads(machine.body(alert))),
    "chat.json": lambda alert: _pretty(chat.notification(alert)),
    "slack.json": _slack,
    "plain.txt": _plain,
}


def golden_file(kind: str, channel: str) -> Path:
    """Where the message of a kind in a channel is kept."""
    return FOLDER / f"{kind}.{channel}"


def write() -> None:
    """Write every golden file anew."""
    for kind, alert in SAMPLES.items():
        for channel, render in CHANNELS.items():
            golden_file(kind, channel).write_text(render(alert), encoding="utf-8")


if __name__ == "__main__":
    write()
