"""The figures of `summary.daily`: the backlog of every shop and its changes since the previous summary (rule 20)."""

from bisect import bisect_left
from collections.abc import Callable
from datetime import date, datetime
from typing import Self, TypedDict, Unpack

from pydantic import Field

from orderwatch.alerts.parts import AlertPart, Line, ListedOrder, ListedProduct, Note, Number

ALL_SHOPS = "all-shops"
"""The connection id of a summary: it covers all shops."""
DETAILED_SHOPS = 5
"""The worst shops that keep their lists while space remains, before other shops are listed at all."""


def urgency_rank(*, is_taken: bool, is_at_risk: bool, is_snoozed: bool) -> int:
    """Where an order is in a list: first those that nobody works on, then taken ones, those at risk, snoozed ones."""
    return 3 if is_snoozed else 2 if is_at_risk else 1 if is_taken else 0


class SummaryOrder(ListedOrder):
    """An order that needs attention or is at risk."""

    status: Line
    reason: Line = Field(description="Why the order is listed: a watched status, `late`, `stuck` or `at_risk`.")
    is_late: bool = Field(description="Whether its ship-by has passed, whatever the reason is.")
    since: datetime = Field(description="When the reason began: its status, or the deadline that passed.")
    owner: Line | None = Field(None, description="Who has taken it; null: nobody.")
    taken_at: datetime | None = None
    snoozed_until: datetime | None = Field(None, description="null: not snoozed, or the snooze has ended.")
    note: Note | None = Field(None, description="What its owner wrote about it.")

    @property
    def rank(self) -> int:
        """Its `urgency_rank`."""
        is_at_risk, is_snoozed = self.reason == "at_risk", self.snoozed_until is not None
        return urgency_rank(is_taken=self.owner is not None, is_at_risk=is_at_risk, is_snoozed=is_snoozed)


class SummaryProduct(ListedProduct):
    """A product that holds up backordered orders: its stock is insufficient or unknown."""

    only_blocker: int = Field(
        0, ge=0, description="Number of these orders that only this product holds up: stock covers all other lines."
    )
    can_ship: int | None = Field(
        None,
        ge=0,
        description="Number of these orders that the stock on hand covers wholly, if each unit goes to one order: "
        "the earliest ship-by first, then the oldest; null: the product's stock is unknown.",
    )


class BacklogAges(AlertPart):
    """Orders that need attention, counted by how long they have needed it."""

    under_1_day: int = Field(0, ge=0)
    from_1_to_3_days: int = Field(0, ge=0)
    from_3_to_7_days: int = Field(0, ge=0)
    over_7_days: int = Field(0, ge=0)


class Figures(AlertPart):
    """The figures of one shop, or of all shops together."""

    needs_attention: int = Field(0, ge=0, description="Orders in a watched status, late or stuck.")
    by_reason: dict[str, int] = Field(
        default_factory=dict,
        description="Orders that need attention by reason, each once: a watched status, else `late` or `stuck`.",
    )
    ages: BacklogAges = Field(default_factory=BacklogAges)
    late: int = Field(0, ge=0, description="Orders that need attention and whose ship-by has passed.")
    at_risk: int = Field(
        0, ge=0, description="Open orders whose ship-by is near and that do not need attention for another reason."
    )
    value_by_currency: dict[str, Number] = Field(default_factory=dict)
    without_value: int = Field(
        0, ge=0, description="Orders that need attention and whose total or currency is unknown."
    )
    taken: int = Field(0, ge=0, description="Orders that need attention, are taken by somebody and not snoozed.")
    snoozed: int = Field(0, ge=0, description="Orders that need attention and are snoozed, taken or not.")
    by_owner: dict[str, int] = Field(default_factory=dict, description="The taken orders by who has them.")

    @property
    def unowned(self) -> int:
        """Orders that need attention and are neither taken nor snoozed."""
        return self.needs_attention - self.taken - self.snoozed


class Changes(AlertPart):
    """The changes between two summaries: `previous + new - cleared` is the current `needs_attention`."""

    since: datetime = Field(description="Time of the summary before.")
    previous: int = Field(ge=0, description="Orders that needed attention in the summary before.")
    new: int = Field(ge=0, description="Orders that need attention now and did not then.")
    cleared: int = Field(ge=0, description="Orders that needed attention then and do not now.")
    median_hours_to_clear: Number | None = Field(
        None,
        description="Median hours from when a cleared order began to need attention until its status changed, of at "
        "least five orders whose whole time was watched.",
    )


class Week(AlertPart):
    """The changes of seven days, added up."""

    new: int = Field(ge=0)
    cleared: int = Field(ge=0)
    needs_attention: int = Field(ge=0, description="Orders that needed attention at the end of the week.")


class NotVisible(AlertPart):
    """Why the orders of a shop cannot be read; its figures are the last known ones."""

    state: Line = Field(description="`blocked`, `unauthorized`, `stale`, `poll_failing` or `initial_sync`.")
    since: datetime | None = None


class ShopLists(TypedDict, total=False):
    """The lists of a `ShopSummary`, which are added last and cut first, and what is known with them."""

    in_stock: int
    orders: tuple[SummaryOrder, ...]
    more_orders: int
    products: tuple[SummaryProduct, ...]
    more_products: int


class ShopSummary(Figures):
    """The figures and lists of one shop."""

    connection_id: str
    name: Line | None = None
    time_zone: Line = Field("UTC", description="IANA name. Messages to people show the shop's dates in this zone.")
    not_visible: NotVisible | None = Field(None, description="null: the shop's orders are visible.")
    as_of: datetime = Field(
        description="Time of the data, and of the ages: end of Trackstar's last sync, if Trackstar reports it."
    )
    raw_reasons: dict[str, int] = Field(
        default_factory=dict, description="Orders that need attention by the shop's own words; the most frequent ones."
    )
    changes: Changes | None = Field(None, description="null: no earlier summary includes this shop.")
    in_stock: int = Field(
        0, ge=0, description="Backordered orders whose every line the stock covers: stock does not hold them up."
    )
    orders: tuple[SummaryOrder, ...] = Field(
        (), description="The most urgent orders that need attention or are at risk."
    )
    more_orders: int = Field(0, ge=0, description="Number of such orders that are not listed here.")
    products: tuple[SummaryProduct, ...] = Field(
        (), description="The products that hold up the most backordered orders."
    )
    more_products: int = Field(0, ge=0, description="Number of such products that are not listed here.")

    @property
    def label(self) -> str:
        """The name of the shop; its id if it has no name."""
        return self.name or self.connection_id

    def with_products(self, products: tuple[SummaryProduct, ...], *, more: int, in_stock: int) -> Self:
        """The shop with the products that hold up its orders.

        Args:
            products: The listed ones.
            more: Number of those that are not listed.
            in_stock: Number of backordered orders that no product holds up.
        """
        return self._with_lists(products=products, more_products=more, in_stock=in_stock)

    def without_lists(self) -> Self:
        """The shop's figures only; `more_orders` and `more_products` count what was listed."""
        return self._with_lists(
            orders=(),
            more_orders=self.more_orders + len(self.orders),
            products=(),
            more_products=self.more_products + len(self.products),
        )

    def _with_lists(self, **lists: Unpack[ShopLists]) -> Self:
        return self.model_copy(update={**lists})


class SummaryChanges(TypedDict, total=False):
    """The fields of a `DailySummary` that change after it was made."""

    week: Week | None
    week_before: Week | None
    shops: tuple[ShopSummary, ...]
    more_shops: int


class DailySummary(AlertPart):
    """The orders that need attention in every shop, the worst shop first."""

    day: date = Field(description="Date in the time zone of the stack.")
    at: datetime = Field(description="When the tables were read, by our clock.")
    watched_shops: int = Field(ge=0)
    shops_not_visible: int = Field(ge=0)
    total: Figures
    changes: Changes | None = Field(None, description="null: there is no earlier summary.")
    week: Week | None = Field(None, description="On Mondays: the last seven days.")
    week_before: Week | None = Field(None, description="On Mondays: the seven days before the last seven.")
    shops: tuple[ShopSummary, ...] = Field(
        (), description="Shops with orders that need attention or are at risk, and shops that are not visible."
    )
    more_shops: int = Field(
        0, ge=0, description="Number of such shops that are not listed here; `total` includes them."
    )

    @property
    def quiet_shops(self) -> int:
        """Number of shops that are visible and have no order to report."""
        return self.watched_shops - len(self.shops) - self.more_shops

    @property
    def is_quiet(self) -> bool:
        """Whether every shop is visible and has no order to report."""
        return not self.shops and not self.more_shops

    def with_shops(self, shops: tuple[ShopSummary, ...], *, more: int) -> Self:
        """The summary with these shops listed, and the number of those that are not."""
        return self._replace(shops=shops, more_shops=more)

    def with_weeks(self, week: Week | None, week_before: Week | None) -> Self:
        """The summary with the changes of the last two weeks."""
        return self._replace(week=week, week_before=week_before)

    def _replace(self, **changes: Unpack[SummaryChanges]) -> Self:
        return self.model_copy(update={**changes})

    def shortened(self, keep: int, *, detailed: int = DETAILED_SHOPS) -> Self:
        """The summary with fewer details. The lists of the last shops go first, then those shops.

        Args:
            keep: From 0 (only the totals) to twice the number of shops (everything).
            detailed: Number of the worst shops that keep their lists longest; their lists go when the shop goes.
        """
        count = len(self.shops)
        whole = min(detailed, count)
        beyond = max(keep - 2 * whole, 0)
        named = min((keep + 1) // 2, whole) + min(beyond, count - whole)
        with_lists = min(keep // 2, whole) + max(beyond - (count - whole), 0)
        cut = (each.without_lists() for each in self.shops[with_lists:named])
        return self.with_shops((*self.shops[:with_lists], *cut), more=self.more_shops + count - named)

    def longest(self, fits: Callable[[Self], bool], *, detailed: int = DETAILED_SHOPS) -> Self:
        """The summary with as many details as fit, found by bisection; only the totals if nothing fits.

        Args:
            fits: Whether a shortened summary fits.
            detailed: As for `shortened`.
        """
        if fits(self):
            return self
        steps = range(1, 2 * len(self.shops))
        kept = bisect_left(steps, True, key=lambda keep: not fits(self.shortened(keep, detailed=detailed)))
        return self.shortened(kept, detailed=detailed)
