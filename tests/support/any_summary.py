"""Any summary that the model accepts, consistent or not."""

from datetime import UTC
from decimal import Decimal

from hypothesis import strategies as st

from orderwatch.alerts.summary import (
    BacklogAges,
    Changes,
    DailySummary,
    Figures,
    NotVisible,
    ShopSummary,
    SummaryOrder,
    SummaryProduct,
    Week,
)

COUNT = st.integers(0, 10**6)
AWARE = st.datetimes(timezones=st.just(UTC))


def summaries(
    line: st.SearchStrategy[str],
    url: st.SearchStrategy[str | None],
    amount: st.SearchStrategy[Decimal | None],
) -> st.SearchStrategy[DailySummary]:
    """Summaries with these texts, links and amounts."""
    text, known = st.one_of(st.none(), line), amount.filter(lambda each: each is not None)
    name = line.filter(bool)
    ages = st.builds(BacklogAges, under_1_day=COUNT, from_1_to_3_days=COUNT)
    changes = st.builds(Changes, since=AWARE, previous=COUNT, new=COUNT, cleared=COUNT, median_hours_to_clear=_hours())
    figures = {
        "needs_attention": COUNT,
        "by_reason": st.dictionaries(name, COUNT, max_size=4),
        "ages": ages,
        "late": COUNT,
        "at_risk": COUNT,
        "value_by_currency": st.dictionaries(line, known, max_size=8),
        "without_value": COUNT,
    }
    order = st.builds(
        SummaryOrder,
        id=name,
        number=line,
        url=url,
        status=name,
        raw_status=text,
        reason=name,
        is_late=st.booleans(),
        since=AWARE,
        ship_by=st.one_of(st.none(), AWARE),
        currency=text,
        total_price=amount,
    )
    product = st.builds(
        SummaryProduct, sku=text, orders=st.integers(1, 10**6), only_blocker=COUNT, ordered=amount, short=amount
    )
    shop = st.builds(
        ShopSummary,
        connection_id=name,
        name=text,
        time_zone=line,
        as_of=AWARE,
        not_visible=st.one_of(st.none(), st.builds(NotVisible, state=name, since=st.one_of(st.none(), AWARE))),
        changes=st.one_of(st.none(), changes),
        raw_reasons=st.dictionaries(line, COUNT, max_size=3),
        orders=st.lists(order, max_size=3).map(tuple),
        more_orders=COUNT,
        products=st.lists(product, max_size=2).map(tuple),
        **figures,
    )
    week = st.one_of(st.none(), st.builds(Week, new=COUNT, cleared=COUNT, needs_attention=COUNT))
    return st.builds(
        DailySummary,
        day=st.dates(),
        at=AWARE,
        watched_shops=COUNT,
        shops_not_visible=COUNT,
        total=st.builds(Figures, **figures),
        changes=st.one_of(st.none(), changes),
        week=week,
        week_before=week,
        shops=st.lists(shop, max_size=4).map(tuple),
        more_shops=COUNT,
    )


def _hours() -> st.SearchStrategy[Decimal | None]:
    return st.one_of(st.none(), st.decimals(0, 10**5, places=1))
