"""Which orders to ask for: the filters of `GET /cart/orders`."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from orderwatch.model import Model


class DateField(StrEnum):
    """The date that the incremental filter runs on (rule 5)."""

    TRACKSTAR_UPDATED = "trackstar_updated_date"
    SHOP_UPDATED = "updated_date"


class OrderQuery(Model):
    """The filters of a reading: the same on every page, since the vendor's page token does not remember them.

    Attributes:
        after: Lower bound, inclusive; None reads from the beginning.
        until: Upper bound, inclusive; counts only with a lower one.
        date_field: What the bounds are on.
        statuses: Only these statuses; empty: all.
    """

    after: datetime | None = None
    until: datetime
    date_field: DateField = DateField.TRACKSTAR_UPDATED
    statuses: tuple[str, ...] = ()

    def filters(self) -> dict[str, str]:
        """The query's parameters."""
        filters: dict[str, str] = {}
        if self.after:
            filters[f"{self.date_field}[gte]"] = _filter_date(self.after)
            filters[f"{self.date_field}[lte]"] = _filter_date(self.until)
        if self.statuses:
            filters["status[in]"] = ",".join(self.statuses)
        return filters


def _filter_date(moment: datetime) -> str:
    """UTC in whole seconds, the only form that the filters take; rounded down, so that `gte` loses nothing."""
    return (moment.astimezone(UTC) - timedelta(microseconds=moment.microsecond)).strftime("%Y-%m-%dT%H:%M:%SZ")
