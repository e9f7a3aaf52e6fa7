"""Any alert that the model accepts, sensible or not: each field by its type, with hostile texts."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel

from orderwatch.alerts import parts, summary
from orderwatch.alerts.alert import Alert, Enrichment, MergedAlert
from orderwatch.alerts.kinds import DEADLINE_KINDS, Severity
from orderwatch.alerts.parts import Line, Number
from orderwatch_local.preview.samples import SAMPLES

NASTY = [*"\u202e\u2066\0\n\u2028\uffffﷺ赤&#|", "\r\n", "👩‍👩‍👧", "e\u0301", "שלום", "<!here>"]
PIECES = st.lists(st.one_of(st.text(max_size=12), st.sampled_from(NASTY)), max_size=3).map("".join)
LINE = st.builds(lambda pieces, times: pieces * times, PIECES, st.sampled_from([1, 1, 30]))
NAME = LINE.filter(bool)
LONG = st.one_of(LINE, st.just("word " * 2000))
URL = st.one_of(
    st.none(), LINE, LINE.map(lambda path: f"https://shop.example/{path}"), st.just("https://a.example/&" + "&" * 2000)
)
COUNT = st.integers(0, 10**6)
AWARE = st.datetimes(timezones=st.just(UTC))
DATE = st.one_of(st.none(), AWARE, st.datetimes())
KNOWN = st.one_of(st.decimals(allow_nan=False, allow_infinity=False), st.integers(0, 10**6).map(Decimal))
AMOUNT = st.one_of(st.none(), KNOWN)
CURRENCY = st.one_of(st.none(), st.sampled_from(["EUR", "JPY", "KWD"]), LINE)
ZONE = st.one_of(LINE, st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "Europe", "../etc/passwd"]))

BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "id": NAME,
    "alert_id": NAME,
    "connection_id": NAME,
    "status": NAME,
    "reason": NAME,
    "state": NAME,
    "url": URL,
    "image_url": URL,
    "tracking_url": URL,
    "currency": CURRENCY,
    "time_zone": ZONE,
    "orders": st.integers(1, 10**6),
}
BY_TYPE: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, LINE),
    (Line | None, st.none() | LINE),
    (str | None, st.none() | LINE),
    (int, COUNT),
    (int | None, st.none() | COUNT),
    (bool, st.booleans()),
    (bool | None, st.none() | st.booleans()),
    (Number | None, AMOUNT),
    (date, st.dates()),
    (datetime, AWARE),
    (datetime | None, DATE),
    (tuple[str, ...], st.lists(st.sampled_from(["total_price", "quantity", "new"]) | LINE, max_size=3).map(tuple)),
    (dict[str, int], st.dictionaries(NAME, COUNT, max_size=4)),
    (dict[str, Line], st.dictionaries(LINE, LINE, max_size=3)),
    (dict[str, Number], st.dictionaries(LINE, KNOWN, max_size=8)),
]


def built[M: BaseModel](model: type[M], **given: st.SearchStrategy[Any]) -> st.SearchStrategy[M]:
    """Any value of a model: the given fields, and every other field whose name or type is listed above."""
    fields = {
        name: next((strategy for type_, strategy in BY_TYPE if type_ == field.annotation), None)
        for name, field in model.model_fields.items()
    }
    known = {name: BY_NAME.get(name, strategy) for name, strategy in fields.items() if strategy is not None}
    return st.builds(model, **known | given)


def several[T](strategy: st.SearchStrategy[T], most: int, *, least: int = 0) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(strategy, min_size=least, max_size=most).map(tuple)


KINDS = st.sampled_from([*SAMPLES, "order.x", "connection.new"])
ORDERS = built(
    parts.AlertOrder,
    line_items=several(built(parts.AlertLineItem), 4),
    shipments=st.none() | several(built(parts.AlertShipment), 7),
)
DIGESTS = several(built(parts.DigestedOrder), 4, least=1).flatmap(
    lambda orders: built(
        parts.Digest,
        of_kind=KINDS,
        count=st.integers(len(orders), 10**6),
        reasons=several(built(parts.DigestedReason), 12),
        orders=st.just(orders),
        more_orders=st.just(0),
        products=several(built(parts.DigestedProduct), 5),
    )
)
BACKLOGS = built(parts.Backlog, orders=several(built(parts.BacklogOrder), 12))
_AGES, _CHANGES = built(summary.BacklogAges), st.none() | built(summary.Changes)
_SHOPS = built(
    summary.ShopSummary,
    ages=_AGES,
    changes=_CHANGES,
    not_visible=st.none() | built(summary.NotVisible),
    orders=several(built(summary.SummaryOrder), 3),
    products=several(built(summary.SummaryProduct), 2),
)
SUMMARIES = built(
    summary.DailySummary,
    total=built(summary.Figures, ages=_AGES),
    changes=_CHANGES,
    week=st.none() | built(summary.Week),
    week_before=st.none() | built(summary.Week),
    shops=several(_SHOPS, 4),
)
_SUBJECTS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries({"order": ORDERS}),
    st.fixed_dictionaries({"digest": DIGESTS}),
    st.fixed_dictionaries({"backlog": BACKLOGS}),
    st.fixed_dictionaries({"summary": SUMMARIES}),
    st.just({}),
)
_MORE = st.fixed_dictionaries(
    {
        "detail": LONG,
        "next_step": LONG,
        "merged": several(built(MergedAlert, kind=st.sampled_from(sorted(DEADLINE_KINDS))), 2),
    }
)


@st.composite
def alerts(draw: st.DrawFn) -> Alert:
    """Any alert: about an order, a digest, a backlog, a summary, or only a connection."""
    connection = draw(built(parts.AlertConnection))
    missing = draw(several(LINE, 30))
    return Alert(
        alert_id="5b1f0c9a7d3e4862b0a94c17e6f2d835",
        kind=draw(KINDS),
        severity=draw(st.sampled_from(Severity)),
        connection_id=connection.id,
        connection=connection,
        enrichment=Enrichment(complete=not missing, missing=missing),
        data_as_of=draw(DATE),
        **draw(_SUBJECTS),
        **draw(st.just({}) | _MORE),
    )
