"""The figures of `summary.daily`: what waits in every shop, and what changed since the summary before (rule 20)."""

from collections.abc import Callable
from datetime import date, datetime

from pydantic import Field

from orderwatch.alerts.parts import AlertPart, Line, Number

ALL_SHOPS = "all-shops"
"""What a summary calls its connection: it is about all of them."""


class SummaryOrder(AlertPart):
    """An order that waits for a person, or is at risk."""

    id: str
    number: Line
    url: str | None = None
    status: Line
    raw_status: Line | None = Field(None, description="The shop's own word for the status.")
    reason: Line = Field(description="Why it is listed: a watched status, `late`, `stuck` or `at_risk`.")
    is_late: bool = Field(description="Whether its ship-by has passed, whatever else it waits for.")
    since: datetime = Field(description="When it came into what it waits in.")
    ship_by: datetime | None = None
    currency: str | None = None
    total_price: Number | None = None


class SummaryProduct(AlertPart):
    """A product that holds up backordered orders: there is not known to be enough of it."""

    sku: Line | None = None
    product_id: Line | None = None
    orders: int = Field(ge=1, description="Waiting orders that have it.")
    alone: int = Field(0, ge=0, description="Those that wait for it alone: there is enough of all else they have.")
    ordered: Number | None = Field(None, description="Units of it in these orders, as far as it is known.")
    on_hand: Number | None = Field(None, description="Stock of it in all warehouses; null: not known.")
    short: Number | None = Field(None, description="Units ordered beyond the stock; null: enough, or not known.")


class BacklogAges(AlertPart):
    """Waiting orders by how long they have waited."""

    under_1_day: int = Field(0, ge=0)
    from_1_to_3_days: int = Field(0, ge=0)
    from_3_to_7_days: int = Field(0, ge=0)
    over_7_days: int = Field(0, ge=0)


class Figures(AlertPart):
    """What waits, in figures: of a shop, or of all."""

    waiting: int = Field(0, ge=0)
    by_reason: dict[str, int] = Field(
        default_factory=dict, description="Every waiting order once: by its watched status, else `late` or `stuck`."
    )
    ages: BacklogAges = BacklogAges()
    late: int = Field(0, ge=0, description="Waiting orders whose ship-by has passed.")
    at_risk: int = Field(0, ge=0, description="Open orders that have to ship soon; some of them wait, most do not.")
    value_by_currency: dict[str, Number] = Field(default_factory=dict)
    without_value: int = Field(0, ge=0, description="Waiting orders whose total or currency is not known.")


class Changes(AlertPart):
    """What became of the waiting orders between two summaries: `waited + new - cleared = waiting`."""

    since: datetime = Field(description="Of when the summary before speaks.")
    waited: int = Field(ge=0, description="Orders that waited then.")
    new: int = Field(ge=0, description="Orders that wait now and did not then.")
    cleared: int = Field(ge=0, description="Orders that waited then and do not now.")
    median_hours_to_clear: Number | None = Field(
        None, description="Of the cleared ones, from when they began to wait until their status changed."
    )


class Week(AlertPart):
    """The sum of the changes of seven days."""

    new: int = Field(ge=0)
    cleared: int = Field(ge=0)
    waiting: int = Field(ge=0, description="Orders that waited at its end.")


class Unseen(AlertPart):
    """A shop that cannot be seen as it is: its figures are the last that are known."""

    state: Line = Field(description="`blocked`, `unauthorized`, `stale`, `unread`, `waiting` (for its first sync).")
    since: datetime | None = None


class ShopSummary(Figures):
    """One shop."""

    connection_id: str
    name: Line | None = None
    time_zone: Line = Field("UTC", description="IANA name: people are told its dates in it.")
    unseen: Unseen | None = Field(None, description="null: the shop is visible.")
    as_of: datetime = Field(
        description="Up to when its data reach, and ages count: the end of Trackstar's last sync, where it tells that."
    )
    raw_reasons: dict[str, int] = Field(
        default_factory=dict, description="The shop's own words of its waiting orders, the commonest ones."
    )
    changes: Changes | None = Field(None, description="null: no summary before knew the shop.")
    orders: tuple[SummaryOrder, ...] = Field((), description="The most urgent of those that wait or are at risk.")
    more_orders: int = Field(0, ge=0, description="Those that are not listed here.")
    products: tuple[SummaryProduct, ...] = Field((), description="What most of the backordered ones wait for.")
    more_products: int = Field(0, ge=0)

    @property
    def label(self) -> str:
        """What a person calls the shop."""
        return self.name or self.connection_id


class DailySummary(AlertPart):
    """What waits in every shop, the worst first."""

    day: date = Field(description="In the time zone of the stack.")
    at: datetime = Field(description="By our clock, when the tables were read.")
    watched_shops: int = Field(ge=0)
    unseen_shops: int = Field(ge=0)
    total: Figures
    changes: Changes | None = Field(None, description="null: there is no summary before.")
    week: Week | None = Field(None, description="On Mondays: the last seven days.")
    week_before: Week | None = Field(None, description="On Mondays: the seven days before those.")
    shops: tuple[ShopSummary, ...] = Field((), description="Shops where something waits, or that cannot be seen.")
    more_shops: int = Field(0, ge=0, description="Such shops that are not listed here; the total counts them.")

    @property
    def quiet_shops(self) -> int:
        """Shops that are visible and where nothing waits."""
        return self.watched_shops - len(self.shops) - self.more_shops

    @property
    def is_quiet(self) -> bool:
        """Whether nothing waits, is at risk or is out of sight."""
        return not self.shops and not self.more_shops


def without_lists(shop: ShopSummary) -> ShopSummary:
    """The shop's figures alone; what was listed is counted as left out."""
    more = {
        "more_orders": shop.more_orders + len(shop.orders),
        "more_products": shop.more_products + len(shop.products),
    }
    return shop.model_copy(update={"orders": (), "products": (), **more})


WHOLE_FIRST = 5
"""Shops that keep their lists before any further shop is named at all."""


def shortened(summary: DailySummary, keep: int, *, first: int = WHOLE_FIRST) -> DailySummary:
    """The summary with fewer details; what goes first are the lists of the last shops, then those shops.

    Args:
        summary: Any.
        keep: From 0 (the totals alone) to twice the number of shops (everything).
        first: The lists of so many of the worst shops stay longest: they go with their shop.
    """
    count = len(summary.shops)
    whole = min(first, count)
    beyond = max(keep - 2 * whole, 0)
    named = min((keep + 1) // 2, whole) + min(beyond, count - whole)
    detailed = min(keep // 2, whole) + max(beyond - (count - whole), 0)
    shops = (*summary.shops[:detailed], *map(without_lists, summary.shops[detailed:named]))
    return summary.model_copy(update={"shops": shops, "more_shops": summary.more_shops + count - named})


def longest(summary: DailySummary, fits: Callable[[DailySummary], bool], *, first: int = WHOLE_FIRST) -> DailySummary:
    """The summary with as many details as fit, by bisection; the totals alone where nothing does.

    Args:
        summary: Any.
        fits: Whether one of these is short enough.
        first: As for `shortened`.
    """
    if fits(summary):
        return summary
    low, high = 0, 2 * len(summary.shops)
    while low < high:
        middle = (low + high + 1) // 2
        if fits(shortened(summary, middle, first=first)):
            low = middle
        else:
            high = middle - 1
    return shortened(summary, low, first=first)
