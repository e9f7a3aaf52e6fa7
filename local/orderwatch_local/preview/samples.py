"""One sample alert a kind, and three of digests, for the preview and for the golden files of the tests."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from orderwatch.alerts.alert import Alert, Enrichment, connection_alert
from orderwatch.alerts.kinds import (
    ALERT_TOPIC,
    KIND_AT_RISK,
    KIND_BLOCKED,
    KIND_CONNECTION_RECOVERED,
    KIND_LATE,
    KIND_RESTOCKED,
    KIND_STUCK,
    KIND_WATCH_STARTED,
    severity_of,
)
from orderwatch.alerts.parts import AlertConnection, AlertLineItem, AlertOrder, AlertShipment, Backlog, BacklogOrder
from orderwatch.deadlines.alerts import Problem, deadline_alert, reminder_alert
from orderwatch.deadlines.rules import Deadline, DeadlineRules, Reminder
from orderwatch.errors import UnauthorizedError
from orderwatch.ownership import Ownership
from orderwatch.polling.connection_alerts import (
    health_alerts,
    new_status_alert,
    products_blocked,
    quarantine_alert,
    refused_settings,
    refused_sync,
    unknown_status_alert,
    unreadable_alert,
)
from orderwatch.polling.health import poll_failing_since, refused_by_trackstar, stale_since
from orderwatch.publishing.group import group
from orderwatch.publishing.subscription_monitor import (
    MonitoredTopic,
    Subscription,
    due_alert,
)
from orderwatch.trackstar.fields import UnreadableValues
from orderwatch_local.preview.summary_sample import summary_sample

NOW = datetime(2026, 3, 4, 12, 32, tzinfo=UTC)
SHOP = AlertConnection(id="conn-7f3a", name="Nordic Outdoor", integration="shopify", time_zone="Europe/Berlin")
WAREHOUSES = {"wh_01HZX": "Hamburg", "wh_02KTB": "Lyon"}
ADMIN = "https://admin.example.com/nordic-outdoor"

_TENT = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 88 88"><rect width="88" height="88" fill="#d7e8f5"/>'
    '<circle cx="66" cy="21" r="9" fill="#f7c948"/><path d="M0 66h88v22H0z" fill="#7fa650"/>'
    '<path d="M6 70 40 22l10 48z" fill="#e4572e"/><path d="M50 70 40 22l42 48z" fill="#c23f1b"/>'
    '<path d="M18 70 38 34l2 36z" fill="#5b2013"/></svg>'
)
PICTURES = {"https://cdn.example.com/tent-2p.jpg": _TENT}
"""Drawings for the picture URLs of the samples, which do not resolve."""


def order_alert(kind: str, *, alert_id: str = "5b1f0c9a7d3e4862b0a94c17e6f2d835", **fields: object) -> Alert:
    """Return an alert about order 1042 of Nordic Outdoor, with these fields replaced."""
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
        "warehouses": WAREHOUSES,
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


_TENT_LINE = AlertLineItem(
    sku="TENT-2P",
    name="Trail Tent, 2 persons",
    quantity=Decimal(1),
    unit_price=Decimal("89.00"),
    on_hand=Decimal(14),
    on_hand_by_warehouse={"wh_01HZX": Decimal(9), "wh_02KTB": Decimal(5)},
    image_url="https://cdn.example.com/tent-2p.jpg",
    url=f"{ADMIN}/products/901",
    product_id="901",
    is_kit=False,
    active=True,
)
_SOCKS_LINE = AlertLineItem(
    sku="SOCK-M",
    name="Merino socks, M",
    quantity=Decimal(2),
    unit_price=Decimal("15.50"),
    on_hand=Decimal(1),
    on_hand_by_warehouse={"wh_01HZX": Decimal(1), "wh_02KTB": Decimal(0)},
    product_id="417",
    is_kit=False,
    active=True,
)


def _exception() -> Alert:
    return order_alert(
        "order.exception",
        raw_status="Address verification failed",
        total_tax=Decimal("20.74"),
        total_shipping=Decimal("9.90"),
        shipping_method="Express",
        carrier="DHL",
        ship_by=datetime(2026, 3, 5, 9, tzinfo=UTC),
        line_items=(_TENT_LINE, _SOCKS_LINE),
    )


def _backordered() -> Alert:
    hairpin = AlertLineItem(
        sku="KANZASHI-赤",
        name="かんざし 赤い椿の髪飾り、職人による手作り、桐箱入り、贈答用のし紙付き",
        quantity=Decimal(3),
        unit_price=Decimal(4200),
        on_hand=Decimal(4),
        on_hand_by_warehouse={"東京": Decimal(4), "大阪": Decimal(0)},
        image_url="https://cdn.example.com/kanzashi.jpg",
        product_id="77",
        active=False,
    )
    lines = (
        hairpin,
        hairpin.model_copy(update={"quantity": Decimal(2), "unit_price": Decimal(3800)}),
        AlertLineItem(sku="FUROSHIKI-1", quantity=Decimal(2), unit_price=Decimal(1800), product_id="78"),
        AlertLineItem(quantity=Decimal("0.5"), unit_price=Decimal(900)),
    )
    missing = (
        "product details of FUROSHIKI-1: not found in Trackstar",
        "product details of line 4: the order line names no product",
    )
    return order_alert(
        "order.backordered",
        number="#JP-20931",
        currency="JPY",
        total_price=Decimal("23750.00"),
        total_discount=Decimal(500),
        raw_status="backordered",
        previous_status="confirmed",
        previous_status_since=NOW - timedelta(days=2, hours=4),
        created_at=NOW - timedelta(days=14, hours=3),
        ship_by=datetime(2026, 2, 20, tzinfo=UTC),
        line_items=lines,
        enrichment=Enrichment(complete=False, missing=missing),
    )


_PARCEL = AlertShipment(
    carrier="DHL",
    tracking_number="00340434161094042557",
    tracking_url="https://www.dhl.com/track?id=00340434161094042557",
    status="shipped",
    warehouse="wh_01HZX",
)


def _shipped(line: AlertLineItem, units: int, warehouse: str | None = None) -> AlertLineItem:
    return line.model_copy(update={"shipped": Decimal(units), "warehouse": warehouse})


def _cancelled() -> Alert:
    return order_alert(
        "order.cancelled",
        raw_status="cancelled_by_customer",
        previous_status="partially_fulfilled",
        shipments=(_PARCEL,),
        line_items=(_shipped(_TENT_LINE, 1), _shipped(_SOCKS_LINE, 0)),
    )


def _other() -> Alert:
    hebrew = AlertLineItem(
        sku="BAG-01", name="תיק גב עמיד במים 40 ליטר", quantity=Decimal(1), on_hand=Decimal(3), is_kit=True
    )
    lines = [AlertLineItem(sku=f"PART-{number:03}", quantity=Decimal(number)) for number in range(2, 101)]
    return order_alert(
        "order.other",
        number="הזמנה-88",
        url=None,
        currency=None,
        total_price=None,
        previous_status=None,
        previous_status_since=None,
        raw_status="On hold: fraud review",
        shipments=(AlertShipment(),),
        unknown_shipments=1,
        line_items=(hebrew, *lines),
        more_line_items=200,
    )


def _recovered() -> Alert:
    return order_alert(
        "order.recovered",
        status="processing",
        previous_status="exception",
        owner="Ana",
        taken_at=NOW - timedelta(hours=3),
    )


def _deadline(kind: str, *, at: datetime, ship_by: datetime | None, status: str, **more: object) -> Alert:
    rules = DeadlineRules(ZoneInfo("Europe/Berlin"), late_warning_hours=24, stuck_days=3)
    placed = NOW - timedelta(days=5)
    facts: dict[str, Any] = {
        "status": status,
        "previous_status": None,
        "previous_status_since": None,
        "created_at": placed,
        "status_since": NOW - timedelta(days=4),
        "total_shipping": Decimal("9.90"),
        "shipping_method": "Standard",
        "line_items": (_TENT_LINE, _SOCKS_LINE),
    }
    order = order_alert("order.other", **facts | more, ship_by=ship_by).order
    assert order is not None  # noqa: S101 - every order alert has an order
    return deadline_alert(Deadline(at, kind), order=order, rules=rules, connection=SHOP, data_as_of=NOW)


def _reminder(number: int = 1042) -> Alert:
    rules = DeadlineRules(ZoneInfo("Europe/Berlin"), reminder_hours=24)
    ana = Ownership("Ana", NOW - timedelta(days=3), note="The supplier answers on Wednesday.")
    ownership = ana if number % 3 == 1 else Ownership()
    since = NOW - timedelta(days=6)
    order = order_alert(
        "order.backordered",
        id=f"gid-{number}",
        number=str(number),
        url=f"{ADMIN}/orders/{number}",
        previous_status=None,
        previous_status_since=None,
        status_since=since,
        raw_status="supplier_delayed",
        total_price=Decimal(number) / 10,
        line_items=(_SOCKS_LINE,),
        owner=ownership.owner,
        taken_at=ownership.taken_at,
        note=ownership.note,
    ).order
    assert order is not None  # noqa: S101 - every order alert has an order
    return reminder_alert(
        Reminder(NOW, 2),
        order=order,
        problem=Problem(since),
        ownership=ownership,
        rules=rules,
        connection=SHOP,
        data_as_of=NOW,
    )


def _restocked(*, number: int = 1042) -> Alert:
    coffee = AlertLineItem(
        sku="KENYA-1KG",
        name="Kenya, whole beans, 1 kg",
        quantity=Decimal(3),
        shipped=Decimal(number % 2),
        unit_price=Decimal("24.90"),
        on_hand=Decimal(40),
        on_hand_by_warehouse={"wh_01HZX": Decimal(38), "wh_02KTB": Decimal(2)},
        product_id="55",
        is_kit=False,
        active=True,
    )
    return order_alert(
        KIND_RESTOCKED,
        alert_id=f"{number:032x}",
        id=f"gid-{number}",
        number=str(number),
        url=f"{ADMIN}/orders/{number}",
        status="backordered",
        previous_status=None,
        previous_status_since=None,
        status_since=NOW - timedelta(days=6),
        raw_status="out_of_stock",
        created_at=NOW - timedelta(days=8),
        updated_at=NOW - timedelta(days=6),
        total_price=Decimal(number) / 10,
        ship_by=datetime(2026, 3, number % 7 + 3, 16, tzinfo=UTC),
        shipments=(_PARCEL,) if number % 2 else (),
        line_items=(coffee,),
    )


def _digest() -> Alert:
    lamp = AlertLineItem(
        sku="LAMP-1", name="Trail lamp", quantity=Decimal(1), on_hand=Decimal(2), product_id="31", is_kit=False
    )
    stove = AlertLineItem(sku="STOVE-S", name="Alcohol stove", quantity=Decimal(2), product_id="32")
    members = [
        order_alert(
            "order.backordered",
            alert_id=f"{number:032x}",
            id=f"gid-{number}",
            number=str(number),
            url=f"{ADMIN}/orders/{number}",
            total_price=Decimal(number) / 10,
            currency="EUR" if number % 3 else "USD",
            raw_status="Supplier delayed" if number % 4 else "Discontinued",
            ship_by=datetime(2026, 3, number % 7 + 3, 16, tzinfo=UTC) if number % 5 else None,
            line_items=(lamp, _shipped(stove, number % 8 // 4)) if number % 4 == 0 else (lamp,),
        )
        for number in range(1042, 1054)
    ]
    return group(members, threshold=5)[0].alert


def _blocked() -> Alert:
    detail = "Trackstar's access to the shop was refused or lacks a permission. No change is visible."
    return connection_alert(KIND_BLOCKED, connection=SHOP, since=NOW, detail=detail, data_as_of=NOW)


def _unauthorized() -> Alert:
    error = UnauthorizedError("GET /cart/orders: 401", status=401)
    health = refused_by_trackstar(error, is_key_accepted=True, now=NOW)
    return health_alerts(None, health, connection=SHOP, data_as_of=NOW)[-1]


def _stale() -> Alert:
    synced_at = NOW - timedelta(hours=3)
    health = stale_since(synced_at, timedelta(hours=1), now=NOW)
    return health_alerts(None, health, connection=SHOP, data_as_of=synced_at)[0]


def _connection_recovered() -> Alert:
    detail = "It was blocked for 4 h 22 min."
    return connection_alert(KIND_CONNECTION_RECOVERED, connection=SHOP, since=NOW, detail=detail, data_as_of=NOW)


def _watch_started() -> Alert:
    nameless = AlertConnection(id="conn-7f3a")
    orders = [
        BacklogOrder(
            id=f"gid-{number}",
            number=str(number),
            url=f"{ADMIN}/orders/{number}",
            status="exception" if number % 3 else "backordered",
            raw_status="Address verification failed" if number % 3 else None,
            currency="EUR",
            total_price=Decimal(number) / 10,
            ship_by=NOW + timedelta(days=number - 1014, hours=2) if number < 1020 else None,  # noqa: PLR2004
        )
        for number in range(1012, 1022)
    ]
    backlog = Backlog(seen_at=NOW, by_status={"exception": 10, "backordered": 4}, orders=tuple(orders), more_orders=4)
    detail = (
        "Now watching 5,213 orders (10 in exception, 4 backordered). 60 are already overdue; they won't be alerted one "
        "by one."
    )
    started = connection_alert(KIND_WATCH_STARTED, connection=nameless, since=NOW, detail=detail, data_as_of=NOW)
    return started.replace(backlog=backlog)


def _quarantined() -> Alert:
    reasons = {"gid-5501077": "status is missing", "gid-5501081": "status has more than 128 characters"}
    notice = quarantine_alert(reasons, connection=SHOP, now=NOW)
    assert notice is not None  # noqa: S101 - there are reasons
    return notice


def _unreadable() -> Alert:
    values = UnreadableValues()
    for order_id in ("gid-5501077", "gid-5501081"):
        values.add("latest_ship_date", order_id)
    return unreadable_alert(values, ["latest_ship_date"], connection=SHOP, now=NOW)


def _refused_settings() -> Alert:
    flaw = "time_zone: no time zone of the IANA database, such as Europe/Berlin or UTC"
    return refused_settings(flaw, connection=SHOP, now=NOW)


def _poll_failing() -> Alert:
    health = poll_failing_since(NOW - timedelta(minutes=40), now=NOW, connection=SHOP)
    return health_alerts(None, health, connection=SHOP, data_as_of=NOW - timedelta(minutes=45))[0]


def _topic(*subscriptions: Subscription) -> MonitoredTopic:
    arn = f"arn:aws:sns:eu-central-1:123456789012:orderwatch-{ALERT_TOPIC}-1A2B3C"
    return MonitoredTopic(ALERT_TOPIC, arn, subscriptions, expects_email=True)


def _subscription_alert(*history: Alert, is_confirmed: bool) -> Alert:
    alert = due_alert(_topic(Subscription("email", is_confirmed=is_confirmed)), history, now=NOW)
    if alert is None:
        raise ValueError("no alert is due")
    return alert


_NO_SUBSCRIBERS = _subscription_alert(is_confirmed=False)
_TODAY, _TODAY_ENDS = datetime(2026, 3, 4, tzinfo=UTC), datetime(2026, 3, 4, 23, tzinfo=UTC)
SAMPLES: dict[str, Alert] = {
    "order.exception": _exception(),
    "order.backordered": _backordered(),
    "order.cancelled": _cancelled(),
    "order.other": _other(),
    "order.recovered": _recovered(),
    "order.at_risk": _deadline(
        KIND_AT_RISK,
        at=_TODAY_ENDS - timedelta(days=1),
        ship_by=_TODAY,
        status="open",
        shipments=(),
        line_items=(_shipped(_TENT_LINE, 0, "wh_01HZX"), _shipped(_SOCKS_LINE, 0, "wh_02KTB")),
    ),
    "order.late": _deadline(
        KIND_LATE,
        at=NOW,
        ship_by=NOW,
        status="partially_fulfilled",
        shipments=(_PARCEL,),
        line_items=(_shipped(_TENT_LINE, 0, "wh_01HZX"), _shipped(_SOCKS_LINE, 1, "wh_01HZX")),
    ),
    "order.stuck": _deadline(KIND_STUCK, at=_TODAY_ENDS - timedelta(days=1), ship_by=None, status="confirmed"),
    "order.restocked": _restocked(),
    "order.reminder": _reminder(),
    "order.digest": _digest(),
    "order.digest.restocked": group([_restocked(number=number) for number in range(1042, 1054)], threshold=5)[0].alert,
    "order.digest.reminder": group([_reminder(number) for number in range(1042, 1049)], threshold=5)[0].alert,
    "connection.blocked": _blocked(),
    "connection.unauthorized": _unauthorized(),
    "connection.stale": _stale(),
    "connection.poll_failing": _poll_failing(),
    "connection.recovered": _connection_recovered(),
    "topic.no_subscribers": _NO_SUBSCRIBERS,
    "topic.resubscribed": _subscription_alert(_NO_SUBSCRIBERS, is_confirmed=True),
    "watch.started": _watch_started(),
    "orders.quarantined": _quarantined(),
    "orders.unreadable_values": _unreadable(),
    "products.blocked": products_blocked(connection=SHOP, now=NOW),
    "status.new": new_status_alert(["in_customs", "on_hold"], {"on_hold"}, connection=SHOP, now=NOW),
    "status.unknown": unknown_status_alert("exceptoin", now=NOW),
    "settings.refused": _refused_settings(),
    "sync.refused": refused_sync("POST /connections/sync: 403", connection=SHOP, now=NOW),
    "summary.daily": summary_sample(),
}
