"""What is kept of an order's record: the snapshot in an alert, and the extract in a row that a summary tells of."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Self

from orderwatch.alerts.parts import MAX_LINE_ITEMS, MAX_TEXT, AlertLineItem, AlertOrder
from orderwatch.model import Model, one_line
from orderwatch.trackstar.fields import MAX_TEXT_LENGTH
from orderwatch.trackstar.orders import LineItem, Order, OrderDetails

MAX_EXTRACT_LINES = 20
"""Lines in the row of such an order: what a summary counts, small beside the row's 400 KB."""


class ExtractLine(Model):
    """One line of an order, as its row keeps it."""

    sku: str | None = None
    quantity: Decimal | None = None
    product_id: str | None = None


class Extract(Model):
    """What the row of an order that waits, or is at risk, keeps of its record, for a summary.

    Attributes:
        url: The order in the shop's own admin.
        currency: ISO 4217.
        total_price: In that currency.
        lines: At most `MAX_EXTRACT_LINES`.
        more_lines: Lines of the order beyond them.
    """

    url: str | None = None
    currency: str | None = None
    total_price: Decimal | None = None
    lines: tuple[ExtractLine, ...] = ()
    more_lines: int = 0

    @classmethod
    def of(cls, details: OrderDetails) -> Self:
        """What a record says."""
        listed = details.line_items[:MAX_EXTRACT_LINES]
        return cls(
            url=one_line(details.external_system_url, MAX_TEXT_LENGTH) if details.external_system_url else None,
            currency=details.invoice_currency_code,
            total_price=details.total_price,
            lines=tuple(map(_extracted, listed)),
            more_lines=len(details.line_items) - len(listed),
        )

    def saved(self) -> str:
        """As text, in ASCII: whatever the shop wrote, DynamoDB takes it."""
        return json.dumps(self.model_dump(mode="json", exclude_defaults=True), separators=(",", ":"))

    @classmethod
    def restored(cls, saved: str) -> Self:
        """What `saved` gave."""
        return cls.model_validate(json.loads(saved))


def _extracted(item: LineItem) -> ExtractLine:
    sku = one_line(item.product_sku, MAX_TEXT) if item.product_sku else None
    return ExtractLine(sku=sku, quantity=item.quantity, product_id=_product_id(item))


def _product_id(item: LineItem) -> str | None:
    return item.product_id if item.product_id and len(item.product_id) <= MAX_TEXT else None


def snapshot(
    order: Order,
    *,
    previous_status: str | None,
    previous_status_since: datetime | None,
    status_since: datetime,
    updated_at: datetime,
    seen_at: datetime,
) -> AlertOrder:
    """The order as an alert shows it.

    Args:
        order: As it was observed.
        previous_status: What it was in before, where it moved.
        previous_status_since: When it came into that.
        status_since: When it came into the status that it is in.
        updated_at: When the copy changed that shows it.
        seen_at: When it was observed, by the vendor's clock.
    """
    details = order.details
    lines = details.line_items[:MAX_LINE_ITEMS]
    return AlertOrder(
        id=order.id,
        number=order.number,
        url=details.external_system_url,
        status=order.status,
        previous_status=previous_status,
        previous_status_since=previous_status_since,
        status_since=status_since,
        raw_status=order.raw_status,
        created_at=details.created_date,
        updated_at=updated_at,
        seen_at=seen_at,
        currency=details.invoice_currency_code,
        total_price=details.total_price,
        total_tax=details.total_tax,
        total_discount=details.total_discount,
        total_shipping=details.total_shipping,
        ship_by=order.latest_ship_date,
        shipments=details.shipments,
        line_items=tuple(_line(item) for item in lines),
        more_line_items=len(details.line_items) - len(lines),
    )


def _line(item: LineItem) -> AlertLineItem:
    return AlertLineItem(
        sku=item.product_sku, quantity=item.quantity, unit_price=item.unit_price, product_id=_product_id(item)
    )
